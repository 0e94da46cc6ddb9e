--- ngx.re.match and ngx.re.find of cached expressions (option "o").
-- @module resolua.regex

local ffi = require "ffi"
local compile = require "resolua.regex_compile"

local C = ffi.C
local new_table = require "table.new"
local text_of = ffi.string
local find_text, sub = string.find, string.sub
local tonumber, type = tonumber, type

local OK, NONE = C.RESOLUA_FFI_OK, C.RESOLUA_FFI_NONE

local ends = ffi.new("int32_t[?]", 2 * C.RESOLUA_FFI_CAPTURES_MAX)

-- options -> pattern -> expression; false: what is rare and left to C.
local cache = {}
local room = 0

-- DFA has no captures; a name used twice needs more care.
local function make(pattern, options)
    if not find_text(options, "o", 1, true) or find_text(options, "d", 1, true)
            or find_text(options, "D", 1, true) then
        return false
    end
    local regex, address, captures, names = compile.compile(pattern, options)
    if not regex or captures >= C.RESOLUA_FFI_CAPTURES_MAX then
        return false
    end
    return {
        owner = regex,
        pointer = ffi.cast("const void *", address),
        count = captures,
        names = #names > 0 and names or false,
        size = #names,
    }
end

local function expression_of(pattern, options)
    local patterns = cache[options]
    if not patterns or room <= 0 then
        if room <= 0 then -- full
            cache, room = {}, compile.cache_max()
        end
        patterns = cache[options] or {}
        cache[options] = patterns
    end
    local expression = make(pattern, options)
    if expression then
        patterns[pattern] = expression
        room = room - 1
    end
    return expression
end

local function look_up(subject, pattern, options)
    if type(subject) ~= "string" or type(pattern) ~= "string"
            or type(options) ~= "string" then
        return false
    end
    local patterns = cache[options]
    local expression = patterns and patterns[pattern]
    if expression then
        return expression
    end
    return expression_of(pattern, options)
end

local function captures_of(subject, expression)
    local found = new_table(expression.count, 1 + expression.size)
    for i = 0, expression.count do
        local from = ends[2 * i]
        found[i] = from >= 0 and sub(subject, from + 1, ends[2 * i + 1])
    end
    local names = expression.names
    if names then
        for i = 1, expression.size do
            local name = names[i]
            found[name[1]] = found[name[2]]
        end
    end
    return found
end

local function match_by(slow)
    return function(subject, pattern, options, ctx, result)
        local expression = not ctx and not result
            and look_up(subject, pattern, options)
        if expression then
            local rc = C.resolua_ffi_regex_match(expression.pointer, subject,
                #subject, 0, ends)
            if rc == OK then
                return captures_of(subject, expression)
            elseif rc == NONE then
                return nil
            end
        end
        return slow(subject, pattern, options, ctx, result)
    end
end

local function find_by(slow)
    return function(subject, pattern, options, ctx, nth)
        local expression = not ctx and not nth and look_up(subject, pattern, options)
        if expression then
            local rc = C.resolua_ffi_regex_match(expression.pointer, subject,
                #subject, 0, ends)
            if rc == OK then
                return ends[0] + 1, ends[1]
            elseif rc == NONE then
                return nil, nil
            end
        end
        return slow(subject, pattern, options, ctx, nth)
    end
end

local work = ffi.new("struct resolua_ffi_replace")
local out = ffi.new("char[?]", C.RESOLUA_FFI_TEXT_MAX)
work.out, work.room = out, C.RESOLUA_FFI_TEXT_MAX

-- A template without "$" is taken as it is.  What is too large for the buffer,
-- and errors, are left to C.
local function replace_by(slow, limit)
    return function(subject, pattern, by, options)
        local expression = type(by) == "string" and not find_text(by, "$", 1, true)
            and look_up(subject, pattern, options)
        if expression then
            work.subject, work.subject_size = subject, #subject
            work.by, work.by_size = by, #by
            work.max = limit
            local rc = C.resolua_ffi_regex_replace(expression.pointer, work)
            if rc == OK then
                return text_of(out, work.size), tonumber(work.count)
            elseif rc == NONE then
                return subject, 0
            end
        end
        return slow(subject, pattern, by, options)
    end
end

local regex = {}

function regex.install(ngx)
    room = compile.cache_max()
    ngx.re.match = match_by(ngx.re.match)
    ngx.re.find = find_by(ngx.re.find)
    ngx.re.sub = replace_by(ngx.re.sub, 1)
    ngx.re.gsub = replace_by(ngx.re.gsub, 0xffffffff)
end

return regex
