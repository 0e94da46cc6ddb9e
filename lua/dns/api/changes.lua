--- Changes of record sets: checked, put into an edit, committed.
--
-- A change is a table: `owner` (absolute), `type` (a number), `ttl`, `records`
-- (texts) and `action`: "set" replaces the set or makes it, with no records it
-- goes; "add" adds records to it; "drop" takes records away that are in it.
-- @module dns.api.changes

local dns = require "dns"
local walk = require "dns.api.walk"

local name_of = dns.name

local TTL_MAX = 2147483647 -- seconds, RFC 2181 section 8
local TTL_DEFAULT = 3600
local RECORDS_MAX = 4096 -- of one set, as the store has it
local TRIES = 16 -- of a commit that others come before
local PAUSE = 0.002 -- seconds between tries, about
local LOG_INTERVAL = 30 -- seconds between two lines with one reason
local FAILURES_MAX = 100 -- reasons that are remembered

local changes = {
    TTL_MAX = TTL_MAX,
}

-- Checks.

--- The number of a type's mnemonic or digits, or nil.
function changes.type_number(text)
    if type(text) ~= "string" then
        return nil
    end
    if text:find("^%d+$") then
        local number = tonumber(text)
        return number <= 65535 and number or nil
    end

    return dns.type[text:upper()]
end

--- The number of a type that zones hold.
-- @treturn number|nil
-- @treturn string what is wrong
function changes.stored_type(text)
    local rtype = changes.type_number(text)
    if not rtype then
        return nil, "type: unknown"
    end
    if dns.is_meta_type(rtype) then
        return nil, "type: no zone can hold it"
    end

    return rtype
end

--- The name in a path or a list, in ASCII: absolute, or one label or "@" below the zone.
-- @treturn string|nil
-- @treturn string what is wrong
function changes.owner_name(text, zone)
    if text == "@" then
        return name_of.normalize(zone)
    end

    local wire = type(text) == "string" and name_of.to_wire(text)
    if not wire then
        return nil, "name: not a domain name"
    end

    if text:find("[\128-\255]") then -- nobody asks for these octets
        return nil, "name: " .. name_of.NOT_ASCII
    end

    local zone_text = name_of.normalize(zone)
    if name_of.is_within(text, zone) then
        return name_of.normalize(text)
    end
    if #wire == wire:byte(1) + 2 and text:sub(-1) ~= "." then
        local owner = name_of.normalize(text) .. "." .. zone_text
        if name_of.to_wire(owner) then
            return owner
        end
    end

    return nil, "name: outside the zone"
end

--- Seconds, 3600 for nil.
-- @treturn number|nil
-- @treturn string what is wrong
function changes.ttl(ttl)
    if ttl == nil then
        return TTL_DEFAULT
    end
    if type(ttl) ~= "number" or ttl < 0 or ttl > TTL_MAX or ttl % 1 ~= 0 then
        return nil, "ttl: a number of seconds from 0 to " .. TTL_MAX
            .. " is expected"
    end

    return ttl
end

--- What is wrong with a list of texts, or nil.
-- @tparam table records
-- @tparam[opt] number least
function changes.wrong_records(records, least)
    if type(records) ~= "table" or #records < (least or 1) then
        return ("records: a list of %s texts is expected"):format(
            least == 0 and "" or "one or more")
    end
    if #records > RECORDS_MAX then
        return ("records: over %d"):format(RECORDS_MAX)
    end

    for i, text in ipairs(records) do
        if type(text) ~= "string" then
            return ("records[%d]: not a text"):format(i - 1)
        end
    end

    return nil
end

-- Record sets as they are.

