"""ngx.shared."""

import contextlib
import os
import random
import re
import signal
import subprocess
import time

import pytest

from lua_conf import http_lua
from resolua_server import ROOT, sanitizer_environment, wait_for

DICT = "lua_shared_dict dogs 1m;"


@pytest.fixture
def run(start):
    def go(code, http=DICT):
        server = start(http_lua("local dogs = ngx.shared.dogs " + code,
                                http=http))
        return server.http("/t").text
    return go


def test_values_of_all_kinds(run):
    assert run("""
        for _, v in ipairs{ "text", "", 1.5, -3, true, false } do
            ngx.print(tostring((dogs:set("k", v))), " ",
                type(dogs:get("k")), tostring(dogs:get("k")), ";")
        end
        ngx.say(dogs:set("k", nil), dogs:get("k"))
        ngx.say(dogs:set("k", {}))
    """) == ("true stringtext;true string;true number1.5;true number-3;"
             "true booleantrue;true booleanfalse;truenil\nnilbad value type\n")


def test_flags_and_missing(run):
    assert run("""
        dogs:set("k", 1, 0, 77)
        ngx.say(dogs:get("k"))
        ngx.say(select("#", dogs:get("none")), tostring(dogs:get("none")))
        ngx.say(dogs:get(nil)) ngx.say(dogs:get(""))
        ngx.say(dogs:set(("x"):rep(65536), 1))
    """) == "177\n1nil\nnilnil key\nnilempty key\nnilkey too long\n"


def test_add_replace_delete(run):
    assert run("""
        ngx.say(dogs:add("a", 1)) ngx.say(dogs:add("a", 2))
        ngx.say(dogs:replace("a", 3)) ngx.say(dogs:replace("b", 3))
        ngx.say(dogs:add("a", nil))
        dogs:delete("a") ngx.say(dogs:get("a"))
    """) == ("truenilfalse\nfalseexistsfalse\ntruenilfalse\n"
             "falsenot foundfalse\nfalseattempt to add or replace nil valuesfalse\n"
             "nil\n")


def test_incr(run):
    assert run("""
        ngx.say(dogs:incr("n", 1))
        ngx.say(dogs:incr("n", 2, 10)) ngx.say(dogs:incr("n", -0.5))
        dogs:set("t", "x") ngx.say(dogs:incr("t", 1))
        ngx.say(pcall(dogs.incr, dogs, "n", 1, nil, 5))
    """) == ("nilnot found\n12nilfalse\n11.5\nnilnot a number\nfalsemust "
             "provide \"init\" when providing \"init_ttl\"\n")


def test_expiry(run):
    assert run("""
        dogs:set("k", "v", 0.05)
        ngx.say(dogs:get("k"), dogs:ttl("k") > 0)
        ngx.sleep(0.08)
        ngx.say(dogs:get("k"), dogs:ttl("k"))
        ngx.say(dogs:get_stale("k"))
        dogs:set("k", "w") ngx.say(dogs:ttl("k"))
        ngx.say(dogs:expire("k", 0.02), dogs:expire("none", 1))
        ngx.sleep(0.04) ngx.say(dogs:get("k"))
        dogs:incr("i", 1, 0, 0.02) ngx.sleep(0.04) ngx.say(dogs:get("i"))
    """) == ("vtrue\nnilnilnot found\nvniltrue\n0\ntruenilnot found\n"
             "nil\nnil\n")


def test_lists(run):
    assert run("""
        ngx.say(dogs:lpush("l", "b"), dogs:lpush("l", "a"), dogs:rpush("l", 3))
        ngx.say(dogs:llen("l"), dogs:llen("none"))
        ngx.say(dogs:get("l"))
        ngx.say(dogs:lpop("l"), dogs:rpop("l"), dogs:lpop("l"), dogs:lpop("l"))
        dogs:set("k", 1)
        ngx.say(dogs:lpush("k", 1)) ngx.say(dogs:llen("k"))
        ngx.say(dogs:lpush("l", true))
        dogs:rpush("l", "x") ngx.say(dogs:set("l", "y"), dogs:get("l"))
    """) == ("123\n30\nnilvalue is a list\na3bnil\nnilvalue not a list\n"
             "nilvalue not a list\nnilbad value type\ntruey\n")


