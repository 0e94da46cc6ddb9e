--- Zones as the PowerDNS API has them: /servers/localhost/zones and below.
-- @module dns.api.powerdns_zones

local dns = require "dns"
local access = require "dns.api.access"
local changes = require "dns.api.changes"
local http = require "dns.api.http"
local json = require "dns.api.json"
local metadata = require "dns.api.powerdns_metadata"
local parked = require "dns.api.parked"
local rrsets = require "dns.api.powerdns_rrsets"
local walk = require "dns.api.walk"

local name_of = dns.name
local canonical = rrsets.canonical

local BASE = "/api/v1/servers/localhost/zones"
local DEFAULT_KIND = "Native"
local DEFAULT_SERVER = "a.misconfigured.dns.server.invalid."
local DEFAULT_TTL = 3600
local DEFAULT_SERIALS = "DEFAULT" -- SOA-EDIT-API
local KINDS = { native = "Native", master = "Master", slave = "Slave",
    primary = "Master", secondary = "Slave", producer = "Producer",
    consumer = "Consumer" }

-- What PUT and POST may set, by the type of its value.
local SETTINGS = { account = "string", catalog = "string", masters = "table",
    soa_edit = "string", soa_edit_api = "string", api_rectify = "boolean",
    nsec3param = "string", nsec3narrow = "boolean" }

local zones = {}

-- Errors: what /dns calls 400 and 409 is 422 here.
local function send_store_error(reason, kind)
    local status = http.status_of(kind)
    return http.send_error((status == 400 or status == 409) and 422 or status,
        reason)
end

local attributes_of, set_attributes = metadata.of, metadata.set

-- What is kept of changed sets beside their records.
local function keep_of_sets(context, zone, list)
    return set_attributes(context, zone, rrsets.comment_fields(list))
        and set_attributes(context, zone, rrsets.content_fields(list,
            attributes_of(context, zone)))
end

--- A zone's id, safe in a path.
function zones.id(name)
    if name == "." then -- which a path would lose
        return "=2E"
    end

    return (canonical(name):gsub("[^%w%._%-]", function(c)
        return ("=%02X"):format(c:byte())
    end))
end

local function wants(name)
    return ngx.req.get_uri_args()[name] ~= "false"
end

local function is_signed(store, found)
    return store:has(found.name, found.name, dns.type.DNSKEY)
end

local function zone_table(found, kept, signed)
    local id = zones.id(found.name)

    return {
        id = id,
        name = canonical(found.name),
        type = "Zone",
        url = BASE .. "/" .. id,
        kind = kept.kind or DEFAULT_KIND,
        serial = found.serial,
        edited_serial = found.serial,
        notified_serial = 0, -- there are no transfers to announce
        last_check = 0,
        dnssec = signed,
        presigned = signed,
        account = kept.account or "",
        catalog = kept.catalog or "",
        masters = json.list(kept.masters or {}),
    }
end

local function add_details(zone, kept)
    zone.soa_edit = kept.soa_edit or ""
    zone.soa_edit_api = kept.soa_edit_api or "INCREASE"
    zone.api_rectify = kept.api_rectify or false
    zone.nsec3param = kept.nsec3param or ""
    zone.nsec3narrow = kept.nsec3narrow or false
    zone.master_tsig_key_ids = json.list {}
    zone.slave_tsig_key_ids = json.list {}
end

local function send_zone(context, zone, with_rrsets, owner, type_name)
    local store = context.store
    local found, reason, kind = store:zone(zone)
    if not found then
        return send_store_error(reason, kind)
    end

    local kept = attributes_of(context, zone)
    local out = zone_table(found, kept, is_signed(store, found))
    add_details(out, kept)
    if with_rrsets then
        out.rrsets, reason, kind = rrsets.of(store, zone, kept, owner,
            type_name)
        if not out.rrsets then
            return send_store_error(reason, kind)
        end
    end

    return http.send_json(200, out)
end

-- What the edit has made, which others may have changed since.
local function send_made(context, edit, list)
    local found = edit:result()
    local kept = attributes_of(context, found.name)
    local rrsets_made, has_key = rrsets.of_edit(edit, kept, list)
    local out = zone_table(found, kept, has_key)
    add_details(out, kept)
    if wants("rrsets") then
        out.rrsets = rrsets_made
    end

    return http.send_json(201, out)
