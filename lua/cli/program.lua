--- The side of `resolua run` that is inside nginx: makes the worker behave as a
-- program and runs the scripts in it.
-- @module cli.program

local ffi = require "ffi"
local output = require "resolua.program"

ffi.cdef [[ void (*signal(int number, void (*handler)(int)))(int); ]]

local SIGINT, SIGTERM, SIGQUIT = 2, 15, 3
local CODE_MAX = 255

local main_context

local function leave(code)
    io.stdout:flush()
    os.exit(code)
end

-- Nobody reads any more: there is no SIGPIPE in nginx that would end us.
local function check(ok, ...)
    if not ok then
        leave(1)
    end
    return ok, ...
end

local function check_output(ok, ...)
    if not ok and ngx.get_phase() == "timer" then
        leave(1)
    end
    return ok, ...
end

local function exit_code(status)
    return status < 0 and 1 or status > CODE_MAX and 1 or status
end

-- The functions of a request that make sense for a program.
local function become_program()
    local exit, flush = ngx.exit, ngx.flush

    function ngx.say(...) return check_output(output.say(...)) end
    function ngx.print(...) return check_output(output.print(...)) end
    function ngx.flush(...)
        if ngx.ctx ~= main_context then
            return flush(...)
        end
        return check(io.stdout:flush()) and 1
    end

    function ngx.exit(status)
        if ngx.ctx == main_context then
            leave(exit_code(status))
        end
        return exit(status)
    end

    rawset(_G, "print", function(...)
        local words = { ... }
        for i = 1, select("#", ...) do
            words[i] = tostring(words[i])
        end
        check(io.stdout:write(table.concat(words, "\t"), "\n"))
    end)

    for _, number in ipairs { SIGINT, SIGTERM, SIGQUIT } do
        ffi.C.signal(number, nil)
    end
end

local function traceback(reason)
    if type(reason) ~= "string" and not (getmetatable(reason) or {}).__tostring then
        reason = ("(error object is a %s value)"):format(type(reason))
    end
    return debug.traceback(tostring(reason), 2)
end

local function load_file(path)
    if path == "-" then
        return loadstring(io.stdin:read("*a"), "=stdin")
    end
    return loadfile(path)
end

local function run_all(options)
    for _, name in ipairs(options.libraries) do
        require(name)
    end
    for _, code in ipairs(options.codes) do
        assert(loadstring(code, "=(command line -e)"))(unpack(arg))
    end
    if options.file then
        assert(load_file(options.file))(unpack(arg))
    end
end

local function main(premature, options)
    if premature then
        return
    end
    main_context = ngx.ctx
    local ok, reason = xpcall(run_all, traceback, options)
    if not ok then
        io.stdout:flush()
        io.stderr:write("ERROR: ", reason, "\n")
    end
    leave(ok and 0 or 1)
end

local function trace_jit(options)
    if options.joff then
        jit.off()
    end
    if options.jv then
        require("jit.v").on(options.jv ~= "" and options.jv or nil)
    end
    if options.jdump then
        require("jit.dump").on(nil, options.jdump ~= "" and options.jdump or nil)
    end
end

local program = {}

--- Starts the scripts when the worker is up; call in init_worker_by_lua.
-- @tparam table options as cli.run writes them
function program.start(options)
    become_program()
    rawset(_G, "arg", options.arg)
    trace_jit(options)
    assert(ngx.timer.at(0, main, options))
end

return program
