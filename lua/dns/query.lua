--- What a hook sees of a query: `dns_query_by_lua*`, `dns_answer_by_lua*` and
-- `dns_log_by_lua*` get it as their argument.
--
--     dns_query_by_lua_block {
--         local q = ...
--         if q.name == "www.example.test" and q:client_in("10.0.0.0/8") then
--             q:answer("A", 60, "10.1.2.3")
--         end
--     }
--
-- Fields, to be read: `id`, `flags`, `type` and `class_code` (numbers),
-- `dnssec_ok` (0 or 1), `udp_size` (0: no EDNS), `transport` (0 UDP, 1 TCP,
-- 2 TLS, 3 HTTPS), `client_port`; `name` (lower case, no final dot),
-- `type_name`, `client` (text), `rd`; after the lookup `rcode`, `out_size` and,
-- in the log hook, `duration` (milliseconds).
--
-- A query hook that calls none of the methods that decide lets the query go its
-- way; the last decision counts.  It may sleep.  The answer and the log hook may
-- not, and see each query that is answered.
--
-- When the query has been answered, or its client is gone, each use of the
-- object raises an error: the memory behind it is another client's by then.
-- @classmod dns.query

local bit = require "bit"
local ffi = require "ffi"
local dns = require "dns"
local library = require "dns.library"

ffi.cdef(require "dns.cdef_hook")

local C = library.C
local band = bit.band
local name_of = dns.name

local DROP, ASK = ffi.C.DNS_FFI_HOOK_DROP, ffi.C.DNS_FFI_HOOK_ASK
local SECTIONS = { answer = 1, authority = 2, additional = 3 }
local HEADER_RCODE_MAX, RCODE_MAX = 15, 4095
local WRONG = { "owner", "rdata", "section" }

local text = ffi.new("char[?]", ffi.C.DNS_FFI_NAME_TEXT_SIZE)
local what = ffi.new("int[1]")
local octets = ffi.new("uint8_t[16]")
local bits = ffi.new("uint8_t[1]")

local Query = {}

-- The fields that scripts read as they are.
local FIELDS = { id = true, flags = true, type = true, class_code = true,
    dnssec_ok = true, udp_size = true, transport = true, client_port = true,
    client_family = true, limit = true, rcode = true, out_size = true,
    duration = true }

-- The query behind a script's object.
local function hook_of(self)
    local life = self.life
    if life.serial ~= self.serial then
        error("the query is over: it has been answered, or its client is gone",
            3)
    end
    return life.hook
end

local function type_number(rtype)
    return type(rtype) == "number" and rtype or dns.type[rtype]
        or error("unknown type " .. tostring(rtype), 3)
end

