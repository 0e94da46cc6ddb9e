--- A client of MySQL and MariaDB, with the interface that scripts know by this
-- name.
--
--     local mysql = require "resty.mysql"
--     local db = assert(mysql:new())
--     db:set_timeout(1000)
--     assert(db:connect{ host = "127.0.0.1", user = "u", password = "p",
--                        database = "d" })
--     local rows, err, code, sqlstate = db:query("SELECT * FROM cats")
--     db:set_keepalive(10000, 100)
--
-- Columns of numbers are numbers, but for those of 64 bits, which are text;
-- NULL is ngx.null.  An object belongs to the request that made it.
-- @module resty.mysql

local driver = require "resolua.mysql"

local quote, tcp = ngx.quote_sql_str, ngx.socket.tcp
local connect, read, send = driver.connect, driver.read, driver.send
local setmetatable, tostring, type = setmetatable, tostring, type

local Mysql = { _VERSION = "0.27" }
local object = { __index = Mysql }

local CONNECTED, SENT = 1, 2 -- states, as they stand in error texts

local DEFAULT_PORT = 3306
local UNKNOWN_CHARSET = 2019 -- CR_CANT_READ_CHARSET
local TLS_MISSING = "ssl disabled on server"
local TLS_FAILED = 2026 -- CR_SSL_CONNECTION_ERROR

--- An object without a connection.
function Mysql.new(_)
    return setmetatable({
        sock = tcp(),
        state = nil,
        compact = false,
    }, object)
end

--- One timeout for all operations, in milliseconds.
function Mysql:set_timeout(timeout)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    return sock:settimeout(timeout)
end

--- Timeouts in milliseconds.
function Mysql:set_timeouts(connect_timeout, send_timeout, read_timeout)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    return sock:settimeouts(connect_timeout, send_timeout, read_timeout)
end

local function pool_name(options, host, port)
    local who = (options.user or "") .. ":" .. (options.database or "") .. ":"

    return port and who .. host .. ":" .. port or who .. host
end

-- What scripts know of a failure, from what libmariadb says.
local function connect_error(options, err, code, sqlstate)
    if not code then
        if err:find("too many waiting", 1, true) or err == TLS_MISSING then
            return nil, err
        end
        return nil, "failed to connect: " .. err
    end

    if code == UNKNOWN_CHARSET then
        return nil, "charset '" .. tostring(options.charset)
            .. "' is not supported"
    end
    if code == TLS_FAILED and err:find("does not support", 1, true) then
        return nil, TLS_MISSING
    end
    if code == TLS_FAILED then
        return nil, "failed to do ssl handshake: " .. err
    end

    return nil, err, code, sqlstate
end

--- Connects, or takes a kept connection of the same pool.
-- @tparam table options host and port or path, user, password, database,
--   charset ("utf8mb4"), max_packet_size (1 MiB), ssl, ssl_verify,
--   server_public_key (a file), pool, pool_size, backlog, compact_arrays
-- @treturn number|nil 1
-- @treturn string why not
-- @treturn number the server's error code
-- @treturn string sqlstate
function Mysql:connect(options)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end

    local host, port = options.host, nil
    if host then
        port = options.port or DEFAULT_PORT
    elseif options.path then
        host = "unix:" .. options.path
    else
        return nil, 'neither "host" nor "path" options are specified'
    end

    self.state = nil
    self.compact = options.compact_arrays and true or false

    local ok, err, code, sqlstate = connect(sock, host, port, {
        user = options.user or "",
        password = options.password or "",
        database = options.database,
        charset = options.charset,
        max_packet_size = options.max_packet_size,
        ssl = options.ssl,
        ssl_verify = options.ssl_verify,
        server_public_key = options.server_public_key,
        pool = options.pool
            or pool_name(options, options.host or options.path, port),
        pool_size = options.pool_size,
        backlog = options.backlog,
    })
    if not ok then
        return connect_error(options, err, code, sqlstate)
    end

    self.state = CONNECTED
    return 1
end

--- Keeps the connection for later, up to max_idle ms and so many of its kind.
function Mysql:set_keepalive(...)
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    if self.state ~= CONNECTED then
        return nil, "cannot be reused in the current connection state: "
            .. (self.state or "nil")
    end

    self.state = nil
    return sock:setkeepalive(...)
end

function Mysql:get_reused_times()
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    return sock:getreusedtimes()
end

function Mysql:close()
    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end
    self.state = nil
    return sock:close()
end

--- The server's version, such as "10.11.6-MariaDB"; nil without a connection.
function Mysql:server_ver()
    return driver.version(self.sock)
end

--- Sends statements without waiting for their results.
-- @tparam string statements
-- @treturn number|nil octets that went out
-- @treturn string why not
function Mysql:send_query(statements)
    if self.state ~= CONNECTED then
        return nil, "cannot send query in the current context: "
            .. (self.state or "nil")
    end

    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end

    if type(statements) == "table" then
        statements = table.concat(statements)
    end

    local octets, err = send(sock, statements)
    if not octets then
        return nil, "failed to send query: " .. err
    end

    self.state = SENT
    return octets
end

-- A failed connection stays in its state: it is good for nothing more.
local function finish_read(self, result, err, code, sqlstate)
    if result then
        if err ~= "again" then
            self.state = CONNECTED
            return result
        end
        return result, err
    end

    if not code then
        return nil, "failed to receive packet header: " .. err
    end

    self.state = CONNECTED
    return nil, err, code, sqlstate
end

--- The next result.
-- @treturn table|nil rows, or { insert_id, affected_rows, server_status,
--   warning_count, message }
-- @treturn string "again": results follow; else why there is none
-- @treturn number the server's error code
-- @treturn string sqlstate
function Mysql:read_result(_)
    if self.state ~= SENT then
        return nil, "cannot read result in the current context: "
            .. (self.state or "nil")
    end

    local sock = self.sock
    if not sock then
        return nil, "not initialized"
    end

    return finish_read(self, read(sock, self.compact))
end

--- Sends statements and reads the first result.
function Mysql:query(statements, rows)
    local octets, err = self:send_query(statements)
    if not octets then
        return nil, err
    end

    return self:read_result(rows)
end

--- The text as it may stand between the quotes of a literal; see also
-- ngx.quote_sql_str, which adds the quotes.
function Mysql.escape(_, text)
    return quote(text):sub(2, -2)
end

--- Whether the rows of the results to come are arrays.
function Mysql:set_compact_arrays(value)
    self.compact = value and true or false
end

return Mysql
