"""ngx.run_worker_thread: Lua on nginx's thread pools."""

import concurrent.futures
import socket
import threading
import time

import pytest

from lua_conf import http_lua
from resolua_server import HOST

MODULE = """
local M = {}
function M.echo(...) return select('#', ...), ... end
function M.digest(text)
    return ngx.md5(text), ngx.encode_base64(text),
        ngx.re.match(text, "l+", "jo")[0], ngx.crc32_short(text)
end
function M.sleep(seconds)
    local ffi = require "ffi"
    ffi.cdef "int usleep(unsigned int);"
    ffi.C.usleep(seconds * 1e6)
    return "slept"
end
function M.sum(t) local n = 0 for _, v in pairs(t) do n = n + v end return n end
function M.fail() error("no luck") end
function M.fail_with_table() error({ code = 7 }) end
function M.closure() return function() end end
function M.tree(t) t.child = { deep = { t.name, true } } return t end
local calls = 0
function M.count() calls = calls + 1 return calls end
function M.shared(key) return ngx.shared.d:incr(key, 1, 0) end
function M.has(name) return ngx[name] ~= nil end
function M.log(text) ngx.log(ngx.WARN, text) end
function M.regexes(n)
    for i = 1, n do ngx.re.find("a" .. i, "^a" .. i .. "$", "jo") end
    return n
end
return M
"""

MAIN = "thread_pool lua threads=2;"


def run(start, code, http="", location=""):
    server = start(http_lua(code, location=location, main=MAIN,
                            http="lua_shared_dict d 1m; "
                            'lua_package_path "@FOLDER@/?.lua;;";' + http),
                   run=False)
    server.file("work.lua", MODULE)
    return server.start()


def lines(start, code, **options):
    return run(start, code, **options).http("/t").text.splitlines()


def test_values_go_there_and_come_back(start):
    assert lines(start, """
        local function call(...)
            ngx.say(ngx.run_worker_thread("lua", "work", ...))
        end
        call("echo")
        call("echo", nil, true, 1.5, "a\\0b", false, nil)
        call("digest", "hello")
        call("sum", { 1, 2, 3, x = 4 })
        local ok, t = ngx.run_worker_thread("lua", "work", "tree", { name = "n" })
        ngx.say(ok, t.name, t.child.deep[1], t.child.deep[2])
        local ok, _, null = ngx.run_worker_thread("lua", "work", "echo", ngx.null)
        ngx.say(null == ngx.null)
    """) == ["true0", "true6niltrue1.5a\0bfalsenil",
             "true5d41402abc4b2a76b9719d911017c592aGVsbG8=ll907060870",
             "true10", "truenntrue", "true"]


def test_a_reload_waits_for_the_thread(start):
    server = run(start, 'ngx.say(ngx.run_worker_thread("lua", "work", "sleep", 1))')
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.http, "/t")
        time.sleep(0.3)
        server.reload()
        assert waiting.result().text == "trueslept\n"


def test_failures_are_values(start):
    text = lines(start, """
        local function call(...) ngx.say(ngx.run_worker_thread(...)) end
        call("none", "work", "echo")
        call("lua", "absent", "echo")
        call("lua", "work", "absent")
        call("lua", "work", "fail")
        call("lua", "work", "echo", function() end)
        call("lua", "work", "closure")
        local t = {}
        t.t = t
        call("lua", "work", "sum", t)
        local ok, e = ngx.run_worker_thread("lua", "work", "fail_with_table")
        ngx.say(ok, e.code)
        ngx.say(pcall(ngx.run_worker_thread, "lua"))
    """)
    assert text[0] == "falsethread pool none not found"
    assert text[1].startswith("falsemodule 'absent' not found")
    text = [line for line in text[2:] if not line.startswith("\t")]
    assert text[0] == 'falseno function "absent" in module "work"'
    assert text[1].startswith("false") and text[1].endswith("no luck")
    assert text[2].startswith("falseunsupported Lua type")
    assert text[3].startswith("falseunsupported Lua type")
    assert text[4] == "falsetable is nested too deep in the argument"
    assert text[5] == "false7"
    assert text[6] == "truefalseexpecting at least 3 arguments"


