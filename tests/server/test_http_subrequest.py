"""ngx.location.capture and capture_multi."""

import shutil
import socket
import subprocess

import pytest

from lua_conf import http_lua
from resolua_server import HOST
from subrequests import SHOW, ask


# What is asked.


@pytest.mark.parametrize("target, body", [
    ('location /s { return 201 text; }', "text"),
    ('location /s { content_by_lua_block { ngx.status = 201 '
     'ngx.print("lua ", tostring(ngx.is_subrequest)) } }', "lua true"),
    ('location /s { content_by_lua_block { ngx.sleep(0.01) ngx.status = 201 '
     'ngx.print("late") ngx.flush(true) ngx.sleep(0.01) ngx.print("r") } }',
     "later"),
    ('location /s { rewrite ^ /other; } location /other { return 201 other; }',
     "other"),
    ('location /s { rewrite_by_lua_block { ngx.sleep(0.001) '
     'ngx.status = 201 ngx.print("early") } }', "early"),
    ('location /s { content_by_lua_block { ngx.exec("/other", "a=1") } } '
     'location /other { return 201 "exec $arg_a"; }', "exec 1"),
    ('location /s { content_by_lua_block { ngx.exec("@other") } } '
     'location @other { return 201 named; }', "named"),
])
def test_what_a_location_gives(start, target, body):
    _, text = ask(start, "show(ngx.location.capture('/s'))", target)
    assert text == "201 %s false\n" % body


def test_a_request_knows_that_it_is_none(start):
    _, text = ask(start, "ngx.say(tostring(ngx.is_subrequest))")
    assert text == "false\n"


@pytest.mark.parametrize("phase", ["server_rewrite", "rewrite", "access",
                                   "precontent", "content"])
def test_phases_that_may_ask(start, phase):
    block = ("%s_by_lua_block { if ngx.is_subrequest then return end "
             "ngx.print(ngx.location.capture('/s').body) }" % phase)
    inside = "" if phase == "server_rewrite" else block
    server = start("http { server { listen 127.0.0.1:@HTTP@; %s "
                   "location /t { %s } location /s { "
                   "content_by_lua_block { ngx.print('sub') } } } }"
                   % (block if phase == "server_rewrite" else "", inside))
    assert server.http("/t").text == "sub"


def test_where_it_is_disabled(start):
    server, text = ask(start, "ngx.say('x')", location="""
        header_filter_by_lua_block {
            local ok, err = pcall(ngx.location.capture, "/t")
            ngx.header.x = err
        }""")
    assert ("API disabled in the context of header_filter_by_lua*"
            in server.http("/t").headers["x"])


def test_static_files(start):
    server = start(http_lua(SHOW + """
        for _, name in ipairs{"small", "empty", "large", "absent"} do
            local res = ngx.location.capture("/files/" .. name)
            ngx.say(res.status, " ", #res.body, " ", tostring(res.truncated),
                    " ", res.header["Content-Length"], " ",
                    res.header["Last-Modified"] ~= nil)
        end
    """, server="location /files/ { alias @FOLDER@/files/; sendfile on; }"),
        run=False)
    server.file("files/small", "text")
    server.file("files/empty", "")
    server.file("files/large", "x" * 3_000_000)
    server.allow_log("absent")
    server.start()
    lines = server.http("/t").text.splitlines()
    assert lines[:3] == ["200 4 false 4 true", "200 0 false 0 true",
                         "200 3000000 false 3000000 true"]
    assert lines[3].startswith("404 0 true nil ")


@pytest.mark.parametrize("target, status", [
    ("return 404;", 404), ("return 403; error_page 403 /page;", 403),
    ("return 302 /page;", 302), ("content_by_lua_block { error('oops') }", 500),
    ("proxy_pass http://127.0.0.1:1;", 502)])
def test_error_pages_are_for_clients(start, target, status):
    server, text = ask(start, "show(ngx.location.capture('/s'))",
                       "location /s { %s } location /page { return 200 page; }"
                       % target)
    server.allow_log("oops|connect")
    assert text == "%d  true\n" % status


@pytest.mark.parametrize("code, status", [
    ("ngx.exit(403)", 403), ("ngx.exit(204)", 204), ("ngx.exit(201)", 201),
    ("ngx.exit(ngx.ERROR)", 500), ("error('oops')", 500),
    ("ngx.status = 503 ngx.exit(ngx.OK)", 503),
    ("ngx.redirect('/elsewhere')", 302), ("return", 200)])
