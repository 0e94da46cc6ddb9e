--- What the zones hold of a name, in words: zone, node, wildcard, delegation.
-- @module dns.explain_zone

local dns = require "dns"
local service = require "dns.service"

local name_of = dns.name

local CNAME, DNAME, NS, DS = dns.type.CNAME, dns.type.DNAME, dns.type.NS,
    dns.type.DS
local ANY_TYPE = 0 -- of Store:has()
local CHAIN_MAX = 8 -- aliases that are followed here

local zone_facts = {}

local function parent_of(name)
    local wire = name_of.to_wire(name)
    return name_of.from_wire(wire:sub(wire:byte(1) + 2))
end

-- The names from the apex down to name, the apex left out.
local function names_below(apex, name)
    local names = {}
    while name ~= apex do
        table.insert(names, 1, name)
        name = parent_of(name)
    end

    return names
end

-- The deepest zone that holds the name; DS is asked of the parent (RFC 4035
-- section 3.1.4.1).  nil and a reason: a store could not be asked.
local function find_zone(store, name, rtype)
    local at = rtype == DS and name ~= "." and parent_of(name) or name
    while true do
        local zone, reason, kind = store:zone(at)
        if zone then
            return at
        end
        if kind ~= "not found" then
            return nil, reason
        end
        if at == "." then
            break
        end
        at = parent_of(at)
    end

    return rtype == DS and store:zone(name) and name or nil
end

local function types_of(store, zone, name)
    local types, seen = {}, {}
    store:each_record_of(zone, name, function(record)
        if not seen[record.type] then
            seen[record.type] = true
            types[#types + 1] = dns.type[record.type]
        end
    end)

    return types
end

local function has_names_below(store, zone, name)
    local found = false
    store:each_record_behind(zone, name, function(record)
        found = name_of.is_within(name_of.from_memory(record.name,
            record.name_size), name)
        return false
    end)

    return found
end

local function exists(store, zone, name)
    return store:has(zone, name, ANY_TYPE)
        or has_names_below(store, zone, name)
end

-- A cut or a DNAME on the way to the name, which ends the search; or nil.
local function describe_cut(store, zone, name, rtype)
    for _, at in ipairs(names_below(zone, name)) do
        if store:has(zone, at, NS) and not (at == name and rtype == DS) then
            return "delegation", ("%s is delegated: its name servers are told")
                :format(at)
        end
        if at ~= name and store:has(zone, at, DNAME) then
            return "alias", ("names below %s are renamed by its DNAME"):format(
                at)
        end
    end

    return nil
end

-- The target of a node's CNAME, or nil.
local function alias_of(store, zone, node)
    local target
    store:each_record_of(zone, node, function(record)
        if record.type == CNAME then
            target = name_of.from_memory(record.rdata, record.rdata_size)
        end
    end)

    return target
end

-- What a node gives for a type, and the target where it is an alias.
local function describe_node(store, zone, node, rtype)
    local types = table.concat(types_of(store, zone, node), ", ")
    local target = rtype ~= CNAME and alias_of(store, zone, node)
    if target then
        return ("%s is an alias: its CNAME %s is followed"):format(node,
            target), target
    end
    if rtype == dns.type.ANY or store:has(zone, node, rtype) then
        return ("%s has %s"):format(node, types)
    end

    return ("%s has %s, but no %s"):format(node, types, dns.type[rtype])
end

-- No node of this name: a wildcard, or nothing.
local function describe_absent(store, zone, name, rtype)
    local encloser = parent_of(name)
    while not exists(store, zone, encloser) and encloser ~= zone do
        encloser = parent_of(encloser)
    end

    local wildcard = "*." .. encloser
    if encloser == "." then
        wildcard = "*"
    end
    if store:has(zone, wildcard, ANY_TYPE) then
        return "wildcard", describe_node(store, zone, wildcard, rtype)
    end

    return "node", ("%s does not exist; there is no %s"):format(name, wildcard)
end

-- A step, a text, and the name to go on with where it is an alias.
local function describe(store, zone, name, rtype)
    local step, text = describe_cut(store, zone, name, rtype)
    if step then
        return step, text
    end
    if store:has(zone, name, ANY_TYPE) then
        return "node", describe_node(store, zone, name, rtype)
    end
    if has_names_below(store, zone, name) then
        return "node", ("%s has no records, only names below it"):format(name)
    end

    return describe_absent(store, zone, name, rtype)
end

-- The zone of a networked store that holds the name, or nil.
local function remote_zone(name)
    local is_there, servers = pcall(require, "dns.servers")
    local wire = is_there and servers.remote_zone(name_of.to_wire(name))
    return wire and name_of.from_wire(wire)
end

local function note_zone(run, note, name, rtype)
    name = name_of.normalize(name)
    local store, zone, reason = service.store(), nil, nil
    if store then
        zone, reason = find_zone(store, name, rtype)
    end
    if not zone then
        note(run, "zone", reason and "a store cannot be asked: " .. reason
            or "no zone holds " .. name)
        return nil
    end

    local is_remote = remote_zone(name) == zone
    local step, text, target = describe(store, zone, name, rtype)
    note(run, "zone", zone .. (is_remote and ", in a networked store" or ""))
    note(run, step, text)
    return is_remote and "remote" or "local", target
end

--- Notes what the zones say of a name, and of those that it is an alias of.
-- @tparam table run for note()
-- @tparam function note takes run, a step and a text
-- @tparam string name
-- @tparam number rtype
-- @treturn string|nil "local", "remote", or nil: no zone holds the first name
function zone_facts.note(run, note, name, rtype)
    local where, target = note_zone(run, note, name, rtype)
    for _ = 2, CHAIN_MAX do
        if not target then
            break
        end
        target = select(2, note_zone(run, note, target, rtype))
    end

    return where
end

return zone_facts
