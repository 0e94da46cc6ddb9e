-- One datagram in, one datagram out: names are looked up in a table.
local dns = require "dns"

local RECORDS = {
    ["www.table.test"] = {
        A = { ttl = 300, "192.0.2.1", "192.0.2.2" },
        TXT = { ttl = 60, '"hello from Lua"' },
    },
    ["mail.table.test"] = { MX = { ttl = 300, "10 www.table.test." } },
}

local socket = assert(ngx.req.socket())
local query = dns.decode(assert(socket:receive()))
if not query or query.qr or #query.questions ~= 1 then
    return -- not a question: no answer
end

local question = query.questions[1]
local sets = RECORDS[question.name:lower()]
local set = sets and sets[dns.type[question.type]]
local reply = dns.reply(query, sets and dns.rcode.NOERROR or dns.rcode.NXDOMAIN)
reply.aa = true
for i, text in ipairs(set or {}) do
    reply.answers[i] = { name = question.name, type = question.type, ttl = set.ttl, record = text }
end

socket:send(assert(dns.encode(reply, query.edns and 1232 or 512)))
