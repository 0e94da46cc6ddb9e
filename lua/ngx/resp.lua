--- Response headers beside those that are there; the status with its reason.
-- @module ngx.resp

local headers = require "resolua.headers"
local response = require "resolua.response"

local resp = {}

--- Adds a header, or several with a table of values, to the response.
function resp.add_header(name, value)
    local values = headers.values(name, value, 3)
    ngx.header[name] = headers.join(ngx.header[name], values)
end

--- set_status(status, reason)
resp.set_status = response.set_status

--- Turns off nginx's answers to If-Modified-Since and its like.
resp.bypass_if_checks = response.bypass_if_checks

return resp
