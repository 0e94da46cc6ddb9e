local check = require "check"
local dns = require "dns"
local store_module = require "dns.store"

local SOA = "@ 60 SOA ns1 hostmaster 1 3600 600 86400 300\n"
local ZONE = SOA .. "@ 60 NS ns1\nns1 60 A 192.0.2.1\n"

local function new_store()
    local pipe = io.popen("mktemp -d")
    local folder = pipe:read("*l")
    pipe:close()

    return assert(store_module.open(folder)), folder
end

local function load(store, zone, text)
    local edit = assert(store:edit(zone))
    edit:replace_zone()
    edit:load_text(text)
    return edit:commit()
end

local store, folder = new_store()

check.test("begins empty", function()
    check.equal(#store:zones(), 0)
end)

check.test("opens a folder only once", function()
    local again = assert(store_module.open(folder))
    check.equal(again.handle == store.handle, true)
end)

check.test("loads a zone from text", function()
    assert(load(store, "example.test", ZONE))
    local zones = store:zones()
    check.equal(#zones, 1)
    check.equal(zones[1].name, "example.test")
    check.equal(zones[1].serial, 1)
    check.matches(store:zone_text("example.test"),
        "^example%.test%.\t60\tIN\tSOA\tns1%.example%.test%.")
end)

check.test("an error leaves the old zone", function()
    local before = store:zone_text("example.test")
    local ok, reason, kind = load(store, "example.test",
        ZONE .. "bad 60 A 192.0.2\n")

    check.equal(ok, nil)
    check.equal(kind, "malformed")
    check.matches(reason, ":4:")
    check.equal(store:zone_text("example.test"), before)
end)

check.test("an edit raises the serial", function()
    local edit = assert(store:edit("example.test"))
    assert(edit:set("www.example.test", "A", 300, { "192.0.2.2" }))
    assert(edit:commit())

    check.equal(store:zone("example.test").serial, 2)
    check.equal(store:has("example.test", "www.example.test", dns.type.A), true)
    check.equal(store:has("example.test", "www.example.test", dns.type.MX),
        false)
end)

check.test("set replaces and remove removes", function()
    local edit = assert(store:edit("example.test"))
    assert(edit:set("www.example.test", "A", 60,
        { "192.0.2.3", "192.0.2.4" }))
    assert(edit:commit())
    check.matches(store:zone_text("example.test"), "192%.0%.2%.4")
    check.equal(store:zone_text("example.test"):find("192.0.2.2", 1, true), nil)

    edit = assert(store:edit("example.test"))
    assert(edit:remove("www.example.test", "A"))
    assert(edit:commit())
    check.equal(store:has("example.test", "www.example.test", 0), false)
end)

check.test("removing what is not there is not found", function()
    local edit = assert(store:edit("example.test"))
    local ok, _, kind = edit:remove("nothing.example.test", "A")
    if ok then
        ok, _, kind = edit:commit()
    end
    check.equal(ok, nil)
    check.equal(kind, "not found")
end)

check.test("a CNAME beside other data is a conflict", function()
    local edit = assert(store:edit("example.test"))
    assert(edit:add("ns1.example.test", "CNAME", 60, "a"))
    local _, reason, kind = edit:commit()
    check.equal(kind, "conflict")
    check.matches(reason, "CNAME")
end)

check.test("answers a query from the zones", function()
    local packet = assert(dns.encode { id = 5, questions = {
        { name = "ns1.example.test", type = "A" } } })
    local message = assert(dns.decode((assert(store:answer(packet, 0)))))
    check.equal(message.id, 5)
    check.equal(message.aa, true)
    check.equal(message.answers[1].record, "192.0.2.1")

    packet = assert(dns.encode { id = 5, questions = {
        { name = "elsewhere.test", type = "A" } } })
    local _, result = store:answer(packet, 0)
    check.equal(result.is_final, 0)
end)

check.test("a deleted zone is gone", function()
    local edit = assert(store:edit("example.test"))
    edit:delete_zone()
    assert(edit:commit())
    check.equal(#store:zones(), 0)
    local _, _, kind = store:zone_text("example.test")
    check.equal(kind, "not found")
end)

os.execute("rm -rf '" .. folder .. "'")
check.done()
