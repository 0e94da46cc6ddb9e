--- The commands of tools/resolua.
-- @module dns.commands

local dns = require "dns"
local client = require "dns.client"
local console = require "dns.commands.console"
local explain_commands = require "dns.commands.explain"
local key_commands = require "dns.commands.keys"
local mirror_commands = require "dns.commands.mirror"
local store_commands = require "dns.commands.store"
local store_module = require "dns.store"
local zone_warnings = require "dns.zone_warnings"

local name_of = dns.name
local complain, say = console.complain, console.say

local HELP = [[
usage: resolua [--data DIR | --store URL] COMMAND ...

  zone load FILE... | DIR [--origin NAME] [--include DIR]
                                            load or replace zones
  zone list                                 names and serials
  zone show NAME                            a zone as master-file text
  zone delete NAME                          remove a zone
  zone check FILE... [--origin NAME] [--include DIR]
                                            check master files, change nothing
  record add ZONE NAME TYPE [TTL] RDATA...  add one record
  record set ZONE NAME TYPE [TTL] RDATA...  replace a record set
  record delete ZONE NAME TYPE [RDATA...]   remove a record set or one record
  key add [--zone ZONE,...] [--name PATTERN,...] [--type TYPE,...]
          [--read-only] [--acme]            make a key for the HTTP endpoints
  key list                                  keys and what they may do
  key revoke ID                             take a key back
  mirror status                             what DIR is a copy of, and how old
  store options                             what a networked store may be given
  explain NAME [TYPE] [--client ADDR]       what would be answered, and why
  query NAME [TYPE] [@ADDR] [-p PORT]       ask a name server
  run [-e CODE] [FILE] [ARG...]             run Lua in an nginx of its own
  flame [--lua | --c] -o FILE.svg           where running workers spend time
  doc [NAME]                                the manual of a directive, function
  help [COMMAND]                            what a command does; also --help
  --version

--data names the folder of the store (./data); --store a networked one as
mysql://USER:PASSWORD@HOST/DATABASE or redis://HOST[/NUMBER], with
?NAME=VALUE&NAME=VALUE behind it ("resolua store options" lists them).
"resolua COMMAND --help" says more of a command.  The exit code is 0, or 1 after an error.
]]

local HELP_OF = {
    ["zone load"] = [[
usage: resolua [--data DIR] zone load FILE... | DIR [--origin NAME]
                                      [--include DIR]

Loads master files; each zone is replaced in one transaction, and an error in
a file leaves its old zone as it was.  A folder stands for all files in it
that end in ".zone".  Relative names before any $ORIGIN end in --origin, or in
the file's name without ".zone"; the zone is --origin, or the owner of the SOA.
Failures are listed as FILE:LINE:COLUMN: what was expected; FILE:LINE: warning:
says what was loaded all the same, as a set with several TTLs with the lowest,
or left out, as records outside the zone.  $INCLUDE reads files of the master
file's own folder and below; --include names one more folder for it, from which
files may be included by absolute path too.
]],
    ["zone list"] = [[
usage: resolua [--data DIR] zone list

Prints the name and the serial of each zone.
]],
    ["zone show"] = [[
usage: resolua [--data DIR] zone show NAME

Prints a zone as master-file text, every name absolute, the SOA first.
]],
    ["zone delete"] = [[
usage: resolua [--data DIR] zone delete NAME

Removes a zone and all of its records.
]],
    ["zone check"] = [[
usage: resolua zone check FILE... [--origin NAME] [--include DIR]

Checks master files as "zone load" does and changes nothing.
]],
    ["record add"] = [[
usage: resolua [--data DIR] record add ZONE NAME TYPE [TTL] RDATA...

Adds one record.  NAME and names in RDATA without a final dot end in ZONE; "@"
is ZONE itself.  The whole record set takes the TTL (3600).  A TXT without quotes
in RDATA is one string: resolua record add example.test _dmarc TXT "v=DMARC1; p=none"
A zone that was signed elsewhere is not edited, since that would break its
signatures: load the newly signed zone instead.
]],
    ["record set"] = [[
usage: resolua [--data DIR] record set ZONE NAME TYPE [TTL] RDATA...

Replaces a record set.  Each RDATA is one record, so quote it where it holds
spaces: resolua record set example.test @ MX 300 "10 mail" "20 backup"
]],
    ["record delete"] = [[
usage: resolua [--data DIR] record delete ZONE NAME TYPE [RDATA...]

Removes a record set, or with RDATA one record of it.
]],
    query = [[
usage: resolua query NAME [TYPE] [@ADDR] [-p PORT] [+tcp]

Asks a name server and prints the response as dig does: that of tools/serve
(127.0.0.1, port 5300), or the one at ADDR (port 53; 5300 if ADDR is loopback).
]],
}

