--- What `dns_serve on;` runs for a query that could not be answered in place:
-- the zones, then the forwarder, else REFUSED.
--
-- The stream room calls configure() once in each worker, with what the
-- directives say, and answer() for each query.
-- @module dns.service

local bit = require "bit"
local ffi = require "ffi"
local dns = require "dns"
local library = require "dns.library"
local seldom = require "resolua.seldom"
local store_module = require "dns.store"

local C = library.C
local band = bit.band

local RD, RA = ffi.C.DNS_FFI_RD, ffi.C.DNS_FFI_RA
local AD, CD = ffi.C.DNS_FFI_AD, ffi.C.DNS_FFI_CD
local REFUSED, SERVFAIL = dns.rcode.REFUSED, dns.rcode.SERVFAIL
local AXFR, IXFR = dns.type.AXFR, dns.type.IXFR
local CLASS_IN = dns.class.IN
local CNAME, A, ANY = dns.type.CNAME, dns.type.A, dns.type.ANY

local UDP, HTTPS = 0, 3 -- transports

-- RFC 8914.
local NOT_READY, NOT_AUTHORITATIVE = 14, 20
local NO_REACHABLE, NETWORK_ERROR = 22, 23

local UDP_LIMIT = 1232 -- octets, DNS flag day 2020
local RECORDS, ALIAS = 1, 2 -- of dns_ffi_answer_follow
local QUESTIONS_MAX = 4 -- to upstreams behind the first, for one chain
local HEAD_START = 0.1 -- seconds that ANY is asked for alone
local OPEN_TIME = 5 -- seconds that a chain without its end is kept

local target_size = ffi.new("size_t[1]")

local service = {}

local settings = { udp_limit = UDP_LIMIT }
local forwarders = {} -- by the directive's text

--- Sets what the configuration says.  Nothing is opened before the first use.
-- @tparam table options `store`: the folder of the embedded store, or nil;
--   `store_at`: how many networked stores stand before it, nil: it holds the
--   copies of a mirror alone;
--   `databases`: options of networked stores, for dns.database.open(), and
--   `on_commit`: what their edits call; `forward`:
--   upstreams with spaces between, or nil; `udp_limit`: octets; `answer_zones`:
--   a function (packet, transport) that gives the zones' answer as
--   Store:answer() does, or nil: that of the embedded store
function service.configure(options)
    settings = {
        folder = options.store,
        store_at = options.store_at,
        databases = options.databases or {},
        on_commit = options.on_commit,
        answer_zones = options.answer_zones,
        forward = options.forward,
        udp_limit = options.udp_limit or UDP_LIMIT,
    }
end

--- The folder of the embedded store, or nil.
function service.folder()
    return settings.folder
end

local function open_embedded()
    if settings.embedded or not settings.folder then
        return settings.embedded, "no dns_store is configured"
    end

    local store, reason = store_module.open(settings.folder)
    settings.embedded = store
    return store, reason
end

local function open_database(options, embedded)
    local database, reason = require("dns.database").open(options,
        { on_commit = settings.on_commit })
    if database and database.mirror_folder then
        database.mirror, reason = require("dns.mirror").new(options, embedded,
            settings.folder)
        return database.mirror and database, reason
    end

    return database, reason
end

-- Where new zones are made: the first store, as the configuration has them, that
-- can be edited.
local function first_of(embedded, databases)
    for i = 0, #databases do
        if i > 0 and not databases[i].has_own_layout then
            return databases[i]
        end
        if i == settings.store_at then
            return embedded
        end
    end

    return databases[1] or embedded
end

local function open_all()
    local list, databases = {}, {}
    local embedded, reason = open_embedded()
    if settings.folder then
        if not embedded then
            return nil, reason
        end
        list[1] = embedded
    end
    for i, store in ipairs(settings.databases) do
        local database, why = open_database(store, embedded)
        if not database then
            return nil, why
        end
        databases[i] = database
        if database.mirror then -- before its copies
            table.insert(list, 1, database)
        else
            list[#list + 1] = database
        end
    end
    if #list == 0 then
        return nil, "no dns_store is configured"
    end

    return #list == 1 and list[1] or require("dns.stores").new(list,
        first_of(embedded, databases))
