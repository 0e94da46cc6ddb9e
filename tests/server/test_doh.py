"""DNS over HTTPS (RFC 8484) and its JSON form."""

import base64
import json
import os
import socket
import subprocess
import time

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from resolua_server import HOST, have
from service_conf import SAMPLE, resolua
from upstream import Upstream

CONF = """
dns_store lmdb path=@FOLDER@/data;
%(main)s
http {
    server {
        listen 127.0.0.1:@HTTP@ %(listen)s;
        %(server)s
        location /dns-query { dns_over_https on; %(location)s }
        location /other { return 200 "other"; }
    }
}
"""
TYPE = "application/dns-message"


def start_doh(start, server="", location="", listen="", main=""):
    one = start(CONF % {"server": server, "location": location,
                        "listen": listen, "main": main}, run=False)
    resolua(one, "zone", "load", SAMPLE)
    return one.start()


def encode(wire):
    return base64.urlsafe_b64encode(wire).rstrip(b"=").decode()


def get(server, name, qtype="A", **options):
    query = dns.message.make_query(name, qtype, id=0, **options)
    return server.http("/dns-query?dns=" + encode(query.to_wire()))


def post(server, body, **headers):
    headers = {"Content-Type": TYPE, **headers}
    return server.http("/dns-query", "POST", body, headers)


def header(reply, name):
    return reply.headers[name]


def test_get_and_post_give_the_zones_answer(start):
    server = start_doh(start)
    query = dns.message.make_query("www.example.test", "A", id=0)
    replies = [get(server, "www.example.test"), post(server, query.to_wire())]
    for reply in replies:
        answer = dns.message.from_wire(reply.body)
        assert reply.status == 200
        assert header(reply, "Content-Type") == TYPE
        assert answer.flags & dns.flags.AA
        assert {r.to_text() for r in answer.answer[0]} == {"192.0.2.80",
                                                           "192.0.2.81"}
        assert answer.answer[0].ttl == 300
        assert header(reply, "Cache-Control") == "max-age=300"
        assert int(header(reply, "Content-Length")) == len(reply.body)


def test_a_name_that_is_not_there_may_be_kept_as_long_as_the_soa_says(start):
    server = start_doh(start)
    reply = get(server, "nothing.example.test")
    answer = dns.message.from_wire(reply.body)
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert answer.authority[0].ttl > 0
    assert header(reply, "Cache-Control") == (
        "max-age=%d" % answer.authority[0].ttl)


def test_a_refusal_is_not_kept(start):
    reply = get(start_doh(start), "elsewhere.test")
    assert dns.message.from_wire(reply.body).rcode() == dns.rcode.REFUSED
    assert header(reply, "Cache-Control") == "max-age=0"


@pytest.mark.parametrize("path", ["", "?dns=", "?dns=AAAA", "?dns=!!!!", "?dns=***",
                                  "?dns=" + "A" * 10, "?name=", "?name=a..b",
                                  "?name=x.test&type=NOTATYPE"])
def test_what_is_no_query_is_400(start, path):
    assert start_doh(start).http("/dns-query" + path).status == 400


def test_an_empty_body_is_400(start):
    assert post(start_doh(start), b"").status == 400


def test_a_response_is_400(start):
    query = dns.message.make_query("www.example.test", "A")
    response = dns.message.make_response(query).to_wire()
    assert post(start_doh(start), response).status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(start, method):
    reply = start_doh(start).http("/dns-query", method)
    assert reply.status == 405
    assert header(reply, "Allow") == "GET, HEAD, POST"


@pytest.mark.parametrize("content_type", [
    "text/plain", "application/dns-messages", "application/json"])
def test_other_types_are_415(start, content_type):
    server = start_doh(start)
    query = dns.message.make_query("www.example.test", "A").to_wire()
    reply = post(server, query, **{"Content-Type": content_type})
    assert reply.status == 415


@pytest.mark.parametrize("content_type", [
    "Application/DNS-Message", "application/dns-message; x=y"])
def test_the_type_in_other_letters_or_with_parameters(start, content_type):
    server = start_doh(start)
    query = dns.message.make_query("www.example.test", "A").to_wire()
    reply = post(server, query, **{"Content-Type": content_type})
    assert reply.status == 200


def test_too_long_a_body_is_413(start):
    server = start_doh(start)
    assert post(server, b"x" * 65536).status == 413
    assert post(server, b"x" * 70000).status == 413


