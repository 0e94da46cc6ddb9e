--- resty.core.request
-- @module resty.core.request

local request = { version = "0.1.28" }

--- Sets the header of the request; override false adds one beside those that
-- are there.
function request.set_req_header(name, value, override)
    if override == false then
        return require("ngx.req").add_header(name, value)
    end
    return ngx.req.set_header(name, value)
end

return request
