--- What ngx.re has in a module of its own: split and opt.
-- @module ngx.re

local find, match = ngx.re.find, ngx.re.match
local set_stack = require("resolua.regex_compile").set_stack
local sub = string.sub
local type, error, tostring = type, error, tostring

local STACK_MIN = 32768 -- octets, what PCRE2 has by itself

local re = {}

--- opt("jit_stack_size", octets): how much memory a compiled expression may
-- need for a match.
function re.opt(name, value)
    if name ~= "jit_stack_size" then
        error("unrecognized option name", 2)
    end
    if type(value) ~= "number" or value < STACK_MIN then
        error("bad jit_stack_size: " .. tostring(value), 2)
    end
    set_stack(value)
end

-- As in Perl: unless there is a limit, empty fields at the end are left out.
local function without_empty_end(out, count)
    while count > 0 and out[count] == "" do
        out[count] = nil
        count = count - 1
    end
    return count
end

--- The pieces of subject between the matches of regex, and its captures.
function re.split(subject, regex, options, ctx, max, result)
    local context = { pos = ctx and ctx.pos or 1 }
    local out, count, start = result or {}, 0, context.pos
    local fields = 1
    max = max or 0
    while max <= 0 or fields < max do
        local from, to, err = find(subject, regex, options, context)
        if err then return nil, err end
        if not from then break end
        if to < from then
            from, to = from + 1, from
            if from > #subject then break end
            context.pos = from
            count = count + 1
            out[count] = sub(subject, start, to)
        else
            count = count + 1
            out[count] = sub(subject, start, from - 1)
            local captures = match(subject, regex, options, { pos = from })
            for i = 1, captures and #captures or 0 do
                if captures[i] then
                    count = count + 1
                    out[count] = captures[i]
                end
            end
        end
        fields = fields + 1
        start = to + 1
    end
    count = count + 1
    out[count] = sub(subject, start)
    if max <= 0 then
        count = without_empty_end(out, count)
    end
    out[count + 1] = nil
    return out
end

return re
