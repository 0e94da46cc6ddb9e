--- ngx.now and ngx.time.
-- @module resolua.clock

local C = require("ffi").C

local clock = {}

function clock.install(ngx)
    function ngx.now()
        return C.resolua_ffi_now()
    end

    function ngx.time()
        return C.resolua_ffi_time()
    end
end

return clock
