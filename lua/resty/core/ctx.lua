--- resty.core.ctx
-- @module resty.core.ctx

local C = require("ffi").C

local ctx = { _VERSION = "0.1.28" }

--- The request's ngx.ctx; where it has none yet, `given` becomes it.
function ctx.get_ctx_table(given)
    if given and C.resolua_ffi_context() < 0 then
        ngx.ctx = given
    end
    return ngx.ctx
end

return ctx
