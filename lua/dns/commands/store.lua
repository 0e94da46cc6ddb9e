--- resolua store options: what may stand behind the URL of a networked store.
-- @module dns.commands.store

local console = require "dns.commands.console"

local say = console.say

local commands = {}

commands.help = {
    ["store options"] = [[
usage: resolua store options

Prints the options of networked stores with their defaults.  They stand behind
the URL in a dns_store directive as NAME=VALUE with spaces between, and behind
that of --store as ?NAME=VALUE&NAME=VALUE, where %XX stands for an octet.
]],
}

local function store_options()
    for _, option in ipairs(require("dns.database").options()) do
        local notes = {}
        if option.stores ~= "" then
            notes[1] = option.stores
        end
        if option.standard ~= "" then
            notes[#notes + 1] = "default " .. option.standard
        end
        say(("%-28s %s%s\n"):format(option.name .. "=" .. option.kind,
            option.help,
            #notes > 0 and " (" .. table.concat(notes, ", ") .. ")" or ""))
    end

    return 0
end

commands.run = { ["store options"] = store_options }

return commands
