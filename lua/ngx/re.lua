--- What ngx.re has in a module of its own: split and opt.
-- @module ngx.re

local match = ngx.re.match
local set_stack = require("resolua.regex_compile").set_stack
local find_text, sub = string.find, string.sub
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

-- Where the search goes on that found an empty match at `at`: behind the
-- character there, of UTF-8 behind all of its octets.
local function behind_character(subject, at, is_utf)
    at = at + 1
    if is_utf then
        at = find_text(subject, "[^\128-\191]", at) or #subject + 1
    end
    return at
end

-- The next match that ends a field which began at start: where it begins and
-- ends; nothing at the end; or nil and an error.  Its captures are put into
-- found.  As in Perl, a field has a character at least, unless a match follows
-- at once that is not empty.
local function find_end(subject, regex, options, start, found)
    local is_utf = options and find_text(options, "[uU]")
        or sub(regex, 1, 6) == "(*UTF)"
    local context = { pos = start }
    while true do
        local matched, err = match(subject, regex, options, context, found)
        if not matched then
            return nil, err
        end
        local behind = context.pos
        local from = behind - #found[0]
        if behind > start then
            return from, behind - 1
        end
        if start > #subject then
            return nil
        end
        context.pos = behind_character(subject, start, is_utf)
    end
end

local function add_captures(out, count, found)
    for i = 1, #found do
        if found[i] then
            count = count + 1
            out[count] = found[i]
        end
    end
    return count
end

--- The pieces of subject between the matches of regex, and its captures.
function re.split(subject, regex, options, ctx, max, result)
    subject, regex = tostring(subject), tostring(regex)
    local start = ctx and ctx.pos or 1
    local out, found, count, fields = result or {}, {}, 0, 1
    start = start > 1 and start or 1
    max = max or 0
    while max <= 0 or fields < max do
        local from, to = find_end(subject, regex, options, start, found)
        if not from then
            if to then return nil, to end
            break
        end
        out[count + 1] = sub(subject, start, from - 1)
        count = add_captures(out, count + 1, found)
        fields = fields + 1
        start = to + 1
    end
    count = count + 1
    out[count] = sub(subject, start)
    if max <= 0 or subject == "" then
        count = without_empty_end(out, count)
    end
    out[count + 1] = nil
    return out
end

return re
