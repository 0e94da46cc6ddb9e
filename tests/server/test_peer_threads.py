"""Light threads beside Debian's Lua module: the order of their turns, their
states, and what belongs to them."""

from lua_peer import Case, compare, content

SPAWN = "local spawn, wait = ngx.thread.spawn, ngx.thread.wait "
SAY = ("local function s(...) ngx.print(...) ngx.print(' ') end "
       "local yield = coroutine.yield ")

CASES = {
    "nested": content(SPAWN + SAY + """
        local function g() s("hello in g") end
        local function f() s("before g") spawn(g) s("after g") end
        s("before f") spawn(f) s("after f")"""),
    "deep": content(SPAWN + SAY + """
        local function f(n) s("in", n)
            if n < 5 then spawn(f, n + 1) end s("out", n) end
        spawn(f, 1) s("end")"""),
    "yields": content(SPAWN + SAY + """
        local function f(name) for i = 1, 3 do s(name, i) yield() end end
        spawn(f, "f") spawn(f, "g") s("entry") yield() s("entry again")"""),
    "yields_alone": content(SPAWN + SAY + """
        spawn(function() s(1) yield() s(4) yield() s(7) end)
        spawn(function() s(2) yield() s(5) end)
        s(3) yield() s(6) yield() s(8)"""),
    "waits": content(SPAWN + SAY + """
        local a = spawn(function() s("a") yield() s("a ends") return 1 end)
        local b = spawn(function() s("b") return 2 end)
        s(wait(a)) s(wait(b)) s("end")"""),
    "wait_any": content(SPAWN + SAY + """
        local t = {}
        for i = 1, 3 do t[i] = spawn(function()
            ngx.sleep(0.3 - i / 10) s("t", i) return i end) end
        s(wait(t[1], t[2], t[3])) s(wait(t[1], t[2])) s(wait(t[1]))"""),
    "sleeps": content(SPAWN + SAY + """
        local function f(name) for i = 1, 3 do s(name, i) ngx.sleep(0) end end
        wait(spawn(f, "f")) s("entry") spawn(f, "g") s("end")"""),
    "coroutines": content(SPAWN + SAY + """
        local t = spawn(function()
            local c = coroutine.wrap(function()
                s("c1") yield("x") s("c2") ngx.sleep(0.001) yield("y") end)
            s(c()) yield() s(c()) end)
        s("entry") yield() s("entry again") wait(t) s("end")"""),
    "spawn_in_coroutine": content(SPAWN + SAY + """
        local c = coroutine.create(function()
            s("c") spawn(function() s("t1") yield() s("t2") end) s("c again")
            yield(5) s("c ends") end)
        s(coroutine.resume(c)) s("entry") s(coroutine.resume(c))"""),
    "exits": content(SPAWN + SAY + """
        spawn(function() s("t") yield() s("t again") ngx.exit(200) end)
        s("entry") yield() s("entry again") yield() s("never")
        yield() s("never")"""),
    "kill_ready": content(SPAWN + SAY + """
        local t = spawn(function() s("t") yield() s("t again") end)
        s("kill") s(ngx.thread.kill(t)) yield() s("end")"""),
    "kill_parent": content(SPAWN + SAY + """
        local p
        p = spawn(function() yield()
            spawn(function() s(ngx.thread.kill(p)) end) s("p goes on") end)
        wait(p)"""),
    "states": content(SPAWN + SAY + """
        local status, entry = coroutine.status, coroutine.running()
        local t = spawn(function()
            s("entry", status(entry), "self", status(coroutine.running()))
            ngx.sleep(0.01) s("entry", status(entry)) ngx.sleep(0.01) end)
        s("t", status(t)) ngx.sleep(0.015) s("t", status(t))
        wait(t) s("t", status(t))
        local u = spawn(function() end) s("u", status(u))"""),
    "states_of_coroutines": content(SPAWN + SAY + """
        local status, co = coroutine.status
        local t = spawn(function()
            local parent = coroutine.running()
            co = coroutine.create(function()
                s("parent", status(parent), "co", status(co))
                ngx.sleep(0.02) yield() end)
            s("co", status(co)) coroutine.resume(co)
            s("co", status(co)) coroutine.resume(co) s("co", status(co)) end)
        s("t", status(t), "co", status(co)) wait(t)"""),
    "status_of_yielded": content(SPAWN + SAY + """
        local t = spawn(function() yield() end)
        s(coroutine.status(t)) s(coroutine.resume(t)) yield()
        s(coroutine.status(t))"""),
    "semaphore": content(SPAWN + SAY + """
        local sema = require "ngx.semaphore".new(0)
        s(sema:wait(0.01)) s(sema:wait(0))
        local t = spawn(function() s("t", sema:wait(5)) end)
        sema:post() s("posted") wait(t)"""),
    "captures": content(SPAWN + SAY + """
        local f = function(at) return ngx.location.capture(at) end
        local a, b, c = spawn(f, "/no"), spawn(f, "/text"), spawn(f, "/lua")
        for _, t in ipairs{ a, b, c } do
            local ok, r = wait(t) s(ok, r.status, r.body) end"""),
    "capture_beside": content(SPAWN + SAY + """
        local t = spawn(function() return ngx.location.capture("/no") end)
        s(ngx.location.capture("/text").body)
        local ok, r = wait(t) s(ok, r.status)"""),
    "captures_twice": content(SPAWN + SAY + """
        local f = function() local r = {}
            for i = 1, 3 do r[i] = ngx.location.capture("/no").status end
            return table.concat(r, ",") end
        local a, b = spawn(f), spawn(f)
        s(wait(b)) s(wait(a)) s(f())"""),
    "exit_again": content("ngx.say(pcall(ngx.exit, ngx.AGAIN))"),
    "exit_done": content("ngx.say(pcall(ngx.exit, ngx.DONE))"),
    "exit_in_set": Case("location @@ { set_by_lua_block $a { ngx.exit(403) "
                        "return 1 } return 200 x; }"),
    "timer_past": content("""
        local n = 0
        ngx.say(ngx.timer.at(-0.5, function() n = n + 1 end))
        for _ = 1, 500 do if n == 0 then ngx.sleep(0.01) end end
        ngx.say(n) ngx.say(pcall(ngx.timer.every, 0, print))"""),
}

SERVER = """
    location = /no { return 204; }
    location = /text { return 200 "text"; }
    location = /lua { content_by_lua_block { ngx.print("lua") } }
"""

pair, test_is_alike = compare(CASES, server=SERVER)
