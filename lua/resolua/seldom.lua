--- What may fail a thousand times a second is logged once in ten seconds.
-- @module resolua.seldom

local C = require("ffi").C

local PAUSE = 10 -- seconds

local seldom = {}

local told = {} -- by key: next (not before), since (times since the last line)

--- Logs a line, unless the key has had one a moment ago.
-- @tparam number level of ngx.log
-- @tparam string key what the line is about; one of few
-- @tparam string format for string.format, with the other arguments
function seldom.log(level, key, format, ...)
    local entry = told[key]
    if not entry then
        entry = { next = 0, since = 0 }
        told[key] = entry
    end

    local now = C.resolua_ffi_monotonic()
    if now < entry.next then
        entry.since = entry.since + 1
        return
    end

    local more = entry.since > 0
        and (" (and %d times since the last line)"):format(entry.since) or ""
    entry.next, entry.since = now + PAUSE, 0
    ngx.log(level, format:format(...), more)
end

return seldom
