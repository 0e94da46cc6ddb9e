--- DNS messages for Lua, on the C codec.
--
--     local dns = require "dns"
--     local query = assert(dns.decode(datagram))
--     local reply = dns.reply(query)
--     reply.answers[1] = { name = query.questions[1].name,
--                          type = dns.type.A, ttl = 60, record = "192.0.2.1" }
--     local wire = assert(dns.encode(reply))
--
-- A message is a table: `id`, `opcode`, `rcode` (numbers), the flags `qr`,
-- `aa`, `tc`, `rd`, `ra`, `ad`, `cd` (booleans), the lists `questions`,
-- `answers`, `authorities`, `additionals`, and `edns` (nil, or a table with
-- `udp_size`, `version`, `dnssec_ok` and `options`, a string of octets).
-- A record has `name`, `type`, `class`, `ttl` and its data as text in `record`
-- and as octets in `rdata`; a question has `name`, `type`, `class`.
-- @module dns

local bit = require "bit"
local ffi = require "ffi"
local library = require "dns.library"
local name = require "dns.name"

local C = library.C
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local number_text = ffi.new("char[?]", ffi.C.DNS_FFI_MNEMONIC_SIZE)

-- A table that maps numbers to mnemonics and mnemonics to numbers:
-- dns.type.MX == 15, dns.type[15] == "MX", dns.type.TYPE65280 == 65280.
local function mnemonics(from_text, to_text)
    return setmetatable({}, {
        __index = function(cache, key)
            if type(key) == "number" then
                local text = ffi.string(number_text, to_text(key, number_text))
                cache[key] = text
                return text
            end

            local number = from_text(key, #key)
            return number >= 0 and number or nil
        end,
    })
end

local dns = {
    name = name,
    type = mnemonics(C.dns_ffi_type_from_text, C.dns_ffi_type_to_text),
    class = mnemonics(C.dns_ffi_class_from_text, C.dns_ffi_class_to_text),
    rcode = mnemonics(C.dns_ffi_rcode_from_text, C.dns_ffi_rcode_to_text),
    opcode = mnemonics(C.dns_ffi_opcode_from_text, C.dns_ffi_opcode_to_text),
}

local SECTIONS = {
    [ffi.C.DNS_FFI_QUESTION] = "questions",
    [ffi.C.DNS_FFI_ANSWER] = "answers",
    [ffi.C.DNS_FFI_AUTHORITY] = "authorities",
    [ffi.C.DNS_FFI_ADDITIONAL] = "additionals",
}

local FLAGS = {
    qr = ffi.C.DNS_FFI_QR,
    aa = ffi.C.DNS_FFI_AA,
    tc = ffi.C.DNS_FFI_TC,
    rd = ffi.C.DNS_FFI_RD,
    ra = ffi.C.DNS_FFI_RA,
    ad = ffi.C.DNS_FFI_AD,
    cd = ffi.C.DNS_FFI_CD,
}

local OPCODE_SHIFT = 11

--- True if no zone can hold records of the type: OPT, ANY, AXFR and the like.
-- @tparam number rtype
-- @treturn boolean
function dns.is_meta_type(rtype)
    return C.dns_ffi_type_is_meta(rtype) == 1
end

--- Text of record data.
-- @tparam number rtype
-- @tparam string rdata octets
-- @treturn string|nil
-- @treturn string what is wrong
function dns.rdata_to_text(rtype, rdata)
    local size = C.dns_ffi_rdata_to_text(rtype, rdata, #rdata, library.text)

    if size < 0 then
        return nil, library.status_text(size)
    end

    return ffi.string(library.text, size)
end

--- Record data from text.
-- @tparam number rtype
-- @tparam string text
-- @tparam[opt] string origin wire form that completes relative names
-- @treturn string|nil octets
-- @treturn string what is wrong
function dns.rdata_from_text(rtype, text, origin)
    local size = C.dns_ffi_rdata_from_text(rtype, text, #text, origin,
        library.record.rdata, library.error)

    if size < 0 then
        return nil, ffi.string(library.error)
    end

    return ffi.string(library.record.rdata, size)
end

--- The table of a record that C filled in.
function dns.record_from_memory(record)
    local out = {
        name = name.from_memory(record.name, record.name_size),
        type = record.type,
        class = record.class_code,
    }

    if record.section == ffi.C.DNS_FFI_QUESTION then
        return out
    end

    out.ttl = record.ttl
    out.rdata = ffi.string(record.rdata, record.rdata_size)
    local size = C.dns_ffi_rdata_to_text(record.type, record.rdata,
        record.rdata_size, library.text)
    out.record = size >= 0 and ffi.string(library.text, size) or ""
    return out
end

local function edns_of(message, wire)
    if message.has_edns == 0 then
        return nil
    end

    return {
        udp_size = message.udp_size,
        version = message.edns_version,
        dnssec_ok = message.dnssec_ok ~= 0,
        options = wire:sub(message.options_at + 1,
            message.options_at + message.options_size),
    }
end

--- Decodes a whole message.
-- @tparam string wire
-- @treturn table|nil
-- @treturn string "malformed message"
function dns.decode(wire)
    local message = ffi.new("struct dns_ffi_message")

    if C.dns_ffi_message_parse(message, wire, #wire) ~= 0 then
        return nil, "malformed message"
    end

    local out = {
        id = message.id,
        opcode = band(rshift(message.flags, OPCODE_SHIFT), 15),
        rcode = message.rcode,
        questions = {},
        answers = {},
        authorities = {},
        additionals = {},
        edns = edns_of(message, wire),
    }

    for flag, mask in pairs(FLAGS) do
        out[flag] = band(message.flags, mask) ~= 0
    end

    local record = library.record
    while C.dns_ffi_message_next(message, record) == 1 do
        local list = out[SECTIONS[record.section]]
        list[#list + 1] = dns.record_from_memory(record)
    end

    return out
end

--- A response to a query without records: id, opcode, RD and the questions.
-- @tparam table query as decode() gives it
-- @tparam[opt] number rcode
-- @treturn table
function dns.reply(query, rcode)
    return {
        id = query.id,
        qr = true,
        opcode = query.opcode,
        rd = query.rd,
        cd = query.cd,
        rcode = rcode or 0,
        questions = query.questions,
        answers = {},
        authorities = {},
        additionals = {},
        edns = query.edns and {
            udp_size = 1232,
            dnssec_ok = query.edns.dnssec_ok,
        } or nil,
    }
end

local function number_of(mnemonic_table, value, default)
    if value == nil then
        return default
    end

    return type(value) == "number" and value or mnemonic_table[value]
end

-- Fills the record that goes to C; what is wrong, or nil.
local function fill_record(out, section, record)
    local size = C.dns_ffi_name_from_text(record.name, #record.name, nil,
        out.name)
    if size < 0 then
        return "name: not a domain name"
    end

    local rtype = number_of(dns.type, record.type)
    if not rtype then
        return "type: unknown"
    end

    out.section = section
    out.name_size = size
    out.type = rtype
    out.class_code = number_of(dns.class, record.class, 1)
    out.ttl = record.ttl or 0
    out.rdata_size = 0

    if section == ffi.C.DNS_FFI_QUESTION then
        return nil
    end

    if record.record then
        size = C.dns_ffi_rdata_from_text(rtype, record.record, #record.record,
            nil, out.rdata, library.error)
        if size < 0 then
            return "record: " .. ffi.string(library.error)
        end
    elseif record.rdata then
        size = #record.rdata
        if size > ffi.C.DNS_FFI_RDATA_MAX then
            return "rdata: too long"
        end
        ffi.copy(out.rdata, record.rdata, size)
    else
        size = 0
    end

    out.rdata_size = size
    return nil
end

local function put_section(writer, section, list)
    local field = SECTIONS[section]

    for i, record in ipairs(list or {}) do
        local wrong = fill_record(library.record, section, record)
        if wrong then
            return ("%s[%d].%s"):format(field, i, wrong)
        end

        local status = C.dns_ffi_writer_put(writer, library.record)
        if status ~= 0 and status ~= ffi.C.DNS_FFI_ENOSPACE then
            return ("%s[%d]: %s"):format(field, i, library.status_text(status))
        end
    end

    return nil
end

local function flags_of(message)
    local opcode = number_of(dns.opcode, message.opcode, 0)
    local flags = lshift(band(opcode, 15), OPCODE_SHIFT)

    for flag, mask in pairs(FLAGS) do
        if message[flag] then
            flags = bor(flags, mask)
        end
    end

    return flags
end

local HEADER_RCODE_MAX = 15 -- the bits above travel in the OPT

local writer

--- Encodes a message.  Types, classes, rcode and opcode may be numbers or
-- mnemonics; a record's data is taken from `record`, else from `rdata`.
-- Record sets that do not fit are left out whole and TC is set.
-- @tparam table message
-- @tparam[opt=65535] number limit octets
-- @treturn string|nil
-- @treturn string what is wrong, with the field's name
function dns.encode(message, limit)
    writer = writer or ffi.gc(assert(C.dns_ffi_writer_new()),
        C.dns_ffi_writer_free)
    C.dns_ffi_writer_start(writer, limit or ffi.C.DNS_FFI_MESSAGE_MAX,
        message.id or 0, flags_of(message))

    local edns = message.edns
    local rcode = number_of(dns.rcode, message.rcode, 0)
    if rcode > HEADER_RCODE_MAX and not edns then
        return nil, "rcode: above 15 it needs edns"
    end
    if edns then
        local options = edns.options or ""
        if C.dns_ffi_writer_use_edns(writer, edns.udp_size or 1232,
            edns.dnssec_ok and 1 or 0, options, #options) ~= 0 then
            return nil, "edns.options: too long"
        end
    end

    for section = ffi.C.DNS_FFI_QUESTION, ffi.C.DNS_FFI_ADDITIONAL do
        local wrong = put_section(writer, section, message[SECTIONS[section]])
        if wrong then
            return nil, wrong
        end
    end

    local size = C.dns_ffi_writer_finish(writer, rcode)
    if size < 0 then
        return nil, library.status_text(size)
    end

    return ffi.string(C.dns_ffi_writer_message(writer), size)
end

return dns
