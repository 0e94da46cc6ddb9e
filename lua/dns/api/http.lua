--- What the endpoints share: requests taken apart, answers, conditions.
-- @module dns.api.http

local json = require "dns.api.json"
local json_read = require "dns.api.json_read"
local walk = require "dns.api.walk"

local concat = table.concat

local MEBI = 1024 * 1024
local PIECES = 1000 -- of a body, that are sent at once

local http = {
    BODY_MAX = 64 * MEBI, -- octets, of a zone's text
    OBJECT_MAX = 16 * MEBI, -- of JSON
    NARROW_MAX = MEBI, -- of JSON from whoever may change some sets alone
}

local STATUS_OF = { -- of what a store call says
    ["not found"] = 404,
    conflict = 409,
    changed = 503, -- by others, again and again
    condition = 412,
    malformed = 400,
    limit = 400,
    store = 500,
}

local function size_of(pieces)
    local size = 0
    for i = 1, #pieces do
        size = size + #pieces[i]
    end

    return size
end

-- A large body goes as the client takes it, and others have their turn between.
local function print_pieces(pieces)
    for first = 1, #pieces, PIECES do
        if first > 1 then
            local ok, reason = ngx.flush(true)
            if not ok and reason ~= "buffering" then
                return
            end
            ngx.sleep(0)
        end
        ngx.print({ unpack(pieces, first, math.min(first + PIECES - 1,
            #pieces)) })
    end
end

--- Sends the answer.
-- @tparam number status
-- @tparam[opt] string content_type
-- @tparam[opt] {string,...} pieces of the body
function http.send(status, content_type, pieces)
    -- nginx would hold the conditions against the new state of the resource.
    ngx.req.clear_header("If-Match")
    ngx.req.clear_header("If-None-Match")
    ngx.status = status
    if pieces then
        ngx.header["Content-Type"] = content_type
        ngx.header["Content-Length"] = size_of(pieces)
        print_pieces(pieces)
    end

    return ngx.exit(pieces and ngx.OK or status)
end

function http.send_json(status, value)
    local pieces = json.pieces(value, walk.pause)
    pieces[#pieces + 1] = "\n"

    return http.send(status, "application/json", pieces)
end

function http.send_error(status, reason)
    return http.send_json(status, { error = reason })
end

--- The status that belongs to a store's kind of failure.
function http.status_of(kind)
    return STATUS_OF[kind] or 500
end

--- An error of a store call, which spoke of a field.
function http.send_store_error(field, reason, kind)
    return http.send_error(http.status_of(kind), field .. ": " .. reason)
end

-- Requests.

local function unescape(text)
    return (text:gsub("%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

--- What follows a path's first part of this name, split at slashes; %2F stays
-- in a part.
-- @tparam string base "/dns"
-- @treturn {string,...}
function http.path_parts(base)
    local path = ngx.var.request_uri:gsub("[?#].*$", "") .. "/"
    local _, at = path:find(base .. "/", 1, true)
    local parts = {}

    for part in path:sub(at or 1):gmatch("[^/]+") do
        parts[#parts + 1] = unescape(part)
    end

    return parts
end

--- The handler of the request's method, or nil after a 405 was sent.
-- @tparam table methods by name
function http.method_of(methods)
    local method = ngx.req.get_method()
    if method == "HEAD" then
        method = "GET"
    end
    if methods[method] then
        return methods[method]
    end

    local allowed = {}
    for known in pairs(methods) do
        allowed[#allowed + 1] = known
    end
    table.sort(allowed)
    ngx.header["Allow"] = concat(allowed, ", ")
    http.send_error(405, "method: not one of " .. concat(allowed, ", "))
    return nil
end

--- A header's text, several of one name with commas between; nil: none.  It is
-- looked for in all headers, however many there are.
function http.header(name)
    local value = ngx.req.get_headers(0)[name]
    if type(value) == "table" then
        value = concat(value, ",")
    end

    return value
end

local function send_too_large(most)
    http.send_error(413, ("body: over %d octets"):format(most))
    return nil
end

-- What nginx has put into a file; nil: more than most.
local function read_body_file(most)
    local path = ngx.req.get_body_file and ngx.req.get_body_file()
    local file = path and io.open(path, "rb")
    if not file then
        return ""
    end

    local body = file:seek("end") <= most and file:seek("set")
        and file:read("*a") or nil
    file:close()
    return body
end

--- The whole request body, or nil after an error was sent.
-- @tparam[opt] number most octets
function http.read_body(most)
    most = most or http.BODY_MAX
    local length = tonumber(http.header("Content-Length"))
    if length and length > most then
        return send_too_large(most)
    end

    ngx.req.read_body()
    local body = ngx.req.get_body_data() or read_body_file(most)
    if not body or #body > most then
        return send_too_large(most)
    end

    return body
end

--- The JSON object of the request's body, or nil after an error was sent.
-- @tparam[opt] Grant grant of who may change many sets at once
function http.read_object(grant)
    local is_large = grant and not grant:is_narrow()
    local body = http.read_body(is_large and http.OBJECT_MAX
        or http.NARROW_MAX)
    if not body then
        return nil
    end

    local value, reason, is_twice = json_read.decode(body, function()
        ngx.sleep(0)
    end)
    if is_twice then
        http.send_error(400, "body: " .. reason)
        return nil
    end
    if type(value) ~= "table" then
        http.send_error(400, "body: not a JSON object"
            .. (reason and (" (%s)"):format(reason) or ""))
        return nil
    end

    return value
end

--- A number of the query's arguments, within bounds.
-- @treturn number|nil
-- @treturn string what is wrong
function http.number_argument(args, name, default, least, most)
    local text = args[name]
    if text == nil then
        return default
    end

    local number = type(text) == "string" and text:find("^%d+$")
        and tonumber(text)
    if not number or number < least or number > most then
        return nil, ("%s: a number from %d to %d is expected"):format(name,
            least, most)
    end

    return number
end

-- Conditions (RFC 9110 section 13).

local function matches(list, etag)
    if list:find("^%s*%*%s*$") then
        return etag ~= nil
    end

    for tag in list:gmatch('"[^"]*"') do
        if tag == etag then
            return true
        end
    end

    return false
end

--- Is there an If-Match or If-None-Match?
function http.has_condition()
    return http.header("If-Match") ~= nil or http.header("If-None-Match") ~= nil
end

--- Does a resource fulfil the request's conditions?
-- @tparam string|nil etag with its quotes; nil: there is no such resource
function http.is_wanted(etag)
    local match, none = http.header("If-Match"), http.header("If-None-Match")

    return (not match or matches(match, etag))
        and (not none or not matches(none, etag))
end

function http.send_changed()
    return http.send_error(412, "If-Match: the resource is another one")
end

--- Says which state of a resource the answer shows.  True after a 304 was sent:
-- the client has it.
function http.is_known(etag)
    ngx.header["ETag"] = etag
    local none = http.header("If-None-Match")
    if not none or not matches(none, etag) then
        return false
    end

    http.send(304)
    return true
end

return http
