"""The HTTP endpoint /dns: every request and status of docs/http-api.md."""

import json
import socket

import pytest

from resolua_server import HOST
from service_conf import start_service

ZONE = """\
@ 60 SOA ns1 hostmaster 7 3600 600 86400 300
@ 60 NS ns1
ns1 60 A 192.0.2.1
"""
SET = "/dns/zones/example.test/www.example.test/A"
NEW = "/dns/zones/example.test/new.example.test/A"


@pytest.fixture
def server(start):
    return start_service(start)


def put(server, path, value):
    body = value if isinstance(value, (str, bytes)) else json.dumps(value)
    return server.http(path, "PUT", body)


def error_of(reply):
    assert reply.headers["Content-Type"] == "application/json"
    return reply.json()["error"]


def addresses(server, name, qtype="A"):
    answer = server.query(name, qtype).answer
    return sorted(str(rdata) for rrset in answer for rdata in rrset)


def serial(server):
    return server.query("example.test", "SOA").answer[0][0].serial


def test_lookup(server):
    reply = server.http("/dns?domain=www.example.test&type=A")

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert sorted(reply.json(), key=lambda r: r["record"]) == [
        {"name": "www.example.test", "type": 1, "class": 1, "ttl": 300,
         "record": "192.0.2.80"},
        {"name": "www.example.test", "type": 1, "class": 1, "ttl": 300,
         "record": "192.0.2.81"}]


@pytest.mark.parametrize("query, records", [
    ("domain=www.example.test.&type=28", ["2001:db8::80"]),
    ("domain=WWW.example.TEST&type=aaaa", ["2001:db8::80"]),
    ("domain=ftp.example.test&type=AAAA",
     ["www.example.test.", "2001:db8::80"]),
    ("domain=mail.example.test", ["192.0.2.25"]),
    ("domain=nothing.example.test&type=A", []),
    ("domain=unknown.example.test&type=TYPE65280", ["\\# 4 0a000001"]),
    ("domain=some.any.example.test&type=A", ["192.0.2.99"]),
])
def test_lookups(server, query, records):
    reply = server.http("/dns?" + query)

    assert reply.status == 200
    assert [r["record"] for r in reply.json()] == records


def test_empty_lookup_is_a_list(server):
    reply = server.http("/dns?domain=nothing.example.test&type=A")
    assert reply.text.strip() == "[]"


@pytest.mark.parametrize("query, field", [
    ("", "domain"), ("domain=", "domain"), ("domain=a..b", "domain"),
    ("domain=example.test&type=NOTYPE", "type"),
    ("domain=example.test&type=99999", "type"),
    ("domain=" + "a" * 64 + ".test", "domain"),
])
def test_bad_lookups(server, query, field):
    reply = server.http("/dns?" + query)

    assert reply.status == 400
    assert error_of(reply).startswith(field + ":")


def test_zones(server):
    assert server.http("/dns/zones").json() == [
        {"name": "example.test", "serial": 2024010101}]


def test_zone_as_json_and_as_text(server):
    zone = server.http("/dns/zones/example.test").json()
    assert zone["name"] == "example.test"
    assert zone["serial"] == 2024010101
    assert zone["records"][0]["type"] == 6
    assert {"name": "mail.example.test", "type": 1, "class": 1, "ttl": 3600,
            "record": "192.0.2.25"} in zone["records"]

    text = server.http("/dns/zones/example.test",
                       headers={"Accept": "text/dns"})
    assert text.headers["Content-Type"] == "text/dns"
    assert "mail.example.test.\t3600\tIN\tA\t192.0.2.25\n" in text.text
    assert len(text.text.splitlines()) == len(zone["records"])


def test_put_get_delete_zone(server):
    path = "/dns/zones/new.test"
    assert server.http(path).status == 404
    assert put(server, path, ZONE).status == 201
    assert addresses(server, "ns1.new.test") == ["192.0.2.1"]
    assert put(server, path, ZONE.replace("2.1", "2.2")).status == 200
    assert addresses(server, "ns1.new.test") == ["192.0.2.2"]

    text = server.http(path, headers={"Accept": "text/dns"}).text
    assert put(server, path, text).status == 200

    reply = server.http(path, "DELETE")
    assert (reply.status, reply.body) == (204, b"")
    assert server.http(path).status == 404
    assert server.http(path, "DELETE").status == 404
    assert server.query("ns1.new.test").rcode() == 5