def test_the_worker_goes_on_meanwhile(start):
    server = run(start, """
        if ngx.var.arg_fast then return ngx.say("fast") end
        ngx.say(ngx.run_worker_thread("lua", "work", "sleep", 1))
    """)
    slow = []
    t = threading.Thread(
        target=lambda: slow.append(server.http("/t").text))
    begin = time.monotonic()
    t.start()
    time.sleep(0.1)
    assert server.http("/t?fast=1").text == "fast\n"
    assert time.monotonic() - begin < 0.9
    t.join()
    assert slow == ["trueslept\n"]


def test_no_more_vms_than_allowed(start):
    assert lines(start, """
        local function sleep()
            return ngx.run_worker_thread("lua", "work", "sleep", 0.2)
        end
        local a, b = ngx.thread.spawn(sleep), ngx.thread.spawn(sleep)
        ngx.say(ngx.run_worker_thread("lua", "work", "count"))
        ngx.say(ngx.thread.wait(a))
        ngx.say(ngx.thread.wait(b))
        ngx.say(ngx.run_worker_thread("lua", "work", "count"))
        ngx.say(ngx.run_worker_thread("lua", "work", "count"))
    """, http="lua_worker_thread_vm_pool_size 2;") == [
        "falseno available Lua vm", "truetrueslept", "truetrueslept",
        "true1", "true2"]


def test_the_client_may_go_away(start):
    server = run(start, """
        ngx.say(ngx.run_worker_thread("lua", "work", "sleep", 0.3))
    """, http="lua_check_client_abort on; lua_worker_thread_vm_pool_size 1;")
    with socket.create_connection((HOST, server.port("HTTP"))) as s:
        s.sendall(b"GET /t HTTP/1.0\r\n\r\n")
        time.sleep(0.1)
    time.sleep(0.5)
    assert server.http("/t").text == "trueslept\n"


def test_shared_dicts_are_the_same(start):
    assert lines(start, """
        local threads = {}
        for i = 1, 4 do
            threads[i] = ngx.thread.spawn(function()
                for _ = 1, 200 do
                    ngx.run_worker_thread("lua", "work", "shared", "n")
                end
            end)
        end
        for i = 1, 800 do ngx.shared.d:incr("n", 1, 0) end
        for i = 1, 4 do ngx.thread.wait(threads[i]) end
        ngx.say(ngx.shared.d:get("n"))
    """) == ["1600"]


def test_what_needs_a_request_is_not_there(start):
    server = run(start, """
        for _, name in ipairs { "say", "timer", "socket", "var", "md5", "log" } do
            local _, has = ngx.run_worker_thread("lua", "work", "has", name)
            ngx.say(name, " ", has)
        end
        ngx.run_worker_thread("lua", "work", "log", "from a thread")
        ngx.say(ngx.run_worker_thread("lua", "work", "regexes", 3000))
    """)
    assert server.http("/t").text.splitlines() == [
        "say false", "timer false", "socket false", "var false", "md5 true",
        "log true", "true3000"]
    server.wait_for_log("from a thread")


@pytest.mark.parametrize("phase", ["rewrite", "access", "timer"])
def test_other_phases(start, phase):
    work = 'ngx.shared.d:set("r", (select(2, ngx.run_worker_thread(' \
           '"lua", "work", "count"))))'
    location = "" if phase == "timer" else "%s_by_lua_block { %s }" % (
        phase, work)
    code = "ngx.timer.at(0, function() %s end) ngx.sleep(0.2)" % work \
        if phase == "timer" else ""
    assert lines(start, code + ' ngx.say(ngx.shared.d:get("r"))',
                 location=location) == ["1"]
