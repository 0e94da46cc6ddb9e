--- Puts functions that LuaJIT compiles in the place of those of the API that
-- loops call most.  Each VM loads it once, when all of the C functions are there;
-- they go on doing what is rare.
-- @module resolua.core

local ffi = require "ffi"

ffi.cdef(require "dns.cdef_runtime")

for _, name in ipairs { "shared", "regex", "text", "clock", "context",
        "variable" } do
    require("resolua." .. name).install(ngx)
end

-- Scripts often have a path to another implementation of the API: ours is for
-- this one.
local folder = debug.getinfo(1, "S").source:match("^@(.*)resolua/core%.lua$")

for _, name in ipairs { "ngx.pipe", "ngx.re", "ngx.req", "ngx.resp", "tablepool" } do
    package.preload[name] = function(...)
        return assert(loadfile(folder .. name:gsub("%.", "/") .. ".lua"))(...)
    end
end

require "resolua.fresh" -- sees what there is before any script runs

return true
