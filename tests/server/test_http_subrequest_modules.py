"""ngx.location.capture beside nginx's other modules."""

import os
import subprocess

import pytest

from lua_conf import Peer
from resolua_server import MODULES
from subrequests import SHOW, ask


# Upstreams.


def one_reply(*pieces):
    def serve(connection):
        connection.recv(65536)
        for piece in pieces:
            connection.sendall(piece)
    return serve


@pytest.mark.parametrize("reply, expected", [
    ((b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",),
     "200 abc false\n"),
    ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",), "200 abcde false\n"),
    ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",),
     "200 abc true\n"),
    ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",),
     "200 abc true\n"),
    ((b"HTTP/1.0 200 OK\r\n\r\nto the end",), "200 to the end false\n"),
])
@pytest.mark.parametrize("buffering", ["on", "off"])
def test_proxied(start, reply, expected, buffering):
    peer = Peer(one_reply(*reply))
    server, text = ask(
        start, "show(ngx.location.capture('/p'))",
        "proxy_http_version 1.1; proxy_buffering %s; "
        "location /p { proxy_pass http://127.0.0.1:%d; }"
        % (buffering, peer.port))
    server.allow_log("prematurely closed")
    peer.close()
    assert text == expected


def test_a_dead_upstream(start):
    server, text = ask(
        start, "ngx.print(ngx.location.capture('/p').status)",
        "location /p { proxy_pass http://127.0.0.1:1; }")
    server.allow_log("connect\\(\\) failed")
    assert text == "502"


def test_an_upstream_that_stalls(start):
    def stall(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
        connection.recv(1)
    peer = Peer(stall)
    server, text = ask(
        start, "show(ngx.location.capture('/p'))",
        "proxy_read_timeout 100ms; location /p { proxy_pass "
        "http://127.0.0.1:%d; }" % peer.port)
    server.allow_log("timed out")
    peer.close()
    assert text == "200 ab true\n"


@pytest.mark.parametrize("options", ["", "proxy_max_temp_file_size 0;",
                                     "proxy_buffering off;"])
def test_large_proxied_bodies_in_parallel(start, options):
    _, text = ask(start, """
        local list = {}
        for i = 1, 24 do list[i] = {"/p"} end
        local n, all = 0, {ngx.location.capture_multi(list)}
        for i = 1, #all do
            assert(not all[i].truncated)
            n = n + #all[i].body
        end
        ngx.print(n)
    """, """location /p { %s proxy_pass http://127.0.0.1:@HTTP@/large; }
        location /large { content_by_lua_block {
            for i = 1, 100 do ngx.print(("x"):rep(5000)) end } }""" % options)
    assert text == str(24 * 500000)


def test_a_cached_upstream(start):
    server, text = ask(start, """
        for i = 1, 3 do
            local res = ngx.location.capture("/p")
            ngx.print(#res.body, res.body:sub(1, 1), " ",
                      tostring(res.truncated), " ")
        end
    """, """location /p { proxy_pass http://127.0.0.1:@HTTP@/large;
            proxy_cache keep; proxy_cache_valid 1m; }
        location /large { content_by_lua_block {
            local d = ngx.shared.d
            ngx.print((tostring(d:incr("n", 1, 0)):rep(300000))) } }""",
        http="proxy_cache_path @FOLDER@/cache keys_zone=keep:1m; "
             "lua_shared_dict d 1m;")
    assert text == "3000001 false " * 3


def test_upgrades_are_refused(start):
    peer = Peer(one_reply(b"HTTP/1.1 101 Switching Protocols\r\n"
                          b"Connection: upgrade\r\nUpgrade: x\r\n\r\n"))
    server, text = ask(
        start, "ngx.print(ngx.location.capture('/p').status)",
        "location /p { proxy_http_version 1.1; proxy_set_header Upgrade x; "
        "proxy_set_header Connection upgrade; "
        "proxy_pass http://127.0.0.1:%d; }" % peer.port)
    peer.close()
    assert text in ("101", "500")
    assert server.http("/t").status == 200


# With nginx's own subrequests.


OTHERS = """
    location = /capturing { content_by_lua_block {
        ngx.print("<", ngx.location.capture("/slow").body, ">") } }
    location = /slow { content_by_lua_block { ngx.sleep(0.01)
        ngx.print("slow") } }
    location = /allowed { content_by_lua_block {
        local body = ngx.location.capture("/slow").body
        ngx.exit(body == "slow" and 200 or 403) } }
"""


@pytest.mark.parametrize("directives, expected", [
    ("""ssi on; ssi_types text/plain; content_by_lua_block {
        ngx.print('<!--#include virtual="/capturing" -->|',
                  '<!--#include virtual="/slow" -->|',
                  ngx.location.capture("/slow").body) }""",
     "<slow>|slow|slow"),
    ("addition_types text/plain; add_before_body /capturing; "
     "add_after_body /slow; return 200 |mid|;", "<slow>|mid|slow"),
    ("auth_request /allowed; content_by_lua_block { "
     "ngx.print(ngx.location.capture('/slow').body) }", "slow"),
    ("mirror /capturing; content_by_lua_block { "
     "ngx.print(ngx.location.capture('/slow').body) }", "slow"),
])
def test_beside_others(start, directives, expected):
    server = start("http { default_type text/plain; server { "
                   "listen 127.0.0.1:@HTTP@; location /t { %s } %s } }"
                   % (directives, OTHERS))
    if "addition" in directives and "with-http_addition" not in (
            subprocess.run(["nginx", "-V"], capture_output=True,
                           text=True).stderr):
        pytest.skip("no addition module")
    for _ in range(3):
        assert server.http("/t").text == expected


# Modules that answer by subrequests of their own.


def module(name):
    path = os.path.join(MODULES, name)
    if not os.path.exists(path):
        pytest.skip("no " + name)
    return "load_module %s;" % path


@pytest.mark.parametrize("target, body", [
    ("echo a; echo_location /one; echo b;", "a\none\nb\n"),
    ("echo a; echo_location /slow; echo_location /one; echo b;",
     "a\nslow\none\nb\n"),
    ("echo a; echo_location_async /slow; echo b;", "a\nb\nslow\n"),
    ("echo_subrequest POST /body -b xyz;", "POST xyz\n"),
    ("echo_location /capturing; echo b;", "captured one\nb\n"),
    ("echo_sleep 0.01; echo late;", "late\n"),
])
def test_subrequests_within(start, target, body):
    server = start("http { server { listen 127.0.0.1:@HTTP@; "
                   "location /t { content_by_lua_block { %s "
                   "for _ = 1, 3 do show(ngx.location.capture('/s')) end } } "
                   "location /s { %s } location /one { echo one; } "
                   "location /slow { echo_sleep 0.01; echo slow; } "
                   "location /capturing { content_by_lua_block { "
                   "ngx.print('captured ', ngx.location.capture('/one').body) "
                   "} } location /body { content_by_lua_block { "
                   "ngx.req.read_body() ngx.say(ngx.req.get_method(), ' ', "
                   "ngx.req.get_body_data()) } } } }" % (SHOW, target),
                   main=module("ngx_http_echo_module.so"))
    assert server.http("/t").text == ("200 %s false\n" % body) * 3
