-- The names of the Redis set "blocked", in this worker's memory: a look-up asks
-- nobody.  While Redis cannot be reached the names that were there stay.
local redis = require "resty.redis"

local KEY = "blocked"
local TIMEOUT_MS = 1000

local names, count, fetched_at = {}, 0, nil

local function fetch(options)
    local red = redis:new()
    red:set_timeouts(TIMEOUT_MS, TIMEOUT_MS, TIMEOUT_MS)
    local ok, err = red:connect(options.host, options.port)
    local list
    if ok then
        list, err = red:smembers(KEY)
    end
    if not list then
        return nil, err
    end

    red:set_keepalive(60000, 1)
    return list
end

local function refresh(premature, options)
    if premature then -- the worker ends
        return
    end

    local list, err = fetch(options)
    if not list then
        ngx.log(ngx.WARN, "the blocked names stay as they are: ", err)
        return
    end

    local new = {}
    for _, name in ipairs(list) do
        new[name:lower():gsub("%.$", "")] = true
    end
    names, count, fetched_at = new, #list, ngx.now()
end

local blocklist = {}

-- In init_worker: fetches at once, and then every so many seconds.  A timer may
-- use sockets, which init_worker itself may not.
function blocklist.start(options)
    assert(ngx.timer.at(0, refresh, options))
    assert(ngx.timer.every(options.seconds, refresh, options))
end

-- Is the name blocked, or one above it?
function blocklist.has(name)
    while name do
        if names[name] then
            return true
        end
        name = name:match("%.(.+)$")
    end

    return false
end

function blocklist.state()
    return count, fetched_at and ngx.now() - fetched_at
end

return blocklist
