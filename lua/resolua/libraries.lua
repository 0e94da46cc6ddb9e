--- Names of libraries: Debian's packages have OpenResty's libraries as
-- nginx.string and so on, where scripts require resty.string.
-- @module resolua.libraries

local libraries = {}

-- The last of package.loaders: what is found under its own name is taken.
local function load_debian(name)
    local rest = name:match("^resty%.(.+)$")
    if not rest then
        return nil
    end
    local other = "nginx." .. rest
    local file, err = package.searchpath(other, package.path)
    if not file then
        return err
    end
    return function()
        return require(other)
    end
end

function libraries.install()
    table.insert(package.loaders, load_debian)
end

return libraries
