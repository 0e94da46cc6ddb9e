--- Patterns: "*" stands for any characters, "?" for one.  A match takes time in
-- proportion to the text, whatever the pattern.
--
-- Names are matched by their labels as they are on the wire: a dot, a star or a
-- question mark within a label is none of the pattern's, however the name's text
-- writes it.
-- @module dns.api.glob

local Glob = {}
Glob.__index = Glob

local IN_LABEL = "[^.]" -- one octet of a label

local function segment_pattern(text, one)
    return (text:gsub("%p", function(c)
        return c == "?" and one or "%" .. c
    end):gsub("%z", "%%z"))
end

-- How many characters a segment's pattern fits.
local function segment_size(pattern)
    return #pattern:gsub("%[%^%.%]", "."):gsub("%%(.)", "%1")
end

local glob = {}

-- Within a label these octets stand for characters that separate labels or are
-- a pattern's.  Names are in small letters here, so that capitals are free.
local WITHIN = { ["."] = "A", ["*"] = "B", ["?"] = "C" }

-- A name's text, or a pattern's, with one character for each octet of a label
-- and dots between labels.
local function unescape(text)
    local out, at = {}, 1
    while at <= #text do
        local unit = text:match("^\\%d%d%d", at) or text:match("^\\.", at)
            or text:sub(at, at)
        local octet = unit
        if #unit > 1 then
            local code = tonumber(unit:sub(2))
            octet = #unit == 4 and code <= 255 and string.char(code):lower()
                or unit:sub(2)
            octet = WITHIN[octet] or octet
        end
        out[#out + 1] = octet
        at = at + #unit
    end

    return table.concat(out)
end

--- Does a name fit a pattern of names?
-- @tparam string pattern as people write it: "*.team.example.test"; an escape
--   is the octet alone, as in master files
-- @tparam string name normalized
-- @treturn boolean
function glob.fits_name(pattern, name)
    -- A star that is a whole label of the name is one of its octets.
    local labels = unescape(name):gsub("[*?]", WITHIN)
    return glob.new(unescape(pattern:lower()), IN_LABEL):fits(labels)
end

--- @tparam string text
-- @tparam[opt] string one the Lua pattern of what "?" stands for
-- @treturn Glob
function glob.new(text, one)
    local segments = {}
    for segment in (text .. "*"):gmatch("([^*]*)%*") do
        segments[#segments + 1] = segment_pattern(segment, one or ".")
    end

    return setmetatable(segments, Glob)
end

--- Does the whole text fit?
function Glob:fits(text)
    local last = #self
    if last == 1 then
        return text:find("^" .. self[1] .. "$") ~= nil
    end

    local _, at = text:find("^" .. self[1])
    for i = 2, last - 1 do
        if not at then
            return false
        end
        _, at = text:find(self[i], at + 1)
    end

    -- The end is as long as its pattern: one place is to be tried.
    local size = segment_size(self[last])
    return at ~= nil and #text - size >= at
        and text:find("^" .. self[last] .. "$", #text - size + 1) ~= nil
end

return glob
