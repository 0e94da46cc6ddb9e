--- By which names a request over loopback may call this server.
--
-- A browser on this host is on loopback, whoever wrote the page that it shows is
-- not: that page's own name may be made to lead to 127.0.0.1 (DNS rebinding).
-- The request's Host then is a name of theirs.  Names that nobody else can make
-- are loopback's addresses, "localhost", and those that the operator lists.
-- @module dns.api.hosts

local dns = require "dns"
local http = require "dns.api.http"

local LOOPBACK6 = ("\0"):rep(15) .. "\1"
local MAPPED = ("\0"):rep(10) .. "\255\255\127" -- ::ffff:127.0.0.0/104

-- Small letters, without port, brackets and final dot; nil: it is no host.
local function bare(host)
    local text = host:match("^%[([%x:.]+)%]:?%d*$")
        or host:match("^([^:%[%]]+):?%d*$")
    return text and text:lower():gsub("%.$", "") or nil
end

local function is_loopback_address(text)
    if not text:find("^[%x:.]+$") then
        return false
    end

    local octets = dns.rdata_from_text(dns.type.A, text)
        or dns.rdata_from_text(dns.type.AAAA, text)
    return octets ~= nil and (#octets == 4 and octets:byte() == 127
        or octets == LOOPBACK6 or octets:sub(1, #MAPPED) == MAPPED)
end

local function is_listed(list, name)
    for _, item in ipairs(list or {}) do
        if bare(item) == name then
            return true
        end
    end

    return false
end

local function is_own(host, list)
    local name = host and bare(host)
    return name ~= nil and (name == "localhost" or is_loopback_address(name)
        or is_listed(list, name))
end

-- The hosts that the request speaks of: its Host; that of an absolute request
-- target, which goes before it (RFC 9112 section 3.2.2); that which a proxy was
-- asked for.
local function named_hosts()
    local target = ngx.var.request:match("^%S+%s+%a[%w+.-]*://([^/?#%s]*)")
    return { http.header("Host") or "", target or nil,
        (http.header("X-Forwarded-Host")) }
end

local hosts = {}

--- What is wrong with `hosts` of serve(), or nil.
function hosts.wrong_list(list)
    if list == nil then
        return nil
    end
    if type(list) ~= "table" then
        return "hosts is a list of names"
    end

    for i, item in ipairs(list) do
        if type(item) ~= "string" or not bare(item) then
            return ("hosts[%d] is not a host name"):format(i)
        end
    end

    return nil
end

--- The first host of the request that is none of this server's; nil: all are.
-- @tparam {string,...}|nil list of names that the operator gave
function hosts.foreign(list)
    local named = named_hosts()
    for i = 1, 3 do
        if named[i] and not is_own(named[i], list) then
            return named[i]
        end
    end

    return nil
end

return hosts
