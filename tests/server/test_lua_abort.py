"""lua_check_client_abort and ngx.on_abort, in HTTP and stream."""

import socket
import time

import pytest

from lua_conf import http_lua
from resolua_server import HOST, wait_for

NOTE = 'local function note(...) ngx.log(ngx.WARN, "note ", ...) end '


def both(code, flag="on"):
    """The same script in HTTP and in stream."""
    return http_lua(NOTE + code, http=f"lua_check_client_abort {flag};",
                    main="stream { lua_check_client_abort %s; server { "
                    "listen 127.0.0.1:@DNS@; content_by_lua_block { %s } } }"
                    % (flag, NOTE + code))


def ask(server, kind):
    s = socket.create_connection(
        (HOST, server.port("HTTP" if kind == "http" else "DNS")), 5)
    if kind == "http":
        s.sendall(b"GET /t HTTP/1.0\r\n\r\n")
    return s


@pytest.fixture(params=["http", "stream"])
def kind(request):
    return request.param


def test_the_chunk_ends_with_its_client(start, kind):
    server = start(both('note("begin") ngx.sleep(0.5) note("end")'))
    s = ask(server, kind)
    server.wait_for_log("note begin")
    s.close()
    time.sleep(0.7)
    assert "note end" not in server.log()


def test_without_the_directive_it_goes_on(start, kind):
    server = start(both('note(ngx.on_abort(function() note("no") end)) '
                        'ngx.sleep(0.2) note("end")', "off"))
    s = ask(server, kind)
    server.wait_for_log("note nillua_check_client_abort is off")
    s.close()
    server.wait_for_log("note end")
    assert "note no" not in server.log()


def test_the_callback_may_ignore_it(start, kind):
    server = start(both("""
        note("set ", ngx.on_abort(function()
            note("gone") ngx.sleep(0.05) note("slept") end))
        note("again ", ngx.on_abort(print))
        ngx.sleep(0.3) note("end")"""))
    s = ask(server, kind)
    server.wait_for_log("note again nilduplicate call")
    assert "note set 1" in server.log()
    s.close()
    server.wait_for_log("note end")
    log = server.log()
    assert log.index("note gone") < log.index("note slept") \
        < log.index("note end")
    assert log.count("note gone") == 1


def test_the_callback_may_end_it(start, kind):
    server = start(both("""
        ngx.on_abort(function() note("gone") ngx.exit(444) end)
        note("begin") ngx.sleep(0.3) note("end")"""))
    for _ in range(3):
        s = ask(server, kind)
        time.sleep(0.05)
        s.close()
    wait_for(lambda: server.log().count("note gone") == 3)
    time.sleep(0.4)
    assert "note end" not in server.log()


def test_no_call_for_a_client_that_stays(start, kind):
    server = start(both("""
        ngx.on_abort(function() note("gone") end)
        ngx.sleep(0.05) ngx.say("done")"""))
    s = ask(server, kind)
    assert s.makefile().read().endswith("done\n")
    s.close()
    time.sleep(0.1)
    assert "note gone" not in server.log()


def test_phases_and_arguments(start):
    server = start(http_lua(
        "ngx.say(pcall(ngx.on_abort, 1)) ngx.say(ngx.ctx.rewrite)",
        http="lua_check_client_abort on;",
        location="rewrite_by_lua_block { "
        "ngx.ctx.rewrite = ngx.on_abort(function() end) } "
        "log_by_lua_block { ngx.log(ngx.WARN, pcall(ngx.on_abort, print)) }"))
    assert server.http("/t").text.splitlines() == [
        "falsebad argument #1 to '?' (function expected, got number)", "1"]
    server.wait_for_log("falseAPI disabled in the context of log_by_lua")
