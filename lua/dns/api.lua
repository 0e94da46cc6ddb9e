--- The HTTP endpoint /dns: look-ups, zones, and edits of the zone store.
--
--     location /dns {
--         content_by_lua_block { require("dns.api").serve() }
--     }
--
-- The reference with every status is docs/http-api.md.
-- @module dns.api

local dns = require "dns"
local access = require "dns.api.access"
local changes = require "dns.api.changes"
local explain = require "dns.api.explain"
local http = require "dns.api.http"
local json = require "dns.api.json"
local rrsets = require "dns.api.rrsets"
local service = require "dns.service"
local zones = require "dns.api.zones"

local name_of = dns.name

local function lookup(options)
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

    local answer, err, is_refused = service.lookup(domain, rtype,
        ngx.var.remote_addr, options.server)
    if not answer then
        return http.send_error(is_refused and 403 or 502, err)
    end

    for _, record in ipairs(answer) do
        record.rdata = nil
    end

    return http.send_json(200, json.list(answer))
end

local function serve_zones(context, parts)
    if #parts == 1 then
        return zones.serve_list(context)
    end

    local zone = parts[2]
    if not name_of.to_wire(zone) then
        return http.send_error(400, "zone: not a domain name")
    end
    if zone:find("[\128-\255]") then
        return http.send_error(400, "zone: " .. name_of.NOT_ASCII)
    end
    if #parts == 2 then
        return zones.serve(context, zone)
    end
    if #parts == 4 then
        return rrsets.serve(context, zone, parts[3], parts[4])
    end

    return http.send_error(404, "no such resource")
end

local RESOURCES = { zones = serve_zones, explain = explain.serve }

local api = {}

--- Serves the current HTTP request.
-- @tparam[opt] table options `auth`: "nginx" or "key", see dns.api.access;
--   `hosts`: names by which requests over loopback may call this server;
--   `folder`: where the API keys lie, in the place of the embedded store's;
--   `lookup`: false switches GET ?domain= off; `server`: whose hooks and rules
--   look-ups obey, the number of a server in the order of the configuration
function api.serve(options)
    local parts = http.path_parts("/dns")
    options = options or {}

    if #parts == 0 then
        if options.lookup == false then
            return http.send_error(404, "look-ups are switched off")
        end
        if not access.may_look_up(options) then
            return nil
        end

        local handler = http.method_of({ GET = lookup })
        return handler and handler(options)
    end

    local serve = RESOURCES[parts[1]]
    if not serve then
        return http.send_error(404, "no such resource")
    end

    local grant = access.grant(options)
    if not grant then
        return nil
    end

    local store, reason = service.store()
    if not store and serve ~= explain.serve then
        return http.send_error(503, reason)
    end

    return serve({
        store = store,
        grant = grant,
        folder = access.folder(options or {}),
    }, parts)
end

return api
