--- Request headers beside those that are there.
-- @module ngx.req

local req = {}

--- add_header(name, value): adds a header, or several with a table of values,
-- to the request.
req.add_header = ngx.req.add_header

return req
