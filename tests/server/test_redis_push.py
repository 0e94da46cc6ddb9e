"""Changes that Redis tells: answers from it are kept for long, and yet are never
old, while keyspace notifications are on or a channel is given."""

import itertools
import json
import re
import time

import dns.rcode
import pytest

from proxy import Proxy
from resolua_server import wait_for
from service_conf import STORE_CONF
from stores import open_zones, texts, wait_for_answer

ON = r"changes are told by keyspace notifications"
OFF = r"changes are not told: "
# Nothing but what Redis tells makes an answer new.
SLOW = "poll=10m ttl_cap=10m timeout=5s"


@pytest.fixture(scope="module")
def zones(tmp_path_factory):
    zones = open_zones("redis", tmp_path_factory.mktemp("redis"))
    yield zones
    zones.db.stop()


@pytest.fixture(autouse=True)
def clean(zones):
    zones.clear()
    zones.db.run("CONFIG", "SET", "notify-keyspace-events", "Khg")
    zones.make("a.test", [("www", "A", 600, "192.0.2.1")])
    zones.make("b.test", [("www", "A", 600, "192.0.2.9")])


def serve(start, zones, options=SLOW, wait=ON, proxy=None, **more):
    url = zones.url(proxy.port if proxy else None)
    server = start(STORE_CONF % f"{url} {options}", **more)
    wait_for(lambda: len(re.findall(wait, server.log()))
             == more.get("workers", 1), 10, wait)
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])
    return server


def test_a_foreign_write_is_in_the_next_answer(start, zones):
    server = serve(start, zones, workers=2)
    for i in range(2, 12):
        zones.set("a.test", "www", "A", 600, f"192.0.2.{i}")
        took = wait_for_answer(server, "www.a.test", "A", [f"192.0.2.{i}"], 2)
        assert took < 1
    zones.set("a.test", "new", "TXT", 60, '"new"')
    wait_for_answer(server, "new.a.test", "TXT", ['"new"'], 2)


def test_answers_are_kept_in_the_meantime(start, zones):
    server = serve(start, zones, "poll=10m ttl_cap=0 timeout=5s")
    wait_for_answer(server, "www.b.test", "A", ["192.0.2.9"])
    before = int(zones.db.run("INFO", "commandstats")
                 .split("cmdstat_hmget:calls=")[1].split(",")[0])
    for _ in range(50):
        server.query("www.b.test")
    after = int(zones.db.run("INFO", "commandstats")
                .split("cmdstat_hmget:calls=")[1].split(",")[0])
    assert after - before <= 1


def test_a_reload_goes_on_with_new_workers(start, zones):
    server = serve(start, zones)
    for i in range(2, 5):
        old = server.worker_pids()
        server.reload()
        wait_for(lambda: not set(old) & set(server.worker_pids()), 10,
                 "the old worker's end")
        wait_for(lambda: len(re.findall(ON, server.log())) == i, 5)
        zones.set("a.test", "www", "A", 600, f"192.0.2.{i}")
        wait_for_answer(server, "www.a.test", "A", [f"192.0.2.{i}"], 2)
    wait_for(lambda: zones.connections() <= 3, 5, "connections that are left")


def test_zones_come_and_go(start, zones):
    server = serve(start, zones)
    assert server.query("www.c.test").rcode() == dns.rcode.REFUSED
    zones.make("c.test", [("www", "A", 600, "192.0.2.7")])
    wait_for_answer(server, "www.c.test", "A", ["192.0.2.7"], 2)
    zones.drop("c.test")
    wait_for(lambda: server.query("www.c.test").rcode() == dns.rcode.REFUSED, 2)
    zones.db.run("RENAME", "b.test.", "d.test.")
    wait_for_answer(server, "www.d.test", "A", ["192.0.2.9"], 2)
    wait_for(lambda: server.query("www.b.test").rcode() == dns.rcode.REFUSED, 2)


def test_changes_that_keep_coming_put_no_listing_off(start, zones):
    proxy = Proxy(zones.port, "delay")
    proxy.delay = 0.05  # a listing takes so long, its pause 20 times that
    server = serve(start, zones, "poll=10m ttl_cap=10m timeout=1s",
                   proxy=proxy)
    zones.make("c.test", [("www", "A", 600, "192.0.2.7")])
    numbers = itertools.count()

    def is_served():
        zones.db.run("HSET", f"n{next(numbers)}.test.", "@", "{}")
        time.sleep(0.1)
        return texts(server.query("www.c.test")) == ["192.0.2.7"]

    wait_for(is_served, 8)
    proxy.stop()


def test_a_lost_connection_is_made_anew(start, zones):
    server = serve(start, zones)
    zones.db.run("CLIENT", "KILL", "TYPE", "pubsub")
    wait_for(lambda: len(re.findall(OFF, server.log())) == 1, 5)
    wait_for(lambda: len(re.findall(ON, server.log())) == 2, 5)
    zones.set("a.test", "www", "A", 600, "192.0.2.2")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.2"], 2)


