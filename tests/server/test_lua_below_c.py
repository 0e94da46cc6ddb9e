"""What runs below a C function (require, a metamethod that string.format
calls): coroutines work there, and what would have to sleep raises an error
without a trace of having begun."""

import pytest

from lua_conf import Peer, echo, http_lua

MODULES = {
    "wut": "local t = {} for i in coroutine.wrap(function() for i = 1, 3 do "
           "coroutine.yield(i) end end) do t[i] = i end return t",
    "nested": """
        local function inner()
            local c = coroutine.wrap(function(a)
                local b = coroutine.yield(a + 1)
                return coroutine.wrap(function() return b * 2 end)()
            end)
            return c(1) + c(10)
        end
        return { value = coroutine.wrap(inner)() }""",
    "outlives": "local co = coroutine.create(function(a) "
                "local b = coroutine.yield(a + 1) ngx.sleep(0.001) "
                "return b + 1 end) "
                "return { co = co, first = select(2, coroutine.resume(co, 1)) }",
    "states": "local s, parent = {}, coroutine.running() "
              "local co co = coroutine.create(function() "
              "s[1] = coroutine.status(parent) s[2] = coroutine.status(co) "
              "error('inside', 0) end) "
              "s[3], s[4] = coroutine.resume(co) "
              "s[5] = coroutine.status(co) s[6], s[7] = coroutine.resume(co) "
              "return s",
    "mfail": "error('load failed')",
    "loop_a": "return require 'loop_b'",
    "loop_b": "return require 'loop_a'",
    "mexit": "return ngx.exit(ngx.HTTP_FORBIDDEN)",
    "mfalse": "return false",
    "mnumber": "loads = (loads or 0) + 1 return 0/0",
    "mnil": "loads = (loads or 0) + 1",
}

LOCATIONS = """
    location = /exit { access_by_lua_block { require("mexit") }
                       content_by_lua_block { ngx.say("PASSED") } }
    location = /loop { access_by_lua_block { require("loop_a") }
                       content_by_lua_block { ngx.say("PASSED") } }
    location = /fail { rewrite_by_lua_block { require("mfail") }
                       content_by_lua_block { ngx.say("PASSED") } }
"""


@pytest.fixture
def run(start):
    def go(code, more=LOCATIONS):
        server = start(http_lua(code, server=more,
                                http="lua_package_path '@FOLDER@/?.lua;;';"),
                       run=False)
        for name, text in MODULES.items():
            server.file(name + ".lua", text)
        return server.start()
    return go


def test_coroutines(run):
    assert run("""
        local function result(...) ngx.say(...) end
        local ok, t = pcall(require, "wut") result(ok, " ", ok and #t or t)
        result(require("nested").value)
        local o = setmetatable({}, { __tostring = function() return "v " ..
            coroutine.wrap(function() coroutine.yield("y") end)() end })
        result(select(2, pcall(string.format, "%s", o)))
        result(xpcall(function() error("x") end, function()
            local c = coroutine.create(function() coroutine.yield("in") end)
            local a, b = coroutine.resume(c)
            return tostring(a) .. " " .. tostring(b)
        end))
        result((("abc"):gsub(".", coroutine.wrap(function(c)
            while true do c = coroutine.yield(c .. c) end end))))
        -- Made below a C function, it is an ordinary one outside.
        local m = require "outlives"
        result(m.first, " ", table.concat({ coroutine.resume(m.co, 5) and "ok",
            coroutine.status(m.co) }, " "))
        for _, v in ipairs(require "states") do ngx.print(tostring(v), ";") end
    """).http("/t").text == (
        "true 3\n22\nv y\nfalsetrue in\naabbcc\n2 ok dead\n"
        "normal;running;false;inside;dead;false;"
        "cannot resume dead coroutine;")


def test_what_would_sleep(run):
    peer = Peer(echo)
    refused = """
        local refused = "attempt to yield across C-call boundary"
        local function below(name, f, ...)
            local arguments = { ... }
            local ok, err
            ("x"):gsub("x", function()
                ok, err = pcall(f, unpack(arguments)) end)
            if ok or not tostring(err):find(refused, 1, true) then
                ngx.say(name, " ", tostring(ok), " ", tostring(err))
            end
        end
    """
    server = run(refused + """
        local function socket()
            local s = ngx.socket.tcp()
            s:settimeout(50)
            assert(s:connect("127.0.0.1", %d))
            return s
        end
        local sema = require "ngx.semaphore".new()
        local late, udp = socket(), ngx.socket.udp()
        udp:settimeout(20)
        udp:setpeername("127.0.0.1", 9)
        local thread = ngx.thread.spawn(ngx.sleep, 0.1)
        below("sleep", ngx.sleep, 0.001)
        below("semaphore", sema.wait, sema, 0.001)
        below("receive", late.receive, late)
        below("udp", udp.receive, udp)
        below("connect", ngx.socket.tcp().connect, ngx.socket.tcp(),
            "127.0.0.1", %d)
        below("send", late.send, late, ("x"):rep(1e8))
        below("spawn", ngx.thread.spawn, function() end)
        below("wait", ngx.thread.wait, thread)
        below("capture", ngx.location.capture, "/none")
        below("exit", ngx.exit, 403)
        below("yield", coroutine.yield)
        below("worker thread", ngx.run_worker_thread, "default", "wut", "f")
        below("in a coroutine", coroutine.wrap(function() ngx.sleep(0.001) end))
        below("spawned in a coroutine", coroutine.wrap(function()
            ngx.thread.spawn(function() end) end))
        below("exit in a coroutine", coroutine.wrap(ngx.exit), 403)
        below("deeper", coroutine.wrap(function()
            coroutine.wrap(function() ngx.sleep(0.001) end)() end))
        -- None of these has begun anything: nothing wakes this sleep early.
        local begin = ngx.now()
        ngx.update_time() begin = ngx.now()
        ngx.sleep(0.2)
        ngx.update_time()
        ngx.say(ngx.now() - begin > 0.19, " ", ngx.thread.wait(thread))
        -- And what needs no sleep works.
        sema:post()
        local s = socket()
        s:send("line one\\nline two\\n")
        ngx.print(s:receive(), " ")
        ngx.say((("x"):gsub("x", function()
            return tostring(sema:wait(1)) .. s:receive() end)))
    """ % (peer.port, peer.port))
    try:
        assert server.http("/t", timeout=60).text == (
            "true true\nline one trueline two\n")
    finally:
        peer.close()


def test_a_load_that_has_failed(run):
    server = run("""
        for _ = 1, 3 do
            local ok, err = pcall(require, "mfail")
            ngx.say(ok, " ", (err:gsub("\\n.*", "")):match("[%w ]+ 'mfail'"),
                err:find("load failed", 1, true) ~= nil)
        end
        ngx.say(tostring(require("mfalse")), tostring(require("mfalse")))
        require "mnumber" require "mnumber" require "mnil" require "mnil"
        ngx.say(loads)
    """)
    loop = "false loop or previous error loading module 'mfail'false\n"
    assert server.http("/t").text == f"false niltrue\n{loop}{loop}falsefalse\n2\n"
    for path in "/exit", "/loop", "/fail":
        for _ in range(3):
            assert server.http(path).status == 500, path
    server.allow_log("runtime error: ")
    assert "loop or previous error loading module 'mexit'" in server.log()
    assert "loop or previous error loading module 'loop_a'" in server.log()
