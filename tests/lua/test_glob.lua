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

-- Patterns and names, which come normalized.
local NAMES_FIT = {
    { "*.team.example.test", "www.team.example.test" },
    { "*.team.example.test", "a.b.team.example.test" },
    { "*.team.example.test", "*.team.example.test" },
    { "*.team.example.test", "a\\.b.team.example.test" },
    { "x\\.team.example.test", "x\\.team.example.test" },
    { "x\\046team.example.test", "x\\.team.example.test" },
    { "*.Team.example.test", "\\000.team.example.test" },
    { "\\*.example.test", "*.example.test" },
    { "?.example.test", "\\007.example.test" },
    { "\\065b.test", "ab.test" }, { "a?c", "a\\.c" }, { "*", "." },
    { "?", "*" }, { "\\?", "?" },
}

local NAMES_DO_NOT = {
    { "*.team.example.test", "x\\.team.example.test" },
    { "*.team.example.test", "x\\\\\\.team.example.test" },
    { "*.team.example.test", "team.example.test" },
    { "www.example.test", "www\\.example.test" },
    { "\\*.example.test", "a.example.test" },
    { "\\?.test", "a.test" }, { "a?c", "a.c" }, { "*.b?", "a.b" },
    { "x\\.team.example.test", "x.team.example.test" },
}

check.test("names fit by their labels", function()
    for _, pair in ipairs(NAMES_FIT) do
        check.equal(glob.fits_name(pair[1], pair[2]), true)
    end
    for _, pair in ipairs(NAMES_DO_NOT) do
        check.equal(glob.fits_name(pair[1], pair[2]), false)
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
