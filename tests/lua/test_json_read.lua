local cjson = require "cjson.safe"
local check = require "check"
local json_read = require "dns.api.json_read"

-- Texts that lua-cjson and we read alike, or both refuse.
local TEXTS = {
    "{}", "[]", '""', "0", "-1.5e3", "1E+2", " [ 1 , 2 ] ", "\t{\r\n}\n",
    '"a\\u00e4\\n\\"\\\\"', '"\\ud83d\\ude00"', '{"a":{"a":[{"a":null}]}}',
    "[true,false,null]", '{"":1}', '"\\', '"\\"', "[1,]", '{"a":1,}', "{,}",
    '{"a" 1}', '{"a":}', "{1:2}", "", " ", "nul", "nulls", "{", "[", '"abc',
    '"\\x"', '"\\u12"', "1 2", "[1 2]", '{"a":1 "b":2}', "}", "-",
    "[[[[[[[[1]]]]]]]]", '{"a":1}{}',
}

local function text_of(value)
    return value ~= nil and cjson.encode(value) or "refused"
end

check.test("reads what lua-cjson reads", function()
    for _, text in ipairs(TEXTS) do
        check.equal(text_of(json_read.decode(text)),
            text_of(cjson.decode(text)))
    end
end)

check.test("names what stands twice", function()
    local value, reason, is_twice = json_read.decode('[{"a":1,"b":2,"a":1}]')
    check.equal(value, nil)
    check.equal(reason, '"a" stands twice in one object')
    check.equal(is_twice, true)
    check.equal(json_read.decode('[{"a":1},{"a":1}]')[2].a, 1)
end)

check.test("gives others their turn in a large text", function()
    local items, turns = {}, 0
    for i = 1, 5000 do
        items[i] = ('{"n":%d}'):format(i)
    end
    local value = json_read.decode("[" .. table.concat(items, ",") .. "]",
        function() turns = turns + 1 end)
    check.equal(#value, 5000)
    check.equal(turns >= 9, true)
end)

check.test("bounds how deep lists lie in one another", function()
    local value, reason = json_read.decode(("["):rep(101) .. ("]"):rep(101))
    check.equal(value, nil)
    check.equal(reason, "too many lists and objects in one another at octet 101")
    check.equal(type(json_read.decode(("["):rep(100) .. ("]"):rep(100))), "table")
end)

check.done()
