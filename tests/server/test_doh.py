"""DNS over HTTPS (RFC 8484)."""

import base64
import subprocess

import dns.flags
import dns.message
import dns.rcode
import pytest

from service_conf import SAMPLE, resolua
from upstream import Upstream

CONF = """
dns_store lmdb path=@FOLDER@/data;
dns_cache 2m;
http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns-query { dns_over_https on; %s }
        location = /numbers { content_by_lua_block {
            ngx.say(require("dns.statistics").get().https) } }
    }
    server {
        listen 127.0.0.1:@TLS@ ssl http2;
        ssl_certificate @FOLDER@/cert.pem;
        ssl_certificate_key @FOLDER@/key.pem;
        location /dns-query { dns_over_https on; }
    }
}
"""
TYPE = "application/dns-message"


@pytest.fixture
def serve(start):
    def go(directives=""):
        server = start(CONF % directives, run=False)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-keyout", server.folder / "key.pem", "-out",
             server.folder / "cert.pem", "-days", "2", "-subj",
             "/CN=localhost"], check=True, capture_output=True)
        resolua(server, "zone", "load", SAMPLE)
        return server.start()
    return go


def wire(name="www.example.test", kind="A", **options):
    return dns.message.make_query(name, kind, id=0, **options).to_wire()


def get(server, packet, **options):
    text = base64.urlsafe_b64encode(packet).decode().rstrip("=")
    return server.http(f"/dns-query?dns={text}", **options)


def post(server, packet, kind=TYPE):
    return server.http("/dns-query", "POST", packet, {"Content-Type": kind})


@pytest.mark.parametrize("ask", [get, post])
def test_answers(serve, ask):
    reply = ask(serve(), wire())
    assert reply.status == 200 and reply.headers["Content-Type"] == TYPE
    assert reply.headers["Cache-Control"] == "max-age=300"
    message = dns.message.from_wire(reply.body)
    assert {r.to_text() for r in message.answer[0]} == {
        "192.0.2.80", "192.0.2.81"}


def test_lifetimes(serve):
    server = serve()
    missing = get(server, wire("no.example.test"))
    assert dns.message.from_wire(missing.body).rcode() == dns.rcode.NXDOMAIN
    assert int(missing.headers["Cache-Control"][len("max-age="):]) > 0
    refused = get(server, wire("else.test"))
    assert dns.message.from_wire(refused.body).rcode() == dns.rcode.REFUSED
    assert refused.headers["Cache-Control"] == "max-age=0"


def test_errors(serve):
    server = serve()
    assert server.http("/dns-query").status == 400
    assert server.http("/dns-query?dns=").status == 400
    assert server.http("/dns-query?dns=***").status == 400
    assert server.http("/dns-query?dns=AAAA").status == 400
    assert post(server, wire(), "text/plain").status == 415
    assert post(server, b"").status == 400
    assert post(server, b"x" * 70000).status == 413
    reply = server.http("/dns-query", "PUT", b"x")
    assert reply.status == 405 and "POST" in reply.headers["Allow"]


def test_json(serve):
    server = serve()
    reply = server.http("/dns-query?name=www.example.test")
    assert reply.headers["Content-Type"] == "application/dns-json"
    answer = reply.json()
    assert answer["Status"] == 0 and answer["TC"] is False
    assert answer["Question"] == [{"name": "www.example.test.", "type": 1}]
    assert {r["data"] for r in answer["Answer"]} == {"192.0.2.80",
                                                    "192.0.2.81"}
    assert all(r["TTL"] == 300 for r in answer["Answer"])
    text = server.http("/dns-query?name=example%2Etest&type=TXT").json()
    assert text["Answer"][0]["data"] == '"v=spf1 mx -all"'
    missing = server.http("/dns-query?name=no.example.test&type=28").json()
    assert missing["Status"] == 3 and "Answer" not in missing
    assert missing["Authority"][0]["type"] == 6
    assert server.http("/dns-query?name=a..b").status == 400
    assert server.http("/dns-query?name=a.test&type=NOTYPE").status == 400


def test_head(serve):
    reply = get(serve(), wire(), method="HEAD")
    assert reply.status == 200 and reply.body == b""


def test_forwards_and_keeps(serve):
    upstream = Upstream(4)
    try:
        server = serve(f"dns_forward {upstream.address};")
        for ask in (get, post, get):
            message = dns.message.from_wire(
                ask(server, wire("x.else.test")).body)
            assert message.answer[0][0].to_text() == "192.0.0.4"
            assert message.flags & dns.flags.RA
        assert len(upstream.asked) == 1
        assert server.http("/numbers").text == "3\n"
    finally:
        upstream.stop()


def test_hooks(serve):
    server = serve("""dns_query_by_lua_block {
        local q = ...
        ngx.sleep(0.01)
        q:answer("TXT", 5, tostring(q.transport)) }""")
    for ask in (get, post):
        reply = ask(server, wire("x.test", "TXT"))
        message = dns.message.from_wire(reply.body)
        assert message.answer[0][0].to_text() == '"3"'
        assert reply.headers["Cache-Control"] == "max-age=5"


def test_padding(serve):
    import dns.edns
    packet = wire(use_edns=0, options=[dns.edns.GenericOption(12, b"\0" * 20)])
    assert len(get(serve(), packet).body) == 468


def test_kdig(serve):
    server = serve()
    done = subprocess.run(
        ["kdig", "@127.0.0.1", "-p", str(server.port("TLS")), "+https",
         "www.example.test", "A"], capture_output=True, text=True, timeout=30)
    assert "192.0.2.80" in done.stdout, done.stdout + done.stderr


def test_a_client_that_leaves_while_lua_works(serve):
    import socket
    server = serve("""dns_query_by_lua_block {
        ngx.sleep(0.2) local q = ... q:nxdomain() }""")
    text = base64.urlsafe_b64encode(wire()).decode().rstrip("=")
    for _ in range(20):
        with socket.create_connection(
                ("127.0.0.1", server.port("HTTP"))) as s:
            s.sendall(f"GET /dns-query?dns={text} HTTP/1.1\r\nHost: x\r\n\r\n"
                      .encode())
    assert dns.message.from_wire(get(server, wire()).body).rcode() == 3
