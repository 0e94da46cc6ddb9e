--- What tools made for PowerDNS keep of a zone beside its records: its kind, its
-- account, comments, metadata.  Nothing in the server acts on it.
--
-- A file of the store's folder holds one JSON object a line and only ever
-- grows, so that workers need no lock: each reads on where it stopped.  A line that
-- a full disk has cut says nothing, and the next one begins behind an end of line.
-- @module dns.api.attributes

local cjson = require "cjson.safe"

local FILE_NAME = "zone-attributes"

local Attributes = {}
Attributes.__index = Attributes

local function take(zones, line)
    local entry = cjson.decode(line)
    if type(entry) ~= "table" or type(entry.zone) ~= "string" then
        return
    end
    if entry.gone then
        zones[entry.zone] = nil
        return
    end

    local zone = zones[entry.zone] or {}
    zones[entry.zone] = zone
    for field, value in pairs(entry.set or {}) do
        zone[field] = value ~= cjson.null and value or nil
    end
end

-- Reads what was written since.  A line that is still being written has no end
-- yet: it is left for the next time.
local function read_on(self)
    local file = self.path and io.open(self.path, "rb")
    if not file then
        return
    end

    file:seek("set", self.at)
    local text = file:read("*a") or "" -- of a folder: nothing
    file:close()
    for line in text:gmatch("([^\n]*)\n") do
        take(self.zones, line)
        self.at = self.at + #line + 1
    end
end

-- Does the file end in a line that was cut?
local function ends_cut(file)
    return file:seek("end") > 0 and file:seek("end", -1)
        and file:read(1) ~= "\n"
end

local function append(path, text)
    local file, reason = io.open(path, "a+b")
    if not file then
        return nil, reason
    end

    local ok
    ok, reason = file:write(ends_cut(file) and "\n" or "", text, "\n")
    local is_closed, why = file:close() -- where buffered octets are written
    return ok and is_closed, reason or why
end

local function write(self, entry)
    local text = cjson.encode(entry)
    if not self.path then
        take(self.zones, text)
        return true
    end

    return append(self.path, text)
end

--- The fields of a zone: a table to be read.
-- @tparam string zone normalized
function Attributes:of(zone)
    return self:all()[zone] or {}
end

--- The fields of all zones by name: to be read, and not to be kept.
function Attributes:all()
    read_on(self)
    return self.zones
end

--- Sets fields; cjson.null takes one away.
-- @tparam string zone normalized
-- @tparam table fields
-- @treturn boolean|nil nil: they could not be kept
-- @treturn string reason
function Attributes:set(zone, fields)
    if next(fields) == nil then
        return true
    end

    return write(self, { zone = zone, set = fields })
end

--- Forgets a zone.
-- @tparam string zone normalized
-- @treturn boolean|nil
-- @treturn string reason
function Attributes:forget(zone)
    if next(self:of(zone)) == nil then
        return true
    end

    return write(self, { zone = zone, gone = true })
end

local attributes = {}
local opened = {} -- by folder

--- Those that lie in a folder; without one they live as long as the worker.
-- @tparam string|nil folder
-- @treturn Attributes
function attributes.open(folder)
    local key = folder or ""
    local found = opened[key]
    if not found then
        found = setmetatable({
            path = folder and folder .. "/" .. FILE_NAME,
            at = 0,
            zones = {},
        }, Attributes)
        opened[key] = found
    end

    return found
end

return attributes
