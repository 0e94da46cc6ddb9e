"""ngx.re"""

import pytest

from lua_conf import http_lua


@pytest.fixture
def run(start):
    def go(code):
        return start(http_lua(code)).http("/t").text
    return go


def test_match(run):
    assert run(r"""
        local m = ngx.re.match("hello, 1234 world", "([0-9])(?<rest>[0-9]+)")
        ngx.say(m[0], m[1], m[2], m.rest)
        ngx.say(ngx.re.match("abc", "x"))
        m = ngx.re.match("b", "(a)?(b)(c)?")
        ngx.say(tostring(m[1]), m[2], tostring(m[3]))
        local t = {}
        ngx.say(ngx.re.match("a", "a", "", nil, t) == t, t[0])
    """) == "12341234234\nnil\nfalsebfalse\ntruea\n"


def test_options(run):
    assert run(r"""
        ngx.say(ngx.re.match("ABC", "b", "i")[0])
        ngx.say(ngx.re.match("xab", "ab", "a"))
        ngx.say(ngx.re.match("a\nb", "a.b", "s")[0] == "a\nb")
        ngx.say(ngx.re.match("a\nb", "^b", "m")[0])
        ngx.say(ngx.re.match("ab", "a b # comment", "x")[0])
        ngx.say(ngx.re.match("\195\169", "^.$", "u")[0])
        for _ = 1, 3 do ngx.print(ngx.re.match("foo1", [[(\d)]], "jo")[1]) end
        ngx.say(ngx.re.match("aab", "a+", "d")[0])
        ngx.say(pcall(ngx.re.match, "a", "a", "!"))
    """) == ("B\nnil\ntrue\nb\nab\né\n111aa\n"
             'falseunknown flag "!" (flags "!")\n')


def test_context_positions(run):
    assert run(r"""
        local ctx = { pos = 2 }
        ngx.say(ngx.re.match("1234, hello", "[0-9]+", "", ctx)[0], ctx.pos)
        ngx.say(ngx.re.find("hello", "l", "", ctx))
        ctx.pos = 3
        ngx.say(ngx.re.find("hello", "(l)(o)", "jo", ctx, 2))
        ngx.say(ngx.re.find("hello", "z"))
        ngx.say(ngx.re.find("hello", "(h)", "", nil, 5))
    """) == "2345\nnilnil\n55\nnilnil\nnilnilnth out of bound\n"


def test_gmatch(run):
    assert run(r"""
        for m in ngx.re.gmatch("a1 b22 c", [[([a-z])(\d*)]]) do
            ngx.print(m[1], "=", m[2], ";")
        end
        local n = 0
        for _ in ngx.re.gmatch("abc", "") do n = n + 1 end
        ngx.say(n)
        local it = ngx.re.gmatch("x", "y")
        ngx.say(it(), it())
    """) == "a=1;b=22;c=;4\nnilnil\n"


def test_sub_and_gsub(run):
    assert run(r"""
        ngx.say(ngx.re.sub("hello, 1234", "([0-9])[0-9]", "[$0][${1}]$$"))
        ngx.say(ngx.re.gsub("a b c", "[a-z]", function(m)
            return m[0]:upper() end))
        ngx.say(ngx.re.gsub("abc", "", "-"))
        ngx.say(ngx.re.gsub("abc", "x", "-"))
        ngx.say(ngx.re.gsub("abc", "b", "$name"))
        ngx.say(ngx.re.sub("a", "(", "x"))
    """).startswith("hello, [12][1]$341\nA B C3\n-a-b-c-4\nabc0\n"
                    "nilnilfailed to compile the replacement template\n"
                    "nilnilpcre2_compile()")


def test_bad_expressions(run):
    assert run(r"""
        ngx.say(ngx.re.match("a", "(abc"))
    """) == ("nilpcre2_compile() failed: missing closing parenthesis in "
             '"(abc"\n')


def test_split(run):
    assert run(r"""
        local split = require("ngx.re").split
        ngx.say(table.concat(split("a,b,,c", ","), "|"))
        ngx.say(table.concat(split("a1b2c", "([0-9])"), "|"))
        ngx.say(table.concat(split("a,b,c", ",", nil, nil, 2), "|"))
        ngx.say(table.concat(split("abc", ""), "|"))
        ngx.say(table.concat(split("none", ","), "|"))
    """) == "a|b||c\na|1|b|2|c\na|b,c\na|b|c\nnone\n"


