--- Asks name servers, with the interface that scripts know by this name.
--
--     local resolver = require "resty.dns.resolver"
--     local r = assert(resolver:new{ nameservers = { "192.0.2.53" } })
--     local answers, err = r:query("www.example.test", { qtype = r.TYPE_A })
--     for _, answer in ipairs(answers) do ngx.say(answer.address) end
--
-- Every attempt has a port and an id of its own, and a response must repeat
-- id and question to be taken.  An object belongs to the request that made it.
-- @module resty.dns.resolver

local bit = require "bit"
local dns = require "dns"
local ffi = require "ffi"
local library = require "dns.library"

local C = library.C
local now = ffi.C.resolua_ffi_monotonic
local tcp, udp = ngx.socket.tcp, ngx.socket.udp

local Resolver = {
    _VERSION = "0.23",
    TYPE_A = 1,
    TYPE_NS = 2,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_PTR = 12,
    TYPE_MX = 15,
    TYPE_TXT = 16,
    TYPE_AAAA = 28,
    TYPE_SRV = 33,
    TYPE_SPF = 99,
    CLASS_IN = 1,
    SECTION_AN = 1,
    SECTION_NS = 2,
    SECTION_AR = 3,
}
local object = { __index = Resolver }

local DEFAULT_PORT = 53
local DEFAULT_RETRANS = 5
local DEFAULT_TIMEOUT = 2000 -- milliseconds

local ERRORS = { -- by rcode
    "format error", "server failure", "name error", "not implemented",
    "refused",
}

-- "192.0.2.1", "2001:db8::1", a host name, or { HOST, PORT }.
local function parse_server(server)
    local host, port = server, DEFAULT_PORT
    if type(server) == "table" then
        host, port = server[1], server[2] or DEFAULT_PORT
    end
    if type(host) ~= "string" then
        return nil
    end

    local is_ipv6 = host:find(":", 1, true) and host:sub(1, 1) ~= "["
    return {
        host = is_ipv6 and "[" .. host .. "]" or host,
        port = port,
        text = host .. ":" .. port,
    }
end

