--- A networked store's zones as a copy in the embedded one, followed by one
-- worker's timer; the lane serves the copy.
-- @module dns.mirror

local ffi = require "ffi"
local dns = require "dns"
local library = require "dns.library"
local database = require "dns.database"
local store_module = require "dns.store"

local C = library.C
local now = ffi.C.resolua_ffi_monotonic
local name_of = dns.name

local SHARE = 20 -- a run that takes long is not done over and over

local Mirror = {}
Mirror.__index = Mirror

local mirror = {}

--- Where a store's folder keeps what it is a copy of.
function mirror.path(folder)
    return folder .. "/mirror.json"
end

--- A mirror; nothing is asked yet.
-- @tparam cdata|userdata options for dns.database.open()
-- @tparam Store embedded
-- @tparam string folder the embedded store's
-- @treturn Mirror|nil
-- @treturn string reason
function mirror.new(options, embedded, folder)
    local source, reason = database.open(options, { marks_rows = true })
    if not source then
        return nil, reason
    end

    local out = ffi.new("struct dns_ffi_mirror *[1]")
    local status = C.dns_ffi_mirror_new(source.handle, embedded.handle,
        mirror.path(folder), source.name, out)
    if status ~= 0 then
        return nil, library.status_text(status)
    end

    return setmetatable({
        handle = ffi.gc(out[0], C.dns_ffi_mirror_free),
        source = source, -- kept as long as the handle
        embedded = embedded,
        poll = source.poll,
        said = "",
    }, Mirror)
end

--- Follows all zones, or one alone.  Sleeps.
-- @tparam[opt] string zone
-- @treturn table|nil the numbers of struct dns_ffi_mirror_report; `reason`:
--   why a zone was refused; `left_out`: lines about what is not served
-- @treturn string reason
function Mirror:run(zone)
    local out = ffi.new("struct dns_ffi_mirror_run *[1]")
    local apex = zone and name_of.to_wire(zone)
    local status = C.dns_ffi_mirror_run_new(self.handle, apex, out)
    if status ~= 0 then
        return nil, library.status_text(status)
    end

    local run = ffi.gc(out[0], C.dns_ffi_mirror_run_free)
    local busy
    status, busy = store_module.run_job(C.dns_ffi_mirror_run, run,
        self.source.owner)

    local numbers = ffi.new("struct dns_ffi_mirror_report")
    local reason = ffi.string(C.dns_ffi_mirror_report(run, numbers))
    if status ~= 0 then
        return nil, busy or reason ~= "" and reason
            or library.status_text(status)
    end

    return {
        zones = tonumber(numbers.zones),
        copied = tonumber(numbers.copied),
        removed = tonumber(numbers.removed),
        refused = tonumber(numbers.refused),
        skipped = tonumber(numbers.skipped),
        reason = reason ~= "" and reason or nil,
        left_out = ffi.string(C.dns_ffi_mirror_left_out(run)),
    }
end

-- Each state once, not each run.
function Mirror:say(level, text)
    if self.said ~= text then
        self.said = text
        ngx.log(level, "mirror of ", self.source.name, ": ", text)
    end
end

function Mirror:step()
    local report, reason = self:run()
    if not report then
        return self:say(ngx.ERR, reason .. "; its last zones are served")
    end
    for line in report.left_out:gmatch("[^\n]+") do
        ngx.log(ngx.WARN, "mirror of ", self.source.name, ": ", line)
    end
    if report.reason then
        return self:say(ngx.WARN, report.reason)
    end
    if report.skipped > 0 then
        return self:say(ngx.WARN, ("%d rows cannot be read and are left out")
            :format(report.skipped))
    end
    if report.copied + report.removed > 0 then
        ngx.log(ngx.NOTICE, "mirror of ", self.source.name, ": ",
            report.copied, " zones copied, ", report.removed, " removed")
    end

    return self:say(ngx.NOTICE, "up to date")
end

local function loop(premature, self)
    if premature then
        return
    end

    local began = now()
    local ok, reason = pcall(self.step, self)
    if not ok then
        ngx.log(ngx.ERR, "mirror: ", reason)
    end
    ngx.update_time()
    ngx.timer.at(math.max(self.poll, (now() - began) * SHARE), loop, self)
end

--- Follows from now on, if this is the first worker.
function Mirror:start()
    if ngx.worker.id() == 0 then
        assert(ngx.timer.at(0, loop, self))
    end
end

return mirror
