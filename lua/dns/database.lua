--- A networked zone store, MySQL or Redis, with the methods of dns.store.
--
--     local database = require "dns.database"
--     local store = assert(database.open(database.parse(
--         "mysql://resolua:secret@127.0.0.1/pdns")))
--
-- What asks the database may block: inside nginx it is done by another thread
-- while the coroutine sleeps.
-- @module dns.database

local ffi = require "ffi"
local dns = require "dns"
local library = require "dns.library"
local store_module = require "dns.store"

local C = library.C
local name_of = dns.name

local HOSTS_MAX = 8
local TIMEOUT = 10000 -- ms, of each round trip
local OPTIONS = { socket = true, prefix = true, suffix = true, ca_file = true,
    channel = true, sentinel = true, sentinel_password = true, cluster = true,
    tls = true, tls_name = true, server_public_key = true }
local PORTS = { mysql = 3306, redis = 6379, sentinel = 26379 }

local Database = {
    is_copied = true, -- each_record() reads from memory of its own: visit may
                      -- yield, and to go on behind a name reads all anew
}
Database.__index = Database

local function wire_of(text, level)
    return name_of.to_wire(text)
        or error("not a domain name: " .. text, level + 1)
end

-- Runs a listing; gives it, or nil, reason, kind.
local function listing(self, apex, name)
    local out = ffi.new("struct dns_ffi_listing *[1]")
    local status = C.dns_ffi_listing_new(self.handle, apex, name, out)
    if status ~= 0 then
        return store_module.failure(status)
    end

    local found = ffi.gc(out[0], C.dns_ffi_listing_free)
    local busy
    status, busy = store_module.run_job(C.dns_ffi_listing_run, found, self.owner)
    if status ~= 0 then
        local reason = busy or ffi.string(C.dns_ffi_listing_error(found))
        if status == ffi.C.DNS_FFI_ENOTFOUND then
            reason = "no such zone"
        end
        return store_module.failure(status, reason)
    end

    return found
end

