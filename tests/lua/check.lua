--- The test runner of tests/lua: check.test("a sentence", function) ... then
-- check.done().
local check = { failed = 0, count = 0 }

local function show(value)
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

function check.equal(got, wanted)
    if got ~= wanted then
        error(("got %s, wanted %s"):format(show(got), show(wanted)), 2)
    end
end

function check.matches(got, pattern)
    if type(got) ~= "string" or not got:find(pattern) then
        error(("got %s, wanted something like %s"):format(show(got),
            show(pattern)), 2)
    end
end

function check.test(sentence, body)
    check.count = check.count + 1
    local ok, err = xpcall(body, debug.traceback)
    if not ok then
        check.failed = check.failed + 1
        print(("FAILED %s\n%s"):format(sentence, err))
    end
end

function check.done()
    print(("%d tests, %d failed"):format(check.count, check.failed))
    os.exit(check.failed == 0 and check.count > 0 and 0 or 1)
end

return check