end

-- The list.

-- What a store says at once: whether a zone is signed, a database would have to
-- be asked for each.
local function is_quick(store)
    return not store.is_copied and not store.part_of
end

local function list_zones(context, found)
    local store, out = context.store, json.list {}
    local attributes_of_zone = metadata.of_all(context)
    local looks = is_quick(store) and wants("dnssec")
    for i, zone in ipairs(found) do
        local name = name_of.normalize(zone.name)
        if context.grant:reads(name) then
            out[#out + 1] = json.raw(json.encode(zone_table(zone,
                attributes_of_zone(name), looks and is_signed(store, zone))))
        end
        walk.pause(i)
    end

    return http.send_json(200, out)
end

local function list(context)
    local wanted = ngx.req.get_uri_args().zone
    if wanted ~= nil then
        local one = type(wanted) == "string" and name_of.to_wire(wanted)
            and context.store:zone(wanted)
        return list_zones(context, { one or nil })
    end

    local found, reason = context.store:zones(walk.pause)
    if not found then
        return http.send_error(500, reason)
    end

    return list_zones(context, found)
end

-- Making and changing.

-- The settings of a body; or nil and what is wrong.
local function parse_settings(value)
    local out = {}
    if value.kind ~= nil then
        out.kind = type(value.kind) == "string" and KINDS[value.kind:lower()]
        if not out.kind then
            return nil, "kind: not one of Native, Master, Slave, Producer, "
                .. "Consumer"
        end
    end

    for field, expected in pairs(SETTINGS) do
        local given = value[field]
        if type(given) == expected then
            out[field] = given
        elseif given ~= nil and given ~= json.null then
            return nil, ("%s: a %s is expected"):format(field, expected)
        end
    end

    return out
end

local function has_set(parsed, zone, type_name)
    for _, change in ipairs(parsed) do
        if change.type == dns.type[type_name] and change.owner == zone then
            return true
        end
    end

    return false
end

-- An absolute name of one label below a zone; the root is a zone, too.
local function below(label, zone)
    return label .. "." .. (zone == "." and "" or canonical(zone))
end

-- A zone needs a SOA and an NS: what the body does not say is added.
local function add_apex(edit, zone, parsed, servers)
    if #servers == 0 then
        servers = { DEFAULT_SERVER }
    end
    if not has_set(parsed, zone, "SOA") then
        local soa = ("%s %s 0 10800 3600 604800 3600"):format(servers[1],
            below("hostmaster", zone)) -- the rule for serials gives it one
        local ok, reason, kind = edit:add(zone, "SOA", DEFAULT_TTL, soa)
        if not ok then
            return nil, reason, kind
        end
    end
    if has_set(parsed, zone, "NS") then
        return true
    end

    return edit:set(zone, dns.type.NS, DEFAULT_TTL, servers)
end

-- An edit of the API obeys what the zone's settings say about its serial; a zone
-- that was not made by it has none.
local function obey_serial_rule(edit, settings)
    if settings.soa_edit_api then
        edit:serial_rule(settings.soa_edit_api, settings.soa_edit, ngx.time())
    end
end

local function parse_servers(servers)
    if servers == nil or servers == json.null then
        return {}
    end
    if type(servers) ~= "table" then
        return nil, "nameservers: a list is expected"
    end

    for i, server in ipairs(servers) do
        if type(server) ~= "string" or not name_of.to_wire(server)
            or server:sub(-1) ~= "." then
            return nil, ("nameservers[%d]: not a canonical name"):format(i - 1)
        end
    end

    return servers
end

-- The body of POST as a table; or nil and what is wrong.
local function parse_new(value)
    local name = value.name
    if type(name) ~= "string" or not name_of.to_wire(name) then
        return nil, "name: not a domain name"
    end
    if name:sub(-1) ~= "." then
        return nil, "name: not canonical, the final dot is missing"
    end
    if name_of.normalize(name):find("\\%d") then
        return nil, "name: " .. name_of.NOT_ASCII
    end

    local out = { zone = name_of.normalize(name) }
    local wrong
    out.settings, wrong = parse_settings(value)
    if out.settings then
        out.servers, wrong = parse_servers(value.nameservers)
    end
    if out.servers then
        out.changes, wrong = rrsets.parse(value.rrsets or {}, out.zone,
            "REPLACE")
    end
    if wrong then
        return nil, wrong
    end

    out.text = type(value.zone) == "string" and value.zone or nil
    out.settings.soa_edit_api = out.settings.soa_edit_api or DEFAULT_SERIALS
    return out
