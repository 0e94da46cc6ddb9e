--- API keys and what each may do.
--
-- A key is "ID.SECRET", of random octets; only its SHA-256 is kept.  The file
-- holds one JSON object a line; a revocation is a line of its own.  A change
-- writes the file anew beside the old one, and is done when the new one is on
-- the disk in its place.  It is read for each check, so that a revoked key is
-- worth nothing at once.  A file that cannot be read, or that holds a line that
-- is none, is an error: the lost line could be a revocation.  A line that was
-- cut behind its id revokes that key.
-- @module dns.api.keys

local cjson = require "cjson.safe"
local ffi = require "ffi"
local dns = require "dns"
local library = require "dns.library"
local glob = require "dns.api.glob"

local C = library.C
local name_of = dns.name

local ID_SIZE, SECRET_SIZE, HASH_SIZE = 6, 32, 32 -- octets
local KEY_MAX = 200 -- characters of what somebody presents
local FILE_NAME = "api-keys"
local ENOENT = 2

local function hex(octets)
    return (octets:gsub(".", function(octet)
        return ("%02x"):format(octet:byte())
    end))
end

local function random_hex(size)
    local out = ffi.new("uint8_t[?]", size)
    C.dns_ffi_random(out, size)
    return hex(ffi.string(out, size))
end

