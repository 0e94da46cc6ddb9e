--- Record sets as the PowerDNS API has them: to JSON, and from it as changes.
-- @module dns.api.powerdns_rrsets

local dns = require "dns"
local changes = require "dns.api.changes"
local json = require "dns.api.json"
local walk = require "dns.api.walk"

local name_of = dns.name

local RRSETS_MAX = 65536 -- of one request
local STRING_MAX = 255 -- octets of a character string
local TEXT_TYPES = { [dns.type.TXT] = true, [dns.type.SPF] = true }
local DISABLED = "disabled records are not kept here"
local ACTIONS = { REPLACE = "set", DELETE = "set", EXTEND = "add",
    PRUNE = "drop" }

local rrsets = {}

--- A name with its final dot.
function rrsets.canonical(text)
    return text == "." and text or text .. "."
end

local canonical = rrsets.canonical

-- The field of the zone's attributes that keeps a set's comments.
local function comment_field(owner, type_name)
    return ("comments:%s/%s"):format(owner, type_name)
end

--- Does a field of the zone's attributes keep comments?
function rrsets.is_comment_field(field)
    return field:sub(1, #"comments:") == "comments:"
end

-- To JSON.

local function new_rrset(record, owner, attributes)
    local type_name = dns.type[record.type]
    local comments = attributes[comment_field(owner, type_name)]

    return {
        name = canonical(owner),
        type = type_name,
        ttl = record.ttl,
        records = json.list {},
        comments = json.list(comments or {}),
    }
end

-- Records come set by set; each set becomes JSON text when the next begins, so
-- that the work is spread as the walk is.
local function collector(attributes, type_name)
    local out, last, owner, rtype = json.list {}, nil, nil, nil
    local self = {}

    function self.visit(record)
        local name = name_of.from_memory(record.name, record.name_size)
        if type_name and dns.type[record.type] ~= type_name then
            return
        end
        if name ~= owner or record.type ~= rtype then
            self.flush()
            last, owner, rtype = new_rrset(record, name, attributes), name,
                record.type
        end
        last.records[#last.records + 1] = {
            content = dns.record_from_memory(record).record,
            disabled = false,
        }
    end

    function self.flush()
        if last then
            out[#out + 1] = json.raw(json.encode(last))
        end
        last, owner, rtype = nil, nil, nil
        return out
    end

    function self.restart()
        out, last, owner, rtype = json.list {}, nil, nil, nil
    end

    return self
end

--- The record sets of a zone.
-- @tparam Store store
-- @tparam string zone
-- @tparam table attributes the zone's
-- @tparam[opt] string owner only of this name
-- @tparam[opt] string type_name only of this type
-- @treturn table|nil for json.encode()
-- @treturn string reason
-- @treturn string kind
function rrsets.of(store, zone, attributes, owner, type_name)
    local sets = collector(attributes, type_name)
    local ok, reason, kind
    if owner then
        ok, reason, kind = store:each_record_of(zone, owner, sets.visit)
    else
        ok, reason, kind = walk.records(store, zone, sets.visit, sets.restart)
    end
    if not ok and not (owner and kind == "not found") then
        return nil, reason, kind
    end

    return sets.flush()
end

--- The record sets of a zone that a committed edit has made.
-- @tparam Edit edit
-- @tparam table attributes the zone's
-- @treturn table for json.encode()
-- @treturn boolean has it a DNSKEY?
function rrsets.of_edit(edit, attributes)
    local sets = collector(attributes)
    local count, has_key = 0, false
    edit:each_record(function(record)
        has_key = has_key or record.type == dns.type.DNSKEY
        sets.visit(record)
        count = count + 1
        walk.pause(count)
    end)

    return sets.flush(), has_key
end

-- From JSON.

-- What is wrong with a content: also a name in it without its final dot.
local function wrong_content(rtype, content, apex)
    local rdata, wrong = dns.rdata_from_text(rtype, content, apex)
    if not rdata then
        return wrong
    end
    if rdata ~= dns.rdata_from_text(rtype, content, nil) then
        return "not in canonical form: a name lacks its final dot"
    end

    return nil
end

-- Clients give strings of any size, which the wire has in pieces of 255 octets
-- (RFC 1035 section 3.3).  An escape is one octet.
local function split_strings(content)
    local out, count, is_quoted, at = {}, 0, false, 1
    while at <= #content do
        local unit = content:match("^\\%d%d%d", at)
            or content:match("^\\.", at) or content:sub(at, at)
        if unit == '"' then
            is_quoted, count = not is_quoted, 0
        elseif is_quoted and count == STRING_MAX then
            out[#out + 1] = '" "'
            count = 0
        end
        out[#out + 1] = unit
        count = count + (unit ~= '"' and 1 or 0)
        at = at + #unit
    end

    return table.concat(out)
end

-- A record's text as the store takes it; or nil and what is wrong.
local function parse_content(rtype, content, apex)
    if TEXT_TYPES[rtype] then
        if content:sub(1, 1) ~= '"' then
            return nil, "not in canonical form: quotes are missing"
        end
        content = split_strings(content)
    end

    local wrong = wrong_content(rtype, content, apex)
    return not wrong and content or nil, wrong
end

-- The texts of "records"; or nil and what is wrong.
local function parse_records(records, rtype, apex)
    if type(records) ~= "table" then
        return nil, "records: a list is expected"
    end

    local texts, seen = {}, {}
    for i, record in ipairs(records) do
        local content = type(record) == "table" and record.content
        local wrong
        if type(content) ~= "string" then
            wrong = "content: a text is expected"
        elseif record.disabled == true then
            wrong = DISABLED
        elseif seen[content] then
            wrong = "duplicate record"
        else
            texts[i], wrong = parse_content(rtype, content, apex)
            seen[content] = true
        end
        if wrong then
            return nil, ("records[%d]: %s"):format(i - 1, wrong)
        end
    end

    return texts
end

local function parse_owner(text, zone)
    if type(text) ~= "string" or not name_of.to_wire(text) then
        return nil, "name: not a domain name"
    end
    if text:sub(-1) ~= "." then
        return nil, "name: not canonical, the final dot is missing"
    end
    if not name_of.is_within(text, zone) then
        return nil, "name: out of zone"
    end

    local owner = name_of.normalize(text)
    if owner:find("\\%d") then
        return nil, "name: " .. name_of.NOT_ASCII
    end

    return owner
end

local function needs_ttl(changetype, texts)
    return changetype == "REPLACE" and #texts > 0
end

-- JSON's null is no value.
local function given(value)
    return value ~= json.null and value or nil
end

-- PowerDNS takes a number in quotes as well.
local function parse_ttl(ttl)
    return type(ttl) == "string" and ttl:find("^%d+$") and tonumber(ttl) or ttl
end

-- Owner and type of an rrset.
local function parse_key(value, zone)
    local owner, wrong = parse_owner(value.name, zone)
    if not owner then
        return nil, wrong
    end

    -- external-dns says ALIAS where a CNAME leaves the zone.
    local rtype
    rtype, wrong = changes.stored_type(value.type == "ALIAS" and "CNAME"
        or value.type)
    if not rtype then
        return nil, wrong
    end

    return owner, rtype
end

-- One rrset with its changetype; or nil and what is wrong.
local function parse_rrset(value, zone, changetype)
    local owner, rtype = parse_key(value, zone)
    if not owner then
        return nil, rtype
    end

    local texts, wrong = {}, nil
    local ttl = parse_ttl(given(value.ttl))
    if changetype ~= "DELETE" then
        texts, wrong = parse_records(given(value.records) or {}, rtype,
            name_of.to_wire(zone))
    end
    if not wrong and ttl then
        ttl, wrong = changes.ttl(ttl)
    end
    if wrong then
        return nil, wrong
    end
    if needs_ttl(changetype, texts) and not ttl then
        return nil, "ttl: missing"
    end
    if (changetype == "EXTEND" or changetype == "PRUNE") and #texts ~= 1 then
        return nil, "records: exactly one is expected"
    end

    return {
        owner = owner,
        type = rtype,
        ttl = ttl,
        action = ACTIONS[changetype],
        records = texts,
        comments = given(value.comments),
        keeps_records = changetype == "REPLACE" and not given(value.records),
    }
end

--- Changes from "rrsets".
-- @tparam table list
-- @tparam string zone
-- @tparam[opt] string changetype where the sets have none of their own
-- @treturn {table,...}|nil as dns.api.changes has them, with comments
-- @treturn string what is wrong
function rrsets.parse(list, zone, changetype)
    if type(list) ~= "table" or (#list == 0 and next(list) ~= nil) then
        return nil, "rrsets: a list is expected"
    end
    if #list > RRSETS_MAX then
        return nil, ("rrsets: over %d"):format(RRSETS_MAX)
    end

    local out, seen = {}, {}
    for i, value in ipairs(list) do
        if type(value) ~= "table" then
            return nil, ("rrsets[%d]: not an object"):format(i - 1)
        end

        local kind = changetype or value.changetype
        kind = type(kind) == "string" and kind:upper() or kind
        if not ACTIONS[kind] then
            return nil, ("rrsets[%d].changetype: REPLACE, DELETE, EXTEND or "
                .. "PRUNE is expected"):format(i - 1)
        end

        local change, wrong = parse_rrset(value, zone, kind)
        local key = change and change.owner .. "/" .. change.type
        if key and seen[key] then
            return nil, ("rrsets[%d]: duplicate rrset"):format(i - 1)
        end
        if wrong then
            return nil, ("rrsets[%d].%s"):format(i - 1, wrong)
        end
        seen[key] = true
        out[i] = change
    end

    return out
end

-- Comments with the time of their making, if they have none.
local function dated(comments)
    for _, comment in ipairs(comments) do
        if type(comment) == "table" then
            comment.modified_at = comment.modified_at or os.time()
        end
    end

    return comments
end

--- The attributes that keep the comments of changed sets.
-- @tparam {table,...} list of changes
-- @treturn table fields for Attributes:set()
function rrsets.comment_fields(list)
    local fields = {}
    for _, change in ipairs(list) do
        local field = comment_field(change.owner, dns.type[change.type])
        local comments = change.comments
        if type(comments) == "table" and #comments > 0 then
            fields[field] = dated(comments)
        elseif comments ~= nil
            or (change.action == "set" and #change.records == 0
                and not change.keeps_records) then
            fields[field] = json.null
        end
    end

    return fields
end

return rrsets