end

local function make(store, new)
    return changes.commit(store, new.zone, function(edit, found)
        if found then
            return nil, "zone: it exists", "exists"
        end

        edit:expect(0)
        edit:replace_zone()
        obey_serial_rule(edit, new.settings)
        if new.text then
            edit:load_text(new.text)
        end

        local ok, reason, kind = rrsets.put(edit, new.changes)
        if ok and not new.text then
            ok, reason, kind = add_apex(edit, new.zone, new.changes,
                new.servers)
        end
        return ok, reason, kind
    end)
end

local function create(context)
    if not context.grant:edits_zones() then -- before the body is read
        return access.send_denied("make zones")
    end

    local value = http.read_object(context.grant)
    if not value then
        return nil
    end

    local new, wrong = parse_new(value)
    if not new then
        return http.send_error(422, wrong)
    end
    if not context.grant:edits(new.zone) then
        return access.send_denied("make the zone " .. new.zone)
    end

    local made, reason, kind = make(context.store, new)
    if kind == "exists" then
        return http.send_error(409, "Conflict: the zone exists")
    end
    if not made then
        return send_store_error(reason, kind)
    end

    if not set_attributes(context, new.zone, new.settings)
        or not keep_of_sets(context, new.zone, new.changes) then
        return nil
    end

    return send_made(context, made, new.changes)
end

local function get(context, zone)
    local args = ngx.req.get_uri_args()
    local owner, type_name = args.rrset_name, args.rrset_type
    if type(owner) ~= "string" or not name_of.to_wire(owner)
        or not name_of.is_within(owner, zone) then
        owner = nil
    end

    return send_zone(context, zone, wants("rrsets"), owner,
        type(type_name) == "string" and type_name:upper() or nil)
end

local function check_grant(context, zone, parsed)
    for _, change in ipairs(parsed) do
        if not context.grant:edits_set(zone, change.owner, change.type) then
            access.send_denied(("change %s %s"):format(change.owner,
                dns.type[change.type]))
            return false
        end
    end

    return true
end

local function patch(context, zone)
    if not context.grant:edits_some(zone) then -- before the body is read
        return access.send_denied("change the zone " .. zone)
    end

    local value = http.read_object(context.grant)
    if not value then
        return nil
    end

    local parsed, wrong = rrsets.parse(value.rrsets, zone)
    if not parsed then
        return http.send_error(422, wrong)
    end
    if not check_grant(context, zone, parsed) then
        return nil
    end

    local store = context.store
    local ok, reason, kind = parked.settle(store, zone, parsed)
    if not ok then
        return send_store_error(reason, kind)
    end

    ok, reason, kind = changes.commit(store, zone, function(edit, found)
        if not found then
            return nil, "no such zone", "not found"
        end

        obey_serial_rule(edit, attributes_of(context, zone))
        return rrsets.put(edit, parsed)
    end)
    if not ok then
        return send_store_error(reason, kind)
    end

    return keep_of_sets(context, zone, parsed) and http.send(204)
end

-- The body of PUT: settings, and all of the zone's record sets if it has
-- "rrsets"; or nil and what is wrong.
local function parse_put(value, zone)
    local out = { zone = zone }
    local wrong
    out.settings, wrong = parse_settings(value)
    if not out.settings then
        return nil, wrong
    end
    if value.rrsets == nil or value.rrsets == json.null then
        return out
    end

    out.changes, wrong = rrsets.parse(value.rrsets, zone, "REPLACE")
    for _, needed in ipairs { "SOA", "NS" } do
        if out.changes and not has_set(out.changes, zone, needed) then
            return nil, ("rrsets: the zone's %s is missing, and these are to "
                .. "be all of its record sets"):format(needed)
        end
    end

    return not wrong and out or nil, wrong
end

