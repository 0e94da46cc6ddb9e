--- Record sets: /dns/zones/ZONE/NAME/TYPE.
-- @module dns.api.rrsets

local access = require "dns.api.access"
local changes = require "dns.api.changes"
local http = require "dns.api.http"

local function rrset_table(owner, rtype, rrset)
    return {
        name = owner,
        type = rtype,
        ttl = rrset.ttl,
        records = rrset.records,
    }
end

local function get(store, zone, owner, rtype)
    local rrset, reason, kind = changes.rrset(store, zone, owner, rtype)
    if not rrset then
        return http.send_store_error("type", reason, kind)
    end
    if http.is_known(changes.rrset_etag(rrset)) then
        return nil
    end

    return http.send_json(200, rrset_table(owner, rtype, rrset))
end

-- The body of PUT as ttl and records; or nil and what is wrong.
local function parse(value)
    local ttl, wrong = changes.ttl(value.ttl)
    if not ttl then
        return nil, wrong
    end

    wrong = changes.wrong_records(value.records)
    if wrong then
        return nil, wrong
    end

    return ttl, value.records
end

-- A step of an edit that stops where the request's conditions do not hold.
local function check_conditions(store, zone, edit, found, owner, rtype)
    if not http.has_condition() then
        return true
    end

    edit:expect(found.generation)
    local rrset = changes.rrset(store, zone, owner, rtype)
    if not http.is_wanted(changes.rrset_etag(rrset)) then
        return nil, "the set is another one", "condition"
    end

    return true
end

-- What the edit has made of the set, which others may have changed since.
local function send_new_state(edit, owner, rtype)
    local rrset, result = changes.rrset_of_edit(edit, rtype), edit:result()
    local value = rrset_table(owner, rtype, rrset)
    value.serial = result.serial
    ngx.header["ETag"] = changes.rrset_etag(rrset)
    return http.send_json(result.set_was_there and 200 or 201, value)
end

local function put(store, zone, owner, rtype)
    local value = http.read_object()
    if not value then
        return nil
    end

    local ttl, records = parse(value)
    if not ttl then
        return http.send_error(400, records)
    end

    local field
    local made, reason, kind = changes.commit(store, zone, function(edit, found)
        if not found then
            return nil, "no such zone", "not found"
        end

        local done, why, sort = check_conditions(store, zone, edit, found,
            owner, rtype)
        local i
        if done then
            done, why, sort, i = edit:set(owner, rtype, ttl, records)
            field = i and ("records[%d]"):format(i - 1)
        end
        return done, why, sort
    end)
    if not made then
        return http.send_store_error(field or "records", reason, kind)
    end

    return send_new_state(made, owner, rtype)
end

local function delete(store, zone, owner, rtype)
    local ok, reason, kind = changes.commit(store, zone, function(edit, found)
        if not found then
            return nil, "no such zone", "not found"
        end

        local done, why, sort = check_conditions(store, zone, edit, found,
            owner, rtype)
        if done then
            done, why, sort = edit:remove(owner, rtype)
        end
        return done, why, sort
    end)
    if not ok then
        return http.send_store_error("type", reason, kind)
    end

    return http.send(204)
end

local METHODS = { GET = get, PUT = put, DELETE = delete }

local rrsets = {}

-- Owner and type from the path; or nil after an error was sent.
local function parse_path(zone, owner_text, type_text)
    local owner, wrong = changes.owner_name(owner_text, zone)
    local rtype
    if owner then
        rtype, wrong = changes.stored_type(type_text)
    end
    if not rtype then
        http.send_error(400, wrong)
        return nil
    end

    return owner, rtype
end

--- Serves the request for one record set of a zone, whose name is checked.
-- @tparam table context store and grant
-- @tparam string zone
-- @tparam string owner_text
-- @tparam string type_text
function rrsets.serve(context, zone, owner_text, type_text)
    local store, grant = context.store, context.grant
    local handler = http.method_of(METHODS)
    if not handler then
        return nil
    end
    if not grant:reads(zone) then
        return access.send_denied("see the zone")
    end
    local found, reason, kind = store:zone(zone)
    if not found then
        return http.send_store_error("zone", reason, kind)
    end

    local owner, rtype = parse_path(zone, owner_text, type_text)
    if not owner then
        return nil
    end
    if handler ~= get and not grant:edits_set(zone, owner, rtype) then
        return access.send_denied("change the set")
    end

    return handler(store, zone, owner, rtype)
end

return rrsets
