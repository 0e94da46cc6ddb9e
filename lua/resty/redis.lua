--- A client of Redis, with the interface that scripts know by this name.
--
--     local redis = require "resty.redis"
--     local red = redis:new()
--     red:set_timeouts(1000, 1000, 1000)
--     assert(red:connect("127.0.0.1", 6379))
--     local value, err = red:get("key") -- ngx.null: there is none
--     red:set_keepalive(10000, 100)
--
-- Every command of Redis is a method of its name in lower case.  It gives the
-- reply; `false` and a text for an error of Redis's; `nil` and a text when the
-- connection failed.  An object belongs to the request that made it.
-- @module resty.redis

local driver = require "resolua.redis"

local tcp = ngx.socket.tcp
local call, format = driver.call, driver.format
local send, read = driver.send, driver.read
local error, ipairs, pairs = error, ipairs, pairs
local rawset, select, setmetatable = rawset, select, setmetatable
local tonumber, tostring, type = tonumber, tostring, type

local Redis = { _VERSION = "0.30" }
local object = { __index = Redis }

-- What a client that has subscribed may send, and of what kind the replies are.
local SUBSCRIBING = {
    subscribe = true, unsubscribe = true,
    psubscribe = true, punsubscribe = true,
}
local MESSAGES = { message = true, pmessage = true }

-- Whether a transaction is open after these.
local TRANSACTION = { multi = true, exec = false, discard = false }

-- Whether a command is nothing but sent, and its reply read.
local function settle(self)
    self._is_plain = not (self._reqs or self._prefix or self._subscribed)
end

--- An object without a connection.
function Redis.new(_)
    return setmetatable({
        _sock = tcp(),
        _reqs = false, -- the pipeline's commands, or false
        _prefix = false, -- of a module, for the next command
        _subscribed = false,
        _transaction = false,
        _messages = false, -- that came before the reply to a command
        _is_plain = true, -- none of pipeline, prefix and subscription
    }, object)
end

--- One timeout for all operations, in milliseconds.
function Redis:set_timeout(timeout)
    local sock = self._sock
    if not sock then
        error("not initialized", 2)
    end
    sock:settimeout(timeout)
end

--- Timeouts in milliseconds.
function Redis:set_timeouts(connect, send_timeout, read_timeout)
    local sock = self._sock
    if not sock then
        error("not initialized", 2)
    end
    sock:settimeouts(connect, send_timeout, read_timeout)
end

local function set_options(self, options)
    local sock = self._sock

    if options.tcp_keepalive then
        local ok, err = sock:setoption("keepalive", true)
        if not ok then
            return nil, "failed to enable tcp keepalive: " .. err
        end
    end

    if options.ssl then
        local ok, err = sock:sslhandshake(false, options.server_name,
            options.ssl_verify)
        if not ok then
            return nil, "failed to do ssl handshake: " .. err
        end
    end

    if sock:getreusedtimes() > 0 then -- it was done when it was new
        return 1
    end

    local user, password, db = options.username, options.password, options.db
    if password and password ~= "" then
        local ok, err
        if user and user ~= "" then
            ok, err = self:auth(user, password)
        else
            ok, err = self:auth(password)
        end
        if not ok then
            return nil, "failed to authenticate: " .. tostring(err)
        end
    end

    if db then
        local ok, err = self:select(db)
        if not ok then
            return nil, ("failed to select database %s: %s"):format(db, err)
        end
    end

    return 1
end

-- What goes to the socket: pool names tell databases and users apart.
local function connect_options(host, port, options)
    local user, db = options.username, options.db
    if user == "" or not options.password or options.password == "" then
        user = nil
    end

    local pool = options.pool
    if not pool and (user or db) then
        pool = port and host .. ":" .. port or host
        pool = pool .. (user and "/" .. user or "") .. (db and "/" .. db or "")
    end

    return {
        pool = pool,
        pool_size = options.pool_size,
        backlog = options.backlog,
    }
end

local function connect_socket(sock, host, port, options)
    if options then
        options = connect_options(host, port, options)
    end

    if port then
        return sock:connect(host, port, options)
    end
    return sock:connect(host, options)
end

--- connect(host, port, options?) or connect("unix:PATH", options?).
-- @tparam[opt] table options ssl, ssl_verify, server_name, pool, pool_size,
--   backlog, username, password, db, tcp_keepalive
function Redis:connect(host, port, options)
    local sock = self._sock
    if not sock then
        return nil, "not initialized"
    end

    if type(host) ~= "string" then
        error("bad argument #1 host: string expected, got " .. type(host), 2)
    end
    if host:sub(1, 5) == "unix:" then
        port, options = nil, port
    elseif not tonumber(port) then
        error("bad argument #2 port: number expected, got " .. type(port), 2)
    else
        port = tonumber(port)
    end
    if options ~= nil and type(options) ~= "table" then
        error("bad argument options: table expected, got " .. type(options), 2)
    end

    self._reqs, self._prefix, self._messages = false, false, false
    self._subscribed, self._transaction = false, false
    self._is_plain = true

    local ok, err = connect_socket(sock, host, port, options)
    if ok and options then
        ok, err = set_options(self, options)
    end
    if not ok then
        sock:close()
        return nil, err
    end

    return 1
end

--- Keeps the connection for later, up to max_idle ms and so many of its kind.
function Redis:set_keepalive(...)
    local sock = self._sock
    if not sock then
        return nil, "not initialized"
    end
    if self._subscribed then
        return nil, "subscribed state"
    end
    if self._transaction then
        return nil, "in transaction"
    end

    return sock:setkeepalive(...)
end