def test_a_long_chunked_body_is_413(start):
    server = start_doh(start)
    with socket.create_connection((HOST, server.port("HTTP"))) as c:
        c.settimeout(10)
        c.sendall(b"POST /dns-query HTTP/1.1\r\nHost: x\r\nContent-Type: "
                  b"application/dns-message\r\nTransfer-Encoding: chunked\r\n"
                  b"Connection: close\r\n\r\n10001\r\n" + b"x" * 65537 +
                  b"\r\n0\r\n\r\n")
        assert b" 413 " in c.recv(4096).split(b"\r\n")[0]


def post_chunks(server, chunks, path="/dns-query"):
    """The status of a chunked POST, and the answer's addresses."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks)
    with socket.create_connection((HOST, server.port("HTTP")), 10) as c:
        c.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: "
                  b"application/dns-message\r\nTransfer-Encoding: chunked\r\n"
                  b"Connection: close\r\n\r\n" % path.encode())
        c.sendall(body + b"0\r\n\r\n")
        reply = b"".join(iter(lambda: c.recv(65536), b""))
    head, _, body = reply.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    found = dns.message.from_wire(body).answer if status == 200 else [[]]
    return status, sorted(r.to_text() for r in found[0])


WWW = ["192.0.2.80", "192.0.2.81"]


# RFC 9112 7.1: the length of a chunked body is known at its end.
@pytest.mark.parametrize("location", [
    "", "client_body_buffer_size 16;", "client_body_in_file_only clean;",
    "client_body_in_single_buffer on;",
    "dns_query_by_lua_block { ngx.sleep(0.001) }"])
def test_a_chunked_body(start, location):
    server = start_doh(start, location=location)
    query = dns.message.make_query("www.example.test", "A").to_wire()
    for size in 1, 11, len(query):
        chunks = [query[i:i + size] for i in range(0, len(query), size)]
        assert post_chunks(server, chunks) == (200, WWW)
    assert post_chunks(server, []) == (400, [])
    assert post_chunks(server, [b"x" * 30000] * 3)[0] == 413


def test_a_subrequest_with_the_clients_chunked_body(start):
    server = start_doh(start, """location /t { content_by_lua_block {
        ngx.req.read_body()
        local r = ngx.location.capture("/dns-query",
            {method = ngx.HTTP_POST, always_forward_body = true})
        ngx.status, ngx.header.content_length = r.status, #r.body
        ngx.print(r.body) } }""")
    query = dns.message.make_query("www.example.test", "A").to_wire()
    assert post_chunks(server, [query[:9], query[9:]], "/t") == (200, WWW)


@pytest.mark.skipif(not have("curl"), reason="no curl")
@pytest.mark.parametrize("location", ["", "client_body_buffer_size 16;"])
def test_an_http2_body_without_a_length(start, tmp_path, location):
    server = start_doh(start, location=location, listen="http2")
    query = dns.message.make_query("www.example.test", "A").to_wire()
    done = subprocess.run(
        ["curl", "-s", "--http2-prior-knowledge", "-X", "POST", "-T", "-",
         "-H", "Content-Type: " + TYPE, "-o", tmp_path / "answer", "-w",
         "%{http_version} %{http_code}",
         "http://%s:%d/dns-query" % (HOST, server.port("HTTP"))],
        input=query, capture_output=True, timeout=20,
        env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"})
    assert done.stdout == b"2 200"
    answer = dns.message.from_wire((tmp_path / "answer").read_bytes())
    assert sorted(r.to_text() for r in answer.answer[0]) == WWW


# Generic clients escape what RFC 4648 has, some every octet.
def test_an_escaped_query(start):
    server = start_doh(start)
    query = dns.message.make_query("www.example.test", "A", id=0).to_wire()
    text = base64.urlsafe_b64encode(query).decode()
    assert text.endswith("=")
    for escaped in (text, text.replace("=", "%3D"), text.replace("=", "%3d"),
                    "".join("%%%02X" % ord(c) for c in text)):
        reply = server.http("/dns-query?dns=" + escaped)
        assert reply.status == 200
        got = dns.message.from_wire(reply.body)
        assert len(got.answer[0]) == 2
    for bad in "%3D", "AAAA%00", "%", "%2B" + text:
        assert server.http("/dns-query?dns=" + bad).status == 400


def test_a_body_that_nginx_keeps_in_a_file(start):
    server = start_doh(start, location="client_body_in_file_only clean;")
    query = dns.message.make_query("www.example.test", "A").to_wire()
    answer = dns.message.from_wire(post(server, query).body)
    assert len(answer.answer[0]) == 2


def test_formerr_is_an_answer(start):
    reply = post(start_doh(start), bytes(12))
    assert reply.status == 200
    assert dns.message.from_wire(reply.body).rcode() == dns.rcode.FORMERR


def test_who_pads_gets_padding(start):
    server = start_doh(start)
    padding = dns.edns.GenericOption(12, bytes(10))
    padded = get(server, "www.example.test", use_edns=0, options=[padding])
    plain = get(server, "www.example.test", use_edns=0)
    assert len(padded.body) == 468
    assert len(plain.body) < 468


def test_head_gives_the_header(start):
    server = start_doh(start)
    query = dns.message.make_query("www.example.test", "A", id=0).to_wire()
    reply = server.http("/dns-query?dns=" + encode(query), "HEAD")
    assert reply.status == 200
    assert header(reply, "Content-Type") == TYPE
    assert reply.body == b""


def test_large_answers_are_whole(start):
    server = start_doh(start)
    records = ["TXT"] + ["%d%s" % (i, "x" * 200) for i in range(100)]
    resolua(server, "record", "set", "example.test", "large", records[0],
            "300", *records[1:])
    reply = get(server, "large.example.test", "TXT")
    answer = dns.message.from_wire(reply.body)
    assert not answer.flags & dns.flags.TC
    assert len(answer.answer[0]) == 100


# JSON.


def test_json(start):
    server = start_doh(start)
    reply = server.http("/dns-query?name=www.example.test&type=A",
                        headers={"Accept": "application/dns-json"})
    assert header(reply, "Content-Type") == "application/dns-json"
    found = json.loads(reply.body)
    assert found["Status"] == 0
    assert found["RD"] is True and found["TC"] is False
    assert found["Question"] == [{"name": "www.example.test.", "type": 1}]
    assert {a["data"] for a in found["Answer"]} == {"192.0.2.80",
                                                    "192.0.2.81"}
    assert {(a["type"], a["TTL"]) for a in found["Answer"]} == {(1, 300)}
    assert header(reply, "Cache-Control") == (
        "max-age=%d" % found["Answer"][0]["TTL"])


def test_json_escapes(start):
    server = start_doh(start)
    found = server.http("/dns-query?name=example%2Etest&type=TXT").json()
    assert found["Answer"][0]["data"] == '"v=spf1 mx -all"'
    resolua(server, "record", "set", "example.test", "quoted", "TXT", "60",
            r'"a \"quoted\" \\ \200 text"')
    found = server.http("/dns-query?name=quoted.example%2etest&type=16").json()
    assert found["Answer"][0]["data"] == r'"a \"quoted\" \\ \200 text"'


def test_json_of_nothing(start):
    server = start_doh(start)
    for kind in "", "&type=28":
        found = server.http("/dns-query?name=no.example.test" + kind).json()
        assert found["Status"] == 3
        assert "Answer" not in found
        assert found["Authority"][0]["type"] == 6


# Lua and upstreams.


def test_forwards(start):
    upstream = Upstream()
    server = start_doh(start, "dns_forward %s;" % upstream.address)
    reply = get(server, "far.test")
    answer = dns.message.from_wire(reply.body)
    upstream.stop()
    assert answer.flags & dns.flags.RA
    assert answer.answer[0][0].to_text() == "192.0.0.1"
    assert header(reply, "Cache-Control") == "max-age=60"
    assert server.http("/other").text == "other"


def test_forwarded_answers_are_kept_and_counted(start):
    upstream = Upstream(4)
    server = start_doh(start, """
        location = /numbers { content_by_lua_block {
            ngx.say(require("dns.statistics").get().https) } }
        dns_forward %s;""" % upstream.address, main="dns_cache 2m;")
    query = dns.message.make_query("x.else.test", "A", id=0)
    for ask in (lambda: get(server, "x.else.test"),
                lambda: post(server, query.to_wire())) * 2:
        answer = dns.message.from_wire(ask().body)
        assert answer.answer[0][0].to_text() == "192.0.0.4"
        assert answer.flags & dns.flags.RA
    upstream.stop()
    assert len(upstream.asked) == 1
    assert server.http("/numbers").text == "4\n"


def test_the_client_goes_while_an_upstream_is_asked(start):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        server = start_doh(start, "dns_forward %s:%d;" % silent.getsockname())
        query = dns.message.make_query("far.test", "A", id=0).to_wire()
        for _ in range(50):
            with socket.create_connection((HOST, server.port("HTTP"))) as c:
                c.sendall(b"GET /dns-query?dns=" + encode(query).encode() +
                          b" HTTP/1.1\r\nHost: x\r\n\r\n")
                silent.settimeout(5)
                silent.recv(512)
        time.sleep(0.2)
        assert get(server, "www.example.test").status == 200


def test_hooks_see_the_query(start):
    server = start_doh(start, location="""dns_query_by_lua_block {
        local q = ...
        if q.name == "hook.test" then
            q:answer("TXT", 60, tostring(q.transport))
        elseif q.name == "slow.test" then
            ngx.sleep(0.05)
            q:answer("TXT", 60, q.client)
        elseif q.name == "drop.test" then
            q:drop()
        end }""")

    def text(name):
        answer = dns.message.from_wire(get(server, name, "TXT").body)
        return answer.answer[0][0].to_text()
    assert text("hook.test") == '"3"'
    assert text("slow.test") == '"127.0.0.1"'
    assert get(server, "drop.test", "TXT").status == 400
    reply = post(server, dns.message.make_query("slow.test", "TXT", id=0)
                 .to_wire())
    answer = dns.message.from_wire(reply.body)
    assert answer.answer[0][0].to_text() == '"127.0.0.1"'
    assert header(reply, "Cache-Control") == "max-age=60"


def test_the_client_goes_while_a_hook_works(start):
    server = start_doh(start, location="""dns_query_by_lua_block {
        ngx.sleep(0.2) local q = ... q:nxdomain() }""")
    query = dns.message.make_query("www.example.test", "A", id=0).to_wire()
    for _ in range(20):
        with socket.create_connection((HOST, server.port("HTTP"))) as c:
            c.sendall(b"GET /dns-query?dns=" + encode(query).encode() +
                      b" HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = dns.message.from_wire(get(server, "www.example.test").body)
    assert answer.rcode() == dns.rcode.NXDOMAIN


@pytest.mark.skipif(not have("curl"), reason="no curl")
def test_a_client_on_a_unix_socket(start):
    server = start_doh(
        start, "listen unix:@FOLDER@/http.sock;",
        "dns_query_by_lua_block { local q = ... ngx.sleep(0.01) "
        "q:answer('TXT', 60, q.client) }")
    query = dns.message.make_query("x.test", "TXT", id=0).to_wire()
    done = subprocess.run(
        ["curl", "-s", "--unix-socket", server.folder / "http.sock",
         "http://x/dns-query?dns=" + encode(query)], capture_output=True,
        timeout=20)
    answer = dns.message.from_wire(done.stdout)
    assert answer.answer[0][0].to_text() == '"0.0.0.0"'


# Real clients.


def certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "2", "-subj", "/CN=dns.test", "-keyout", folder / "key.pem", "-out",
         folder / "cert.pem"], check=True, capture_output=True)
    return ("ssl_certificate %s/cert.pem; ssl_certificate_key %s/key.pem;"
            % (folder, folder))


@pytest.mark.skipif(not have("curl"), reason="no curl")
def test_http2(start, tmp_path):
    server = start_doh(start, certificate(tmp_path), listen="ssl http2")
    query = dns.message.make_query("www.example.test", "A", id=0).to_wire()
    (tmp_path / "query").write_bytes(query)
    url = "https://%s:%d/dns-query" % (HOST, server.port("HTTP"))
    for more in (["--data-binary", "@%s/query" % tmp_path, "-H",
                  "Content-Type: " + TYPE, url],
                 [url + "?dns=" + encode(query)]):
        done = subprocess.run(
            ["curl", "-sk", "--http2", "-o", tmp_path / "answer", "-w",
             "%{http_version} %{http_code}", *more],
            capture_output=True, text=True, timeout=20)
        assert done.stdout == "2 200"
        answer = dns.message.from_wire((tmp_path / "answer").read_bytes())
        assert len(answer.answer[0]) == 2


@pytest.mark.skipif(not have("kdig"), reason="no kdig")
@pytest.mark.parametrize("way", [["+https"], ["+https", "+padding"],
                                 ["+https-get", "+padding"]])
def test_kdig(start, tmp_path, way):
    server = start_doh(start, certificate(tmp_path), listen="ssl http2")
    done = subprocess.run(
        ["kdig", "@" + HOST, "-p", str(server.port("HTTP")), *way,
         "www.example.test", "A", "+noall", "+answer"],
        capture_output=True, text=True, timeout=20)
    assert done.stdout.count("192.0.2.8") == 2, done.stdout + done.stderr


def test_memory_stays(start):
    server = start_doh(start)
    query = dns.message.make_query("www.example.test", "A", id=0).to_wire()

    def many(count):
        with socket.create_connection((HOST, server.port("HTTP"))) as c:
            c.settimeout(10)
            line = (b"GET /dns-query?dns=" + encode(query).encode() +
                    b" HTTP/1.1\r\nHost: x\r\n\r\n")
            for _ in range(count):
                c.sendall(line)
                assert c.recv(4096).startswith(b"HTTP/1.1 200")
    many(900)
    before = server.workers_memory()
    for _ in range(10):
        many(900)
    assert server.workers_memory() - before < 1024 * 1024
