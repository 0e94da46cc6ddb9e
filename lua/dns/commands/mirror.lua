--- The command "resolua mirror status".
-- @module dns.commands.mirror

local cjson = require "cjson.safe"
local console = require "dns.commands.console"

local complain, say = console.complain, console.say

local FILE = "mirror.json" -- as dns.mirror has it

local commands = {}

commands.help = {
    ["mirror status"] = [[
usage: resolua [--data DIR] mirror status

Says of what database the zones in DIR are a copy, how old the copy may be
(seconds since it was last known to be the same), how many zones it has, and
which are not served, and why.  The exit code is 1 where the last try to follow
the database has failed.
]],
}

local function seconds_since(time)
    return time and tostring(os.time() - time) .. " s" or "never"
end

local function read_state(path)
    local file, reason = io.open(path, "r")
    if not file then
        return nil, reason
    end

    local state = cjson.decode(file:read("*a"))
    file:close()
    if type(state) ~= "table" or type(state.zones) ~= "table" then
        return nil, path .. ": not a mirror's file"
    end

    return state
end

-- The zones that are not served, as lines.
local function refused(zones)
    local lines = {}
    for name, zone in pairs(zones) do
        if zone.error then
            lines[#lines + 1] = ("not served: %s: %s\n"):format(name, zone.error)
        end
    end
    table.sort(lines)

    return lines
end

local function status(_, options)
    local state, reason = read_state(options.data .. "/" .. FILE)
    if not state then
        return complain("resolua: no mirror: ", reason)
    end

    local count = 0
    for _ in pairs(state.zones) do
        count = count + 1
    end
    local lines = refused(state.zones)
    say("store: ", state.store, "\n",
        "lag: ", seconds_since(state.current_at), "\n",
        "zones: ", count, "\n",
        table.concat(lines))
    if state.error then
        say("error: ", state.error, "\n")
        return 1
    end

    return 0
end

commands.run = { ["mirror status"] = status }

return commands
