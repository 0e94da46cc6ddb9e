--- API keys and what each may do.
--
-- A key is "ID.SECRET", of random octets; only its SHA-256 is kept.  The file
-- holds one JSON object a line and only ever grows: a revocation is a line of
-- its own, so that writers need no lock.  It is read for each check, so that a
-- revoked key is worth nothing at once.
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

local function fits_one(patterns, text)
    for _, pattern in ipairs(patterns) do
        if glob.new(pattern):fits(text) then
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

--- May it make, replace and remove the zone?
-- @tparam string zone
function Grant:edits(zone)
    return not self.read_only and not self.acme and not self.names
        and not self.types and self:reads(zone)
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

-- Every line as a table; nil where there is no file.
local function read(path)
    local file = path and io.open(path, "rb")
    if not file then
        return nil
    end

    local lines = {}
    for line in file:lines() do
        lines[#lines + 1] = cjson.decode(line)
    end
    file:close()
    return lines
end

local function quoted(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function append(path, entry)
    local is_new = read(path) == nil
    local file, reason = io.open(path, "ab")
    if not file then
        return nil, reason
    end
    if is_new then -- the server's user has to read it, nobody else
        local folder = path:match("^(.*)/[^/]*$") or "."
        os.execute(("chmod 600 %s; chown --reference=%s %s 2>/dev/null")
            :format(quoted(path), quoted(folder), quoted(path)))
    end

    local ok
    ok, reason = file:write(cjson.encode(entry), "\n")
    file:close()
    return ok and true, reason
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
-- @treturn {table,...} with id, created, note and the scope's fields
function keys.list(path)
    local lines, gone, out = read(path) or {}, {}, {}
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
    local ok, reason = append(path, {
        id = id,
        hash = hash_of(key),
        created = os.date("!%Y-%m-%dT%H:%M:%SZ"),
        note = note,
        zones = scope.zones,
        names = scope.names,
        types = scope.types,
        read_only = scope.read_only,
        acme = scope.acme,
    })

    return ok and key, reason
end

--- Takes a key back.
-- @treturn boolean|nil
-- @treturn string reason
function keys.revoke(path, id)
    for _, entry in ipairs(keys.list(path)) do
        if entry.id == id then
            return append(path, {
                id = id,
                revoked = os.date("!%Y-%m-%dT%H:%M:%SZ"),
            })
        end
    end

    return nil, "no such key"
end

return keys
