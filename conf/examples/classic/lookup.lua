-- location /dns?name=NAME&type=NUMBER: { rcode, answers } as JSON.  The table
-- is asked first, a resolver for names that it has not.
local cjson = require "cjson"
local mysql = require "resty.mysql"
local resolver = require "resty.dns.resolver"

local CLASS_IN, TYPE_CNAME = 1, 5
local TIMEOUT = 1500 -- milliseconds, of the database

local function send(answers, rcode)
    local body = cjson.encode {
        rcode = rcode or 0,
        answers = #answers > 0 and answers or nil,
    }
    ngx.header.content_length = #body
    ngx.print(body)
end

local function fail(status, why)
    ngx.log(ngx.ERR, why)
    ngx.status = status
    ngx.header.content_length = 0
    return ngx.exit(status)
end

-- All rows of a name.
local function rows_of(name)
    local db = assert(mysql:new())
    db:set_timeout(TIMEOUT)
    local ok, err = db:connect {
        host = ngx.var.database_host,
        port = tonumber(ngx.var.database_port),
        user = "classic",
        password = "classic",
        database = "classic",
    }
    if not ok then
        return nil, err
    end

    local rows
    rows, err = db:query("SELECT type, ttl, record FROM tb_dns WHERE name = "
        .. ngx.quote_sql_str(name) .. " AND class = " .. CLASS_IN)
    if rows then
        db:set_keepalive(60000, 50)
    end
    return rows, err
end

local function absolute(name)
    return name .. "."
end

-- An answer of the resolver's as a master file has it.
local function record_of(answer)
    if answer.address then
        return answer.address
    elseif answer.exchange then
        return answer.preference .. " " .. absolute(answer.exchange)
    elseif answer.txt then
        local texts = type(answer.txt) == "table" and answer.txt
            or { answer.txt }
        for i, text in ipairs(texts) do
            texts[i] = '"' .. text:gsub('[\\"]', "\\%0") .. '"'
        end
        return table.concat(texts, " ")
    end

    local name = answer.cname or answer.nsdname or answer.ptrdname
    return name and absolute(name)
end

local function ask_resolver(name, rtype)
    local r = assert(resolver:new {
        nameservers = {
            { ngx.var.resolver_host, tonumber(ngx.var.resolver_port) },
        },
        retrans = 2,
        timeout = 1000,
    })

    local found, err = r:query(name, { qtype = rtype })
    if not found then
        return nil, err
    end

    local answers = {}
    for _, answer in ipairs(found) do
        local record = record_of(answer)
        if record then
            answers[#answers + 1] = {
                name = absolute(answer.name),
                type = answer.type,
                ttl = answer.ttl,
                record = record,
            }
        end
    end
    return answers, found.errcode
end

local name = (ngx.var.arg_name and ngx.unescape_uri(ngx.var.arg_name) or "")
    :gsub("%.$", ""):lower()
local rtype = tonumber(ngx.var.arg_type)
if name == "" or not rtype then
    return fail(400, "a name and a type are needed")
end

local rows, err = rows_of(name)
if not rows then
    return fail(502, "the database: " .. err)
end

if #rows == 0 then
    local answers, rcode = ask_resolver(name, rtype)
    if not answers then
        return fail(504, "the resolver: " .. rcode)
    end
    return send(answers, rcode)
end

local answers = {}
for _, row in ipairs(rows) do
    if row.type == rtype or row.type == TYPE_CNAME then
        answers[#answers + 1] = {
            name = absolute(name),
            type = row.type,
            ttl = row.ttl,
            record = row.record,
        }
    end
end
send(answers)
