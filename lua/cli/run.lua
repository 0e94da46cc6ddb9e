--- `resolua run`: writes a configuration for one short-lived nginx and becomes
-- it, so that exit code, signals, input and output are the program's own.
-- @module cli.run

local ffi = require "ffi"
local paths = require "cli.paths"

ffi.cdef [[
    extern char **environ;
    int fork(void);
    int setsid(void);
    int pipe(int ends[2]);
    int close(int fd);
    int dup2(int from, int to);
    int open(const char *path, int flags, ...);
    int64_t read(int fd, void *octets, size_t size);
    void _exit(int code);
    int waitpid(int pid, int *status, int options);
    int execvp(const char *file, const char *const argv[]);
    char *mkdtemp(char *template);
    char *strerror(int number);
]]

local C = ffi.C
local O_RDWR = 2

local HELP = [[
usage: resolua run [OPTION ...] [-e CODE] [FILE] [ARG ...]

Runs Lua inside a short-lived nginx with all of the API: FILE, or CODE, or CODE
and then FILE; "-" is standard input.  ngx.say, ngx.print and print write to
standard output, "arg" holds the arguments, ngx.exit and os.exit give the exit
code; an error gives 1.

  -e CODE             may be repeated
  -l NAME             require NAME first; may be repeated
  -I DIR              look for modules in DIR first; may be repeated
  --shdict 'NAME SIZE'  a shared dict; may be repeated
  --http-conf TEXT    goes into http {}; may be repeated
  --stream-conf TEXT  goes into stream {}; may be repeated
  --main-conf TEXT    goes to the top level; may be repeated
  --ns ADDR           name server for host names (those of /etc/resolv.conf)
  -c N                connections at once (1024)
  --errlog-level L    debug, info, notice, warn (the default), error ...
  -j v|dump|off       LuaJIT's log of what it compiles; the same with bytecode
                      and machine code; nothing is compiled
  --jv[=FILE]         as -j v, into FILE
  --jdump[=FILE]      as -j dump, into FILE
  --nginx PATH        another nginx
]]

-- option -> {name, kind}: "list" collects, "value" takes one.
local OPTIONS = {
    ["-e"] = { "codes", "list" },
    ["-l"] = { "libraries", "list" },
    ["-I"] = { "folders", "list" },
    ["--shdict"] = { "dicts", "list" },
    ["--http-conf"] = { "http", "list" },
    ["--stream-conf"] = { "stream", "list" },
    ["--main-conf"] = { "main", "list" },
    ["--ns"] = { "servers", "list" },
    ["-c"] = { "connections", "value" },
    ["--errlog-level"] = { "level", "value" },
    ["--nginx"] = { "nginx", "value" },
    ["-j"] = { "jit", "value" },
}

-- What -j takes, and the option that it stands for.
local JIT = { v = "jv", dump = "jdump", off = "joff" }

local LEVELS = { debug = 1, info = 1, notice = 1, warn = 1, error = 1, crit = 1,
    alert = 1, emerg = 1 }

local function fail(...)
    io.stderr:write("resolua run: ", ...)
    io.stderr:write("\n")
    os.exit(1)
end

local function take_option(options, words, i)
    local word = words[i]
    local long, value = word:match("^(%-%-[%w-]+)=(.*)$")
    if word == "--jv" or word == "--jdump" or long == "--jv" or long == "--jdump" then
        options[(long or word):sub(3)] = value or ""
        return i + 1
    end
    local option = OPTIONS[long or word]
    if not option then
        fail("unknown option ", word, "; see resolua run --help")
    end
    if not value then
        i = i + 1
        value = words[i] or fail(word, " needs a value")
    end
    if option[2] == "list" then
        table.insert(options[option[1]], value)
    else
        options[option[1]] = value
    end
    return i + 1
end

local function parse(words)
    local options = { connections = "1024", level = "warn", nginx = "nginx", arg = {} }
    for _, option in pairs(OPTIONS) do
        options[option[1]] = option[2] == "list" and {} or options[option[1]]
    end
    local i = 1
    while words[i] and words[i]:find("^%-.") do
        if words[i] == "--help" or words[i] == "-h" then
            io.stdout:write(HELP)
            os.exit(0)
        elseif words[i] == "--" then
            i = i + 1
            break
        end
        i = take_option(options, words, i)
    end
    options.file = words[i]
    options.arg[0] = words[i]
    for n = i + 1, #words do
        options.arg[n - i] = words[n]
    end
    return options
end

local function check(options)
    if not options.file and #options.codes == 0 then
        fail("neither a file nor -e CODE; see resolua run --help")
    end
    if not options.connections:find("^[1-9]%d?%d?%d?%d?%d?$") then
        fail("-c ", options.connections, ": not a number from 1 to 999999")
    end
    if options.jit then
        local name = JIT[options.jit] or fail("-j ", options.jit,
            ": v, dump or off is needed")
        options[name] = options[name] or ""
    end
    if not LEVELS[options.level] then
        fail("--errlog-level ", options.level, ": no such level")
    end
    for _, dict in ipairs(options.dicts) do
        if not dict:find("^%s*[%w_.-]+%s+%d+[kKmMgG]?%s*$") then
            fail("--shdict ", dict, ": NAME SIZE expected")
        end
    end
end