local function zones_of(found)
    local out = {}
    local zone = ffi.new("struct dns_ffi_zone")
    while C.dns_ffi_listing_next_zone(found, zone) == 1 do
        out[#out + 1] = store_module.zone_table(zone)
    end

    return out
end

--- See dns.store.
function Database:zones()
    local found, reason, kind = listing(self, nil, nil)
    if not found then
        return nil, reason, kind
    end

    return zones_of(found)
end

--- See dns.store.
function Database:zone(zone)
    local found, reason, kind = listing(self, nil, wire_of(zone, 2))
    if not found then
        return nil, reason, kind
    end

    local one = zones_of(found)[1]
    if not one then
        return nil, "no such zone", "not found"
    end

    return one
end

local visit_records = store_module.visit_listing

--- See dns.store.
function Database:each_record(zone, visit)
    local found, reason, kind = listing(self, wire_of(zone, 2), nil)
    if not found then
        return nil, reason, kind
    end

    return visit_records(found, visit)
end

--- See dns.store.
function Database:each_parked(zone, visit)
    return store_module.list_parked(nil, self.handle, wire_of(zone, 2), visit,
        store_module.run_job)
end

--- See dns.store.
function Database:each_record_of(zone, name, visit)
    local found, reason, kind = listing(self, wire_of(zone, 2),
        wire_of(name, 2))
    if not found then
        return nil, reason, kind
    end

    return visit_records(found, visit)
end

--- See dns.store.
function Database:each_record_behind(zone, name, visit)
    local before = wire_of(name, 2)
    return self:each_record(zone, function(record)
        if C.dns_ffi_name_compare(record.name, before) > 0 then
            return visit(record)
        end
    end)
end

Database.zone_text = store_module.Store.zone_text

--- See dns.store.
function Database:has(zone, owner, rtype)
    local found = listing(self, wire_of(zone, 2), wire_of(owner, 2))
    local has = false
    if found then
        visit_records(found, function(record)
            has = has or rtype == 0 or record.type == rtype
            return not has
        end)
    end

    return has
end

--- See dns.store.
function Database:edit(zone)
    local apex = wire_of(zone, 2)
    local out = ffi.new("struct dns_ffi_edit *[1]")
    local status = C.dns_ffi_edit_new_database(self.handle, apex, out)
    if status ~= 0 then
        return store_module.failure(status)
    end

    return store_module.edit_of(out[0], apex, self)
end

-- Runs a job over what lies beside records; json nil: reads.
local function beside(self, zone, json)
    local out = ffi.new("struct dns_ffi_beside *[1]")
    local status = C.dns_ffi_beside_new(self.handle,
        zone and wire_of(zone, 3) or nil, json, out)
    if status ~= 0 then
        return store_module.failure(status)
    end

    local found = ffi.gc(out[0], C.dns_ffi_beside_free)
    status = store_module.run_job(C.dns_ffi_beside_run, found)
    if status == ffi.C.DNS_FFI_EUNKNOWN then
        return nil, "nothing beside records is kept here", "unknown"
    end
    if status ~= 0 then
        return store_module.failure(status,
            ffi.string(C.dns_ffi_beside_error(found)))
    end

    return ffi.string(C.dns_ffi_beside_text(found))
end

--- What the database keeps beside a zone's records, as JSON
-- (store/database.h).
-- @tparam string|nil zone nil: a part of it, of all zones
-- @treturn string|nil
-- @treturn string reason
-- @treturn string kind "unknown": it keeps nothing of the kind
function Database:read_beside(zone)
    return beside(self, zone)
end

--- Sets some of it.
-- @tparam string zone
-- @tparam string json
-- @treturn boolean|nil
-- @treturn string reason
-- @treturn string kind
function Database:write_beside(zone, json)
    local done, reason, kind = beside(self, zone, json)
    return done and true, reason, kind
end

-- An edit of the zone has been committed.  Its copy is made before the edit is
-- acknowledged.
function Database:committed(edit)
    if self.mirror then
        local report, reason = self.mirror:run(name_of.from_wire(edit.apex))
        if not report then
            ngx.log(ngx.ERR, "mirror of ", self.name, ": ", reason)
        end
    end
    if self.on_commit then
        self.on_commit(edit.apex,
            C.dns_ffi_edit_zones_changed(edit.handle) == 1)
    end
end

local database = {}

local function unescape(text)
    return (text:gsub("%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

-- host[:port], [address]:port, ...
local function parse_hosts(text, port)
    local hosts = {}
    for host in text:gmatch("[^,]+") do
        local address, own = host:match("^%[(.*)%]:?(%d*)$")
        if not address then
            address, own = host:match("^([^:]*):?(%d*)$")
        end
        if not address or address == "" then
            return nil, host .. ": not a host"
        end
        hosts[#hosts + 1] = { address = address, port = tonumber(own) or port }
    end

    return hosts
end

--- The parts of a URL.
-- @tparam string url scheme://[user[:password]@]host[:port][,...]/database,
--   and behind it ?name=value&... of socket, prefix, suffix, ca_file, channel,
--   sentinel, sentinel_password, cluster=on, tls=on, tls_name,
--   server_public_key
-- @treturn table|nil for open()
-- @treturn string reason
function database.parse(url)
    local scheme, rest = url:match("^(%a+)://(.*)$")
    if scheme ~= "mysql" and scheme ~= "redis" then
        return nil, url .. ": neither mysql://... nor redis://..."
    end

    local main, query = rest:match("^([^?]*)%??(.*)$")
    local where, name = main:match("^([^/]*)/?(.*)$")
    local account, hosts = where:match("^(.*)@([^@]*)$")
    local user, password = (account or ""):match("^([^:]*):?(.*)$")
    local out = {
        scheme = scheme,
        name = scheme .. "://" .. (hosts or where) .. "/" .. name,
        user = user ~= "" and unescape(user) or nil,
        password = password ~= "" and unescape(password) or nil,
        database = name ~= "" and unescape(name) or nil,
    }
    for key, value in query:gmatch("([^&=]+)=([^&]*)") do
        if not OPTIONS[key] then
            return nil, key .. ": no such option of a store"
        end
        out[key] = unescape(value)
    end

    local reason
    out.hosts, reason = parse_hosts(hosts or where, PORTS[out.sentinel and "sentinel" or scheme])
    if not out.hosts then
        return nil, reason
    end

    return out
end

--- A store by its parts; connects when it is used.
-- @tparam table where as parse() gives it
-- @treturn Database|nil
-- @treturn string reason
function database.open(where)
    local options = ffi.new("struct dns_ffi_database_options")
    if #where.hosts > HOSTS_MAX then
        return nil, "too many hosts"
    end
    if #where.hosts == 0 and not where.socket then
        return nil, "neither a host nor a socket"
    end

    for i, host in ipairs(where.hosts) do
        options.hosts[i - 1] = host.address
        options.ports[i - 1] = host.port
    end
    options.host_count = #where.hosts
    options.unix_socket = where.socket
    options.user = where.user
    options.password = where.password
    options.database = where.database
    options.ca_file = where.ca_file
    options.server_public_key = where.server_public_key
    options.prefix = where.prefix
    options.suffix = where.suffix
    options.channel = where.channel
    options.sentinel = where.sentinel
    options.sentinel_password = where.sentinel_password
    options.timeout_ms = where.timeout or TIMEOUT
    options.is_redis = where.scheme == "redis" and 1 or 0
    options.replica_count = where.replica_count or 0
    options.is_tls = where.tls == "on" and 1 or 0
    options.tls_name = where.tls_name
    options.is_cluster = where.cluster == "on" and 1 or 0
    options.marks_rows = where.marks_rows and 1 or 0
    options.query_zones = where.query_zones
    options.query_names = where.query_names
    options.query_below = where.query_below
    options.query_records = where.query_records
    options.content_is_json = where.content_is_json and 1 or 0

    local out = ffi.new("struct dns_ffi_database *[1]")
    local status = C.dns_ffi_database_new(options, out)
    if status ~= 0 then
        return nil, library.status_text(status)
    end

    local handle = ffi.gc(out[0], C.dns_ffi_database_free)
    return setmetatable({
        handle = handle,
        owner = handle, -- of its jobs
        name = where.name or where.scheme,
        on_commit = where.on_commit,
    }, Database)
end

return database
