--- resolua key add|list|revoke: the keys of the HTTP endpoints.
-- @module dns.commands.keys

local dns = require "dns"
local console = require "dns.commands.console"
local keys = require "dns.api.keys"

local complain, say = console.complain, console.say

local commands = {}

commands.help = {
    ["key add"] = [[
usage: resolua [--data DIR] key add [--zone ZONE,...] [--name PATTERN,...]
               [--type TYPE,...] [--read-only] [--acme] [--note TEXT]

Makes a key for the HTTP endpoints and prints it: it is kept nowhere else.
Without options it may do everything; each option takes something away.
--zone      only these zones
--name      only names that fit; "*" stands for any characters, "?" for one
            of a label; "\\." is a dot within a label
--type      only sets of these types
--read-only no edits
--acme      only TXT records of _acme-challenge names, for certificates
]],
    ["key list"] = [[
usage: resolua [--data DIR] key list

Prints each key's id, when it was made, what it may do, and its note.
]],
    ["key revoke"] = [[
usage: resolua [--data DIR] key revoke ID

Takes a key back: it is worth nothing from now on.
]],
}

-- Words with commas between as a list of what check() makes of them; nil for
-- none.
local function parse_list(text, check)
    if not text then
        return nil
    end

    local out = {}
    for word in text:gmatch("[^,]+") do
        local item = check(word)
        if not item then
            return nil, word
        end
        out[#out + 1] = item
    end

    return out
end

local function check_type(word)
    return dns.type[word:upper()] and word:upper()
end

local function check_pattern(word)
    return (word:lower():gsub("%.$", ""))
end

local function parse_scope(options)
    local wrong
    local scope = { read_only = options.read_only, acme = options.acme }
    scope.zones, wrong = parse_list(options.zone, dns.name.normalize)
    if not wrong then
        scope.types, wrong = parse_list(options.type, check_type)
    end
    scope.names = parse_list(options.name, check_pattern)

    return not wrong and scope, wrong
end

local function add(words, options)
    local scope, wrong = parse_scope(options)
    if wrong or words[1] then
        return complain("resolua: ", wrong or words[1], ": not a zone or type")
    end

    local key, reason = keys.add(keys.path(options.data), scope, options.note)
    if not key then
        return complain("resolua: ", reason)
    end

    say(key, "\n")
    return 0
end

local function describe(entry)
    local parts = {}
    for _, field in ipairs { "zones", "names", "types" } do
        if entry[field] then
            parts[#parts + 1] = field .. " " .. table.concat(entry[field], ",")
        end
    end
    if entry.read_only then
        parts[#parts + 1] = "read-only"
    end
    if entry.acme then
        parts[#parts + 1] = "acme"
    end

    return #parts > 0 and table.concat(parts, "; ") or "everything"
end

local function list(_, options)
    local entries, reason = keys.list(keys.path(options.data))
    if not entries then
        return complain("resolua: ", reason)
    end

    for _, entry in ipairs(entries) do
        say(("%s\t%s\t%s\t%s\n"):format(entry.id, entry.created,
            describe(entry), entry.note or ""))
    end

    return 0
end

local function revoke(words, options)
    local id = words[1]
    if not id then
        return complain("resolua: a key's ID is needed; see --help")
    end

    local ok, reason = keys.revoke(keys.path(options.data), id)
    return ok and 0 or complain("resolua: ", id, ": ", reason)
end

commands.run = {
    ["key add"] = add,
    ["key list"] = list,
    ["key revoke"] = revoke,
}

return commands
