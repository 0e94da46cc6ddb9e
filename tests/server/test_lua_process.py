"""ngx.process, ngx.errlog, ngx.worker, resty.core, the VM's limits."""

import os
import socket

import pytest

from lua_conf import http_lua
from resolua_server import HOST, wait_for


def body(start, code, **options):
    workers = options.pop("workers", 1)
    server = start(http_lua(code, **options), workers=workers)
    return server, server.http("/t").text


def test_process(start):
    server, text = body(start, """
        local process = require "ngx.process"
        ngx.say(process.type())
        ngx.say(in_init)
        ngx.say(process.get_master_pid())
        ngx.say(process.enable_privileged_agent(10))
        local pids = ngx.worker.pids()
        table.sort(pids)
        ngx.say(table.concat(pids, " "))
    """, main='init_by_lua_block { in_init = require("ngx.process").type() .. " " .. ngx.worker.count() }',
        workers=3)
    lines = text.splitlines()
    assert lines[:2] == ["worker", "master 3"]
    assert int(lines[2]) == server.pid
    assert lines[3] == "nilnot supported by this nginx"
    # A worker learns of those that start after it by and by.
    wait_for(lambda: sorted(map(int, server.http("/t").text.splitlines()[4]
                                .split())) == sorted(server.worker_pids()))


def test_a_worker_can_end_itself(start):
    server, text = body(start, """
        require("ngx.process").signal_graceful_exit()
        ngx.say(ngx.worker.pid())
    """)
    old = int(text)
    wait_for(lambda: server.worker_pids() and old not in server.worker_pids())
    with pytest.raises(OSError):
        os.kill(old, 0)


def test_resty_core_may_be_required(start):
    _, text = body(start, """
        local core = require "resty.core"
        require "resty.core.regex"
        require "resty.core.shdict"
        ngx.say(type(core.version))
    """)
    assert text == "string\n"


def test_errlog_keeps_lines(start):
    server, text = body(start, """
        local errlog = require "ngx.errlog"
        errlog.get_logs()
        ngx.log(ngx.WARN, "first line")
        errlog.raw_log(ngx.NOTICE, "second line")
        local logs = errlog.get_logs(1)
        ngx.say(#logs, " ", logs[1] == ngx.WARN, " ",
                math.abs(logs[2] - ngx.now()) < 5, " ",
                logs[3]:find("first line", 1, true) ~= nil)
        logs = errlog.get_logs(10, logs)
        ngx.say(#logs, " ", logs[1] == ngx.NOTICE, " ",
                logs[3]:find("%] %d+#%d+: second line$") ~= nil
                or logs[3]:find("second line", 1, true) ~= nil)
        ngx.say(#errlog.get_logs())
        ngx.say(errlog.set_filter_level(ngx.ERR))
        ngx.log(ngx.WARN, "third")
        ngx.say(#errlog.get_logs())
        ngx.say(errlog.get_sys_filter_level() == ngx.INFO)
        ngx.say(pcall(errlog.raw_log, 99, "x"))
    """, http="lua_capture_error_log 32k;")
    assert text.splitlines() == [
        "3 true true true", "3 true true", "0", "true", "0", "true",
        "falsebad argument #1 to '?' (bad log level)"]
    server.allow_log("line")


def test_errlog_lets_go_of_the_oldest(start):
    _, text = body(start, """
        local errlog = require "ngx.errlog"
        for i = 1, 1000 do ngx.log(ngx.NOTICE, "line ", i, ".") end
        local logs = errlog.get_logs()
        ngx.say(#logs > 30 and #logs < 300, " ", #logs % 3, " ",
                logs[#logs]:find("line 1000.", 1, true) ~= nil)
        ngx.say(logs[3]:find("line 1.", 1, true))
    """, http="lua_capture_error_log 8k;")
    assert text.splitlines() == ["true 0 true", "nil"]


def test_errlog_without_the_directive(start):
    _, text = body(start, """
        local errlog = require "ngx.errlog"
        ngx.say(errlog.get_logs())
        ngx.say(errlog.set_filter_level(ngx.ERR))
    """)
    assert text == 'nildirective "lua_capture_error_log" is not set\n' * 2


def test_no_more_timers_than_allowed(start):
    server, text = body(start, """
        local n = 0
        for i = 1, 3 do
            ngx.say(ngx.timer.at(0.01, function() n = n + 1 ngx.sleep(1) end))
        end
        ngx.sleep(0.1)
        ngx.say(n, ngx.timer.running_count(), ngx.timer.pending_count())
    """, http="lua_max_pending_timers 2; lua_max_running_timers 1;")
    server.allow_log("lua_max_running_timers are not enough")
    assert text.splitlines() == ["1", "1", "niltoo many pending timers", "110"]


@pytest.mark.parametrize("name", ["lua_max_pending_timers",
                                  "lua_capture_error_log"])
@pytest.mark.parametrize("second, good", [(20000, True), (30000, False)])
def test_the_same_again_is_no_contradiction(start, name, second, good):
    server = start("stream { %s 20000; } http { %s %d; }"
                   % (name, name, second), run=False)
    server.allow_log("contradicts")
    code, text = server.test_configuration()
    assert (code == 0) == good
    assert ("contradicts" in text) == (not good)


def test_config_tells_the_subsystem(start):
    server, text = body(start, "ngx.say(ngx.config.subsystem, ngx.config.none)",
                        main="stream { server { listen 127.0.0.1:@DNS@; "
                             "content_by_lua_block { "
                             "ngx.say(ngx.config.subsystem) } } }")
    assert text == "httpnil\n"
    with socket.create_connection((HOST, server.port("DNS")), 5) as s:
        assert s.makefile().read() == "stream\n"


def test_a_workers_own_chunks_have_a_context_and_a_phase(start):
    server = start(http_lua("ngx.say(ngx.shared.d:get('seen'))",
                            http="lua_shared_dict d 1m;", main="""
        init_worker_by_lua_block {
            ngx.ctx.x = 1
            local function why(f, ...)
                return (select(2, pcall(f, ...)):gsub("^.-:%d+: ", ""))
            end
            ngx.shared.d:set("seen", table.concat({ ngx.get_phase(), ngx.ctx.x,
                why(ngx.say, "x"), why(ngx.sleep, 1),
                why(ngx.req.get_method), why(function() return ngx.var.uri end),
                why(function() return ngx.status end),
                tostring(require("ngx.semaphore").new(1):wait(0)) }, "|"))
        }
        exit_worker_by_lua_block {
            ngx.ctx.y = "left"
            ngx.log(ngx.WARN, ngx.get_phase(), "=", ngx.ctx.y, ngx.ctx.x)
        }"""))
    disabled = "API disabled in the context of init_worker_by_lua*|"
    assert server.http("/t").text == (
        "init_worker|1|" + disabled * 4
        + "API disabled in the current context|true\n")
    server.stop()
    assert "exit_worker=leftnil" in server.log()


def test_fields_of_a_request_where_there_is_none(start):
    server = start(http_lua("""
        local seen
        ngx.timer.at(0, function()
            seen = { pcall(function() return ngx.status end),
                pcall(function() ngx.status = 200 end),
                pcall(function() return ngx.headers_sent end),
                ngx.no_such_field }
        end)
        ngx.sleep(0.01)
        ngx.say(seen[1], seen[2], seen[3], seen[4])
    """))
    assert server.http("/t").text == "falsefalsefalsenil\n"
