"""Modules that scripts require: LuaJIT's, ours in the place of lua-resty-core's,
rocks and plain folders."""

import pathlib
import shutil
import socket
import subprocess

import pytest

from lua_conf import http_lua
from resolua_server import HOST, MODULES


def lines(start, code, **options):
    return start(http_lua(code, **options)).http("/t").text.splitlines()


@pytest.mark.parametrize("module", """
    ngx.semaphore ngx.balancer ngx.ssl ngx.ssl.clienthello ngx.ssl.session
    ngx.ocsp ngx.errlog ngx.process ngx.pipe ngx.re ngx.base64 ngx.req ngx.resp
    ngx.upstream resty.core resty.core.base resty.core.regex resty.core.shdict
    table.new table.clear table.nkeys table.isarray table.isempty table.clone
    thread.exdata jit ffi bit cjson cjson.safe tablepool
    """.split())
def test_may_be_required(start, module):
    assert lines(start, f"""
        local m = require "{module}"
        ngx.say(type(m) == "table" or type(m) == "function")
    """) == ["true"]


def test_ours_are_taken_though_a_path_has_others(start):
    server = start(http_lua("""
        ngx.say(require("ngx.re").split("a,b", ",")[2],
            type(require("ngx.pipe").spawn), require("ngx.req").foreign)
    """, http='lua_package_path "@FOLDER@/?.lua;;";'), run=False)
    for name in ("re", "pipe", "req"):
        server.file(f"ngx/{name}.lua", "return { foreign = true }")
    server.start()
    assert server.http("/t").text == "bfunctionnil\n"


def test_added_request_headers(start):
    assert lines(start, """
        local add = require("ngx.req").add_header
        add("X-A", "1") add("X-A", "2") add("x-a", { "3", 4 }) add("X-B", 5)
        local headers = ngx.req.get_headers()
        ngx.say(table.concat(headers["x-a"], ","), headers["x-b"])
        ngx.say(pcall(add, "x")) ngx.say(pcall(add, {}, "x"))
        ngx.say(pcall(add, "x", {}))
    """) == ["1,2,3,45",
             "falsebad 'value' argument: string or table expected, got nil",
             "falsebad 'name' argument: string expected, got table",
             "falsebad 'value' argument: non-empty table expected"]


def test_added_response_headers_and_the_status(start):
    server = start(http_lua("""
        local resp = require "ngx.resp"
        resp.add_header("X-A", "1") resp.add_header("X-A", { "2", "3" })
        resp.set_status(299, "Quite Fine")
        resp.bypass_if_checks()
        ngx.say("body")
        resp.set_status(500, "Too Late")
    """))
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(b"GET /t HTTP/1.1\r\nHost: x\r\n"
                  b"Connection: close\r\n\r\n")
        text = s.makefile().read()
    assert text.startswith("HTTP/1.1 299 Quite Fine\n")
    assert "X-A: 1\nX-A: 2\nX-A: 3\n" in text
    server.wait_for_log("attempt to set status 500 after")


def test_conditions_may_be_passed_over(start):
    code = """ngx.header["Last-Modified"] = "Sat, 01 Jan 2022 00:00:00 GMT"
              if ngx.var.arg_by then require("ngx.resp").bypass_if_checks() end
              ngx.say("body")"""
    server = start(http_lua(code))
    head = {"If-Modified-Since": "Sat, 01 Jan 2022 00:00:00 GMT"}
    assert server.http("/t", headers=head).status == 304
    assert server.http("/t?by=1", headers=head).status == 200


def test_tables_of_a_pool(start):
    assert lines(start, """
        local pool = require "tablepool"
        local t = pool.fetch("tag", 1, 1)
        t.x = 1
        pool.release("tag", t)
        local again = pool.fetch("tag", 1, 1)
        ngx.say(again == t, next(again), pool.fetch("tag", 0, 0) == t)
        again.x = 1
        pool.release("tag", again, true)
        ngx.say(pool.fetch("tag", 0, 0).x, pool.fetch("other", 0, 0).x)
        ngx.say((pcall(pool.release, "tag", nil)))
    """) == ["truenilfalse", "1nil", "false"]


