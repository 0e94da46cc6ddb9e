--- The HTTP endpoint /dns: look-ups, zones, and edits of the embedded store.
--
--     location /dns {
--         content_by_lua_block { require("dns.api").serve() }
--     }
--
-- The reference with every status is docs/http-api.md.
-- @module dns.api

local cjson = require "cjson.safe"
local dns = require "dns"
local service = require "dns.service"

local name_of = dns.name
local concat = table.concat

local BODY_MAX = 64 * 1024 * 1024 -- octets
local TTL_MAX = 2147483647 -- seconds, RFC 2181 section 8
local TTL_DEFAULT = 3600
local RECORDS_MAX = 4096 -- of one set, as the store has it

local STATUS_OF = { -- of what a store call says
    ["not found"] = 404,
    conflict = 409,
    malformed = 400,
    limit = 400,
    store = 500,
}

local function send(status, content_type, body)
    ngx.status = status
    if body then
        ngx.header["Content-Type"] = content_type
        ngx.header["Content-Length"] = #body
        ngx.print(body)
    end

    return ngx.exit(status == 204 and 204 or ngx.OK)
end

local function send_json(status, value)
    return send(status, "application/json", cjson.encode(value) .. "\n")
end

-- cjson writes an empty table as an object; lists of ours may be empty.
local function send_list(status, list)
    if #list == 0 then
        return send(status, "application/json", "[]\n")
    end

    return send_json(status, list)
end

local function send_error(status, reason)
    return send_json(status, { error = reason })
end

local function record_table(record)
    return {
        name = record.name,
        type = record.type,
        class = record.class,
        ttl = record.ttl,
        record = record.record,
    }
end

-- Look-ups.

local function type_number(text)
    if text:find("^%d+$") then
        local number = tonumber(text)
        return number <= 65535 and number or nil
    end

    return dns.type[text:upper()]
end

local function lookup(args)
    local domain, type_text = args.domain, args.type
    if type(domain) ~= "string" or domain == "" then
        return send_error(400, "domain: missing")
    end
    if not name_of.to_wire(domain) then
        return send_error(400, "domain: not a domain name")
    end

    local rtype
    if type_text ~= nil then
        rtype = type(type_text) == "string" and type_number(type_text)
        if not rtype then
            return send_error(400, "type: unknown")
        end
    end

    local answer, err = service.lookup(domain, rtype)
    if not answer then
        return send_error(502, err)
    end

    local list = {}
    for i, record in ipairs(answer) do
        list[i] = record_table(record)
    end

    return send_list(200, list)
end

-- Zones.

local function list_zones(store)
    local zones, reason = store:zones()
    if not zones then
        return send_error(500, reason)
    end

    local list = {}
    for i, zone in ipairs(zones) do
        list[i] = { name = zone.name, serial = zone.serial }
    end

    return send_list(200, list)
end

local function wants_text()
    local accept = ngx.req.get_headers()["Accept"]
    if type(accept) == "table" then
        accept = concat(accept, ",")
    end

    return accept ~= nil and accept:find("text/dns", 1, true) ~= nil
end

local function get_zone(store, zone)
    if wants_text() then
        local text, reason, kind = store:zone_text(zone)
        if not text then
            return send_error(STATUS_OF[kind], "zone: " .. reason)
        end
        return send(200, "text/dns", text)
    end

    local found, reason, kind = store:zone(zone)
    if not found then
        return send_error(STATUS_OF[kind], "zone: " .. reason)
    end

    local parts = {}
    store:each_record(zone, function(record)
        parts[#parts + 1] = cjson.encode(
            record_table(dns.record_from_memory(record)))
    end)

    return send(200, "application/json",
        ('{"name":%s,"serial":%d,"records":[%s]}\n'):format(
            cjson.encode(found.name), found.serial, concat(parts, ",\n")))
end

-- The whole request body, or nil after an error was sent.
local function read_body()
    local length = tonumber(ngx.req.get_headers()["Content-Length"])
    if length and length > BODY_MAX then
        send_error(413, "body: over " .. BODY_MAX .. " octets")
        return nil
    end

    ngx.req.read_body()
    local body = ngx.req.get_body_data()
    if body then
        return body
    end

    local path = ngx.req.get_body_file and ngx.req.get_body_file()
    local file = path and io.open(path, "rb")
    if not file then
        return ""
    end

    body = file:read("*a")
    file:close()
    return body
end

local function send_commit_error(field, reason, kind)
    return send_error(STATUS_OF[kind] or 500, field .. ": " .. reason)
end

local function put_zone(store, zone)
    local body = read_body()
    if not body then
        return
    end
    if body == "" then
        return send_error(400, "body: empty, a master file is expected")
    end

    local is_new = store:zone(zone) == nil
    local edit, reason, kind = store:edit(zone)
    if not edit then
        return send_commit_error("zone", reason, kind)
    end

    edit:replace_zone()
    edit:load_text(body)
    local ok
    ok, reason, kind = edit:commit()
    if not ok then
        return send_commit_error("body", reason, kind)
    end

    local found = store:zone(zone)
    return send_json(is_new and 201 or 200, {
        name = name_of.normalize(zone),
        serial = found and found.serial,
    })
end

local function delete_zone(store, zone)
    local edit, reason, kind = store:edit(zone)
    if edit then
        edit:delete_zone()
        edit, reason, kind = edit:commit()
    end
    if not edit then
        return send_commit_error("zone", reason, kind)
    end

    return send(204)
end

-- Record sets.

-- The name in a path: absolute, or one label or "@" below the zone.
local function owner_name(text, zone)
    if text == "@" then
        return zone
    end

    local wire = name_of.to_wire(text)
    if not wire then
        return nil, "name: not a domain name"
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

