"""Calls of /api/v1."""

import json

import pytest

from service_conf import SAMPLE, SERVICE, resolua

BASE = "/api/v1/servers/localhost"
ZONES = BASE + "/zones"
ZONE = ZONES + "/example.test."

CONF = (SERVICE % "").replace("dns_store", "dns_cache 1m;\ndns_store", 1).replace(
    "location /dns {",
    'location /api { content_by_lua_block { '
    'require("dns.api.powerdns").serve(OPTIONS) } }\nlocation /dns {')


def start_api(start, options="", **more):
    server = start(CONF.replace("OPTIONS", options), run=False, **more)
    resolua(server, "zone", "load", SAMPLE)
    return server.start()


@pytest.fixture(name="server")
def api_server(start):
    return start_api(start)


def send(server, method, path, value=None, key=None):
    return server.http(path, method,
                       None if value is None else json.dumps(value),
                       headers={"X-API-Key": key} if key else {})


def patch(server, *rrsets):
    return send(server, "PATCH", ZONE, {"rrsets": rrsets})


def rrset(name, qtype, changetype, *contents, ttl=300, **more):
    out = {"name": name, "type": qtype, "changetype": changetype,
           "records": [{"content": c, "disabled": False} for c in contents]}
    if changetype != "DELETE":
        out["ttl"] = ttl
    return {**out, **more}


def find(server, name, qtype):
    zone = server.http(ZONE).json()
    found = [r for r in zone["rrsets"]
             if (r["name"], r["type"]) == (name, qtype)]
    assert len(found) <= 1
    return found[0] if found else None


def contents(server, name, qtype):
    found = find(server, name, qtype)
    return found and [r["content"] for r in found["records"]]


def off(content):
    return {"content": content, "disabled": True}


def records(server, name, qtype, path=ZONE):
    found = [r for r in server.http(path).json()["rrsets"]
             if (r["name"], r["type"]) == (name, qtype)]
    assert len(found) <= 1
    return found and sorted((r["content"], r["disabled"])
                            for r in found[0]["records"])


def with_records(change, *more):
    change["records"] += more
    return change