def test_keys_and_flush(run):
    assert run("""
        for i = 1, 5 do dogs:set("k" .. i, i) end
        local keys = dogs:get_keys() table.sort(keys)
        ngx.say(table.concat(keys, ","), #dogs:get_keys(2))
        dogs:flush_all()
        ngx.say(#dogs:get_keys(), dogs:get("k1"), dogs:get_stale("k1"))
        ngx.say(dogs:flush_expired(2), dogs:flush_expired(), dogs:flush_expired())
        ngx.say(dogs:capacity(), dogs:free_space() > 900000)
    """) == "k1,k2,k3,k4,k52\n0nil1niltrue\n230\n1048576true\n"


def test_the_least_used_gives_way(run):
    assert run("""
        local forced
        for i = 1, 3000 do
            local ok, err, forcible = dogs:set("k" .. i, ("x"):rep(1000))
            assert(ok, err)
            forced = forced or forcible
            dogs:get("k1")
        end
        ngx.say(forced, dogs:get("k2"), #dogs:get("k1"), #dogs:get("k3000"))
        ngx.say(dogs:safe_set("big", ("y"):rep(500000)))
        ngx.say(dogs:set("big", ("y"):rep(2000000)))
        ngx.say(dogs:safe_add("more", ("y"):rep(500000)))
    """) == ("truenil10001000\nfalseno memoryfalse\nfalseno memorytrue\n"
             "falseno memoryfalse\n")


def test_shared_by_workers_and_subsystems_and_kept_over_a_reload(start):
    server = start("""
        http { lua_shared_dict dogs 1m;
            server { listen 127.0.0.1:@HTTP@;
                location / { content_by_lua_block {
                    ngx.say((ngx.shared.dogs:incr("n", 1, 0))) } } } }
        stream { lua_shared_dict dogs 1m;
            server { listen 127.0.0.1:@DNS@ udp;
                content_by_lua_block {
                    ngx.shared.dogs:incr("n", 100, 0) } } }""", workers=2)
    for _ in range(5):
        server.http("/")
    server.send_raw(b"x", timeout=0.05)
    wait_for(lambda: int(server.http("/").text) > 100)
    before = int(server.http("/").text)
    server.reload()
    assert int(server.http("/").text) > before


@pytest.mark.parametrize("conf, complaint", [
    ("lua_shared_dict a 1k;", "too small"),
    ("lua_shared_dict a x;", "invalid lua shared dict size"),
    ("lua_shared_dict a 1m; lua_shared_dict a 2m;", "another size"),
])
def test_bad_directives(start, conf, complaint):
    server = start(f"http {{ {conf} }}", run=False)
    server.allow_log("emerg")
    code, text = server.test_configuration()
    assert code == 1 and complaint in text


def test_in_init_and_timers(start):
    server = start(http_lua("ngx.say(ngx.shared.dogs:get('a'), "
                            "ngx.shared.dogs:get('b'))",
                            http=DICT + """
        init_by_lua_block { ngx.shared.dogs:set("a", 1) }
        init_worker_by_lua_block { ngx.timer.at(0, function()
            ngx.shared.dogs:set("b", 2) end) }"""))
    wait_for(lambda: server.http("/t").text == "12\n")


def test_keys_come_in_the_order_of_their_use(run):
    assert run("""
        for i = 1, 4 do dogs:set("k" .. i, i) end
        dogs:get("k2")
        ngx.say(table.concat(dogs:get_keys(), " "))
        ngx.say(table.concat(dogs:get_keys(2), " "))
    """) == "k1 k3 k4 k2\nk1 k3\n"