def test_statuses_of_lua(start, code, status):
    server, text = ask(
        start, "ngx.say(ngx.location.capture('/s').status)",
        "location /s { content_by_lua_block { %s } }" % code)
    server.allow_log("oops")
    assert text == "%d\n" % status


def test_444_is_for_the_client(start):
    server = start(http_lua(
        "ngx.location.capture('/s') ngx.log(ngx.WARN, 'NOT REACHED')",
        server="location /s { content_by_lua_block { ngx.exit(444) } }"))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(100) == b""
    assert "NOT REACHED" not in server.log()


def test_what_came_before_an_error(start):
    server, text = ask(start, "show(ngx.location.capture('/s'))",
                       "location /s { content_by_lua_block { "
                       "ngx.print('abc') error('oops') } }")
    server.allow_log("oops")
    assert text == "200 abc true\n"


def test_headers_of_the_response(start):
    _, text = ask(start, """
        local h = ngx.location.capture("/s").header
        ngx.say(h["Content-Type"], "|", h["X-One"], "|",
                table.concat(h["Set-Cookie"], ","), "|", tostring(h.Gone))
    """, """location /s { content_by_lua_block {
        ngx.header["X-One"] = "1"
        ngx.header["Set-Cookie"] = {"a=1", "b=2"}
        ngx.header.Gone = "x"
        ngx.header.Gone = nil
        ngx.header.content_type = "text/x; charset=utf-8"
        ngx.print("x")
    } }""")
    assert text == "text/x; charset=utf-8|1|a=1,b=2|nil\n"


def test_filters_run_on_subrequests(start):
    _, text = ask(start, """
        local res = ngx.location.capture("/s")
        ngx.say(res.status, res.header["X-Filter"], res.body)
    """, """location /s {
        return 200 abc;
        header_filter_by_lua_block { ngx.header["X-Filter"] = " f "
            ngx.header.content_length = nil ngx.status = 202 }
        body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() }
    }""")
    assert text == "202 f ABC\n"


# Options.


ECHO = """location /echo { content_by_lua_block {
    ngx.req.read_body()
    ngx.print(ngx.req.get_method(), " ", ngx.var.args or "-", " ",
              ngx.req.get_body_data() or "-", " ",
              ngx.var.http_content_length or "-")
} }
location /proxied { proxy_pass http://127.0.0.1:@HTTP@/echo; }
"""


@pytest.mark.parametrize("via", ["/echo", "/proxied"])
@pytest.mark.parametrize("options, expected", [
    ("", "GET - - -"),
    ("{method = ngx.HTTP_POST}", "POST - hello 5"),
    ("{method = ngx.HTTP_PUT}", "PUT - hello 5"),
    ("{method = ngx.HTTP_DELETE}", "DELETE - - -"),
    ("{always_forward_body = true}", "GET - hello 5"),
    ("{method = ngx.HTTP_POST, body = 'other one'}", "POST - other one 9"),
    ("{method = ngx.HTTP_POST, body = ''}", "POST - - 0"),
    ("{body = 42}", "GET - 42 2"),
    ("{args = 'a=1&b=2'}", "GET a=1&b=2 - -"),
    ("{args = {a = 'x y'}}", "GET a=x%20y - -"),
    ("{method = ngx.HTTP_OPTIONS}", "OPTIONS - - -"),
])
def test_methods_bodies_and_arguments(start, via, options, expected):
    server = start(http_lua(
        "ngx.req.read_body() ngx.print(ngx.location.capture('%s', %s).body)"
        % (via, options or "nil"), server=ECHO))
    assert server.http("/t", "POST", b"hello").text == expected


def test_head_has_a_header_only(start):
    _, text = ask(start, """
        local res = ngx.location.capture("/s", {method = ngx.HTTP_HEAD})
        ngx.say(res.status, res.header["Content-Length"], "[", res.body, "]",
                tostring(res.truncated))
    """, "location /s { return 200 text; }")
    assert text == "2004[]false\n"


