"""A flood of random names in one zone leaves other zones, and the names that
the zone has, as they were."""

import os
import random
import signal
import socket
import threading
import time

import dns.message
import dns.rcode
import pytest

from resolua_server import HOST, wait_for
from service_conf import resolua
from stores import texts
from stream_conf import start_dns
# pylint: disable=unused-import
from test_stores_failure import (  # noqa: F401  (fixtures)
    Setting, mysql, redis, setting)
from upstream import Upstream

NUMBERS = """
        server {
            listen 127.0.0.1:@NUMBERS@;
            content_by_lua_block {
                local numbers = require("dns.statistics").get()
                for name, value in pairs(numbers) do
                    ngx.say(name, " ", value)
                end
            }
        }"""


def numbers(server):
    with socket.create_connection((HOST, server.port("NUMBERS"))) as s:
        text = b"".join(iter(lambda: s.recv(4096), b"")).decode()
    return {line.split()[0]: int(line.split()[1])
            for line in text.splitlines()}


def udp_socket(port):
    """The row of the kernel's table of a UDP port; a reading of the table may
    miss rows while sockets come and go."""
    def row():
        with open("/proc/net/udp") as table:
            rows = [line.split() for line in table]
        return next((words for words in rows
                     if words[1].endswith(f":{port:04X}")), None)
    return wait_for(row, 60, f"the row of port {port}")


def waiting(port):
    """Octets of memory of the datagrams that wait for the server."""
    return int(udp_socket(port)[4].split(":")[1], 16)


def kernel_drops(port):
    return int(udp_socket(port)[-1])


