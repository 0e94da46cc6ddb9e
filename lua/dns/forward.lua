--- Asks upstream resolvers for what no zone holds.
--
--     local forward = require("dns.forward").new { "192.0.2.1", "[::1]:5353" }
--     local response, err = forward:ask(query)
--
-- UDP first, from a new socket (and so a new source port) with a random id and
-- random letter case for each query; TCP when the answer is truncated or came
-- with another letter case; after a timeout the next upstream, twice around.
-- An upstream that did not answer is asked last for a while.
-- @module dns.forward

local ffi = require "ffi"
local library = require "dns.library"

local C = library.C
local now = ngx.now
local tcp_socket, udp_socket = ngx.socket.tcp, ngx.socket.udp

local DEFAULT_PORT = 53
local TRY_TIMEOUT = 1.0 -- seconds for one upstream
local TOTAL_TIMEOUT = 4.5 -- seconds; clients ask again after 5
local ROUNDS = 2
local DOWN_TIME = 5 -- seconds that a silent upstream is asked last
local UDP_SIZE = 1232 -- DNS flag day 2020
local TCP_MAX = 65535

local EXACT, OTHER_CASE = 1, 2 -- of dns_ffi_ask_is_answered_by

local Forward = {}
Forward.__index = Forward

-- "192.0.2.1", "192.0.2.1:53", "[::1]", "[::1]:53"
local function parse_server(text)
    local address, port = text:match("^%[([%x:%.]+)%]:?(%d*)$")
    if not address then
        address, port = text:match("^([%d%.]+):?(%d*)$")
    end
    if not address then
        error("not an upstream address: " .. text, 3)
    end

    if address:find(":", 1, true) then
        address = "[" .. address .. "]"
    end

    return {
        address = address,
        port = tonumber(port) or DEFAULT_PORT,
        down_until = 0,
    }
end

--- A forwarder.
-- @tparam {string,...} servers ADDR or ADDR:PORT, IPv6 in brackets
-- @tparam[opt] table options `timeout`: seconds for one upstream
-- @treturn Forward
-- @raise if an address is not one
function Forward.new(servers, options)
    local list = {}
    for i, text in ipairs(servers) do
        list[i] = parse_server(text)
    end

    return setmetatable({
        servers = list,
        timeout = options and options.timeout or TRY_TIMEOUT,
    }, Forward)
end

local random = ffi.new("uint16_t[1]")

local function new_ask(query, mix_case)
    local ask = ffi.new("struct dns_ffi_ask")
    C.dns_ffi_random(ffi.cast("uint8_t *", random), 2)
    ask.id = random[0]
    ask.type = query.type
    ask.class_code = query.class_code
    ask.udp_size = UDP_SIZE
    ask.recursion_desired = query.recursion_desired
    ask.checking_disabled = query.checking_disabled
    ask.dnssec_ok = query.dnssec_ok
    ask.mix_case = mix_case and 1 or 0
    ask.name_size = query.name_size
    ffi.copy(ask.name, query.name, query.name_size)

    return ask, ffi.string(library.octets,
        C.dns_ffi_ask_write(ask, library.octets))
end

local function is_truncated(response)
    return C.dns_ffi_message_is_truncated(response, #response) == 1
end

-- The first datagram that answers the ask; others are not looked at twice.
local function receive_answer(socket, ask, deadline)
    while true do
        local left = deadline - now()
        if left <= 0 then
            return nil, "timeout"
        end

        socket:settimeout(left * 1000)
        local response, err = socket:receive()
        if not response then
            return nil, err
        end

        local match = C.dns_ffi_ask_is_answered_by(ask, response, #response)
        if match == EXACT then
            return response
        elseif match == OTHER_CASE then
            return nil, "other case"
        end
    end
end

local function ask_by_udp(server, query, deadline)
    local socket = udp_socket()
    local ok, err = socket:setpeername(server.address, server.port)
    if not ok then
        return nil, err
    end

    local ask, packet = new_ask(query, true)
    ok, err = socket:send(packet)
    if not ok then
        socket:close()
        return nil, err
    end

    local response
    response, err = receive_answer(socket, ask, deadline)
    socket:close()
    return response, err
end

local function receive_framed(socket)
    local prefix, err = socket:receive(2)
    if not prefix then
        return nil, err
    end

    local high, low = prefix:byte(1, 2)
    return socket:receive(high * 256 + low)
end

local function ask_by_tcp(server, query, deadline)
    local socket = tcp_socket()
    socket:settimeout(math.max(deadline - now(), 0.05) * 1000)
    local ok, err = socket:connect(server.address, server.port)
    if not ok then
        return nil, err
    end

    local ask, packet = new_ask(query, false)
    local size = #packet
    ok, err = socket:send({
        string.char(math.floor(size / 256), size % 256), packet,
    })

    local response
    if ok then
        response, err = receive_framed(socket)
    end
    socket:close()

    if response and #response <= TCP_MAX
        and C.dns_ffi_ask_is_answered_by(ask, response, #response) == EXACT then
        return response
    end

    return nil, err or "bad response"
end

local function ask_server(server, query, deadline)
    local response, err = ask_by_udp(server, query, deadline)

    if err == "other case" or (response and is_truncated(response)) then
        response, err = ask_by_tcp(server, query, deadline)
    end

    return response, err
end

-- A failure of the upstream's own; another one may know better.
local function is_failure(response)
    local rcode = C.dns_ffi_message_rcode(response, #response)

    return rcode == 2 or rcode == 5 or rcode == 4 or rcode == 1
end

-- Servers in the order of the configuration, silent ones last.
local function in_order(servers)
    local time = now()
    local out, silent = {}, {}

    for _, server in ipairs(servers) do
        local list = server.down_until > time and silent or out
        list[#list + 1] = server
    end
    for _, server in ipairs(silent) do
        out[#out + 1] = server
    end

    return out
end

--- Asks the upstreams in turn; yields.
-- @tparam cdata query struct dns_ffi_ask: type, class_code, name, name_size
--   and the flags
-- @treturn string|nil the response as the upstream sent it
-- @treturn string why there is none
function Forward:ask(query)
    local last_deadline = now() + TOTAL_TIMEOUT
    local failed, reason

    for _ = 1, ROUNDS do
        for _, server in ipairs(in_order(self.servers)) do
            local deadline = math.min(now() + self.timeout, last_deadline)
            local response, err = ask_server(server, query, deadline)

            if response and not is_failure(response) then
                server.down_until = 0
                return response
            elseif response then
                failed = failed or response
            else
                server.down_until = now() + DOWN_TIME
                reason = err
            end

            if now() >= last_deadline then
                return failed, reason
            end
        end

        if failed then
            break
        end
    end

    return failed, reason
end

return Forward