def test_records_outside_the_zone_are_left_out(server):
    reply = put(server, "/dns/zones/outside.test",
                ZONE + "www.other. 60 A 192.0.2.1\n")
    assert reply.status == 201
    assert reply.json()["warnings"] == [
        "line:4: warning: www.other. lies outside the zone, and its record is"
        " left out"]
    assert "other" not in server.http("/dns/zones/outside.test").text


@pytest.mark.parametrize("body, status, text", [
    ("", 400, "body"),
    ("nonsense", 400, "1:"),
    (ZONE + "www 60 A 192.0.2\n", 400, "4:"),
    (ZONE + "www 60 TXT ( \"open\"\n", 400, "body"),
    (ZONE + "ns1 60 CNAME www\n", 409, "CNAME"),
    (ZONE + "$INCLUDE /etc/passwd\n", 400, "INCLUDE"),
])
def test_bad_zones_change_nothing(server, body, status, text):
    path = "/dns/zones/new.test"
    put(server, path, ZONE)
    before = server.http(path).text

    reply = put(server, path, body)

    assert reply.status == status
    assert text in error_of(reply)
    assert server.http(path).text == before


def test_put_and_delete_a_set(server):
    before = serial(server)
    reply = put(server, NEW, {"ttl": 300, "records": ["192.0.2.1"]})
    assert reply.status == 201
    assert addresses(server, "new.example.test") == ["192.0.2.1"]
    assert serial(server) == before + 1

    reply = put(server, NEW, {"ttl": 60,
                              "records": ["192.0.2.2", "192.0.2.3"]})
    assert reply.status == 200
    assert addresses(server, "new.example.test") == ["192.0.2.2", "192.0.2.3"]
    assert server.query("new.example.test").answer[0].ttl == 60
    assert serial(server) == before + 2

    got = server.http(NEW).json()
    assert got["ttl"] == 60
    assert got["records"] == ["192.0.2.2", "192.0.2.3"]

    assert server.http(NEW, "DELETE").status == 204
    assert server.http(NEW, "DELETE").status == 404
    assert server.query("new.example.test").rcode() == 3
    assert serial(server) == before + 3


@pytest.mark.parametrize("name", [
    "new.example.test", "new.example.test.", "NEW.example.test", "new"])
def test_names_of_a_set(server, name):
    path = f"/dns/zones/example.test/{name}/A"
    assert put(server, path, {"records": ["192.0.2.1"]}).status == 201
    assert addresses(server, "new.example.test") == ["192.0.2.1"]


def test_apex_wildcard_and_slash(server):
    base = "/dns/zones/example.test"
    assert put(server, f"{base}/@/TXT", {"records": ['"x"']}).status == 200
    assert put(server, f"{base}/*/A", {"records": ["192.0.2.9"]}).status == 201
    assert addresses(server, "anything.example.test") == ["192.0.2.9"]
    assert put(server, f"{base}/0%2F25.example.test/A",
               {"records": ["192.0.2.8"]}).status == 201
    assert addresses(server, "0/25.example.test") == ["192.0.2.8"]


@pytest.mark.parametrize("path, value, status, field", [
    (SET, "{", 400, "body"),
    (SET, "", 400, "body"),
    (SET, '{"ttl":300,"records":["192.0.2.1"', 400, "body"),
    (SET, "[]", 400, "records"),
    (SET, "3", 400, "body"),
    (SET, {"records": []}, 400, "records"),
    (SET, {"records": "192.0.2.1"}, 400, "records"),
    (SET, {"records": [1]}, 400, "records[0]"),
    (SET, {"records": ["192.0.2.1", "192.0.2"]}, 400, "records[1]"),
    (SET, {"ttl": -1, "records": ["192.0.2.1"]}, 400, "ttl"),
    (SET, {"ttl": 1.5, "records": ["192.0.2.1"]}, 400, "ttl"),
    (SET, {"ttl": "300", "records": ["192.0.2.1"]}, 400, "ttl"),
    (SET, {"ttl": 2 ** 31, "records": ["192.0.2.1"]}, 400, "ttl"),
    (SET, {"records": [f"10.0.{i >> 8}.{i & 255}" for i in range(10_000)]},
     400, "records"),
    (SET.replace("www.example.test", "www.other.test"),
     {"records": ["192.0.2.1"]}, 400, "name"),
    (SET.replace("www.example.test", "www..example.test"),
     {"records": ["192.0.2.1"]}, 400, "name"),
    (SET[:-1] + "NOTYPE", {"records": ["192.0.2.1"]}, 400, "type"),
    (SET[:-1] + "ANY", {"records": ["192.0.2.1"]}, 400, "type"),
    (SET[:-1] + "CNAME", {"records": ["mail"]}, 409, "records"),
    ("/dns/zones/no.test/www.no.test/A", {"records": ["192.0.2.1"]}, 404,
     "zone"),
])
def test_bad_sets_change_nothing(server, path, value, status, field):
    before = server.http("/dns/zones/example.test").text

    reply = put(server, path, value)

    assert reply.status == status
    assert error_of(reply).startswith(field + ":")
    assert server.http("/dns/zones/example.test").text == before


