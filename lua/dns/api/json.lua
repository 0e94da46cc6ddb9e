--- JSON with lists that may be empty, which lua-cjson writes as objects.
--
--     json.encode { masters = json.list {}, kind = "Native" }
--
-- @module dns.api.json

local cjson = require "cjson.safe"

local LIST, RAW = {}, {}

local json = {
    null = cjson.null,
    decode = cjson.decode,
}

--- Marks a table as a list; gives the same table.
function json.list(items)
    return setmetatable(items, LIST)
end

--- A value that is JSON text already.
function json.raw(text)
    return setmetatable({ text }, RAW)
end

local encode

local function encode_list(items)
    local parts = {}
    for i, item in ipairs(items) do
        parts[i] = encode(item)
    end

    return "[" .. table.concat(parts, ",") .. "]"
end

local function encode_object(object)
    local names = {}
    for name in pairs(object) do
        names[#names + 1] = name
    end
    table.sort(names)

    local parts = {}
    for i, name in ipairs(names) do
        parts[i] = cjson.encode(name) .. ":" .. encode(object[name])
    end

    return "{" .. table.concat(parts, ",") .. "}"
end

--- Text of a value of our own; objects come with their names in order.
-- @tparam table|string|number|boolean value
-- @treturn string
function encode(value)
    if type(value) ~= "table" then
        return (cjson.encode(value):gsub("\\/", "/"))
    end
    if getmetatable(value) == RAW then
        return value[1]
    end
    if getmetatable(value) == LIST or value[1] ~= nil then
        return encode_list(value)
    end

    return encode_object(value)
end

json.encode = encode

return json
