--- resty.core.ctx
-- @module resty.core.ctx

local running = require("ffi").C.resolua_ffi_running()

local ctx = { _VERSION = "0.1.28" }

--- The request's ngx.ctx; where it has none yet, `given` becomes it.
function ctx.get_ctx_table(given)
    local request = running[0]
    if given and request ~= nil and request.context < 0 then
        ngx.ctx = given
    end
    return ngx.ctx
end

return ctx
