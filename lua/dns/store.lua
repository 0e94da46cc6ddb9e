--- The embedded zone store: zones, their records, and edits.
--
--     local store = assert(require("dns.store").open("data"))
--     local edit = assert(store:edit("example.test"))
--     edit:set("www.example.test", "A", 300, { "192.0.2.1" })
--     assert(edit:commit())
--
-- Names are text, absolute with or without the final dot.  What can fail
-- returns nil, a reason and a kind: "not found", "conflict", "malformed",
-- "limit", "changed" or "store".
-- @module dns.store

local ffi = require "ffi"
local dns = require "dns"
local library = require "dns.library"

local C = library.C
local name_of = dns.name

local KINDS = {
    [ffi.C.DNS_FFI_ENOTFOUND] = "not found",
    [ffi.C.DNS_FFI_EMALFORMED] = "malformed",
    [ffi.C.DNS_FFI_EUNKNOWN] = "malformed",
    [ffi.C.DNS_FFI_ECONFLICT] = "conflict",
    [ffi.C.DNS_FFI_EEXIST] = "changed",
    [ffi.C.DNS_FFI_ELIMIT] = "limit",
    [ffi.C.DNS_FFI_ENOSPACE] = "limit",
}

local TTL_OF_SET = ffi.cast("uint32_t", ffi.C.DNS_FFI_TTL_OF_SET)

local function failure(status, reason)
    if reason == nil or reason == "" then
        reason = library.status_text(status)
    end

    return nil, reason, KINDS[status] or "store"
end

local function wire_of(text, level)
    local wire = name_of.to_wire(text)
    if not wire then
        error("not a domain name: " .. text, level + 1)
    end

    return wire
end

local function zone_table(zone)
    return {
        name = name_of.from_memory(zone.name, zone.name_size),
        serial = zone.serial,
        generation = tonumber(zone.generation),
    }
end

local Edit = {}
Edit.__index = Edit

local ALIAS = ffi.C.DNS_FFI_TYPE_ALIAS
local DISABLED_ALIAS = ffi.C.DNS_FFI_TYPE_DISABLED_ALIAS
local CNAME = dns.type.CNAME

--- What the zone becomes is only what this edit adds; a zone that is not there
-- is made.
function Edit:replace_zone()
    C.dns_ffi_edit_replace_zone(self.handle)
end

--- The zone goes.
function Edit:delete_zone()
    C.dns_ffi_edit_delete_zone(self.handle)
end

--- Commit fails with "changed" unless the zone still has the generation that
-- Store:zone() gave; 0: unless it is not there.
-- @tparam number generation
function Edit:expect(generation)
    C.dns_ffi_edit_expect(self.handle, generation)
end

-- PowerDNS's names of the rules (store/serial.h).
local SERIAL_KINDS = { INCREASE = 0, DEFAULT = 1, EPOCH = 2, ["SOA-EDIT"] = 3,
    ["SOA-EDIT-INCREASE"] = 4, [""] = 5, OFF = 5, NONE = 5 }
local SOA_EDITS = { ["INCEPTION-INCREMENT"] = 1, ["INCEPTION-EPOCH"] = 2,
    ["INCREMENT-WEEKS"] = 3, EPOCH = 4 }

--- Which serial the edit gives to the zone, also where it sets a SOA itself.
-- @tparam string kind PowerDNS's SOA-EDIT-API, in any letters; what it does not
--   document is INCREASE
-- @tparam string|nil soa_edit PowerDNS's SOA-EDIT
-- @tparam number now seconds
function Edit:serial_rule(kind, soa_edit, now)
    C.dns_ffi_edit_serial_rule(self.handle, SERIAL_KINDS[kind:upper()] or 0,
        SOA_EDITS[(soa_edit or ""):upper()] or 0, now)
end

local function rdata_size(rtype, text, apex)
    return C.dns_ffi_rdata_from_text(rtype, text, #text, apex,
        library.record.rdata, library.error)
end

