--- Tables that are used again: fetch one, give it back.
-- @module tablepool

local clear = require "table.clear"
local new_table = require "table.new"

local POOL_MAX = 500 -- tables that a tag keeps

local pools = {}

local tablepool = {}

--- A clean table of the tag's pool, or a new one of these sizes.
function tablepool.fetch(tag, narr, nrec)
    local pool = pools[tag]
    if pool and pool.count > 0 then
        local object = pool[pool.count]
        pool[pool.count] = nil
        pool.count = pool.count - 1
        return object
    end
    return new_table(narr, nrec)
end

--- Gives a table back, emptied unless noclear is true.
function tablepool.release(tag, object, noclear)
    if not object then
        error("object empty", 2)
    end
    local pool = pools[tag]
    if not pool then
        pool = new_table(4, 1)
        pool.count = 0
        pools[tag] = pool
    end
    if pool.count >= POOL_MAX then
        return
    end
    if not noclear then
        setmetatable(object, nil)
        clear(object)
    end
    pool.count = pool.count + 1
    pool[pool.count] = object
end

return tablepool
