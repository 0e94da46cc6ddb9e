--- What libraries take from OpenResty's resty.core.base: constants, tables,
-- buffers for C functions that they call by the FFI.
-- @module resty.core.base

local ffi = require "ffi"

local C = ffi.C
local new = ffi.new
local select, error, ceil = select, error, math.ceil

local base = {
    version = "0.1.28",
    FFI_OK = 0,
    FFI_ERROR = -1,
    FFI_AGAIN = -2,
    FFI_BUSY = -3,
    FFI_DONE = -4,
    FFI_DECLINED = -5,
    FFI_NO_REQ_CTX = -100,
    FFI_BAD_CONTEXT = -101,
    --- new_tab(array, hash): an empty table with room for so many.
    new_tab = require "table.new",
    --- clear_tab(table): takes all out of it.
    clear_tab = require "table.clear",
}

local buffer_size = 4096 -- octets
local buffer -- made when it is wanted first
local error_pointer = new("char *[1]")
local size_pointer = new("size_t[1]")

--- Raises an error unless the request belongs to one of the subsystems, "http"
-- or "stream"; without a request it is "http".
function base.allows_subsystem(...)
    local subsystem = ngx.config.subsystem
    for i = 1, select("#", ...) do
        if select(i, ...) == subsystem then
            return
        end
    end
    error("unsupported subsystem: " .. subsystem, 2)
end

--- Where a C function may put a text of so many octets.  Everybody shares it,
-- unless it must be a new one.
-- @tparam number size octets
-- @tparam ?boolean must_allocate for the caller alone
-- @treturn cdata char[]
function base.get_string_buf(size, must_allocate)
    if must_allocate or size > buffer_size then
        return new("char[?]", size)
    end
    buffer = buffer or new("char[?]", buffer_size)
    return buffer
end

--- How large the shared buffer is, in octets.
function base.get_string_buf_size()
    return buffer_size
end

--- Makes the shared buffer so large; 0 and less change nothing.
function base.set_string_buf_size(size)
    if size > 0 then
        buffer, buffer_size = nil, ceil(size)
    end
end

--- size_t[1], shared: where a C function puts a size.
function base.get_size_ptr()
    return size_pointer
end

--- char *[1], shared: where a C function puts its message.
function base.get_errmsg_ptr()
    return error_pointer
end

--- A pointer that stands for the running request: nginx's own in http, the
-- session in stream; nil where there is none.
function base.get_request()
    local request = C.resolua_ffi_request()
    return request ~= nil and request or nil
end

--- Keeps a value in a table by a number, as luaL_ref() of Lua's C library does.
-- @treturn number -1 for nil
function base.ref_in_table(registry, value)
    if value == nil then
        return -1
    end
    local ref = registry[0] -- the first of those that are free
    if ref and ref ~= 0 then
        registry[0] = registry[ref]
    else
        ref = #registry + 1
    end
    registry[ref] = value
    return ref
end

return base
