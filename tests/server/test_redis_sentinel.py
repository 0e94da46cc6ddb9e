"""Zones in a Redis that sentinels watch over: a failover needs nobody."""

import itertools
import json
import re
import time

import dns.rcode
import pytest

from redis_servers import APEX, Sentinels
from resolua_server import wait_for
from service_conf import STORE_CONF
from stores import resolua_store, texts, wait_for_answer


def address(ip):
    return json.dumps({"a": [{"ttl": 600, "ip": ip}]})


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    group = Sentinels(tmp_path_factory.mktemp("redis"))
    yield group
    group.stop()


@pytest.fixture(autouse=True)
def clean(group):
    for server in group.servers.values():
        server.thaw()
        if not server.is_alive():
            server.start()
    wait_for(lambda: all(group._sees_all(s) for s in group.sentinels), 30)
    master = group.servers[group.master()]
    wait_for(lambda: "online" in master.run("INFO", "replication"), 20)
    master.run("FLUSHALL")
    master.run("HSET", "a.test.", "@", APEX, "www", address("192.0.2.1"))


def serve(start, group, options="poll=100ms timeout=400ms ttl_cap=10m"):
    server = start(STORE_CONF % f"{group.url()} {group.options()} {options}")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])
    return server


def edit(server, owner, ip):
    return server.http(f"/dns/zones/a.test/{owner}/A", "PUT",
                       json.dumps({"ttl": 60, "records": [ip]}),
                       {"Content-Type": "application/json"}).status


def test_the_master_is_asked_and_edited(start, group):
    server = serve(start, group)
    assert edit(server, "new", "192.0.2.2") == 201
    assert texts(server.query("new.a.test")) == ["192.0.2.2"]
    url = (f"{group.url()}/0?sentinel={group.name}&sentinel_password=guard")
    resolua_store(url, "record", "set", "a.test", "www", "A", 60, "192.0.2.3")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.3"], 3)


@pytest.mark.parametrize("end", ["kill", "freeze"])
def test_a_lost_master_is_replaced(start, group, end):
    server = serve(start, group)
    before = group.master()
    wait_for(lambda: group.servers[before].run("WAIT", "1", "1000") == "1", 5)
    getattr(group.servers[before], end)()
    wait_for(lambda: group.master() != before, 20, "the failover")
    wait_for(lambda: server.query("fresh1.a.test").rcode()
             == dns.rcode.NXDOMAIN, 8, "answers of the new master")
    wait_for(lambda: edit(server, "new", "192.0.2.2") == 201, 8, "an edit")
    assert texts(server.query("new.a.test")) == ["192.0.2.2"]
    # Its changes are told as well.
    wait_for(lambda: len(re.findall("changes are told by", server.log())) == 2, 8)
    group.servers[group.master()].run("HSET", "a.test.", "www",
                                      address("192.0.2.7"))
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.7"], 3)


def test_a_planned_failover_is_followed(start, group):
    server = serve(start, group)
    before = group.master()
    wait_for(lambda: group.sentinels[0].run(
        "SENTINEL", "FAILOVER", group.name) == "OK", 20, "FAILOVER")
    failures = []
    numbers = itertools.count()

    def ask_until_it_is_over():
        if server.query(f"n{next(numbers)}.a.test").rcode() == dns.rcode.SERVFAIL:
            failures.append(time.monotonic())
        return group.master() != before

    wait_for(ask_until_it_is_over, 20, "the failover")
    # Redis forgets what the old master took after the new one's start.
    wait_for(lambda: edit(server, "new", "192.0.2.2") in (200, 201)
             and texts(server.query("new.a.test")) == ["192.0.2.2"], 15,
             "an edit")
    assert not failures or failures[-1] - failures[0] < 2


def test_a_sentinel_that_is_gone_is_passed_over(start, group):
    group.sentinels[0].freeze()
    try:
        server = serve(start, group)
        assert edit(server, "new", "192.0.2.2") == 201
    finally:
        group.sentinels[0].thaw()


def test_what_is_wrong_is_told(start, group):
    for options, reason in (
            ("sentinel=nobody sentinel_password=guard", "knows no such master"),
            (f"sentinel={group.name}", "NOAUTH"),
            (f"sentinel={group.name} sentinel_password=x", "WRONGPASS")):
        server = start(STORE_CONF % f"{group.url()} {options} timeout=10s")
        server.wait_for_log(reason)
        assert server.query("www.a.test").rcode() == dns.rcode.SERVFAIL
        server.stop()
