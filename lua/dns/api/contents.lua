--- Contents of records as tools made for PowerDNS write and compare them.
--
-- What is read back is what was written, so that a tool that compares finds no
-- difference: in PowerDNS's form, and where several texts mean the same record, in
-- the one that was written.  That one is kept in the zone's attributes beside the
-- form that it would be shown in; a record that has become another one has
-- another form, and nothing is to be forgotten.
-- @module dns.api.contents

local dns = require "dns"

local STRING_MAX = 255 -- octets of a character string
local TEXT_TYPES = { [dns.type.TXT] = true, [dns.type.SPF] = true }
local PARAMETER_TYPES = { [dns.type.SVCB] = true, [dns.type.HTTPS] = true }
local FIELD = "contents:"

-- Characters of a text, an escape as one.
local function units(text)
    local at = 1
    return function()
        if at > #text then
            return nil
        end

        local unit = text:match("^\\%d%d%d", at) or text:match("^\\.", at)
            or text:sub(at, at)
        at = at + #unit
        return unit
    end
end

-- The octets of one UTF-8 character at a place of a list of octets (RFC 3629
-- section 4); 0: there is none.
local function character_size(octets, at)
    local first, second = octets[at], octets[at + 1] or 0
    local size = first < 0xC2 and 0 or first < 0xE0 and 2 or first < 0xF0 and 3
        or first < 0xF5 and 4 or 0
    if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F)
        or (first == 0xF0 and second < 0x90)
        or (first == 0xF4 and second > 0x8F) then
        return 0
    end

    for i = 1, size - 1 do
        local octet = octets[at + i] or 0
        if octet < 0x80 or octet > 0xBF then
            return 0
        end
    end

    return size
end

-- A run of escapes \DDD, its UTF-8 characters as themselves.
local function show_octets(run)
    local octets, out, at = {}, {}, 1
    for digits in run:gmatch("\\(%d%d%d)") do
        octets[#octets + 1] = tonumber(digits)
    end

    while at <= #octets do
        local size = character_size(octets, at)
        if size > 0 then
            out[#out + 1] = string.char(unpack(octets, at, at + size - 1))
        else
            out[#out + 1] = ("\\%03d"):format(octets[at])
        end
        at = at + math.max(size, 1)
    end

    return table.concat(out)
end

-- Strings that are cut where the wire cuts them are one text.
local function join_strings(text)
    local out, count, is_quoted = {}, 0, false
    for unit in units(text) do
        if unit == '"' then
            is_quoted = not is_quoted
            if is_quoted and count == STRING_MAX then
                out[#out], out[#out - 1] = nil, nil -- the blank, the quote
            else
                out[#out + 1] = unit
            end
            count = is_quoted and 0 or count
        else
            count = count + (is_quoted and 1 or 0)
            out[#out + 1] = unit
        end
    end

    return table.concat(out)
end

local function show_text(text)
    text = join_strings(text)
    local out, run = {}, {}
    local function flush()
        if run[1] then
            out[#out + 1] = show_octets(table.concat(run))
            run = {}
        end
    end

    for unit in units(text) do
        if #unit == 4 and tonumber(unit:sub(2)) >= 128 then
            run[#run + 1] = unit
        else
            flush()
            out[#out + 1] = unit
        end
    end
    flush()
    return table.concat(out)
end

-- alpn=h2,h3 has no quotes, ech="..." has.
local function show_parameters(text)
    return (text:gsub(' alpn="([%w%-%._/,]+)"', " alpn=%1")
        :gsub(' ech=([%w+/=]+)', ' ech="%1"'))
end

local contents = {}

--- A record's data in PowerDNS's form.
-- @tparam number rtype
-- @tparam string text as dns.rdata_to_text() gives it
function contents.show(rtype, text)
    if TEXT_TYPES[rtype] and text:find("[\\ ]") then
        return show_text(text)
    end
    if PARAMETER_TYPES[rtype] then
        return show_parameters(text)
    end

    return text
end

-- What is wrong with a content: also a name in it without its final dot.
local function wrong_content(rtype, content, apex)
    local rdata, wrong = dns.rdata_from_text(rtype, content, apex)
    if not rdata then
        return nil, wrong
    end
    if rdata ~= dns.rdata_from_text(rtype, content, nil) then
        return nil, "not in canonical form: a name lacks its final dot"
    end

    return rdata
end

-- Clients give strings of any size, which the wire has in pieces of 255 octets
-- (RFC 1035 section 3.3).  An escape is one octet.
local function split_strings(content)
    local out, count, is_quoted = {}, 0, false
    for unit in units(content) do
        if unit == '"' then
            is_quoted, count = not is_quoted, 0
        elseif is_quoted and count == STRING_MAX then
            out[#out + 1] = '" "'
            count = 0
        end
        out[#out + 1] = unit
        count = count + (unit ~= '"' and 1 or 0)
    end

    return table.concat(out)
end

--- A content as the store takes it, and the data that it means; or nil and what
-- is wrong.
-- @tparam number rtype
-- @tparam string content
-- @tparam string apex wire form
function contents.parse(rtype, content, apex)
    if TEXT_TYPES[rtype] then
        if content:sub(1, 1) ~= '"' then
            return nil, "not in canonical form: quotes are missing"
        end
        content = split_strings(content)
    end

    local rdata, wrong = wrong_content(rtype, content, apex)
    return rdata and content, rdata or wrong
end

-- Texts that PowerDNS shows as they were written; of others it has one form.
local function is_kept(rtype, written, shown)
    if TEXT_TYPES[rtype] then
        return written ~= shown
    end

    return rtype ~= dns.type.AAAA and written:lower() ~= shown:lower()
end

--- Adds to a set's written contents one that is shown in another form.
-- @tparam table kept written contents by the form that is shown
function contents.keep(kept, rtype, written, rdata)
    local text = dns.rdata_to_text(rtype, rdata)
    local shown = text and contents.show(rtype, text)
    if shown and is_kept(rtype, written, shown) then
        kept[shown] = written
    end
end

--- The field of a zone's attributes with a set's written contents.
function contents.field(owner, type_name)
    return ("%s%s/%s"):format(FIELD, owner, type_name)
end

--- Is it such a field?
function contents.is_field(field)
    return field:sub(1, #FIELD) == FIELD
end

return contents
