--- Other programs: started, written to, read from and waited for by coroutines.
-- The processes themselves are C's (`runtime/pipe.c`).
-- @module ngx.pipe

local core = require "resolua.pipe"

local concat, floor = table.concat, math.floor
local find, sub = string.find, string.sub
local type, error, tostring = type, error, tostring

local STDIN, STDOUT, STDERR = 0, 1, 2
local ENDS = { stdin = STDIN, stdout = STDOUT, stderr = STDERR }
local TIMEOUT = 10000 -- ms
local BUFFER_SIZE = 4096 -- octets
local SECONDS_MAX = 2147483 -- of a timeout

local process = {}
local metatable = { __index = process }

-- Timeouts.

local function is_timeout(value)
    return type(value) == "number" and value >= 0 and value <= SECONDS_MAX * 1000
end

local function take_timeout(value, name, kind, level)
    if value ~= nil and not is_timeout(value) then
        error(("bad %s %s"):format(name, kind), level + 1)
    end
    return value and floor(value)
end

--- ms; nil leaves one as it is, 0 is no limit.
function process:set_timeouts(write, stdout_read, stderr_read, wait)
    self.timeouts[STDIN] = take_timeout(write, "write_timeout", "argument", 2)
        or self.timeouts[STDIN]
    self.timeouts[STDOUT] = take_timeout(stdout_read, "stdout_read_timeout",
        "argument", 2) or self.timeouts[STDOUT]
    self.timeouts[STDERR] = take_timeout(stderr_read, "stderr_read_timeout",
        "argument", 2) or self.timeouts[STDERR]
    self.wait_timeout = take_timeout(wait, "wait_timeout", "argument", 2)
        or self.wait_timeout
end

-- Reading.

-- What came before and nobody has taken, or nil, "closed".
local function next_piece(self, which)
    local left = self.left[which]
    if left then
        self.left[which] = nil
        return left
    end
    while true do
        local octets, reason = self.core:read(which, self.buffer_size)
        if octets or reason ~= "again" then
            return octets, reason
        end
        local ok, failed = self.core:wait(which, self.timeouts[which])
        if not ok then
            return nil, failed
        end
    end
end

local function keep(self, which, octets)
    if #octets > 0 then
        self.left[which] = octets
    end
end

local function read_all(self, which)
    local pieces, n = {}, 0
    while true do
        local octets, reason = next_piece(self, which)
        if not octets then
            if reason == "closed" and not (self.ended[which] and n == 0) then
                self.ended[which] = true
                return concat(pieces)
            end
            return nil, reason, concat(pieces)
        end
        n = n + 1
        pieces[n] = octets
    end
end

local function read_line(self, which)
    local pieces, n = {}, 0
    while true do
        local octets, reason = next_piece(self, which)
        if not octets then
            return nil, reason, concat(pieces)
        end
        n = n + 1
        local at = find(octets, "\n", 1, true)
        if at then
            pieces[n] = sub(octets, 1, at - 1)
            keep(self, which, sub(octets, at + 1))
            return concat(pieces)
        end
        pieces[n] = octets
    end
end

local function read_bytes(self, which, size)
    if type(size) ~= "number" or size < 0 then
        error("bad len argument", 2)
    end
    local pieces, n, missing = {}, 0, floor(size)
    while missing > 0 do
        local octets, reason = next_piece(self, which)
        if not octets then
            return nil, reason, concat(pieces)
        end
        n = n + 1
        pieces[n] = sub(octets, 1, missing)
        keep(self, which, sub(octets, missing + 1))
        missing = missing - #pieces[n]
    end
    return concat(pieces)
end

local function read_any(self, which, max)
    if type(max) ~= "number" or max < 1 then
        error("bad max argument", 2)
    end
    local octets, reason = next_piece(self, which)
    if not octets then
        return nil, reason, ""
    end
    keep(self, which, sub(octets, floor(max) + 1))
    return sub(octets, 1, floor(max))
end

