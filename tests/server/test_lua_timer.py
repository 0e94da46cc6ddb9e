"""Timers when a worker exits, and very many of them."""

import concurrent.futures
import re
import threading
import time

import pytest

from lua_conf import http_lua
from resolua_server import sanitizer_environment


def test_a_worker_that_exits_runs_what_is_pending(start):
    server = start(http_lua("", main="""
        init_worker_by_lua_block {
            local function note(premature, name)
                ngx.log(ngx.WARN, name, "=", premature)
                ngx.log(ngx.WARN, name, ":", (select(2, ngx.timer.at(1, note))))
                ngx.timer.at(0, function(p) ngx.log(ngx.WARN, "zero=", p) end)
                ngx.sleep(0.05)
                ngx.log(ngx.WARN, name, " slept")
            end
            ngx.timer.at(3600, note, "once")
            ngx.timer.every(3600, note, "every")
        }"""))
    server.stop()
    log = server.log()
    for text in ("once=true", "every=true", "once:process exiting",
                 "zero=true", "once slept", "every slept"):
        assert len(re.findall(re.escape(text), log)) in (1, 2), text


def test_a_reload_too(start):
    server = start(http_lua("", main="""
        init_worker_by_lua_block {
            ngx.timer.at(3600, function(premature)
                ngx.log(ngx.WARN, "premature=", premature, ngx.worker.exiting())
            end) }"""))
    server.reload()
    server.wait_for_log("premature=truetrue")
    server.stop()
    assert server.log().count("premature=truetrue") == 2


def test_timers_are_no_longer_limited_by_those_that_ended(start):
    server = start(http_lua("""
        for round = 1, 5 do
            for i = 1, 1024 do assert(ngx.timer.at(0, function() end)) end
            ngx.say((select(2, ngx.timer.at(0, function() end))))
            repeat ngx.sleep(0.001) until ngx.timer.pending_count() == 0
        end
        ngx.say(ngx.timer.running_count())
    """, http="lua_max_running_timers 5000;"))
    assert server.http("/t").text == "too many pending timers\n" * 5 + "0\n"


def test_a_hundred_thousand(start):
    server = start(http_lua("""
        local function resident()
            local f = io.open("/proc/self/status")
            local text = f:read("*a") f:close()
            return tonumber(text:match("VmRSS:%s+(%d+)")) * 1024
        end
        local n = 100000
        collectgarbage()
        local before = resident()
        for i = 1, n do
            assert(ngx.timer.at(0, function() ngx.sleep(1000) end))
        end
        repeat ngx.sleep(0.01) until ngx.timer.pending_count() == 0
        collectgarbage()
        ngx.say(ngx.timer.running_count() == n,
            " ", math.floor((resident() - before) / n))
    """, http="lua_max_pending_timers 100000; lua_max_running_timers 100000;"))
    ok, size = server.http("/t", timeout=60).text.split()
    assert ok == "true"
    assert sanitizer_environment() or int(size) <= 1024
    server.kill()


def test_sleeping_for_no_time_lets_others_run(start):
    server = start(http_lua("""
        if ngx.var.arg_other then ngx.shared.d:set("seen", 1)
            return ngx.say("other") end
        local function again(premature)
            if not premature then ngx.timer.at(0, again) end
        end
        ngx.timer.at(0, again)
        local begin = ngx.now()
        while not ngx.shared.d:get("seen") and ngx.now() - begin < 5 do
            ngx.sleep(0)
        end
        ngx.say(ngx.shared.d:get("seen"))
    """, http="lua_shared_dict d 1m;"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(server.http, "/t")
        time.sleep(0.1)
        assert server.http("/t?other=1").text == "other\n"
        assert slow.result().text == "1\n"


@pytest.mark.parametrize("work", [0, 100000])
def test_naps_keep_no_other_request_waiting(start, work):
    """ngx.sleep(0) without an end, with much work between or with none."""
    server = start(http_lua("""
        local d = ngx.shared.d
        d:set("begun", true)
        local x = 0
        while not d:get("end") do
            for i = 1, %d do x = x + i %% 7 end
            ngx.sleep(0)
        end
        ngx.say("done")
    """ % work, http="lua_shared_dict d 100k;", server="""
        location /end { content_by_lua_block {
            ngx.say(ngx.shared.d:get("begun")) ngx.shared.d:set("end", true)
        } }"""))
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(server.http("/t", timeout=60).text))
    asking.start()
    while server.http("/end", timeout=60).text != "true\n":
        pass
    asking.join()
    assert answers == ["done\n"]


def test_naps_let_the_requests_threads_take_turns(start):
    server = start(http_lua("""
        local order = {}
        local function go(name)
            for i = 1, 300 do
                order[#order + 1] = name
                coroutine.wrap(function() ngx.sleep(0) end)()
            end
        end
        local a, b = ngx.thread.spawn(go, "a"), ngx.thread.spawn(go, "b")
        ngx.thread.wait(a) ngx.thread.wait(b)
        ngx.say(table.concat(order) == ("ab"):rep(300))
        local c = ngx.thread.spawn(function() while true do ngx.sleep(0) end end)
        ngx.say(ngx.thread.kill(c), ngx.sleep(0))
    """))
    assert server.http("/t").text == "true\n1\n"
