--- Record sets as the PowerDNS API has them: to JSON, and from it as changes.
-- @module dns.api.powerdns_rrsets

local dns = require "dns"
local changes = require "dns.api.changes"
local contents = require "dns.api.contents"
local json = require "dns.api.json"
local parked = require "dns.api.parked"
local walk = require "dns.api.walk"

local name_of = dns.name

local RRSETS_MAX = 65536 -- of one request
local CNAME = dns.type.CNAME
local ALIAS_AT_APEX = "an ALIAS is answered as a CNAME here, which cannot stand "
    .. "beside the SOA and NS of a zone's top (RFC 1034 section 3.6.2)"
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

--- Does a field of the zone's attributes keep something of a set?
function rrsets.is_field(field)
    return field:sub(1, #"comments:") == "comments:"
        or contents.is_field(field)
end

-- To JSON.

local function new_rrset(owner, type_name, ttl, attributes)
    local comments = attributes[comment_field(owner, type_name)]

    return {
        name = canonical(owner),
        type = type_name,
        ttl = ttl,
        records = json.list {},
        comments = json.list(comments or {}),
    }
end

-- Records come set by set; each set becomes JSON text when the next begins, so
-- that the work is spread as the walk is.  What is parked goes to the sets that it
-- belongs to, the rest behind all.
local function collector(attributes, beside, only_owner, only_type)
    local out, last, owner, rtype = json.list {}, nil, nil, nil
    local self, written, is_served = {}, {}, {}

    local function begin(name, type_name, ttl)
        last = new_rrset(name, type_name, ttl, attributes)
        written = attributes[contents.field(name, type_name)] or {}
        is_served = {}
    end

    -- What is disabled may be served all the same, by an edit of another way. It
    -- is shown once, for a set with the same record twice cannot be put back.
    local function add(content, is_disabled)
        if is_disabled and is_served[content] then
            return
        end

        is_served[content] = not is_disabled
        last.records[#last.records + 1] = {
            content = written[content] or content,
            disabled = is_disabled,
        }
    end

    local function finish()
        if last then
            for _, record in ipairs(beside:beside(owner, last.type)) do
                add(record.content, true)
            end
            out[#out + 1] = json.raw(json.encode(last))
        end
        last, owner, rtype = nil, nil, nil
    end

    function self.visit(record)
        local name = name_of.from_memory(record.name, record.name_size)
        if name ~= owner or record.type ~= rtype then
            local type_name = beside:type_of(name_of.normalize(name),
                dns.type[record.type])
            finish()
            if only_type and type_name ~= only_type then
                return
            end
            owner, rtype = name, record.type
            begin(name, type_name, record.ttl)
        end
        add(contents.show(record.type, dns.record_from_memory(record).record),
            false)
    end

    function self.flush()
        finish()
        beside:each_other(function(set)
            if (not only_owner or set.owner == only_owner)
                and (not only_type or set.type == only_type) then
                begin(set.owner, set.type, set.ttl)
                owner = set.owner
                if set.alias then -- of another server on the same database
                    add(set.alias, false)
                end
                finish()
            end
        end)

        return out
    end

    function self.restart()
        out, last, owner, rtype = json.list {}, nil, nil, nil
        beside:restart()
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
    local beside, reason, kind = parked.of(store, zone)
    if not beside then
        return nil, reason, kind
    end

    local sets = collector(attributes, beside,
        owner and name_of.normalize(owner), type_name)
    local ok
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
-- @tparam {table,...} list the changes that made them
-- @treturn table for json.encode()
-- @treturn boolean has it a DNSKEY?
function rrsets.of_edit(edit, attributes, list)
    local sets = collector(attributes, parked.of_changes(list))
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

-- JSON's null is no value.
local function given(value)
    if value == json.null then
        return nil
    end

    return value
end

local function new_records()
    return { served = {}, disabled = {}, written = {}, count = 0, seen = {} }
end

-- Adds one of "records" to those of a set; gives what is wrong, or nil.
local function parse_record(record, rtype, apex, out)
    local content = type(record) == "table" and record.content
    if type(content) ~= "string" then
        return "content: a text is expected"
    end
    if out.seen[content] then
        return "duplicate record"
    end

    local disabled = given(record.disabled)
    if disabled ~= nil and type(disabled) ~= "boolean" then
        return "disabled: true or false is expected"
    end

    local text, rdata = contents.parse(rtype, content, apex)
    if not text then
        return rdata
    end

    out.seen[content] = true
    contents.keep(out.written, rtype, content, rdata)
    local list = disabled and out.disabled or out.served
    list[#list + 1] = text
    out.count = out.count + 1
    return nil
end

-- The texts of "records"; or nil and what is wrong.
local function parse_records(records, rtype, apex)
    if type(records) ~= "table" then
        return nil, "records: a list is expected"
    end

    local out = new_records()
    for i, record in ipairs(records) do
        local wrong = parse_record(record, rtype, apex, out)
        if wrong then
            return nil, ("records[%d]: %s"):format(i - 1, wrong)
        end
    end
    if rtype == CNAME and out.count > 1 then
        return nil, "records: more than one"
    end

    return out
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

local function needs_ttl(changetype, records)
    return changetype == "REPLACE" and records.count > 0
end

-- PowerDNS takes a number in quotes as well.
local function parse_ttl(ttl)
    return type(ttl) == "string" and ttl:find("^%d+$") and tonumber(ttl) or ttl
end

-- Owner and type of an rrset, and whether it is an ALIAS.
local function parse_key(value, zone)
    local owner, wrong = parse_owner(value.name, zone)
    if not owner then
        return nil, wrong
    end

    local is_alias = type(value.type) == "string"
        and value.type:upper() == "ALIAS"
    local rtype
    rtype, wrong = changes.stored_type(is_alias and "CNAME" or value.type)
    if not rtype then
        return nil, wrong
    end

    return owner, rtype, is_alias
end

-- What is wrong with a set as a whole, or nil.
local function wrong_set(change, changetype, records, zone)
    if needs_ttl(changetype, records) and not change.ttl then
        return "ttl: missing"
    end
    if (changetype == "EXTEND" or changetype == "PRUNE")
        and records.count ~= 1 then
        return "records: exactly one is expected"
    end
    if change.is_alias and change.owner == zone and #records.served > 0
        and change.action ~= "drop" then
        return "type: " .. ALIAS_AT_APEX
    end

    return nil
end

-- One rrset with its changetype; or nil and what is wrong.
local function parse_rrset(value, zone, changetype)
    local owner, rtype, is_alias = parse_key(value, zone)
    if not owner then
        return nil, rtype
    end

    local records, wrong = new_records(), nil
    local ttl = parse_ttl(given(value.ttl))
    if changetype ~= "DELETE" then
        records, wrong = parse_records(given(value.records) or {}, rtype,
            name_of.to_wire(zone))
    end
    if not wrong and ttl then
        ttl, wrong = changes.ttl(ttl)
    end
    if wrong then
        return nil, wrong
    end

    local change = {
        owner = owner,
        type = rtype,
        type_name = is_alias and "ALIAS" or dns.type[rtype],
        is_alias = is_alias,
        ttl = ttl,
        action = ACTIONS[changetype],
        records = records.served,
        disabled = records.disabled,
        written = records.written,
        comments = given(value.comments),
        keeps_records = changetype == "REPLACE" and not given(value.records),
    }
    wrong = wrong_set(change, changetype, records, zone)
    return not wrong and change or nil, wrong
end

-- An ALIAS is answered as a CNAME, and a name has one of these.  Gives what is
-- wrong with a change behind those that were looked at before, or nil.
local function wrong_alias(change, aliases)
    if change.type ~= CNAME or #change.records == 0
        or change.action == "drop" then
        return nil
    end

    local before = aliases[change.owner]
    aliases[change.owner] = change.type_name
    return before and before ~= change.type_name
        and "type: a name cannot have both an ALIAS and a CNAME" or nil
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

    zone = name_of.normalize(zone)
    local out, seen, aliases = {}, {}, {}
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
        local key = change and change.owner .. "/" .. change.type_name
        if key and seen[key] then
            return nil, ("rrsets[%d]: duplicate rrset"):format(i - 1)
        end
        wrong = wrong or wrong_alias(change, aliases)
        if wrong then
            return nil, ("rrsets[%d].%s"):format(i - 1, wrong)
        end
        seen[key] = true
        out[i] = change
        walk.pause(i)
    end

    return out
end

--- Puts changes into an edit: what is served, and what the zone parks.
-- @tparam Edit edit
-- @tparam {table,...} list
-- @treturn boolean|nil
-- @treturn string reason
-- @treturn string kind
function rrsets.put(edit, list)
    local all, served = {}, {}
    for _, change in ipairs(list) do
        if not change.keeps_records then -- it has comments alone
            all[#all + 1] = change
        end
        if not change.keeps_records and not change.keeps_served then
            served[#served + 1] = change
        end
    end

    local ok, reason, kind = changes.put(edit, served)
    if ok then
        ok, reason, kind = parked.put(edit, all)
    end

    return ok, reason, kind
end

local function is_same(a, b)
    for shown, written in pairs(a) do
        if b[shown] ~= written then
            return false
        end
    end

    return true
end

-- A set's written contents behind a change of it; nil: as they were.
local function written_after(change, before)
    local out = {}
    if change.action ~= "set" then
        for shown, written in pairs(before) do
            out[shown] = written
        end
    end
    for shown, written in pairs(change.written) do
        out[shown] = written
    end
    if is_same(out, before) and is_same(before, out) then
        return nil
    end

    return next(out) and out or json.null
end

--- The attributes that keep how the contents of changed sets were written.
-- @tparam {table,...} list of changes
-- @tparam table attributes the zone's
-- @treturn table fields for Attributes:set()
function rrsets.content_fields(list, attributes)
    local fields = {}
    for _, change in ipairs(list) do
        local field = contents.field(change.owner, change.type_name)
        if not change.keeps_records then
            fields[field] = written_after(change, attributes[field] or {})
        end
    end

    return fields
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
        local field = comment_field(change.owner, change.type_name)
        local comments = change.comments
        if type(comments) == "table" and #comments > 0 then
            fields[field] = dated(comments)
        elseif comments ~= nil
            or (change.action == "set" and #change.records == 0
                and #change.disabled == 0 and not change.keeps_records) then
            fields[field] = json.null
        end
    end

    return fields
end

return rrsets