for name, read in pairs { all = read_all, line = read_line,
        bytes = read_bytes, any = read_any } do
    process["stdout_read_" .. name] = function(self, size)
        return read(self, STDOUT, size)
    end
    process["stderr_read_" .. name] = function(self, size)
        if self.is_merged then
            return nil, "merged to stdout"
        end
        return read(self, STDERR, size)
    end
end

-- Writing.

local function text_of(data)
    local kind = type(data)
    if kind == "string" or kind == "number" then
        return tostring(data)
    elseif kind == "boolean" or kind == "nil" then
        return tostring(data)
    elseif kind ~= "table" then
        error(("bad data argument: string, number, boolean, nil or table "
            .. "expected, got %s"):format(kind), 3)
    end
    local parts = {}
    for i = 1, #data do
        parts[i] = text_of(data[i])
    end
    return concat(parts)
end

--- All of data: the number of octets.
function process:write(data)
    local text, at = text_of(data), 0
    repeat
        local count, reason = self.core:write(STDIN, text, at)
        if count then
            at = at + count
        elseif reason ~= "again" then
            return nil, reason
        else
            local ok, failed = self.core:wait(STDIN, self.timeouts[STDIN])
            if not ok then
                return nil, failed
            end
        end
    until at == #text
    return at
end

-- The process.

--- true or false, "exit" or "signal", the code or number
function process:wait()
    if self.is_waited_for then
        return nil, "exited"
    end
    local ok, failed = self.core:wait_exit(self.wait_timeout)
    if not ok then
        return nil, failed
    end
    self.is_waited_for = true
    local reason, code = self.core:status()
    return reason == "exit" and code == 0, reason, code
end

function process:pid()
    return self.core:pid()
end

function process:kill(number)
    if type(number) ~= "number" then
        error("bad signal argument: number expected, got " .. type(number), 2)
    end
    return self.core:kill(number)
end

--- "stdin", "stdout" or "stderr"
function process:shutdown(direction)
    local which = ENDS[direction]
    if not which then
        error(("bad shutdown arg: %s"):format(tostring(direction)), 2)
    end
    if which == STDERR and self.is_merged then
        return nil, "merged to stdout"
    end
    self.left[which] = nil
    return self.core:close(which)
end

-- Spawning.

local function check_strings(list, name)
    if type(list) ~= "table" then
        error(("bad %s: table expected, got %s"):format(name, type(list)), 3)
    end
    for i = 1, #list do
        if type(list[i]) ~= "string" then
            error(("bad value at index %d of %s: string expected, got %s")
                :format(i, name, type(list[i])), 3)
        end
    end
end

local function arguments_of(args)
    if type(args) == "string" then
        return { "/bin/sh", "-c", args }
    end
    if type(args) ~= "table" then
        error(("bad args argument: table expected, got %s"):format(type(args)), 3)
    end
    local list = {}
    for i = 1, #args do
        list[i] = tostring(args[i])
    end
    if #list == 0 then
        error("bad args argument: non-empty table expected", 3)
    end
    return list
end

local pipe = {}

--- Starts a program: a list of words, or a string for the shell.
-- @treturn table the process; or nil and the reason
function pipe.spawn(args, options)
    local list = arguments_of(args)
    options = options or {}
    if type(options) ~= "table" then
        error(("bad opts argument: table expected, got %s"):format(type(options)), 2)
    end
    if options.environ ~= nil then
        check_strings(options.environ, "environ option")
    end
    local size = options.buffer_size or BUFFER_SIZE
    if type(size) ~= "number" or size < 1 then
        error("bad buffer_size option", 2)
    end

    local function timeout(name)
        return take_timeout(options[name], name, "option", 3) or TIMEOUT
    end
    local self = {
        buffer_size = floor(size),
        is_merged = options.merge_stderr and true or false,
        timeouts = {
            [STDIN] = timeout("write_timeout"),
            [STDOUT] = timeout("stdout_read_timeout"),
            [STDERR] = timeout("stderr_read_timeout"),
        },
        wait_timeout = timeout("wait_timeout"),
        left = {},
        ended = {},
    }
    local child, reason = core.spawn(list, options.environ, self.is_merged)
    if not child then
        return nil, reason
    end
    self.core = child
    return setmetatable(self, metatable)
end

return pipe
