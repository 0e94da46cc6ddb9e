local check = require "check"
local dns = require "dns"

local function octets(hex)
    return (hex:gsub("%s+", ""):gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

-- A response with a pointer in the owner and one in the MX data.
local MX_RESPONSE = octets [[
    abcd 8580 0001 0001 0000 0001
    07 6578616d706c65 04 74657374 00 000f 0001
    c00c 000f 0001 00000e10 0009 000a 04 6d61696c c00c
    00 0029 04d0 0000 8000 0000 ]]

check.test("maps types both ways", function()
    check.equal(dns.type.MX, 15)
    check.equal(dns.type[15], "MX")
    check.equal(dns.type.TYPE65280, 65280)
    check.equal(dns.type[65280], "TYPE65280")
    check.equal(dns.type.NOSUCHTYPE, nil)
    check.equal(dns.class.IN, 1)
    check.equal(dns.rcode.NXDOMAIN, 3)
    check.equal(dns.rcode[5], "REFUSED")
    check.equal(dns.opcode[0], "QUERY")
end)

check.test("decodes a response with compressed names", function()
    local message = assert(dns.decode(MX_RESPONSE))

    check.equal(message.id, 0xabcd)
    check.equal(message.qr, true)
    check.equal(message.aa, true)
    check.equal(message.rd, true)
    check.equal(message.ra, true)
    check.equal(message.tc, false)
    check.equal(message.rcode, 0)
    check.equal(message.questions[1].name, "example.test")
    check.equal(message.questions[1].type, dns.type.MX)
    check.equal(#message.answers, 1)
    check.equal(message.answers[1].ttl, 3600)
    check.equal(message.answers[1].record, "10 mail.example.test.")
    check.equal(message.answers[1].rdata,
        octets "000a 046d61696c 076578616d706c65 0474657374 00")
    check.equal(#message.additionals, 0)
    check.equal(message.edns.udp_size, 1232)
    check.equal(message.edns.dnssec_ok, true)
end)

check.test("encodes what it decoded", function()
    local message = assert(dns.decode(MX_RESPONSE))

    check.equal(dns.encode(message), MX_RESPONSE)
end)

check.test("refuses every shortened message", function()
    for size = 0, #MX_RESPONSE - 1 do
        local message, err = dns.decode(MX_RESPONSE:sub(1, size))
        check.equal(message, nil)
        check.equal(err, "malformed message")
    end
end)

check.test("refuses a pointer to itself", function()
    check.equal(dns.decode(octets
        "0000 0000 0001 0000 0000 0000 c00c 0001 0001"), nil)
end)

check.test("survives random and mutated messages", function()
    math.randomseed(1)
    for _ = 1, 20000 do
        local bytes = { MX_RESPONSE:byte(1, -1) }
        for _ = 1, math.random(1, 4) do
            bytes[math.random(#bytes)] = math.random(0, 255)
        end
        local message = dns.decode(string.char(unpack(bytes)))
        if message then
            dns.encode(message)
        end
    end
end)

check.test("answers a query from a table", function()
    local query = assert(dns.decode(assert(dns.encode {
        id = 7,
        rd = true,
        questions = { { name = "WWW.example.test", type = "A" } },
    })))
    local reply = dns.reply(query)
    reply.aa = true
    reply.answers[1] = {
        name = query.questions[1].name,
        type = dns.type.A,
        ttl = 60,
        record = "192.0.2.1",
    }
    local message = assert(dns.decode(assert(dns.encode(reply))))

    check.equal(message.id, 7)
    check.equal(message.qr, true)
    check.equal(message.rd, true)
    check.equal(message.edns, nil)
    check.equal(message.answers[1].name, "WWW.example.test")
    check.equal(message.answers[1].record, "192.0.2.1")
end)

check.test("names the field that is wrong", function()
    local _, err = dns.encode {
        answers = { { name = "a.test", type = "A", record = "192.0.2" } },
    }
    check.matches(err, "^answers%[1%].record: ")

    _, err = dns.encode { questions = { { name = "a..test", type = "A" } } }
    check.matches(err, "^questions%[1%].name: ")

    _, err = dns.encode { questions = { { name = "a.test", type = "X" } } }
    check.matches(err, "^questions%[1%].type: ")
end)

check.test("leaves out whole record sets and sets TC", function()
    local reply = { qr = true, answers = {}, questions = {
        { name = "a.test", type = "TXT" } } }
    for i = 1, 30 do
        reply.answers[i] = { name = "a.test", type = "TXT", ttl = 1,
            record = ('"%s %d"'):format(("x"):rep(30), i) }
    end
    local wire = assert(dns.encode(reply, 512))
    local message = assert(dns.decode(wire))

    check.equal(#wire <= 512, true)
    check.equal(message.tc, true)
    check.equal(#message.answers, 0)
end)

check.test("carries extended rcodes in EDNS", function()
    local message = assert(dns.decode(assert(dns.encode {
        qr = true, rcode = "BADVERS", edns = { udp_size = 1400 } })))

    check.equal(message.rcode, 16)
    check.equal(message.edns.udp_size, 1400)
end)

check.test("keeps every octet of a name", function()
    for value = 0, 255 do
        local wire = string.char(2, value, 97, 0)
        local text = assert(dns.name.to_absolute_text(wire))
        check.equal(dns.name.to_wire(text), wire)
    end
end)

check.test("normalizes names", function()
    check.equal(dns.name.normalize("WWW.Example.TEST."), "www.example.test")
    check.equal(dns.name.normalize("."), ".")
    check.equal(dns.name.normalize("\\097b.test"), "ab.test")
    check.equal(dns.name.normalize("a..b"), nil)
    check.equal(dns.name.is_within("a.B.test", "b.test."), true)
    check.equal(dns.name.is_within("ab.test", "b.test"), false)
end)

check.test("reads and writes record data", function()
    local rdata = assert(dns.rdata_from_text(dns.type.TXT, '"a b" c'))
    check.equal(rdata, "\3a b\1c")
    check.equal(dns.rdata_to_text(dns.type.TXT, rdata), '"a b" "c"')
    local _, err = dns.rdata_from_text(dns.type.AAAA, "192.0.2.1")
    check.matches(err, "^expected ")
end)

check.done()
