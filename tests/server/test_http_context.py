"""What a request carries through phases, redirects and locations: ngx.ctx,
variables, directives that locations inherit."""

import pytest

from lua_conf import http_lua


def locations(text, http=""):
    return "http { %s server { listen 127.0.0.1:@HTTP@; %s } }" % (http, text)


# ngx.ctx.


def test_ctx_goes_through_all_phases(start):
    server = start(locations("""location / {
        rewrite_by_lua_block { ngx.ctx.seen = "rewrite" }
        access_by_lua_block { ngx.ctx.seen = ngx.ctx.seen .. " access" }
        content_by_lua_block { ngx.ctx.seen = ngx.ctx.seen .. " content"
                               ngx.print("x") }
        header_filter_by_lua_block { ngx.ctx.seen = ngx.ctx.seen .. " header"
                                     ngx.header.seen = ngx.ctx.seen }
        body_filter_by_lua_block {
            if ngx.arg[2] then ngx.ctx.seen = ngx.ctx.seen .. " body" end }
        log_by_lua_block { ngx.log(ngx.WARN, "SEEN ", ngx.ctx.seen) }
    }"""))
    assert server.http("/").headers["seen"] == "rewrite access content header"
    server.wait_for_log("SEEN rewrite access content header body")


@pytest.mark.parametrize("way", [
    "content_by_lua_block { ngx.exec('/other') }",
    "content_by_lua_block { ngx.exec('@other') }",
    "rewrite_by_lua_block { ngx.exec('/other') }",
    "access_by_lua_block { ngx.exec('@other') }",
    "return 404; error_page 404 = /other;",
    "content_by_lua_block { ngx.exit(404) } error_page 404 = @other;",
    "try_files /none /other;",
    "try_files /none @other;",
])
def test_an_internal_redirect_begins_anew(start, way):
    server = start(locations("""
        location /from { set_by_lua_block $x { ngx.ctx.old = "old" return "" }
                         %s }
        location /other { content_by_lua_block {
            ngx.print(tostring(ngx.ctx.old), " ", ngx.req.is_internal()) } }
        location @other { content_by_lua_block {
            ngx.print(tostring(ngx.ctx.old), " ", ngx.req.is_internal()) } }
    """ % way))
    assert server.http("/from").text == "nil true"


def test_a_rewrite_keeps_it(start):
    server = start(locations("""
        server_rewrite_by_lua_block { ngx.ctx.old = "old" }
        location /from { rewrite ^ /other; }
        location /set { rewrite_by_lua_block { ngx.req.set_uri("/x") }
                        content_by_lua_block { ngx.print(ngx.ctx.old) } }
        location /jump { rewrite_by_lua_block { ngx.req.set_uri("/other", true)
        } }
        location /other { content_by_lua_block { ngx.print(ngx.ctx.old) } }
    """))
    assert server.http("/from").text == "old"
    assert server.http("/set").text == "old"
    assert server.http("/jump").text == "nil"  # as an internal redirect


def test_requests_do_not_share_it(start):
    server = start(http_lua("""
        local seen = ngx.ctx.seen
        ngx.ctx.seen = true
        ngx.print(tostring(seen))
    """))
    assert [server.http("/t").text for _ in range(3)] == ["nil"] * 3


def test_it_may_be_replaced(start):
    server = start(locations("""location / {
        rewrite_by_lua_block { ngx.ctx = {a = 1} }
        content_by_lua_block { ngx.print(ngx.ctx.a)
            ngx.print(tostring(select(1, pcall(function() ngx.ctx = 3 end)))) }
    }"""))
    assert server.http("/").text == "1false"


def test_timers_have_their_own(start):
    server = start(http_lua("""
        ngx.ctx.a = 1
        ngx.timer.at(0, function()
            ngx.log(ngx.WARN, "TIMER ", ngx.ctx.a)
            ngx.ctx.a = 2
        end)
        ngx.sleep(0.02)
        ngx.print(ngx.ctx.a)
    """))
    assert server.http("/t").text == "1"
    server.wait_for_log("TIMER nil")


# Directives that are inherited.


def trace(phase, word):
    return ("%s_by_lua_block { ngx.ctx.t = (ngx.ctx.t or '') .. '%s:%s ' }"
            % (phase, word, phase))


