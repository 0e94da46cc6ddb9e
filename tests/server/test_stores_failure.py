"""Databases that fail: their names get SERVFAIL in time and nobody else
notices, the error log says it once, and all is well when they are back."""

import concurrent.futures
import os
import re
import socket
import subprocess
import time

import dns.message
import dns.rcode
import pytest

from databases import free_port
from proxy import Proxy
from resolua_server import HOST, wait_for
from service_conf import resolua
from stores import (ede, is_failure, open_zones, texts, wait_for_answer)

CONF = """
dns_store lmdb path=@FOLDER@/data;
%(stores)s
%(main)s

stream {
    server {
        listen 127.0.0.1:@DNS@ udp rcvbuf=4m sndbuf=4m;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        %(server)s
    }
}

http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block { require("dns.api").serve() } }
    }
}
"""
TIMEOUT = 0.5  # seconds, of the stores below
OPTIONS = "timeout=500ms poll=100ms ttl_cap=1h"
LMDB_ZONE = """\
$ORIGIN lmdb.test.
@ 60 SOA ns1 hostmaster 7 3600 600 86400 60
@ 60 NS ns1
ns1 60 A 192.0.2.53
www 60 A 192.0.2.90
"""
FAILS = r"dns_store \S+ (?:fails|cannot be reached): .*"
RECOVERS = r"dns_store \S+ answers again"
OTHER = {"mysql": "redis", "redis": "mysql"}


@pytest.fixture(scope="module")
def mysql(tmp_path_factory):
    zones = open_zones("mysql", tmp_path_factory.mktemp("mysql"))
    fill(zones)
    yield zones
    zones.db.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    zones = open_zones("redis", tmp_path_factory.mktemp("redis"))
    fill(zones)
    yield zones
    zones.db.stop()


def fill(zones):
    zones.make(f"{zones.kind}.test", [
        ("www", "A", 60, "192.0.2.80"), ("cached", "A", 3600, "192.0.2.81"),
        ("*.wild", "A", 60, "192.0.2.99")])


class Setting:
    """A server with one store behind a proxy, the other one beside it."""

    def __init__(self, start, zones, other):
        self.kind = zones.kind
        self.zones = zones
        self.other = other
        self.proxy = Proxy(zones.port)
        self.make = start
        self.server = None

    def serve(self, options=OPTIONS, url=None, run=True, server="", **more):
        url = url or self.zones.url(self.proxy.port)
        self.server = self.make(CONF % {
            "stores": f"dns_store {url} {options};\n"
                      f"dns_store {self.other.url()} {options};",
            "main": "dns_cache 16m;", "server": server}, run=False, **more)
        resolua(self.server, "zone", "load",
                self.server.file("zone", LMDB_ZONE))
        return self.server.start() if run else self.server

    def ask(self, owner="www", **options):
        return self.server.query(f"{owner}.{self.kind}.test", use_edns=0,
                                 **options)

    def warm_up(self):
        """The cache is emptied when a store tells its zones first."""
        for zones in (self.other, self.zones):
            wait_for_answer(self.server, f"www.{zones.kind}.test", "A",
                            ["192.0.2.80"])
        assert texts(self.ask("cached")) == ["192.0.2.81"]

    def fail(self, mode):
        self.proxy.mode = mode
        if mode == "refuse":
            self.proxy.cut()

    def check_others(self):
        """What does not need the failing store comes without delay."""
        for name, text in ((f"cached.{self.kind}.test", "192.0.2.81"),
                           (f"www.{self.other.kind}.test", "192.0.2.80"),
                           (f"x.wild.{self.other.kind}.test", "192.0.2.99"),
                           ("www.lmdb.test", "192.0.2.90")):
            began = time.monotonic()
            assert texts(self.server.query(name)) == [text]
            assert time.monotonic() - began < TIMEOUT

    def log_lines(self, pattern):
        return re.findall(pattern, self.server.log())

    def recover(self, seconds=10.0):
        self.proxy.mode = "pass"
        wait_for(lambda: texts(self.ask()) == ["192.0.2.80"], seconds,
                 "the store's names")
        self.server.wait_for_log(RECOVERS)


@pytest.fixture(params=["mysql", "redis"])
def setting(request, start, mysql, redis):
    both = {"mysql": mysql, "redis": redis}
    one = Setting(start, both[request.param], both[OTHER[request.param]])
    yield one
    one.proxy.stop()


def ask_in_turn(server, names, at_once=500):
    """One query for each name over UDP, so many under way; the responses."""
    responses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.connect((HOST, server.port("DNS")))
        s.settimeout(10)
        for at in range(0, len(names), at_once):
            some = names[at:at + at_once]
            for number, name in enumerate(some):
                query = dns.message.make_query(name, "A")
                query.id = number
                s.send(query.to_wire())
            responses += [s.recv(4096) for _ in some]
    return responses


def rcodes(responses):
    return {octets[3] & 15 for octets in responses}


def open_files(server):
    return sum(len(os.listdir(f"/proc/{pid}/fd"))
               for pid in server.worker_pids())


@pytest.mark.parametrize("fault", ["refuse", "hole", "delay", "garbage",
                                   "half"])
def test_a_fault_hits_the_stores_own_names_alone(setting, fault):
    server = setting.serve()
    setting.warm_up()
    workers = server.worker_pids()
    setting.proxy.delay = 3 * TIMEOUT
    setting.fail(fault)

    for number in range(3):
        began = time.monotonic()
        response = setting.ask(f"n{number}")
        assert time.monotonic() - began < 2 * TIMEOUT
        assert response.rcode() == dns.rcode.SERVFAIL
        assert ede(response) in ([22], [23])
        setting.check_others()
    server.wait_for_log(FAILS)
    setting.recover()
    assert setting.ask("n0").rcode() == dns.rcode.NXDOMAIN  # was not kept

    assert len(setting.log_lines(FAILS)) == 1
    assert len(setting.log_lines(RECOVERS)) == 1
    assert "secret" not in server.log()
    assert server.worker_pids() == workers


@pytest.mark.parametrize("fault", ["refuse", "hole", "garbage"])
def test_thousands_of_failing_queries_leave_nothing_behind(setting, fault):
    server = setting.serve("timeout=100ms poll=100ms ttl_cap=1h")
    setting.warm_up()
    ask_in_turn(server, [f"a{i}.{setting.kind}.test" for i in range(1000)])
    setting.fail(fault)
    wait_for(lambda: is_failure(setting.ask("new")))
    names = [f"b{i}.{setting.kind}.test" for i in range(1000)]
    for _ in range(2):
        assert rcodes(ask_in_turn(server, names)) == {dns.rcode.SERVFAIL}
    files, memory = open_files(server), server.workers_memory()
    for _ in range(3):
        assert rcodes(ask_in_turn(server, names)) == {dns.rcode.SERVFAIL}
        setting.check_others()
    assert open_files(server) <= files + 16
    assert server.workers_memory() < memory + (8 << 20)
    assert len(setting.log_lines(FAILS)) == 1
    setting.recover()
    assert rcodes(ask_in_turn(server, names[:500])) == {dns.rcode.NXDOMAIN}
