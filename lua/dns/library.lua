--- The C library behind these modules, and the scratch memory that calls into
-- it share.  Inside nginx the library is part of the process; elsewhere it is
-- loaded from RESOLUA_LIBRARY, or as libresolua.so.
-- @module dns.library

local ffi = require "ffi"

ffi.cdef(require "dns.cdef_dns")
ffi.cdef(require "dns.cdef_store")
ffi.cdef(require "dns.cdef_database")

local ABI = ffi.new("uint32_t", ffi.C.RESOLUA_FFI_ABI)

local function is_in_process()
    return pcall(function()
        return ffi.C.resolua_ffi_abi
    end)
end

local function open()
    if is_in_process() then
        return ffi.C
    end

    return ffi.load(os.getenv("RESOLUA_LIBRARY") or "resolua")
end

local C = open()

if C.resolua_ffi_abi() ~= ABI then
    error(("libresolua has interface %d, these Lua modules are for %d: "
        .. "install both from one build"):format(C.resolua_ffi_abi(), ABI))
end

--- Consume what a call left in these before anything can yield.
local library = {
    C = C,
    name = ffi.new("uint8_t[?]", ffi.C.DNS_FFI_NAME_MAX),
    text = ffi.new("char[?]", ffi.C.DNS_FFI_RDATA_TEXT_SIZE),
    record = ffi.new("struct dns_ffi_record"),
    error = ffi.new("char[?]", ffi.C.DNS_FFI_ERROR_SIZE),
    octets = ffi.new("uint8_t[?]", ffi.C.DNS_FFI_MESSAGE_MAX),
}

--- The sentence for a negative status.
-- @tparam number status
-- @treturn string
function library.status_text(status)
    return ffi.string(C.dns_ffi_status_text(status))
end

return library
