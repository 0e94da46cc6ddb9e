--- Asks upstream resolvers for what no zone holds.
--
--     local forward = require("dns.forward").new { "192.0.2.1", "[::1]:5353" }
--     local response, err = forward:ask(query)
--
-- UDP first, from a new socket (and so a new source port) with a random id and
-- random letter case for each query; TCP when the answer is truncated or came
-- with another letter case; without EDNS when the upstream refuses that.  An
-- upstream that is slow is still listened to while the next one is asked, or
-- the same one once more.  An upstream that did not answer is asked last for a
-- while.
-- @module dns.forward

local ffi = require "ffi"
local dns = require "dns"
local library = require "dns.library"

local C = library.C
local now = ffi.C.resolua_ffi_monotonic
local tcp_socket, udp_socket = ngx.socket.tcp, ngx.socket.udp
local spawn, wait, kill = ngx.thread.spawn, ngx.thread.wait, ngx.thread.kill

local DEFAULT_PORT = 53
local TIMEOUT = 4.5 -- seconds for all tries; clients ask again after 5
local RETRY = 1.0 -- seconds until the next upstream is asked too
local DOWN = 5 -- seconds that a silent upstream is asked last
local ROUNDS = 3 -- times that each upstream is sent the question
local SOCKETS = 2 -- of one question at a time
local EDNS_TIME = 300 -- seconds that an upstream is known to refuse EDNS
local UDP_SIZE = 1232 -- octets, DNS flag day 2020
local TCP_MAX = 65535
local QUESTION_AT = 13 -- the octet of a packet, from 1

-- Of dns_ffi_ask_is_answered_by.
local EXACT, OTHER_CASE, REFUSED_WHOLE = 1, 2, 3

local FORMERR, SERVFAIL = dns.rcode.FORMERR, dns.rcode.SERVFAIL
local NOTIMP, REFUSED = dns.rcode.NOTIMP, dns.rcode.REFUSED
local BADVERS, RCODE_MAX = 16, 15 -- RFC 6891; without the OPT's bits

-- Failures that are not the upstream's.
local OURS = {
    ["no free connection"] = true,
    ["too many open files"] = true,
    ["too many open files in system"] = true,
    ["cannot allocate memory"] = true,
}

-- Questions of this worker that are on their way, by own_key().
local flying = {}

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
        plain_until = 0, -- it has refused EDNS
    }
end

--- A forwarder.
-- @tparam {string,...} servers ADDR or ADDR:PORT, IPv6 in brackets
-- @treturn Forward
-- @raise if an address is not one
function Forward.new(servers)
    local list = {}
    for i, text in ipairs(servers) do
        list[i] = parse_server(text)
    end

    return setmetatable({ servers = list }, Forward)
end

local random = ffi.new("uint16_t[1]")

-- The question as it goes to one upstream: what the answer is known by, and the
-- octets.
local function new_ask(query, mix_case, with_edns)
    local ask = ffi.new("struct dns_ffi_ask")
    C.dns_ffi_random(ffi.cast("uint8_t *", random), 2)
    ask.id = random[0]
    ask.type = query.type
    ask.class_code = query.class_code
    ask.udp_size = with_edns and UDP_SIZE or 0
    ask.recursion_desired = query.recursion_desired
    ask.checking_disabled = query.checking_disabled
    ask.authentic_data = query.authentic_data
    ask.dnssec_ok = query.dnssec_ok
    ask.mix_case = mix_case and 1 or 0
    ask.name_size = query.name_size
    ffi.copy(ask.name, query.name, query.name_size)

    return ask, ffi.string(library.octets,
        C.dns_ffi_ask_write(ask, library.octets))
end

