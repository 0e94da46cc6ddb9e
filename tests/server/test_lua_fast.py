"""What lua/resolua/ does in the place of C functions: the same, in loops that
LuaJIT compiles as well as once."""

import hashlib
import zlib

import pytest

from lua_conf import http_lua

HOT = 300  # runs of a loop: LuaJIT compiles after 56


def run(start, code, **options):
    options.setdefault("http", "lua_shared_dict d 1m;")
    server = start(http_lua("local d = ngx.shared.d " + code, **options))
    return server.http("/t").text.splitlines()


def test_they_are_in_place(start):
    assert run(start, """
        local function where(f) return debug.getinfo(f).source:match("resolua/.*") end
        ngx.say(where(d.get), " ", where(ngx.re.match), " ", where(ngx.now))
    """) == ["resolua/shared.lua resolua/regex.lua resolua/clock.lua"]


@pytest.mark.parametrize("value", [
    "1", "-0.5", "1e300", "'text'", "''", "'a\\0b'", "true", "false",
    "('x'):rep(16384)", "('x'):rep(16385)", "('x'):rep(100000)"])
def test_values_come_back(start, value):
    assert run(start, """
        local value = %s
        local wrong = 0
        for i = 1, %d do
            local ok, err, forcible = d:set("key", value)
            if not ok or err or forcible then wrong = wrong + 1 end
            local got, flags = d:get("key")
            if got ~= value or flags then wrong = wrong + 1 end
        end
        ngx.say(wrong)
    """ % (value, HOT)) == ["0"]


def test_keys_flags_and_times(start):
    assert run(start, """
        for i = 1, %d do
            d:set("f", i, 0, 5)
            d:set(7, "seven")
            d:set("t", 1, 0.001)
            local v, flags = d:get("f")
            if v ~= i or flags ~= 5 or d:get("7") ~= "seven"
                or d:get(7) ~= "seven" then ngx.say("wrong") end
        end
        ngx.say(d:get("none")) ngx.say(d:get("")) ngx.say(d:get(nil))
        ngx.say(d:get(("k"):rep(65536)))
        ngx.sleep(0.01)
        ngx.say(d:get("t"))
        d:rpush("l", 1)
        ngx.say(d:get("l")) ngx.say(d:incr("l", 1))
        ngx.say(pcall(d.get, 1, "x"))
        d:set("f", nil) ngx.say(d:get("f"))
        ngx.say(d:set("f", {}))
    """ % HOT) == ["nil", "nilempty key", "nilnil key", "nilkey too long", "nil",
                   "nilvalue is a list", "nilnot a number",
                   "falsebad \"zone\" argument",
                   "nil", "nilbad value type"]


def test_incr(start):
    assert run(start, """
        ngx.say(d:incr("n", 1))
        local last
        for i = 1, %d do last = d:incr("n", 0.5, 10) end
        ngx.say(last)
        ngx.say(d:incr("n", -1, 0)) ngx.say(d:incr("n", "2"))
        d:set("s", "x") ngx.say(d:incr("s", 1))
        ngx.say(d:incr("ttl", 1, 0, 0.01)) ngx.sleep(0.02)
        ngx.say(d:get("ttl"))
        ngx.say((pcall(d.incr, d, "n", {})))
    """ % HOT) == ["nilnot found", "160", "159nilfalse", "161",
                   "nilnot a number", "1nilfalse", "nil", "false"]


def test_a_full_dict_lets_go(start):
    assert run(start, """
        local forced = 0
        for i = 1, 2000 do
            local ok, err, forcible = d:set("k" .. i, ("x"):rep(1000))
            if not ok then ngx.say(err) end
            if forcible then forced = forced + 1 end
        end
        ngx.say(forced > 500, d:get("k1"), #d:get("k2000"))
    """) == ["truenil1000"]


