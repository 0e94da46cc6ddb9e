--- Domain names as text.  Names come back without their final dot ("." is the
-- root) and are taken with or without it; octets that are not printable are
-- written \DDD, and ( ) . ; @ \ $ " behind a backslash.
-- @module dns.name

local ffi = require "ffi"
local library = require "dns.library"

local C = library.C
local text_buffer = library.text
local name_buffer = library.name

local other_name = ffi.new("uint8_t[?]", ffi.C.DNS_FFI_NAME_MAX)

local name = {
    --- What is wrong with a name that clients would never ask for.
    NOT_ASCII = "not ASCII; write an international name as xn--...",
}

--- Wire form of a text.
-- @tparam string text
-- @tparam[opt] string origin wire form that completes a name without a final
--   dot; none: such a name is absolute
-- @treturn string|nil
-- @treturn string what is wrong
function name.to_wire(text, origin)
    local size = C.dns_ffi_name_from_text(text, #text, origin, name_buffer)

    if size < 0 then
        return nil, "not a domain name"
    end

    return ffi.string(name_buffer, size)
end

--- Text of a wire form, with its final dot.
-- @tparam string wire
-- @treturn string|nil
-- @treturn string what is wrong
function name.to_absolute_text(wire)
    local size = C.dns_ffi_name_to_text(wire, #wire, text_buffer)

    if size < 0 then
        return nil, "not a domain name"
    end

    return ffi.string(text_buffer, size)
end

--- Text of wire form in C's memory, without the final dot.
function name.from_memory(octets, size)
    local length = C.dns_ffi_name_to_text(octets, size, text_buffer)

    if length < 0 then
        return nil, "not a domain name"
    end

    return ffi.string(text_buffer, length > 1 and length - 1 or length)
end

--- Text of a wire form, without the final dot.
-- @tparam string wire
-- @treturn string|nil
-- @treturn string what is wrong
function name.from_wire(wire)
    return name.from_memory(ffi.cast("const uint8_t *", wire), #wire)
end

--- The one spelling of a name: lower case, plain escapes, no final dot.
-- @tparam string text
-- @treturn string|nil
-- @treturn string what is wrong
function name.normalize(text)
    local size = C.dns_ffi_name_from_text(text, #text, nil, name_buffer)

    if size < 0 then
        return nil, "not a domain name"
    end

    return name.from_memory(name_buffer, size):lower()
end

--- Canonical order (RFC 4034 section 6.1): true if a comes before b.
-- @tparam string a
-- @tparam string b
-- @treturn boolean
-- @raise if one of them is not a domain name
function name.is_before(a, b)
    local wire = { name.to_wire(a), name.to_wire(b) }
    if not wire[1] or not wire[2] then
        error("not a domain name", 2)
    end

    return C.dns_ffi_name_compare(wire[1], wire[2]) < 0
end

--- True if a name is an ancestor's or lies below it.
-- @tparam string text
-- @tparam string ancestor
-- @treturn boolean
-- @raise if one of them is not a domain name
function name.is_within(text, ancestor)
    if C.dns_ffi_name_from_text(text, #text, nil, name_buffer) < 0
        or C.dns_ffi_name_from_text(ancestor, #ancestor, nil, other_name) < 0 then
        error("not a domain name", 2)
    end

    return C.dns_ffi_name_is_within(name_buffer, other_name) == 1
end

return name
