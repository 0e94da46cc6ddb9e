--- resty.core.response
-- @module resty.core.response

local response = { version = "0.1.28" }

--- Sets the header of the response; no_override adds one beside those that are
-- there.  The first argument has no meaning.
function response.set_resp_header(_, name, value, no_override)
    if no_override then
        return require("ngx.resp").add_header(name, value)
    end
    ngx.header[name] = value
end

return response
