--- Going through a whole zone without keeping the worker from its queries: in
-- batches, between which others have their turn.
-- @module dns.api.walk

local dns = require "dns"
local store_module = require "dns.store"

local name_of = dns.name

local BATCH = 200 -- records
local TRIES = 4 -- the last one goes through in one turn

-- One batch: the name to go on behind, false at the end, or nil, reason, kind.
local function batch(store, zone, visit, after, size)
    local count, last, is_cut = 0, nil, false
    local function step(record)
        count = count + 1
        if count >= size then -- a name's records stay together
            local name = name_of.from_memory(record.name, record.name_size)
            if last and name ~= last then
                is_cut = true
                return false
            end
            last = name
        end
        return visit(record)
    end

    local ok, reason, kind
    if after then
        ok, reason, kind = store:each_record_behind(zone, after, step)
    else
        ok, reason, kind = store:each_record(zone, step)
    end
    if not ok then
        return nil, reason, kind
    end

    return is_cut and last
end

-- One way through; false where the zone has changed under way.
local function pass(store, found, visit, size)
    local after, reason, kind
    repeat
        after, reason, kind = batch(store, found.name, visit, after, size)
        if after == nil then
            return nil, reason, kind
        end
        if after then
            ngx.sleep(0)
            local now = store:zone(found.name)
            if not now or now.generation ~= found.generation then
                return false
            end
        end
    until not after

    return found
end

local walk = {}

-- A copy of the zone is as it was at one time, and gives others their turn.
local function pass_copy(store, found, visit)
    local count = 0
    local ok, reason, kind = store:each_record(found.name, function(record)
        local goes_on = visit(record)
        count = count + 1
        walk.pause(count)
        return goes_on
    end)
    if not ok then
        return nil, reason, kind
    end

    return found
end

local function go_through(store, found, visit, size)
    local part, reason, kind = store, nil, nil
    if store.part_of then
        part, reason, kind = store:part_of(found.name)
    end
    if not part then
        return nil, reason, kind
    end
    if part.is_copied then
        return pass_copy(part, found, visit)
    end

    return pass(part, found, visit, size)
end

--- Calls visit with each record of a zone as it was at one time.
-- @tparam Store store
-- @tparam string zone
-- @tparam function visit as of Store:each_record()
-- @tparam function restart called before the records come once more, because
--   the zone has changed
-- @treturn table|nil the zone as Store:zone() gives it
-- @treturn string reason
-- @treturn string kind
function walk.records(store, zone, visit, restart)
    for try = 1, TRIES do
        local found, reason, kind = store:zone(zone)
        if found then
            found, reason, kind = go_through(store, found, visit,
                try < TRIES and BATCH or math.huge)
        end
        if found ~= false then
            return found, reason, kind
        end
        restart()
    end

    return nil, "the zone changes all the time", "changed"
end

--- Gives others their turn now and then: call it with each index of a loop.
function walk.pause(index)
    if index % BATCH == 0 then
        ngx.sleep(0)
    end
end

--- A zone as lines of a master file.
-- @treturn {string,...}|nil
-- @treturn string|table reason, or the zone
-- @treturn string kind
function walk.lines(store, zone)
    local lines = {}
    local found, reason, kind = walk.records(store, zone, function(record)
        lines[#lines + 1] = store_module.record_line(record)
    end, function()
        lines = {}
    end)
    if not found then
        return nil, reason, kind
    end

    return lines, found
end

return walk
