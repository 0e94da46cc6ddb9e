"""A new configuration whose init_by_lua* fails is refused: the server goes on
with the one that it has."""

import os
import re
import signal

import pytest

from lua_conf import http_lua
from resolua_server import Failed, accepts_tcp, wait_for

IN_STREAM = """
    http { lua_shared_dict dogs 1m; init_by_lua_block { kind = "bad" } }
    stream { init_by_lua_block { error("in stream") }
             server { listen 127.0.0.1:@X@; return x; } }
"""
OLD = """
    http {
        lua_shared_dict dogs 1m;
        lua_capture_error_log 32k;
        %s
        server { listen 127.0.0.1:@HTTP@;
            location /t { content_by_lua_block { ngx.say("%s", " ",
                kind, " ", (ngx.shared.dogs:incr("n", 1, 0))) } }
            location /log { content_by_lua_block {
                ngx.log(ngx.ERR, "captured")
                ngx.say(#require("ngx.errlog").get_logs() > 0) } } }
    }
"""
GOOD = 'init_by_lua_block { kind = "good" }'
BAD = {
    "error": "init_by_lua_block { kind = 'bad' error('bad') }",
    "no text": "init_by_lua_block { error({}) }",
    "syntax": "init_by_lua_block { local = }",
    "missing file": "init_by_lua_file @FOLDER@/none.lua;",
    "missing module": "init_by_lua_block { require 'none' }",
    "exit": "init_by_lua_block { ngx.exit(403) }",
    "stream": None,
}


def refused(server):
    return len(re.findall("init_by_lua\\* has failed: this configuration is "
                          "not used", server.log()))


def test_the_old_configuration_stays_in_force(start):
    server = start(OLD % (GOOD, "old"))
    assert server.http("/t").text == "old good 1\n"
    count = 1
    for name, bad in BAD.items():
        workers = server.worker_pids()
        before = refused(server)
        server.write(OLD % (bad, name) if bad else IN_STREAM)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: refused(server) > before or
                 server.process.poll() is not None, 20, name)
        assert server.process.poll() is None, name
        assert server.worker_pids() == workers, name
        count += 1
        assert server.http("/t").text == f"old good {count}\n", name
    # A worker that the master starts now has the old VM and its settings.
    worker = server.worker_pids()[0]
    server.allow_log(f"{worker} exited on signal 9")
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: server.worker_pids() not in ([], [worker]))
    count += 1
    assert server.http("/t").text == f"old good {count}\n"
    assert server.http("/log").text == "true\n"
    server.write(OLD % ('init_by_lua_block { kind = "new" }', "new"))
    server.reload()
    wait_for(lambda: server.http("/t").text.startswith("new new "))
    assert refused(server) == len(BAD)


@pytest.mark.parametrize("name", ["error", "missing file"])
def test_a_start_that_fails(start, name):
    server = start(OLD % (BAD[name], name), run=False)
    code, text = server.test_configuration()
    assert code == 1 and "has failed" in text
    with pytest.raises(Failed):
        server.start()


def test_a_reload_without_a_master(start):
    server = start(http_lua("""
        ngx.say(ngx.run_worker_thread("default", "work", "go"))
    """, main="master_process off;",
                            http="lua_package_path '@FOLDER@/?.lua;;';"
                            "init_by_lua_block { ngx.log(ngx.ERR, 'made') }"),
                   run=False)
    server.file("work.lua", "return { go = function() return 'done' end }")
    server._is_ready = lambda: accepts_tcp(server.port("HTTP"))
    server.start()
    assert server.http("/t").text == "truedone\n"
    # nginx accepts nothing more then; it must end as it was told to.
    made = server.log().count("made")
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.log().count("made") > made)

    def has_ended():  # a signal during the reload is seen after the next event
        server.process.send_signal(signal.SIGQUIT)
        return server.process.poll() is not None

    wait_for(has_ended, 20)
    assert server.process.returncode == 0
