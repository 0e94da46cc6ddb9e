--- Puts functions that LuaJIT compiles in the place of those of the API that
-- loops call most.  Each VM loads it once, when all of the C functions are there;
-- they go on doing what is rare.
-- @module resolua.core

local ffi = require "ffi"

ffi.cdef(require "dns.cdef_runtime")

for _, name in ipairs { "shared", "regex", "text", "clock", "context",
        "variable", "libraries" } do
    require("resolua." .. name).install(ngx)
end

-- Scripts often have a path to another implementation of the API: ours is for
-- this one.
local folder = debug.getinfo(1, "S").source:match("^@(.*)resolua/core%.lua$")

local CORE = { "base", "ctx", "misc", "request", "response", "time", "utils" }
local names = { "ngx.pipe", "ngx.re", "ngx.req", "ngx.resp", "tablepool" }
for _, name in ipairs(CORE) do
    names[#names + 1] = "resty.core." .. name
end

for _, name in ipairs(names) do
    package.preload[name] = function(...)
        return assert(loadfile(folder .. name:gsub("%.", "/") .. ".lua"))(...)
    end
end

-- As where OpenResty's are loaded at the start: libraries ask package.loaded.
package.loaded["resty.core"] = { version = "0.1.28" }
for name in ([[base64 coroutine exit hash ndk param phase pipe regex shdict socket
        socket.tcp uri var worker]]):gmatch("%S+") do
    package.loaded["resty.core." .. name] = { version = "0.1.28" }
end
for _, name in ipairs(CORE) do
    require("resty.core." .. name)
end

require "resolua.fresh" -- sees what there is before any script runs

return true
