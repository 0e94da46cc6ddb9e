--- What is allowed in a zone and probably a mistake.
-- @module dns.zone_warnings

local ffi = require "ffi"
local dns = require "dns"

local name_of = dns.name
local NS, A, AAAA, CNAME = dns.type.NS, dns.type.A, dns.type.AAAA, dns.type.CNAME

local zone_warnings = {}

-- The servers of NS records whose names lie in the zone, once each.
local function servers_inside(store, zone)
    local names, seen = {}, {}
    store:each_record(zone, function(record)
        if record.type ~= NS then
            return
        end
        local wire = ffi.string(record.rdata, record.rdata_size)
        local name = not seen[wire] and name_of.from_wire(wire)
        seen[wire] = true
        if name and name_of.is_within(name, zone) then
            names[#names + 1] = name
        end
    end)

    return names
end

-- A wildcard above the name may give it addresses.
local function has_wildcard(store, zone, name)
    local above = name:match("^[^.]+%.(.+)$")
    while above and name_of.is_within(above, zone) do
        if store:has(zone, "*." .. above, A)
            or store:has(zone, "*." .. above, AAAA) then
            return true
        end
        above = above:match("^[^.]+%.(.+)$")
    end

    return false
end

--- Sentences about a zone of a store.
-- @tparam Store store
-- @tparam string zone
-- @treturn {string,...}
function zone_warnings.of(store, zone)
    local out = {}
    for _, name in ipairs(servers_inside(store, zone)) do
        if not (store:has(zone, name, A) or store:has(zone, name, AAAA)
            or has_wildcard(store, zone, name)) then
            out[#out + 1] = ("NS %s has %s"):format(name,
                store:has(zone, name, CNAME) and "a CNAME in place of an address"
                or "no address")
        end
    end

    return out
end

return zone_warnings
