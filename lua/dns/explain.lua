--- A dry run: what a client would be answered, and why.  The query hook and the
-- answer hook of the server run as for a query; the cache, the zones and the
-- upstreams are asked as for one.
-- @module dns.explain

local ffi = require "ffi"
local bit = require "bit"
local dns = require "dns"
local library = require "dns.library"
local zone_facts = require "dns.explain_zone"
local hooks = require "dns.query"

local C = library.C
local name_of = dns.name

local UDP_SIZE = 1232 -- octets, DNS flag day 2020
local OUT_ROOM, OUT_MAX = 4096, 65535 -- octets: a hook's, any answer's
local CLIENT_SUBNET = 8 -- EDNS option, RFC 7871
local NONE, ANSWER = ffi.C.DNS_FFI_HOOK_NONE, ffi.C.DNS_FFI_HOOK_ANSWER
local DROP = ffi.C.DNS_FFI_HOOK_DROP

-- The methods with which a hook decides.
local DECIDES = { answer = true, add = true, respond = true, refuse = true,
    nxdomain = true, truncate = true, drop = true, forward = true,
    rewrite = true, cache = true, set_response = true }

local TRANSPORTS = { udp = 0, tcp = 1, tls = 2, https = 3 }

local explain = {
    TRANSPORTS = TRANSPORTS,
}

-- A run: query, server, packet, steps.

