"""ngx.pipe: other programs, from coroutines."""

import os
import re
import socket
import threading

from lua_conf import http_lua
from resolua_server import HOST, is_running, wait_for

HEAD = """
    local pipe = require "ngx.pipe"
    local function spawn(...) return assert(pipe.spawn(...)) end
"""


def lines(start, code, **options):
    server = start(http_lua(HEAD + code, **options))
    return server.http("/t").text.splitlines()


def test_output_by_all_means(start):
    assert lines(start, """
        local p = spawn { "printf", "one\\ntwo\\nthree" }
        ngx.say(p:stdout_read_line())
        ngx.say(p:stdout_read_bytes(2))
        ngx.say(p:stdout_read_bytes(0))
        ngx.say(p:stdout_read_any(1))
        ngx.say(p:stdout_read_any(100):byte(1, -1))
        ngx.say(p:stdout_read_any(100))
        ngx.say(p:wait())
        p = spawn "printf abc; printf no >&2"
        ngx.say(p:stdout_read_all(), p:stderr_read_all())
        ngx.say(p:stdout_read_all())
        p = spawn { "printf", "ab" }
        ngx.say(p:stdout_read_bytes(3))
        p = spawn { "printf", "cd" }
        ngx.say(p:stdout_read_line())
    """) == ["one", "tw", "", "o", "10116104114101101", "nilclosed",
             "trueexit0", "abcno", "nilclosed", "nilclosedab", "nilclosedcd"]


def test_ends(start):
    assert lines(start, """
        ngx.say(spawn("exit 0"):wait())
        ngx.say(spawn("exit 7"):wait())
        local p = spawn { "sleep", 100 }
        ngx.say(p:kill(15))
        ngx.say(p:wait())
        ngx.say(p:wait())
        ngx.say(p:kill(15))
        p = spawn "exec sleep 100"
        ngx.say(p:kill(1000))
        p:set_timeouts(nil, nil, nil, 50)
        ngx.say(p:wait())
        ngx.say(p:kill(9))
        ngx.say(p:wait())
        ngx.say(pipe.spawn { "/no/such/program" })
    """) == ["trueexit0", "falseexit7", "true", "falsesignal15", "nilexited",
             "nilexited", "nilinvalid signal", "niltimeout", "true",
             "falsesignal9", "nilNo such file or directory"]


def test_input(start):
    assert lines(start, """
        local p = spawn { "cat" }
        ngx.say(p:write("text"))
        ngx.say(p:write { 1, { true, "x" } })
        ngx.say(p:write(""))
        ngx.say(p:shutdown("stdin"))
        ngx.say(p:shutdown("stdin"))
        ngx.say(p:write("more"))
        ngx.say(p:stdout_read_all())
        ngx.say(p:wait())
        p = spawn "exec 0<&-; echo; sleep 100"
        p:stdout_read_line()
        ngx.say(p:write("x"))
        p:kill(9)
    """) == ["4", "6", "0", "true", "nilclosed", "nilclosed", "text1truex",
             "trueexit0", "nilclosed"]


def test_much_both_ways(start):
    assert lines(start, """
        local p = spawn({ "cat" }, { buffer_size = 100000 })
        local text = ("0123456789abcde\\n"):rep(256 * 1024)
        local writer = ngx.thread.spawn(function()
            ngx.say(p:write(text))
            p:shutdown("stdin")
        end)
        local all = p:stdout_read_all()
        ngx.thread.wait(writer)
        ngx.say(#all, all == text, p:wait())
    """) == ["4194304", "4194304truetrueexit0"]


def test_timeouts(start):
    assert lines(start, """
        local p = spawn({ "sh", "-c", "printf part; exec sleep 100" },
            { stdout_read_timeout = 100, write_timeout = 50 })
        ngx.say(p:stdout_read_line())
        ngx.say(p:write(("x"):rep(1e6)))
        p:set_timeouts(nil, 10)
        local begin = ngx.now()
        ngx.say(p:stdout_read_all())
        ngx.update_time()
        ngx.say(ngx.now() - begin < 0.09)
    """) == ["niltimeoutpart", "niltimeout", "niltimeout", "true"]


def test_options(start):
    assert lines(start, """
        local p = spawn("echo $A $HOME; echo err >&2",
            { environ = { "A=1" }, merge_stderr = true })
        ngx.say(p:stdout_read_all())
        ngx.say(p:stderr_read_line())
        ngx.say(p:shutdown("stderr"))
        for _, options in ipairs { 1, { environ = "A" }, { environ = { 1 } },
                { buffer_size = 0 }, { write_timeout = -1 },
                { wait_timeout = "x" } } do
            ngx.say((select(2, pcall(pipe.spawn, "true", options))))
        end
        ngx.say((select(2, pcall(pipe.spawn, {}))))
        ngx.say((select(2, pcall(pipe.spawn))))
        ngx.say((select(2, pcall(p.stdout_read_bytes, p, -1))))
        ngx.say((select(2, pcall(p.stdout_read_any, p, 0))))
        ngx.say((select(2, pcall(p.shutdown, p, "std"))))
        ngx.say((select(2, pcall(p.write, p, print))))
        ngx.say((select(2, pcall(p.kill, p, "TERM"))))
    """) == ["1", "err", "", "nilmerged to stdout", "nilmerged to stdout",
             "bad opts argument: table expected, got number",
             "bad environ option: table expected, got string",
             "bad value at index 1 of environ option: string expected, "
             "got number", "bad buffer_size option", "bad write_timeout option",
             "bad wait_timeout option",
             "bad args argument: non-empty table expected",
             "bad args argument: table expected, got nil", "bad len argument",
             "bad max argument", "bad shutdown arg: std",
             "bad data argument: string, number, boolean, nil or table "
             "expected, got function",
             "bad signal argument: number expected, got string"]


