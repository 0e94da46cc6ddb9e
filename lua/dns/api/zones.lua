--- Zones: /dns/zones and /dns/zones/ZONE.
-- @module dns.api.zones

local dns = require "dns"
local access = require "dns.api.access"
local changes = require "dns.api.changes"
local http = require "dns.api.http"
local json = require "dns.api.json"
local metadata = require "dns.api.powerdns_metadata"
local walk = require "dns.api.walk"

local name_of = dns.name

local PAGE_MAX = 10000
local RRSETS_MAX = 65536 -- of one PATCH
local ACTIONS = { set = true, add = true, drop = true, delete = true }

-- Pages.

-- What ?limit= and ?after= say: a number or nil, a name or nil; or false after
-- an error was sent.
local function page_of(args)
    local limit, wrong = http.number_argument(args, "limit", math.huge, 1,
        PAGE_MAX)
    local after = args.after
    if after ~= nil and (type(after) ~= "string"
        or not name_of.to_wire(after)) then
        wrong = "after: not a domain name"
    end
    if wrong then
        http.send_error(400, wrong)
        return false
    end

    return limit, after
end

-- RFC 8288: where the next page is.
local function link_next(path, limit, last)
    ngx.header["Link"] = ('<%s?limit=%d&after=%s>; rel="next"'):format(path,
        limit, ngx.escape_uri(last))
end

-- The index of the first zone behind a name, in canonical order.
local function index_behind(zones, name)
    local low, high = 1, #zones + 1
    while low < high do
        local middle = math.floor((low + high) / 2)
        if name_of.is_before(name, zones[middle].name) then
            high = middle
        else
            low = middle + 1
        end
    end

    return low
end

local function list(store, grant)
    local limit, after = page_of(ngx.req.get_uri_args())
    if not limit then
        return nil
    end

    local zones, reason = store:zones(walk.pause)
    if not zones then
        return http.send_error(500, reason)
    end

    local out, last = json.list {}, nil
    for i = after and index_behind(zones, after) or 1, #zones do
        local zone = zones[i]
        if grant:reads(zone.name) then
            if #out == limit then
                link_next("/dns/zones", limit, last)
                break
            end
            last = zone.name
            out[#out + 1] = json.raw(json.encode {
                name = zone.name,
                serial = zone.serial,
            })
        end
        walk.pause(i)
    end

    return http.send_json(200, out)
end

-- One zone.

local function record_json(record)
    local found = dns.record_from_memory(record)
    found.rdata = nil
    return json.encode(found)
end

