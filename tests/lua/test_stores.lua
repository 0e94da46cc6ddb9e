local check = require "check"
local stores = require "dns.stores"

-- A store with zones of these names, in canonical order.
local function fake(serial, ...)
    local zones = {}
    for i, name in ipairs { ... } do
        zones[i] = { name = name, serial = serial }
    end

    return { zones = function() return zones end }
end

local function listed(...)
    local names = {}
    for i, zone in ipairs(stores.new({ ... }):zones()) do
        names[i] = zone.name .. "=" .. zone.serial
    end

    return table.concat(names, " ")
end

check.test("lists the zones of all stores in canonical order", function()
    check.equal(listed(fake(1, "a.test", "z.test"), fake(2, "b.a.test", "m.test"),
        fake(3, "b", "y.test")),
        "b=3 a.test=1 b.a.test=2 m.test=2 y.test=3 z.test=1")
end)

check.test("lists a zone of several stores once, the first one's", function()
    check.equal(listed(fake(1, "a.test", "c.test"), fake(2, "a.test", "b.test", "c.test"),
        fake(3, "c.test")), "a.test=1 b.test=2 c.test=1")
end)

check.test("lists nothing of empty stores", function()
    check.equal(listed(fake(1), fake(2)), "")
    check.equal(listed(fake(1), fake(2, "a.test"), fake(3)), "a.test=2")
end)

check.test("gives others their turn over many zones", function()
    local names, turns = {}, 0
    for i = 1, 2000 do
        names[i] = ("z%04d.test"):format(i)
    end
    stores.new({ fake(1, unpack(names)), fake(2, "a.test") }):zones(function()
        turns = turns + 1
    end)
    check.equal(turns >= 2000, true)
end)

check.done()
