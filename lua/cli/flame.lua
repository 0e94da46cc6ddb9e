--- `resolua flame`: where running workers spend their time.
-- @module cli.flame

local ffi = require "ffi"
local paths = require "cli.paths"
local flame_svg = require "cli.flame_svg"

ffi.cdef [[
    struct cli_sockaddr_un { uint16_t family; char path[108]; };
    int socket(int domain, int type, int protocol);
    int connect(int fd, const struct cli_sockaddr_un *address, uint32_t size);
    int64_t send(int fd, const char *octets, size_t size, int flags);
    int64_t recv(int fd, char *octets, size_t size, int flags);
    int shutdown(int fd, int how);
    int close(int fd);
    int poll(void *fds, unsigned long count, int ms);
    int open(const char *path, int flags, ...);
    int64_t write(int fd, const void *octets, size_t size);
    char *strerror(int number);
]]

local C = ffi.C
local AF_UNIX, SOCK_STREAM, SHUT_WR = 1, 1, 1
local MSG_NOSIGNAL, MSG_DONTWAIT = 0x4000, 0x40
local EAGAIN = 11
local O_WRONLY, O_CREAT, O_EXCL = 1, 0x40, 0x80
local MAP_MODE = 384 -- 0600

local HELP = [[
usage: resolua flame [--time SECONDS] [--lua | --c] [--pid PID ...] -o FILE.svg

Looks at what the workers of running servers do and draws a flame graph: with
--lua (the default) the stacks of Lua, with --c those of C by perf.  All workers
are watched, or those that --pid names (a master stands for its workers).

  --time SECONDS   how long (10)
  --interval MS    between two looks at Lua's stacks (1)
  --folded         writes the stacks as text: "frame;frame;frame COUNT"
  -o FILE          where to; "-" is standard output

The profiler of a worker is off but for this time; with --c Lua is compiled anew
at its start, so that perf learns where compiled code begins.  Only root and the
workers' own user may look; workers of others are left out.
]]

local function fail(...)
    io.stderr:write("resolua flame: ", ...)
    io.stderr:write("\n")
    os.exit(1)
end

local function positive(word, value)
    local number = tonumber(value)
    if not number or number <= 0 or number > 86400 then
        fail(word, " ", value or "", ": a number above 0 is needed")
    end
    return number
end

local function parse(words)
    local options = { time = 10, interval = 1, pids = {}, kind = "lua" }
    local i = 1
    while words[i] do
        local word, value = words[i], words[i + 1]
        i = i + 2
        if word == "--time" then
            options.time = positive(word, value)
        elseif word == "--interval" then
            options.interval = math.floor(positive(word, value))
        elseif word == "--pid" then
            table.insert(options.pids, positive(word, value))
        elseif word == "-o" then
            options.out = value or fail("-o needs a value")
        elseif word == "--lua" or word == "--c" or word == "--folded" then
            i = i - 1
            options[word == "--folded" and "folded" or "kind"] = word:sub(3)
        elseif word == "--help" or word == "-h" then
            io.stdout:write(HELP)
            os.exit(0)
        else
            fail("unknown option ", word, "; see resolua flame --help")
        end
    end
    if not options.out then
        fail("-o FILE is needed; see resolua flame --help")
    end
    return options
end

local function read_file(path)
    local file = io.open(path)
    local text = file and file:read("*a") or ""
    if file then
        file:close()
    end
    return text
end