def test_base64_mime(start):
    assert lines(start, """
        ngx.say(require("ngx.base64").decode_base64mime("Y W\\nI="))
    """) == ["ab"]


BOTH = """
    lua_package_path "@FOLDER@/%s/?.lua;@FOLDER@/%s/?/init.lua;;";
    stream { server { listen 127.0.0.1:@DNS@; content_by_lua_block {
        ngx.say(require("greet").to("stream"), require("greet.deep").name) } } }
    http { server { listen 127.0.0.1:@HTTP@; location / { content_by_lua_block {
        ngx.say(require("greet").to("http"), require("greet.deep").name) } } } }
"""
GREET = "return { to = function(who) return 'hello ' .. who end }\n"
DEEP = "return { name = ' deep' }\n"


def check_both(server):
    assert server.http("/").text == "hello http deep\n"
    with socket.create_connection((HOST, server.port("DNS")), 5) as s:
        assert s.makefile().read() == "hello stream deep\n"


def test_a_plain_folder(start):
    server = start(BOTH % ("libs", "libs"), run=False)
    server.file("libs/greet/init.lua", GREET)
    server.file("libs/greet/deep.lua", DEEP)
    server.start()
    check_both(server)


@pytest.mark.skipif(not shutil.which("luarocks"), reason="no luarocks")
def test_a_rock(start):
    tree = "rocks/share/lua/5.1"
    server = start(BOTH % (tree, tree), run=False)
    server.file("src/greet.lua", GREET)
    server.file("src/greet/deep.lua", DEEP)
    server.file("src/greet-1.0-1.rockspec", """
        package = "greet"
        version = "1.0-1"
        source = { url = "file://@FOLDER@/src" }
        dependencies = { "lua >= 5.1" }
        build = { type = "builtin", modules = {
            greet = "greet.lua", ["greet.deep"] = "greet/deep.lua" } }
    """)
    subprocess.run(
        ["luarocks", "--lua-version", "5.1", "--tree", server.folder / "rocks",
         "make", "greet-1.0-1.rockspec"], cwd=server.folder / "src",
        check=True, capture_output=True, timeout=60)
    server.start()
    check_both(server)


@pytest.mark.skipif(not pathlib.Path(
    MODULES, "ngx_http_set_misc_module.so").exists(), reason="no set-misc")
def test_directives_of_other_modules(start):
    server = start(http_lua("""
        ngx.say(ndk.set_var.set_quote_sql_str("a'b"))
        ngx.say(ndk.set_var.set_escape_uri("a b/c"))
        local md5 = ndk.set_var.set_md5
        ngx.say(md5("x"), #md5(""))
        ngx.say((select(2, pcall(function() return ndk.set_var.none end))))
        ngx.say((select(2, pcall(function() return ndk.set_var.root end))))
        ngx.say((pcall(function() ndk.set_var.x = 1 end)))
        ngx.say((pcall(md5, {})))
    """), main="", run=False)
    conf = server.folder / "nginx.conf"
    ndk = f"load_module {MODULES}/ndk_http_module.so;\n"
    conf.write_text(conf.read_text().replace(
        ndk, ndk + f"load_module {MODULES}/ngx_http_set_misc_module.so;\n"))
    server.start()
    text = server.http("/t").text.splitlines()
    assert text[:3] == ["'a\\'b'", "a%20b%2Fc",
                        "9dd4e461268c8034f5c8564e155c67a632"]
    for line, name in zip(text[3:5], ("none", "root"), strict=True):
        assert line.endswith(f'ndk.set_var: directive "{name}" not found or '
                             "does not use ndk_set_var_value")
    assert text[5:] == ["false", "false"]


CORE = """
    local base = require "resty.core.base"
    local function show(...)
        local t = {}
        for i = 1, select("#", ...) do t[i] = tostring((select(i, ...))) end
        ngx.say(table.concat(t, " "))
    end
"""