local function replace(context, new)
    local settings = setmetatable(new.settings,
        { __index = attributes_of(context, new.zone) })
    return changes.commit(context.store, new.zone, function(edit, found)
        if not found then
            return nil, "no such zone", "not found"
        end

        edit:replace_zone()
        edit:unpark_all()
        obey_serial_rule(edit, settings)
        return rrsets.put(edit, new.changes)
    end)
end

-- What was kept of sets before all of them were replaced.
local function old_fields(kept)
    local fields = {}
    for field in pairs(kept) do
        if rrsets.is_field(field) then
            fields[field] = json.null
        end
    end

    return fields
end

local function put(context, zone)
    local value = http.read_object(context.grant)
    if not value then
        return nil
    end

    local new, wrong = parse_put(value, name_of.normalize(zone))
    if not new then
        return http.send_error(422, wrong)
    end
    if new.changes then
        local ok, reason, kind = replace(context, new)
        if not ok then
            return send_store_error(reason, kind)
        end
        if not set_attributes(context, zone,
            old_fields(attributes_of(context, zone)))
            or not keep_of_sets(context, zone, new.changes) then
            return nil
        end
    end

    return set_attributes(context, zone, new.settings) and http.send(204)
end

local function delete(context, zone)
    local ok, reason, kind = changes.commit(context.store, zone,
        function(edit)
            edit:delete_zone()
            return true
        end)
    if not ok then
        return send_store_error(reason, kind)
    end

    return metadata.forget(context, zone) and http.send(204)
end

-- Below a zone.

local function export(context, zone)
    local lines, reason, kind = walk.lines(context.store, zone)
    if not lines then
        return send_store_error(reason, kind)
    end

    local accept = http.header("Accept")
    if accept and accept:find("application/json", 1, true) then
        return http.send_json(200, { zone = table.concat(lines) })
    end

    return http.send(200, "text/plain", lines)
end

-- Zones are not transferred and are always in order: there is nothing to do,
-- and clients want to hear that it was done.
local function nothing_to_do(result)
    return function()
        return http.send_json(200, { result = result })
    end
end

local function no_secondary()
    return http.send_error(422, "the zone is not a secondary one")
end

local function empty_list()
    return http.send_json(200, json.list {})
end

local BELOW = {
    export = { GET = export },
    notify = { PUT = nothing_to_do "Notification queued" },
    rectify = { PUT = nothing_to_do "Rectified" },
    ["axfr-retrieve"] = { PUT = no_secondary },
    cryptokeys = { GET = empty_list },
    metadata = metadata.ALL,
}

local ONE_ZONE = { GET = get, PATCH = patch, PUT = put, DELETE = delete }

-- Does the method need the right to the zone itself?
local function needs_zone_right(handler)
    local method = ngx.req.get_method()
    return handler ~= patch and handler ~= BELOW.notify.PUT
        and handler ~= BELOW.rectify.PUT
        and method ~= "GET" and method ~= "HEAD"
end

local function methods_of(parts)
    if #parts == 1 then
        return ONE_ZONE
    end
    if #parts == 3 and parts[2] == "metadata" then
        return metadata.ONE
    end

    return #parts == 2 and BELOW[parts[2]] or nil
end

--- Serves .../zones and what is below.
-- @tparam table context store and grant
-- @tparam {string,...} parts of the path, behind "zones"
function zones.serve(context, parts)
    if #parts == 0 then
        local handler = http.method_of({ GET = list, POST = create })
        return handler and handler(context)
    end

    local zone = parts[1]:gsub("=(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
    end)
    local methods = methods_of(parts)
    if not methods or not name_of.to_wire(zone) then
        return http.send_error(404, "Not Found")
    end

    local handler = http.method_of(methods)
    if not handler then
        return nil
    end
    local found, reason, kind = context.store:zone(zone)
    if not found and kind ~= "not found" then
        return send_store_error(reason, kind)
    end
    if not found or not context.grant:reads(zone) then
        return http.send_error(404, "Could not find domain '"
            .. canonical(name_of.normalize(zone)) .. "'")
    end
    if needs_zone_right(handler) and not context.grant:edits(zone) then
        return access.send_denied("change the zone " .. zone)
    end

    return handler(context, zone, parts[3])
end

return zones