def test_inheritance_over_all_levels(start):
    phases = ["rewrite", "access", "precontent"]
    say = "content_by_lua_block { ngx.print(ngx.ctx.t) }"
    server = start("http { %s server { listen 127.0.0.1:@HTTP@; %s "
                   "location /plain { %s } "
                   "location /own { %s %s } "
                   "location /outer { %s location /outer/inner { %s } } "
                   "location /if { if ($arg_x) { %s } %s } "
                   "location /named { try_files /none @named; } "
                   "location @named { %s %s } } }" % (
                       " ".join(trace(p, "http") for p in phases),
                       trace("access", "server"), say,
                       trace("access", "own"), say,
                       trace("rewrite", "outer"), say,
                       trace("access", "if"), say,
                       trace("precontent", "named"), say))
    all_of = "http:rewrite %s:access http:precontent "
    assert server.http("/plain").text == all_of % "server"
    assert server.http("/own").text == all_of % "own"
    assert server.http("/outer/inner").text == (
        "outer:rewrite server:access http:precontent ")
    assert server.http("/if").text == all_of % "server"
    assert server.http("/if?x=1").text == all_of % "if"
    # A named location begins with its rewrite, and access, once more.
    assert "named:precontent" in server.http("/named").text


def test_filters_and_log_are_inherited(start):
    server = start("""http {
        header_filter_by_lua_block { ngx.header.level = "http" }
        body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:upper() }
        log_by_lua_block { ngx.log(ngx.WARN, "LOG http ", ngx.var.uri) }
        server { listen 127.0.0.1:@HTTP@;
            location /a { return 200 abc; }
            location /b { return 200 abc;
                header_filter_by_lua_block { ngx.header.level = "b" }
                body_filter_by_lua_block { }
                log_by_lua_block { ngx.log(ngx.WARN, "LOG b") } }
            location /if { if ($arg_x) {
                header_filter_by_lua_block { ngx.header.level = "if" } }
                content_by_lua_block { ngx.print("abc") } }
        } }""")
    for path, level, text in (("/a", "http", "ABC"), ("/b", "b", "abc"),
                              ("/if", "http", "ABC"), ("/if?x=1", "if", "ABC")):
        reply = server.http(path)
        assert (reply.headers["level"], reply.text) == (level, text)
    server.wait_for_log("LOG http /a")
    server.wait_for_log("LOG b")


def test_content_in_if(start):
    server = start(locations("""location / {
        if ($arg_x) { content_by_lua_block { ngx.print("in if") } }
        if ($arg_y) { set $z 1; }
        content_by_lua_block { ngx.print("outside") }
    }"""))
    assert server.http("/").text == "outside"
    assert server.http("/?x=1").text == "in if"
    assert server.http("/?y=1").text == "outside"


def test_limit_except_and_nested_regex_locations(start):
    server = start(locations(r"""location /a {
        access_by_lua_block { ngx.ctx.a = "a" }
        location ~ ^/a/(\w+)/(?<second>\w+)$ { content_by_lua_block {
            ngx.print(ngx.ctx.a, ngx.var[1], ngx.var[2], ngx.var.second) } }
    }"""))
    assert server.http("/a/one/two").text == "aonetwotwo"


def test_merged_settings(start):
    server = start("""http { lua_use_default_type off; server {
        listen 127.0.0.1:@HTTP@; default_type text/x;
        location /off { content_by_lua_block { ngx.print(1) } }
        location /on { lua_use_default_type on;
            content_by_lua_block { ngx.print(1) } }
        location /under { lua_transform_underscores_in_response_headers off;
            content_by_lua_block { ngx.header.a_b = 1 ngx.print(1) } }
        location /dash { content_by_lua_block { ngx.header.a_b = 1
            ngx.print(1) } }
    } }""")
    assert server.http("/off").headers["Content-Type"] is None
    assert server.http("/on").headers["Content-Type"] == "text/x"
    assert server.http("/under").headers["a_b"] == "1"
    assert server.http("/dash").headers["a-b"] == "1"


# The order within a phase.


@pytest.mark.parametrize("no_postpone, expected", [("off", 403), ("on", 401)])
def test_access_no_postpone(start, no_postpone, expected):
    server = start(locations("""location / { deny all;
        access_by_lua_block { ngx.exit(401) } return 200; }""",
        "access_by_lua_no_postpone %s;" % no_postpone).replace(
            "return 200;", "content_by_lua_block { ngx.print(1) }"))
    server.allow_log("access forbidden")
    assert server.http("/").status == expected


@pytest.mark.parametrize("no_postpone, expected", [("off", "2"), ("on", "1")])
def test_rewrite_no_postpone(start, no_postpone, expected):
    server = start(locations("""location / {
        set $a 1;
        rewrite_by_lua_block { ngx.var.a = 2 }
        set $b $a;
        content_by_lua_block { ngx.print(ngx.var.b == "2" and 1 or 2,
                                         ngx.var.a) } }""",
        "rewrite_by_lua_no_postpone %s;" % no_postpone))
    # postponed: it runs after both of set's; else before, and set overwrites
    assert server.http("/").text == {"2": "22", "1": "21"}[expected]