def test_memory(start):
    server = start(http_lua(r"""
        for i = 1, 300 do
            ngx.re.match("abc" .. i, "b(\\d*)" .. i, "jo")
            ngx.re.match("abc", "x" .. i)
            ngx.re.gsub(("ab"):rep(200), "a", "xyz", "jo")
        end
    """))
    for _ in range(10):
        server.http("/t")
    before = server.workers_memory()
    for _ in range(20):
        server.http("/t")
    assert server.workers_memory() < before + 3_000_000


def test_names_that_are_used_twice_stand_for_arrays(start):
    server = start(http_lua(r"""
        local m = ngx.re.match("hello, world", "(?<n>[a-z]+), (?<n>[a-z]+)", "Djo")
        ngx.say(#m.n, m.n[1], m.n[2], m[1])
        m = ngx.re.match("b", "(?<n>a)|(?<n>b)|(?<z>c)", "D")
        ngx.say(#m.n, m.n[1], m.z)
    """))
    assert server.http("/t").text == "2helloworldhello\n1bnil\n"


def test_fields_of_split(start):
    server = start(http_lua(r"""
        local split = require("ngx.re").split
        local function show(...)
            ngx.say((table.concat(assert(split(...)), "|")))
        end
        show("a,b,,", ",") show(",", ",") show(",a,", ",") show("a,,b", ",")
        show("a,b,,", ",", nil, nil, 9) show("a,b,", ",", nil, nil, 3)
        show("a1b2", "([0-9])") show("a,b,c,d", "(,)(x)?", nil, nil, 3)
        ngx.say(#split("", ","), split("a", "("))
    """))
    assert server.http("/t").text.splitlines() == [
        "a|b", "", "|a", "a||b", "a|b||", "a|b|", "a|1|b|2", "a|,|b|,|c,d",
        '0nilpcre2_compile() failed: missing closing parenthesis in "("']


def test_what_is_no_text_is_taken_as_tostring_has_it(start):
    server = start(http_lua(r"""
        ngx.say(ngx.re.match(nil, "n.l")[0], ngx.re.find(true, "u"))
        ngx.say((ngx.re.gsub("aXb", "X", function() return true end)))
        ngx.say((ngx.re.sub(setmetatable({}, { __tostring = function()
            return "named" end }), "n", nil)))
        ngx.say(ngx.md5(true) == ngx.md5("true"), ngx.escape_uri(false))
    """))
    assert server.http("/t").text == "nil33\natrueb\nnilamed\ntruefalse\n"


# Octets that are no UTF-8: cut short, overlong, surrogates, past U+10FFFF,
# continuation octets alone; between valid characters and alone.
NOT_UTF8 = (r"'\xC3', 'a\xC3', '\xE2\x82', 'x\xF0\x9F\x98y', '\x80\x80a', "
            r"'\xFF\xFEa', '\xC0\x80', '\xED\xA0\x80b', '\xF4\x90\x80\x80', "
            r"'\xC3\xA9\xC3', 'a\xE2\x82\xACb\xE2', ('\xF8'):rep(300)")


def test_option_U_takes_octets_that_are_not_utf8(start):
    server = start(http_lua(r"""
        local n = 0
        local function walk(subject, pattern, options)
            for pos = 1, #subject + 1 do
                ngx.re.match(subject, pattern, options, { pos = pos })
                ngx.re.find(subject, pattern, options, { pos = pos })
            end
            ngx.re.match(subject, pattern, options)
            ngx.re.find(subject, pattern, options)
            for m, err in ngx.re.gmatch(subject, pattern, options) do
                n = n + #m[0]
            end
            for _, by in ipairs{ "-", "[$0]", function(m) return m[0] end } do
                assert(ngx.re.gsub(subject, pattern, by, options))
                assert(ngx.re.sub(subject, pattern, by, options))
            end
            require("ngx.re").split(subject, pattern, options)
        end
        for _, subject in ipairs{ %s } do
            for _, pattern in ipairs{ "", ".", "\\w+", "\\X", "[^a]", "(?<=.)b",
                    "(?i)\xC3\xA9|a", "\\b", "$", "(.)(.)?", "a|" } do
                for _, options in ipairs{ "U", "Uo", "Ujo", "Ujoi", "Us" } do
                    walk(subject, pattern, options)
                end
            end
        end
        ngx.say(n > 0)
        ngx.say(ngx.re.match("\xFF\xC3\xA9", "^.", "U"),
                #ngx.re.match("\xFF\xC3\xA9", ".", "Ujo")[0])
        ngx.say((ngx.re.gsub("a\xFF\xC3\xA9", ".", "<$0>", "Ujo")) ==
                "<a>\xFF<\xC3\xA9>")
    """ % NOT_UTF8))
    assert server.http("/t").text == "true\nnil2\ntrue\n"


