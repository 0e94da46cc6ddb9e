-- One datagram: what is asked goes to /dns, what comes back is the answer.
local cjson = require "cjson"
local dns = require "dns"

local TIMEOUT = 4000 -- milliseconds

-- The body of a response with a Content-Length.
local function read_response(http)
    local status, err = http:receive()
    if not status then
        return nil, err
    end

    local size
    repeat
        local header
        header, err = http:receive()
        if not header then
            return nil, err
        end
        size = tonumber(header:match("^[Cc]ontent%-[Ll]ength: (%d+)")) or size
    until header == ""

    local body
    body, err = http:receive(size or 0)
    if not status:find(" 200 ", 1, true) then
        return nil, status
    end
    return body, err
end

local function look_up(question)
    local http = ngx.socket.tcp()
    http:settimeout(TIMEOUT)
    local ok, err = http:connect("127.0.0.1", tonumber(ngx.var.lookup_port))
    if not ok then
        return nil, err
    end

    ok, err = http:send {
        "GET /dns?name=", ngx.escape_uri(question.name), "&type=",
        question.type, " HTTP/1.1\r\nHost: localhost\r\n\r\n",
    }
    if not ok then
        return nil, err
    end

    local body
    body, err = read_response(http)
    if not body then
        http:close()
        return nil, err
    end

    http:setkeepalive(60000, 100)
    return cjson.decode(body)
end

local client = assert(ngx.req.socket())
local query = dns.decode(assert(client:receive()))
if not query or query.qr or #query.questions ~= 1 then
    return -- not a question: no answer
end

local found, err = look_up(query.questions[1])
if not found then
    ngx.log(ngx.ERR, "no answer from /dns: ", err)
end

local reply = dns.reply(query, found and found.rcode or dns.rcode.SERVFAIL)
reply.ra = true
reply.answers = found and found.answers or {}
client:send(assert(dns.encode(reply, query.edns and 1232 or 512)))
