--- Fields of ngx that functions stand for.
-- @module resty.core.misc

local misc = { _VERSION = "0.1.28" }

local getters, setters = {}, {}
local is_installed

local function install()
    local meta = getmetatable(ngx)
    local index, newindex = meta.__index, meta.__newindex
    function meta.__index(self, key)
        local getter = getters[key]
        if getter then
            return getter()
        end
        return index(self, key)
    end
    function meta.__newindex(self, key, value)
        local setter = setters[key]
        if setter then
            return setter(value)
        end
        return newindex(self, key, value)
    end
    is_installed = true
end

local function register(list, key, func)
    if not is_installed then
        install()
    end
    list[key] = func
end

--- ngx[key] is what func() gives.
function misc.register_ngx_magic_key_getter(key, func)
    register(getters, key, func)
end

--- ngx[key] = value calls func(value).
function misc.register_ngx_magic_key_setter(key, func)
    register(setters, key, func)
end

return misc