local function hash_of(text)
    local out = ffi.new("uint8_t[?]", HASH_SIZE)
    C.dns_ffi_sha256(text, #text, out)
    return hex(ffi.string(out, HASH_SIZE))
end

-- Grants: what somebody may do.

local Grant = {}
Grant.__index = Grant

local function is_listed(list, value)
    for _, item in ipairs(list) do
        if item == value then
            return true
        end
    end

    return false
end

local function fits_one(patterns, name)
    for _, pattern in ipairs(patterns) do
        if glob.fits_name(pattern, name) then
            return true
        end
    end

    return false
end

--- May it see the zone?
-- @tparam string zone
function Grant:reads(zone)
    return not self.zones or is_listed(self.zones, name_of.normalize(zone))
end

--- May it see the name, whatever zone holds it?
-- @tparam string name
function Grant:sees(name)
    for _, zone in ipairs(self.zones or {}) do
        if name_of.is_within(name, zone) then
            return true
        end
    end

    return not self.zones
end

--- Is it for some record sets alone?
function Grant:is_narrow()
    return (self.acme or self.names or self.types) ~= nil
end

--- May it make, replace and remove zones, if only some?
function Grant:edits_zones()
    return not self.read_only and not self:is_narrow()
end

--- May it make, replace and remove the zone?
-- @tparam string zone
function Grant:edits(zone)
    return self:edits_zones() and self:reads(zone)
end

--- May it change any record set of the zone?
-- @tparam string zone
function Grant:edits_some(zone)
    return not self.read_only and self:reads(zone)
end

--- May it change the record set?
-- @tparam string zone
-- @tparam string owner absolute
-- @tparam number rtype
function Grant:edits_set(zone, owner, rtype)
    if self.read_only or not self:reads(zone) then
        return false
    end

    owner = name_of.normalize(owner)
    if self.acme and not (rtype == dns.type.TXT
        and owner:find("^_acme%-challenge%.")) then
        return false
    end

    return (not self.names or fits_one(self.names, owner))
        and (not self.types or is_listed(self.types, dns.type[rtype]))
end

--- May it do what is not about one zone: flush the cache, say?
function Grant:administers()
    return not self.zones and self:edits(".")
end

-- Files.

-- The file's text, "" where there is none; nil and why it cannot be read.
local function read(path)
    local file, reason, code = io.open(path, "rb")
    if not file then
        return code == ENOENT and "" or nil, reason
    end

    local text
    text, reason = file:read("*a")
    file:close()
    return text, reason and path .. ": " .. reason
end

-- What a line says, and what stands before that: a line that was cut, which
-- this one was written behind.
local function parse_line(line)
    for at in line:gmatch("(){") do
        local entry = cjson.decode(line:sub(at))
        if type(entry) == "table" and type(entry.id) == "string" then
            return entry, line:sub(1, at - 1)
        end
    end

    return nil, line
end

local function parse(text, path)
    local out, number = {}, 0
    for line in text:gmatch("([^\n]*)\n?") do
        number = number + 1
        local entry, cut = parse_line(line)
        local id = cut:match('"id":"(%x+)"')
        if id then -- a key that was never given out, or its revocation
            out[#out + 1] = { id = id, revoked = true }
        elseif cut:find("%S") then
            return nil, ("%s: line %d is damaged: remove it, and revoke again "
                .. "the key that it may have revoked"):format(path, number)
        end
        out[#out + 1] = entry
    end

    return out
end

local function append_line(path, entry)
    local text, reason = read(path)
    if not text then
        return nil, reason
    end
    if text ~= "" and text:sub(-1) ~= "\n" then
        text = text .. "\n"
    end

    text = text .. cjson.encode(entry) .. "\n"
    if C.dns_ffi_file_replace(path, text, #text, library.error) ~= 0 then
        return nil, ffi.string(library.error)
    end

    return true
end

-- Runs change() while no other process writes the file.
local function with_lock(path, change)
    local lock = ffi.new("int[1]")
    local folder = path:match("^(.*)/[^/]*$") or "."
    if C.dns_ffi_file_lock(folder, lock, library.error) ~= 0 then
        return nil, ffi.string(library.error)
    end

    local ok, result, reason = pcall(change)
    C.dns_ffi_file_unlock(lock[0])
    if not ok then
        error(result, 0)
    end

    return result, reason
end

local keys = {
    --- Of who may do everything.
    everything = setmetatable({}, Grant),
}

--- Where the keys of a store lie.
-- @tparam string folder of the store
function keys.path(folder)
    return folder .. "/" .. FILE_NAME
end

--- The keys that are not revoked, in the order of their making.
-- @tparam string path
-- @treturn {table,...}|nil with id, created, note and the scope's fields
-- @treturn string why the file cannot be read
function keys.list(path)
    local text, reason = read(path)
    local lines
    if text then
        lines, reason = parse(text, path)
    end
    if not lines then
        return nil, reason
    end

    local gone, out = {}, {}
    for _, entry in ipairs(lines) do
        if entry.revoked then
            gone[entry.id] = true
        end
    end
    for _, entry in ipairs(lines) do
        if entry.hash and not gone[entry.id] then
            out[#out + 1] = entry
        end
    end

    return out
end

--- What a key may do; nil: it is none of these.
-- @tparam {table,...} entries as list() gives them
-- @tparam string key
-- @treturn Grant|nil
function keys.grant(entries, key)
    local id = #key <= KEY_MAX and key:match("^(%x+)%.%x+$")
    if not id then
        return nil
    end

    local hash = hash_of(key)
    for _, entry in ipairs(entries) do
        if entry.id == id and entry.hash == hash then
            return setmetatable(entry, Grant)
        end
    end

    return nil
end

--- Makes a key.
-- @tparam string path
-- @tparam table scope zones, names, types (lists or nil), read_only, acme
-- @tparam[opt] string note
-- @treturn string|nil the key, which is nowhere else
-- @treturn string reason
function keys.add(path, scope, note)
    local id = random_hex(ID_SIZE)
    local key = id .. "." .. random_hex(SECRET_SIZE)
    local entry = {
        id = id,
        hash = hash_of(key),
        created = os.date("!%Y-%m-%dT%H:%M:%SZ"),
        note = note,
        zones = scope.zones,
        names = scope.names,
        types = scope.types,
        read_only = scope.read_only,
        acme = scope.acme,
    }
    local ok, reason = with_lock(path, function()
        return append_line(path, entry)
    end)

    return ok and key, reason
end

local function revoke(path, id)
    local entries, reason = keys.list(path)
    if not entries then
        return nil, reason
    end

    for _, entry in ipairs(entries) do
        if entry.id == id then
            return append_line(path, {
                id = id,
                revoked = os.date("!%Y-%m-%dT%H:%M:%SZ"),
            })
        end
    end

    return nil, "no such key"
end

--- Takes a key back.
-- @treturn boolean|nil true: the key is worth nothing from now on
-- @treturn string reason
function keys.revoke(path, id)
    return with_lock(path, function()
        return revoke(path, id)
    end)
end

return keys
