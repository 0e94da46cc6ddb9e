-- luhn.c for Lua.  The library is found where lua_package_cpath says: ffi.load
-- by itself does not look there.
local ffi = require "ffi"

ffi.cdef [[
int luhn_is_valid(const char *digits, size_t size);
]]

local path = assert(package.searchpath("libluhn", package.cpath))
local C = ffi.load(path)

local luhn = {}

function luhn.is_valid(digits)
    return C.luhn_is_valid(digits, #digits) == 1
end

return luhn
