--- What the PowerDNS API keeps of a zone beside its records, and the part of it
-- that is called metadata: .../zones/ZONE/metadata.
-- @module dns.api.powerdns_metadata

local dns = require "dns"
local attributes = require "dns.api.attributes"
local beside = require "dns.api.beside"
local http = require "dns.api.http"
local json = require "dns.api.json"

local name_of = dns.name

local FIELD = "metadata:"

-- Kinds that are settings of the zone as well, by the setting's name.
local SETTINGS = { ["SOA-EDIT"] = "soa_edit", ["SOA-EDIT-API"] = "soa_edit_api" }

-- PowerDNS has these as settings of the zone alone.
local REFUSED = { ["SOA-EDIT-API"] = true, ["API-RECTIFY"] = true,
    ["ENABLE-LUA-RECORDS"] = true }

local metadata = {}

-- Those of a database before those of the file.
local function merge(kept, found)
    local out = {}
    for _, fields in ipairs { kept or {}, found or {} } do
        for field, value in pairs(fields) do
            out[field] = value
        end
    end

    return out
end

--- The attributes of a zone: a table to be read.
-- @tparam table context with store and folder
-- @tparam string zone
function metadata.of(context, zone)
    local kept = attributes.open(context.folder):of(name_of.normalize(zone))
    local found, reason = beside.of(context.store, zone)
    if reason then
        ngx.log(ngx.ERR, "what the database keeps of the zone ", zone,
            " beside its records cannot be read: ", reason)
    end

    return found and merge(kept, found) or kept
end

--- The attributes of all zones that the list of zones shows, by name.
-- @tparam table context
-- @treturn function (name) gives a table to be read
function metadata.of_all(context)
    local kept = attributes.open(context.folder):all()
    local found = beside.all(context.store)

    return function(name)
        return found[name] and merge(kept[name], found[name]) or kept[name]
            or {}
    end
end

local function check_kept(zone, ok, reason)
    if not ok then
        ngx.log(ngx.ERR, "what is kept of the zone ", zone,
            " beside its records cannot be written: ", reason)
        http.send_error(500, "the zone's settings, comments or metadata could "
            .. "not be kept, the error log says why; its records are as the "
            .. "request says")
    end

    return ok
end

--- Sets attributes of a zone; json.null takes one away.
-- @tparam table context
-- @tparam string zone
-- @tparam table fields
-- @treturn boolean|nil nil after an error was sent: an edit before it stands
function metadata.set(context, zone, fields)
    local rest, reason = beside.set(context.store, zone, fields)
    if not rest then
        return check_kept(zone, nil, reason)
    end

    -- What the database keeps from now on is not looked up in the file.
    local file, name = attributes.open(context.folder), name_of.normalize(zone)
    local kept = file:of(name)
    for field in pairs(fields) do
        if rest[field] == nil and kept[field] ~= nil then
            rest[field] = json.null
        end
    end

    return check_kept(zone, file:set(name, rest))
end

--- Forgets a zone that is gone.
-- @treturn boolean|nil as set() gives it
function metadata.forget(context, zone)
    return check_kept(zone, attributes.open(context.folder):forget(
        name_of.normalize(zone)))
end

-- The kinds.

local function to_table(kind, values)
    return { type = "Metadata", kind = kind, metadata = json.list(values) }
end

local function values_of(kept, kind)
    local setting = SETTINGS[kind] and kept[SETTINGS[kind]]
    if setting and setting ~= "" then
        return { setting }
    end

    return kept[FIELD .. kind] or {}
end

local function fields_of(kind, values)
    if SETTINGS[kind] then
        return { [SETTINGS[kind]] = values[1] or json.null }
    end

    return { [FIELD .. kind] = values[1] and values or json.null }
end

local function list(context, zone)
    local kept, out = metadata.of(context, zone), json.list {}
    for kind in pairs(SETTINGS) do
        local values = values_of(kept, kind)
        if values[1] then
            out[#out + 1] = to_table(kind, values)
        end
    end
    for field, values in pairs(kept) do
        if field:sub(1, #FIELD) == FIELD then
            out[#out + 1] = to_table(field:sub(#FIELD + 1), values)
        end
    end

    table.sort(out, function(a, b)
        return a.kind < b.kind
    end)
    return http.send_json(200, out)
end

local function append(values, more)
    local out = {}
    for _, items in ipairs { values, more } do
        for _, item in ipairs(items) do
            out[#out + 1] = item
        end
    end

    return out
end

-- True after a 422 was sent.
local function is_refused(kind)
    if not REFUSED[kind] then
        return false
    end

    http.send_error(422, "Unsupported metadata kind '" .. kind
        .. "': it is a setting of the zone")
    return true
end

-- What is wrong with the body of PUT and POST, or nil.
local function wrong_value(kind, values)
    if type(kind) ~= "string" or not kind:find("^[%w%-]+$")
        or type(values) ~= "table" then
        return "kind and metadata, a list, are expected"
    end

    for i, value in ipairs(values) do
        if type(value) ~= "string" then
            return ("metadata[%d]: a text is expected"):format(i - 1)
        end
    end

    return nil
end

local function put(context, zone, kind)
    local value = http.read_object(context.grant)
    if not value then
        return nil
    end

    local name = kind or value.kind
    local wrong = wrong_value(name, value.metadata)
    if wrong then
        return http.send_error(422, wrong)
    end
    if is_refused(name) then
        return nil
    end

    local values = append(kind and {} -- POST adds
        or values_of(metadata.of(context, zone), name), value.metadata)
    return metadata.set(context, zone, fields_of(name, values))
        and http.send_json(kind and 200 or 201, to_table(name, values))
end

local function get(context, zone, kind)
    return not is_refused(kind) and http.send_json(200,
        to_table(kind, values_of(metadata.of(context, zone), kind)))
end

local function delete(context, zone, kind)
    return not is_refused(kind)
        and metadata.set(context, zone, fields_of(kind, {}))
        and http.send(204)
end

--- Handlers of all metadata of a zone, and of one kind.
metadata.ALL = { GET = list, POST = put }
metadata.ONE = { GET = get, PUT = put, DELETE = delete }

return metadata
