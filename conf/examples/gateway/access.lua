-- At most LIMIT requests of one address in WINDOW seconds; then the upstream by
-- the address.
local LIMIT, WINDOW = 100, 1

require("timing").mark("access")

local client = ngx.var.remote_addr
local visits = ngx.shared.visits:incr(client, 1, 0, WINDOW)
if visits and visits > LIMIT then
    ngx.header["Retry-After"] = WINDOW
    return ngx.exit(429)
end

if client:find("^127%.") then
    ngx.var.group = "local"
end