def test_octets_that_are_not_utf8_have_a_reason(start):
    server = start(http_lua(r"""
        for _, options in ipairs{ "u", "ujo", "dU", "dUo", "du" } do
            local m, err = ngx.re.match("\xC3", ".", options)
            ngx.say(m, " ", err)
        end
        for _, options in ipairs{ "u", "U", "Ujo", "o" } do
            local m, err = ngx.re.match("a", "\xC3\xA9\xC3" ..
                (options == "o" and "(*UTF)(" or ""), options)
            ngx.say(m, " ", (err:gsub(" in .*", "")))
        end
        ngx.say(ngx.re.match("\xC3\xA9\xC3\xA9", ".", "dU")[0])
        local ctx = { pos = 2 }
        ngx.say(select(2, ngx.re.match("\xC3\xA9", ".", "u", ctx)))
    """))
    text = server.http("/t").text.splitlines()
    bad = "nil pcre2_match() failed: UTF-8 error: 1 byte missing at end"
    wrong = ("nil pcre2_compile() failed: UTF-8 error: 1 byte missing at end")
    assert text[:5] == [bad] * 5
    assert text[5:8] == [wrong] * 3
    assert text[8].startswith("nil pcre2_compile() failed: ")
    assert text[9:] == ["é", "pcre2_match() failed: bad offset into UTF string"]


def test_an_empty_match_is_followed_by_the_next_character(start):
    server = start(http_lua(r"""
        local text = "a\xC3\xA9\xE2\x82\xACb"
        for _, options in ipairs{ "u", "U", "ujo", "Ujo" } do
            local n = 0
            for m, err in ngx.re.gmatch(text, "", options) do n = n + 1 end
            ngx.say(n, " ", (ngx.re.gsub(text, "", "-", options)), " ",
                    (ngx.re.gsub(text, "x*", function() return "+" end, options)))
        end
        ngx.say(ngx.re.gsub("a\xC3\xA9", "(*UTF)", "-", "jo"))
    """))
    assert server.http("/t").text == (
        "5 -a-é-€-b- +a+é+€+b+\n" * 4 + "-a-é-3\n")


def test_split_by_matches_that_are_empty(start):
    """As Perl's split() has it."""
    server = start(http_lua(r"""
        local split = require("ngx.re").split
        local function show(...)
            ngx.say((table.concat(assert(split(...)), "|"):gsub("\n", "/")))
        end
        show("ab\ncd", "^") show("ab\ncd\nef", "^", "m") show("abc", "\\b")
        show("abcd", "()") show("ab cd", "\\b", "jo") show("abc", "$")
        show("abc", "$", nil, nil, 2) show("abcd", "(?<=b)")
        show("a,b,,c,,", ",|") show("axxb", "x*") show("abab", "(?=b)|,")
        show("abcd", "()", nil, nil, 3) show("abc", "x*", nil, { pos = 2 })
        show("axb", "x*", nil, { pos = -1 }) show("abc", "a*?")
        show("\xC3\xA9\xE2\x82\xAC.", "", "u") show("a\xC3\xA9", "x*", "Ujo")
        show("a\xC3\xA9b", "(*UTF)", "jo") show(12, 2)
        ngx.say(#split("", "", nil, nil, 3), #split("", "()"))
        ngx.say(split("\xC3\xC3", "", "u"))
        local t = split("abc", "", nil, nil, nil, { 1, 2, 3, 4, 5, 6 })
        ngx.say(t[3], t[4], t[5])
    """))
    lines = server.http("/t").text.splitlines()
    assert lines[:-1] == [
        "ab/cd", "ab/|cd/|ef", "abc", "a||b||c||d", "ab| |cd", "abc", "abc|",
        "ab|cd", "a|b||c", "a|b", "a|ba|b", "a||b||cd", "b|c", "a|b", "a|b|c",
        "é|€|.", "a|é", "a|é|b", "1", "00",
        "nilpcre2_match() failed: UTF-8 error: byte 2 top bits not 0x80"]
    assert lines[-1] == "cnil5"