def test_lists_take_no_room_of_others(run):
    assert run("""
        local small = ngx.shared.small
        small:set("keep", 1)
        local n = 0
        while small:rpush("first", ("x"):rep(100)) do n = n + 1 end
        local kinds = {}
        for i = 1, 2000 do
            local ok, err = small:lpush("new" .. i, ("x"):rep(100))
            kinds[#kinds + 1] = not ok and err or nil
        end
        ngx.say(#kinds > 1900, kinds[#kinds], small:get("keep"),
            small:llen("first") == n)
        ngx.say(small:rpush("another", 1))
        small:delete("first")
        ngx.say(small:rpush("another", 1))
    """, "lua_shared_dict small 100k;" + DICT) == (
        "trueno memory1true\nnilno memory\n1\n")


@pytest.mark.skipif(bool(sanitizer_environment()),
                    reason="the sanitizers have to be preloaded first")
def test_a_clock_that_is_set_back(start, tmp_path):
    library, back = tmp_path / "shim.so", tmp_path / "back"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library,
                    ROOT / "tests/server/shim_clock.c", "-ldl"], check=True)
    server = start(http_lua("""
        local dogs, args = ngx.shared.dogs, ngx.req.get_uri_args()
        if args.set then
            dogs:set("k", 1, 0.3) dogs:incr("n", 1, 0, 0.3)
            dogs:set("e", 1) dogs:expire("e", 0.3) dogs:set("long", 1, 100)
        end
        ngx.say(ngx.time(), " ", dogs:get("k"), " ", dogs:get("n"), " ",
            dogs:get("e"), " ", dogs:ttl("long") <= 100, " ",
            dogs:get("long"))
    """, http=DICT, main="env SHIM_CLOCK;"),
        env={"LD_PRELOAD": str(library), "SHIM_CLOCK": str(back)})
    before, text = server.http("/t?set=1").text.split(" ", 1)
    assert text.startswith("1 1 1 true 1")
    back.touch()
    wait_for(lambda: int(server.http("/t").text.split()[0]) < int(before) - 3000,
             what="the clock to go back")
    wait_for(lambda: server.http("/t").text.split()[1:] ==
             ["nil", "nil", "nil", "true", "1"], what="what has expired to go")
    server.http("/t?set=1")
    back.unlink()
    wait_for(lambda: int(server.http("/t").text.split()[0]) >= int(before))
    assert server.http("/t").text.split()[5] == "1"
    server.reload()
    assert server.http("/t").text.split()[4:] == ["true", "1"]


# What workers do all the time, so that a signal comes in the middle of it.
HARD = """
    local d, random, n = ngx.shared.hard, math.random, 0
    local function value() return ("v"):rep(random(10, 3000)) end
    return function()
        for _ = 1, 300 do
            local k = "k" .. random(1, 500)
            local what = random(1, 12)
            if what < 4 then d:set(k, value(), random(0, 5))
            elseif what == 4 then d:delete(k)
            elseif what == 5 then d:set("s" .. k, ("s"):rep(200))
            elseif what == 6 then d:incr("n" .. k, 1, 0)
            elseif what == 7 then
                for _ = 1, 20 do d:lpush("l" .. k, ("e"):rep(random(1, 99))) end
            elseif what == 8 then for _ = 1, 9 do d:rpop("l" .. k) end
            elseif what == 9 then d:delete("l" .. k)
            elseif what == 10 then d:get_keys(0)
            elseif what == 11 then d:get(k) d:get("keep" .. random(1, 20))
            else d:flush_expired() end
        end
    end
"""


