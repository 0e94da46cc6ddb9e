--- JSON with lists that may be empty, which lua-cjson writes as objects.
--
--     json.encode { masters = json.list {}, kind = "Native" }
--
-- @module dns.api.json

local cjson = require "cjson.safe"

local LIST, RAW = {}, {}

local json = {
    null = cjson.null,
}

--- Marks a table as a list; gives the same table.
function json.list(items)
    return setmetatable(items, LIST)
end

--- A value that is JSON text already.
function json.raw(text)
    return setmetatable({ text }, RAW)
end

local put

local function put_list(out, items, pause)
    out[#out + 1] = "["
    for i, item in ipairs(items) do
        if i > 1 then
            out[#out + 1] = ","
        end
        put(out, item, pause)
        if pause then
            pause(i)
        end
    end
    out[#out + 1] = "]"
end

local function put_object(out, object, pause)
    local names = {}
    for name in pairs(object) do
        names[#names + 1] = name
    end
    table.sort(names)

    for i, name in ipairs(names) do
        out[#out + 1] = (i == 1 and "{" or ",") .. cjson.encode(name) .. ":"
        put(out, object[name], pause)
    end
    out[#out + 1] = #names > 0 and "}" or "{}"
end

function put(out, value, pause)
    if type(value) ~= "table" then
        out[#out + 1] = (cjson.encode(value):gsub("\\/", "/"))
    elseif getmetatable(value) == RAW then
        out[#out + 1] = value[1]
    elseif getmetatable(value) == LIST or value[1] ~= nil then
        put_list(out, value, pause)
    else
        put_object(out, value, pause)
    end
end

--- Text of a value of our own, in pieces; objects come with their names in
-- order.
-- @tparam table|string|number|boolean value
-- @tparam[opt] function pause called with each index of a list
-- @treturn {string,...}
function json.pieces(value, pause)
    local out = {}
    put(out, value, pause)

    return out
end

--- The same in one.
-- @treturn string
function json.encode(value)
    return table.concat(json.pieces(value))
end

return json
