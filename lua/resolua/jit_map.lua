--- Where compiled Lua lies in memory, for `resolua flame --c`: perf knows no
-- names for code that LuaJIT made.
-- @module resolua.jit_map

local jit_util = require "jit.util"

local NAME_MAX = 200 -- bytes

local jit_map = {}

local places -- number of a trace -> "file:line" where it begins

local function on_trace(what, trace, func, pc)
    if what == "start" then
        places[trace] = jit_util.funcinfo(func, pc).loc or "?"
    elseif what == "flush" then
        places = {}
    end
end

--- Begins to note traces.  Those that were there before are dropped, as nobody
-- can tell where they began: what is hot is compiled again at once.
function jit_map.begin()
    places = {}
    jit.flush()
    jit.attach(on_trace, "trace")
end

--- Ends it.
-- @treturn string a line "ADDRESS SIZE NAME" for each trace, in hexadecimal
function jit_map.finish()
    jit.attach(on_trace)
    local lines = {}
    for trace, place in pairs(places) do
        local code, address = jit_util.tracemc(trace)
        if code then
            lines[#lines + 1] = ("%x %x Lua %s\n"):format(
                address % 2 ^ 64, #code, place:gsub("%c", " "):sub(1, NAME_MAX))
        end
    end
    places = {}

    return table.concat(lines)
end

return jit_map
