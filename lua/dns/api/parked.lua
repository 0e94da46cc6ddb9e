--- What a zone keeps for the API of PowerDNS and does not serve: disabled records,
-- and what was written as ALIAS, which is answered as a CNAME (store/parked.h).
-- @module dns.api.parked

local dns = require "dns"
local contents = require "dns.api.contents"
local store_module = require "dns.store"

local name_of = dns.name

local ALIAS, DISABLED_ALIAS = store_module.ALIAS, store_module.DISABLED_ALIAS
local CNAME = dns.type.CNAME

local Parked = {}
Parked.__index = Parked

local function key_of(owner, type_name)
    return owner .. "/" .. type_name
end

function Parked:add(owner, type_name, ttl, content, is_disabled)
    local key = key_of(owner, type_name)
    local set = self.sets[key]
    if not set then
        set = { owner = owner, type = type_name, ttl = ttl, records = {} }
        self.sets[key] = set
        self.order[#self.order + 1] = key
    end
    if is_disabled then
        set.records[#set.records + 1] = { content = content, disabled = true }
    else
        set.alias = content
    end
end

--- The type of the set that a CNAME was written as.
function Parked:type_of(owner, type_name)
    local set = type_name == "CNAME" and self.sets[key_of(owner, "ALIAS")]
    return set and set.alias and "ALIAS" or type_name
end

--- The disabled records of a set that is served.
-- @treturn {table,...} with content and disabled
function Parked:beside(owner, type_name)
    local key = key_of(owner, type_name)
    self.shown[key] = true
    local set = self.sets[key]
    return set and set.records or {}
end

--- Calls visit with each set that beside() was not asked for.
function Parked:each_other(visit)
    for _, key in ipairs(self.order) do
        local set = self.sets[key]
        if not self.shown[key] then
            visit(set)
        end
    end
end

--- Nothing was shown yet.
function Parked:restart()
    self.shown = {}
end

local parked = {}

--- None.
-- @treturn Parked
function parked.new()
    return setmetatable({ sets = {}, order = {}, shown = {} }, Parked)
end

--- What a zone parks.
-- @treturn Parked|nil
-- @treturn string reason
-- @treturn string kind
function parked.of(store, zone)
    local out = parked.new()
    local ok, reason, kind = store:each_parked(zone, function(record)
        local rtype = record.type
        local is_alias = rtype == ALIAS or rtype == DISABLED_ALIAS
        if is_alias then
            record.type = CNAME -- as which its data is written
        end
        local found = dns.record_from_memory(record)
        out:add(name_of.normalize(found.name),
            is_alias and "ALIAS" or dns.type[rtype], found.ttl,
            contents.show(found.type, found.record), rtype ~= ALIAS)
    end)
    if not ok then
        return nil, reason, kind
    end

    return out
end

--- What changes park in a new zone.
-- @tparam {table,...} list
-- @treturn Parked
function parked.of_changes(list)
    local out = parked.new()
    for _, change in ipairs(list) do
        for _, text in ipairs(change.disabled) do
            local rdata = dns.rdata_from_text(change.type, text, nil)
            out:add(change.owner, change.type_name, change.ttl,
                contents.show(change.type,
                    dns.rdata_to_text(change.type, rdata)), true)
        end
        if change.is_alias and change.records[1] then
            out:add(change.owner, "ALIAS", change.ttl, change.records[1], false)
        end
    end

    return out
end

-- Changes.

local function types_of(change)
    return change.is_alias and { ALIAS, DISABLED_ALIAS } or { change.type }
end

local function park(edit, change, texts, rtype)
    for _, text in ipairs(texts) do
        local ok, reason, kind = edit:park(change.owner, rtype, change.ttl,
            text)
        if not ok then
            return nil, reason, kind
        end
    end

    return true
end

-- A record is either served or disabled: what is added as the one is not the
-- other any more.
local function unpark(edit, change)
    for _, rtype in ipairs(types_of(change)) do
        if change.action == "set" then
            edit:unpark(change.owner, rtype)
        else
            for _, text in ipairs(change.records) do
                edit:unpark(change.owner, rtype, text)
            end
        end
    end
end

local function unserve(edit, change)
    for _, text in ipairs(change.action == "add" and change.disabled or {}) do
        edit:remove_if_any(change.owner, change.type, text)
    end
end

--- Puts the parked part of changes into an edit, behind the served one.
-- @tparam Edit edit
-- @tparam {table,...} list
-- @treturn boolean|nil
-- @treturn string reason
-- @treturn string kind
function parked.put(edit, list)
    for _, change in ipairs(list) do
        unpark(edit, change)
        unserve(edit, change)
        local ok, reason, kind = true, nil, nil
        if change.action ~= "drop" then
            if change.is_alias then
                ok, reason, kind = park(edit, change, change.records, ALIAS)
            end
            if ok then
                ok, reason, kind = park(edit, change, change.disabled,
                    change.is_alias and DISABLED_ALIAS or change.type)
            end
        end
        if not ok then
            return nil, reason, kind
        end
    end

    return true
end

-- CNAME and ALIAS are one set where they are served.

local function sets_other(list, change)
    for _, other in ipairs(list) do
        if other ~= change and other.type == CNAME
            and other.owner == change.owner and #other.records > 0 then
            return true
        end
    end

    return false
end

local function is_removal(change)
    return change.type == CNAME and change.action == "set"
        and #change.records == 0 and not change.keeps_records
end

local function settle(list, change, there)
    local has_alias = there:type_of(change.owner, "CNAME") == "ALIAS"
    if sets_other(list, change) or has_alias ~= (change.is_alias == true) then
        change.keeps_served = true
    end
end

--- Marks what removes a CNAME where an ALIAS is, or the other way round: nothing
-- that is served goes with it.
-- @treturn boolean|nil
-- @treturn string reason
-- @treturn string kind
function parked.settle(store, zone, list)
    local there, reason, kind
    for _, change in ipairs(list) do
        if is_removal(change) then
            if not there then
                there, reason, kind = parked.of(store, zone)
            end
            if not there then
                return nil, reason, kind
            end
            settle(list, change, there)
        end
    end

    return true
end

return parked
