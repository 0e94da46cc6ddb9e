--- The HTTP API that tools made for PowerDNS speak: lego, external-dns, octoDNS,
-- terraform and the web front ends.
--
--     location /api {
--         content_by_lua_block { require("dns.api.powerdns").serve() }
--     }
--
-- What is there, and what is another way: docs/http-api.md.
-- @module dns.api.powerdns

local dns = require "dns"
local access = require "dns.api.access"
local contents = require "dns.api.contents"
local glob = require "dns.api.glob"
local http = require "dns.api.http"
local json = require "dns.api.json"
local parked = require "dns.api.parked"
local rrsets = require "dns.api.powerdns_rrsets"
local service = require "dns.service"
local walk = require "dns.api.walk"
local zones = require "dns.api.powerdns_zones"

local name_of = dns.name
local canonical = rrsets.canonical

local VERSION = "4.9.0" -- of the API as clients know it
local FOUND_MAX = 10000
local FOUND_DEFAULT = 100

-- Servers.

local SERVER = {
    type = "Server",
    id = "localhost",
    daemon_type = "authoritative",
    version = VERSION,
    url = "/api/v1/servers/localhost",
    config_url = "/api/v1/servers/localhost/config{/config_setting}",
    zones_url = "/api/v1/servers/localhost/zones{/zone}",
}

local function api_versions()
    return http.send_json(200, json.list {
        { version = 1, url = "/api/v1" },
    })
end

local function list_servers()
    return http.send_json(200, json.list { SERVER })
end

local function get_server()
    return http.send_json(200, SERVER)
end

local function config()
    return http.send_json(200, json.list {
        { type = "ConfigSetting", name = "api", value = "yes" },
        { type = "ConfigSetting", name = "primary", value = "no" },
        { type = "ConfigSetting", name = "secondary", value = "no" },
    })
end

local function empty_list()
    return http.send_json(200, json.list {})
end

-- The cache.

local function flush(context)
    local domain = ngx.req.get_uri_args().domain
    if type(domain) ~= "string" or not name_of.to_wire(domain) then
        return http.send_error(422, "domain: not a domain name")
    end
    if not context.grant:administers() then
        return access.send_denied("flush the cache")
    end

    local is_there, cache = pcall(require, "dns.cache")
    if is_there then
        cache.purge(name_of.normalize(domain))
    end

    return http.send_json(200, { count = 1, result = "Flushed cache." })
end

-- Statistics: PowerDNS's names for what is counted here.

local STATISTICS = {
    ["udp-queries"] = "udp",
    ["tcp-queries"] = "tcp",
    ["dot-queries"] = "tls",
    ["doh-queries"] = "https",
    ["packetcache-hit"] = "cache_hits",
    ["zone-answers"] = "zone",
    ["corrupt-packets"] = "ignored",
    ["error-answers"] = "errors",
    ["sessions"] = "sessions",
    ["send-errors"] = "send_errors",
    ["dropped-queries"] = "dropped",
    ["kernel-dropped-queries"] = "kernel_dropped",
    ["shed-queries"] = "shed",
    ["filtered-queries"] = "filtered",
    ["uptime"] = "uptime",
}

local started_at = ngx.time() -- this worker

local function statistics()
    local wanted = ngx.req.get_uri_args().statistic
    local counts = require("dns.statistics").get()
    counts.uptime = ngx.time() - started_at
    local out = json.list {}
    for name, field in pairs(STATISTICS) do
        if not wanted or wanted == name then
            out[#out + 1] = {
                type = "StatisticItem",
                name = name,
                value = ("%d"):format(counts[field]),
            }
        end
    end
    if #out == 0 then
        return http.send_error(422, "statistic: unknown")
    end

    table.sort(out, function(a, b)
        return a.name < b.name
    end)
    return http.send_json(200, out)
end

-- Search.

local function fits(search, text)
    return search.glob:fits(text:lower())
end

local function found_record(zone, name, type_name, record)
    return {
        object_type = "record",
        zone_id = zones.id(zone),
        zone = canonical(name_of.normalize(zone)),
        name = canonical(name),
        type = type_name,
        content = record.content,
        ttl = record.ttl,
        disabled = record.disabled,
    }
end