def test_match_and_find(start):
    assert run(start, r"""
        local function show(m)
            if not m then return tostring(m) end
            return table.concat({ tostring(m[0]), tostring(m[1]), tostring(m[2]),
                tostring(type(m.name) == "table" and m.name[1] or m.name), #m }, " ")
        end
        local wrong = 0
        for i = 1, %d do
            local m = ngx.re.match("id=" .. i .. ";", "id=(?<name>[0-9]+)(x)?;", "jo")
            if m[0] ~= "id=" .. i .. ";" or m[1] ~= tostring(i) or m[2] ~= false
                or m.name ~= tostring(i) then wrong = wrong + 1 end
            local from, to = ngx.re.find("--" .. i, "[0-9]+", "jo")
            if from ~= 3 or to ~= 2 + #tostring(i) then wrong = wrong + 1 end
            if ngx.re.match("abc", "[0-9]", "jo") or ngx.re.find("abc", "[0-9]", "jo")
                then wrong = wrong + 1 end
        end
        ngx.say(wrong)
        ngx.say(show(ngx.re.match("ab", "(a)(b)", "o")))
        ngx.say(show(ngx.re.match("ab", "(a)(b)", "")))
        ngx.say(show(ngx.re.match("ab", "(a)(b)", "jo", { pos = 2 })))
        ngx.say(show(ngx.re.match("aab", "(a)|(b)", "jo", { pos = 2 })))
        local res = {}
        ngx.say(ngx.re.match("x", "x", "jo", nil, res) == res, res[0])
        ngx.say(ngx.re.find("abc", "b", "jo", nil, 0))
        ngx.say(ngx.re.find("abc", "(b)(c)", "jo", nil, 2))
        ngx.say(ngx.re.find("", "", "jo"))
        ngx.say(ngx.re.match("x", "(", "jo"))
        ngx.say((pcall(ngx.re.match, "x", "x", "q")))
        ngx.say(show(ngx.re.match(12345, "34", "jo")))
        ngx.say(show(ngx.re.match("ab", "(?<name>a)|(?<name>b)", "Djo")))
        ngx.say(ngx.re.match(("a"):rep(40), ("(a)"):rep(40), "jo")[40])
    """ % HOT) == [
        "0", "ab a b nil 2", "ab a b nil 2", "nil", "a a false nil 2", "truex",
        "22", "33", "10",
        'nilpcre2_compile() failed: missing closing parenthesis in "("',
        "false", "34 nil nil nil 0", "a a false a 2", "a"]


def test_many_expressions(start):
    assert run(start, """
        for round = 1, 3 do
            for i = 1, 50 do
                if ngx.re.find("x" .. i .. "y", "x" .. i .. "y", "jo") ~= 1 then
                    ngx.say("wrong")
                end
            end
        end
        ngx.say("done")
    """, http="lua_shared_dict d 1m; lua_regex_cache_max_entries 10;") == ["done"]


def test_the_jits_stack(start):
    assert run(start, r"""
        local subject = ("ab"):rep(50000)
        local _, err = ngx.re.match(subject, "^(?:a(?=b)|b)*+$", "jo")
        local _, deep = ngx.re.match(subject, "^((a)|(b))*$", "jo")
        ngx.say(deep)
        require("ngx.re").opt("jit_stack_size", 64 * 1024 * 1024)
        local m, deep = ngx.re.match(subject, "^((a)|(b))*$", "jo")
        ngx.say(m and #m[0], deep)
        ngx.say((pcall(require("ngx.re").opt, "jit_stack_size", 1)))
        ngx.say((pcall(require("ngx.re").opt, "other", 1)))
    """)[1:] == ["100000nil", "false", "false"]