def test_deletes_that_would_break_the_zone(server):
    base = "/dns/zones/example.test/example.test"
    for qtype in ("SOA", "NS"):
        reply = server.http(f"{base}/{qtype}", "DELETE")
        assert reply.status == 409, qtype
        error_of(reply)


def test_body_over_the_limit(server):
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(f"PUT {SET} HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                  f"{65 * 1024 * 1024}\r\n\r\n".encode())
        assert b" 413 " in s.recv(4096).split(b"\r\n")[0]


def test_large_zone_body(server):
    records = "".join(f"h{i} 60 A 10.0.{i >> 8}.{i & 255}\n"
                      for i in range(60_000))
    assert put(server, "/dns/zones/large.test", ZONE + records).status == 201
    assert addresses(server, "h59999.large.test") == ["10.0.234.95"]


def test_cut_body_changes_nothing(server):
    before = server.http("/dns/zones/example.test").text
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(f"PUT {SET} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100"
                  '\r\n\r\n{"records":["192.0.2.1"]}'.encode())
        s.shutdown(socket.SHUT_WR)
        s.recv(4096)
    assert server.http("/dns/zones/example.test").text == before


@pytest.mark.parametrize("method, path, allow", [
    ("POST", "/dns?domain=example.test", "GET"),
    ("PUT", "/dns/zones", "GET"),
    ("POST", "/dns/zones/example.test", "DELETE, GET, PATCH, PUT"),
    ("PATCH", SET, "DELETE, GET, PUT"),
])
def test_other_methods(server, method, path, allow):
    reply = server.http(path, method)
    assert reply.status == 405
    assert reply.headers["Allow"] == allow


@pytest.mark.parametrize("path", [
    "/dns/other", "/dns/zones/example.test/www.example.test",
    "/dns/zones/example.test/www.example.test/A/1"])
def test_other_paths(server, path):
    assert server.http(path).status == 404


def test_head(server):
    reply = server.http("/dns/zones", "HEAD")
    assert (reply.status, reply.body) == (200, b"")


def test_edits_of_the_command_line_are_seen(server):
    from service_conf import resolua
    resolua(server, "record", "add", "example.test", "cli", "A", "192.0.2.44")
    assert addresses(server, "cli.example.test") == ["192.0.2.44"]


TWICE = '"ttl" stands twice in one object'


@pytest.mark.parametrize("method, path, body, text", [
    ("PUT", SET, '{"ttl":60,"records":["192.0.2.1"],"ttl":61}', TWICE),
    ("PUT", SET, r'{"ttl":60,"records":["192.0.2.1"],"tt\u006c":60}', TWICE),
    ("PUT", SET, '{"ttl":null,"records":["192.0.2.1"],"ttl":60}', TWICE),
    ("PATCH", "/dns/zones/example.test",
     '{"rrsets":[{"name":"a","type":"A","ttl":60,"records":["192.0.2.1"]},'
     '{"name":"b","type":"A","ttl":60,"records":["192.0.2.1"],"ttl":1}]}',
     TWICE),
    ("PUT", SET, '{"ttl":60,"records":["192.0.2.1"]', "not a JSON object"),
    ("PUT", SET, '{"ttl":60,"records":["192.0.2.1"]} x', "more text behind"),
    ("PUT", SET, '[' * 200, "in one another"),
])
def test_bodies_with_a_name_twice_or_no_json(server, method, path, body, text):
    before = server.http("/dns/zones/example.test").text
    reply = server.http(path, method, body)
    assert reply.status == 400
    assert text in error_of(reply)
    assert server.http("/dns/zones/example.test").text == before