-- A page of records as JSON texts, and the last name if more follow.  A name's
-- records are not parted.
local function page(store, zone, limit, after)
    local parts, last, name = {}, nil, nil
    local function visit(record)
        local found = name_of.from_memory(record.name, record.name_size)
        if #parts >= limit and found ~= name then
            last = name
            return false
        end
        name = found
        parts[#parts + 1] = record_json(record)
        return true
    end

    if after then
        store:each_record_behind(zone, after, visit)
    else
        store:each_record(zone, visit)
    end

    return parts, last
end

-- All records as JSON texts, and the zone; or nil, a reason and a kind.
local function all_records(store, zone)
    local parts = {}
    local found, reason, kind = walk.records(store, zone, function(record)
        parts[#parts + 1] = record_json(record)
    end, function()
        parts = {}
    end)
    if not found then
        return nil, reason, kind
    end

    return parts, found
end

-- What is kept of the zone beside its records, as members of its object.
local function members_beside(context, zone)
    local kept, out = metadata.of(context, zone), {}
    local values = { kind = kept.kind, account = kept.account, metadata = {},
        comments = json.list {} }
    for field, value in pairs(kept) do
        local class, rest = field:match("^(%l+):(.*)$")
        if class == "metadata" then
            values.metadata[rest] = json.list(value)
        elseif class == "comments" then
            local owner, type_name = rest:match("^(.*)/([^/]*)$")
            for _, comment in ipairs(value) do
                table.insert(values.comments, {
                    name = owner,
                    type = dns.type[type_name] or type_name,
                    account = comment.account,
                    comment = comment.content,
                    modified_at = comment.modified_at,
                })
            end
        end
    end
    for _, name in ipairs { "kind", "account", "metadata", "comments" } do
        local value = values[name]
        if value and (type(value) ~= "table" or next(value) ~= nil) then
            out[#out + 1] = (',"%s":%s'):format(name, json.encode(value))
        end
    end

    return table.concat(out)
end

local function send_records(context, found, parts)
    if http.is_known(changes.zone_etag(found)) then
        return nil
    end

    local pieces = { ('{"name":%s,"serial":%d%s,"records":['):format(
        json.encode(found.name), found.serial,
        members_beside(context, found.name)) }
    for i, part in ipairs(parts) do
        pieces[#pieces + 1] = part
        pieces[#pieces + 1] = i < #parts and ",\n" or nil
        walk.pause(i)
    end
    pieces[#pieces + 1] = "]}\n"

    return http.send(200, "application/json", pieces)
end

local function get_text(store, zone)
    local lines, found, kind = walk.lines(store, zone)
    if not lines then
        return http.send_store_error("zone", found, kind)
    end
    if http.is_known(changes.zone_etag(found)) then
        return nil
    end

    return http.send(200, "text/dns", lines)
end

local function get_page(context, zone, limit, after)
    local store = context.store
    local found, reason, kind = store:zone(zone)
    if not found then
        return http.send_store_error("zone", reason, kind)
    end
    if after and not name_of.is_within(after, zone) then
        return http.send_error(400, "after: outside the zone")
    end

    local parts, last = page(store, zone, limit, after)
    if last then
        link_next("/dns/zones/" .. ngx.escape_uri(found.name), limit, last)
    end

    return send_records(context, found, parts)
end

local function get(store, zone, _, context)
    ngx.header["Vary"] = "Accept"
    local accept = http.header("Accept")
    if accept and accept:find("text/dns", 1, true) then
        return get_text(store, zone)
    end

    local limit, after = page_of(ngx.req.get_uri_args())
    if not limit then
        return nil
    end
    if limit < math.huge or after then
        return get_page(context, zone, math.min(limit, PAGE_MAX), after)
    end

    local parts, found, kind = all_records(store, zone)
    if not parts then
        return http.send_store_error("zone", found, kind)
    end

    return send_records(context, found, parts)
end

-- A step of an edit that stops where the request's conditions do not hold.
local function check_conditions(edit, found)
    if not http.has_condition() then
        return true
    end

    edit:expect(found and found.generation or 0)
    if not http.is_wanted(changes.zone_etag(found)) then
        return nil, "the zone is another one", "condition"
    end

    return true
end

-- What the edit has made of the zone, which others may have changed since.
local function send_new_state(edit)
    local result, warnings = edit:result(), edit:warnings()
    ngx.header["ETag"] = changes.zone_etag(result)
    return http.send_json(result.zone_was_there and 200 or 201, {
        name = name_of.normalize(result.name),
        serial = result.serial,
        warnings = #warnings > 0 and json.list(warnings) or nil,
    })
end

local function put(store, zone)
    local body = http.read_body()
    if not body then
        return nil
    end
    if body == "" then
        return http.send_error(400, "body: empty, a master file is expected")
    end

    local made, reason, kind = changes.commit(store, zone, function(edit, found)
        local done, why, sort = check_conditions(edit, found)
        if done then
            edit:replace_zone()
            edit:load_text(body)
        end
        return done, why, sort
    end)
    if not made then
        return http.send_store_error("body", reason, kind)
    end

    return send_new_state(made)
end

local function delete(store, zone)
    local ok, reason, kind = changes.commit(store, zone, function(edit, found)
        local done, why, sort = check_conditions(edit, found)
        if done then
            edit:delete_zone()
        end
        return done, why, sort
    end)
    if not ok then
        return http.send_store_error("zone", reason, kind)
    end

    return http.send(204)
end

-- PATCH.

-- One of "rrsets" as a change; or nil and what is wrong.
local function parse_change(value, zone)
    if type(value) ~= "table" then
        return nil, "not an object"
    end

    local action = value.change or "set"
    if not ACTIONS[action] then
        return nil, "change: set, add, drop or delete is expected"
    end

    local owner, rtype, ttl, wrong
    owner, wrong = changes.owner_name(value.name, zone)
    if owner then
        rtype, wrong = changes.stored_type(tostring(value.type))
    end
    if rtype and (value.ttl ~= nil or action == "set") then
        ttl, wrong = changes.ttl(value.ttl)
    end
    if not wrong and action ~= "delete" then
        wrong = changes.wrong_records(value.records)
    end
    if wrong then
        return nil, wrong
    end

    return {
        owner = owner,
        type = rtype,
        ttl = ttl,
        action = action,
        records = action == "delete" and {} or value.records,
    }
end

local function parse_changes(value, zone)
    local rrsets = value.rrsets
    if type(rrsets) ~= "table" or #rrsets == 0 then
        return nil, "rrsets: a list of one or more is expected"
    end
    if #rrsets > RRSETS_MAX then
        return nil, ("rrsets: over %d"):format(RRSETS_MAX)
    end

    local out = {}
    for i, item in ipairs(rrsets) do
        local change, wrong = parse_change(item, zone)
        if not change then
            return nil, ("rrsets[%d].%s"):format(i - 1, wrong)
        end
        out[i] = change
        walk.pause(i)
    end

    return out
end

local function check_grant(grant, zone, parsed)
    for i, change in ipairs(parsed) do
        if not grant:edits_set(zone, change.owner, change.type) then
            access.send_denied(("change rrsets[%d]"):format(i - 1))
            return false
        end
    end

    return true
end

local function patch(store, zone, grant)
    if not grant:edits_some(zone) then -- before the body is read
        return access.send_denied("change the zone")
    end

    local value = http.read_object(grant)
    if not value then
        return nil
    end

    local parsed, wrong = parse_changes(value, zone)
    if not parsed then
        return http.send_error(400, wrong)
    end
    if not check_grant(grant, zone, parsed) then
        return nil
    end

    local made, reason, kind = changes.commit(store, zone, function(edit, found)
        if not found then
            return nil, "zone: no such zone", "not found"
        end

        local done, why, sort = check_conditions(edit, found)
        if done then
            done, why, sort = changes.put(edit, parsed)
        end
        return done, why, sort
    end)
    if not made then
        return http.send_error(http.status_of(kind), reason)
    end

    return send_new_state(made)
end

local METHODS = { GET = get, PUT = put, PATCH = patch, DELETE = delete }

local zones = {}

--- Serves /dns/zones.
-- @tparam table context store and grant
function zones.serve_list(context)
    local handler = http.method_of({ GET = list })
    return handler and handler(context.store, context.grant)
end

--- Serves /dns/zones/ZONE; the name is checked.
-- @tparam table context store and grant
-- @tparam string zone
function zones.serve(context, zone)
    local grant = context.grant
    local handler = http.method_of(METHODS)
    if not handler then
        return nil
    end
    if not grant:reads(zone) then
        return access.send_denied("see the zone")
    end
    if (handler == put or handler == delete) and not grant:edits(zone) then
        return access.send_denied("replace or remove the zone")
    end

    return handler(context.store, zone, grant, context)
end

return zones