-- A visit of records that collects those of a type into rrset.
local function collector(rrset, rtype)
    return function(record)
        if record.type == rtype then
            rrset.ttl = record.ttl
            rrset.records[#rrset.records + 1] =
                dns.record_from_memory(record).record
        end
    end
end

--- A record set of the store.
-- @treturn table|nil with ttl and records, texts in canonical order
-- @treturn string reason
-- @treturn string kind
function changes.rrset(store, zone, owner, rtype)
    local rrset = { records = {} }
    local ok, reason, kind = store:each_record_of(zone, owner,
        collector(rrset, rtype))
    if not ok then
        return nil, reason, kind
    end
    if not rrset.ttl then
        return nil, "no such record set", "not found"
    end

    return rrset
end

--- The record set that a committed edit has set, as changes.rrset() gives it.
-- @tparam Edit edit of this set alone
-- @tparam number rtype
-- @treturn table
function changes.rrset_of_edit(edit, rtype)
    local rrset = { records = {} }
    edit:each_record(collector(rrset, rtype))

    return rrset
end

--- The ETag of a zone, or of a record set of it; nil for nil.
function changes.zone_etag(zone)
    return zone and zone.generation and ('"%d"'):format(zone.generation)
end

function changes.rrset_etag(rrset)
    return rrset and ('"%s"'):format(ngx.md5(rrset.ttl .. "\n"
        .. table.concat(rrset.records, "\n")))
end

-- Edits.

local function drop(edit, change)
    for i, text in ipairs(change.records) do
        local ok, reason, kind = edit:remove_if_any(change.owner, change.type,
            text)
        if not ok then
            return nil, reason, kind, i
        end
    end

    return true
end

local function add(edit, change)
    for i, text in ipairs(change.records) do
        local ok, reason, kind = edit:add(change.owner, change.type,
            change.ttl, text)
        if not ok then
            return nil, reason, kind, i
        end
    end

    return true
end

local function put(edit, change)
    if change.action == "drop" then
        return drop(edit, change)
    end
    if change.action == "add" then
        return add(edit, change)
    end

    return edit:set(change.owner, change.type, change.ttl, change.records)
end

--- Puts a list of changes into an edit, which makes them in their order: each
-- finds what those before it have left.
-- @tparam Edit edit
-- @tparam {table,...} list
-- @treturn boolean|nil
-- @treturn string reason, "rrsets[N].records[N]: ..."
-- @treturn string kind
function changes.put(edit, list)
    for i, change in ipairs(list) do
        local ok, reason, kind, at = put(edit, change)
        if not ok then
            return nil, ("rrsets[%d].records[%d]: %s"):format(i - 1,
                (at or 1) - 1, reason), kind
        end
        walk.pause(i)
    end

    return true
end

local function attempt(store, zone, fill)
    local found, reason, kind = store:zone(zone)
    if not found and kind ~= "not found" then
        return nil, reason, kind
    end

    local edit, ok
    edit, reason, kind = store:edit(zone)
    if not edit then
        return nil, reason, kind
    end

    ok, reason, kind = fill(edit, found)
    if not ok then
        return nil, reason, kind
    end

    ok, reason, kind = edit:commit()
    return ok and edit, reason, kind
end

local failures, count_of_failures = {}, 0 -- by reason: when it was logged last

-- A store that fails has the same reason for each edit.
local function log_failure(zone, reason)
    local now = ngx.now()
    if now - (failures[reason] or -math.huge) < LOG_INTERVAL then
        return
    end
    if count_of_failures == FAILURES_MAX then
        failures, count_of_failures = {}, 0
    end

    count_of_failures = count_of_failures + (failures[reason] and 0 or 1)
    failures[reason] = now
    ngx.log(ngx.ERR, "an edit of ", zone, " has failed: ", reason,
        " (the same reason is logged once in ", LOG_INTERVAL, " s)")
end

--- Commits an edit that fill() makes.  Where it decides by what the store holds
-- it calls edit:expect(), and is called again when somebody else was faster.
-- @tparam Store store
-- @tparam string zone
-- @tparam function fill takes the edit and the zone, nil if there is none;
--   gives true, or nil, a reason and a kind
-- @treturn Edit|nil the committed one: what it says of the zone (Edit:result())
--   is what the answer shows
-- @treturn string reason
-- @treturn string kind
function changes.commit(store, zone, fill)
    local edit, reason, kind
    for i = 1, TRIES do
        edit, reason, kind = attempt(store, zone, fill)
        if edit or kind ~= "changed" then
            break
        end
        ngx.sleep(math.random() * i * PAUSE) -- so that they part
    end
    if kind == "store" then
        log_failure(zone, reason)
    end

    return edit, reason, kind
end

return changes
