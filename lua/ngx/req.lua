--- Request headers beside those that are there.
-- @module ngx.req

local headers = require "resolua.headers"

local req = {}

--- Adds a header, or several with a table of values, to the request.
function req.add_header(name, value)
    local values = headers.values(name, value, 3)
    local current = ngx.req.get_headers(0)[name]
    ngx.req.set_header(name, headers.join(current, values))
end

return req