local function check_ttl(ttl)
    if ttl == nil then
        return TTL_DEFAULT
    end
    if type(ttl) ~= "number" or ttl < 0 or ttl > TTL_MAX or ttl % 1 ~= 0 then
        return nil
    end

    return ttl
end

local function check_records(records)
    if type(records) ~= "table" or #records == 0 then
        return "records: a list of one or more texts is expected"
    end
    if #records > RECORDS_MAX then
        return ("records: over %d"):format(RECORDS_MAX)
    end

    for i, text in ipairs(records) do
        if type(text) ~= "string" then
            return ("records[%d]: not a text"):format(i)
        end
    end

    return nil
end

-- The body of PUT as ttl and records; or nil and what is wrong.
local function parse_rrset(body)
    local value = cjson.decode(body)
    if type(value) ~= "table" then
        return nil, "body: not a JSON object"
    end

    local ttl = check_ttl(value.ttl)
    if not ttl then
        return nil, "ttl: a number of seconds from 0 to " .. TTL_MAX
            .. " is expected"
    end

    local wrong = check_records(value.records)
    if wrong then
        return nil, wrong
    end

    return ttl, value.records
end

local function send_rrset(status, store, zone, owner, rtype)
    local list, ttl = {}, nil
    store:each_record(zone, function(record)
        if record.type == rtype then
            local found = dns.record_from_memory(record)
            if name_of.normalize(found.name) == owner then
                list[#list + 1] = found.record
                ttl = found.ttl
            end
        end
    end)

    if #list == 0 then
        return send_error(404, "type: no such record set")
    end

    return send_json(status, {
        name = owner,
        type = rtype,
        ttl = ttl,
        records = list,
    })
end

local function put_rrset(store, zone, owner, rtype)
    local body = read_body()
    if not body then
        return
    end

    local ttl, records = parse_rrset(body)
    if not ttl then
        return send_error(400, records)
    end

    local is_new = not store:has(zone, owner, rtype)
    local edit, reason, kind = store:edit(zone)
    if not edit then
        return send_commit_error("zone", reason, kind)
    end

    local ok, index
    ok, reason, kind, index = edit:set(owner, rtype, ttl, records)
    if not ok then
        return send_commit_error(("records[%d]"):format(index or 1), reason,
            kind)
    end

    ok, reason, kind = edit:commit()
    if not ok then
        return send_commit_error("records", reason, kind)
    end

    local found = store:zone(zone)
    return send_json(is_new and 201 or 200, {
        name = owner,
        type = rtype,
        ttl = ttl,
        records = records,
        serial = found and found.serial,
    })
end

local function delete_rrset(store, zone, owner, rtype)
    local edit, reason, kind = store:edit(zone)
    local ok
    if edit then
        ok, reason, kind = edit:remove(owner, rtype)
        if ok then
            ok, reason, kind = edit:commit()
        end
    end
    if not ok then
        return send_commit_error("type", reason, kind)
    end

    return send(204)
end

-- From a path to one of the above.

local ZONE_METHODS = { GET = get_zone, PUT = put_zone, DELETE = delete_zone }
local RRSET_METHODS = {
    GET = function(...)
        return send_rrset(200, ...)
    end,
    PUT = put_rrset,
    DELETE = delete_rrset,
}

local function unescape(text)
    return (text:gsub("%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

-- What follows /dns in the path, split at slashes; %2F stays in a part.
local function path_parts()
    local path = ngx.var.request_uri:gsub("[?#].*$", "")
    local rest = path:match("^.-/dns(/.*)$") or ""
    local parts = {}

    for part in rest:gmatch("[^/]+") do
        parts[#parts + 1] = unescape(part)
    end

    return parts
end

local function method_of(methods)
    local method = ngx.req.get_method()
    if method == "HEAD" then
        method = "GET"
    end
    if methods[method] then
        return methods[method]
    end

    local allowed = {}
    for known in pairs(methods) do
        allowed[#allowed + 1] = known
    end
    table.sort(allowed)
    ngx.header["Allow"] = concat(allowed, ", ")
    send_error(405, "method: not one of " .. concat(allowed, ", "))
    return nil
end

local function serve_rrset(store, zone, owner_text, type_text)
    local handler = method_of(RRSET_METHODS)
    if not handler then
        return
    end
    if not store:zone(zone) then
        return send_error(404, "zone: no such zone")
    end

    local owner, wrong = owner_name(owner_text, zone)
    if not owner then
        return send_error(400, wrong)
    end

    local rtype = type_number(type_text)
    if not rtype then
        return send_error(400, "type: unknown")
    end
    if dns.is_meta_type(rtype) then
        return send_error(400, "type: no zone can hold it")
    end

    return handler(store, zone, owner, rtype)
end

local function serve_zones(store, parts)
    if #parts == 1 then
        local handler = method_of({ GET = list_zones })
        return handler and handler(store)
    end

    local zone = parts[2]
    if not name_of.to_wire(zone) then
        return send_error(400, "zone: not a domain name")
    end
    if #parts == 2 then
        local handler = method_of(ZONE_METHODS)
        return handler and handler(store, zone)
    end
    if #parts == 4 then
        return serve_rrset(store, zone, parts[3], parts[4])
    end

    return send_error(404, "no such resource")
end

local api = {}

--- Serves the current HTTP request.
function api.serve()
    local parts = path_parts()

    if #parts == 0 then
        local handler = method_of({ GET = lookup })
        return handler and handler(ngx.req.get_uri_args())
    end

    local store, reason = service.store()
    if not store then
        return send_error(503, reason)
    end
    if parts[1] == "zones" then
        return serve_zones(store, parts)
    end

    return send_error(404, "no such resource")
end

return api