def test_what_libraries_take_from_resty_core_base(start):
    assert lines(start, CORE + """
        show(base.FFI_OK, base.FFI_ERROR, base.FFI_AGAIN, base.FFI_BUSY,
             base.FFI_DONE, base.FFI_DECLINED, base.FFI_NO_REQ_CTX,
             base.FFI_BAD_CONTEXT)
        local ffi = require "ffi"
        show(base.new_tab == require "table.new",
             base.clear_tab == require "table.clear", type(base.version))
        show(pcall(base.allows_subsystem, "stream"))
        show(pcall(base.allows_subsystem, "stream", "http"))
        show(type(base.get_request()), base.get_request() == base.get_request())
        show(base.get_string_buf_size(), base.get_string_buf(9) ==
             base.get_string_buf(4096), base.get_string_buf(9, true) ==
             base.get_string_buf(9), ffi.sizeof(base.get_string_buf(5000)))
        base.set_string_buf_size(0)
        base.set_string_buf_size(100)
        show(base.get_string_buf_size(), ffi.sizeof(base.get_string_buf(7)))
        base.get_size_ptr()[0] = 12
        show(tonumber(base.get_size_ptr()[0]), ffi.istype("char *[1]",
             base.get_errmsg_ptr()))
        local t = {}
        show(base.ref_in_table(t, "a"), base.ref_in_table(t, "b"),
             base.ref_in_table(t, nil))
        t[1], t[0] = t[0], 1
        show(base.ref_in_table(t, "c"), t[1], base.ref_in_table(t, "d"))
    """) == ["0 -1 -2 -3 -4 -5 -100 -101", "true true string",
             "false unsupported subsystem: http", "true", "cdata true",
             "4096 true false 5000", "100 100", "12 true", "1 2 -1", "1 c 3"]


def test_what_libraries_take_from_the_rest_of_resty_core(start):
    assert lines(start, CORE + """
        local answer = require("resty.core.response").set_resp_header
        answer(nil, "X-B", "1") answer(nil, "X-B", "2", true)
        local added = table.concat(ngx.resp.get_headers()["x-b"], ",")
        local replace = require("resty.core.utils").str_replace_char
        show(replace("a-b-c", "-", "_"), replace("abc", "-", "_"),
             replace("1.2.3", ".", "%"), replace("a%b]c", "]", "^"),
             replace("a\\0b", "\\0", "z"), replace("a^b", "^", "-"))
        local time = require "resty.core.time"
        local ms, s = time.monotonic_msec(), time.monotonic_time()
        show(ms % 1, math.abs(ms - s * 1000) < 100, ms > 0)
        local ctx = require("resty.core.ctx").get_ctx_table
        local own = {}
        show(ctx(own) == own, ngx.ctx == own, ctx({}) == own, ctx() == own)
        local misc = require "resty.core.misc"
        misc.register_ngx_magic_key_getter("colour", function() return "red" end)
        misc.register_ngx_magic_key_setter("colour", function(v) own.set = v end)
        ngx.colour = "blue"
        show(ngx.colour, own.set, rawget(ngx, "colour"), type(ngx.status))
        local set = require("resty.core.request").set_req_header
        set("X-A", "1", true) set("X-A", "2", false)
        show(table.concat(ngx.req.get_headers()["x-a"], ","))
        set("X-A", "3", true)
        show(ngx.req.get_headers()["x-a"])
        show(added)
        show(package.loaded["resty.core"] ~= nil, package.loaded.ndk ~= nil,
             require "ndk" == ndk, package.loaded["resty.core.base"] == base)
    """) == [
        "a_b_c abc 1%2%3 a%b^c azb a-b", "0 true true",
        "true true true true", "red blue nil number", "1,2", "3", "1,2",
        "true true true true"]


def test_resty_core_base_in_other_places(start):
    """In init, timers and stream; a library asks as it is loaded."""
    server = start("""
        init_by_lua_block {
            local base = require "resty.core.base"
            base.allows_subsystem("http")
            in_init = tostring(base.get_request())
        }
        http { server { listen 127.0.0.1:@HTTP@;
            location /t { content_by_lua_block { ngx.say(in_init) } } } }
        stream { server { listen 127.0.0.1:@IN@; content_by_lua_block {
            local base = require "resty.core.base"
            base.allows_subsystem("stream")
            ngx.say(type(base.get_request()), " ",
                    pcall(base.allows_subsystem, "http"))
        } } }""")
    assert server.http("/t").text == "nil\n"
    with socket.create_connection((HOST, server.port("IN")), 10) as s:
        assert s.makefile().read() == (
            "cdata falseunsupported subsystem: stream\n")
