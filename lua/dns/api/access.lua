--- Who may ask the endpoints for what.
--
-- On loopback everybody may do everything, if the request calls this server by a
-- name of its own (dns.api.hosts); elsewhere a key is needed
-- (X-API-Key, or Authorization: Bearer), or a client certificate that nginx has
-- verified, or auth_basic in the location.  With `auth = "nginx"` the location's
-- other directives decide (allow and deny, auth_request); with `auth = "key"` a key is
-- needed on loopback as well.
-- @module dns.api.access

local guard = require "resolua.guard"
local hosts = require "dns.api.hosts"
local http = require "dns.api.http"
local keys = require "dns.api.keys"
local service = require "dns.service"

local TOLD_AGAIN = 60 -- seconds

local told = {} -- when the error log was told of something, in this worker

local AUTH = { nginx = true, key = true }

local function is_loopback(address)
    return address:find("^127%.") or address == "::1"
        or address:find("^::ffff:127%.") or address:find("^unix:")
end

-- The client, too: a proxy of this host may say who it asks for (real_ip).
local function is_over_loopback()
    return is_loopback(ngx.var.server_addr) and is_loopback(ngx.var.remote_addr)
end

local function log_once_a_while(what, reason)
    local now = ngx.now()
    if now - (told[what] or -math.huge) >= TOLD_AGAIN then
        told[what] = now
        ngx.log(ngx.ERR, reason)
    end
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

    local server, client = ngx.var.server_addr, ngx.var.remote_addr
    local who = ("this server listens on %s"):format(server)
    if not is_loopback(server) then
        who = who .. ", which is not loopback"
    elseif not is_loopback(client) then
        who = ("the client %s is not on loopback"):format(client)
    end

    local reason = ("access: %s, and no authentication "
        .. "is set up: make a key with \"resolua key add\", or put auth_basic "
        .. "into the location, or verify client certificates"):format(who)
    log_once_a_while(server, reason)
    http.send_error(403, reason)
    return nil
end

-- True after a 421 was sent.
local function is_misdirected(options)
    local host = hosts.foreign(options.hosts)
    if not host then
        return false
    end

    http.send_error(421, ("Host: \"%s\" is not known as a name of this server, "
        .. "and a request over loopback without a key needs one: a loopback "
        .. "address, localhost, or a name in serve{ hosts = {...} }"):format(
        host))
    return true
end

-- A page of another site lets a browser on this host send it: the browser would
-- be on loopback, whoever wrote the page is not.
local function is_foreign_page()
    local origin, host = http.header("Origin"), http.header("Host")
    local method = ngx.req.get_method()
    return origin ~= nil and method ~= "GET" and method ~= "HEAD"
        and origin:lower():match("^%a+://(.*)$") ~= (host or ""):lower()
end

-- What comes over loopback is trusted by where it comes from, also where nginx's
-- allow and deny have decided that.
local function trusts_address(options)
    if not is_over_loopback() then
        return true
    end
    if is_misdirected(options) then
        return false
    end
    if is_foreign_page() then
        http.send_error(403, "access: a page of another site asks; with a "
            .. "key it may")
        return false
    end

    return true
end

local function grant_without_key(options, has_keys)
    if ngx.var.ssl_client_verify == "SUCCESS" or guard.has_auth_basic() then
        return keys.everything
    end
    if options.auth ~= "nginx"
        and (options.auth == "key" or not is_over_loopback()) then
        return refuse(has_keys)
    end

    return trusts_address(options) and keys.everything or nil
end

local access = {}

--- Where keys, and what tools keep of zones, lie; nil: nowhere.
-- @tparam table options of serve()
function access.folder(options)
    return options.folder or service.folder()
end

local function check_options(options)
    local wrong = hosts.wrong_list(options.hosts)
    if options.auth and not AUTH[options.auth] then
        wrong = "auth is \"nginx\" or \"key\""
    end
    if wrong then
        error(wrong, 4)
    end
end

-- The keys that there are; nil and why they cannot be read.
local function listed_keys(options)
    local folder = access.folder(options)
    if not folder then
        return {}
    end

    local entries, reason = keys.list(keys.path(folder))
    if not entries then
        log_once_a_while(folder, "API keys cannot be read, every request "
            .. "but look-ups is refused: " .. reason)
    end

    return entries, reason
end

--- What the request's sender may do; nil after an error was sent.  The body has
-- not been read yet.
-- @tparam table options `auth`; `hosts`: names of this server; `folder`: in the
--   place of the embedded store's
-- @treturn Grant|nil
function access.grant(options)
    check_options(options)
    local entries = listed_keys(options)
    if not entries then
        http.send_error(500, "access: the API keys cannot be read; the error "
            .. "log says why")
        return nil
    end

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

--- May the request's sender look names up, as everybody may?  False after an
-- error was sent: a page of another site asks through a browser of this host.
-- @tparam table options as grant() takes them
function access.may_look_up(options)
    check_options(options)
    local key = presented_key()
    if not is_over_loopback()
        or (key and keys.grant(listed_keys(options) or {}, key)) then
        return true
    end

    return not is_misdirected(options)
end

--- Sends the error for what a key may not do.
function access.send_denied(what)
    return http.send_error(403, "key: may not " .. what)
end

return access
