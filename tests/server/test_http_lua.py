"""Lua's phases and API in http."""

import concurrent.futures
import os
import socket
import subprocess

import pytest

from lua_conf import http_lua
from resolua_server import HOST, have


def locations(text, http=""):
    return "http { %s server { listen 127.0.0.1:@HTTP@; %s } }" % (http, text)


# Phases.


def test_the_order_of_phases(start):
    names = ["server_rewrite", "rewrite", "access", "precontent"]
    blocks = {name: "%s_by_lua_block { ngx.ctx.seen = (ngx.ctx.seen or '') .. "
              "ngx.get_phase() .. ' ' }" % name for name in names}
    server = start("http { server { listen 127.0.0.1:@HTTP@; %s location / { "
                   "%s content_by_lua_block { ngx.say(ngx.ctx.seen, "
                   "ngx.get_phase()) } } } }"
                   % (blocks["server_rewrite"],
                      " ".join(blocks[n] for n in names[1:])))
    assert server.http("/").text == (
        "server_rewrite rewrite access precontent content\n")


@pytest.mark.parametrize("phase", ["rewrite", "access", "precontent",
                                   "content"])
def test_a_phase_may_sleep(start, phase):
    server = start(locations("location / { %s_by_lua_block { ngx.sleep(0.02) "
                             "ngx.say('awake') } }" % phase))
    assert server.http("/").text == "awake\n"


@pytest.mark.parametrize("phase", ["server_rewrite", "rewrite", "access",
                                   "content"])
@pytest.mark.parametrize("status", [200, 204, 403, 404, 503])
def test_exit(start, phase, status):
    block = "%s_by_lua_block { ngx.exit(%d) }" % (phase, status)
    text = (block + " location / { return 201; }" if phase == "server_rewrite"
            else "location / { %s }" % block)
    server = start(locations(text))
    assert server.http("/").status == status


@pytest.mark.parametrize("code", ["OK", "DECLINED"])
def test_exit_ok_goes_on(start, code):
    server = start(locations("""location / {
        rewrite_by_lua_block { ngx.exit(ngx.%s) }
        access_by_lua_block { ngx.exit(ngx.%s) }
        content_by_lua_block { ngx.say("content") }
    }""" % (code, code)))
    assert server.http("/").text == "content\n"


def test_an_error_is_500(start):
    server = start(locations(
        "location / { content_by_lua_block { error('oops') } }"))
    server.allow_log("oops")
    assert server.http("/").status == 500
    server.wait_for_log("oops")


def test_log_phase(start):
    server = start(locations("""location / {
        content_by_lua_block { ngx.status = 202 ngx.say("x") }
        log_by_lua_block { ngx.log(ngx.WARN, "LOGGED ", ngx.status) }
    }"""))
    server.http("/")
    server.wait_for_log("LOGGED 202")


def test_phases_inherit_and_override(start):
    server = start("""http {
        access_by_lua_block { ngx.header.X = "http" }
        server { listen 127.0.0.1:@HTTP@;
            location /a { content_by_lua_block { ngx.say(1) } }
            location /b {
                access_by_lua_block { ngx.header.X = "b" }
                content_by_lua_block { ngx.say(1) }
            }
        } }""")
    assert server.http("/a").headers["X"] == "http"
    assert server.http("/b").headers["X"] == "b"


def test_files_with_variables(start):
    server = start(locations(
        "location ~ ^/run/(\\w+)$ { content_by_lua_file $1.lua; }"),
        run=False)
    server.file("one.lua", "ngx.say('one')")
    server.file("two.lua", "ngx.say('two')")
    server.start()
    server.allow_log("failed to load|cannot open")
    assert server.http("/run/one").text == "one\n"
    assert server.http("/run/two").text == "two\n"
    assert server.http("/run/three").status == 404


# Filters.


def test_header_filter(start):
    server = start(locations("""location / {
        header_filter_by_lua_block {
            ngx.header["X-Seen"] = ngx.status
            ngx.header.server = nil
            ngx.header.content_length = nil
        }
        content_by_lua_block { ngx.status = 201 ngx.say("x") }
    } location /static {
        header_filter_by_lua_block { ngx.header["X-Static"] = "yes" }
        return 200 text;
    }"""))
    reply = server.http("/")
    assert reply.status == 201 and reply.headers["X-Seen"] == "201"
    assert reply.headers["Server"] is None
    assert server.http("/static").headers["X-Static"] == "yes"


