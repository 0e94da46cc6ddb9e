"""Requests that nobody means well: each gets an answer that says so, and none
an error of the server's own."""

import json
import os
import random

import pytest

from resolua_server import wait_for
from service_conf import SAMPLE, SERVICE, resolua

NAMES = ["example.test", "example.test.", "www.example.test.", "@", "*", "",
         ".", "..", "a..b", "a" * 64, ".".join(["a" * 63] * 4), "\\000.test",
         "\\300.test", "%00", "%2e%2e", "=2F", "=", "=ZZ", "no.test", "é.test",
         "_acme-challenge.example.test.", "x" * 3000, "www.other.test."]
TYPES = ["A", "TXT", "CNAME", "SOA", "NS", "ANY", "OPT", "AXFR", "TYPE65535",
         "65536", "-1", "", "a", "NSEC", "DNSKEY", "TYPE0"]
CONTENTS = ["192.0.2.1", "mail", "mail.example.test.", '"text"', '"open',
            "\\# 4 c0000201", "\\# 5 00", "\\# -1", "", " ", "\n", "(", "a\0b",
            "ns h 1 2 3 4 5", "x" * 70000, "$INCLUDE /etc/passwd"]
SCALARS = [None, True, False, 0, -1, 1.5, 2 ** 31, 1e308, "", "x", [], {}]
MEMBERS = ["rrsets", "records", "name", "type", "ttl", "changetype", "change",
           "content", "disabled", "comments", "kind", "masters", "account",
           "nameservers", "zone", "metadata", "soa_edit_api", "api_rectify"]
CHANGES = ["REPLACE", "DELETE", "EXTEND", "PRUNE", "set", "add", "drop",
           "delete", "", 7]
PATHS = ["/dns", "/dns/", "/dns/zones", "/dns/zones/{n}", "/dns/zones/{n}/{n}",
         "/dns/zones/{n}/{n}/{t}", "/dns/explain", "/dns/{n}", "/api",
         "/api/v1", "/api/v1/servers", "/api/v1/servers/{n}",
         "/api/v1/servers/localhost", "/api/v1/servers/localhost/zones",
         "/api/v1/servers/localhost/zones/{n}",
         "/api/v1/servers/localhost/zones/{n}/{t}",
         "/api/v1/servers/localhost/zones/{n}/export",
         "/api/v1/servers/localhost/zones/{n}/metadata",
         "/api/v1/servers/localhost/zones/{n}/metadata/{t}",
         "/api/v1/servers/localhost/search-data",
         "/api/v1/servers/localhost/statistics",
         "/api/v1/servers/localhost/cache/flush"]
ARGUMENTS = ["domain", "name", "type", "client", "server", "limit", "after",
             "q", "max", "object_type", "zone", "rrsets", "rrset_name",
             "rrset_type", "statistic", "transport", "dnssec"]


def quote(text):
    return "".join(c if c.isascii() and c.isalnum() or c in ".-_~%=*@" else
                   "".join(f"%{b:02X}" for b in c.encode()) for c in text)


class Chance(random.Random):
    def name(self):
        return self.choice(NAMES)

    def rrset(self):
        out = {"name": self.name(), "type": self.choice(TYPES),
               "ttl": self.choice([60, *SCALARS]),
               self.choice(["changetype", "change"]): self.choice(CHANGES),
               "records": [self.choice([
                   c := self.choice(CONTENTS), {"content": c}])
                   for _ in range(self.randrange(3))]}
        if self.random() < 0.3:
            out[self.choice(MEMBERS)] = self.value(1)
        return out

    def value(self, depth=3):
        kind = self.random()
        if depth == 0 or kind < 0.2:
            return self.choice(SCALARS + NAMES + CONTENTS)
        if kind < 0.4:
            return [self.value(depth - 1) for _ in range(self.randrange(4))]
        return {self.choice(MEMBERS): self.value(depth - 1)
                for _ in range(self.randrange(5))}

    def body(self):
        kind = self.random()
        if kind < 0.1:
            return None
        if kind < 0.2:
            return self.choice(CONTENTS + ["{", "[[" * 2000, "\xff" * 10])
        if kind < 0.6:
            return json.dumps({"rrsets": [self.rrset() for _ in range(
                self.randrange(4))], "name": self.name()})
        return json.dumps(self.value())

    def path(self):
        path = self.choice(PATHS).format(n=quote(self.name()),
                                         t=quote(self.choice(TYPES)))
        arguments = [f"{self.choice(ARGUMENTS)}=" + quote(self.choice(
            NAMES + TYPES + ["1", "0", "10", "*a*a*a*a*b", "127.0.0.1"]))
            for _ in range(self.randrange(4))]
        return path + ("?" + "&".join(arguments) if arguments else "")

    def headers(self):
        out = {}
        for name in ("If-Match", "If-None-Match", "Accept", "Origin"):
            if self.random() < 0.1:
                out[name] = self.choice(["*", '"1"', '"', "x", "text/dns",
                                         "application/json"])
        return out


