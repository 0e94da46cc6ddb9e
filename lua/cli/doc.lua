--- `resolua doc NAME`: shows what the reference in docs/ says of a directive, a
-- function or a command.  An entry is a section whose heading begins with its
-- name in backquotes, or a row of a table whose first cell does.
-- @module cli.doc

local paths = require "cli.paths"

local COLUMNS = 79

local HELP = [[
usage: resolua doc [-s] [NAME ...]

Shows the manual of a directive, a function or a command: "resolua doc ngx.say",
"resolua doc dns_forward", "resolua doc say".  Without a name all are listed.
-s before the name is taken as others' tools have it and changes nothing.
]]

-- "`a ARG|b`, `c(x)`" gives {"a", "c"}; an "_end" stands for a name like the first
-- that ends so.
local function names_of(cell)
    local names = {}
    for code in cell:gmatch("`([^`]+)`") do
        local name = code:match("^[%w_.:*-]+")
        if name and name:find("^_") and names[1] then
            local _, count = name:gsub("_", "")
            name = names[1]:gsub(("_[^_]*"):rep(count) .. "$", "") .. name
        end
        names[#names + 1] = name
        names[#names + 1] = code:match("^%l+ %l+%f[^%l]") -- a command
    end
    return names
end

local function plain(text)
    return (text:gsub("\\|", "|"):gsub("`", ""):gsub("%*%*", "")
        :gsub("%[([^%]]+)%]%([^)]+%)", "%1"))
end

local function cells_of(line)
    local cells = {}
    for cell in (line:gsub("\\|", "\1"):match("^|(.*)|%s*$") .. "|"):gmatch("([^|]*)|") do
        cells[#cells + 1] = (cell:gsub("\1", "|"):match("^%s*(.-)%s*$"))
    end
    return cells
end

-- Lines that fit a terminal, four columns in.
local function wrapped(text)
    local lines, line = {}, "   "
    for word in text:gmatch("%S+") do
        if #line + 1 + #word > COLUMNS then
            lines[#lines + 1] = line
            line = "   "
        end
        line = line .. " " .. word
    end
    lines[#lines + 1] = line
    return table.concat(lines, "\n")
end

local function row_text(header, cells)
    local lines = { plain(cells[1]) }
    for i = 2, #cells do
        local title = plain(header[i] or "")
        if cells[i] ~= "" and i < #cells then
            lines[#lines + 1] = ("    %s: %s"):format(title, plain(cells[i]))
        elseif cells[i] ~= "" then
            lines[#lines + 1] = "\n" .. wrapped(plain(cells[i]))
        end
    end
    return table.concat(lines, "\n")
end

local function add(entries, names, text, file)
    for _, name in ipairs(names) do
        entries[#entries + 1] = { name = name, text = text, file = file }
    end
end

-- A table's lines, from the header on.
local function read_table(entries, lines, at, file)
    local header = cells_of(lines[at])
    at = at + 2
    while lines[at] and lines[at]:find("^|") do
        local cells = cells_of(lines[at])
        if cells[1] and cells[1]:find("^`") then
            add(entries, names_of(cells[1]), row_text(header, cells), file)
        end
        at = at + 1
    end
    return at
end

-- A section, to the next heading of its level or above.
local function read_section(entries, lines, at, file)
    local marks, title = lines[at]:match("^(#+)%s+(.*)$")
    local text = { plain(title) }
    local last = at + 1
    while lines[last] and not (lines[last]:match("^(#+)%s")
            and #lines[last]:match("^(#+)%s") <= #marks) do
        text[#text + 1] = plain(lines[last])
        last = last + 1
    end
    add(entries, names_of(title), table.concat(text, "\n"):gsub("%s+$", ""), file)
end

local function read_file(entries, path)
    local lines = {}
    for line in io.lines(path) do
        lines[#lines + 1] = line
    end
    local file = path:sub(#paths.data + 2)
    local at = 1
    while lines[at] do
        if lines[at]:find("^|") and (lines[at + 1] or ""):find("^|[%s:-]+|") then
            at = read_table(entries, lines, at, file)
        else
            if lines[at]:find("^#+%s+`") then
                read_section(entries, lines, at, file)
            end
            at = at + 1
        end
    end
end

local function read_all()
    local entries = {}
    local pipe = io.popen(("find '%s/docs' -name '*.md' | LC_ALL=C sort")
        :format(paths.data:gsub("'", "'\\''")))
    for path in pipe:lines() do
        read_file(entries, path)
    end
    pipe:close()
    return entries
end

-- How well a name answers what was asked: 3 itself, 2 its end, 1 a part of it.
local function rank(name, asked)
    name, asked = name:lower(), asked:lower()
    local stem = name:match("^(.*)%*$")
    if name == asked or stem and asked:sub(1, #stem) == stem then
        return 3
    end
    local rest = name:sub(-#asked)
    if rest == asked and name:sub(-#asked - 1, -#asked - 1):find("[.:_]") then
        return 2
    end
    return name:find(asked, 1, true) and 1 or 0
end

local function find(entries, asked)
    local best, found = 1, {}
    for _, entry in ipairs(entries) do
        local value = rank(entry.name, asked)
        if value > best then
            best, found = value, {}
        end
        if value == best then
            found[#found + 1] = entry
        end
    end
    return found, best
end

local function list(entries)
    local seen, names = {}, {}
    for _, entry in ipairs(entries) do
        if not seen[entry.name] then
            seen[entry.name] = true
            names[#names + 1] = entry.name
        end
    end
    table.sort(names)
    return names
end

local function show(entries, asked)
    local found, how = find(entries, asked)
    if #found == 0 then -- ngx.shared.DICT.incr, tcpsock:receive
        found, how = find(entries, asked:match("[^.:]*$"))
    end
    if #found == 0 then
        io.stderr:write("resolua doc: nothing is written about ", asked, "\n")
        return 1
    end
    if how == 1 and #list(found) > 1 then
        io.stdout:write(asked, " is in the names of\n  ",
            table.concat(list(found), "\n  "), "\n")
        return 0
    end
    local shown = {}
    for _, entry in ipairs(found) do
        if not shown[entry.text] then
            shown[entry.text] = true
            io.stdout:write(entry.text, "\n\n    (", entry.file, ")\n\n")
        end
    end
    return 0
end

local doc = {}

--- @tparam {string,...} words what follows "resolua doc"
-- @treturn number exit code
function doc.main(words)
    if words[1] == "--help" or words[1] == "-h" then
        io.stdout:write(HELP)
        return 0
    end
    if words[1] == "-s" then
        words = { unpack(words, 2) }
    elseif words[1] and words[1]:find("^%-.") then
        io.stderr:write("resolua doc: unknown option ", words[1],
            "; see resolua doc --help\n")
        return 1
    end
    local entries = read_all()
    if #words == 0 then
        io.stdout:write(table.concat(list(entries), "\n"), "\n")
        return 0
    end
    return show(entries, table.concat(words, " "))
end

return doc