def test_header_filter_can_end_in_an_error(start):
    server = start(locations("""location / {
        header_filter_by_lua_block { if not ngx.ctx.once then
            ngx.ctx.once = true return ngx.exit(404) end }
        content_by_lua_block { ngx.say("x") }
    }"""))
    assert server.http("/").status == 404


def test_body_filter_rewrites(start):
    server = start(locations("""location / {
        header_filter_by_lua_block { ngx.header.content_length = nil }
        body_filter_by_lua_block {
            ngx.arg[1] = ngx.arg[1]:upper()
            if ngx.arg[2] then ngx.arg[1] = ngx.arg[1] .. "END" end
        }
        content_by_lua_block { ngx.print("a") ngx.print("bc") ngx.say("d") }
    } location /static {
        header_filter_by_lua_block { ngx.header.content_length = nil }
        body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() }
        return 200 text;
    }"""))
    assert server.http("/").text == "ABCD\nEND"
    assert server.http("/static").text == "TEXT"


def test_body_filter_of_a_file(start):
    server = start(locations("""location / {
        root @FOLDER@/www;
        header_filter_by_lua_block { ngx.header.content_length = nil }
        body_filter_by_lua_block {
            ngx.ctx.size = (ngx.ctx.size or 0) + #ngx.arg[1]
            ngx.arg[1] = ngx.arg[2] and tostring(ngx.ctx.size) or nil
        }
    }"""), run=False)
    server.file("www/big.txt", "x" * 300000)
    server.start()
    assert server.http("/big.txt").text == "300000"


def test_body_filter_can_end_early_and_drop(start):
    server = start(locations("""location /end {
        header_filter_by_lua_block { ngx.header.content_length = nil }
        body_filter_by_lua_block { ngx.arg[2] = true }
        content_by_lua_block { ngx.say("first") ngx.say("second") }
    } location /drop {
        body_filter_by_lua_block {
            if ngx.arg[1]:find("secret") then ngx.arg[1] = nil end
        }
        content_by_lua_block { ngx.say("a") ngx.say("secret") ngx.say("b") }
    }"""))
    assert server.http("/end").text == "first\n"
    assert server.http("/drop").text == "a\nb\n"


# Requests.


def test_request_parts(start):
    server = start(http_lua("""
        local args = ngx.req.get_uri_args()
        ngx.say(ngx.req.get_method(), ngx.req.http_version(), args.a, " ",
            table.concat(args.b, ","), " ", tostring(args.c), " ",
            ngx.req.get_headers()["X-Thing"], ngx.req.get_headers().x_thing,
            " ", ngx.var.uri, ngx.var.arg_a, ngx.req.is_internal())
    """))
    reply = server.http("/t?a=1&b=2&b=%33&c", headers={"X-Thing": "y"})
    assert reply.text == "GET1.11 2,3 true yy /t1false\n"


def test_bodies(start):
    server = start(http_lua("""
        ngx.req.read_body()
        local data = ngx.req.get_body_data()
        local file = ngx.req.get_body_file()
        ngx.say(data and #data or "none", " ", file and "file" or "memory")
        local post = ngx.req.get_post_args()
        if post and post.x then ngx.say(post.x) end
    """, "client_body_buffer_size 1k;"))
    assert server.http("/t", "POST", b"x=1&y=2").text == "7 memory\n1\n"
    assert server.http("/t", "POST", b"z" * 5000).text == "none file\n"
    assert server.http("/t").text == "none memory\n"


def test_a_body_in_pieces(start):
    server = start(http_lua("ngx.req.read_body() "
                            "ngx.say(ngx.req.get_body_data())"))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(b"POST /t HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n"
                  b"Connection: close\r\n\r\nab")
        s.sendall(b"cd")
        s.sendall(b"ef")
        got = b"".join(iter(lambda: s.recv(4096), b""))
    assert b"abcdef\n" in got


