"""ngx.thread and ngx.semaphore."""

import time

import pytest

from lua_conf import http_lua
from resolua_server import sanitizer_environment


@pytest.fixture
def run(start):
    def go(code, allow=None):
        server = start(http_lua(code))
        if allow:
            server.allow_log(allow)
        return server.http("/t").text
    return go


def test_spawn_runs_at_once_and_wait_gives_results(run):
    assert run("""
        local t = ngx.thread.spawn(function(a, b)
            ngx.say("in") return a + b, "x" end, 1, 2)
        ngx.say("out ", coroutine.status(t))
        ngx.say(ngx.thread.wait(t))
        ngx.say(ngx.thread.wait(t))
    """) == "in\nout zombie\ntrue3x\nnilalready waited or killed\n"


def test_threads_sleep_beside_each_other(run):
    begin = time.monotonic()
    text = run("""
        local threads = {}
        for i = 1, 10 do
            threads[i] = ngx.thread.spawn(function()
                ngx.sleep(0.1) return i end)
        end
        for i = 1, 10 do ngx.print(select(2, ngx.thread.wait(threads[i]))) end
    """)
    assert text == "12345678910"
    assert time.monotonic() - begin < 5


def test_wait_for_the_first(run):
    assert run("""
        local slow = ngx.thread.spawn(function() ngx.sleep(5) return "slow" end)
        local fast = ngx.thread.spawn(function() ngx.sleep(0.02) return "fast" end)
        ngx.say(ngx.thread.wait(slow, fast))
        ngx.say(ngx.thread.kill(slow))
        ngx.say(ngx.thread.kill(slow))
        ngx.say(ngx.thread.kill(fast))
    """) == ("truefast\n1\nnilalready waited or killed\n"
             "nilalready waited or killed\n")


def test_the_request_ends_with_its_last_thread(run):
    assert run("""
        ngx.thread.spawn(function() ngx.sleep(0.05) ngx.say("late") end)
        ngx.say("entry")
    """) == "entry\nlate\n"


def test_exit_in_a_thread_ends_all(run):
    assert run("""
        ngx.say("begin")
        ngx.thread.spawn(function() ngx.sleep(0.01) ngx.exit(ngx.OK) end)
        ngx.sleep(5)
        ngx.say("never")
    """) == "begin\n"


def test_exit_at_once_in_a_thread(run):
    assert run("""
        ngx.say("begin")
        ngx.thread.spawn(function() ngx.exit(ngx.OK) end)
        ngx.say("never")
    """) == "begin\n"


def test_a_thread_that_fails(run):
    assert run("""
        local t = ngx.thread.spawn(function() ngx.sleep(0.01) error("oops", 0) end)
        ngx.say(ngx.thread.wait(t))
    """, "oops") == "falseoops\n"


def test_nested_threads_and_coroutines(run):
    assert run("""
        local function leaf(n) ngx.sleep(0.01) return n end
        local t = ngx.thread.spawn(function()
            local co = coroutine.wrap(function()
                coroutine.yield(leaf(1)) return leaf(2) end)
            local inner = ngx.thread.spawn(leaf, 3)
            local a, b = co(), co()
            local _, c = ngx.thread.wait(inner)
            return a + b + c
        end)
        ngx.say(ngx.thread.wait(t))
        ngx.say(pcall(ngx.thread.wait, coroutine.create(leaf)))
    """).startswith("true6\nfalse")


def test_full_duplex_on_one_socket(start):
    from lua_conf import Peer, echo
    peer = Peer(echo)
    server = start(http_lua("""
        local sock = ngx.socket.connect("127.0.0.1", %d)
        local reader = ngx.thread.spawn(function()
            local got = 0
            while got < 3000000 do
                local data = assert(sock:receiveany(65536))
                got = got + #data
            end
            return got
        end)
        assert(sock:send(("x"):rep(3000000)))
        ngx.say(select(2, ngx.thread.wait(reader)))
    """ % peer.port))
    try:
        assert server.http("/t").text == "3000000\n"
    finally:
        peer.close()


def test_semaphore(run):
    assert run("""
        local s = require("ngx.semaphore").new(1)
        ngx.say(s:count(), (s:wait(1)), s:count())
        ngx.say(s:wait(0)) ngx.say(s:wait(0.01))
        local t = ngx.thread.spawn(function() return s:wait(5) end)
        ngx.say(s:count())
        s:post(2)
        ngx.say(ngx.thread.wait(t)) ngx.say(s:count())
    """) == ("1true0\nniltimeout\nfalsetimeout\n-1\ntruetruenil\n1\n")


def test_semaphore_between_requests(start):
    server = start("""http {
        init_by_lua_block { s = nil }
        init_worker_by_lua_block {
            package.loaded.sema = require("ngx.semaphore").new() }
        server { listen 127.0.0.1:@HTTP@;
            location /wait { content_by_lua_block {
                ngx.say(package.loaded.sema:wait(5)) } }
            location /post { content_by_lua_block {
                package.loaded.sema:post(3)
                ngx.say(package.loaded.sema:count()) } } } }""")
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(lambda: server.http("/wait").text)
                   for _ in range(3)]
        server.http("/post")
        assert [w.result() for w in waiting] == ["truenil\n"] * 3


