--- Response headers beside those that are there; the status with its reason.
-- @module ngx.resp

local response = require "resolua.response"

local resp = {}

--- add_header(name, value): adds a header, or several with a table of values,
-- to the response.
resp.add_header = ngx.resp and ngx.resp.add_header

--- set_status(status, reason)
resp.set_status = response.set_status

--- Turns off nginx's answers to If-Modified-Since and its like.
resp.bypass_if_checks = response.bypass_if_checks

return resp
