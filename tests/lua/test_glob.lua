-- dns.api.glob: patterns of names.
local check = require "check"
local glob = require "dns.api.glob"

local FIT = {
    { "www", "www" }, { "*", "" }, { "*", "x" }, { "a*", "a" },
    { "*.dyn.test", "a.b.dyn.test" }, { "a*b*c", "aXbYc" }, { "a*b*c", "abc" },
    { "?b", "ab" }, { "*x*", "axb" }, { "*%?", "a%b" }, { "a-b.c", "a-b.c" },
    { "a\0b", "a\0b" }, { "*\0", "x\0" }, { "ü*", "über" }, { "[a]", "[a]" },
}

local DO_NOT = {
    { "w", "ww" }, { "*.dyn.test", "dyn.test" }, { "ab*ba", "aba" },
    { "a-b.c", "a-bxc" }, { "a*?", "a" }, { "?", "" }, { "", "a" },
    { "a*b", "ba" }, { "[a]", "a" }, { "%a", "b" },
}

check.test("what fits and what does not", function()
    for _, pair in ipairs(FIT) do
        check.equal(glob.new(pair[1]):fits(pair[2]), true)
    end
    for _, pair in ipairs(DO_NOT) do
        check.equal(glob.new(pair[1]):fits(pair[2]), false)
    end
end)

check.test("many stars take no time", function()
    local text = ("a"):rep(60000)
    local started = os.clock()
    check.equal(glob.new(("*a"):rep(1000) .. "b"):fits(text), false)
    check.equal(glob.new(("a*"):rep(1000) .. "b*"):fits(text), false)
    check.equal(os.clock() - started < 2, true)
end)

check.done()
