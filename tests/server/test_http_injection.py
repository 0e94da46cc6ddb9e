"""What a script gives for a request line or a header stays within it (RFC 9112
sections 2.2 and 11.1: request and response splitting)."""

import re

import pytest

from resolua_server import Server

EVIL = r'"a HTTP/1.0\r\nX-Evil: 1\r\nX:\0\127"'
ARGS = "a%20HTTP/1.0%0D%0AX-Evil:%201%0D%0AX:%00%7F"

# The location's directives, and the request line that the upstream sees.
REQUESTS = {
    "set_uri_args": (
        "rewrite_by_lua_block { ngx.req.set_uri_args(%s) } "
        "proxy_pass http://127.0.0.1:@HTTP@/back;", "/back?" + ARGS),
    "set_uri_args_table": (
        "rewrite_by_lua_block { ngx.req.set_uri_args({b = {%s}}) } "
        "proxy_pass http://127.0.0.1:@HTTP@/back;", "/back?b="),
    "var_args": (
        "rewrite_by_lua_block { ngx.var.args = %s } "
        "proxy_pass http://127.0.0.1:@HTTP@/back;", "/back?" + ARGS),
    "set_by_lua_args": (
        "set_by_lua_block $args { return %s } "
        "proxy_pass http://127.0.0.1:@HTTP@/back;", "/back?" + ARGS),
    "set_uri": (
        "rewrite_by_lua_block { ngx.req.set_uri('/back/' .. (%s):sub(1, -3), "
        "false, true) } proxy_pass http://127.0.0.1:@HTTP@;",
        "/back/" + ARGS[:-6]),
    "exec": ("content_by_lua_block { ngx.exec('/proxy', %s) }",
             "/back?" + ARGS),
    "exec_uri": ("content_by_lua_block { ngx.exec('/proxy?' .. %s) }",
                 "/back?" + ARGS),
    "exec_path": (
        r"content_by_lua_block { ngx.exec('/proxy/' .. (%s):sub(1, -3)) }",
        "/back/" + ARGS[:-6]),
    "exec_table": (
        "content_by_lua_block { ngx.exec('/proxy', {b = %s}) }", "/back?b="),
    "capture": (
        "content_by_lua_block { ngx.print(ngx.location.capture('/proxy', "
        "{args = %s}).body) }", "/back?" + ARGS),
    "capture_uri": (
        "content_by_lua_block { ngx.print(ngx.location.capture('/proxy?' .. "
        "%s).body) }", "/back?" + ARGS),
    "capture_vars": (
        "content_by_lua_block { ngx.print(ngx.location.capture('/proxy', "
        "{vars = {args = %s}}).body) }", "/back?" + ARGS),
    "capture_multi": (
        "content_by_lua_block { ngx.print(ngx.location.capture_multi({{"
        "'/proxy', {args = %s}}}).body) }", "/back?" + ARGS),
    "header": (
        "rewrite_by_lua_block { ngx.req.set_header('X-A', %s) "
        "ngx.req.set_header('X-B\\r\\nX-Evil', '1') } "
        "proxy_pass http://127.0.0.1:@HTTP@/back;", "/back"),
    "headers": (
        "rewrite_by_lua_block { require('ngx.req').add_header('X-A', {%s, "
        "'b'}) ngx.req.set_header('Content-Type', %s) } "
        "proxy_pass http://127.0.0.1:@HTTP@/back;", "/back"),
}

RESPONSES = {
    "header": "ngx.header['X-A'] = %s",
    "header_name": "ngx.header['X-B\\r\\nX-Evil'] = 1",
    "header_list": "ngx.header['Set-Cookie'] = {%s, 'b'}",
    "add_header": "require('ngx.resp').add_header('X-A', %s)",
    "content_type": "ngx.header.content_type = %s",
    "location": "ngx.header.location = %s",
    "etag": "ngx.header.etag = %s",
    "reason": "require('ngx.resp').set_status(299, %s)",
}

REFUSED = {
    "redirect": ("ngx.redirect, '/' .. %s",
                 r'unsafe byte "0x0d" in redirect uri "/a HTTP/1.0\x0D\x0A'
                 r'X-Evil: 1\x0D\x0AX:\x00\x7F"'),
    "redirect_nul": (r"ngx.redirect, 'http://a/\0b'",
                     r'unsafe byte "0x00" in redirect uri "http://a/\x00b"'),
    "set_uri": ("ngx.req.set_uri, '/' .. %s",
                r'unsafe byte "0x0d" in uri "/a HTTP/1.0\x0D\x0AX-Evil: 1\x0D'
                r'\x0AX:\x00\x7F" (maybe you want to set the '
                r"'binary' argument?)"),
    "set_method": ("ngx.req.set_method, 'GET\\r\\n'", "bad method number"),
}


def locations():
    for name, (directives, _) in REQUESTS.items():
        yield "location = /request/%s { %s }" % (
            name, directives.replace("%s", EVIL))
    for name, code in RESPONSES.items():
        yield ("location = /response/%s { content_by_lua_block { %s "
               "ngx.say('x') } }" % (name, code.replace("%s", EVIL)))
    for name, (call, _) in REFUSED.items():
        yield ("location = /refused/%s { content_by_lua_block { "
               "ngx.say(select(2, pcall(%s))) } }"
               % (name, call.replace("%s", EVIL)))


@pytest.fixture(scope="module", name="server")
def one_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("injection"), """
        http { server { listen 127.0.0.1:@HTTP@;
            location /proxy { proxy_pass http://127.0.0.1:@HTTP@/back; }
            location /back { content_by_lua_block {
                ngx.print(ngx.req.raw_header()) } }
            location = /every_octet { content_by_lua_block {
                local all = {}
                for i = 0, 255 do all[#all + 1] = string.char(i) end
                ngx.req.set_uri_args(table.concat(all))
                ngx.print(ngx.var.args) } }
            %s } }""" % "\n".join(locations())).start()
    yield server
    server.stop()
    server.check_log()


@pytest.mark.parametrize("name", list(REQUESTS))
def test_the_request_that_goes_upstream(server, name):
    seen = server.http("/request/" + name).text
    line, *fields = seen.split("\r\n")
    assert re.fullmatch(r"GET \S+ HTTP/1\.0", line)
    assert line.startswith("GET " + REQUESTS[name][1])
    assert not [f for f in fields if f.lower().startswith("x-evil")], seen


@pytest.mark.parametrize("name", list(RESPONSES))
def test_the_response(server, name):
    reply = server.http("/response/" + name)
    assert reply.headers["X-Evil"] is None
    assert reply.text == "x\n"


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_refused(server, name):
    assert server.http("/refused/" + name).text == REFUSED[name][1] + "\n"


def test_no_other_octet_of_the_arguments_is_touched(server):
    every = bytes(range(256))
    want = b"".join(b"%%%02X" % c if c <= 32 or c == 127 else bytes([c])
                    for c in every)
    assert server.http("/every_octet").body == want
