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

--- That a folder has no store; gives the exit code.
-- @tparam string folder
-- @treturn number
function console.complain_no_store(folder)
    return console.complain("resolua: ", folder, ": no store is there; --data "
        .. 'names its folder, and "zone load" or tools/serve makes one')
end

return console
