"""header_filter_by_lua* and body_filter_by_lua*: how they end a response."""

import socket

import pytest

from lua_conf import http_lua
from resolua_server import HOST


def serve(start, *directives):
    return start("http { default_type text/plain; server { "
                 "listen 127.0.0.1:@HTTP@; location @err { return 299 err; } "
                 "%s } }" % "".join(
                     "location /%d { %s }" % (i, d)
                     for i, d in enumerate(directives)))


def fetch(server, path):
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                  % path.encode())
        return b"".join(iter(lambda: s.recv(65536), b""))


CONTENTS = ["return 200 ok;", "root /none;",
            "content_by_lua_block { ngx.say('ok') ngx.flush(true) "
            "ngx.say('more') }",
            "content_by_lua_block { ngx.sleep(0.01) ngx.eof() }",
            "content_by_lua_block { ngx.exit(404) }"]


@pytest.mark.parametrize("content", CONTENTS)
def test_an_exit_is_an_error_page(start, content):
    server = serve(start, "header_filter_by_lua_block { ngx.exit(403) }"
                   + content)
    server.allow_log("No such file")
    assert server.http("/0").status == 403
    assert server.http("/0").status == 403  # the same worker, another request


def test_an_exit_with_an_error_page(start):
    server = serve(start, "error_page 403 = @err; "
                   "header_filter_by_lua_block { ngx.exit(403) } "
                   "content_by_lua_block { ngx.say('ok') }")
    reply = server.http("/0")
    assert (reply.status, reply.text) == (299, "err")


def test_an_exit_in_a_subrequest(start):
    server = serve(start, "content_by_lua_block { "
                   "local res = ngx.location.capture('/1') "
                   "ngx.print(res.status) }",
                   "header_filter_by_lua_block { ngx.exit(500) } return 200;")
    assert server.http("/0").text == "500"


def test_an_exit_that_is_none(start):
    server = serve(start, "header_filter_by_lua_block { ngx.exit(ngx.OK) } "
                   "return 200 ok;",
                   "header_filter_by_lua_block { ngx.exit(ngx.ERROR) } "
                   "return 200 ok;")
    assert server.http("/0").text == "ok"
    assert fetch(server, "/1") == b""


@pytest.mark.parametrize("phase", ["header_filter", "body_filter", "log",
                                   "set"])
@pytest.mark.parametrize("call", ["ngx.say('x')", "ngx.sleep(0)",
                                  "ngx.location.capture('/')",
                                  "ngx.req.read_body()", "ngx.exec('/')",
                                  "ngx.redirect('/')", "ngx.flush()",
                                  "ngx.socket.tcp()", "ngx.req.socket()"])
def test_what_is_disabled(start, phase, call):
    block = ("%s_by_lua_block %s { local ok, err = pcall(function() %s end) "
             "ngx.log(ngx.WARN, 'E ', tostring(ok), err) }"
             % (phase, "$x" if phase == "set" else "", call))
    server = serve(start, block + " return 200 ok;")
    assert server.http("/0").text == "ok"
    server.wait_for_log(r"E false.*API disabled in the context of %s_by_lua\*"
                        % phase)


FREE = "header_filter_by_lua_block { ngx.header.content_length = nil } "


@pytest.mark.parametrize("code, expected", [
    ("ngx.arg[1] = {'a', {'b', 1}}", "ab1"),
    ("ngx.arg[1] = 42", "42"),
    ("ngx.arg[1] = nil", ""),
    ("ngx.arg[1] = ''", ""),
    ("ngx.arg[1] = ngx.arg[1] .. tostring(ngx.arg[2])", "oktrue"),
    ("return ngx.OK", "ok"),
])
def test_what_a_body_filter_gives(start, code, expected):
    server = serve(start, FREE + "body_filter_by_lua_block { %s } "
                   "return 200 ok;" % code)
    assert server.http("/0").text == expected


@pytest.mark.parametrize("code", ["return ngx.ERROR", "error('oops')",
                                  "ngx.arg[1] = function() end"])
def test_a_body_filter_that_fails(start, code):
    server = serve(start, FREE + "body_filter_by_lua_block { %s } "
                   "return 200 ok;" % code, "return 200 other;")
    server.allow_log("oops|ngx.arg")
    assert fetch(server, "/0") == b""
    assert server.http("/1").text == "other"


def test_the_connection_header(start):
    server = start(http_lua("ngx.header.connection = 'close' ngx.print(1)"))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b"".join(iter(lambda: s.recv(4096), b""))
    assert got.lower().count(b"\r\nconnection: close\r\n") == 1
    assert got.lower().count(b"\r\nconnection:") == 1


@pytest.mark.parametrize("code, header", [
    ("ngx.header.x = ''", []),
    ("ngx.header.x = 'a' ngx.header.x = ''", []),
    ("ngx.header.x = {'', 'b', ''}", ["x: b"]),
    ("ngx.header['x y'] = 'a'", ["x%20y: a"]),
    ("ngx.header['x\\195\\169'] = 'a'", ["x%C3%A9: a"]),
    ("ngx.header[''] = 'a'", []),
    ("ngx.header.x_y = 'a'", ["x-y: a"]),
    ("ngx.header.x = 'a\\r\\nb'", ["x: a%0D%0Ab"]),
    ("ngx.header.x = {1, 2} ngx.header.x = nil", []),
])
def test_odd_headers(start, code, header):
    server = start(http_lua(code + " ngx.print('x')"))
    head = fetch(server, "/t").split(b"\r\n\r\n")[0].decode()
    own = [line for line in head.split("\r\n")[1:]
           if line.split(":")[0] not in ("Server", "Date", "Content-Type",
                                         "Transfer-Encoding", "Connection")]
    assert own == header


def test_flush_of_nothing(start):
    server = start(http_lua("ngx.print(select(2, ngx.flush(true)))"))
    assert server.http("/t").text == "nothing to flush"
