-- Notes: GET and POST /notes, GET, PUT and DELETE /notes/N.  A note is
-- {"text": TEXT}; all workers share them.
local cjson = require "cjson.safe"

local TEXT_MAX = 1000 -- octets

local notes = {}

local function send(status, value)
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.say(cjson.encode(value))
    return ngx.exit(ngx.OK)
end

local function read_note()
    ngx.req.read_body()
    local note = cjson.decode(ngx.req.get_body_data() or "")
    if type(note) ~= "table" or type(note.text) ~= "string"
        or #note.text > TEXT_MAX then
        return nil
    end

    return { text = note.text }
end

local function list(dict)
    local found = {}
    for _, key in ipairs(dict:get_keys(0)) do
        local number = tonumber(key)
        local text = number and dict:get(key)
        if text then
            found[#found + 1] = { number = number, text = text }
        end
    end
    table.sort(found, function(a, b)
        return a.number < b.number
    end)

    return send(200, { notes = #found > 0 and found or nil, count = #found })
end

local function add(dict)
    local note = read_note()
    if not note then
        return send(400, { error = "text: missing, or over 1000 octets" })
    end

    local number = dict:incr("last", 1, 0)
    local ok, err = dict:safe_add(tostring(number), note.text)
    if not ok then
        return send(507, { error = err })
    end

    ngx.header["Location"] = "/notes/" .. number
    return send(201, { number = number, text = note.text })
end

local function get(dict, key)
    local text = dict:get(key)
    if not text then
        return send(404, { error = "no such note" })
    end

    return send(200, { number = tonumber(key), text = text })
end

local function put(dict, key)
    local note = read_note()
    if not note then
        return send(400, { error = "text: missing, or over 1000 octets" })
    end
    if not dict:replace(key, note.text) then
        return send(404, { error = "no such note" })
    end

    return send(200, { number = tonumber(key), text = note.text })
end

local function delete(dict, key)
    if not dict:get(key) then
        return send(404, { error = "no such note" })
    end

    dict:delete(key)
    return ngx.exit(204)
end

local ALL = { GET = list, POST = add }
local ONE = { GET = get, PUT = put, DELETE = delete }

function notes.serve(key)
    if key == "" then
        key = nil
    end

    local handler = (key and ONE or ALL)[ngx.req.get_method()]
    if not handler then
        return send(405, { error = "no such method here" })
    end

    return handler(ngx.shared.notes, key)
end

return notes