@pytest.mark.parametrize("code, expected", [
    ("ngx.req.set_body_data('new')", "3 new"),
    ("ngx.req.init_body() ngx.req.append_body('ab') "
     "ngx.req.append_body('cd') ngx.req.finish_body()", "4 abcd"),
    ("ngx.req.init_body(2) ngx.req.append_body('abcde') "
     "ngx.req.finish_body()", "5 abcde"),
    ("ngx.req.set_method(ngx.HTTP_PUT) ngx.req.set_header('X-A', {'1', '2'}) "
     "ngx.req.clear_header('User-Agent')", "4 body"),
])
def test_the_request_goes_on_changed(start, code, expected):
    server = start("""http {
        server { listen 127.0.0.1:@HTTP@; location / {
            access_by_lua_block { ngx.req.read_body() %s }
            proxy_pass http://127.0.0.1:@BACK@; } }
        server { listen 127.0.0.1:@BACK@; location / {
            content_by_lua_block {
                ngx.req.read_body()
                ngx.say(ngx.var.content_length, " ", ngx.req.get_body_data())
            } } }
    }""" % code)
    assert server.http("/", "POST", b"body").text == expected + "\n"


# Responses.


def test_headers_of_the_response(start):
    server = start(http_lua("""
        ngx.header.x_many = {"a", "b"}
        ngx.header["X-Gone"] = "x"
        ngx.header["X-Gone"] = nil
        ngx.header.content_type = "text/x; charset=utf-8"
        ngx.header["Cache-Control"] = "no-store"
        ngx.header["X-Line"] = "a\\r\\nInjected: yes"
        ngx.say(ngx.header.content_type, ngx.header["X-Many"][2],
            ngx.resp.get_headers()["cache-control"], ngx.header["X-Gone"])
    """))
    reply = server.http("/t")
    assert reply.headers.get_all("X-Many") == ["a", "b"]
    assert reply.headers["Injected"] is None
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.text == "text/x; charset=utf-8bno-storenil\n"


@pytest.mark.parametrize("code, status, location", [
    ("ngx.redirect('/x')", 302, "/x"),
    ("ngx.redirect('http://a.test/', 301)", 301, "http://a.test/"),
    ("ngx.redirect('/y', ngx.HTTP_SEE_OTHER)", 303, "/y"),
])
def test_redirect(start, code, status, location):
    server = start(http_lua(code))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(b"GET /t HTTP/1.0\r\n\r\n")
        got = b"".join(iter(lambda: s.recv(4096), b"")).decode()
    assert f" {status} " in got.splitlines()[0]
    assert f"Location: {location}" in got


def test_exec(start):
    server = start(locations("""
        location /a { content_by_lua_block { ngx.exec("/b", {x = 1}) } }
        location /n { access_by_lua_block { ngx.exec("@named") } }
        location /b { content_by_lua_block { ngx.say("b", ngx.var.args) } }
        location @named { content_by_lua_block { ngx.say("named") } }
    """))
    assert server.http("/a").text == "bx=1\n"
    assert server.http("/n").text == "named\n"


def test_large_output_and_flush(start):
    server = start(http_lua("""
        for i = 1, 2000 do
            ngx.print(("x"):rep(1000))
            if i % 100 == 0 then ngx.flush(true) end
        end
    """))
    assert len(server.http("/t").body) == 2_000_000


# What a script does while nginx holds the response back, and the length of the
# body that comes in the end.
SLOW = {
    "one_flush": ("ngx.print(('a'):rep(2000)) ngx.say(ngx.flush(true))", 2002),
    "many_flushes": (
        "for i = 1, 4 do ngx.print(('a'):rep(500)) "
        "assert(ngx.flush(true)) end", 2000),
    "flush_without_waiting": (
        "for i = 1, 4 do ngx.print(('a'):rep(500)) assert(ngx.flush()) end",
        2000),
    "eof": ("ngx.print(('a'):rep(2000)) ngx.eof() ngx.sleep(0.01)", 2000),
    "sleep": (
        "ngx.print(('a'):rep(1500)) ngx.flush() ngx.sleep(0.01) "
        "ngx.print(('a'):rep(500)) ngx.flush(true) ngx.print('b')", 2001),
    "capture": (
        "ngx.print(('a'):rep(1500)) ngx.flush() for _ = 1, 3 do "
        "ngx.print(ngx.location.capture('/sub').body) end "
        "ngx.flush(true) ngx.print('b')", 1510),
    "capture_at_the_end": (
        "ngx.print(('a'):rep(1000)) ngx.flush(true) "
        "ngx.print(ngx.location.capture('/sub').body) ngx.flush(true) "
        "ngx.print(('a'):rep(1000))", 2003),
    "two_threads": (
        "local t = ngx.thread.spawn(function() for _ = 1, 3 do "
        "ngx.sleep(0.001) ngx.print('c') end end) "
        "ngx.print(('a'):rep(2000)) ngx.flush(true) ngx.thread.wait(t)", 2003),
}


