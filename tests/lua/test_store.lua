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

-- Reading from a name on, and edits that expect a state.

local function collect(into)
    return function(record)
        into[#into + 1] = dns.record_from_memory(record).name:gsub(
            "%.?walk%.test$", "") .. "/" .. dns.type[record.type]
    end
end

local function names(method, name)
    local into = {}
    local ok, reason = store[method](store, "walk.test", name, collect(into))
    return ok and table.concat(into, " ") or reason
end

check.test("records of one name, and of those behind one", function()
    assert(load(store, "walk.test", ZONE
        .. "a 60 A 192.0.2.1\na 60 TXT x\nc 60 A 192.0.2.1\n"
        .. "z.b 60 A 192.0.2.1\n"))
    check.equal(names("each_record_of", "A.walk.test"), "a/A a/TXT")
    check.equal(names("each_record_of", "b.walk.test"), "no such name")
    check.equal(names("each_record_of", "walk.test"), "/NS /SOA")
    check.equal(names("each_record_behind", "a.walk.test"),
        "z.b/A c/A ns1/A")
    check.equal(names("each_record_behind", "b.walk.test"),
        "z.b/A c/A ns1/A")
    check.equal(names("each_record_behind", "aa.walk.test"),
        "z.b/A c/A ns1/A")
    check.equal(names("each_record_behind", "walk.test"),
        "a/A a/TXT z.b/A c/A ns1/A")
    check.equal(names("each_record_behind", "zz.walk.test"), "")
end)

check.test("a walk ends where it is told to", function()
    local count = 0
    assert(store:each_record("walk.test", function()
        count = count + 1
        return count < 3
    end))
    check.equal(count, 3)
end)

check.test("an edit expects a state of the zone", function()
    local first = store:zone("walk.test").generation
    local function edit_a(generation, address)
        local edit = store:edit("walk.test")
        edit:expect(generation)
        edit:set("a.walk.test", "A", 60, { address })
        return edit:commit()
    end

    check.equal(edit_a(first, "192.0.2.9"), true)
    local ok, _, kind = edit_a(first, "192.0.2.10")
    check.equal(ok, nil)
    check.equal(kind, "changed")
    check.equal(select(3, edit_a(0, "192.0.2.10")), "changed")
    check.equal(edit_a(store:zone("walk.test").generation, "192.0.2.11"),
        true)

    local edit = store:edit("unborn.test")
    edit:expect(0)
    edit:replace_zone()
    edit:load_text(ZONE)
    check.equal(edit:commit(), true)
    local other = store:edit("unborn.test")
    other:expect(0)
    other:delete_zone()
    check.equal(select(3, other:commit()), "changed")
end)

os.execute("rm -rf '" .. folder .. "'")
check.done()