local function note(run, step, text, at)
    run.steps[#run.steps + 1] = { step = step, text = text, at = at }
end

-- Hooks.

-- Octets of an address and its family; nil: it is none.
local function address_octets(text)
    local octets = dns.rdata_from_text(dns.type.A, text)
    if octets then
        return octets, 4
    end

    octets = dns.rdata_from_text(dns.type.AAAA, text)
    return octets, octets and 6
end

-- "ADDRESS/BITS" as the option of a resolver that says whom it asks for
-- (RFC 7871 section 6); nil: it is no network.
local function subnet_option(text)
    local address, bits = text:match("^(.-)/(%d+)$")
    local octets, family = address_octets(address or "")
    bits = tonumber(bits)
    if not octets or bits > #octets * 8 then
        return nil
    end

    local kept = { octets:byte(1, math.ceil(bits / 8)) }
    if bits % 8 > 0 then
        kept[#kept] = bit.band(kept[#kept], bit.lshift(255, 8 - bits % 8))
    end

    return string.char(0, CLIENT_SUBNET, 0, 4 + #kept, 0,
        family == 6 and 2 or 1, bits, 0, unpack(kept))
end

local function new_hook(run)
    local query = run.parsed
    local hook = ffi.new("struct dns_ffi_hook")
    local octets, family = address_octets(run.client)
    run.out = ffi.new("uint8_t[?]", OUT_MAX)
    hook.packet, hook.packet_size = run.packet, #run.packet
    hook.limit, hook.id, hook.flags = query.limit, query.id, query.flags
    hook.type, hook.class_code = query.type, query.class_code
    hook.transport, hook.dnssec_ok = run.transport, query.dnssec_ok
    hook.udp_size = UDP_SIZE
    hook.client_family = family
    ffi.copy(hook.client_octets, octets, #octets)
    hook.qname_size = query.name_size
    ffi.copy(hook.qname, query.name, query.name_size)
    hook.out, hook.out_room = run.out, OUT_ROOM
    run.hook = hook
    run.life = ffi.new("struct dns_ffi_hook_life", hook, 1)

    return hook
end

-- "FILE:LINE" of a hook's first line.
local function start_of(at)
    return at:match("%((.-:%d+)%)") or at
end

-- "FILE:LINE" of a place in a chunk; an inline chunk knows the line of the
-- configuration that it begins in.
local function place(info, fallback)
    local line = info and info.currentline or -1
    if line < 1 then
        return fallback
    end

    local file, first = info.source:match("^=?.-%((.-):(%d+)%)")
    if file then
        return ("%s:%d"):format(file, first + line - 1)
    end

    return ("%s:%d"):format(info.source:gsub("^[@=]", ""), line)
end

local function arguments_text(...)
    local parts = {}
    for i = 1, select("#", ...) do
        local value = select(i, ...)
        parts[i] = type(value) == "string" and ("%q"):format(value)
            or tostring(value)
    end

    return table.concat(parts, ", ")
end

-- What a hook gets in the place of its query: the same, and decisions are noted
-- with the place where they are made.
local function witness(run, step, at)
    local hook = hooks.handle(run.life, 1)
    return setmetatable({}, {
        __index = function(_, field)
            local value = hook[field]
            if type(value) ~= "function" then
                return value
            end

            return function(_, ...)
                if DECIDES[field] then
                    note(run, step, ("q:%s(%s)"):format(field,
                        arguments_text(...)),
                        place(debug.getinfo(2, "Sl"), at))
                end
                return value(hook, ...)
            end
        end,
    })
end

-- Calls a hook as for a query; nil, reason after it failed.
local function try(hook, query, is_answer)
    local ok, reason
    local code = require("dns.servers").run_hook(function()
        ok, reason = pcall(hook, query)
        if not ok and reason == nil then
            error() -- ngx.exit() ends a chunk that may not sleep so
        end
    end, is_answer)
    if code == 0 and (ok or reason == nil) then
        return true
    end

    return nil, reason ~= nil and tostring(reason)
        or "by ngx.exit(), or an error without a text"
end

-- Runs a hook; nil after it failed.
local function call_hook(run, code, step)
    if code.error then
        note(run, step, code.error, start_of(code.at))
        return nil
    end

    local before, at = #run.steps, start_of(code.at)
    local ok, reason = try(code.run, witness(run, step, at),
        step == "answer hook")
    run.life.serial = 0 -- who keeps the object has nothing any more
    if not ok then
        note(run, step, "failed: " .. reason, at)
        return nil
    end
    if #run.steps == before then
        note(run, step, "decided nothing", at)
    end

    return true
end

local function hook_answer(hook)
    return ffi.string(hook.out, hook.out_size)
end

-- From here to the answer.

local function error_response(run, rcode)
    local size = C.dns_ffi_query_error(run.packet, #run.packet, rcode, 0, -1,
        library.octets)

    return ffi.string(library.octets, size)
end

local function note_upstream(run, upstreams, started)
    ngx.update_time()
    note(run, "upstream", ("%s was asked, %d ms"):format(upstreams,
        (ngx.now() - started) * 1000))
end

-- The query hook has named upstreams, or another name.
local function ask_as_told(run, hook)
    local forward = hook.forward_size > 0
        and ffi.string(hook.forward_to, hook.forward_size)
    local new_name = hook.new_name_size > 0
        and ffi.string(hook.new_name, hook.new_name_size) or nil
    local started = ngx.now()
    local wire = require("dns.servers").answer(run.number, run.packet,
        run.transport, run.client, false, forward or "", new_name or "")
    if forward then
        note_upstream(run, forward, started)
    else
        zone_facts.note(run, note, name_of.from_wire(new_name), run.type)
    end

    return wire
end

-- Without a decision of the hook: zones, cache, upstreams.
local function ask_server(run)
    local in_zone = zone_facts.note(run, note, run.name, run.type)
    local servers = require "dns.servers"
    local is_kept = not in_zone or in_zone == "remote"
    local kept = is_kept
        and servers.cached(run.number, run.packet, run.transport, false,
            run.client)
    if is_kept then
        note(run, "cache", kept and "the answer is kept" or "nothing is kept")
    end

    local started = ngx.now()
    local wire = servers.answer(run.number, run.packet, run.transport,
        run.client)
    if not in_zone and not kept then
        if run.server.forward ~= "" then
            note_upstream(run, run.server.forward, started)
        else
            note(run, "upstream", "none is configured")
        end
    end

    return wire
end

local function decide(run, hook)
    if hook.action == ANSWER then
        return hook_answer(hook)
    end
    if hook.action == DROP then
        return nil
    end
    if hook.action == NONE then
        return ask_server(run)
    end

    return ask_as_told(run, hook)
end

local function answer(run)
    local code = run.server.query
    if not code then
        return ask_server(run)
    end

    local kept = require("dns.servers").cached(run.number, run.packet,
        run.transport, true, run.client)
    if kept then
        note(run, "cache", "what the hook said to keep",
            start_of(code.at))
        return kept
    end

    local hook = new_hook(run)
    if not call_hook(run, code, "hook") then
        return error_response(run, dns.rcode.SERVFAIL)
    end

    return decide(run, hook)
end

-- The answer hook over an answer.
local function after(run, wire)
    local code = run.server.answer
    if not wire or not code then
        return wire
    end

    local hook = new_hook(run)
    ffi.copy(hook.out, wire, #wire)
    hook.out_size = #wire
    hook.out_room = run.transport == TRANSPORTS.udp and OUT_ROOM or OUT_MAX
    hook.rcode = bit.band(wire:byte(4), 15)
    if not call_hook(run, code, "answer hook") then
        return error_response(run, dns.rcode.SERVFAIL)
    end
    if hook.action == DROP then
        return nil
    end

    return hook.action == ANSWER and hook_answer(hook) or wire
end

local function new_run(query)
    local packet = assert(dns.encode {
        id = 0,
        rd = true,
        questions = { { name = query.name, type = query.type } },
        edns = {
            udp_size = UDP_SIZE,
            dnssec_ok = query.dnssec_ok,
            options = query.subnet and subnet_option(query.subnet),
        },
    })
    local run = {
        name = name_of.normalize(query.name),
        type = query.type,
        client = query.client,
        transport = query.transport,
        number = query.server,
        server = require("dns.servers").list()[query.server],
        packet = packet,
        parsed = ffi.new("struct dns_ffi_query"),
        steps = {},
    }
    C.dns_ffi_query_parse(run.parsed, packet, #packet, run.transport,
        run.server.udp_size)

    return run
end

-- The server's access rules, which come before everything else.  Over HTTPS
-- those of the location decide, which are not known here.
local function may_ask(run)
    if run.transport == TRANSPORTS.https then
        note(run, "access", "allow and deny of the location with "
            .. "dns_over_https are not looked at")
        return true
    end
    if require("dns.servers").allows(run.number, run.client) then
        return true
    end

    note(run, "access", "allow and deny of the server do not let the client "
        .. "in: it gets no answer", run.server.at)
    return false
end

--- Is it an address?
function explain.is_address(text)
    return address_octets(text) ~= nil
end

--- Is it a network, "192.0.2.0/24"?
function explain.is_network(text)
    return subnet_option(text) ~= nil
end

--- How many servers serve DNS; a query is explained for one of them.
function explain.server_count()
    return #require("dns.servers").list()
end

--- What the server would answer, and why.
-- @tparam table query name (text), type (number), client (an address),
--   transport (number), server (its number), dnssec_ok, subnet (a network
--   that the client says it asks for)
-- @treturn table at (of the server), steps (step, text, at), response as
--   dns.decode() gives it, nil: none
function explain.run(query)
    local run = new_run(query)
    local wire
    if may_ask(run) then
        wire = after(run, answer(run))
    end

    return {
        at = run.server.at,
        steps = run.steps,
        response = wire and dns.decode(wire),
    }
end

return explain