def test_a_lock_over_a_shared_dict(start):
    """As the lock libraries do it: add() and sleep()."""
    server = start(http_lua("""
        local locks = ngx.shared.locks
        local busy = 0
        local function work()
            while not locks:add("l", true, 5) do ngx.sleep(0.001) end
            busy = busy + 1 assert(busy == 1)
            ngx.sleep(0.002)
            busy = busy - 1
            locks:delete("l")
        end
        local threads = {}
        for i = 1, 20 do threads[i] = ngx.thread.spawn(work) end
        for i = 1, 20 do assert(ngx.thread.wait(threads[i])) end
        ngx.say("done")
    """, http="lua_shared_dict locks 64k;"))
    assert server.http("/t").text == "done\n"


def test_a_yield_lets_the_others_run(start):
    server = start(http_lua("""
        ngx.thread.spawn(function()
            ngx.print(1) coroutine.yield() ngx.print(4) coroutine.yield()
            ngx.print(7)
        end)
        ngx.thread.spawn(function()
            ngx.print(2) coroutine.yield() ngx.print(5)
        end)
        ngx.print(3) coroutine.yield() ngx.print(6) coroutine.yield()
        ngx.print(8)
    """))
    assert server.http("/t").text == "12435768"


def test_yields_do_not_keep_others_waiting(start):
    server = start(http_lua("""
        ngx.thread.spawn(function() while true do coroutine.yield() end end)
        ngx.sleep(0.05)
        ngx.print("awake")
        ngx.exit(ngx.OK)
    """))
    assert server.http("/t").text == "awake"


def test_endless_yields_of_two_threads(start):
    server = start(http_lua("""
        local function go() while true do coroutine.yield() end end
        ngx.thread.spawn(go) ngx.thread.spawn(go)
        ngx.sleep(0.05)
        ngx.print("awake")
        ngx.exit(ngx.OK)
    """))
    assert server.http("/t").text == "awake"


def test_memory(start):
    server = start(http_lua("""
        local s = require("ngx.semaphore").new()
        for _ = 1, 50 do
            local t = ngx.thread.spawn(function() s:wait(1) ngx.sleep(0) end)
            s:post()
            ngx.thread.wait(t)
        end
        ngx.thread.spawn(function() ngx.sleep(10) end)
        ngx.exit(ngx.OK)
    """))
    for _ in range(20):
        server.http("/t")
    before = server.workers_memory()
    for _ in range(40):
        server.http("/t")
    assert server.workers_memory() < before + 2_000_000


def test_what_has_ended_goes_while_the_request_goes_on(start):
    server = start(http_lua("""
        local function resident()
            collectgarbage() collectgarbage()
            local f = io.open("/proc/self/status")
            local text = f:read("*a") f:close()
            return tonumber(text:match("VmRSS:%s+(%d+)"))
        end
        local function round()
            for i = 1, 10000 do
                local t = ngx.thread.spawn(function() ngx.sleep(0) end)
                ngx.thread.wait(t)
                ngx.thread.spawn(function() return i end) -- nobody waits
                t = ngx.thread.spawn(function()
                    coroutine.wrap(function() ngx.sleep(10) end)()
                end)
                ngx.thread.kill(t)
                coroutine.wrap(function() return i end)()
                coroutine.resume(coroutine.create(error))
            end
        end
        round()
        local before = resident()
        round()
        ngx.say(resident() - before)
    """))
    grown = int(server.http("/t", timeout=60).text)
    assert sanitizer_environment() or grown < 2000  # KiB


def test_waiting_and_killing_when_all_is_over(start):
    server = start(http_lua("""
        local spawn, wait, kill = ngx.thread.spawn, ngx.thread.wait, ngx.thread.kill
        local good = spawn(function() return 1, "x" end)
        local bad = spawn(function() error("no luck", 0) end)
        ngx.say(coroutine.status(good), coroutine.status(bad))
        ngx.say(coroutine.resume(good))
        ngx.say(kill(good))
        ngx.say(wait(good)) ngx.say(wait(good)) ngx.say(kill(good))
        ngx.say(wait(bad)) ngx.say(wait(bad))
        local slow = spawn(function() ngx.sleep(10) end)
        ngx.say(kill(slow)) ngx.say(kill(slow)) ngx.say(wait(slow))
        ngx.say(coroutine.status(slow))
        local parent
        parent = spawn(function()
            ngx.sleep(0)
            spawn(function() ngx.say(kill(parent)) end)
            return "parent"
        end)
        ngx.say(wait(parent))
        local co = coroutine.create(function() return 5 end)
        ngx.say(coroutine.resume(co)) ngx.say(coroutine.status(co))
        ngx.say(coroutine.resume(co))
    """))
    assert server.http("/t").text.splitlines() == [
        "zombiezombie", "falsecannot resume dead coroutine",
        "nilalready terminated", "true1x", "nilalready waited or killed",
        "nilalready waited or killed", "falseno luck",
        "nilalready waited or killed", "1", "nilalready waited or killed",
        "nilalready waited or killed", "dead", "nilkiller not parent",
        "trueparent", "true5", "dead", "falsecannot resume dead coroutine"]
    server.allow_log("no luck")
