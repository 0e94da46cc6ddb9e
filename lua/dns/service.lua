--- What the server needs of Lua: the stores that edits go to, the upstreams that
-- are asked for what no zone holds, look-ups for scripts.
--
-- The server calls configure() once in each worker, with what the directives
-- say, and forward() for each question to upstreams.
-- @module dns.service

local bit = require "bit"
local ffi = require "ffi"
local dns = require "dns"
local library = require "dns.library"
local seldom = require "resolua.seldom"
local store_module = require "dns.store"

local C = library.C
local band = bit.band

local RD, AD, CD = ffi.C.DNS_FFI_RD, ffi.C.DNS_FFI_AD, ffi.C.DNS_FFI_CD
local REFUSED, SERVFAIL = dns.rcode.REFUSED, dns.rcode.SERVFAIL
local A, ANY = dns.type.A, dns.type.ANY

local HTTPS = 3 -- a transport
local UDP_LIMIT = 1232 -- octets, DNS flag day 2020
local HEAD_START = 0.1 -- seconds that ANY is asked for alone

local service = {}

local settings = {}
local forwarders = {} -- by the directive's text

--- Sets what the configuration says.  Nothing is opened before the first use.
-- @tparam table options `store`: the folder of the embedded store, or nil;
--   `store_at`: how many networked stores stand before it, nil: it holds the
--   copies of a mirror alone;
--   `databases`: options of networked stores, for dns.database.open(), and
--   `on_commit`: what their edits call; `on_zone_made`: what an edit of the
--   embedded store calls that has made a zone, or nil
function service.configure(options)
    settings = {
        folder = options.store,
        store_at = options.store_at,
        databases = options.databases or {},
        on_commit = options.on_commit,
        on_zone_made = options.on_zone_made,
    }
end

--- The folder of the embedded store, or nil.
function service.folder()
    return settings.folder
end

-- A zone of the embedded store may be one below a zone of a database.
local function tell_zone_made(_, edit)
    if not edit:result().zone_was_there then
        settings.on_zone_made()
    end
end

local function open_embedded()
    if settings.embedded or not settings.folder then
        return settings.embedded, "no dns_store is configured"
    end

    local store, reason = store_module.open(settings.folder)
    if store and settings.on_zone_made then
        store.committed = tell_zone_made
    end
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

--- Asks upstreams one question; yields.
-- @tparam string packet the query
-- @tparam string upstreams with spaces between
-- @tparam number timeout seconds for all tries
-- @tparam number retry seconds after which the next upstream is asked too
-- @tparam number down seconds that a silent upstream is asked last
-- @treturn string|nil the response as the upstream sent it; nil: none has
--   answered, which is logged
-- @treturn boolean|nil true: none was asked, for the question has come back to
--   this server
function service.forward(packet, upstreams, timeout, retry, down)
    local query = ffi.new("struct dns_ffi_query")
    C.dns_ffi_query_parse(query, packet, #packet, HTTPS, UDP_LIMIT)
    local forward = forwarder(upstreams)
    if forward.is_own(packet, query.name_size) then
        seldom.log(ngx.ERR, forward.text, "dns_forward: a question that was "
            .. "sent to an upstream has come back to this server, for %s: "
            .. "SERVFAIL; an upstream of dns_forward or q:forward is this "
            .. "server itself (upstreams of this query: %s)",
            dns.name.from_wire(ffi.string(query.name, query.name_size)),
            forward.text)
        return nil, true
    end

    local response, err = forward:ask(ask_of(query), {
        timeout = timeout, retry = retry, down = down,
    })
    if not response then
        seldom.log(ngx.WARN, forward, "dns_forward: no upstream of %s answered "
            .. "(%s): SERVFAIL, or what is kept by dns_serve_stale",
            forward.text, err)
    end

    return response
end

-- No zone holds the name and there are no upstreams: the extended error 20.
local function says_outside(message)
    return message.edns and message.edns.options
        and message.edns.options:find("\0\15\0\2\0\20", 1, true) ~= nil
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
    local servers = require "dns.servers"
    local function ask(number)
        local packet = assert(dns.encode {
            id = 0,
            rd = true,
            questions = { { name = domain, type = number } },
            edns = { udp_size = UDP_LIMIT },
        })
        local wire, err = servers.answer(server
            or #servers.list() > 0 and 1 or 0, packet, HTTPS, client, true)
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