local DEFAULT_TTL = "3600"

-- The folder's store, or the networked one of --store.
local function find_store(options, read_only)
    if not options.store then
        return store_module.open(options.data, read_only)
    end

    local database = require "dns.database"
    local where, reason = database.parse(options.store)
    if not where then
        return nil, reason
    end

    return database.open(where)
end

-- Only what loads zones makes a new store: an edit of a mistyped folder would
-- leave an empty one there.
local function open_store(options, read_only, may_create)
    if not options.store and not may_create
        and not store_module.exists(options.data) then
        os.exit(console.complain_no_store(options.data))
    end

    local store, reason = find_store(options, read_only)
    if not store then
        complain("resolua: ", reason)
        os.exit(1)
    end

    return store
end

-- Zones.

local function quoted(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Files and folders as a list of files.
local function zone_files(paths)
    local files = {}
    for _, path in ipairs(paths) do
        local pipe = io.popen(("if [ -d %s ]; then find %s -maxdepth 1 -type f"
            .. " -name '*.zone' | LC_ALL=C sort; else echo %s; fi")
            :format(quoted(path), quoted(path), quoted(path)))
        for file in pipe:lines() do
            files[#files + 1] = file
        end
        pipe:close()
    end

    return files
end

-- The zone that a file is for.
local function zone_of(path, options)
    if options.origin then
        return options.origin
    end

    local origin = path:match("([^/]+)$"):gsub("%.zone$", "")
    return store_module.zone_of_file(path, name_of.to_wire(origin) and origin
        or ".", options.include)
end

local function starts_with(text, start)
    return text:sub(1, #start) == start
end

local function warn(store, path, zone)
    for _, sentence in ipairs(zone_warnings.of(store, zone)) do
        complain(path, ": warning: ", sentence)
    end
end

-- true, or nil and a message that begins with the file's name.
local function load_file(store, path, options)
    local zone, reason = zone_of(path, options)
    local edit
    if zone then
        edit, reason = store:edit(zone)
    end

    local ok
    if edit then
        edit:replace_zone()
        edit:load_file(path, options.include)
        ok, reason = edit:commit()
    end
    if not ok then
        return nil, starts_with(reason, path) and reason
            or path .. ": " .. reason
    end

    for _, sentence in ipairs(edit:warnings()) do
        complain(sentence)
    end
    warn(store, path, zone)
    return true
end

local function load_files(store, paths, options, done)
    if #paths == 0 then
        return complain("resolua: a file or a folder is needed; see --help"), 0
    end
    if options.origin and not name_of.to_wire(options.origin) then
        return complain("resolua: ", options.origin, ": not a domain name"), 0
    end

    local failures, count = {}, 0
    for _, path in ipairs(zone_files(paths)) do
        local ok, reason = load_file(store, path, options)
        if ok then
            count = count + 1
        else
            failures[#failures + 1] = reason
        end
    end

    say(("%d zone%s %s\n"):format(count, count == 1 and "" or "s", done))
    for _, reason in ipairs(failures) do
        complain(reason)
    end

    return #failures == 0 and 0 or 1, count
end

-- A new store stays only when something was loaded into it.
local function zone_load(words, options)
    local is_new = not options.store and not store_module.exists(options.data)
    local store = open_store(options, false, true)
    local code, count = load_files(store, words, options, "loaded")
    if is_new and count == 0 then
        os.remove(options.data .. "/data.mdb")
        os.remove(options.data .. "/lock.mdb")
        os.remove(options.data)
    end

    return code
end

local function remove_folder(folder)
    os.execute("rm -rf " .. quoted(folder))
end

-- A check needs a store to be an edit of: an empty one of its own.
local function zone_check(words, options)
    local pipe = io.popen("mktemp -d")
    local folder = pipe:read("*l")
    pipe:close()

    local store = open_store({ data = folder }, false, true)
    local code = load_files(store, words, options, "without errors")
    remove_folder(folder)
    return code
end

local function zone_list(_, options)
    local zones, reason = open_store(options, true):zones()
    if not zones then
        return complain("resolua: ", reason)
    end

    for _, zone in ipairs(zones) do
        say(("%s\t%d\n"):format(zone.name, zone.serial))
    end

    return 0
end

-- The zone that a command names, checked.
local function zone_word(words)
    local zone = words[1]
    if not zone then
        return nil, "a zone's name is needed; see --help"
    end
    if not name_of.to_wire(zone) then
        return nil, zone .. ": not a domain name"
    end

    return zone
end

local function zone_show(words, options)
    local zone, reason = zone_word(words)
    local text
    if zone then
        text, reason = open_store(options, true):zone_text(zone)
        reason = reason and zone .. ": " .. reason
    end
    if not text then
        return complain("resolua: ", reason)
    end

    say(text)
    return 0
end

local function zone_delete(words, options)
    local zone, reason = zone_word(words)
    local ok
    if zone then
        local edit = open_store(options):edit(zone)
        edit:delete_zone()
        ok, reason = edit:commit()
    end

    return ok and 0 or complain("resolua: ", reason)
end

-- Records.

-- Absolute text of NAME, which may be relative to the zone.
local function owner_in(zone, text)
    local origin = name_of.to_wire(zone)
    local wire = name_of.to_wire(text, origin)

    return wire and name_of.to_absolute_text(wire)
end

-- ZONE NAME TYPE of a record command, checked.
local function parse_record(words)
    local zone, reason = zone_word(words)
    if not zone then
        return nil, reason
    end
    if not words[3] then
        return nil, "ZONE, NAME and TYPE are needed; see --help"
    end

    local owner = owner_in(zone, words[2])
    if not owner then
        return nil, words[2] .. ": not a domain name"
    end
    if not name_of.is_within(owner, zone) then
        return nil, ("%s lies outside %s"):format(owner, zone)
    end

    local rtype = dns.type[words[3]:upper()]
    if not rtype or dns.is_meta_type(rtype) then
        return nil, words[3] .. ": not a type of records"
    end

    return { zone = zone, owner = owner, type = rtype }
end

-- What follows TYPE: a TTL if the first word is a number and others follow.
local function ttl_and_data(words)
    local at = 4
    local ttl = DEFAULT_TTL
    if words[5] and words[4]:find("^%d+$") and tonumber(words[4]) < 2 ^ 31 then
        ttl, at = words[4], 5
    end

    local data = {}
    for i = at, #words do
        data[#data + 1] = words[i]
    end

    return tonumber(ttl), data
end

local function finish_edit(edit, ok, reason)
    if ok then
        ok, reason = edit:commit()
    end

    return ok and 0 or complain("resolua: ", reason)
end

local function needs_zone(store, zone)
    local found, reason = store:zone(zone)
    local edit
    if found then
        edit, reason = store:edit(zone)
    end
    if not edit then
        complain("resolua: ", zone, ": ", reason)
    end

    return edit
end

-- A TTL and data where the data itself may begin with a number (MX 10 mail):
-- what does not parse with a TTL taken off is tried whole.
local function add_record(edit, record, words)
    local ttl, data = ttl_and_data(words)
    if #data == 0 then
        return nil, "RDATA is needed; see --help"
    end

    local text = table.concat(data, " ")
    if not dns.rdata_from_text(record.type, text, edit.apex) then
        local whole = table.concat(words, " ", 4)
        if dns.rdata_from_text(record.type, whole, edit.apex) then
            ttl, text = tonumber(DEFAULT_TTL), whole
        end
    end

    return edit:add(record.owner, record.type, ttl, text)
end

local function record_add(words, options)
    local record, reason = parse_record(words)
    if not record then
        return complain("resolua: ", reason)
    end

    local edit = needs_zone(open_store(options), record.zone)
    if not edit then
        return 1
    end

    return finish_edit(edit, add_record(edit, record, words))
end

-- Words as records of a set: each is one, or all together are one.
local function texts_of_set(edit, record, data)
    for _, text in ipairs(data) do
        if not dns.rdata_from_text(record.type, text, edit.apex) then
            return { table.concat(data, " ") }
        end
    end

    return data
end

local function record_set(words, options)
    local record, reason = parse_record(words)
    if not record then
        return complain("resolua: ", reason)
    end

    local edit = needs_zone(open_store(options), record.zone)
    if not edit then
        return 1
    end

    local ttl, data = ttl_and_data(words)
    if #data == 0 then
        return complain("resolua: RDATA is needed; see --help")
    end

    local texts = texts_of_set(edit, record, data)
    if #texts == 1 and not dns.rdata_from_text(record.type, texts[1],
        edit.apex) then
        ttl, texts = tonumber(DEFAULT_TTL), { table.concat(words, " ", 4) }
    end

    return finish_edit(edit, edit:set(record.owner, record.type, ttl, texts))
end

local function record_delete(words, options)
    local record, reason = parse_record(words)
    if not record then
        return complain("resolua: ", reason)
    end

    local edit = needs_zone(open_store(options), record.zone)
    if not edit then
        return 1
    end

    local data = words[4] and table.concat(words, " ", 4) or nil
    return finish_edit(edit, edit:remove(record.owner, record.type, data))
end

-- Queries.

local function default_port(server)
    return (server:find("^127%.") or server == "::1") and 5300 or 53
end

local function query(words, options)
    local name, rtype, server = nil, "A", "127.0.0.1"
    for _, word in ipairs(words) do
        if word:sub(1, 1) == "@" then
            server = word:sub(2)
        elseif not name then
            name = word
        else
            rtype = word:upper()
        end
    end
    if not name then
        return complain("resolua: NAME is needed; see --help")
    end
    if not dns.type[rtype] then
        return complain("resolua: ", rtype, ": no such record type")
    end

    local text, reason = client.dig {
        name = name,
        type = rtype,
        server = server,
        port = options.port or default_port(server),
        tcp = options.tcp,
    }
    if not text then
        return complain("resolua: ", reason)
    end

    say(text)
    return 0
end

local COMMANDS = {
    ["zone load"] = zone_load,
    ["zone list"] = zone_list,
    ["zone show"] = zone_show,
    ["zone delete"] = zone_delete,
    ["zone check"] = zone_check,
    ["record add"] = record_add,
    ["record set"] = record_set,
    ["record delete"] = record_delete,
    query = query,
}

for _, more in ipairs { explain_commands, key_commands, mirror_commands,
    store_commands } do
    for name, run in pairs(more.run) do
        COMMANDS[name], HELP_OF[name] = run, more.help[name]
    end
end

local VALUE_OPTIONS = { ["--data"] = "data", ["--store"] = "store",
    ["--origin"] = "origin", ["--include"] = "include",
    ["-p"] = "port", ["--zone"] = "zone", ["--name"] = "name",
    ["--type"] = "type", ["--note"] = "note",
    ["--client"] = "client", ["--subnet"] = "subnet", ["--transport"] = "transport",
    ["--server"] = "server", ["--api"] = "api" }

local FLAGS = { ["--help"] = "help", ["-h"] = "help", ["+tcp"] = "tcp",
    ["--read-only"] = "read_only", ["--acme"] = "acme" }

-- Options may stand anywhere; "--" ends them.
local function parse_words(arguments)
    local options, words = { data = "./data" }, {}
    local i = 1

    while arguments[i] do
        local word = arguments[i]
        if word == "--" then
            for j = i + 1, #arguments do
                words[#words + 1] = arguments[j]
            end
            break
        elseif FLAGS[word] then
            options[FLAGS[word]] = true
        elseif VALUE_OPTIONS[word] then
            i = i + 1
            if not arguments[i] then
                return nil, word .. " needs a value"
            end
            options[VALUE_OPTIONS[word]] = arguments[i]
        elseif word:find("^%-%-?%a") then
            return nil, "unknown option " .. word .. "; see --help"
        else
            words[#words + 1] = word
        end
        i = i + 1
    end

    return options, words
end

-- The command's name, and what follows it.
local function find_command(words)
    local first = table.remove(words, 1)
    if COMMANDS[first] then
        return first
    end

    local second = table.remove(words, 1)
    local command = ("%s %s"):format(first or "", second or "")
    return COMMANDS[command] and command or nil
end

local commands = {}

--- Runs one command.
-- @tparam {string,...} arguments
-- @treturn number exit code
function commands.main(arguments)
    local options, words = parse_words(arguments)
    if not options then
        return complain("resolua: ", words)
    end
    if #words == 0 then
        if options.help then
            say(HELP)
            return 0
        end
        io.stderr:write(HELP)
        return 1
    end

    local command = find_command(words)
    if options.help then
        say(command and HELP_OF[command] or HELP)
        return 0
    end
    if not command then
        return complain("resolua: no such command; see resolua --help")
    end

    return COMMANDS[command](words, options)
end

return commands