def test_workers_killed_in_the_middle_of_writes(start):
    """The dict goes on to serve whole values, and says so when it cannot."""
    server = start("""
        http {
            lua_shared_dict hard 600k;
            init_worker_by_lua_block {
                math.randomseed(ngx.worker.pid())
                local work = (function() %s end)()
                local function again()
                    work()
                    ngx.timer.at(0, again)
                end
                ngx.timer.at(0, again)
            }
            server { listen 127.0.0.1:@HTTP@;
                location = /check { content_by_lua_block {
                    local d, wrong = ngx.shared.hard, {}
                    for _, k in ipairs(d:get_keys(0)) do
                        local v = d:get(k)
                        if type(v) == "string" and v ~= ("v"):rep(#v) and
                            v ~= ("s"):rep(#v) then wrong[#wrong + 1] = k end
                    end
                    for i = 1, 500 do
                        local v = d:rpop("lk" .. i)
                        if v and v ~= ("e"):rep(#v) then
                            wrong[#wrong + 1] = "lk" .. i end
                    end
                    ngx.say(#wrong, " ", d:set("new", 1), " ", d:get("new"))
                } } } }""" % HARD, workers=2)
    server.allow_log('"hard" (was locked by|and left it)|exited on signal 9')
    rest = random.Random(7)
    deadline = time.monotonic() + 60
    found = 0
    while found < 12 and time.monotonic() < deadline:
        for pid in server.worker_pids():
            time.sleep(rest.random() / 20)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(server.worker_pids()) == 2, 20)
        found = len(re.findall("died while it wrote", server.log()))
    assert found > 0
    assert wait_for(lambda: asked(server), 20, "an answer") == "0 true 1\n"
    server.reload()
    assert wait_for(lambda: asked(server), 20, "an answer") == "0 true 1\n"
    assert "exited on signal 11" not in server.log()


def asked(server):
    with contextlib.suppress(OSError):
        return server.http("/check").text


# Words of the memory, as a worker could leave it: runtime/private/dict.h.
DAMAGED = {
    "next": "shared[9] = 8",
    "node": "shared[9] = shared[9] + 16",
    "loop": "local first = ffi.cast('uintptr_t *', shared[9]) "
            "first[1] = shared[9]",
    "outside": "shared[9] = ffi.cast('uintptr_t', ffi.cast('void *', shared)) "
               "+ 2^30",
    "rebuilding": "shared[10] = 2",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_dict_is_emptied_with_one_alert(start, name):
    server = start(http_lua("""
        local ffi, dogs = require "ffi", ngx.shared.dogs
        for i = 1, 20 do dogs:set("k" .. i, i) end
        local words = ffi.cast("uintptr_t **", dogs[1])
        local shared = words[1]
        shared[10] = 1
        %s
        ngx.say(dogs:get("k5"), " ", dogs:set("k", 1), " ",
            #dogs:get_keys(), " ", dogs:free_space() > 900000)
    """ % DAMAGED[name], http=DICT))
    server.allow_log('shared dict "dogs" and left it damaged')
    assert server.http("/t").text == "nil true 1 true\n"
    assert len(re.findall("left it damaged", server.log())) == 1


def test_what_is_moved_or_overwritten(start):
    """A value on its way to the list's start is kept, one that is half
    written is not."""
    server = start(http_lua("""
        local ffi, dogs = require "ffi", ngx.shared.dogs
        for i = 1, 5 do dogs:set("k" .. i, i) dogs:rpush("l" .. i, i) end
        dogs:lpush("l1", 0)
        local shared = ffi.cast("uintptr_t **", dogs[1])[1]
        shared[10] = 1
        shared[11] = shared[9] - 40 -- l1 is the first of the list
        local second = ffi.cast("uintptr_t *", shared[9])[1]
        shared[12] = second - 40
        ffi.cast("uintptr_t *", shared[9])[1] =
            ffi.cast("uintptr_t *", second)[1]
        local keys = dogs:get_keys()
        ngx.say(keys[1], " ", #keys, " ", dogs:llen("l1"), " ",
            dogs:lpop("l5"), dogs:get("k5"), " ", dogs:get("k1"))
    """, http=DICT))
    assert server.http("/t").text == "l5 9 0 55 1\n"
    assert "values are whole and were kept" in server.log()