def test_a_write_while_the_connection_is_lost_is_seen(start, zones):
    proxy = Proxy(zones.port)
    server = serve(start, zones, proxy=proxy)
    proxy.mode = "refuse"
    proxy.cut()
    zones.set("a.test", "www", "A", 600, "192.0.2.3")
    server.wait_for_log(OFF)
    assert server.query("www.a.test").rcode() == dns.rcode.SERVFAIL
    proxy.mode = "pass"
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.3"], 8)
    proxy.stop()


def test_a_redis_that_is_down_leaves_what_was_kept(start, zones):
    """With dns_serve_stale; and none of it is given when it is back."""
    proxy = Proxy(zones.port)
    server = start("dns_serve_stale 1h;" + STORE_CONF
                   % f"{zones.url(proxy.port)} {SLOW}")
    server.wait_for_log(ON)
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])
    proxy.mode = "refuse"
    proxy.cut()
    server.wait_for_log(OFF)
    zones.set("a.test", "www", "A", 600, "192.0.2.2")
    for _ in range(20):
        assert texts(server.query("www.a.test")) == ["192.0.2.1"]
    proxy.mode = "pass"
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.2"], 8)
    # Only this connection is lost.
    zones.db.run("CLIENT", "KILL", "TYPE", "pubsub")
    zones.set("a.test", "www", "A", 600, "192.0.2.3")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.3"], 3)
    proxy.stop()


def test_without_notifications_the_cap_applies(start, zones):
    zones.db.run("CONFIG", "SET", "notify-keyspace-events", "")
    server = serve(start, zones, "poll=100ms ttl_cap=1", OFF)
    zones.set("a.test", "www", "A", 600, "192.0.2.2")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.2"], 3)
    # Turned on, and off again, while the server runs.
    zones.db.run("CONFIG", "SET", "notify-keyspace-events", "KEA")
    wait_for(lambda: re.search(ON, server.log()), 5)
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.2"], 3)
    zones.db.run("CONFIG", "SET", "notify-keyspace-events", "")
    zones.set("a.test", "www", "A", 600, "192.0.2.3")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.3"], 3)
    assert len(re.findall(OFF, server.log())) == 2


def test_a_user_without_config_get_has_the_cap(start, zones):
    zones.db.run("ACL", "SETUSER", "plain", "on", ">secret", "~*", "&*", "+@all",
                 "-config")
    server = start(STORE_CONF % f"{zones.url(account='plain:secret')} poll=100ms"
                   " ttl_cap=1")
    server.wait_for_log(OFF + "notify-keyspace-events")
    zones.set("a.test", "www", "A", 600, "192.0.2.2")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.2"], 3)


def test_a_channel_tells_zones(start, zones):
    zones.db.run("CONFIG", "SET", "notify-keyspace-events", "")
    server = serve(start, zones, SLOW + " channel=dns-changes",
                   'changes are told by channel "dns-changes"')
    for message, ip in (("a.test", "192.0.2.2"), ("A.TEST.", "192.0.2.3"),
                        ("", "192.0.2.4"), ("no name at all..", "192.0.2.5")):
        zones.set("a.test", "www", "A", 600, ip)
        zones.db.run("PUBLISH", "dns-changes", message)
        wait_for_answer(server, "www.a.test", "A", [ip], 2)
    zones.make("c.test", [("www", "A", 600, "192.0.2.7")])
    zones.db.run("PUBLISH", "dns-changes", "c.test.")
    wait_for_answer(server, "www.c.test", "A", ["192.0.2.7"], 2)


def test_our_edits_reach_other_servers_by_the_channel(start, zones):
    zones.db.run("CONFIG", "SET", "notify-keyspace-events", "")
    options = SLOW + " channel=dns-changes"
    wait = "changes are told by channel"
    one = serve(start, zones, options, wait)
    two = serve(start, zones, options, wait)
    for i in range(20, 30):
        done = one.http("/dns/zones/a.test/www/A", "PUT",
                        json.dumps({"ttl": 600, "records": [f"192.0.2.{i}"]}),
                        {"Content-Type": "application/json"})
        assert done.status in (200, 201), done.text
        assert texts(one.query("www.a.test")) == [f"192.0.2.{i}"]
        wait_for_answer(two, "www.a.test", "A", [f"192.0.2.{i}"], 2)


def test_a_hanging_redis_is_noticed(start, zones):
    server = serve(start, zones, SLOW.replace("5s", "1s"))
    zones.db.run("CLIENT", "PAUSE", "60000", "ALL")
    wait_for(lambda: re.search(OFF + "timeout", server.log()), 40)
    zones.db.run("CLIENT", "UNPAUSE")
    wait_for(lambda: len(re.findall(ON, server.log())) >= 2, 30)