@pytest.mark.parametrize("more", ["", "limit_rate_after 500;"])
def test_limit_rate(start, more):
    server = start(locations("limit_rate 1000; %s\n"
                             "location = /sub { content_by_lua_block { "
                             "ngx.sleep(0.001) ngx.print('sub') } }\n%s" % (
        more, "\n".join("location = /%s { content_by_lua_block { %s } }"
                        % (name, code) for name, (code, _) in SLOW.items()))))
    with concurrent.futures.ThreadPoolExecutor(len(SLOW)) as pool:
        replies = {name: pool.submit(server.http, "/" + name, timeout=60)
                   for name in SLOW}
    got = {name: len(reply.result().body) for name, reply in replies.items()}
    assert got == {name: size for name, (_, size) in SLOW.items()}


@pytest.mark.skipif(not have("curl"), reason="no curl")
def test_limit_rate_over_http2(start):
    server = start(http_lua("ngx.print(('a'):rep(2000)) ngx.say(ngx.flush(true"
                            ")) for _ = 1, 2 do ngx.print(('a'):rep(500)) "
                            "ngx.flush(true) end", "limit_rate 1000;",
                            "listen 127.0.0.1:@H2@ http2;"))
    done = subprocess.run(
        ["curl", "-s", "--http2-prior-knowledge", "--max-time", "60",
         "http://%s:%d/t" % (HOST, server.port("H2"))], capture_output=True,
        timeout=90, env={"PATH": os.environ["PATH"]})
    assert done.stdout == b"a" * 2000 + b"1\n" + b"a" * 1000


def test_http_10_gathers_for_a_length(start):
    server = start(http_lua("ngx.print('ab') ngx.print('cd')"))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(b"GET /t HTTP/1.0\r\n\r\n")
        got = b"".join(iter(lambda: s.recv(4096), b""))
    assert b"Content-Length: 4\r\n" in got and got.endswith(b"abcd")


def test_an_upstream_that_access_picks(start):
    server = start("""http {
        upstream one { server 127.0.0.1:@ONE@; }
        upstream two { server 127.0.0.1:@TWO@; }
        server { listen 127.0.0.1:@ONE@; return 200 one; }
        server { listen 127.0.0.1:@TWO@; return 200 two; }
        server { listen 127.0.0.1:@HTTP@; location / {
            set $group one;
            access_by_lua_block {
                if ngx.var.arg_g then ngx.var.group = ngx.var.arg_g end }
            proxy_pass http://$group; } }
    }""")
    assert server.http("/").text == "one"
    assert server.http("/?g=two").text == "two"


def test_memory_stays(start):
    server = start(http_lua("""
        ngx.req.read_body()
        ngx.header.x = {"a", "b"}
        ngx.ctx.t = {}
        ngx.sleep(0)
        ngx.say(("y"):rep(3000))
    """))

    def many():
        for _ in range(500):
            server.http("/t", "POST", b"q" * 2000)

    many()
    before = server.workers_memory()
    many()
    assert server.workers_memory() < before + 2_000_000


def test_flushes_of_light_threads(start):
    """Each of them is woken when the client has taken what there was."""
    server = start(http_lua("""
        local threads = {}
        for i = 1, 5 do
            threads[i] = ngx.thread.spawn(function()
                ngx.print((tostring(i)):rep(3000000))
                ngx.log(ngx.WARN, "FLUSHES ", i)
                return ngx.flush(true)
            end)
        end
        for i = 1, 5 do
            ngx.log(ngx.WARN, "FLUSHED ", i, " ", select(2, ngx.thread.wait(threads[i])))
        end
    """))
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(10)
        s.connect((HOST, server.port("HTTP")))
        s.sendall(b"GET /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        server.wait_for_log("FLUSHES 5")
        body = s.makefile("rb").read()
    assert all(body.count(b"%d" % i) >= 3000000 for i in range(1, 6))
    server.wait_for_log("FLUSHED 5 1")