def test_arguments_are_joined(start):
    _, text = ask(start, """
        ngx.print(ngx.location.capture("/s?x=1", {args = {y = 2}}).body)
        ngx.print(ngx.location.capture("/s?x=1", {args = ""}).body)
        ngx.print(ngx.location.capture("/s%20t?x=%20").body)
    """, "location /s { return 200 '$uri $args|'; }")
    assert text == "/s x=1&y=2|/s x=1|/s t x=%20|"


def test_a_body_in_a_file_is_forwarded(start):
    server = start(http_lua("""
        ngx.req.read_body()
        assert(ngx.req.get_body_file())
        ngx.print(#ngx.location.capture("/p", {method = ngx.HTTP_POST}).body)
    """, server="""client_body_buffer_size 1k;
        location /p { proxy_pass http://127.0.0.1:@HTTP@/back; }
        location /back { client_body_buffer_size 1m; content_by_lua_block {
            ngx.req.read_body() ngx.print(ngx.req.get_body_data()) } }"""))
    assert server.http("/t", "POST", b"z" * 50000).text == "50000"


def test_a_chunked_body_is_forwarded(start):
    server = start(http_lua("""
        ngx.req.read_body()
        ngx.print(ngx.location.capture("/proxied", {method = 8}).body)
        ngx.print("|", ngx.location.capture("/proxied").body)
        ngx.print("|", ngx.location.capture("/echo", {method = 8}).body)
    """, server=ECHO))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(b"POST /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n"
                  b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        got = b"".join(iter(lambda: s.recv(4096), b""))
    assert b"POST - abcde 5" in got and b"|GET - - -" in got
    assert b"|POST - abcde 5" in got.replace(b"\r\n", b"")


def test_a_subrequest_may_have_a_body_made_for_it(start):
    _, text = ask(start, "show(ngx.location.capture('/s'))",
                  "location /s { access_by_lua_block { } "
                  "rewrite_by_lua_block { ngx.req.set_body_data('made') } "
                  "content_by_lua_block { ngx.print(ngx.req.get_body_data()) "
                  "} }")
    assert text == "200 made false\n"


def test_headers_are_inherited_and_changes_stay_inside(start):
    server = start(http_lua("""
        ngx.print(ngx.location.capture("/s").body)
        ngx.print(ngx.location.capture("/s").body)
        ngx.say(ngx.req.get_headers()["X-New"], ngx.req.get_headers()["X-A"])
    """, server="""location /s { content_by_lua_block {
        ngx.print(ngx.req.get_headers()["X-A"], " ")
        ngx.req.set_header("X-New", "1")
        ngx.req.set_header("X-A", "2")
    } }"""))
    assert (server.http("/t", headers={"X-A": "a"}).text == "a a nila\n")


@pytest.mark.parametrize("options, inside, after", [
    ("nil", "", "main"),
    ("{copy_all_vars = true}", "main", "main"),
    ("{share_all_vars = true}", "main", "sub"),
    ("{copy_all_vars = true, share_all_vars = true}", "main", "sub"),
    ("{vars = {dog = 'given'}}", "given", "main"),
    ("{vars = {dog = 'given'}, copy_all_vars = true}", "given", "main"),
    ("{vars = {dog = 'given'}, share_all_vars = true}", "given", "sub"),
])
def test_variables(start, options, inside, after):
    server, text = ask(start, """
        ngx.var.dog = "main"
        ngx.print("[", ngx.location.capture("/s", %s).body, "]", ngx.var.dog)
    """ % options, """location /s { content_by_lua_block {
        ngx.print(ngx.var.dog) ngx.var.dog = "sub" } }""",
        location="set $dog none;")
    server.allow_log("using uninitialized")
    assert text == "[%s]%s" % (inside, after)


def test_ctx(start):
    _, text = ask(start, """
        ngx.ctx.a = "mine"
        ngx.print(ngx.location.capture("/s").body, ngx.ctx.a, "|")
        ngx.print(ngx.location.capture("/s", {ctx = ngx.ctx}).body, ngx.ctx.a,
                  "|")
        local other = {a = "other"}
        ngx.print(ngx.location.capture("/s", {ctx = other}).body, other.a)
    """, """location /s { content_by_lua_block {
        ngx.print(tostring(ngx.ctx.a), " ") ngx.ctx.a = "sub" } }""")
    assert text == "nil mine|mine sub|other sub"


@pytest.mark.parametrize("call, error", [
    ("capture()", "expecting one or two arguments"),
    ("capture('/../x')", "unsafe uri"),
    ("capture('/s', 3)", "expecting table as the 2nd argument for subrequest 0"),
    ("capture('/s', {method = 'GET'})", "Bad http request method"),
    ("capture('/s', {method = 12345})", "unsupported HTTP method"),
    ("capture('/s', {body = {}})", "Bad http request body"),
    ("capture('/s', {ctx = 1})", "Bad ctx option"),
    ("capture('/s', {vars = 1})", "Bad vars option"),
    ("capture('/s', {vars = {nope = 1}})", "not found for writing"),
    ("capture_multi()", "only one argument is expected, but got 0"),
    ("capture_multi(1)", "table expected"),
    ("capture_multi({})", "at least one subrequest"),
    ("capture_multi({'/s'})", "the query argument 0 is not a table"),
    ("capture_multi({{}})", "query argument 0 expecting one or two arguments"),
    ("capture('/s', {vars = {nope = true}})", "bad variable value type"),
])
def test_misuse(start, call, error):
    _, text = ask(start, "local ok, err = pcall(function() return "
                  "ngx.location.%s end) ngx.say(tostring(ok), err)" % call,
                  "location /s { return 200 x; }")
    assert text.startswith("false") and error in text


# Many.


def test_several_at_once(start):
    server, text = ask(start, """
        local list = {}
        for i = 1, 30 do list[i] = {"/s", {args = {n = i}}} end
        local from = ngx.now()
        local all = {ngx.location.capture_multi(list)}
        ngx.update_time()
        local parts = {}
        for i, res in ipairs(all) do parts[i] = res.body end
        ngx.say(#all, " ", table.concat(parts, ","))
        ngx.say(ngx.now() - from < 1)
    """, """location /s { content_by_lua_block {
        ngx.sleep(0.1 + 0.001 * (30 - ngx.var.arg_n))
        ngx.print(ngx.var.arg_n) } }""")
    assert text == "30 %s\ntrue\n" % ",".join(map(str, range(1, 31)))


def test_one_after_the_other_many_times(start):
    _, text = ask(start, """
        local n = 0
        for i = 1, 5000 do
            n = n + #ngx.location.capture("/s").body
        end
        ngx.say(n)
    """, "location /s { content_by_lua_block { ngx.print('ab') } }")
    assert text == "10000\n"


def test_nested(start):
    _, text = ask(start, "ngx.print(ngx.location.capture('/s?n=5').body)",
                  """location /s { content_by_lua_block {
        local n = tonumber(ngx.var.arg_n)
        ngx.sleep(0.001)
        if n > 0 then
            local a, b = ngx.location.capture_multi{
                {"/s", {args = {n = n - 1}}}, {"/leaf"}}
            ngx.print(n, b.body, a.body)
        end
    } } location /leaf { return 200 -; }""")
    assert text == "5-4-3-2-1-"


def test_too_deep(start):
    server, text = ask(start, """
        local res = ngx.location.capture("/s")
        ngx.say(res.status, " ", res.body)
    """, """location /s { content_by_lua_block {
        local ok, res = pcall(ngx.location.capture, "/s")
        ngx.print(ok and res.body or res) } }""")
    server.allow_log("subrequests cycle")
    assert text == "200 failed to issue subrequest: -1\n"


def test_light_threads_ask(start):
    _, text = ask(start, """
        local threads = {}
        for i = 1, 20 do
            threads[i] = ngx.thread.spawn(function()
                local n = 0
                for j = 1, 5 do
                    n = n + ngx.location.capture("/s?n=" .. i).body
                end
                return n
            end)
        end
        for i = 1, 20 do
            local _, n = ngx.thread.wait(threads[i])
            ngx.print(n, " ")
        end
    """, "location /s { content_by_lua_block { "
         "ngx.sleep(0.001 * ngx.var.arg_n) ngx.print(ngx.var.arg_n) } }")
    assert text == "".join("%d " % (5 * i) for i in range(1, 21))


def test_what_waits_for_subrequests_is_not_given_up(start):
    server, text = ask(start, """
        local t = ngx.thread.spawn(function()
            ngx.say("got ", ngx.location.capture("/s").body)
        end)
        ngx.say(ngx.thread.kill(t))
        ngx.say(pcall(ngx.exit, 200))
        ngx.say(pcall(ngx.redirect, "/x"))
        ngx.say(pcall(ngx.exec, "/x"))
    """, "location /s { content_by_lua_block { "
         "ngx.sleep(0.05) ngx.print('all') } }")
    server.allow_log("attempt to abort")
    lines = text.splitlines()
    assert lines[0] == "nilpending subrequests"
    for line in lines[1:3]:
        assert "attempt to abort with pending subrequests" in line
    assert lines[4] == "got all"


def test_the_entry_fails_meanwhile(start):
    server = start(http_lua("""
        ngx.thread.spawn(function() ngx.location.capture("/s") end)
        error("oops")
    """, server="location /s { content_by_lua_block { ngx.sleep(0.05) "
                "ngx.log(ngx.WARN, 'sub has ended') } }"))
    server.allow_log("oops")
    assert server.http("/t").status == 500
    server.wait_for_log("sub has ended")
    assert server.http("/t").status == 500


# Clients.


def certificate(folder):
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)
    return "ssl_certificate %s; ssl_certificate_key %s;" % (cert, key)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_http2(start, tmp_path):
    server = start("http { server { listen 127.0.0.1:@HTTP@ ssl http2; %s "
                   "location /t { content_by_lua_block { ngx.req.read_body() "
                   "local a, b = ngx.location.capture_multi{ {'/s', {method = "
                   "ngx.HTTP_POST}}, {'/p'}} "
                   "ngx.print(ngx.var.server_protocol, a.body, #b.body) } } "
                   "location /s { content_by_lua_block { ngx.sleep(0.01) "
                   "ngx.print(ngx.req.get_body_data()) } } "
                   "location /p { proxy_pass https://127.0.0.1:@HTTP@/large; }"
                   "location /large { content_by_lua_block { "
                   "ngx.print(('x'):rep(300000)) } } } }"
                   % certificate(tmp_path))
    url = "https://%s:%d/t" % (HOST, server.port("HTTP"))
    run = subprocess.run(["curl", "-sk", "--http2", "-d", "body", url, url],
                         capture_output=True, text=True, check=True)
    assert run.stdout == "HTTP/2.0body300000" * 2