class Flood:
    """Sends random names of a zone, each `times` times, and takes no answer,
    while it stands.  It waits where the server does not keep up: what the
    kernel drops on a slow machine would be anybody's."""

    def __init__(self, server, zone, pause=0.005, times=1):
        self.port = server.port("DNS")
        self.zone = zone
        self.pause = pause
        self.times = times
        self.sent = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        rng = random.Random(5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((HOST, self.port))
            while not self.stopped.is_set():
                if waiting(self.port) < 100_000:
                    self._send(s, [f"{rng.getrandbits(60):x}.{self.zone}"
                                   for _ in range(50)])
                time.sleep(self.pause)

    def _send(self, s, names):
        for _ in range(self.times):
            for name in names:
                s.send(dns.message.make_query(name, "A").to_wire())
                self.sent += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


def answer(server, name):
    """As a client that asks again."""
    return wait_for(lambda: server.query(name, timeout=0.5, rd=True), 120,
                    f"an answer for {name}")


def others_are_answered(server, name, count):
    """Each at the first try."""
    for _ in range(count):
        assert len(server.query(name, timeout=60).answer) > 0


def names_are_told(setting):  # noqa: F811
    wait_for(lambda: setting.ask("calm", timeout=20).rcode()
             == dns.rcode.NXDOMAIN, 60, "the names of the store")


def wait_for_shed(server, name, more):
    """Others are answered while so many more are dropped."""
    begin = numbers(server)["shed"]

    def is_shed():
        others_are_answered(server, name, 10)
        return numbers(server)["shed"] >= begin + more
    wait_for(is_shed, 120, f"{more} dropped")


def test_known_names_go_first(setting):  # noqa: F811
    """The store takes long for each question, and few may wait for it."""
    server = setting.serve("timeout=10s poll=1s ttl_cap=1h queue=64",
                           server="}" + NUMBERS.strip().removesuffix("}"))
    for i in range(20):  # none of them is in the cache
        setting.zones.set(f"{setting.kind}.test", f"k{i}", "A", 60,
                          f"192.0.2.{i + 1}")
    setting.warm_up()
    names_are_told(setting)
    before = server.workers_memory()
    setting.proxy.delay = 0.05
    setting.proxy.mode = "delay"
    with Flood(server, f"{setting.kind}.test") as flood:
        wait_for(lambda: flood.sent > 500, 60)
        for i in range(20):
            others_are_answered(server, "www.lmdb.test", 10)
            assert texts(setting.ask(f"k{i}", timeout=60)) == [
                f"192.0.2.{i + 1}"]
        wait_for_shed(server, "www.lmdb.test", 1000)
        for i in range(10):  # who asks again is answered
            name = f"w{i}.wild.{setting.kind}.test"
            wait_for(lambda: texts(answer(server, name)) == ["192.0.2.99"], 120)
    assert server.workers_memory() - before < 64 << 20
    setting.proxy.mode = "pass"
    wait_for(lambda: answer(server, f"calm2.{setting.kind}.test").rcode()
             == dns.rcode.NXDOMAIN, 60)
    server.wait_for_log("questions a second for names that do not exist")


def test_a_stopped_store_keeps_places_for_known_names(setting):  # noqa: F811
    server = setting.serve("timeout=2s poll=10s ttl_cap=1h queue=64")
    setting.warm_up()
    names_are_told(setting)
    setting.fail("hole")
    with Flood(server, f"{setting.kind}.test") as flood:
        def is_flooded():
            others_are_answered(server, "www.lmdb.test", 10)
            others_are_answered(server, f"www.{setting.other.kind}.test", 1)
            return flood.sent > 1000
        wait_for(is_flooded, 120)
    setting.proxy.mode = "pass"
    wait_for(lambda: texts(setting.ask(timeout=10)) == ["192.0.2.80"], 60)


def test_zones_below_a_flooded_one_are_answered(setting):  # noqa: F811
    """They are no names of the flooded zone, which knows none of them."""
    zone = f"{setting.kind}.test"
    setting.other.make(f"far.{zone}", [("www", "A", 60, "192.0.2.81"),
                                       ("*.wild", "A", 60, "192.0.2.82")])
    server = setting.serve("timeout=10s poll=1s ttl_cap=1h queue=64",
                           server="}" + NUMBERS.strip().removesuffix("}"))
    setting.warm_up()
    names_are_told(setting)
    setting.proxy.delay = 0.05
    setting.proxy.mode = "delay"
    with Flood(server, zone):
        wait_for_shed(server, "www.lmdb.test", 300)
        resolua(server, "zone", "load", server.file("near", f"""\
$ORIGIN near.{zone}.
@ 60 SOA ns1 hostmaster 7 3600 600 86400 60
@ 60 NS ns1
ns1 60 A 192.0.2.53
*.wild 60 A 192.0.2.83
"""))
        for i in range(20):
            for name, text in ((f"x{i}.wild.near.{zone}", "192.0.2.83"),
                               (f"x{i}.wild.far.{zone}", "192.0.2.82")):
                wait_for(lambda: texts(answer(server, name)) == [text], 60)
        wait_for_shed(server, "www.lmdb.test", 300)
        for i in range(20, 40):
            assert texts(server.query(f"x{i}.wild.near.{zone}",
                                      timeout=60)) == ["192.0.2.83"]
    setting.other.drop(f"far.{zone}")


class Resolver(Upstream):
    """Has names with few letters; takes its time for all."""

    def _answer(self, query):
        name = query.question[0].name
        self.fault = "nxdomain" if len(name.labels[0]) > 5 else None
        return super()._answer(query)


@pytest.fixture
def upstream():
    server = Resolver()
    yield server
    server.stop()


def test_forwarded_names_that_are_known_go_first(start, upstream):
    server = start_dns(start, f"dns_forward {upstream.address};",
                       more=NUMBERS)
    known = [f"h{i}.up.test" for i in range(30)]
    for name in known:
        assert texts(server.query(name, rd=True)) == ["192.0.0.1"]
    with Flood(server, "up.test"):
        others_are_answered(server, "www.example.test", 300)
        wait_for_shed(server, "www.example.test", 100)
        for name in known:
            assert texts(answer(server, name)) == ["192.0.0.1"]
        # Who asks again is no random name: the first try may be lost.
        assert texts(answer(server, "new.up.test")) == ["192.0.0.1"]
        others_are_answered(server, "www.example.test", 100)


# Keeps the worker busy on any machine.
BUSY = """
    init_worker_by_lua_block {
        ngx.timer.every(0.001, function()
            local done = os.clock() + 0.02
            while os.clock() < done do end
        end)
    }"""


def test_a_busy_worker_sees_a_flood_that_waits_nowhere(start, upstream):
    """Neither is the receive buffer half full, nor does a place run out."""
    server = start_dns(start, f"dns_forward {upstream.address};",
                       before=BUSY, more=NUMBERS)
    with Flood(server, "up.test", pause=0.1):
        wait_for_shed(server, "www.example.test", 50)


def test_random_names_that_are_asked_again_stay_few(start, upstream):
    """Who asks again is answered, but not at others' cost."""
    server = start_dns(start, f"dns_forward {upstream.address};", more=NUMBERS)
    with Flood(server, "up.test", times=2):
        wait_for_shed(server, "www.example.test", 200)
        before = numbers(server)
        wait_for_shed(server, "www.example.test", 3000)
        after = numbers(server)
    asked, shed = (after[key] - before[key] for key in ("sessions", "shed"))
    assert asked < shed / 2


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_kernel_drops_is_counted(start, workers):
    server = start_dns(start, listen="rcvbuf=16k", more=NUMBERS,
                       workers=workers)
    wire = dns.message.make_query("mail.example.test", "A").to_wire()
    pids = server.worker_pids()
    for _ in range(3):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((HOST, server.port("DNS")))
            for _ in range(500):
                s.send(wire)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

        def is_counted():
            answer(server, "mail.example.test")
            dropped = kernel_drops(server.port("DNS"))
            return dropped > 0 and (
                numbers(server)["kernel_dropped"] == dropped)
        wait_for(is_counted, 60)
    server.reload()
    server.query("mail.example.test")
    assert numbers(server)["kernel_dropped"] == kernel_drops(
        server.port("DNS"))
