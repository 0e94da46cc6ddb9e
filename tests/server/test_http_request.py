"""Requests and responses in their odd forms: bodies above the buffer, HTTP/1.0
and HTTP/2, ngx.req.* and what goes on to an upstream."""

import os
import shutil
import socket
import subprocess
import time

import pytest

from lua_conf import http_lua
from resolua_server import HOST, wait_for


def exchange(server, data, seconds=5):
    with socket.create_connection((HOST, server.port("HTTP")), seconds) as s:
        s.sendall(data)
        return b"".join(iter(lambda: s.recv(65536), b""))


def get(path=b"/t", version=b"1.1", method=b"GET", more=b""):
    return (b"%s %s HTTP/%s\r\nHost: x\r\nConnection: close\r\n%s\r\n"
            % (method, path, version, more))


# Bodies.


SHOW = """
    ngx.req.read_body()
    local file = ngx.req.get_body_file()
    local data = ngx.req.get_body_data()
    if file then
        assert(data == nil)
        data = assert(io.open(file)):read("*a")
    end
    ngx.print(file and "file " or "memory ", #(data or ""), " ",
              ngx.md5(data or ""))
"""


def shown(kind, body):
    import hashlib
    return "%s %d %s" % (kind, len(body), hashlib.md5(body).hexdigest())


@pytest.mark.parametrize("size, kind", [(0, "memory"), (1, "memory"),
                                        (1000, "memory"), (1024, "memory"),
                                        (5000, "file"), (300_000, "file")])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_in_memory_and_files(start, size, kind, chunked):
    server = start(http_lua(SHOW, server="client_body_buffer_size 1k;"))
    body = os.urandom(size)
    if chunked:
        pieces = [body[i:i + 700] for i in range(0, size, 700)]
        data = get(method=b"POST", more=b"Transfer-Encoding: chunked\r\n")
        data += b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
        data += b"0\r\n\r\n"
    else:
        data = get(method=b"POST", more=b"Content-Length: %d\r\n" % size)
        data += body
    text = exchange(server, data)
    assert shown(kind, body).encode() in text


def test_a_body_in_a_file_only(start):
    server = start(http_lua(SHOW, location="client_body_in_file_only clean;"))
    assert server.http("/t", "POST", b"abc").text == shown("file", b"abc")


def test_a_body_that_comes_late(start):
    server = start(http_lua(SHOW))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(get(method=b"POST", more=b"Content-Length: 6\r\n"))
        for piece in b"ab", b"cd", b"ef":
            time.sleep(0.03)
            s.sendall(piece)
        got = b"".join(iter(lambda: s.recv(65536), b""))
    assert shown("memory", b"abcdef").encode() in got


