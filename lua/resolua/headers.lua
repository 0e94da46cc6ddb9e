--- What ngx.req.add_header and ngx.resp.add_header have in common.
-- @module resolua.headers

local headers = {}

--- The values as an array; raises an error where there are none.
function headers.values(name, value, level)
    if type(name) ~= "string" then
        error("bad 'name' argument: string expected, got " .. type(name), level)
    end
    if type(value) ~= "table" then
        if type(value) ~= "string" and type(value) ~= "number" then
            error("bad 'value' argument: string or table expected, got "
                .. type(value), level)
        end
        return { tostring(value) }
    end
    if #value == 0 then
        error("bad 'value' argument: non-empty table expected", level)
    end
    return value
end

--- What is there (nil, a value or several) and then the values.
function headers.join(current, values)
    local all = type(current) == "table" and current or { current }
    for _, value in ipairs(values) do
        all[#all + 1] = value
    end
    return all
end

return headers