end

--- Begins what goes on in the background: the mirrors.
function service.start()
    local stores, reason = service.store()
    if not stores then
        ngx.log(ngx.ERR, "the zone stores cannot be opened: ", reason)
        return
    end
    for _, store in ipairs(stores.stores or { stores }) do
        if store.mirror then
            store.mirror:start()
        end
    end
end

--- The zone stores of this server as one.
-- @treturn Store|nil
-- @treturn string why there is none
function service.store()
    if settings.store then
        return settings.store
    end

    local store, reason = open_all()
    settings.store = store
    return store, reason
end

local function forwarder(text)
    if not text or text == "" then
        return nil
    end

    local found = forwarders[text]
    if not found then
        local servers = {}
        for server in text:gmatch("%S+") do
            servers[#servers + 1] = server
        end
        found = require("dns.forward").new(servers)
        found.text = table.concat(servers, ", ")
        forwarders[text] = found
    end

    return found
end

local function error_response(packet, rcode, forward, why)
    local size = C.dns_ffi_query_error(packet, #packet, rcode,
        forward and RA or 0, why or -1, library.octets)

    return size > 0 and ffi.string(library.octets, size) or nil
end

local function ask_of(query)
    local ask = ffi.new("struct dns_ffi_ask")
    ask.type = query.type
    ask.class_code = query.class_code
    ask.recursion_desired = band(query.flags, RD) ~= 0 and 1 or 0
    ask.checking_disabled = band(query.flags, CD) ~= 0 and 1 or 0
    ask.authentic_data = band(query.flags, AD) ~= 0 and 1 or 0
    ask.dnssec_ok = query.dnssec_ok
    ask.name_size = query.name_size
    ffi.copy(ask.name, query.name, query.name_size)

    return ask
end

-- The upstream's response as one to the client's packet.
local function relay(packet, response, limit)
    local size = C.dns_ffi_relay(packet, #packet, response, #response,
        library.octets, limit)

    return size >= 0 and ffi.string(library.octets, size) or nil
end

-- The answer, or nil where no zone holds the name; what more is known of it; why
-- a store has failed.
local function answer_from_zones(packet, transport)
    local wire, result
    if settings.answer_zones then
        wire, result = settings.answer_zones(packet, transport)
    elseif settings.folder then
        local store, reason = open_embedded()
        if not store then
            return nil, nil, reason
        end
        wire, result = store:answer(packet, transport)
        if not wire then
            return nil, nil, result
        end
    end

    return result and result.is_final ~= 0 and wire or nil, result
end

local function may_forward(query)
    return query.class_code == CLASS_IN and query.type ~= AXFR
        and query.type ~= IXFR
end

-- A chain of aliases on its way through upstreams and zones.  Fields: name (of
-- its last link: wire form, lower case), message (the answer so far), seen (names
-- by their wire form), forward, query, route, keep (seconds that the answer may be
-- kept at most; nil: as its TTLs say).

local function add_name(chain, name)
    chain.is_closed = chain.seen[name] or false
    chain.seen[name] = true
    chain.name = name
end

-- The records that are of the chain's names so far.
local function own_records(chain, records)
    local out, names = {}, {}
    for name in pairs(chain.seen) do
        if name ~= chain.name then
            names[dns.name.from_wire(name):lower()] = true
        end
    end
    for _, record in ipairs(records) do
        if names[record.name:lower()] then
            out[#out + 1] = record
        end
    end

    return out
end

-- What follows on the answer so far, which ends in an alias.
local function append(chain, message)
    local answer = chain.message
    for _, record in ipairs(message.answers) do
        answer.answers[#answer.answers + 1] = record
    end
    answer.rcode = message.rcode
    answer.authorities, answer.additionals = message.authorities, {}
    answer.ad = answer.ad and message.ad
end

-- The zones' answer for the chain's last name: nil where no zone holds it, and
-- false where the zone's store has failed.
local function ask_zones(chain)
    if chain.route.forward_only then
        return nil
    end

    local wire, result, failure = answer_from_zones(assert(dns.encode {
        rd = true,
        questions = { {
            name = dns.name.from_wire(chain.name), type = chain.query.type,
        } },
        edns = chain.query.dnssec_ok ~= 0 and { dnssec_ok = true } or nil,
    }), HTTPS)
    if failure then
        return false
    end

    return wire, result
end

local function ask_upstream(chain)
    local ask = ask_of(chain.query)
    ask.name_size = #chain.name
    ffi.copy(ask.name, chain.name, #chain.name)

    return chain.forward:ask(ask, chain.route)
end

-- Where an upstream's response leads from the chain's last name: "end", "zone"
-- (with the zones' answer), or "open": the response ends in an alias.
local function walk(chain, response)
    while not chain.is_closed do
        local kind = C.dns_ffi_answer_follow(response, #response, chain.name,
            chain.query.type, library.name, target_size)
        if kind == RECORDS then
            return "end"
        elseif kind ~= ALIAS then
            break
        end

        add_name(chain, ffi.string(library.name, target_size[0]))
        local wire, result = ask_zones(chain)
        if wire ~= nil then
            return "zone", wire, result
        end
    end

    return C.dns_ffi_answer_is_denial(response, #response) == 1 and "end"
        or "open"
end

-- The zones' answer to the chain's last name goes in the place of what an
-- upstream says of it.  Where it ends in an alias that no zone holds, that is the
-- chain's last name.
local function take_zone(chain, wire, result)
    local message = wire and dns.decode(wire)
    chain.keep = 0 -- edits of the zone must be seen
    if not message then
        chain.message.rcode = SERVFAIL
        return false
    end

    append(chain, message)
    local last = message.answers[#message.answers]
    if result.leaves_zones == 0 or not last or last.type ~= CNAME then
        return false
    end

    add_name(chain, last.rdata:lower())
    return not chain.is_closed
end

-- Goes on from a response that is part of the chain's message already.
local function follow(chain, response)
    for _ = 1, QUESTIONS_MAX do
        local place, wire, result = walk(chain, response)
        if place == "end" then
            return
        elseif place == "zone" then
            chain.message.answers = own_records(chain, chain.message.answers)
            if not take_zone(chain, wire, result) then
                return
            end
        end

        response = not chain.is_closed and ask_upstream(chain)
        local message = response and dns.decode(response)
        if not message or message.rcode == SERVFAIL then
            break
        end
        append(chain, message)
        if #message.answers == 0 then
            if C.dns_ffi_answer_is_denial(response, #response) == 1 then
                return
            end
            break
        end
    end

    -- The target's records are missing: for a moment only.
    chain.keep = math.min(chain.keep or OPEN_TIME, OPEN_TIME)
end

local function new_chain(forward, query, route, message)
    local name = ffi.string(query.name, query.name_size)

    return {
        name = name,
        seen = { [name] = true },
        message = message,
        forward = forward,
        query = query,
        route = route,
    }
end

local function is_alias(response, query)
    return C.dns_ffi_answer_follow(response, #response, query.name, query.type,
        library.name, target_size) == ALIAS
end

local function forward_query(forward, packet, query, route)
    if forward.is_own(packet, query.name_size) then
        seldom.log(ngx.ERR, forward.text, "dns_forward: a question that was "
            .. "sent to an upstream has come back to this server, for %s: "
            .. "SERVFAIL; an upstream of dns_forward or q:forward is this "
            .. "server itself (upstreams of this query: %s)",
            dns.name.from_wire(ffi.string(query.name, query.name_size)),
            forward.text)
        return error_response(packet, SERVFAIL, forward, NO_REACHABLE)
    end

    local response, err = forward:ask(ask_of(query), route)
    if not response then
        seldom.log(ngx.WARN, forward, "dns_forward: no upstream of %s answered "
            .. "(%s): SERVFAIL, or what is kept by dns_serve_stale",
            forward.text, err)
        return error_response(packet, SERVFAIL, forward, NO_REACHABLE), false
    end

    local has_alias = is_alias(response, query)
    local wire = relay(packet, response,
        has_alias and ffi.C.DNS_FFI_MESSAGE_MAX or query.limit)
    if not wire then
        return error_response(packet, SERVFAIL, forward, NETWORK_ERROR)
    end
    if not has_alias then
        return wire
    end

    local message = dns.decode(wire)
    if not message or message.tc then
        return relay(packet, response, query.limit)
    end

    local chain = new_chain(forward, query, route, message)
    follow(chain, response)
    return dns.encode(chain.message, query.limit)
        or relay(packet, response, query.limit), chain.keep
end

-- The zones gave a chain of CNAMEs that ends at a name that no zone holds: the
-- upstream's records for that name go behind it.
local function continue_chain(forward, wire, query, route)
    local answer = dns.decode(wire)
    local last = answer and answer.answers[#answer.answers]
    if not last or last.type ~= CNAME then
        return wire
    end

    local chain = new_chain(forward, query, route, answer)
    add_name(chain, last.rdata:lower())
    local response = not chain.is_closed and ask_upstream(chain)
    local rest = response and dns.decode(response)
    if not rest then
        return wire, OPEN_TIME
    end

    answer.ra = true
    append(chain, rest)
    follow(chain, response)
    answer.ad = false
    return dns.encode(answer, query.limit) or wire, chain.keep
end

-- The answer for another name, given under the name that was asked.
local function answer_renamed(packet, transport, route)
    local query = dns.decode(packet)
    local question = query.questions[1]
    local asked = question.name
    question.name = dns.name.from_wire(route.new_name)
    route.new_name = nil

    local wire = service.answer(assert(dns.encode(query)), transport, route)
    local answer = wire and dns.decode(wire)
    if not answer then
        return nil
    end

    local new = question.name:lower()
    answer.questions[1].name = asked
    for _, section in ipairs { "answers", "authorities" } do
        for _, record in ipairs(answer[section]) do
            if record.name:lower() == new then
                record.name = asked
            end
        end
    end

    return dns.encode(answer)
end

local NO_ROUTE = {}
local LEAVES_ZONES = { leaves_zones = 1, asks_parent = 0 }

--- Answers one query; yields while upstreams are asked.
-- @tparam string packet
-- @tparam number transport 0 UDP, 1 TCP, 2 TLS, 3 HTTPS
-- @tparam[opt] table route `forward`: upstreams with spaces between, without it
--   those of configure(); `timeout`, `retry`, `down`: of Forward:ask();
--   `new_name`: wire form, the name to look up instead; `forward_only`: leave
--   the zones out; `no_zone`: they were asked, and none has the answer;
--   `zones_answer`: their answer, which ends in an alias that leads out of them;
--   `refusal`: why names that no zone holds are refused (RFC
--   8914)
-- @treturn string|nil the response; nil: send nothing
-- @treturn number|boolean|nil seconds that it may be kept at most; false: no
--   upstream has answered
function service.answer(packet, transport, route)
    route = route or NO_ROUTE
    if route.new_name then
        return answer_renamed(packet, transport, route)
    end

    local query = ffi.new("struct dns_ffi_query")
    C.dns_ffi_query_parse(query, packet, #packet, transport or UDP,
        settings.udp_limit)
    local upstreams = forwarder(route.forward or settings.forward)
    if query.rcode ~= 0 then
        return query.rcode > 0
            and error_response(packet, query.rcode, upstreams) or nil
    end

    local wire, result, failure
    if route.zones_answer then
        wire, result = route.zones_answer, LEAVES_ZONES
    elseif not (route.forward_only or route.no_zone) then
        wire, result, failure = answer_from_zones(packet, transport)
    end
    if failure then
        ngx.log(ngx.ERR, "the zone store failed: ", failure)
        return error_response(packet, SERVFAIL, upstreams, NOT_READY)
    end

    local forwards = upstreams and may_forward(query)
    local asks_parent = forwards and result and result.asks_parent ~= 0
        and band(query.flags, RD) ~= 0
    if wire and not asks_parent then
        if forwards and result.leaves_zones ~= 0 then
            return continue_chain(upstreams, wire, query, route)
        end
        return wire
    end

    if forwards then
        return forward_query(upstreams, packet, query, route)
    end

    return error_response(packet, REFUSED, upstreams,
        route.refusal or NOT_AUTHORITATIVE)
end

-- No zone holds the name and there are no upstreams: the extended error 20.
local function says_outside(message)
    return message.edns and message.edns.options
        and message.edns.options:find("\0\15\0\2\0\20", 1, true) ~= nil
end

-- What the server answers to the client's own query, with its hooks and rules.
-- Without a server that serves DNS there are none: the zones and, for clients
-- that upstreams are asked for, the upstreams.
local function answer_client(packet, client, server)
    local servers = require "dns.servers"
    if #servers.list() > 0 then
        return servers.answer(server or 1, packet, HTTPS, client, true)
    end

    return service.answer(packet, HTTPS, {
        forward = not servers.recurses(client) and "" or nil,
    })
end

-- All sets of a name that a zone holds, else its A.  Where the answer to ANY is
-- not there in a moment, an upstream is asked, and A is asked for beside it.
local function ask_any_or_a(ask)
    local spawn, wait, kill = ngx.thread.spawn, ngx.thread.wait, ngx.thread.kill
    local function tagged(rtype)
        return true, ask(rtype)
    end

    local any, pause = spawn(tagged, ANY), spawn(function()
        ngx.sleep(HEAD_START)
    end)
    local _, is_here, message, err = wait(any, pause)
    if is_here then
        kill(pause)
        if message and not message.aa then
            return ask(A)
        end
        return message, err
    end

    local a = spawn(tagged, A)
    _, _, message, err = wait(any)
    if not message or message.aa then
        kill(a)
        return message, err
    end

    _, _, message, err = wait(a)
    return message, err
end

--- The records that answer a question, for callers that have no packet: what a
-- server that serves DNS would answer this client, with its hooks.
-- @tparam string domain
-- @tparam number|nil rtype none: all record sets of a name in the zones, or
--   the upstream's A
-- @tparam string client an address, or "unix:"
-- @tparam[opt] number server which one, in the order of the configuration; the
--   first
-- @treturn {table,...}|nil as dns.decode() gives them
-- @treturn string why there are none
-- @treturn boolean|nil true: the client may not have them
function service.lookup(domain, rtype, client, server)
    local function ask(number)
        local packet = assert(dns.encode {
            id = 0,
            rd = true,
            questions = { { name = domain, type = number } },
            edns = { udp_size = UDP_LIMIT },
        })
        local wire, err = answer_client(packet, client, server)
        return wire and dns.decode(wire), err
    end

    local message, err
    if rtype then
        message, err = ask(rtype)
    else
        message, err = ask_any_or_a(ask)
    end
    if not message then
        return nil, err and "domain: the server's access rules do not let "
            .. "this client in" or "domain: no answer", err ~= nil
    end
    if message.rcode == SERVFAIL then
        return nil, "domain: the store or the upstream failed"
    end
    if message.rcode == REFUSED and not says_outside(message) then
        return nil, "domain: refused (upstreams are not asked for this client, "
            .. "or a hook refuses)", true
    end

    return message.answers
end

return service
