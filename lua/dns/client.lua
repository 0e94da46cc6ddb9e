--- Queries from the command line: blocking, not for use inside the server.
-- @module dns.client

local ffi = require "ffi"
local dns = require "dns"
local library = require "dns.library"

local C = library.C

local client = {}

local FLAGS = { "qr", "aa", "tc", "rd", "ra", "ad", "cd" }
local SECTIONS = {
    { "answers", "ANSWER" },
    { "authorities", "AUTHORITY" },
    { "additionals", "ADDITIONAL" },
}

--- Sends a packet and waits for its answer.
-- @tparam string packet
-- @tparam string server an IP address
-- @tparam number port
-- @tparam[opt] boolean tcp
-- @treturn string|nil
-- @treturn string what went wrong
function client.exchange(packet, server, port, tcp)
    local size = C.dns_ffi_client_exchange(server, port, tcp and 1 or 0,
        packet, #packet, library.octets)

    if size == ffi.C.DNS_FFI_EMALFORMED then
        return nil, server .. ": not an IP address"
    elseif size < 0 then
        return nil, ("no answer from %s port %d"):format(server, port)
    end

    return ffi.string(library.octets, size)
end

local function absolute(name)
    return name == "." and name or name .. "."
end

local function header_lines(message, out)
    local flags = {}
    for _, flag in ipairs(FLAGS) do
        flags[#flags + 1] = message[flag] and flag or nil
    end

    out[#out + 1] = (";; ->>HEADER<<- opcode: %s, status: %s, id: %d"):format(
        dns.opcode[message.opcode], dns.rcode[message.rcode], message.id)
    out[#out + 1] = (";; flags: %s; QUERY: %d, ANSWER: %d, AUTHORITY: %d, "
        .. "ADDITIONAL: %d\n"):format(table.concat(flags, " "),
        #message.questions, #message.answers, #message.authorities,
        #message.additionals + (message.edns and 1 or 0))

    if message.edns then
        out[#out + 1] = ";; OPT PSEUDOSECTION:"
        out[#out + 1] = ("; EDNS: version: %d, flags:%s; udp: %d"):format(
            message.edns.version, message.edns.dnssec_ok and " do" or "",
            message.edns.udp_size)
    end
end

local function record_line(record)
    return ("%s\t%d\t%s\t%s\t%s"):format(absolute(record.name), record.ttl,
        dns.class[record.class], dns.type[record.type], record.record)
end

--- A message as dig prints it.
-- @tparam table message
-- @treturn string
function client.to_text(message)
    local out = {}
    header_lines(message, out)

    out[#out + 1] = ";; QUESTION SECTION:"
    for _, question in ipairs(message.questions) do
        out[#out + 1] = (";%s\t\t%s\t%s"):format(absolute(question.name),
            dns.class[question.class], dns.type[question.type])
    end

    for _, section in ipairs(SECTIONS) do
        local list = message[section[1]]
        if #list > 0 then
            out[#out + 1] = ("\n;; %s SECTION:"):format(section[2])
            for _, record in ipairs(list) do
                out[#out + 1] = record_line(record)
            end
        end
    end

    return table.concat(out, "\n") .. "\n"
end

local function random_id()
    local id = ffi.new("uint8_t[2]")
    C.dns_ffi_random(id, 2)
    return id[0] * 256 + id[1]
end

-- The response, asked again over TCP if it was cut.
local function ask(packet, options)
    local wire, reason = client.exchange(packet, options.server, options.port,
        options.tcp)
    local is_cut = wire
        and C.dns_ffi_message_is_truncated(wire, #wire) == 1

    if is_cut and not options.tcp then
        return client.exchange(packet, options.server, options.port, true)
    end

    return wire, reason
end

--- Asks a name server and gives the response as dig prints it.
-- @tparam table options `name`, `type`, `server`, `port`, `tcp`
-- @treturn string|nil
-- @treturn string what went wrong
function client.dig(options)
    local port = tonumber(options.port)
    if not port or port < 1 or port > 65535 or port % 1 ~= 0 then
        return nil, options.port .. ": not a port"
    end

    local packet, reason = dns.encode {
        id = random_id(),
        rd = true,
        questions = { { name = options.name, type = options.type } },
        edns = { udp_size = 1232 },
    }
    if not packet then
        return nil, (reason:gsub("^questions%[1%]%.", ""))
    end

    options.port = port
    local wire
    wire, reason = ask(packet, options)
    local message = wire and dns.decode(wire)
    if not message then
        return nil, reason or "the answer is malformed"
    end

    return ("%s\n;; SERVER: %s#%d\n;; MSG SIZE  rcvd: %d\n"):format(
        client.to_text(message), options.server, port, #wire)
end

return client
