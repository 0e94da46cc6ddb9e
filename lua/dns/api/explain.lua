--- GET /dns/explain: what a client would be answered, and why.
-- @module dns.api.explain

local dns = require "dns"
local access = require "dns.api.access"
local changes = require "dns.api.changes"
local http = require "dns.api.http"
local json = require "dns.api.json"
local explain = require "dns.explain"

local name_of = dns.name

local SECTIONS = { "answers", "authorities", "additionals" }

-- Client and subnet; or nil and what is wrong.
local function parse_client(args)
    local client, subnet = args.client or ngx.var.remote_addr, args.subnet
    if type(client) ~= "string" or not explain.is_address(client) then
        return nil, "client: an address is expected"
    end
    if subnet ~= nil and (type(subnet) ~= "string"
        or not explain.is_network(subnet)) then
        return nil, "subnet: a network is expected, ADDRESS/BITS"
    end

    return client, subnet
end

-- The query of the arguments; or nil and what is wrong.
local function parse(args)
    if type(args.name) ~= "string" or not name_of.to_wire(args.name) then
        return nil, "name: a domain name is expected"
    end

    local rtype = changes.type_number(args.type or "A")
    if not rtype then
        return nil, "type: unknown"
    end

    local client, subnet = parse_client(args)
    if not client then
        return nil, subnet
    end

    local transport = explain.TRANSPORTS[args.transport or "udp"]
    if not transport then
        return nil, "transport: udp, tcp, tls or https is expected"
    end

    local count = explain.server_count()
    if count == 0 then
        return nil, "server: none serves DNS"
    end

    local server, wrong = http.number_argument(args, "server", 1, 1, count)
    if not server then
        return nil, wrong
    end

    return {
        name = args.name,
        type = rtype,
        client = client,
        subnet = subnet,
        transport = transport,
        server = server,
        dnssec_ok = args.dnssec == "1",
    }
end

local function response_table(response)
    if not response then
        return json.null
    end

    local out = {
        rcode = dns.rcode[response.rcode],
        aa = response.aa,
        tc = response.tc,
    }
    for _, section in ipairs(SECTIONS) do
        out[section] = json.list {}
        for i, record in ipairs(response[section]) do
            out[section][i] = {
                name = record.name,
                type = dns.type[record.type],
                ttl = record.ttl,
                record = record.record,
            }
        end
    end

    return out
end

local function get(context)
    local query, wrong = parse(ngx.req.get_uri_args())
    if not query then
        return http.send_error(400, wrong)
    end
    if not context.grant:sees(query.name) then
        return access.send_denied("see the name")
    end

    local found = explain.run(query)
    return http.send_json(200, {
        name = name_of.normalize(query.name),
        type = dns.type[query.type],
        client = query.client,
        server = found.at,
        steps = json.list(found.steps),
        response = response_table(found.response),
    })
end

local api = {}

--- Serves /dns/explain.
-- @tparam table context grant
-- @tparam {string,...} parts of the path
function api.serve(context, parts)
    if #parts > 1 then
        return http.send_error(404, "no such resource")
    end

    local handler = http.method_of({ GET = get })
    return handler and handler(context)
end

return api
