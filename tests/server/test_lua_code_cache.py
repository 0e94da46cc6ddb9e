"""lua_code_cache off: each request has globals and modules of its own."""

import socket

import pytest

from resolua_server import HOST

MODULE = """
    local ffi = require "ffi"
    ffi.cdef "typedef struct resolua_test { int a; } resolua_test_t;"
    local of = ffi.metatype("struct resolua_test", { __index = {} })
    made = (made or 0) + 1
    return { n = 0, v = "%s", ffi = ffi.new("struct resolua_test", 3).a, of = of }
"""
CODE = """
    local m = require "mm"
    m.n = m.n + 1
    G = (G or 0) + 1
    string.mine = (string.mine or 0) + 1
    ngx.say(m.n, " ", m.v, " ", G, " ", _G.G, " ", made, " ", m.ffi, " ",
        string.mine, " ", package.loaded.mm == m, " ", init_ran)
"""
CONF = """
    lua_package_path "@FOLDER@/?.lua;;";
    lua_code_cache off;
    init_by_lua_block { init_ran = (init_ran or 0) + 1 }
"""


@pytest.fixture
def server(start):
    one = start("""
        http { %s
            lua_shared_dict kept 1m;
            server { listen 127.0.0.1:@HTTP@;
                location /block { content_by_lua_block { %s } }
                location /file { content_by_lua_file @FOLDER@/file.lua; }
                location /on { lua_code_cache on; content_by_lua_block {
                    local m = require "mm" m.n = m.n + 1
                    ON = (ON or 0) + 1 ngx.say(m.n, " ", ON) } }
                location /phases {
                    set_by_lua_block $a { P = "set" return require("mm").v }
                    rewrite_by_lua_block { P = P .. " rewrite"
                        require("mm").n = 5 }
                    access_by_lua_block { ngx.sleep(0.001) P = P .. " access" }
                    content_by_lua_block {
                        local co = coroutine.wrap(function()
                            P = P .. " coroutine" return require("mm").n end)
                        local n = co()
                        ngx.thread.wait(ngx.thread.spawn(function()
                            ngx.sleep(0.001) P = P .. " thread" end))
                        loadstring("P = P .. ' loaded'")()
                        ngx.print(P, " ", n, " ", ngx.var.a) }
                    body_filter_by_lua_block {
                        if ngx.arg[2] then ngx.arg[1] = " " .. P .. "!" end }
                }
                location /modules { content_by_lua_block {
                    local cjson = require "cjson"
                    local old = require "old"
                    ngx.say(cjson.encode{1}, " ",
                        require("resty.redis") == require("resty.redis"), " ",
                        old.f(), " ", select(2, pcall(require, "none")))
                    ngx.say(pcall(require, "looped")) } }
                location /timer { content_by_lua_block {
                    T = "of the request"
                    ngx.timer.at(0, function()
                        ngx.shared.kept:set("t", T .. require("mm").v) end)
                    for _ = 1, 1000 do
                        if ngx.shared.kept:get("t") then break end
                        ngx.sleep(0.005)
                    end
                    ngx.say(ngx.shared.kept:get("t")) } }
            } }
        stream { lua_package_path "@FOLDER@/?.lua;;";
            server { listen 127.0.0.1:@STREAM@; lua_code_cache off;
                content_by_lua_block { %s } }
            server { listen 127.0.0.1:@CACHED@; lua_code_cache on;
                content_by_lua_block { ngx.say(G2) G2 = (G2 or 0) + 1 } } }
    """ % (CONF, CODE, CODE), run=False)
    one.allow_log("lua_code_cache is off")
    one.file("mm.lua", MODULE % "one")
    one.file("file.lua", CODE)
    one.file("old.lua", "module('old', package.seeall) "
                        "function f() return tostring(type) ~= nil and _NAME end")
    one.file("looped.lua", "return require 'looped'")
    return one.start()


def over_stream(server, port):
    with socket.create_connection((HOST, server.port(port))) as s:
        s.settimeout(20)
        return s.recv(1000).decode()


def test_globals_and_modules_are_new(server):
    asks = {"block": lambda: server.http("/block").text,
            "file": lambda: server.http("/file").text,
            "stream": lambda: over_stream(server, "STREAM")}
    for version in "one", "two":
        server.file("mm.lua", MODULE % version)
        for name, ask in asks.items():
            for _ in range(2):
                assert ask() == f"1 {version} 1 1 1 3 1 true 1\n", name


def test_the_phases_of_a_request_share_them(server):
    for _ in range(2):
        assert server.http("/phases").text == (
            "set rewrite access coroutine thread loaded 5 one"
            " set rewrite access coroutine thread loaded!")


def test_where_it_is_on(server):
    assert [server.http("/on").text for _ in range(3)] == [
        "1 1\n", "2 2\n", "3 3\n"]
    assert server.http("/block").text.startswith("1 one 1 ")
    assert [over_stream(server, "CACHED") for _ in range(2)] == ["nil\n", "1\n"]


def test_modules_of_other_kinds(server):
    for _ in range(2):
        text = server.http("/modules").text
        assert text.startswith("[1] true old module")
        assert "module 'none' not found:" in text and "none.lua" in text
        assert "loop or previous error loading module 'looped'" in text
    assert server.http("/timer").text == "of the requestone\n"


def test_the_log_tells(server):
    assert "lua_code_cache is off; this will hurt performance" in server.log()
