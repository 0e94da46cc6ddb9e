--- Reads JSON of clients (RFC 8259): a little at a time, so that a large body
-- does not keep the worker from its queries, and with an eye on what lua-cjson
-- passes over in silence: the same name twice in one object.
--
--     local value, reason = json_read.decode(body, walk.pause)
--
-- @module dns.api.json_read

local cjson = require "cjson.safe"

local DEPTH = 100 -- lists and objects in one another
local VALUES = 1000 -- between two pauses

local WORDS = { ["true"] = true, ["false"] = false, null = cjson.null }

local read_value

-- A reader: text, count (values so far), depth, pause.  What is wrong is raised
-- as a table, so that errors of our own can be distinguished from it.

local function fail(reader, at, reason)
    error({ reason = ("%s at octet %d"):format(reason,
        math.min(at, #reader.text)) }, 0)
end

local function skip_blanks(reader, at)
    return reader.text:find("[^ \t\r\n]", at) or #reader.text + 1
end

-- lua-cjson reads what has escapes.
local function read_string(reader, at)
    local text = reader.text
    local stop = at
    repeat
        stop = text:find('["\\]', stop + 1)
        if not stop then
            fail(reader, at, "a string without its end")
        end
        local is_escape = text:byte(stop) == 92
        stop = is_escape and stop + 1 or stop
    until not is_escape

    local plain = text:sub(at + 1, stop - 1)
    if plain:find("[%c\\]") then
        local list = cjson.decode("[" .. text:sub(at, stop) .. "]")
        if not list then
            fail(reader, at, "not a string")
        end
        plain = list[1]
    end

    return plain, stop + 1
end

local function read_number(reader, at)
    local stop = reader.text:match("^%-?%d+%.?%d*[eE]?[+-]?%d*()", at)
    local list = stop and cjson.decode("[" .. reader.text:sub(at, stop - 1)
        .. "]")
    if not list then
        fail(reader, at, "not JSON")
    end

    return list[1], stop
end

local function read_word(reader, at)
    local word = reader.text:match("^%a+", at)
    local value = WORDS[word]
    if value == nil then
        fail(reader, at, "not JSON")
    end

    return value, at + #word
end

-- Behind a member or an item: where the next one is; nil: there is none, and
-- what follows.
local function read_comma(reader, at, closing)
    at = skip_blanks(reader, at)
    local byte = reader.text:byte(at)
    if byte == 44 then
        return skip_blanks(reader, at + 1)
    end
    if byte ~= closing then
        fail(reader, at, ('"," or "%s" is expected'):format(
            string.char(closing)))
    end

    return nil, at + 1
end

local function read_list(reader, at)
    local items, count = {}, 0
    at = skip_blanks(reader, at + 1)
    if reader.text:byte(at) == 93 then
        return items, at + 1
    end

    local after
    repeat
        count = count + 1
        items[count], at = read_value(reader, at)
        at, after = read_comma(reader, at, 93)
    until not at

    return items, after
end

local function read_name(reader, members, at)
    if reader.text:byte(at) ~= 34 then
        fail(reader, at, "a name in quotes is expected")
    end

    local name, after = read_string(reader, at)
    if members[name] ~= nil then
        error({ reason = ('"%s" stands twice in one object'):format(name),
            is_twice = true }, 0)
    end

    after = skip_blanks(reader, after)
    if reader.text:byte(after) ~= 58 then
        fail(reader, after, '":" is expected')
    end

    return name, skip_blanks(reader, after + 1)
end

local function read_object(reader, at)
    local members = {}
    at = skip_blanks(reader, at + 1)
    if reader.text:byte(at) == 125 then
        return members, at + 1
    end

    local name, after
    repeat
        name, at = read_name(reader, members, at)
        members[name], at = read_value(reader, at)
        at, after = read_comma(reader, at, 125)
    until not at

    return members, after
end

local function read_nested(reader, at, read)
    reader.depth = reader.depth + 1
    if reader.depth > DEPTH then
        fail(reader, at, "too many lists and objects in one another")
    end

    local value, after = read(reader, at)
    reader.depth = reader.depth - 1
    return value, after
end

-- The value that begins at an octet, and where what follows it begins.
function read_value(reader, at)
    local byte = reader.text:byte(at)
    reader.count = reader.count + 1
    if reader.pause and reader.count % VALUES == 0 then
        reader.pause()
    end

    if byte == 34 then
        return read_string(reader, at)
    elseif byte == 123 then
        return read_nested(reader, at, read_object)
    elseif byte == 91 then
        return read_nested(reader, at, read_list)
    elseif byte == 45 or (byte and byte >= 48 and byte <= 57) then
        return read_number(reader, at)
    end

    return read_word(reader, at)
end

local json_read = {}

--- The value that a text is.
-- @tparam string text
-- @tparam[opt] function pause called now and then; may sleep
-- @return the value, with cjson.null for null; or nil
-- @treturn string what is wrong
-- @treturn boolean the text is JSON, but for a name that stands twice
function json_read.decode(text, pause)
    local reader = { text = text, count = 0, depth = 0, pause = pause }
    local ok, value, at = pcall(read_value, reader, skip_blanks(reader, 1))
    if not ok then
        if type(value) ~= "table" then
            error(value, 0)
        end
        return nil, value.reason, value.is_twice
    end
    if skip_blanks(reader, at) <= #text then
        return nil, ("more text behind the value at octet %d"):format(at)
    end

    return value
end

return json_read