--- A resolver.
-- @tparam table options nameservers; retrans: attempts (5), timeout: ms of one
--   (2000), no_recurse, no_random: begin with the first name server
-- @treturn table|nil
-- @treturn string why not
function Resolver.new(_, options)
    if type(options) ~= "table" then
        return nil, "no options table specified"
    end

    local servers = {}
    for i, server in ipairs(options.nameservers or {}) do
        servers[i] = parse_server(server)
        if not servers[i] then
            return nil, "bad nameserver"
        end
    end
    if not servers[1] then
        return nil, "no nameservers specified"
    end

    return setmetatable({
        servers = servers,
        cur = options.no_random and 1 or math.random(#servers),
        timeout = options.timeout or DEFAULT_TIMEOUT,
        retrans = options.retrans or DEFAULT_RETRANS,
        no_recurse = options.no_recurse,
    }, object)
end

--- Overrides the timeout of one attempt, in milliseconds.
function Resolver:set_timeout(timeout)
    self.timeout = timeout
end

--- Lets go of what the object holds.
function Resolver:destroy()
    self.servers = {}
end

-- Each query goes to the next name server.
local function next_server(self)
    local server = self.servers[self.cur]
    self.cur = self.cur % #self.servers + 1
    return server
end

-- The groups of an IPv6 address with "::" filled in; nil: it is none.
local function groups_of(address)
    -- The last 32 bits may be written like an IPv4 address.
    local head, a, b, c, d = address:match("^(.*:)(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    if head then
        address = ("%s%x:%x"):format(head, a * 256 + b, c * 256 + d)
    end

    local left, right = address:match("^(.*)::(.*)$")
    local groups, tail = {}, {}
    for group in (left or address):gmatch("[^:]+") do
        groups[#groups + 1] = group
    end
    for group in (right or ""):gmatch("[^:]+") do
        tail[#tail + 1] = group
    end
    if left then
        for _ = #groups + #tail + 1, 8 do
            groups[#groups + 1] = "0"
        end
    end
    for _, group in ipairs(tail) do
        groups[#groups + 1] = group
    end

    return #groups == 8 and groups or nil
end

--- "FF01::101" as "FF01:0:0:0:0:0:0:101".
function Resolver.expand_ipv6_addr(address)
    local groups = groups_of(address)
    return groups and table.concat(groups, ":") or address
end

--- "FF01:0:0:0:0:0:0:101" as "FF01::101".
function Resolver.compress_ipv6_addr(address)
    local groups = groups_of(address)
    if not groups then
        return address
    end

    -- The longest run of zero groups.
    local first, length = 0, 1
    local at = 1
    while at <= 8 do
        local last = at
        while last <= 8 and groups[last]:find("^0+$") do
            last = last + 1
        end
        if last - at > length then
            first, length = at, last - at
        end
        at = math.max(last, at) + 1
    end
    if first == 0 then
        return table.concat(groups, ":")
    end

    return table.concat(groups, ":", 1, first - 1) .. "::"
        .. table.concat(groups, ":", first + length, 8)
end

--- The name to ask for PTR records: "4.3.2.1.in-addr.arpa".
function Resolver.arpa_str(address)
    local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    if a then
        return ("%s.%s.%s.%s.in-addr.arpa"):format(d, c, b, a)
    end

    local digits = {}
    for i, group in ipairs(groups_of(address) or {}) do
        digits[i] = ("0"):rep(4 - #group) .. group
    end
    return (table.concat(digits):reverse():gsub(".", "%0.")) .. "ip6.arpa"
end

local function strip_dot(name)
    return (name:gsub("%.$", ""))
end

local function unescape(first, more)
    local code = #more == 2 and tonumber(first .. more)
    return code and string.char(bit.band(code, 255)) or first .. more
end

-- The strings of a TXT record's text.
local function strings_of(text)
    local strings = {}
    local open = text:find('"', 1, true)
    while open do
        local close = text:find('[\\"]', open + 1)
        while close and text:sub(close, close) == "\\" do
            close = text:find('[\\"]', close + 2)
        end
        if not close then
            break
        end
        strings[#strings + 1] = text:sub(open + 1, close - 1)
            :gsub("\\(.)(%d?%d?)", unescape)
        open = text:find('"', close + 1, true)
    end

    return #strings == 1 and strings[1] or strings
end

local function words_of(text)
    local words = {}
    for word in text:gmatch("%S+") do
        words[#words + 1] = word
    end
    return words
end

-- What the text of record data adds to an answer, by type.
local FIELDS = {
    [Resolver.TYPE_A] = function(answer, text)
        answer.address = text
    end,
    [Resolver.TYPE_AAAA] = function(answer, text)
        answer.address = Resolver.expand_ipv6_addr(text)
    end,
    [Resolver.TYPE_CNAME] = function(answer, text)
        answer.cname = strip_dot(text)
    end,
    [Resolver.TYPE_NS] = function(answer, text)
        answer.nsdname = strip_dot(text)
    end,
    [Resolver.TYPE_PTR] = function(answer, text)
        answer.ptrdname = strip_dot(text)
    end,
    [Resolver.TYPE_MX] = function(answer, text)
        local words = words_of(text)
        answer.preference = tonumber(words[1])
        answer.exchange = strip_dot(words[2])
    end,
    [Resolver.TYPE_SRV] = function(answer, text)
        local words = words_of(text)
        answer.priority = tonumber(words[1])
        answer.weight = tonumber(words[2])
        answer.port = tonumber(words[3])
        answer.target = strip_dot(words[4])
    end,
    [Resolver.TYPE_SOA] = function(answer, text)
        local words = words_of(text)
        answer.mname, answer.rname = strip_dot(words[1]), strip_dot(words[2])
        for i, field in ipairs { "serial", "refresh", "retry", "expire",
            "minimum" } do
            answer[field] = tonumber(words[i + 2])
        end
    end,
    [Resolver.TYPE_TXT] = function(answer, text)
        answer.txt = strings_of(text)
    end,
    [Resolver.TYPE_SPF] = function(answer, text)
        answer.spf = strings_of(text)
    end,
}

local function add_section(answers, records, section)
    for _, record in ipairs(records) do
        local answer = {
            name = strip_dot(record.name),
            type = record.type,
            class = record.class,
            ttl = record.ttl,
            section = section,
        }
        local fill = FIELDS[record.type]
        if fill and record.class == Resolver.CLASS_IN and record.record ~= "" then
            fill(answer, record.record)
        else
            answer.rdata = record.rdata
        end
        answers[#answers + 1] = answer
    end
end

-- A response as the caller wants it.
local function answers_of(response, options)
    local message, err = dns.decode(response)
    if not message then
        return nil, err
    end

    local answers = {}
    if message.rcode ~= 0 then
        answers.errcode = message.rcode
        answers.errstr = ERRORS[message.rcode] or "unknown"
    end

    add_section(answers, message.answers, Resolver.SECTION_AN)
    if options.authority_section then
        add_section(answers, message.authorities, Resolver.SECTION_NS)
    end
    if options.additional_section then
        add_section(answers, message.additionals, Resolver.SECTION_AR)
    end

    return answers
end

local random = ffi.new("uint16_t[1]")

-- A question with a new id, and what an answer to it is known by.
local function new_ask(self, name, options)
    C.dns_ffi_random(ffi.cast("uint8_t *", random), 2)
    local qtype = options.qtype or Resolver.TYPE_A
    local ask = ffi.new("struct dns_ffi_ask")
    ask.id = random[0]
    ask.type = qtype
    ask.class_code = Resolver.CLASS_IN

    local size = C.dns_ffi_name_from_text(name, #name, nil, ask.name)
    if size < 0 then
        return nil, "bad name"
    end
    ask.name_size = size

    local packet, err = dns.encode {
        id = ask.id,
        rd = not self.no_recurse,
        questions = { { name = name, type = qtype } },
    }
    return packet and ask, packet or err
end

local function is_answer(ask, response)
    return C.dns_ffi_ask_is_answered_by(ask, response, #response) ~= 0
end

-- The datagram that answers; others could be anybody's.
local function receive_answer(self, socket, ask)
    local deadline = now() + self.timeout / 1000
    while true do
        local left = deadline - now()
        if left <= 0 then
            return nil, "timeout"
        end

        socket:settimeout(math.max(left * 1000, 1))
        local response, err = socket:receive()
        if not response then
            return nil, err
        end
        if is_answer(ask, response) then
            return response
        end
    end
end

local function ask_by_udp(self, server, ask, packet)
    local socket = udp()
    local ok, err = socket:setpeername(server.host, server.port)
    if not ok then
        return nil, ("failed to set peer %s: %s"):format(server.text, err)
    end

    ok, err = socket:send(packet)
    if not ok then
        socket:close()
        return nil, ("failed to send request to UDP server %s: %s"):format(
            server.text, err)
    end

    local response
    response, err = receive_answer(self, socket, ask)
    socket:close()
    if not response then
        return nil, ("failed to receive reply from UDP server %s: %s"):format(
            server.text, err)
    end
    return response
end

local function exchange_by_tcp(socket, server, packet)
    local ok, err = socket:connect(server.host, server.port)
    if not ok then
        return nil, "failed to connect to TCP server %s: %s", err
    end

    local size = #packet
    ok, err = socket:send {
        string.char(bit.rshift(size, 8), bit.band(size, 255)), packet,
    }
    if not ok then
        return nil, "failed to send query to TCP server %s: %s", err
    end

    local prefix, response
    prefix, err = socket:receive(2)
    if not prefix then
        return nil, "failed to receive the reply length field from TCP server "
            .. "%s: %s", err
    end

    local high, low = prefix:byte(1, 2)
    response, err = socket:receive(high * 256 + low)
    return response, "failed to receive the reply message body from TCP "
        .. "server %s: %s", err
end

local function ask_by_tcp(self, server, ask, packet)
    local socket = tcp()
    socket:settimeout(self.timeout)
    local response, form, err = exchange_by_tcp(socket, server, packet)
    socket:close()
    if not response then
        return nil, form:format(server.text, err)
    end
    if not is_answer(ask, response) then
        return nil, "bad reply from TCP server " .. server.text
    end
    return response
end

local function is_truncated(response)
    return C.dns_ffi_message_is_truncated(response, #response) == 1
end

local function ask_server(self, server, ask, packet)
    local response, err = ask_by_udp(self, server, ask, packet)
    if response and is_truncated(response) then
        response, err = ask_by_tcp(self, server, ask, packet)
    end
    return response, err
end

local function check(self, name)
    if not self.servers[1] then
        return "not initialized"
    end
    if type(name) ~= "string" or name == "" or name:find("^%.") then
        return "bad name"
    end
    return nil
end

--- Asks the name servers in turn until one answers.
-- @tparam string name
-- @tparam[opt] table options qtype (A), authority_section, additional_section
-- @tparam[opt] table tries takes the failure of each attempt
-- @treturn table|nil answers; with errcode and errstr if the server says so
-- @treturn string why there are none
-- @treturn table tries
function Resolver:query(name, options, tries)
    local wrong = check(self, name)
    if wrong then
        return nil, wrong, tries
    end

    options = options or {}
    local err
    for i = 1, self.retrans do
        local ask, packet = new_ask(self, name, options)
        if not ask then
            return nil, packet, tries
        end

        local response, answers
        response, err = ask_server(self, next_server(self), ask, packet)
        if response then
            answers, err = answers_of(response, options)
        end
        if answers then
            return answers, nil, tries
        end
        if tries then
            tries[i] = err
        end
    end

    return nil, err, tries
end

--- The same over TCP, once.
function Resolver:tcp_query(name, options)
    local wrong = check(self, name)
    if wrong then
        return nil, wrong
    end

    options = options or {}
    local ask, packet = new_ask(self, name, options)
    if not ask then
        return nil, packet
    end

    local response, err = ask_by_tcp(self, next_server(self), ask, packet)
    if not response then
        return nil, err
    end
    return answers_of(response, options)
end

--- The names of an address.
function Resolver:reverse_query(address)
    return self:query(Resolver.arpa_str(address), { qtype = Resolver.TYPE_PTR })
end

return Resolver