--- Adds one record; the set takes its TTL.
-- @tparam string owner
-- @tparam string|number rtype
-- @tparam number|nil ttl seconds; nil: that of the set when it is this change's
--   turn, else 3600
-- @tparam string text the data; relative names in it end in the zone's
-- @treturn boolean|nil
-- @treturn string reason
-- @treturn string kind
function Edit:add(owner, rtype, ttl, text)
    local number = type(rtype) == "number" and rtype or dns.type[rtype]
    if not number then
        return nil, "unknown type " .. rtype, "malformed"
    end

    local size = rdata_size(number, text, self.apex)
    if size < 0 then
        return nil, ffi.string(library.error), "malformed"
    end

    local status = C.dns_ffi_edit_add(self.handle, wire_of(owner, 2), number,
        ttl or TTL_OF_SET, library.record.rdata, size)
    if status ~= 0 then
        return failure(status, self:reason())
    end

    return true
end

local function remove(self, call, owner, rtype, text)
    local number = type(rtype) == "number" and rtype or dns.type[rtype]
    local rdata, size = nil, 0
    if text then
        size = rdata_size(number, text, self.apex)
        if size < 0 then
            return nil, ffi.string(library.error), "malformed"
        end
        rdata = library.record.rdata
    end

    if number == CNAME then -- it is no ALIAS any more
        self:unpark(owner, ALIAS)
    end

    local status = call(self.handle, wire_of(owner, 3), number, rdata, size)
    if status ~= 0 then
        return failure(status, self:reason())
    end

    return true
end

--- Drops a record set, or with text one record of it; commit fails with "not
-- found" when there is none.
function Edit:remove(owner, rtype, text)
    return remove(self, C.dns_ffi_edit_remove, owner, rtype, text)
end

--- As remove(), but it is no failure when there is none.
function Edit:remove_if_any(owner, rtype, text)
    return remove(self, C.dns_ffi_edit_remove_if_any, owner, rtype, text)
end

-- Both kinds of ALIAS are written as a CNAME is.
local function parked_rdata(self, rtype, text)
    if not text then
        return nil, 0
    end

    local is_alias = rtype == ALIAS or rtype == DISABLED_ALIAS
    local size = rdata_size(is_alias and CNAME or rtype, text, self.apex)
    return library.record.rdata, size
end

--- Adds a record that the zone keeps and does not serve (store/parked.h).
-- @tparam string owner
-- @tparam number rtype of a disabled record, or store.ALIAS,
--   store.DISABLED_ALIAS
-- @tparam number ttl seconds
-- @tparam string text
-- @treturn boolean|nil
-- @treturn string reason
-- @treturn string kind
function Edit:park(owner, rtype, ttl, text)
    local rdata, size = parked_rdata(self, rtype, text)
    if size < 0 then
        return nil, ffi.string(library.error), "malformed"
    end

    local status = C.dns_ffi_edit_park(self.handle, wire_of(owner, 2), rtype,
        ttl or TTL_OF_SET, rdata, size)
    if status ~= 0 then
        return failure(status)
    end

    return true
end

--- Drops parked records of a type, or with text one of them, if there are any.
function Edit:unpark(owner, rtype, text)
    local rdata, size = parked_rdata(self, rtype, text)
    if size < 0 then
        return nil, ffi.string(library.error), "malformed"
    end

    local status = C.dns_ffi_edit_unpark(self.handle, wire_of(owner, 2), rtype,
        rdata, size)
    if status ~= 0 then
        return failure(status)
    end

    return true
end

--- Drops all that the zone parks.
function Edit:unpark_all()
    C.dns_ffi_edit_unpark_all(self.handle)
end

--- Replaces a record set, or makes it.
-- @tparam string owner
-- @tparam string|number rtype
-- @tparam number ttl seconds
-- @tparam {string,...} texts
-- @treturn boolean|nil
-- @treturn string reason
-- @treturn string kind
-- @treturn number index of the text that is wrong
function Edit:set(owner, rtype, ttl, texts)
    local number = type(rtype) == "number" and rtype or dns.type[rtype]
    local done, why, sort = self:remove_if_any(owner, number)
    if not done then
        return nil, why, sort
    end

    for i, text in ipairs(texts) do
        local ok, reason, kind = self:add(owner, number, ttl, text)
        if not ok then
            return nil, reason, kind, i
        end
    end

    return true
