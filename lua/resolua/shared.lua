--- ngx.shared: get, set and incr of the plain kind.
-- @module resolua.shared

local ffi = require "ffi"

local C = ffi.C
local ffi_string = ffi.string
local type = type

local OK, NONE = C.RESOLUA_FFI_OK, C.RESOLUA_FFI_NONE
local BOOLEAN, NUMBER, STRING = C.RESOLUA_FFI_BOOLEAN, C.RESOLUA_FFI_NUMBER,
    C.RESOLUA_FFI_STRING

-- Consumed before anything can yield.
local value = ffi.new("struct resolua_ffi_value")
local text = ffi.new("char[?]", C.RESOLUA_FFI_TEXT_MAX)
local number = ffi.new("double[1]")

-- A dict is {lightuserdata, pointer}: LuaJIT compiles calls with the second.
local function pointer_of(dict)
    return type(dict) == "table" and dict[2]
end

local function get_by(slow)
    return function(self, key)
        local dict = pointer_of(self)
        if not dict or type(key) ~= "string" then
            return slow(self, key)
        end
        local rc = C.resolua_ffi_dict_get(dict, key, #key, value, text)
        if rc == NONE then
            return nil
        elseif rc ~= OK then
            return slow(self, key)
        end
        local kind, found = value.kind
        if kind == NUMBER then
            found = value.number
        elseif kind == STRING then
            found = ffi_string(text, value.size)
        else
            found = value.number ~= 0
        end
        if value.flags ~= 0 then
            return found, value.flags
        end
        return found
    end
end

local function set_by(slow)
    return function(self, key, data, ttl, flags)
        local dict = pointer_of(self)
        if not dict or type(key) ~= "string" or ttl or flags then
            return slow(self, key, data, ttl, flags)
        end
        local kind, octets = type(data), ""
        value.flags = 0
        value.size = 0
        if kind == "string" then
            value.kind = STRING
            value.size = #data
            octets = data
        elseif kind == "number" then
            value.kind = NUMBER
            value.number = data
        elseif kind == "boolean" then
            value.kind = BOOLEAN
            value.number = data and 1 or 0
        else
            return slow(self, key, data, ttl, flags)
        end
        if C.resolua_ffi_dict_set(dict, key, #key, value, octets) ~= OK then
            return slow(self, key, data, ttl, flags)
        end
        return true, nil, false
    end
end

local function incr_by(slow)
    return function(self, key, step, init, init_ttl)
        local dict = pointer_of(self)
        if dict and type(key) == "string" and type(step) == "number"
                and (init == nil or type(init) == "number") and init_ttl == nil then
            number[0] = step
            if C.resolua_ffi_dict_incr(dict, key, #key, number) == OK then
                if init then
                    return number[0], nil, false
                end
                return number[0]
            end
        end
        return slow(self, key, step, init, init_ttl)
    end
end

local shared = {}

function shared.install(ngx)
    local methods
    for _, dict in pairs(ngx.shared) do
        dict[2] = ffi.cast("void *", dict[1])
        methods = getmetatable(dict).__index
    end
    if methods then
        methods.get = get_by(methods.get)
        methods.set = set_by(methods.set)
        methods.incr = incr_by(methods.incr)
    end
end

return shared