def test_texts(start):
    text = "some text \u00e4 a/b+c"
    raw = text.encode()
    lines = run(start, """
        local text = "%s"
        local function hot(f, ...)
            local r
            for i = 1, %d do r = f(...) end
            ngx.say(r)
        end
        hot(ngx.md5, text)
        hot(ngx.crc32_short, text)
        hot(ngx.crc32_long, text)
        hot(function(t) return ngx.decode_base64(ngx.encode_base64(t)) end, text)
        hot(ngx.encode_base64, "ab", true)
        hot(ngx.decode_base64, "a*")
        hot(ngx.escape_uri, text)
        hot(ngx.escape_uri, text, 0)
        hot(function(t) return ngx.unescape_uri(ngx.escape_uri(t)) end, text)
        hot(function(t) return #ngx.md5_bin(t) + #ngx.sha1_bin(t) end, text)
        ngx.say(#ngx.encode_base64(("x"):rep(30001)))
        ngx.say(#ngx.unescape_uri(ngx.escape_uri(("/"):rep(30001))))
        ngx.say(ngx.md5(nil), ngx.md5(12))
        ngx.say(ngx.encode_base64(12), ngx.encode_base64(nil))
        ngx.say((pcall(ngx.escape_uri, "a", 1)))
    """ % (text, HOT))
    assert lines == [
        hashlib.md5(raw).hexdigest(), str(zlib.crc32(raw)),
        str(zlib.crc32(raw)), text, "YWI", "nil",
        "some%20text%20%C3%A4%20a%2Fb%2Bc", "some%20text%20%C3%A4%20a/b+c",
        text, "36", "40004", "30001",
        hashlib.md5(b"").hexdigest() + hashlib.md5(b"12").hexdigest(),
        "MTI=", "false"]


def test_clock_and_context(start):
    server = start(http_lua("""
        ngx.say(ngx.ctx.n)
        for i = 1, %d do ngx.ctx.n = (ngx.ctx.n or 0) + 1 end
        ngx.say(ngx.ctx.n)
        ngx.ctx = { n = "new" }
        ngx.say(ngx.ctx.n)
        ngx.say(math.floor(ngx.now()) == ngx.time(), ngx.time() %% 1)
        ngx.timer.at(0, function() ngx.ctx.x = 1 end)
    """ % HOT))
    for _ in range(3):
        assert server.http("/t").text == "nil\n%d\nnew\ntrue0\n" % HOT


def test_sub_and_gsub(start):
    assert run(start, r"""
        local gsub, sub = ngx.re.gsub, ngx.re.sub
        local function show(...) ngx.say(table.concat({ ... }, " ")) end
        local wrong = 0
        for i = 1, %d do
            local text, n = gsub("a" .. i .. "b2", "[0-9]+", "-", "jo")
            if text ~= "a-b-" or n ~= 2 then wrong = wrong + 1 end
            text, n = sub("a" .. i .. "b2", "[0-9]+", "-", "jo")
            if text ~= "a-b2" or n ~= 1 then wrong = wrong + 1 end
        end
        ngx.say(wrong)
        show(gsub("abc", "x", "-", "jo"))
        show(gsub("abc", "", "-", "jo"))
        show(gsub("abc", "b*", "-", "jo"))
        show(gsub("ab12", "([a-z])([0-9])", "$2$1", "jo"))
        show(gsub("a.b", "[.]", "", "jo"))
        show(gsub("aXbX", "x", function(m) return "[" .. m[0] .. "]" end, "ijo"))
        show(gsub("a1", "(?<=a)1", "!", "jo"))
        show(gsub("", "a", "b", "jo"))
        show(gsub("aaa", "a", "b", "jo"))
        show(gsub("\195\164x", "(*UTF).", "c", "jo"))
    """ % HOT) == ["0", "abc 0", "-a-b-c- 4", "-a--c- 4", "a1b2 1", "ab 1", "a[X]b[X] 2", "a! 1", " 0", "bbb 3",
                   "cc 2"]


def test_variables(start):
    server = start(http_lua("""
        local wrong = 0
        for i = 1, %d do
            ngx.var.v = i
            if ngx.var.v ~= tostring(i) or ngx.var.none
                or ngx.var.URI ~= "/t" or ngx.var["arg_a"] ~= "x"
                then wrong = wrong + 1 end
        end
        ngx.say(wrong, ngx.var.arg_none, ngx.var[1])
        ngx.say((pcall(function() return ngx.var[{}] end)))
        ngx.timer.at(0, function() ngx.shared.d:set("e",
            (select(2, pcall(function() return ngx.var.uri end)))) end)
        while not ngx.shared.d:get("e") do ngx.sleep(0.001) end
        ngx.say(ngx.shared.d:get("e"))
    """ % HOT, location='set $v "";', http="lua_shared_dict d 1m;"))
    lines = server.http("/t?a=x").text.splitlines()
    assert lines[:2] == ["0nilnil", "false"]
    assert "API disabled in the context of ngx.timer" in lines[2]
