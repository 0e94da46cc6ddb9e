--- resolua explain: what a client would be answered, and why, by the running
-- server; without one, what the zones of the store hold of the name.
-- @module dns.commands.explain

local cjson = require "cjson.safe"
local dns = require "dns"
local console = require "dns.commands.console"
local service = require "dns.service"
local store_module = require "dns.store"
local zone_facts = require "dns.explain_zone"

local complain, say = console.complain, console.say

local DEFAULT_API = "http://127.0.0.1:8053/dns"
local SECONDS = 15 -- that a server may take

local commands = {}

commands.help = {
    explain = [[
usage: resolua [--data DIR | --store URL] explain NAME [TYPE]
               [--client ADDR] [--subnet NETWORK]
               [--transport udp|tcp|tls|https] [--server N] [--api URL]

Says what the client (127.0.0.1) would be answered and why: what the hooks of
the server decided and where, its cache, the zone, the node or wildcard, the
upstreams.  It asks the running server at --api (http://127.0.0.1:8053/dns),
with the key in RESOLUA_KEY if there is one; --server counts the servers with
"dns_serve on;" in the order of the configuration.  Without a running server it
says what the zones in --data or --store hold.
]],
}

local function quoted(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function escaped(text)
    return (text:gsub("[^%w%._%-]", function(c)
        return ("%%%02X"):format(c:byte())
    end))
end

local function arguments(values)
    local parts = {}
    for name, value in pairs(values) do
        parts[#parts + 1] = name .. "=" .. escaped(value)
    end

    return table.concat(parts, "&")
end

-- The answer of the endpoint; or nil and what is wrong.  The key goes to curl
-- by its standard input, where other users cannot read it.
local function fetch(url)
    local pipe = io.popen([[{ [ -z "$RESOLUA_KEY" ] || printf ]]
        .. [['header = "X-API-Key: %s"' "$RESOLUA_KEY"; } | ]]
        .. "curl -s -S -K - -m " .. SECONDS .. " " .. quoted(url) .. " 2>&1")
    local text = pipe:read("*a")
    pipe:close()

    local value = cjson.decode(text)
    if type(value) ~= "table" then
        return nil, (text:gsub("%s+$", ""))
    end

    return value, nil
end

local function say_steps(steps)
    for _, step in ipairs(steps) do
        say(("  %-12s%s%s\n"):format(step.step, step.at and step.at .. ": "
            or "", step.text))
    end
end

local function say_response(response)
    if response == cjson.null then
        say("no answer is sent\n")
        return
    end

    say(response.rcode, response.tc and ", truncated" or "", "\n")
    for _, section in ipairs { "answers", "authorities" } do
        for _, record in ipairs(response[section]) do
            say(("%s.\t%d\tIN\t%s\t%s\n"):format(record.name == "." and ""
                or record.name, record.ttl, record.type, record.record))
        end
    end
end

-- Configures what the zones are read from; gives whether that is there.
local function use_store(options)
    if options.store then
        local where, reason = require("dns.database").parse(options.store)
        if not where then
            complain("resolua: ", reason)
            return false
        end
        service.configure { databases = { where } }
        return true
    end
    if not store_module.exists(options.data) then
        console.complain_no_store(options.data)
        return false
    end

    service.configure { store = options.data }
    return true
end

-- What the store alone knows.
local function explain_zone(name, rtype, options)
    if not use_store(options) then
        return
    end

    local run = {}
    zone_facts.note(run, function(_, step, text)
        run[#run + 1] = { step = step, text = text }
    end, name, rtype)
    say_steps(run)
end

local function explain(words, options)
    local name, type_text = words[1], (words[2] or "A"):upper()
    local rtype = dns.type[type_text]
    if not name or not dns.name.to_wire(name) then
        return complain("resolua: a domain name is needed; see --help")
    end
    if not rtype then
        return complain("resolua: ", type_text, ": not a type")
    end

    local url = options.api or DEFAULT_API
    local value, reason = fetch(url .. "/explain?" .. arguments {
        name = name,
        type = type_text,
        client = options.client or "127.0.0.1",
        subnet = options.subnet,
        transport = options.transport,
        server = options.server,
    })
    if not value then
        complain("resolua: no answer from ", url, ": ", reason)
        explain_zone(name, rtype, options)
        return 1
    end
    if value.error then
        return complain("resolua: ", value.error)
    end

    say(("%s %s for %s, by the server at %s\n"):format(value.name, value.type,
        value.client, value.server))
    say_steps(value.steps)
    say_response(value.response)
    return 0
end

commands.run = { explain = explain }

return commands