-- Adds a record if it is what is searched for.
local function consider(search, zone, name, type_name, record)
    if fits(search, canonical(name)) or fits(search, name)
        or fits(search, record.content) then
        search.out[#search.out + 1] = found_record(zone, name, type_name,
            record)
    end

    return #search.out < search.max
end

local function search_parked(zone, search, beside)
    beside:each_other(function(set)
        for _, record in ipairs(set.records) do
            if #search.out < search.max then
                consider(search, zone, set.owner, set.type, {
                    content = record.content,
                    ttl = set.ttl,
                    disabled = true,
                })
            end
        end
    end)
end

local function search_records(context, zone, search)
    local out = search.out
    local before = #out
    local beside = parked.of(context.store, zone) or parked.new()
    walk.records(context.store, zone, function(memory)
        local record = dns.record_from_memory(memory)
        return consider(search, zone, record.name, beside:type_of(
            name_of.normalize(record.name), dns.type[record.type]), {
            content = contents.show(record.type, record.record),
            ttl = record.ttl,
            disabled = false,
        })
    end, function()
        for i = #out, before + 1, -1 do
            out[i] = nil
        end
    end)
    search_parked(zone, search, beside)
end

local function search_zone(context, zone, search)
    local out = search.out
    if search.wants_zones
        and (fits(search, zone) or fits(search, canonical(zone))) then
        out[#out + 1] = {
            object_type = "zone",
            zone_id = zones.id(zone),
            name = canonical(zone),
        }
    end
    if search.wants_records and #out < search.max then
        search_records(context, zone, search)
    end
end

local function search_data(context)
    local args = ngx.req.get_uri_args()
    if type(args.q) ~= "string" or args.q == "" then
        return http.send_error(422, "q: missing")
    end

    local max, wrong = http.number_argument(args, "max", FOUND_DEFAULT, 1,
        FOUND_MAX)
    if not max then
        return http.send_error(422, wrong)
    end

    local kind = args.object_type or "all"
    local search = {
        glob = glob.new(args.q:lower()),
        max = max,
        wants_zones = kind == "all" or kind == "zone",
        wants_records = kind == "all" or kind == "record",
        out = json.list {},
    }
    for _, zone in ipairs(context.store:zones(walk.pause) or {}) do
        if #search.out >= max then
            break
        end
        if context.grant:reads(zone.name) then
            search_zone(context, zone.name, search)
        end
    end

    return http.send_json(200, search.out)
end

-- From a path to one of the above.

local BELOW_SERVER = {
    ["config"] = { GET = config },
    ["cache/flush"] = { PUT = flush },
    ["statistics"] = { GET = statistics },
    ["search-data"] = { GET = search_data },
    ["tsigkeys"] = { GET = empty_list },
    ["autoprimaries"] = { GET = empty_list },
}

local function serve_server(context, parts)
    if parts[2] ~= "localhost" then
        return http.send_error(404, "Not Found")
    end
    if parts[3] == "zones" then
        return zones.serve(context, { select(4, unpack(parts)) })
    end

    local methods = #parts == 2 and { GET = get_server }
        or BELOW_SERVER[table.concat(parts, "/", 3)]
    if not methods then
        return http.send_error(404, "Not Found")
    end

    local handler = http.method_of(methods)
    return handler and handler(context)
end

local powerdns = {}

--- Serves the current HTTP request.
-- @tparam[opt] table options as dns.api.serve() takes them
function powerdns.serve(options)
    local parts = http.path_parts("/api")
    options = options or {}
    local grant = access.grant(options)
    if not grant then
        return nil
    end
    if #parts == 0 then
        return api_versions()
    end
    if #parts == 1 and parts[1] == "v1" then
        return http.send_json(200, json.list { {
            server_url = "/api/v1/servers{/server}",
            api_features = json.list {},
        } })
    end
    if table.remove(parts, 1) ~= "v1" or parts[1] ~= "servers" then
        return http.send_error(404, "Not Found")
    end
    if #parts == 1 then
        return list_servers()
    end

    local store, reason = service.store()
    if not store then
        return http.send_error(503, reason)
    end

    return serve_server({
        store = store,
        grant = grant,
        folder = access.folder(options),
    }, parts)
end

return powerdns