@pytest.mark.parametrize("number", range(3))
def test_random_requests(start, number):
    seed = int(os.environ.get("SEED", random.randrange(10 ** 9))) + number
    print("seed", seed)
    chance = Chance(seed)
    conf = (SERVICE % "").replace(
        "location /dns {", "location /api { content_by_lua_block { require("
        '"dns.api.powerdns").serve() } } location /dns {')
    server = start(conf, run=False)
    resolua(server, "zone", "load", SAMPLE)
    server.start()
    [worker] = [pid for pid in server.worker_pids()]
    for i in range(1500):
        if i % 25 == 0:
            server.http("/dns/zones/example.test", "PUT", SAMPLE.read_text())
        method = chance.choice(["GET", "GET", "PUT", "POST", "PATCH", "DELETE",
                                "HEAD", "OPTIONS"])
        path, body, headers = chance.path(), chance.body(), chance.headers()
        if len(path) > 7000:
            continue
        reply = server.http(path, method, body, headers=headers)
        what = (seed, method, path, body, headers, reply.text)
        assert reply.status < 500 or reply.status == 502, what
        if reply.status >= 400 and method != "HEAD":
            assert "error" in reply.text or reply.text.startswith(
                "<html>"), what  # nginx's own: a URI with %00, say
        elif reply.status == 200 and method != "HEAD" and (
                "json" in reply.headers["Content-Type"]):
            json.loads(reply.body)
    assert worker in server.worker_pids()
    wait_for(lambda: server.query("example.test", "SOA").rcode() in (0, 5))


TURNS = """
dns_store lmdb path=@FOLDER@/data;
init_by_lua_block {
    turns = 0
    local sleep = ngx.sleep
    function ngx.sleep(seconds) turns = turns + 1 return sleep(seconds) end
}
http { client_max_body_size 8m; server { listen 127.0.0.1:@HTTP@;
    location /dns { content_by_lua_block { require("dns.api").serve() } }
    location /api { content_by_lua_block { require("dns.api.powerdns").serve() } }
    location /turns { content_by_lua_block { ngx.print(turns) } }
} }
"""
BIG_ZONE = "$ORIGIN big.test.\n@ 60 SOA a b 1 2 3 4 5\n@ 60 NS ns1\n" + "".join(
    f"h{i} 60 A 10.0.{i // 256}.{i % 256}\n" for i in range(20000))
SETS = [{"name": f"n{i}.big.test.", "type": "A", "ttl": 60, "changetype": "REPLACE",
         "records": [{"content": "192.0.2.1"}]} for i in range(8000)]


@pytest.mark.parametrize("path, method, body, headers", [
    ("/dns/zones/big.test", "GET", None, {}),
    ("/dns/zones/big.test", "GET", None, {"Accept": "text/dns"}),
    ("/api/v1/servers/localhost/zones/big.test.", "GET", None, {}),
    ("/api/v1/servers/localhost/zones/big.test.", "PATCH", {"rrsets": SETS}, {})])
def test_large_requests_give_others_their_turn(start, path, method, body, headers):
    """Of 200 records at most; and a large answer goes as it is taken."""
    server = start(TURNS, run=False)
    resolua(server, "zone", "load", server.file("zone", BIG_ZONE))
    server.start()
    reply = server.http(path, method, body and json.dumps(body), headers=headers)
    assert reply.status in (200, 204)
    if method == "GET":
        assert len(reply.body) == int(reply.headers["Content-Length"])
        assert reply.text.count(".big.test") >= 20000
    assert int(server.http("/turns").text) >= (40 if body else 100)