def test_one_thread_at_a_time(start):
    assert lines(start, """
        local p = spawn { "cat" }
        local function go(f) return ngx.thread.spawn(f) end
        local a = go(function() return p:stdout_read_line() end)
        local b = go(function() return p:wait() end)
        ngx.say(p:stdout_read_line())
        ngx.say(p:wait())
        ngx.say(p:shutdown("stdout"))
        ngx.say(ngx.thread.wait(a))
        p:shutdown("stdin")
        ngx.say(ngx.thread.wait(b))
    """) == ["nilpipe busy reading", "nilpipe busy waiting", "true",
             "truenilaborted", "truetrueexit0"]


def test_killed_threads_leave_it_usable(start):
    assert lines(start, """
        local p = spawn { "cat" }
        local t = ngx.thread.spawn(function() p:stdout_read_line() end)
        ngx.thread.kill(t)
        p:write("x\\n")
        ngx.say(p:stdout_read_line())
    """) == ["x"]


def test_collected_processes_are_killed_and_reaped(start):
    server = start(http_lua(HEAD + """
        ngx.say(spawn({ "sleep", "1000" }):pid())
        collectgarbage() collectgarbage()
    """))
    pids = [int(server.http("/t").text) for _ in range(20)]
    server.http("/t")
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}")
                             for pid in pids), what="the processes' end")
    worker = server.worker_pids()[0]
    assert len(os.listdir(f"/proc/{worker}/fd")) < 40


def test_the_client_goes_away(start):
    server = start(http_lua(HEAD + """
        local p = spawn { "sleep", "1000" }
        ngx.log(ngx.WARN, "pid=", p:pid())
        p:set_timeouts(0, 0, 0, 0)
        p:wait()
    """, http="lua_check_client_abort on;",
        server='location /gc { content_by_lua_block { '
               'collectgarbage() collectgarbage() } }'))
    with socket.create_connection((HOST, server.port("HTTP"))) as s:
        s.sendall(b"GET /t HTTP/1.0\r\n\r\n")
        pid = int(server.wait_for_log(r"pid=(\d+)")[1])
    wait_for(lambda: server.http("/gc") and not is_running(pid))


def test_shell_functions_of_lua_still_work(start):
    assert lines(start, """
        for _ = 1, 20 do
            local f = io.popen("exit 3")
            local ok, reason, code = f:close()
            if code ~= 3 then ngx.say(ok, reason, code) end
        end
        ngx.say((select(3, os.execute("exit 4"))) or os.execute("exit 4"))
    """)[-1] in ("4", "1024")


def test_many_at_once(start):
    server = start(http_lua(HEAD + """
        local threads = {}
        for i = 1, 50 do
            threads[i] = ngx.thread.spawn(function()
                local p = spawn { "sh", "-c", "read x; echo $x; exit " .. i }
                p:write(i .. "\\n")
                local text = p:stdout_read_line()
                local _, _, code = p:wait()
                return tonumber(text) == i and code == i
            end)
        end
        local good = 0
        for i = 1, 50 do
            local ok, right = ngx.thread.wait(threads[i])
            good = good + (ok and right and 1 or 0)
        end
        ngx.say(good)
    """), workers=2)
    replies = []
    threads = [threading.Thread(
        target=lambda: replies.append(server.http("/t", timeout=30).text))
        for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert replies == ["50\n"] * 4


def test_in_timers_and_stream(start):
    server = start(http_lua("", main="""
        init_worker_by_lua_block {
            ngx.timer.at(0, function()
                local p = require("ngx.pipe").spawn("echo from a timer")
                ngx.log(ngx.WARN, p:stdout_read_line())
            end) }
        stream { server { listen 127.0.0.1:@DNS@; content_by_lua_block {
            ngx.print(require("ngx.pipe").spawn("echo s"):stdout_read_all())
        } } }"""))
    server.wait_for_log("from a timer")
    with socket.create_connection((HOST, server.port("DNS")), 5) as s:
        assert s.makefile().read() == "s\n"


def test_no_descriptors_reach_the_child(start):
    text = "\n".join(lines(start, """
        ngx.say(spawn("ls -l /proc/self/fd"):stdout_read_all())
    """))
    assert not re.search(r"socket:|eventpoll", text), text


def test_exiting_worker_ends_them(start):
    server = start(http_lua(HEAD + """
        kept = spawn { "sleep", "1000" }
        ngx.say(kept:pid())
    """))
    pid = int(server.http("/t").text)
    server.stop()
    wait_for(lambda: not is_running(pid))