-- All of our workers' process ids, or those at or below the given ones.
local function find_workers(pids)
    local workers, wanted = {}, {}
    for _, pid in ipairs(pids) do
        wanted[pid] = true
        local children = read_file(("/proc/%d/task/%d/children"):format(pid, pid))
        for child in children:gmatch("%d+") do
            wanted[tonumber(child)] = true
        end
    end
    local seen = {}
    for pid in read_file("/proc/net/unix"):gmatch("@resolua%-worker%-(%d+)") do
        pid = tonumber(pid)
        if not seen[pid] and (#pids == 0 or wanted[pid]) then
            seen[pid] = true
            workers[#workers + 1] = pid
        end
    end
    return workers
end

-- Lua's stacks, from the workers' own sampler.

-- nil: it does not listen, or in another network namespace.
local function connect(pid)
    local address = ffi.new("struct cli_sockaddr_un")
    local name = "resolua-worker-" .. pid
    address.family = AF_UNIX
    ffi.copy(address.path + 1, name, #name) -- an abstract name begins with NUL
    local fd = C.socket(AF_UNIX, SOCK_STREAM, 0)
    if fd < 0 then
        fail("no socket: ", ffi.string(C.strerror(ffi.errno())))
    end
    if C.connect(fd, address, 3 + #name) ~= 0 then
        C.close(fd)
        return nil
    end
    return fd
end

local function receive_all(fd)
    local room = 65536
    local octets, pieces = ffi.new("char[?]", room), {}
    while true do
        local size = tonumber(C.recv(fd, octets, room, 0))
        if size <= 0 then
            C.close(fd)
            return table.concat(pieces), size == 0
        end
        pieces[#pieces + 1] = ffi.string(octets, size)
    end
end

local function add_folded(stacks, text)
    for stack, count in text:gmatch("([^\n]+) (%d+)\n") do
        stacks[stack] = (stacks[stack] or 0) + tonumber(count)
    end
end

-- A worker closes the connection of somebody whom it does not answer; of the
-- others it waits for the end.
local function is_open(fd)
    if C.recv(fd, ffi.new("char[1]"), 1, MSG_DONTWAIT) < 0
        and ffi.errno() == EAGAIN then
        return true
    end
    C.close(fd)
    return false
end

-- Sends a command to the workers, waits for work() and gives {pid, text} of each
-- that answers.  Another user's workers and those that somebody else watches
-- are left out with a word, but not when --pid named them.
local function ask_workers(options, workers, command, work)
    local fds, answers = {}, {}
    for i, pid in ipairs(workers) do
        fds[i] = connect(pid)
        if fds[i] then
            C.send(fds[i], command, #command, MSG_NOSIGNAL)
        end
    end
    work()
    for i, pid in ipairs(workers) do
        local text, is_whole
        if fds[i] and is_open(fds[i]) then
            C.shutdown(fds[i], SHUT_WR)
            text, is_whole = receive_all(fds[i])
        end
        if is_whole then
            answers[#answers + 1] = { pid = pid, text = text }
        elseif #options.pids > 0 then
            fail("worker ", pid, " is being watched, or may not be")
        else
            io.stderr:write("resolua flame: worker ", pid, " is left out: it",
                " belongs to another user, or is being watched already\n")
        end
    end
    return answers
end

local function sample_lua(options, workers)
    local stacks = {}
    local answers = ask_workers(options, workers,
        ("sample %d\n"):format(options.interval), function()
            C.poll(nil, 0, options.time * 1000)
        end)
    for _, answer in ipairs(answers) do
        add_folded(stacks, answer.text)
    end
    return stacks, #answers
end

-- C's stacks, from perf.

-- Compiled Lua keeps no frame pointers: what perf finds below it has no name and
-- is left out.
local function add_perf(stacks, lines)
    local frames
    for line in lines do
        local name = line:match("^%s+%x+ (.-)%+0x%x+ %(") or line:match("^%s+%x+ (.-) %(")
        if name == "[unknown]" and frames and #frames > 0 then
            name = nil
        end
        if line == "" and frames then
            local stack = table.concat(frames, ";")
            stacks[stack] = (stacks[stack] or 0) + 1
            frames = nil
        elseif name and frames then
            table.insert(frames, 1, (name:gsub(";", ":")))
        elseif line:find("^%S") then
            frames = {}
        end
    end
end

-- Where perf looks for the names of code that a process has made itself.
local function write_map(answer)
    local path = ("/tmp/perf-%d.map"):format(answer.pid)
    os.remove(path)
    local fd = C.open(path, bit.bor(O_WRONLY, O_CREAT, O_EXCL),
        ffi.cast("int", MAP_MODE))
    if fd >= 0 then
        C.write(fd, answer.text, #answer.text)
        C.close(fd)
    end
    return path
end

local function record(options, workers, path)
    local log = path .. ".log"
    local done = os.execute(("perf record -F 997 -g -p %s -o '%s' -- sleep %g >'%s' 2>&1")
        :format(table.concat(workers, ","), path, options.time, log))
    local reason = read_file(log):match("[^\n]+")
    os.remove(log)
    return done == 0, reason
end

local function sample_c(options, workers)
    if os.execute("command -v perf >/dev/null 2>&1") ~= 0 then
        fail("perf is not installed (Debian: linux-perf)")
    end
    local path = os.tmpname()
    local ok, reason
    local answers = ask_workers(options, workers, "map\n", function()
        ok, reason = record(options, workers, path)
    end)
    if not ok then
        os.remove(path)
        fail("perf record: ", reason or "failed")
    end
    local maps = {}
    for i, answer in ipairs(answers) do
        maps[i] = write_map(answer)
    end
    local stacks = {}
    local pipe = io.popen(("perf script -i '%s' 2>/dev/null"):format(path))
    add_perf(stacks, pipe:lines())
    pipe:close()
    for _, file in ipairs(maps) do
        os.remove(file)
    end
    os.remove(path)
    return stacks, #workers
end

local function write(options, text)
    if options.out == "-" then
        io.stdout:write(text)
        return
    end
    local file, reason = io.open(options.out, "w")
    if not file then
        fail(reason)
    end
    file:write(text)
    file:close()
end

local function folded(stacks)
    local lines = {}
    for stack, count in pairs(stacks) do
        lines[#lines + 1] = ("%s %d\n"):format(stack, count)
    end
    table.sort(lines)
    return table.concat(lines)
end

local flame = {}

--- @tparam {string,...} words what follows "resolua flame"
-- @treturn number exit code
function flame.main(words)
    local options = parse(words)
    local workers = find_workers(options.pids)
    if #workers == 0 then
        fail("no worker of a running server is found")
    end
    local stacks, count = (options.kind == "c" and sample_c or sample_lua)(options,
        workers)
    if count == 0 then
        fail("no worker may be watched")
    end
    if not next(stacks) then
        fail("nothing was seen: the workers had nothing to do")
    end
    local title = ("%s of %d worker%s, %g s"):format(
        options.kind == "c" and "C" or "Lua", count,
        count == 1 and "" or "s", options.time)
    write(options, options.folded and folded(stacks) or flame_svg.draw(stacks,
        title, read_file(paths.lua[1] .. "/cli/flame_view.js")))
    return 0
end

return flame
