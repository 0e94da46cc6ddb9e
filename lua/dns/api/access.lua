--- Who may ask the endpoints for what.
--
-- On loopback everybody may do everything; elsewhere a key is needed
-- (X-API-Key, or Authorization: Bearer), or a client certificate that nginx has
-- verified, or auth_basic in the location.  With `auth = "nginx"` the location's
-- other directives decide (allow and deny, auth_request); with `auth = "key"` a key is
-- needed on loopback as well.
-- @module dns.api.access

local guard = require "resolua.guard"
local http = require "dns.api.http"
local keys = require "dns.api.keys"
local service = require "dns.service"

local told = {} -- addresses that the error log has been told of

local AUTH = { nginx = true, key = true }

local function is_loopback(address)
    return address:find("^127%.") or address == "::1"
        or address:find("^::ffff:127%.") or address:find("^unix:")
end

local function presented_key()
    local key = http.header("X-API-Key")
    if key then
        return key
    end

    local authorization = http.header("Authorization")
    return authorization and authorization:match("^[Bb]earer%s+(%S+)$")
end

local function send_unknown(reason)
    ngx.header["WWW-Authenticate"] = "Bearer"
    return http.send_error(401, "key: " .. reason)
end

local function refuse(has_keys)
    if has_keys then
        send_unknown("missing (X-API-Key, or Authorization: Bearer)")
        return nil
    end

    local address = ngx.var.server_addr
    local reason = ("access: this server listens on %s, and no authentication "
        .. "is set up: make a key with \"resolua key add\", or put auth_basic "
        .. "into the location, or verify client certificates"):format(is_loopback(address)
        and address or address .. ", which is not loopback")
    if not told[address] then -- once in each worker
        told[address] = true
        ngx.log(ngx.ERR, reason)
    end
    http.send_error(403, reason)
    return nil
end

-- A page of another site lets a browser on this host send it: the browser would
-- be on loopback, whoever wrote the page is not.
local function is_foreign_page()
    local origin, host = http.header("Origin"), http.header("Host")
    local method = ngx.req.get_method()
    return origin ~= nil and method ~= "GET" and method ~= "HEAD"
        and origin:match("^%a+://(.*)$") ~= host
end

local function grant_without_key(options, has_keys)
    if options.auth == "nginx" or ngx.var.ssl_client_verify == "SUCCESS"
        or guard.has_auth_basic() then
        return keys.everything
    end
    if options.auth == "key" or not is_loopback(ngx.var.server_addr) then
        return refuse(has_keys)
    end
    if is_foreign_page() then
        http.send_error(403, "access: a page of another site asks; with a "
            .. "key it may")
        return nil
    end

    return keys.everything
end

local access = {}

--- Where keys, and what tools keep of zones, lie; nil: nowhere.
-- @tparam table options of serve()
function access.folder(options)
    return options.folder or service.folder()
end

--- What the request's sender may do; nil after an error was sent.
-- @tparam table options `auth`; `folder`: in the place of the embedded store's
-- @treturn Grant|nil
function access.grant(options)
    if options.auth and not AUTH[options.auth] then
        error("auth is \"nginx\" or \"key\"", 3)
    end

    local folder = access.folder(options)
    local entries = folder and keys.list(keys.path(folder)) or {}
    local has_keys = #entries > 0
    local key = presented_key()
    if not key or not has_keys then -- clients may insist on sending one
        return grant_without_key(options, has_keys)
    end

    local grant = keys.grant(entries, key)
    if not grant then
        send_unknown("unknown or revoked")
    end

    return grant
end

--- Sends the error for what a key may not do.
function access.send_denied(what)
    return http.send_error(403, "key: may not " .. what)
end

return access
