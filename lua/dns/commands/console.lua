--- What the commands say.
-- @module dns.commands.console

local console = {}

function console.say(...)
    io.stdout:write(...)
end

--- An error's line; gives the exit code.
function console.complain(...)
    io.stderr:write(...)
    io.stderr:write("\n")
    return 1
end

return console
