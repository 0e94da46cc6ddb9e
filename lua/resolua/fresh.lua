--- What a request sees under `lua_code_cache off`: globals and modules of its
-- own, loaded anew from their files.
--
-- There is one Lua VM for all requests, so that these are tables, not a VM: a
-- request's chunks, the modules that they require and the coroutines that they
-- make have the new table as their globals.  Resolua's own modules, those that
-- LuaJIT has built in and C types of the FFI stay what they are.
-- @module resolua.fresh

local base = _G
local package = package
local error, getmetatable, ipairs, pairs, pcall, setfenv, setmetatable, type =
    error, getmetatable, ipairs, pairs, pcall, setfenv, setmetatable, type
local concat, gsub, loadfile = table.concat, string.gsub, loadfile
local base_require = require
local ffi = require "ffi"

-- What the VM has before any script runs.
local built_in, globals = {}, {}
for name, module in pairs(package.loaded) do
    built_in[name] = module
end
for name, value in pairs(base) do
    globals[name] = value
end
local own_path

local function copy(t)
    local new = {}
    for k, v in pairs(t) do
        new[k] = v
    end
    return setmetatable(new, getmetatable(t))
end

-- A module's declarations come again with each load.
local function cdef(...)
    local ok, wrong = pcall(ffi.cdef, ...)
    if not ok and not wrong:find("attempt to redefine", 1, true) then
        error(wrong, 2)
    end
end

-- A C type has one metatable for ever: that of the first load.
local function metatype(ctype, metatable)
    local ok, result = pcall(ffi.metatype, ctype, metatable)
    return ok and result or ffi.typeof(ctype)
end

local function is_ours(name)
    return built_in[name] ~= nil or package.preload[name] ~= nil or
        package.searchpath(name, own_path) ~= nil
end

local function load_lua(new, name)
    local path, tried = package.searchpath(name, new.package.path)
    if not path then
        return nil, tried
    end
    local chunk, wrong = loadfile(path)
    if not chunk then
        error(("error loading module '%s' from file '%s':\n\t%s"):format(name,
            path, wrong), 0)
    end
    return setfenv(chunk, new)
end

local function load_c(new, name)
    local path, tried = package.searchpath(name, new.package.cpath)
    if not path then
        return nil, tried
    end
    local symbol = "luaopen_" .. gsub(gsub(name, "^.-%-", ""), "%.", "_")
    local open, wrong = package.loadlib(path, symbol)
    if not open then
        error(("error loading module '%s' from file '%s':\n\t%s"):format(name,
            path, wrong), 0)
    end
    return open
end

local function load_preloaded(new, name)
    local open = new.package.preload[name]
    return open, not open and ("\n\tno field package.preload['%s']"):format(name)
end

local function find_loader(new, name)
    local tried = {}
    for _, find in ipairs(new.package.loaders) do
        local loader, reason = find(name)
        if type(loader) == "function" then
            return loader
        end
        tried[#tried + 1] = type(loader) == "string" and loader or reason
    end
    error(("module '%s' not found:%s"):format(name, concat(tried)), 0)
end

local loading = {}

local function require_in(new, name)
    local loaded = new.package.loaded
    local module = loaded[name]
    if module == loading then
        error(("loop or previous error loading module '%s'"):format(name), 0)
    elseif module then
        return module
    end
    if is_ours(name) then
        module = base_require(name)
    else
        local loader = find_loader(new, name)
        loaded[name] = loading
        module = loader(name)
        if module == nil then
            module = loaded[name] ~= loading and loaded[name] or true
        end
    end
    loaded[name] = module
    return module
end

-- The table of a module(name, ...), made where there is none.
local function module_table(new, name)
    local at = new
    for part in name:gmatch("[^.]+") do
        at[part] = type(at[part]) == "table" and at[part] or {}
        at = at[part]
    end
    return at
end

local function module_in(new, name, ...)
    local loaded = new.package.loaded[name]
    local module = type(loaded) == "table" and loaded ~= loading and loaded or
        module_table(new, name)
    new.package.loaded[name] = module
    module._M, module._NAME = module, name
    module._PACKAGE = name:match("^(.*%.)[^.]*$") or ""
    setfenv(2, module) -- the caller of module(), whose call was a tail call
    for _, option in ipairs({ ... }) do
        option(module)
    end
end

local function new_package(new)
    local own = copy(package)
    own.loaded, own.preload = {}, copy(package.preload)
    own.loaders = {
        function(name) return load_preloaded(new, name) end,
        function(name) return load_lua(new, name) end,
        function(name) return load_c(new, name) end,
    }
    own.seeall = function(module)
        local metatable = getmetatable(module) or {}
        metatable.__index = new
        setmetatable(module, metatable)
    end
    return own
end

--- New globals for one request.
-- @tparam string own where Resolua's own modules lie, as in package.path
-- @treturn table to be the environment of its chunks
return function(own)
    local new = copy(globals)
    own_path = own
    new._G = new
    for name, value in pairs(globals) do
        if type(value) == "table" and name ~= "_G" and name ~= "package" then
            new[name] = copy(value)
        end
    end
    new.package = new_package(new)
    local loaded = new.package.loaded
    for name, module in pairs(built_in) do
        loaded[name] = globals[name] == module and new[name] or module
    end
    loaded._G, loaded.package = new, new.package
    loaded.ffi = copy(ffi)
    loaded.ffi.cdef, loaded.ffi.metatype = cdef, metatype
    new.require = function(name) return require_in(new, name) end
    new.module = function(...) return module_in(new, ...) end
    return new
end
