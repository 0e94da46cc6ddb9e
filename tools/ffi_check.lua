-- Makes the Lua declarations of an FFI header, and C assertions of what LuaJIT
-- believes about each of its structs.
-- usage: luajit ffi_check.lua HEADER CDEF_OUT CHECK_OUT
local ffi = require "ffi"

local header, cdef_path, check_path = arg[1], arg[2], arg[3]

local function read_file(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
end

local function write_file(path, text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
end

-- Lines for the C preprocessor and our export marks mean nothing to Lua.
local function declarations(text)
    return (("\n" .. text):gsub("\n#[^\n]*", "\n"):gsub("DNS_EXPORT%s+", "")
        :gsub("RESOLUA_EXPORT%s+", ""):gsub("/%*.-%*/", "")
        :gsub("\n%s*\n+", "\n"))
end

local function assertions(cdef)
    local lines = { ('#include "%s"'):format(header), "#include <stddef.h>" }

    for name, body in cdef:gmatch("struct%s+([%w_]+)%s*(%b{})") do
        local tag = "struct " .. name
        lines[#lines + 1] = ('_Static_assert(sizeof(%s) == %d, "%s");')
            :format(tag, ffi.sizeof(tag), name)

        for member in body:gsub("[{}]", ""):gmatch("([^;]*);") do
            local field = member:gsub("%s*%b[]%s*$", ""):match("([%w_]+)%s*$")
            lines[#lines + 1] =
                ('_Static_assert(offsetof(%s, %s) == %d, "%s.%s");')
                    :format(tag, field, ffi.offsetof(tag, field), name, field)
        end
    end

    return table.concat(lines, "\n") .. "\n"
end

local cdef = declarations(read_file(header))
ffi.cdef(cdef)
write_file(cdef_path, "return [[" .. cdef .. "]]\n")
write_file(check_path, assertions(cdef))
