"""ngx.shared."""

import pytest

from lua_conf import http_lua
from resolua_server import wait_for

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