local function add(hook, section, owner, rtype, ttl, record)
    local status = C.dns_ffi_hook_add(hook, section, owner,
        owner and #owner or 0, type_number(rtype), ttl, record, #record, what)
    if status ~= 0 then
        error(status == ffi.C.DNS_FFI_ENOSPACE and "the answer is full"
            or ("not a %s: %s"):format(WRONG[what[0]], record), 3)
    end
end

--- Answers with records of the question's name; more calls add more.
-- @tparam string|number rtype
-- @tparam number ttl seconds; below 0 or above 2147483647 counts as 0
-- @tparam string ... rdata as in a master file
function Query:answer(rtype, ttl, record, ...)
    local hook = hook_of(self)
    add(hook, 1, nil, rtype, ttl, record)
    for i = 1, select("#", ...) do
        add(hook, 1, nil, rtype, ttl, (select(i, ...)))
    end
end

--- Adds a record of any name to a section.
-- @tparam string section "answer", "authority" or "additional", in this order
-- @tparam string owner
-- @tparam string|number rtype
-- @tparam number ttl seconds
-- @tparam string record
function Query:add(section, owner, rtype, ttl, record)
    add(hook_of(self), SECTIONS[section] or error("no such section: " .. section, 2),
        owner, rtype, ttl, record)
end

-- The bits above the lowest four travel in an OPT, which only those get who
-- have sent one (RFC 6891 section 6.1.3).
local function check_rcode(hook, rcode)
    if rcode > HEADER_RCODE_MAX and hook.udp_size == 0 then
        error(("rcode %s cannot be sent: the query has no EDNS"):format(
            dns.rcode[rcode]), 3)
    end
end

--- Answers with a response code and, so far, no records.
-- @tparam number|string rcode from 0 to 4095; above 15 only to queries with EDNS
function Query:respond(rcode)
    local hook = hook_of(self)
    local number = type(rcode) == "number" and rcode or dns.rcode[rcode]
    if not number or number < 0 or number > RCODE_MAX or number % 1 ~= 0 then
        error("unknown rcode " .. tostring(rcode), 2)
    end
    check_rcode(hook, number)
    C.dns_ffi_hook_begin(hook, number)
end

function Query:refuse()
    C.dns_ffi_hook_begin(hook_of(self), dns.rcode.REFUSED)
end

function Query:nxdomain()
    C.dns_ffi_hook_begin(hook_of(self), dns.rcode.NXDOMAIN)
end

--- Sends an empty answer with TC: whoever asked over UDP comes again over TCP.
-- Over other transports the query goes its way.
function Query:truncate()
    local hook = hook_of(self)
    if hook.transport == 0 and hook.out_room > 0 then
        C.dns_ffi_hook_begin(hook, 0)
        hook.out[2] = bit.bor(hook.out[2], 2)
    end
end

--- Sends nothing.
function Query:drop()
    hook_of(self).action = DROP
end

--- Lets upstreams answer, whatever the zones hold.
-- @tparam string upstreams addresses with spaces between
function Query:forward(upstreams)
    local hook = hook_of(self)
    if #upstreams == 0 or #upstreams > ffi.C.DNS_FFI_HOOK_FORWARD_MAX then
        error("bad upstreams", 2)
    end
    ffi.copy(hook.forward_to, upstreams, #upstreams)
    hook.forward_size = #upstreams
    hook.action = ASK
end

--- Looks another name up; the client sees its own.
-- @tparam string name
function Query:rewrite(name)
    local hook = hook_of(self)
    local wire = name_of.to_wire(name)
    if not wire then
        error("not a domain name: " .. name, 2)
    end
    ffi.copy(hook.new_name, wire, #wire)
    hook.new_name_size = #wire
    hook.action = ASK
end

--- The answer of this hook may be given to all who ask the same, without asking
-- the hook again, where there is a `dns_cache`.
-- @tparam number seconds
-- @tparam[opt] string tag for `require("dns.cache").purge(tag)`
function Query:cache(seconds, tag)
    local hook = hook_of(self)
    hook.cache_seconds = seconds
    if tag then
        hook.tag_size = math.min(#tag, ffi.C.DNS_FFI_HOOK_TAG_MAX)
        ffi.copy(hook.tag, tag, hook.tag_size)
    end
end

--- The response as a table, as dns.decode() gives it; nil where there is none.
function Query:response()
    local hook = hook_of(self)
    if hook.out_size == 0 then
        return nil
    end
    return dns.decode(ffi.string(hook.out, hook.out_size))
end

--- Puts another response in the place of the one that there is.
-- @tparam table|string response a table for dns.encode(), or octets
function Query:set_response(response)
    local hook = hook_of(self)
    local wire = type(response) == "string" and response
        or assert(dns.encode(response, hook.limit))
    local rcode = C.dns_ffi_message_rcode(wire, #wire)
    check_rcode(hook, rcode)
    if C.dns_ffi_hook_set(hook, wire, #wire) ~= 0 then
        error("not a response to this query", 2)
    end
    hook.rcode = rcode
end

local networks = {}

local function network_of(text_form)
    local network = networks[text_form]
    if not network then
        local address, length = text_form:match("^(.-)/(%d+)$")
        address = address or text_form
        local family = address:find(":", 1, true) and 6 or 4
        local all = family == 6 and 128 or 32
        network = {
            family = family,
            octets = ffi.new("uint8_t[16]"),
            bits = tonumber(length) or all,
        }
        local size = C.dns_ffi_rdata_from_text(
            family == 6 and dns.type.AAAA or dns.type.A, address, #address,
            nil, network.octets, library.error)
        if size < 0 or network.bits > all then
            error("not a network: " .. text_form, 3)
        end
        networks[text_form] = network
    end
    return network
end

--- Is the client's address in the network ("10.0.0.0/8", "2001:db8::/32")?
-- @tparam string network
-- @treturn boolean
function Query:client_in(network)
    local n = network_of(network)
    return C.dns_ffi_hook_client_in(hook_of(self), n.family, n.octets, n.bits) ~= 0
end

--- The client subnet that a resolver sends along (RFC 7871).
-- @treturn string|nil address octets, 4 or 16
-- @treturn number prefix length in bits
function Query:subnet()
    local family = C.dns_ffi_hook_subnet(hook_of(self), octets, bits)
    if family == 0 then
        return nil
    end
    return ffi.string(octets, family == 6 and 16 or 4), bits[0]
end

-- Of the query itself.
local getters = {
    name = function(hook)
        return ffi.string(text, C.dns_ffi_hook_name_text(hook, text))
    end,
    client = function(hook)
        return ffi.string(text, C.dns_ffi_hook_client_text(hook, text))
    end,
    type_name = function(hook)
        return dns.type[hook.type]
    end,
    rd = function(hook)
        return band(hook.flags, ffi.C.DNS_FFI_RD) ~= 0
    end,
}

local Handle = ffi.metatype("struct dns_ffi_hook_handle", {
    __index = function(self, field)
        local method = Query[field]
        if method then
            return method
        end
        local hook = hook_of(self)
        if FIELDS[field] then
            return hook[field]
        end
        local getter = getters[field]
        return getter and getter(hook)
    end,
    __newindex = function(_, field)
        error("a query has no field to set: " .. tostring(field), 2)
    end,
})

local query = {}

--- A script's object for the query that is there now.
-- @param life struct dns_ffi_hook_life, as a pointer or light userdata
-- @tparam number serial the life's
function query.handle(life, serial)
    return Handle(life, serial)
end

--- Calls a hook.  A chunk takes its arguments as "..." and is not compiled by
-- itself; within a call of this it is.
function query.run(hook, life, serial)
    hook(Handle(life, serial))
end

return query