function Redis:get_reused_times()
    local sock = self._sock
    if not sock then
        return nil, "not initialized"
    end
    return sock:getreusedtimes()
end

function Redis:close()
    local sock = self._sock
    if not sock then
        return nil, "not initialized"
    end
    self._subscribed, self._transaction = false, false
    settle(self)
    return sock:close()
end

-- How many channels the connection is subscribed to tells its state.
local function note_subscription(self, reply)
    if type(reply) == "table" and SUBSCRIBING[reply[1]] then
        self._subscribed = reply[3] ~= 0
        settle(self)
    end
end

-- What read() gave on a connection that waits for messages: it may time out.
-- Elsewhere the driver closes it, for a reply that is late would be taken for
-- the next command's.
local function check_message(self, sock, reply, ...)
    if reply == nil and (... ~= "timeout" or not self._subscribed) then
        sock:close()
    end
    note_subscription(self, reply)
    return reply, ...
end

-- The reply to a command of a connection that may have subscribed: messages that
-- come before it are kept for read_reply().
local function receive_after_messages(self, sock)
    while true do
        local reply, err = read(sock, 0, true)
        if type(reply) ~= "table" or not MESSAGES[reply[1]] then
            if err then
                return check_message(self, sock, reply, err)
            end
            return check_message(self, sock, reply)
        end

        local messages = self._messages or {}
        messages[#messages + 1] = reply
        self._messages = messages
    end
end

local function run_subscribing(self, name, ...)
    local sock = self._sock
    if not sock then
        return nil, "not initialized"
    end

    local sent, err = send(sock, name, ...)
    if not sent then
        return nil, err
    end

    return receive_after_messages(self, sock)
end

local function run_plain(self, name, ...)
    local sock = self._sock
    if not sock then
        return nil, "not initialized"
    end

    local prefix = self._prefix
    if prefix then
        name, self._prefix = prefix .. "." .. name, false
        settle(self)
    end

    local reqs = self._reqs
    if reqs then
        reqs[#reqs + 1] = format(name, ...)
        return
    end

    if self._subscribed then
        return run_subscribing(self, name, ...)
    end

    return call(sock, name, ...)
end

local function note_transaction(self, name, reply, ...)
    if reply or self._reqs then
        self._transaction = TRANSACTION[name]
    end
    return reply, ...
end

local function run_transaction(self, name, ...)
    return note_transaction(self, name, run_plain(self, name, ...))
end

-- The method of a command's name, made when it is first used.
local function make_method(class, name)
    if type(name) ~= "string" or name:sub(1, 1) == "_" then
        return nil
    end

    local run = SUBSCRIBING[name] and run_subscribing
        or TRANSACTION[name] ~= nil and run_transaction
    local function method(self, ...)
        if run then
            return run(self, name, ...)
        elseif self._is_plain then
            return call(self._sock, name, ...)
        end
        return run_plain(self, name, ...)
    end
    rawset(class, name, method)
    return method
end

setmetatable(Redis, { __index = make_method })

local run_hmset = make_method(Redis, "hmset")
local run_hmget = make_method(Redis, "hmget")

--- hmset(key, field, value, ...) or hmset(key, { field = value, ... }).
function Redis:hmset(key, ...)
    local fields = ...
    if select("#", ...) ~= 1 then
        return run_hmset(self, key, ...)
    end
    if type(fields) ~= "table" then
        error("bad argument #2: table expected, got " .. type(fields), 2)
    end

    local words = {}
    for field, value in pairs(fields) do
        words[#words + 1] = tostring(field)
        words[#words + 1] = tostring(value)
    end
    return run_hmset(self, key, words)
end

--- hmget(key, field, ...) or hmget(key, { field, ... }).
function Redis:hmget(key, ...)
    local fields = ...
    if select("#", ...) ~= 1 or type(fields) ~= "table" then
        return run_hmget(self, key, ...)
    end

    local words = {}
    for i, field in ipairs(fields) do
        words[i] = tostring(field)
    end
    return run_hmget(self, key, words)
end

--- The next message of a connection that has subscribed.
function Redis:read_reply()
    local sock = self._sock
    if not sock then
        return nil, "not initialized"
    end
    if not self._subscribed then
        return nil, "not subscribed"
    end

    local messages = self._messages
    if messages and messages[1] then
        return table.remove(messages, 1)
    end

    return check_message(self, sock, read(sock, 0, true))
end

--- From here on commands are collected.
function Redis:init_pipeline(_)
    self._reqs = {}
    self._is_plain = false
end

function Redis:cancel_pipeline()
    self._reqs = false
    settle(self)
end

--- Sends what was collected; an array of the replies.
function Redis:commit_pipeline()
    local reqs = self._reqs
    if not reqs then
        return nil, "no pipeline"
    end
    self._reqs = false
    settle(self)

    local sock = self._sock
    if not sock then
        return nil, "not initialized"
    end
    if not reqs[1] then
        return {}
    end

    local sent, err = sock:send(reqs)
    if not sent then
        return nil, err
    end

    return read(sock, #reqs)
end

--- { "a", 1, "b", 2 } as { a = 1, b = 2 }.
function Redis.array_to_hash(_, array)
    local hash = {}
    for i = 1, #array, 2 do
        hash[array[i]] = array[i + 1]
    end
    return hash
end

--- Does nothing: every command has its method.
function Redis.add_commands(_)
end

--- red:PREFIX():command() then runs PREFIX.COMMAND of a Redis module.
function Redis.register_module_prefix(prefix)
    Redis[prefix] = function(self)
        self._prefix = prefix
        self._is_plain = false
        return self
    end
end

return Redis
