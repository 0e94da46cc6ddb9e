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

local OPTIONS = ffi.typeof("struct dns_ffi_store_options *")
local OWNERS_ROOM = 4096 -- octets
local owners = ffi.new("uint8_t[?]", OWNERS_ROOM)

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

local function zones_of(found, pause)
    local out = {}
    local zone = ffi.new("struct dns_ffi_zone")
    while C.dns_ffi_listing_next_zone(found, zone) == 1 do
        out[#out + 1] = store_module.zone_table(zone)
        if pause then
            pause(#out)
        end
    end

    return out
end

--- See dns.store.
-- @tparam[opt] function pause called with each index: others have their turn
function Database:zones(pause)
    local found, reason, kind = listing(self, nil, nil)
    if not found then
        return nil, reason, kind
    end

    return zones_of(found, pause)
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

-- The owners that a committed edit has changed, in wire form one behind the
-- other: the first ones.
local function owners_of(edit)
    local size = C.dns_ffi_edit_owners(edit.handle, owners, OWNERS_ROOM)
    return ffi.string(owners, size)
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
            C.dns_ffi_edit_zones_changed(edit.handle) == 1, owners_of(edit))
    end
end

local database = {}

--- What a URL says of a store.
-- @tparam string url as store/options.h has it, with options behind a "?"
-- @treturn cdata|nil options for open()
-- @treturn string reason
function database.parse(url)
    local out = ffi.new("struct dns_ffi_store_options *[1]")
    local why = ffi.new("char[?]", ffi.C.DNS_FFI_STORE_ERROR_SIZE)
    local status = C.dns_ffi_store_options_read(url, out, why)
    if status ~= 0 then
        local reason = ffi.string(why)
        return nil, reason ~= "" and reason or library.status_text(status)
    end

    return ffi.gc(out[0], C.dns_ffi_store_options_release)
end

--- The options that may stand behind a URL.
-- @treturn {table,...} name, kind (TIME, N, ...), stores ("" for both), standard
--   (the default or ""), help
function database.options()
    local list = {}
    local option = ffi.new("struct dns_ffi_store_option")
    while C.dns_ffi_store_option_find(#list, option) == 1 do
        list[#list + 1] = {
            name = ffi.string(option.name),
            kind = ffi.string(option.kind),
            stores = ffi.string(option.stores),
            standard = ffi.string(option.standard),
            help = ffi.string(option.help),
        }
    end

    return list
end

-- What a store's options say: name, mirror (a folder or nil), poll (seconds),
-- has_own_layout.
local function info_of(options)
    local info = ffi.new("struct dns_ffi_store_info")
    C.dns_ffi_store_options_info(ffi.cast(OPTIONS, options), info)
    return {
        name = ffi.string(info.name),
        mirror = info.mirror ~= nil and ffi.string(info.mirror) or nil,
        poll = info.poll_ms / 1000,
        has_own_layout = info.has_own_layout == 1,
    }
end

--- A store by its options; connects when it is used.
-- @tparam cdata|userdata options those of parse(), or the configuration's
-- @tparam[opt] table more `marks_rows`: for a mirror; `on_commit`: called with
--   the apex and whether the commit has made or removed a zone
-- @treturn Database|nil
-- @treturn string reason
function database.open(options, more)
    local out = ffi.new("struct dns_ffi_database *[1]")
    local status = C.dns_ffi_database_new(ffi.cast(OPTIONS, options),
        more and more.marks_rows and 1 or 0, out)
    if status ~= 0 then
        return nil, library.status_text(status)
    end

    local handle = ffi.gc(out[0], C.dns_ffi_database_free)
    local info = info_of(options)
    return setmetatable({
        handle = handle,
        owner = handle, -- of its jobs
        name = info.name,
        poll = info.poll,
        mirror_folder = info.mirror,
        has_own_layout = info.has_own_layout,
        on_commit = more and more.on_commit,
    }, Database)
end

return database