local function rcode_of(response)
    return C.dns_ffi_message_rcode(response, #response)
end

-- As servers that do not know EDNS answer it (RFC 6891 section 7), and those
-- that do not know our version of it.
local function refuses_edns(response)
    local rcode = rcode_of(response)

    return rcode == FORMERR or rcode == NOTIMP or rcode == BADVERS
end

-- A failure of the upstream's own; another one may know better.
local function is_failure(response)
    local rcode = rcode_of(response)

    return rcode == FORMERR or rcode == SERVFAIL or rcode == NOTIMP
        or rcode == REFUSED or rcode > RCODE_MAX
end

-- One try: a question to one upstream.  Fields: server, socket, ask, packet,
-- with_edns.

local function close(try)
    if try.key then
        flying[try.key] = nil
        try.key = nil
    end
    if try.socket then
        try.socket:close()
        try.socket = nil
    end
end

-- A packet's id and question, letters as they are.
local function own_key(packet, name_size)
    return packet:sub(1, 2) .. packet:sub(QUESTION_AT,
        QUESTION_AT + name_size + 3)
end

local function note_flying(try, packet)
    try.key = own_key(packet, try.ask.name_size)
    flying[try.key] = true
end

local function send(try, query)
    close(try)
    try.ask, try.packet = new_ask(query, true, try.with_edns)
    local socket = udp_socket()
    local ok, err = socket:setpeername(try.server.address, try.server.port)
    if not ok then
        try.packet = nil
        return nil, err
    end

    try.socket = socket
    note_flying(try, try.packet)
    return socket:send(try.packet)
end

-- The first datagram that answers; others are not looked at twice.
local function receive(try, deadline)
    while true do
        local left = deadline - now()
        if left <= 0 then
            return nil, "timeout"
        end

        try.socket:settimeout(math.max(left * 1000, 1))
        local response, err = try.socket:receive()
        if not response then
            return nil, err
        end

        local match = C.dns_ffi_ask_is_answered_by(try.ask, response, #response)
        if match == EXACT or match == REFUSED_WHOLE then
            return response
        elseif match == OTHER_CASE then
            return nil, "other case"
        end
    end
end

local function receive_framed(socket)
    local prefix, err = socket:receive(2)
    if not prefix then
        return nil, err
    end

    local high, low = prefix:byte(1, 2)
    return socket:receive(high * 256 + low)
end

local function ask_by_tcp(try, query, deadline)
    local socket = tcp_socket()
    socket:settimeout(math.max(deadline - now(), 0.05) * 1000)
    close(try)
    try.socket, try.packet = socket, nil -- which UDP alone sends again
    local ok, err = socket:connect(try.server.address, try.server.port)
    if not ok then
        return nil, err
    end

    local ask, packet = new_ask(query, false, try.with_edns)
    local size = #packet
    try.ask = ask
    note_flying(try, packet)
    ok, err = socket:send({
        string.char(math.floor(size / 256), size % 256), packet,
    })

    local response
    if ok then
        response, err = receive_framed(socket)
    end
    if not response then
        return nil, err
    end

    local match = C.dns_ffi_ask_is_answered_by(ask, response, #response)
    if #response <= TCP_MAX and (match == EXACT or match == REFUSED_WHOLE) then
        return response
    end

    return nil, "bad response"
end

local function is_truncated(response)
    return C.dns_ffi_message_is_truncated(response, #response) == 1
end

-- Is what UDP gave the answer to be sent to the client?
local function is_answer(response)
    return response and not is_truncated(response) and not is_failure(response)
end

-- From what UDP has given so far (nil, "timeout": nothing yet) to the upstream's
-- last word.
local function converse(try, query, deadline, response, err)
    if err == "timeout" then
        response, err = receive(try, deadline)
    end
    if response and try.with_edns and refuses_edns(response) then
        try.with_edns = false
        response, err = send(try, query)
        if response then
            response, err = receive(try, deadline)
        end
    end
    if err ~= "other case" and not (response and is_truncated(response)) then
        return response, err
    end

    response, err = ask_by_tcp(try, query, deadline)
    if response and try.with_edns and refuses_edns(response) then
        try.with_edns = false
        response, err = ask_by_tcp(try, query, deadline)
    end

    return response, err
end

-- The two kinds of light threads of a question.

local function listen(try, ...)
    return try, converse(try, ...)
end

local function tick(seconds)
    ngx.sleep(seconds)
    return nil
end

-- A question on its way.  Fields: query, servers, retry, down, deadline; begun
-- (tries), due (when the next one is), active (tries under way, the oldest
-- first), failed (a response that is worth no more than that), reason.

local function mark_down(run, server)
    server.down_until = now() + run.down
end

local function stop(try)
    if try.thread then
        kill(try.thread)
        try.thread = nil
    end
    close(try)
end

local function stop_all(run)
    for _, try in ipairs(run.active) do
        stop(try)
    end
    if run.tick then
        kill(run.tick)
    end
end

local function next_server(run)
    run.begun = run.begun + 1
    run.due = now() + run.retry
    return run.servers[(run.begun - 1) % #run.servers + 1]
end

local function new_try(run, server)
    return {
        server = server,
        with_edns = run.query.dnssec_ok ~= 0 or server.plain_until <= now(),
    }
end

local function add_active(run, try, response, err)
    if #run.active == SOCKETS then
        stop(table.remove(run.active, 1))
    end
    run.active[#run.active + 1] = try
    try.thread = spawn(listen, try, run.query, run.deadline, response, err)
end

local function find_active(run, server)
    for _, try in ipairs(run.active) do
        if try.server == server then
            return try
        end
    end
end

-- Asks the next upstream; the one that is being asked gets the datagram again.
local function begin_try(run)
    local server = next_server(run)
    local try = find_active(run, server)
    if try then
        if try.packet then
            try.socket:send(try.packet)
        end
        return
    end

    try = new_try(run, server)
    local ok, err = send(try, run.query)
    add_active(run, try, nil, ok and "timeout" or err)
end

-- What an upstream has said in the end; true: it is the answer.
local function take_word(run, try, response, err)
    local server = try.server
    try.thread = nil
    close(try)
    if response and not is_failure(response) then
        server.plain_until = not try.with_edns and run.query.dnssec_ok == 0
            and now() + EDNS_TIME or server.plain_until
        return true
    end

    if run.begun < #run.servers then
        run.due = now()
    end
    if not response then
        run.reason = err
        if not OURS[err] then
            mark_down(run, server)
        end
    elseif rcode_of(response) == SERVFAIL or rcode_of(response) == REFUSED then
        run.failed = run.failed or response
    else -- of our question to it, which is no concern of the client's
        run.reason = "response code " .. rcode_of(response)
    end

    return false
end

local function is_due(run)
    return now() > run.due - 0.001 -- the clock's step
end

local function is_over(run)
    if now() >= run.deadline then
        return true
    end

    local all_asked = run.begun >= #run.servers
    if #run.active == 0 then
        return run.begun >= ROUNDS * #run.servers
            or (run.failed ~= nil and all_asked)
    end

    return run.failed ~= nil and all_asked and is_due(run)
end

-- Waits for the next word of an upstream, or for the time of the next try.
local function wait_for_word(run)
    local threads = {}
    for i, try in ipairs(run.active) do
        threads[i] = try.thread
    end
    if run.begun < ROUNDS * #run.servers or run.failed then
        run.tick = run.tick or spawn(tick, math.max(run.due - now(), 0.001))
        threads[#threads + 1] = run.tick
    end

    local ok, try, response, err = wait(unpack(threads))
    if ok and not try then
        run.tick = nil
        return nil
    end

    return ok and try, response, err
end

local function remove(list, value)
    for i, item in ipairs(list) do
        if item == value then
            return table.remove(list, i)
        end
    end
end

-- Goes on after the first try's time: asks others while it may still answer.
local function race(run)
    while not is_over(run) do
        if run.begun < ROUNDS * #run.servers
            and (#run.active == 0 or is_due(run)) then
            local last = run.active[#run.active]
            if last then
                mark_down(run, last.server)
            end
            begin_try(run)
        end

        local try, response, err = wait_for_word(run)
        if try then
            remove(run.active, try)
            if take_word(run, try, response, err) then
                return response
            end
        end
    end

    return nil
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

--- Is the packet a question of our own that has come back, as an upstream is this
-- server?  Another worker's is not known; where it goes round, it comes to one
-- that knows it.
-- @tparam string packet
-- @tparam number name_size octets of its name
function Forward.is_own(packet, name_size)
    return flying[own_key(packet, name_size)] ~= nil
end

--- Asks the upstreams in turn; yields.
-- @tparam cdata query struct dns_ffi_ask: type, class_code, name, name_size
--   and the flags
-- @tparam[opt] table times seconds: `timeout` of the question, `retry` after
--   which the next upstream is asked too, `down` that a silent upstream is
--   asked last
-- @treturn string|nil the response as the upstream sent it
-- @treturn string why there is none
function Forward:ask(query, times)
    local run = {
        query = query,
        servers = in_order(self.servers),
        retry = times and times.retry or RETRY,
        down = times and times.down or DOWN,
        deadline = now() + (times and times.timeout or TIMEOUT),
        begun = 0,
        active = {},
    }
    local try = new_try(run, next_server(run))
    local response, err = send(try, query)
    if response then
        response, err = receive(try, math.min(run.due, run.deadline))
    end
    if is_answer(response) then -- as a rule
        close(try)
        try.server.down_until = 0
        return response
    end

    add_active(run, try, response, err)
    response = race(run)
    stop_all(run)
    return response or run.failed, run.reason or "timeout"
end

return Forward
