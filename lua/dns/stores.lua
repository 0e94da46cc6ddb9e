--- Several zone stores as one, with the methods of dns.store: a zone is read
-- and edited where it is, a new one is made in a store that is told.
-- @module dns.stores

local dns = require "dns"

local name_of = dns.name

local Stores = {}
Stores.__index = Stores

-- The store that has the zone.  One that fails could have it: an edit must not
-- go to another one's copy.
local function store_of(self, zone, is_edit)
    local failed, kind
    for _, store in ipairs(self.stores) do
        local found, reason, what = store:zone(zone)
        if found and not (is_edit and failed) then
            return store, found
        end
        if what ~= "not found" then
            failed, kind = reason, what
        end
    end

    return nil, failed or "no such zone", kind or "not found"
end

-- Both are in order; of a zone that both have, the first one's stays.
local function merged(first, second, pause)
    if #first == 0 or #second == 0 then
        return #first == 0 and second or first
    end

    local out, i, j = {}, 1, 1
    while first[i] or second[j] do
        local a, b = first[i], second[j]
        if a and b and a.name == b.name then
            j = j + 1
        elseif a and (not b or name_of.is_before(a.name, b.name)) then
            out[#out + 1], i = a, i + 1
        else
            out[#out + 1], j = b, j + 1
        end
        pause(i + j)
    end

    return out
end

--- See dns.store.  A zone and its copy in a mirror are one.
-- @tparam[opt] function pause called with each index: others have their turn
function Stores:zones(pause)
    local all = {}
    pause = pause or function() end
    for _, store in ipairs(self.stores) do
        local zones, reason, kind = store:zones(pause)
        if not zones then
            return nil, reason, kind
        end
        all = merged(all, zones, pause)
    end

    return all
end

--- See dns.store.
function Stores:zone(zone)
    local store, found, kind = store_of(self, zone)
    if not store then
        return nil, found, kind
    end

    return found
end

for _, method in ipairs { "each_record", "each_record_of",
    "each_record_behind", "each_parked", "zone_text", "has" } do
    Stores[method] = function(self, zone, ...)
        local store, reason, kind = store_of(self, zone)
        if not store then
            return nil, reason, kind
        end

        return store[method](store, zone, ...)
    end
end

--- The store that has a zone.
-- @treturn Store|nil
-- @treturn string reason
-- @treturn string kind
function Stores:part_of(zone)
    local store, reason, kind = store_of(self, zone)
    if not store then
        return nil, reason, kind
    end

    return store
end

--- See dns.store.
function Stores:edit(zone)
    local store, reason, kind = store_of(self, zone, true)
    if not store and kind ~= "not found" then
        return nil, reason, kind
    end

    return (store or self.first):edit(zone)
end

local stores = {}

--- @tparam {Store,...} list one at the least, in the order of being asked
-- @tparam[opt] Store first where new zones are made; nil: in the first of list
-- @treturn Stores
function stores.new(list, first)
    return setmetatable({ stores = list, first = first or list[1] }, Stores)
end

return stores