-- A value of strings and tables as Lua text.
local function to_lua(value)
    if type(value) ~= "table" then
        return type(value) == "string" and ("%q"):format(value) or tostring(value)
    end
    local parts = {}
    for key, item in pairs(value) do
        parts[#parts + 1] = ("[%s] = %s"):format(to_lua(key), to_lua(item))
    end
    return "{ " .. table.concat(parts, ", ") .. " }"
end

-- nginx drops the environment but for the names that it is told.
local function environment()
    local lines = {}
    local at = 0
    while C.environ[at] ~= nil do
        local name = ffi.string(C.environ[at]):match("^([%a_][%w_]*)=")
        lines[#lines + 1] = name and ("env %s;"):format(name)
        at = at + 1
    end
    return table.concat(lines, "\n")
end

-- Those of resolv.conf, if none is given.
local function resolver(servers)
    if #servers == 0 then
        local file = io.open("/etc/resolv.conf")
        for line in file and file:lines() or function() end do
            local address = line:match("^nameserver%s+([%x.:]+)")
            servers[#servers + 1] = address
        end
        if file then
            file:close()
        end
    end
    for i, address in ipairs(servers) do
        local is_bare6 = address:find(":.*:") and not address:find("^%[")
        servers[i] = is_bare6 and ("[%s]"):format(address) or address
    end
    return #servers > 0 and ("resolver %s;"):format(table.concat(servers, " ")) or ""
end

local function search_path(options)
    local parts = {}
    for _, folder in ipairs(options.folders) do
        parts[#parts + 1] = folder .. "/?.lua"
        parts[#parts + 1] = folder .. "/?/init.lua"
    end
    for _, folder in ipairs(paths.lua) do
        parts[#parts + 1] = folder .. "/?.lua"
    end
    return table.concat(parts, ";") .. ";"
end

local function has_resolver(texts)
    return table.concat(texts, "\n"):find("%f[%w_]resolver%s")
end

local TEMPLATE = [[
load_module "MODULES/ndk_http_module.so";
load_module "MODULES/ngx_stream_module.so";
load_module "RESOLUA";
daemon off;
master_process off;
worker_processes 1;
pid FOLDER/nginx.pid;
lock_file FOLDER/nginx.lock;
error_log stderr LEVEL;
ENVIRONMENT
MAIN
DICTS
init_by_lua_block { package.path = PATH .. package.path }
init_worker_by_lua_block { require("cli.program").start(OPTIONS) }
lua_sa_restart on;
events { worker_connections CONNECTIONS; }
stream { STREAM_RESOLVER STREAM }
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    HTTP_RESOLVER HTTP
}
]]

local function configuration(options, folder)
    local dicts = {}
    for i, dict in ipairs(options.dicts) do
        dicts[i] = ("lua_shared_dict %s;"):format(dict)
    end
    local line = resolver(options.servers)
    local values = {
        MODULES = paths.modules, RESOLUA = paths.module, FOLDER = folder,
        LEVEL = options.level, CONNECTIONS = options.connections,
        ENVIRONMENT = environment(),
        MAIN = table.concat(options.main, "\n"),
        DICTS = table.concat(dicts, "\n"),
        PATH = to_lua(search_path(options)),
        OPTIONS = to_lua {
            codes = options.codes, libraries = options.libraries,
            file = options.file, arg = options.arg, jv = options.jv,
            jdump = options.jdump, joff = options.joff,
        },
        STREAM_RESOLVER = has_resolver(options.stream) and "" or line,
        HTTP_RESOLVER = has_resolver(options.http) and "" or line,
        STREAM = table.concat(options.stream, "\n"),
        HTTP = table.concat(options.http, "\n"),
    }
    return (TEMPLATE:gsub("%f[%w_][A-Z_]+%f[^%w_]", values))
end

local function make_folder()
    local base = os.getenv("TMPDIR") or "/tmp"
    local template = base .. "/resolua-run-XXXXXX"
    local folder = ffi.new("char[?]", #template + 1, template)
    if C.mkdtemp(folder) == nil then
        fail(base, ": ", ffi.string(C.strerror(ffi.errno())))
    end
    return ffi.string(folder)
end

-- Removes the folder when the last process that holds `held` has ended, however
-- it does.
local function sweep(folder, held, watched)
    C.close(held)
    C.setsid()
    local null = C.open("/dev/null", O_RDWR)
    for fd = 0, 2 do
        C.dup2(null, fd)
    end
    C.read(watched, ffi.new("char[1]"), 1)
    os.execute(("rm -rf '%s'"):format(folder:gsub("'", "'\\''")))
    C._exit(0)
end

-- A grandchild of ours: nginx has no child that it does not know.
local function start_sweeper(folder)
    local ends = ffi.new("int[2]")
    if C.pipe(ends) ~= 0 then
        fail("no pipe")
    end
    local child = C.fork()
    if child == 0 then
        if C.fork() == 0 then
            sweep(folder, ends[1], ends[0])
        end
        C._exit(0)
    end
    C.waitpid(child, nil, 0)
    C.close(ends[0])
end

local function become(program, folder)
    local words = { program, "-p", folder, "-c", folder .. "/nginx.conf", "-e", "stderr" }
    local argv = ffi.new("const char *[?]", #words + 1)
    for i, word in ipairs(words) do
        argv[i - 1] = word
    end
    argv[#words] = nil
    C.execvp(program, argv)
    fail(program, ": ", ffi.string(C.strerror(ffi.errno())))
end

local run = {}

--- Does not return when all goes well.
-- @tparam {string,...} words what follows "resolua run"
function run.main(words)
    local options = parse(words)
    check(options)
    local folder = make_folder()
    start_sweeper(folder)
    local file = assert(io.open(folder .. "/nginx.conf", "w"))
    file:write(configuration(options, folder))
    file:close()
    become(options.nginx, folder)
end

return run
