--- What PowerDNS's tables keep of a zone beside its records, as the attributes
-- that dns.api.attributes has: kind, account, comments, metadata.
-- @module dns.api.beside

local cjson = require "cjson.safe"
local dns = require "dns"

local name_of = dns.name

local COMMENTS, METADATA = "comments:", "metadata:"

-- Attributes by columns of domains, and by kinds of metadata.
local COLUMNS = { kind = "type", account = "account", masters = "master",
    catalog = "catalog" }
local KINDS = { soa_edit = "SOA-EDIT", soa_edit_api = "SOA-EDIT-API",
    nsec3param = "NSEC3PARAM" }
local FLAGS = { api_rectify = "API-RECTIFY", nsec3narrow = "NSEC3NARROW" }
local ATTRIBUTES = {} -- by kind
for _, names in ipairs { KINDS, FLAGS } do
    for attribute, kind in pairs(names) do
        ATTRIBUTES[kind] = attribute
    end
end

local beside = {}

-- Reading.

-- "MASTER" is Master to the API.
local function kind_of(text)
    return text and text ~= "" and text:sub(1, 1):upper()
        .. text:sub(2):lower() or nil
end

local function split(text)
    local out = {}
    for word in (text or ""):gmatch("[^%s,]+") do
        out[#out + 1] = word
    end

    return out
end

local function of_row(row)
    return {
        kind = kind_of(row.type),
        account = row.account,
        masters = split(row.master),
        catalog = row.catalog,
    }
end

-- Rows without what they are of say nothing: a database may hold anything.
local function add_metadata(out, row)
    if not row.kind then
        return
    end
    local attribute = ATTRIBUTES[row.kind]
    if not attribute then
        local field = METADATA .. row.kind
        out[field] = out[field] or {}
        table.insert(out[field], row.content or "")
    elseif FLAGS[attribute] then
        out[attribute] = row.content == "1"
    else
        out[attribute] = row.content
    end
end

local function add_comment(out, row)
    if not row.name or not row.type then
        return
    end
    local field = ("%s%s/%s"):format(COMMENTS, name_of.normalize(row.name),
        row.type)
    out[field] = out[field] or {}
    table.insert(out[field], {
        content = row.comment,
        account = row.account or "",
        modified_at = tonumber(row.modified_at),
    })
end

-- The store that has the zone, if it keeps something beside records.
local function part_of(store, zone)
    local part = store
    if store.part_of then
        part = store:part_of(zone)
    end

    return part and part.read_beside and part or nil
end

--- The attributes that a zone's database keeps.
-- @tparam Store store
-- @tparam string zone
-- @treturn table|nil nil: none does
-- @treturn string|nil reason, where it could not be asked
function beside.of(store, zone)
    local part = part_of(store, zone)
    if not part then
        return nil
    end

    local text, reason, kind = part:read_beside(zone)
    if not text then
        return nil, kind ~= "unknown" and reason or nil
    end

    local found = cjson.decode(text)
    local out = of_row(found.domains[1] or {})
    for _, row in ipairs(found.metadata) do
        add_metadata(out, row)
    end
    for _, row in ipairs(found.comments) do
        add_comment(out, row)
    end

    return out
end

--- What the databases tell of all their zones: kind, account and the like.
-- @tparam Store store
-- @treturn table by the zone's name
function beside.all(store)
    local out = {}
    for _, part in ipairs(store.stores or { store }) do
        local text = part.read_beside and part:read_beside(nil)
        for _, row in ipairs(text and cjson.decode(text).domains or {}) do
            out[name_of.normalize(row.name)] = of_row(row)
        end
    end

    return out
end

-- Writing.

local function given(value)
    return value ~= cjson.null and value or nil
end

local function column_value(attribute, value)
    value = given(value)
    if attribute == "kind" then
        return (value or "Native"):upper()
    end
    if attribute == "masters" then
        return table.concat(value or {}, ",")
    end

    return value or ""
end

local function metadata_values(attribute, value)
    value = given(value)
    if FLAGS[attribute] then
        return value and { "1" } or {}
    end

    return value and value ~= "" and { value } or {}
end

local function as_list(items)
    return setmetatable(items, cjson.array_mt)
end

local function comment_set(field, comments)
    local owner, type_name = field:match("^comments:(.*)/([^/]*)$")
    local out = {}
    for i, comment in ipairs(given(comments) or {}) do
        out[i] = {
            modified_at = tonumber(comment.modified_at) or os.time(),
            account = comment.account or "",
            content = comment.content or "",
        }
    end

    return { name = owner, type = type_name, comments = as_list(out) }
end

-- Puts one attribute into what is to be written; false: it is none of these.
local function put(out, field, value)
    local kind = KINDS[field] or FLAGS[field]
    if COLUMNS[field] then
        out.domain[COLUMNS[field]] = column_value(field, value)
    elseif kind then
        out.metadata[kind] = as_list(metadata_values(field, value))
    elseif field:sub(1, #METADATA) == METADATA then
        out.metadata[field:sub(#METADATA + 1)] = as_list(given(value) or {})
    elseif field:sub(1, #COMMENTS) == COMMENTS then
        table.insert(out.comments, comment_set(field, value))
    else
        return false
    end

    return true
end

--- Sets attributes where the zone's database keeps them.
-- @tparam Store store
-- @tparam string zone
-- @tparam table fields cjson.null takes one away
-- @treturn table|nil those that it does not keep
-- @treturn string reason
function beside.set(store, zone, fields)
    local part = part_of(store, zone)
    local out = { domain = {}, metadata = {}, comments = as_list {} }
    local rest, is_any = {}, false
    if not part then
        return fields
    end

    for field, value in pairs(fields) do
        if put(out, field, value) then
            is_any = true
        else
            rest[field] = value
        end
    end
    if not is_any then
        return rest
    end

    local done, reason, kind = part:write_beside(zone, cjson.encode(out))
    if kind == "unknown" then
        return fields
    end

    return done and rest, reason
end

return beside