def test_a_client_that_leaves(start):
    server = start(http_lua("""
        local res = ngx.location.capture("/s")
        ngx.print(res.body)
        ngx.log(ngx.WARN, "parent goes on")
    """, server="location /s { content_by_lua_block { ngx.sleep(0.1) "
                "ngx.print(('x'):rep(100000)) } }"))
    for _ in range(20):
        s = socket.create_connection((HOST, server.port("HTTP")), 5)
        s.sendall(b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n")
        s.close()
    server.wait_for_log("parent goes on")
    assert len(server.http("/t").body) == 100000


def test_keepalive_and_http_10(start):
    server = start(http_lua(
        "ngx.print(ngx.location.capture('/s').body)",
        server="location /s { content_by_lua_block { ngx.sleep(0.001) "
               "ngx.print('ab') ngx.print('cd') } }"))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        request = b"GET /t HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        s.sendall(request * 3)
        got = b""
        while got.count(b"abcd") < 3:
            piece = s.recv(4096)
            assert piece
            got += piece
    assert got.count(b"Content-Length: 4\r\n") == 3


def test_output_before_and_after(start):
    _, text = ask(start, """
        ngx.say("before") ngx.flush(true)
        ngx.print(ngx.location.capture("/s").body)
        ngx.say("between")
        ngx.print(ngx.location.capture("/s").body)
        ngx.say("after")
    """, "location /s { return 200 'sub\n'; }")
    assert text == "before\nsub\nbetween\nsub\nafter\n"


def test_memory_stays(start):
    server = start(http_lua("""
        for i = 1, 20 do
            ngx.location.capture_multi{{"/s", {body = ("q"):rep(1000),
                method = ngx.HTTP_POST, ctx = {}}}, {"/p"}}
        end
    """, server="location /s { content_by_lua_block { ngx.ctx.x = 1 "
                "ngx.print(('y'):rep(20000)) } } location /p { proxy_pass "
                "http://127.0.0.1:@HTTP@/s; }"))

    def many():
        for _ in range(50):
            server.http("/t")

    many()
    before = server.workers_memory()
    many()
    assert server.workers_memory() < before + 3_000_000