def test_too_large_a_body(start):
    server = start(http_lua(SHOW, server="client_max_body_size 1k;"))
    server.allow_log("too large body")
    assert b" 413 " in exchange(server, get(
        method=b"POST", more=b"Content-Length: 2000\r\n") + b"x" * 2000)
    assert b" 413 " in exchange(server, get(
        method=b"POST", more=b"Transfer-Encoding: chunked\r\n")
        + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n")


def test_a_client_that_stops_amid_its_body(start):
    server = start(http_lua(SHOW + "ngx.log(ngx.WARN, 'NOT REACHED')",
                            server="client_body_timeout 100ms;"))
    got = exchange(server, get(method=b"POST", more=b"Content-Length: 9\r\n")
                   + b"abc")
    assert got == b"" or b" 408 " in got
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(get(method=b"POST", more=b"Content-Length: 9\r\n") + b"abc")
    time.sleep(0.05)
    assert "NOT REACHED" not in server.log()


def test_read_twice_and_partly(start):
    server = start(http_lua("""
        ngx.req.read_body()
        ngx.req.read_body()
        ngx.print(ngx.req.get_body_data(3), ngx.req.get_body_data(),
                  ngx.req.get_body_data(100))
    """))
    assert server.http("/t", "POST", b"abcdef").text == "abcabcdefabcdef"


@pytest.mark.parametrize("phase", ["rewrite", "access", "content"])
def test_need_request_body(start, phase):
    rest = "" if phase == "content" else (
        "content_by_lua_block { ngx.print('|', ngx.req.get_body_data()) }")
    server = start("http { server { listen 127.0.0.1:@HTTP@; "
                   "lua_need_request_body on; location /t { "
                   "%s_by_lua_block { ngx.ctx.b = ngx.req.get_body_data() %s } "
                   "header_filter_by_lua_block { ngx.header.b = ngx.ctx.b } "
                   "%s } } }" % (phase, "ngx.print('x')" if not rest else "",
                                 rest))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(get(method=b"POST", more=b"Content-Length: 4\r\n") + b"ab")
        time.sleep(0.05)
        s.sendall(b"cd")
        assert b"\r\nb: abcd\r\n" in b"".join(iter(lambda: s.recv(9999), b""))


def test_post_arguments(start):
    server = start(http_lua("""
        ngx.req.read_body()
        local a, err = ngx.req.get_post_args(%s)
        local names = {}
        for k, v in pairs(a) do
            names[#names + 1] = k .. "=" .. (type(v) == "table"
                and table.concat(v, "+") or tostring(v))
        end
        table.sort(names)
        ngx.print(table.concat(names, " "), " ", tostring(err))
    """ % "tonumber(ngx.var.arg_n)"))
    assert server.http("/t", "POST", b"a=1&b=x%20y+z&a=2&c").text == (
        "a=1+2 b=x y z c=true nil")
    assert server.http("/t?n=2", "POST", b"a=1&b=2&c=3").text == (
        "a=1 b=2 truncated")
    assert server.http("/t", "POST", b"").text == " nil"


def test_a_discarded_body(start):
    server = start(http_lua("""
        ngx.req.discard_body()
        ngx.print(tostring(ngx.req.get_body_data()))
    """))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        for _ in range(3):
            s.sendall(b"POST /t HTTP/1.1\r\nHost: x\r\nContent-Length: 9000"
                      b"\r\n\r\n" + b"x" * 9000)
            got = b""
            while b"0\r\n\r\n" not in got:
                piece = s.recv(4096)
                assert piece
                got += piece
            assert b"3\r\nnil\r\n" in got


UPSTREAM = """
    location /p { proxy_pass http://127.0.0.1:@HTTP@/show; %s }
    location /show { content_by_lua_block {
        ngx.req.read_body()
        ngx.print(ngx.req.get_method(), " ", ngx.var.request_uri, " ",
                  ngx.req.get_body_data() or "-", " ",
                  ngx.req.get_headers()["Content-Length"] or "-", " ",
                  ngx.req.get_headers()["X-A"] or "-")
    } }
"""


@pytest.mark.parametrize("code, expected", [
    ("ngx.req.read_body() ngx.req.set_body_data('changed')",
     "POST /show changed 7 -"),
    ("ngx.req.discard_body() ngx.req.set_body_data('new')",
     "POST /show new 3 -"),
    ("ngx.req.read_body() ngx.req.set_body_data('')", "POST /show - 0 -"),
    ("ngx.req.read_body() ngx.req.set_body_file('@FOLDER@/body')",
     "POST /show from a file 11 -"),
    ("ngx.req.read_body() ngx.req.init_body() ngx.req.append_body('a') "
     "ngx.req.append_body('bc') ngx.req.finish_body()", "POST /show abc 3 -"),
    ("ngx.req.read_body() ngx.req.init_body(4) for i = 1, 10 do "
     "ngx.req.append_body(i .. ',') end ngx.req.finish_body()",
     "POST /show 1,2,3,4,5,6,7,8,9,10, 21 -"),
    ("ngx.req.set_method(ngx.HTTP_PUT)", "PUT /show hello 5 -"),
    ("ngx.req.set_header('X-A', 'one')", "POST /show hello 5 one"),
    ("ngx.req.set_uri_args({a = 1})", "POST /show?a=1 hello 5 -"),
    ("", "POST /show hello 5 -"),
])
def test_what_goes_on(start, code, expected):
    server = start("http { server { listen 127.0.0.1:@HTTP@; %s } }"
                   % (UPSTREAM % ("access_by_lua_block { %s }" % code)),
                   run=False)
    server.file("body", "from a file")
    server.start()
    assert server.http("/p", "POST", b"hello").text == expected


def test_a_body_file_that_goes_with_the_request(start):
    server = start("http { server { listen 127.0.0.1:@HTTP@; %s } }" % (
        UPSTREAM % "access_by_lua_block { ngx.req.read_body() "
        "ngx.req.set_body_file('@FOLDER@/once', true) }"), run=False)
    path = server.folder / "once"
    server.start()
    path.write_text("text")
    os.chmod(path, 0o666)
    os.chmod(server.folder, 0o777)
    assert " text 4 " in server.http("/p", "POST", b"hello").text
    wait_for(lambda: not path.exists(), 5, "its end")


@pytest.mark.parametrize("call, error", [
    ("set_body_data('x')", "request body not read yet"),
    ("set_body_file('/none')", "request body not read yet"),
    ("append_body('x')", "not initialized"),
    ("finish_body()", "not initialized"),
])
def test_misuse_of_bodies(start, call, error):
    server = start(http_lua(
        "local ok, err = pcall(function() ngx.req.%s end) "
        "ngx.print(tostring(ok), err)" % call))
    text = server.http("/t", "POST", b"hello").text
    assert text.startswith("false") and error in text


def test_the_body_in_log(start):
    server = start(http_lua("ngx.req.read_body()", location="""
        log_by_lua_block { ngx.log(ngx.WARN, "BODY ",
                                   ngx.req.get_body_data()) }"""))
    server.http("/t", "POST", b"hello")
    server.wait_for_log("BODY hello")


# The header as it came.


@pytest.mark.parametrize("head", [
    b"GET /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /t HTTP/1.1\r\nhost:x\r\nX-Empty:\r\nX-Wide:   a  b   \r\n"
    b"Connection: close\r\n\r\n",
    b"GET /t HTTP/1.1\nHost: x\nA: 1\nConnection: close\n\n",
])
@pytest.mark.parametrize("change", ["", "ngx.req.set_header('Host', 'y') "
                                    "ngx.req.clear_header('X-Wide') "])
def test_the_raw_header(start, head, change):
    server = start(http_lua(change + "ngx.print(ngx.req.raw_header(), '|', "
                            "ngx.req.raw_header(true), '|')"))
    got = exchange(server, head)
    assert head + b"|" + head.split(b"\n", 1)[1] + b"|" in got


def test_a_raw_header_above_the_buffer(start):
    server = start(http_lua("ngx.print(ngx.req.raw_header())",
                            http="client_header_buffer_size 256;"))
    head = get(more=b"".join(b"X-%d: %s\r\n" % (i, b"v" * 100)
                             for i in range(50)))
    got = exchange(server, head)
    assert head in got.split(b"\r\n\r\n", 1)[1].replace(b"\r\n7", b"\r\n7") or (
        head[:200] in got and head[-200:] in got)


@pytest.mark.parametrize("host, expected", [
    ("Example.Test:8080", "example.test"), ("[::1]:80", "[::1]"),
    ("a.test.", "a.test")])
def test_another_host(start, host, expected):
    server = start(http_lua("ngx.req.set_header('Host', '%s') "
                            "ngx.print(ngx.var.host)" % host))
    assert server.http("/t").text == expected


def test_headers_with_limits(start):
    server = start(http_lua("""
        local n = 0
        local h, err = ngx.req.get_headers(tonumber(ngx.var.arg_n))
        for _ in pairs(h) do n = n + 1 end
        ngx.print(n, tostring(err))
    """))
    many = {"X-%d" % i: "v" for i in range(120)}
    assert server.http("/t", headers=many).text == "100truncated"
    assert server.http("/t?n=0", headers=many).text.endswith("nil")
    assert server.http("/t?n=5", headers=many).text == "5truncated"


def test_an_error_before_any_output_is_500(start):
    server = start(http_lua("ngx.say(function() end)"))
    server.allow_log("bad argument")
    assert server.http("/t").status == 500


# URIs.


def test_set_uri(start):
    server = start("""http { server { listen 127.0.0.1:@HTTP@;
        location /jump { rewrite_by_lua_block {
            ngx.req.set_uri_args("b=2") ngx.req.set_uri("/to x", true) } }
        location /stay { rewrite_by_lua_block { ngx.req.set_uri("/to") }
            content_by_lua_block { ngx.print("stay ", ngx.var.uri) } }
        location /proxied { access_by_lua_block { ngx.req.set_uri("/to x") }
            proxy_pass http://127.0.0.1:@HTTP@; }
        location /bad { content_by_lua_block {
            ngx.print(select(2, pcall(ngx.req.set_uri, "/a\\nb"))) } }
        location /loop { rewrite_by_lua_block {
            ngx.req.set_uri("/loop", true) } }
        location /to { content_by_lua_block {
            ngx.print("to ", ngx.var.uri, " ", ngx.var.args) } } } }""")
    server.allow_log("rewrite or internal redirection cycle")
    assert server.http("/jump?a=1").text == "to /to x b=2"
    assert server.http("/stay").text == "stay /to"
    assert server.http("/proxied").text == "to /to x nil"
    assert server.http("/bad").text.endswith(
        'unsafe byte "0x0a" in uri "/a\\x0Ab" '
        "(maybe you want to set the 'binary' argument?)")
    assert server.http("/loop").status == 500


# HTTP/1.0, HEAD, empty responses.


def test_http_10(start):
    server = start(http_lua("ngx.print('ab') ngx.print('cd')"))
    got = exchange(server, get(version=b"1.0"))
    assert b"\r\nContent-Length: 4\r\n" in got and got.endswith(b"\r\n\r\nabcd")
    got = exchange(server, b"GET /t HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                   + get(version=b"1.0"))
    assert got.count(b"abcd") == 2


def test_http_10_with_an_error_of_its_own(start):
    server = start(http_lua("ngx.status = 403 ngx.print('mine') "
                            "ngx.exit(403)"))
    got = exchange(server, get(version=b"1.0"))
    assert got.startswith(b"HTTP/1.1 403 ") and got.endswith(b"\r\n\r\nmine")


def test_http_10_without_gathering(start):
    server = start(http_lua("ngx.print('ab') ngx.flush(true) ngx.print('cd')",
                            location="lua_http10_buffering off;"))
    got = exchange(server, get(version=b"1.0"))
    assert b"Content-Length" not in got and b"chunked" not in got
    assert got.endswith(b"\r\n\r\nabcd")


def test_http_10_with_flush(start):
    server = start(http_lua("ngx.print('ab') ngx.print(select(2, ngx.flush()))"
                            ))
    assert exchange(server, get(version=b"1.0")).endswith(b"abbuffering")


def test_http_10_with_a_length(start):
    server = start(http_lua("ngx.header.content_length = 2 ngx.print('ab')"))
    got = exchange(server, get(version=b"1.0"))
    assert b"Content-Length: 2\r\n" in got and got.endswith(b"\r\n\r\nab")


def test_http_11_chunks(start):
    server = start(http_lua("ngx.print('ab') ngx.flush(true) ngx.print('cd')"))
    got = exchange(server, get())
    assert got.endswith(b"\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")


@pytest.mark.parametrize("code", ["ngx.print('abc')",
                                  "ngx.header.content_length = 3 "
                                  "ngx.print('abc') ngx.flush(true)"])
def test_head(start, code):
    server = start(http_lua(code))
    for version in b"1.0", b"1.1":
        got = exchange(server, get(method=b"HEAD", version=version))
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        assert got.endswith(b"\r\n\r\n") and got.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(start, status):
    server = start(http_lua("ngx.status = %d ngx.print('abcd')" % status))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        for _ in range(2):
            s.sendall(b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n")
            got = s.recv(4096)
            assert got.startswith(b"HTTP/1.1 %d" % status)
            assert got.endswith(b"\r\n\r\n") and b"abcd" not in got


def test_after_eof(start):
    server = start(http_lua("""
        if ngx.var.arg_go then go = true return end
        ngx.say("all")
        assert(ngx.eof())
        ngx.log(ngx.WARN, "THEN ", select(2, ngx.say("x")), " ",
                select(2, ngx.flush()), " ", select(2, ngx.eof()))
        while not go do ngx.sleep(0.01) end
        ngx.log(ngx.WARN, "LATER")
    """))
    assert server.http("/t").text == "all\n"
    server.wait_for_log("THEN seen eof seen eof seen eof")
    assert "LATER" not in server.log()
    server.http("/t?go=1")
    server.wait_for_log("LATER")


# HTTP/2.


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_http2(start):
    server = start("""http { client_body_buffer_size 1k;
        server { listen 127.0.0.1:@HTTP@ http2;
        location /show { content_by_lua_block { %s } }
        location /large { content_by_lua_block {
            for i = 1, 100 do ngx.print(("x"):rep(10000)) ngx.flush(true) end
        } }
        location /late { content_by_lua_block { ngx.sleep(0.02)
            ngx.status = 203 ngx.header["X-Late"] = "yes"
            ngx.print(ngx.req.http_version(), ngx.var.server_protocol,
                      select(2, pcall(ngx.req.raw_header))) } }
        location /exec { content_by_lua_block { ngx.exec("/late") } }
        location /filtered { return 200 abc; body_filter_by_lua_block {
            ngx.arg[1] = ngx.arg[1]:upper() } }
    } }""" % SHOW)

    def curl(path, *more):
        return subprocess.run(
            ["curl", "-s", "--http2-prior-knowledge", *more,
             "http://%s:%d%s" % (HOST, server.port("HTTP"), path)],
            capture_output=True, check=True, timeout=20).stdout

    for body in b"", b"abc", os.urandom(200_000):
        path = server.folder / "upload"
        path.write_bytes(body)
        kind = "file" if len(body) > 1024 else "memory"
        assert curl("/show", "--data-binary", "@%s" % path) == (
            shown(kind, body).encode())
    assert len(curl("/large")) == 1_000_000
    late = curl("/late", "-i")
    assert late.startswith(b"HTTP/2 203") and b"x-late: yes" in late
    assert b"2HTTP/2.0http2 requests not supported yet" in late
    assert b"2HTTP/2.0" in curl("/exec")
    assert curl("/filtered") == b"ABC"
    assert b"transfer-encoding" not in late.lower()


# How a script ends after its response.


@pytest.mark.parametrize("code, status, complains", [
    ("ngx.status = 404 ngx.say('{}') return ngx.exit(404)", 404, False),
    ("ngx.status = 404 ngx.print('{}') ngx.flush(true) ngx.exit(ngx.status)",
     404, False),
    ("ngx.status = 503 ngx.say('{}') ngx.eof() ngx.exit(503)", 503, False),
    ("ngx.status = 302 ngx.header.location = '/x' ngx.say('{}') "
     "ngx.exit(302)", 302, False),
    ("ngx.status = 404 ngx.say('{}') ngx.sleep(0.001) ngx.exit(404)", 404,
     False),
    ("ngx.status = 404 ngx.say('{}') ngx.exit(500)", 404, True),
    ("ngx.say('{}') ngx.exit(404)", 200, True),
])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_status_say_exit(start, code, status, complains, version):
    server = start(http_lua(code))
    got = exchange(server, get(version=version))
    assert got.startswith(b"HTTP/1.1 %d " % status) and b"{}" in got
    assert ("attempt to set status" in server.log()) == complains


# nginx keeps the value of a variable that the configuration names.
@pytest.mark.parametrize("header, variable, value, want", [
    ("Host", "host", "New.Test:8080", "new.test"),
    ("Host", "host", "[2001:DB8::1]:80", "[2001:db8::1]"),
    ("Host", "http_host", "new.test:8080", "new.test:8080"),
    ("X-Own-Name", "http_x_own_name", "new", "new"),
    ("User-Agent", "http_user_agent", "new", "new"),
    ("Cookie", "cookie_a", "a=1", "1"),
    ("Cookie", "http_cookie", "a=1", "a=1"),
    ("Content-Type", "content_type", "a/b", "a/b"),
    ("Referer", "http_referer", "new", "new"),
    ("X-Forwarded-For", "proxy_add_x_forwarded_for", "192.0.2.1",
     "192.0.2.1, 127.0.0.1"),
])
def test_a_variable_of_a_header_that_is_set(start, header, variable, value,
                                            want):
    server = start("""http { server { listen 127.0.0.1:@HTTP@; location /t {
        set $before $%s;
        rewrite_by_lua_block { ngx.req.set_header("%s", "%s") }
        add_header X-After $%s always;
        content_by_lua_block { ngx.print(ngx.var.%s) }
    } } }""" % (variable, header, value, variable, variable))
    reply = server.http("/t")
    assert reply.headers["X-After"] == want
    # ngx.var does not know the one that only proxy_set_header may name.
    assert reply.text == ("nil" if variable.startswith("proxy_") else want)


@pytest.mark.parametrize("host", ["a/b", "a..b", ".", "..", ":80", "a/../b"])
def test_what_is_no_host_is_refused(start, host):
    server = start(http_lua(
        "ngx.print(select(2, pcall(ngx.req.set_header, 'Host', '%s')))"
        % host))
    assert server.http("/t").text == "failed to set header"


# A header filter's chunk that ends in another response.


def test_a_body_filter_adds_nothing_to_an_empty_response(start):
    server = start(http_lua(
        "ngx.print('ok')", "header_filter_by_lua_block { ngx.exit(201) } "
        "body_filter_by_lua_block { ngx.arg[1] = 'F' .. ngx.arg[1] }"))
    reply = server.http("/t")
    assert (reply.status, reply.body) == (201, b"")
    assert reply.headers["Content-Length"] == "0"


def test_a_header_filter_ends_a_subrequest(start):
    server = start(http_lua("""
        for _, name in ipairs{"/created", "/moved", "/created"} do
            local r = ngx.location.capture(name)
            ngx.say(r.status, " ", #r.body > 0, " ", r.header.Location)
        end""", server="""
        location = /created { header_filter_by_lua_block { ngx.exit(201) }
            content_by_lua_block { ngx.say("ok") } }
        location = /moved { error_page 582 = /error;
            header_filter_by_lua_block { ngx.exit(582) }
            content_by_lua_block { ngx.say("ok") } }
        location = /error { return 200 "hi"; header_filter_by_lua_block {
            ngx.header.Location = "/x" ngx.exit(302) } }"""))
    for _ in range(2):
        assert server.http("/t").text == (
            "201 false nil\n302 true /x\n201 false nil\n")
