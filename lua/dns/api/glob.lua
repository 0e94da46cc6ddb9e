--- Patterns of names: "*" stands for any characters, "?" for one.  A match takes
-- time in proportion to the text, whatever the pattern.
-- @module dns.api.glob

local Glob = {}
Glob.__index = Glob

local function escape(c)
    return c == "?" and "." or "%" .. c
end

local function segment_pattern(text)
    return (text:gsub("%p", escape):gsub("%z", "%%z"))
end

local glob = {}

--- @tparam string text
-- @treturn Glob
function glob.new(text)
    local segments = {}
    for segment in (text .. "*"):gmatch("([^*]*)%*") do
        segments[#segments + 1] = segment_pattern(segment)
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
    local size = #self[last]:gsub("%%(.)", "%1")
    return at ~= nil and #text - size >= at
        and text:find("^" .. self[last] .. "$", #text - size + 1) ~= nil
end

return glob
