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

    function meta.__index(self, key)
        if key == "ctx" then
            local ref = C.resolua_ffi_context()
            if ref >= 0 then
                return registry[ref]
            end
        end
        return slow(self, key)
    end
end

return context
