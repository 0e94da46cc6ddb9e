"""Databases that other programs write to as well: what of theirs is served, and
what an edit leaves as it is."""

import json

import pytest

from resolua_server import wait_for
from service_conf import STORE_CONF
from stores import open_zones, texts, wait_for_answer

ZONE = "/dns/zones/b.test"


@pytest.fixture(scope="module", params=["mysql", "redis"])
def zones(request, tmp_path_factory):
    one = open_zones(request.param, tmp_path_factory.mktemp(request.param))
    yield one
    one.db.stop()


@pytest.fixture
def server(zones, start):
    zones.clear()
    zones.make("b.test", [("www", "A", 60, "192.0.2.80"),
                          ("www", "AAAA", 60, "2001:db8::1")])
    return start(STORE_CONF % zones.url())


def test_rows_with_several_ttls_have_the_lowest(zones, server):
    """RFC 2181 section 5.2, in whatever order they come."""
    for owner, ttls in (("up", (60, 90)), ("down", (90, 60))):
        for i, ttl in enumerate(ttls):
            if zones.kind == "mysql":
                zones.db.run(zones.insert("b.test", [
                    (owner, "A", ttl, f"192.0.2.{i}")]))
        if zones.kind == "redis":
            zones.db.run("HSET", "b.test.", owner, json.dumps({"a": [
                {"ttl": ttl, "ip": f"192.0.2.{i}"}
                for i, ttl in enumerate(ttls)]}))
        wait_for_answer(server, f"{owner}.b.test", "A",
                        ["192.0.2.0", "192.0.2.1"])
        assert server.query(f"{owner}.b.test").answer[0].ttl == 60
        assert server.http(f"{ZONE}/{owner}/A").json()["ttl"] == 60
