-- How long after its start a request came to each phase.
local timing = {}

function timing.mark(phase)
    local marks = ngx.ctx.marks or {}
    ngx.update_time()
    marks[#marks + 1] = ("%s +%.3f"):format(phase,
        ngx.now() - ngx.req.start_time())
    ngx.ctx.marks = marks
end

function timing.log()
    timing.mark("log")
    ngx.log(ngx.NOTICE, "timing: ", table.concat(ngx.ctx.marks, ", "))
end

return timing
