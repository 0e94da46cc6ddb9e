--- ngx.ctx of the running request.
-- @module resolua.context

local C = require("ffi").C

local registry = debug.getregistry()

local context = {}

function context.install(ngx)
    local meta = getmetatable(ngx)
    if not meta then
        return -- a VM without requests
    end
    local slow = meta.__index
    local running = C.resolua_ffi_running()

    function meta.__index(self, key)
        if key == "ctx" then
            local request = running[0]
            if request ~= nil then
                local ref = request.context
                if ref >= 0 then
                    return registry[ref]
                end
            end
        end
        return slow(self, key)
    end
end

return context