end

--- Master-file text whose records commit will add.
-- @tparam string text
function Edit:load_text(text)
    self.borrowed = text -- C reads it in commit
    C.dns_ffi_edit_load_text(self.handle, text, #text)
end

--- A master file whose records commit will add.
-- @tparam string path
-- @tparam[opt] string include_folder another folder whose files it may $INCLUDE
function Edit:load_file(path, include_folder)
    self.borrowed = { path, include_folder }
    C.dns_ffi_edit_load_file(self.handle, path, include_folder)
end

--- What is probably a mistake in the master file that the commit has loaded.
-- @treturn {string,...} "FILE:LINE: warning: ...", "line:LINE: ..." of a text
function Edit:warnings()
    local out = {}
    local text = ffi.string(C.dns_ffi_edit_warnings(self.handle))
    for line in text:gmatch("[^\n]+") do
        out[#out + 1] = line
    end

    return out
end

function Edit:reason()
    return ffi.string(C.dns_ffi_edit_error(self.handle))
end

local function run_here(job, argument)
    return job(argument)
end

--- How blocking work is done; inside nginx another thread does it.
local run_job = run_here

-- The status of a job of an owner, one after another; and why it was not begun.
local function run_for(owner, job, argument)
    local status = run_job(job, argument, owner)
    if not status then
        return ffi.C.DNS_FFI_ESTORE, "what was asked before keeps the store busy"
    end

    return status
end

--- Checks and writes all of it or nothing; durable when it returns.
-- @treturn boolean|nil
-- @treturn string reason
-- @treturn string kind
function Edit:commit()
    local status, busy = run_for(self.store.owner, C.dns_ffi_edit_commit,
        self.handle)
    -- A database may have done what it could not say any more.
    if self.store.committed and not busy
        and (status == 0 or status == ffi.C.DNS_FFI_ESTORE) then
        self.store:committed(self)
    end
    if status ~= 0 then
        return failure(status, busy or self:reason())
    end

    return true
end

--- What a commit has done, whatever others have done since.
-- @treturn table the zone as Store:zone() gives it, with zone_was_there, and
--   set_was_there: set() or remove_if_any() found a set to take away
function Edit:result()
    local out = ffi.new("struct dns_ffi_edit_result")
    C.dns_ffi_edit_result(self.handle, out)
    local result = zone_table(out.zone)
    result.zone_was_there = out.zone_was_there ~= 0
    result.set_was_there = out.set_was_there ~= 0

    return result
end

--- Calls visit with each record that the committed changes amount to on an empty
-- zone: all of a zone that was replaced, the set that was set.
-- @tparam function visit as of Store:each_record()
function Edit:each_record(visit)
    C.dns_ffi_edit_records_begin(self.handle)
    local record = ffi.new("struct dns_ffi_record") -- visit may yield
    while C.dns_ffi_edit_records_next(self.handle, record) == 1 do
        if visit(record) == false then
            break
        end
    end
end

-- An Edit around a new handle, which it owns.
local function edit_of(handle, apex, store)
    return setmetatable({
        handle = ffi.gc(handle, C.dns_ffi_edit_free),
        apex = apex,
        store = store,
    }, Edit)
end

-- Calls visit with each record of a listing.
local function visit_listing(found, visit)
    local record = library.record
    while C.dns_ffi_listing_next_record(found, record) == 1 do
        if visit(record) == false then
            break
        end
    end

    return true
end

-- Parked records of the embedded store or of a database.
local function list_parked(store, database, apex, visit, run)
    local out = ffi.new("struct dns_ffi_listing *[1]")
    local status = C.dns_ffi_listing_new_parked(store, database, apex, out)
    if status ~= 0 then
        return failure(status)
    end

    local found = ffi.gc(out[0], C.dns_ffi_listing_free)
    status = run(C.dns_ffi_listing_run, found)
    if status ~= 0 then
        return failure(status, ffi.string(C.dns_ffi_listing_error(found)))
    end

    return visit_listing(found, visit)
end

local Store = {}
Store.__index = Store

--- An edit of one zone.
-- @tparam string zone
-- @treturn Edit|nil
-- @treturn string reason
-- @treturn string kind
function Store:edit(zone)
    local apex = wire_of(zone, 2)
    local out = ffi.new("struct dns_ffi_edit *[1]")
    local status = C.dns_ffi_edit_new(self.handle, apex, out)
    if status ~= 0 then
        return failure(status)
    end

    return edit_of(out[0], apex, self)
end

-- Calls visit() inside a read of the store; nothing in it may yield.
local function reading(store, visit, ...)
    local status = C.dns_ffi_store_read_begin(store.handle)
    if status ~= 0 then
        return failure(status)
    end

    local ok, result, reason, kind = pcall(visit, store, ...)
    C.dns_ffi_store_read_end(store.handle)
    if not ok then
        error(result, 0)
    end

    return result, reason, kind
end

local function list_zones(store)
    local out = {}
    local at = ffi.new("uint64_t[1]")
    local zone = ffi.new("struct dns_ffi_zone")

    while C.dns_ffi_store_next_zone(store.handle, at, zone) == 1 do
        out[#out + 1] = zone_table(zone)
    end

    return out
end

--- All zones in order: tables with name and serial.
-- @treturn {table,...}
function Store:zones()
    return reading(self, list_zones)
end

local function read_zone(store, apex)
    local zone = ffi.new("struct dns_ffi_zone")
    local status = C.dns_ffi_store_zone(store.handle, apex, zone)
    if status ~= 0 then
        return failure(status, "no such zone")
    end

    return zone_table(zone)
end

--- A zone's name and serial.
-- @tparam string zone
-- @treturn table|nil
-- @treturn string reason
-- @treturn string kind
function Store:zone(zone)
    return reading(self, read_zone, wire_of(zone, 2))
end

local function visit_records(store, begin, visit, apex, name)
    local status = name and begin(store.handle, apex, name)
        or begin(store.handle, apex) -- C takes no argument too many
    if status ~= 0 then
        return failure(status, "no such " .. (name and "name" or "zone"))
    end

    local record = library.record
    while C.dns_ffi_store_records_next(store.handle, record) == 1 do
        if visit(record) == false then
            break
        end
    end

    return true
end

--- Calls visit with each record of a zone as C has it (struct
-- dns_ffi_record), the SOA first, until it returns false.
-- @tparam string zone
-- @tparam function visit may not yield
-- @treturn boolean|nil
-- @treturn string reason
-- @treturn string kind
function Store:each_record(zone, visit)
    return reading(self, visit_records, C.dns_ffi_store_records_begin, visit,
        wire_of(zone, 2))
end

--- each_record() of one name alone.
-- @tparam string zone
-- @tparam string name
-- @tparam function visit
function Store:each_record_of(zone, name, visit)
    return reading(self, visit_records, C.dns_ffi_store_records_of, visit,
        wire_of(zone, 2), wire_of(name, 2))
end

--- each_record() of the names that come behind one, which need not be there.
-- @tparam string zone
-- @tparam string name
-- @tparam function visit
function Store:each_record_behind(zone, name, visit)
    return reading(self, visit_records, C.dns_ffi_store_records_behind, visit,
        wire_of(zone, 2), wire_of(name, 2))
end

local function master_file_line(record)
    local text = library.text
    local owner = ffi.string(text, C.dns_ffi_name_to_text(record.name,
        record.name_size, text))
    local size = C.dns_ffi_rdata_to_text(record.type, record.rdata,
        record.rdata_size, text)

    return ("%s\t%d\tIN\t%s\t%s\n"):format(owner, record.ttl,
        dns.type[record.type], ffi.string(text, size))
end

--- A zone as master-file text, every name absolute.
-- @tparam string zone
-- @treturn string|nil
-- @treturn string reason
-- @treturn string kind
function Store:zone_text(zone)
    local lines = {}
    local ok, reason, kind = self:each_record(zone, function(record)
        lines[#lines + 1] = master_file_line(record)
    end)
    if not ok then
        return nil, reason, kind
    end

    return table.concat(lines)
end

local function has(store, apex, owner, rtype)
    return C.dns_ffi_store_has(store.handle, apex, owner, rtype) == 1
end

--- True if the zone has a record set of the type at a name.
function Store:has(zone, owner, rtype)
    return reading(self, has, wire_of(zone, 2), wire_of(owner, 2), rtype)
end

--- Calls visit with each record that a zone parks (store/parked.h).
-- @tparam string zone
-- @tparam function visit as of each_record(); a type may be store.ALIAS or
--   store.DISABLED_ALIAS, with the data of a CNAME
function Store:each_parked(zone, visit)
    return list_parked(self.handle, nil, wire_of(zone, 2), visit, run_here)
end

local function answer(store, packet, transport)
    local out = ffi.new("struct dns_ffi_answer")
    local status = C.dns_ffi_store_answer(store.handle, packet, #packet,
        transport, library.octets, out)
    if status ~= 0 then
        return failure(status)
    end

    return ffi.string(library.octets, out.size), out
end

--- What the zones say to a query.
-- @tparam string packet
-- @tparam number transport 0 UDP, 1 TCP, 2 TLS, 3 HTTPS
-- @treturn string|nil the response
-- @treturn cdata|string struct dns_ffi_answer, or the reason
function Store:answer(packet, transport)
    return reading(self, answer, packet, transport)
end

-- What dns.database is made of as well.
local store = {
    Store = Store,
    edit_of = edit_of,
    failure = failure,
    list_parked = list_parked,
    visit_listing = visit_listing,
    --- Types of parked records.
    ALIAS = ALIAS,
    DISABLED_ALIAS = DISABLED_ALIAS,
    zone_table = zone_table,
    --- A record that each_record() gives, as a line of a master file.
    record_line = master_file_line,
}

--- Runs a job, `int job(void *)` in C, which may block; gives its result.
function store.run_job(job, argument, owner)
    return run_for(owner, job, argument)
end

--- True if a folder has a store.
-- @tparam string folder
-- @treturn boolean
function store.exists(folder)
    local file = io.open(folder .. "/data.mdb", "rb")
    if file then
        file:close()
    end

    return file ~= nil
end

--- Opens the store in a folder, which is made if it is not there.
-- @tparam string folder
-- @tparam[opt] boolean read_only
-- @treturn Store|nil
-- @treturn string reason
function store.open(folder, read_only)
    local out = ffi.new("struct dns_ffi_store *[1]")
    local status = C.dns_ffi_store_open(folder, read_only and 1 or 0, out,
        library.error)
    if status ~= 0 then
        return nil, ffi.string(library.error)
    end

    return store.from_handle(ffi.gc(out[0], C.dns_ffi_store_close))
end

--- A Store around a handle that somebody else keeps open.
-- @param handle struct dns_ffi_store *
-- @treturn Store
function store.from_handle(handle)
    return setmetatable({ handle = handle }, Store)
end

--- The zone that a master file holds: the owner of its SOA.
-- @tparam string path
-- @tparam string origin text that completes relative names
-- @tparam[opt] string include_folder as for Edit:load_file
-- @treturn string|nil
-- @treturn string reason
function store.zone_of_file(path, origin, include_folder)
    local size = C.dns_ffi_zonefile_apex(path, include_folder,
        name_of.to_wire(origin), library.name, library.error)
    if size < 0 then
        return nil, ffi.string(library.error)
    end

    return name_of.from_memory(library.name, size)
end

--- Sets how commits are run: run(job, argument, owner) calls the C
-- function `int job(void *)` somewhere and returns its result; jobs of one owner
-- one after another, or nil for what would wait too long.
function store.set_runner(run)
    run_job = run
end

return store
