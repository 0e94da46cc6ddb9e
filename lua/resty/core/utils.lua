--- resty.core.utils
-- @module resty.core.utils

local find, gsub, sub = string.find, string.gsub, string.sub

local utils = { version = "0.1.28" }

-- The octet as a pattern that matches it alone.
local function pattern_of(octet)
    return octet == "\0" and "%z" or (gsub(octet, "%W", "%%%0"))
end

--- The text with each octet `from` replaced by the octet `to`.
function utils.str_replace_char(text, from, to)
    local octet = sub(from, 1, 1)
    if octet == "" or not find(text, octet, 1, true) then
        return text
    end
    return (gsub(text, pattern_of(octet), (gsub(sub(to, 1, 1), "%%", "%%%%"))))
end

return utils
