"""Directives that speak of the one VM, and a library of locks over it."""

import os
import signal
import threading
import time

import pytest

from lua_conf import http_lua

LOCK = """
local lock = {}
lock.__index = lock
function lock.new(name)
    return setmetatable({ dict = ngx.shared[name] }, lock)
end
function lock:lock(key)
    local waited, step = 0, 0.001
    while not self.dict:add(key, true, 30) do
        if waited > 5 then return nil, "timeout" end
        ngx.sleep(step)
        waited, step = waited + step, math.min(step * 2, 0.05)
    end
    self.key = key
    return waited
end
function lock:unlock()
    self.dict:delete(self.key)
    return 1
end
return lock
"""


def test_a_library_of_locks(start, tmp_path):
    (tmp_path / "locks.lua").write_text(LOCK)
    tmp_path.chmod(0o755)
    server = start(http_lua("""
        local d = ngx.shared.d
        d:set("n", 0)
        local function add()
            local lock = require("locks").new("d")
            for _ = 1, 5 do
                assert(lock:lock("key"))
                local n = d:get("n")
                ngx.sleep(0.001)
                d:set("n", n + 1)
                lock:unlock()
            end
        end
        local threads = {}
        for i = 1, 4 do threads[i] = ngx.thread.spawn(add) end
        for i = 1, 4 do assert(ngx.thread.wait(threads[i])) end
        ngx.say((d:get("n")))
    """, http="lua_shared_dict d 100k; lua_package_path '%s/?.lua;;';"
        % tmp_path))
    assert server.http("/t").text == "20\n"


def test_package_paths_of_stream_and_http_are_added(start, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"only_{name}.lua").write_text(f"return '{name}'")
        (tmp_path / name / "both.lua").write_text(f"return 'both {name}'")
    server = start(http_lua(
        "ngx.say(require 'only_a', require 'only_b', ' ', require 'both')",
        main="stream { lua_package_path '%s/a/?.lua;;'; }" % tmp_path,
        http="lua_package_path '%s/b/?.lua;;';" % tmp_path))
    assert server.http("/t").text == "ab both a\n"


@pytest.mark.parametrize("name", ["lua_package_path", "lua_package_cpath"])
def test_package_paths_may_contradict(start, name):
    server = start("stream { %s '/a/?;;'; } http { %s '/b/?'; }"
                   % (name, name), run=False)
    server.allow_log("contradicts")
    code, text = server.test_configuration()
    assert code != 0 and "contradicts an earlier one" in text


@pytest.mark.parametrize("options", ["", "jo", "o"])
def test_a_match_has_a_limit(start, options):
    server = start(http_lua("""
        ngx.say(ngx.re.match(("a"):rep(30), "(a+)+[bc]", "%s"))
        ngx.say(ngx.re.match("aab", "(a+)+b", "%s")[0])
    """ % (options, options), http="lua_regex_match_limit 500;"))
    lines = server.http("/t").text.splitlines()
    assert lines[0].startswith("nil") and "match limit" in lines[0]
    assert lines[1] == "aab"


def test_the_cache_of_expressions_is_bounded_and_still_right(start):
    server = start(http_lua("""
        local bad = 0
        for i = 1, 200 do
            local m = ngx.re.match("x" .. i .. "y", "x(" .. i .. ")y", "jo")
            if not m or m[1] ~= tostring(i) then bad = bad + 1 end
        end
        ngx.say(bad)
    """, http="lua_regex_cache_max_entries 3;"))
    assert server.http("/t").text == "0\n"


@pytest.mark.parametrize("setting, out", [
    ("", "done\n"), ("lua_sa_restart on;", "done\n"),
    ("lua_sa_restart off;", "nil\n")])
def test_a_signal_does_not_end_a_blocking_call(start, setting, out):
    server = start(http_lua("""
        local pipe = io.popen("sleep 0.6; echo done")
        ngx.say((pipe:read("*l")))
    """, http=setting))
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(server.http("/t").text))
    asking.start()
    time.sleep(0.3)
    os.kill(server.worker_pids()[0], signal.SIGUSR1)
    asking.join()
    assert answers == [out]


@pytest.mark.parametrize("place", ["http", "stream", "main"])
def test_package_paths_name_the_prefix(start, place):
    paths = ("lua_package_path '$prefix/m/?.lua;${prefix}/n/?.lua;;';"
             "lua_package_cpath '${prefix}/c/?.so;;';")
    server = start(http_lua(
        "ngx.say(require 'of_m', require 'of_n', ' ', package.cpath)",
        **{place if place != "stream" else "main":
           paths if place != "stream" else "stream { %s }" % paths}),
        run=False)
    server.file("m/of_m.lua", "return 'm'")
    server.file("n/of_n.lua", "return 'n'")
    server.folder.chmod(0o755)
    server.start()
    text = server.http("/t").text
    assert text.startswith(f"mn {server.folder}/")
    assert "prefix" not in text and "/c/?.so;" in text


def test_init_sees_the_values_of_env_directives(start):
    server = start(http_lua("""
        local getenv = os.getenv
        ngx.say(in_init, " / ", getenv("GIVEN"), " ", getenv("BOTH"), " ",
                getenv("KEPT"), " ", getenv("OTHER"), " ", getenv("EMPTY"))
    """, main="""
        env GIVEN=new=1; env BOTH=conf; env KEPT; env EMPTY=; env GIVE=no;
        init_by_lua_block {
            local t = {}
            for i, name in ipairs{ "GIVEN", "BOTH", "KEPT", "OTHER", "EMPTY",
                    "ABSENT" } do
                t[i] = tostring(os.getenv(name))
            end
            in_init = table.concat(t, " ")
        }"""), env={"BOTH": "old", "KEPT": "kept", "OTHER": "other"})
    assert server.http("/t").text == (
        "new=1 conf kept other  nil / new=1 conf kept nil \n")
