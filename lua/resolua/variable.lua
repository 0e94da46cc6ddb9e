--- ngx.var.NAME, read.
-- @module resolua.variable

local ffi = require "ffi"

local C = ffi.C
local ffi_string = ffi.string
local type = type

local OK, NONE = C.RESOLUA_FFI_OK, C.RESOLUA_FFI_NONE

-- Consumed before anything can yield.
local text = ffi.new("struct resolua_ffi_text")

local variable = {}

function variable.install(ngx)
    local meta = ngx.var and getmetatable(ngx.var)
    if not meta then
        return -- a VM without requests
    end
    local slow = meta.__index

    function meta.__index(self, name)
        if type(name) == "string" then
            local rc = C.resolua_ffi_variable(name, #name, text)
            if rc == OK then
                return ffi_string(text.octets, text.size)
            elseif rc == NONE then
                return nil
            end
        end
        return slow(self, name)
    end
end

return variable
