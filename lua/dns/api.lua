--- The HTTP endpoint /dns: look-ups, zones, and edits of the zone store.
--
--     location /dns {
--         content_by_lua_block { require("dns.api").serve() }
--     }
--
-- The reference with every status is docs/http-api.md.
-- @module dns.api

local dns = require "dns"
local changes = require "dns.api.changes"
local http = require "dns.api.http"
local json = require "dns.api.json"
local rrsets = require "dns.api.rrsets"
local service = require "dns.service"
local zones = require "dns.api.zones"

local name_of = dns.name

local function lookup()
    local args = ngx.req.get_uri_args()
    local domain, type_text = args.domain, args.type
    if type(domain) ~= "string" or domain == "" then
        return http.send_error(400, "domain: missing")
    end
    if not name_of.to_wire(domain) then
        return http.send_error(400, "domain: not a domain name")
    end

    local rtype
    if type_text ~= nil then
        rtype = changes.type_number(type_text)
        if not rtype then
            return http.send_error(400, "type: unknown")
        end
    end

    local answer, err = service.lookup(domain, rtype)
    if not answer then
        return http.send_error(502, err)
    end

    for _, record in ipairs(answer) do
        record.rdata = nil
    end

    return http.send_json(200, json.list(answer))
end

local function serve_zones(store, parts)
    if #parts == 1 then
        return zones.serve_list(store)
    end

    local zone = parts[2]
    if not name_of.to_wire(zone) then
        return http.send_error(400, "zone: not a domain name")
    end
    if #parts == 2 then
        return zones.serve(store, zone)
    end
    if #parts == 4 then
        return rrsets.serve(store, zone, parts[3], parts[4])
    end

    return http.send_error(404, "no such resource")
end

local api = {}

--- Serves the current HTTP request.
function api.serve()
    local parts = http.path_parts("/dns")

    if #parts == 0 then
        local handler = http.method_of({ GET = lookup })
        return handler and handler()
    end

    local store, reason = service.store()
    if not store then
        return http.send_error(503, reason)
    end
    if parts[1] == "zones" then
        return serve_zones(store, parts)
    end

    return http.send_error(404, "no such resource")
end

return api