@pytest.mark.parametrize("no_postpone, expected", [("off", "other"),
                                                   ("on", "lua")])
def test_precontent_no_postpone(start, no_postpone, expected):
    server = start(locations("""location / {
        precontent_by_lua_block { ngx.print("lua") }
        try_files /none @other; }
        location @other { precontent_by_lua_block { }
                          content_by_lua_block { ngx.print("other") } }""",
        "precontent_by_lua_no_postpone %s;" % no_postpone))
    assert server.http("/").text == expected


def test_satisfy_any(start):
    server = start(locations("""
        location /lua { satisfy any; deny all;
            access_by_lua_block { if ngx.var.arg_k then return end
                                  ngx.exit(403) }
            content_by_lua_block { ngx.print("in") } }
    """))
    server.allow_log("access forbidden")
    assert server.http("/lua?k=1").text == "in"
    assert server.http("/lua").status == 403


@pytest.mark.parametrize("phase", ["server_rewrite", "rewrite", "access",
                                   "precontent", "content", "header_filter",
                                   "body_filter", "log"])
def test_files_with_variables_in_each_phase(start, phase):
    directive = "%s_by_lua_file $arg_name.lua;" % phase
    server = start(locations("%s location / { %s %s }" % (
        directive if phase == "server_rewrite" else "",
        directive if phase != "server_rewrite" else "",
        "" if phase == "content" else
        "content_by_lua_block { ngx.print('x') }")), run=False)
    for name in "one", "two":
        server.file(name + ".lua",
                    "ngx.log(ngx.WARN, 'RAN %s ', ngx.get_phase())" % name)
    server.start()
    for name in "one", "two", "one":
        server.http("/?name=" + name)
    server.wait_for_log("RAN one " + phase)
    server.wait_for_log("RAN two " + phase)


# Variables.


def test_variables_of_requests(start):
    server = start(http_lua("""
        local v = ngx.var
        ngx.print(v.arg_a, v.arg_none, v.http_x_one, v.cookie_c, v.args,
                  v.request_method, v.server_protocol, v.is_args, v.scheme,
                  v.HTTP_X_ONE, v.content_length)
    """))
    text = server.http("/t?a=1", "POST", b"abc", headers={
        "X-One": "one", "Cookie": "c=see"}).text
    assert text == "1niloneseea=1POSTHTTP/1.1?httpone3"


def test_variables_of_the_upstream(start):
    server = start("""http { upstream u { server 127.0.0.1:@UP@; }
        server { listen 127.0.0.1:@UP@; return 201 up; }
        server { listen 127.0.0.1:@HTTP@; location / { proxy_pass http://u;
            header_filter_by_lua_block {
                ngx.header.Seen = ngx.var.upstream_status .. " "
                    .. ngx.var.upstream_http_content_type }
            log_by_lua_block { ngx.log(ngx.WARN, "UP ",
                ngx.var.upstream_addr, " ", ngx.var.upstream_status, " ",
                tonumber(ngx.var.upstream_response_time) < 5, " ",
                ngx.var.upstream_response_length) } } } }""")
    assert server.http("/").headers["Seen"] == "201 text/plain"
    server.wait_for_log("UP 127.0.0.1:%d 201 true 2" % server.port("UP"))


def test_variables_that_are_set(start):
    server = start(locations("""location / { set $a "x$arg_q"; set $n "";
        content_by_lua_block {
            local v = ngx.var
            ngx.print(v.a, #v.n)
            v.a = 3 ngx.print(v.a)
            v.a = nil ngx.print(tostring(v.a))
            v.args = "q=2" ngx.print(v.arg_q, v.args)
            v.limit_rate = 1000000 ngx.print(v.limit_rate)
            ngx.print(tostring(pcall(function() v.uri = "/" end)))
            ngx.print(tostring(pcall(function() v.none = "/" end)))
        } }"""))
    assert server.http("/?q=1").text == "x103nil2q=21000000falsefalse"


def test_what_lua_sets_others_see(start):
    server = start("""http {
        log_format mine "MINE $mine $sent_http_x_y";
        map $mine $mapped { default none; yes mapped; }
        server { listen 127.0.0.1:@HTTP@; access_log @FOLDER@/access mine;
            location / { set $mine no;
                rewrite_by_lua_block { ngx.var.mine = "yes" }
                content_by_lua_block { ngx.header["X-Y"] = ngx.var.mapped
                    ngx.print(ngx.var.sent_http_x_y) } } } }""")
    assert server.http("/").text == "mapped"
    server.stop()
    assert (server.folder / "access").read_text() == "MINE yes mapped\n"
