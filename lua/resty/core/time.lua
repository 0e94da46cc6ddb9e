--- Times since the machine has started, as nginx's event loop has them.
-- @module resty.core.time

local C = require("ffi").C
local floor = math.floor

local time = { version = "0.1.28" }

--- Seconds, with milliseconds as decimals.
function time.monotonic_time()
    return C.resolua_ffi_monotonic()
end

--- Milliseconds.
function time.monotonic_msec()
    return floor(C.resolua_ffi_monotonic() * 1000 + 0.5)
end

return time
