"""What scripts do over and over in test_endurance.py.  Each response over HTTP
ends with "done"."""

# Hooks of DNS, one of which sleeps.
SLEEPS = """
    dns_query_by_lua_block {
        local q = ...
        ngx.sleep(0.001)
        q:answer("A", 60, "192.0.2.1")
    }
    dns_answer_by_lua_block { local q = ... }
    dns_log_by_lua_block { local q = ... }
"""

# Of a location, and how many requests.
PIECES = {
    "hello": ("ngx.say('done')", 60000),
    "headers": ("""
        ngx.header["X-A"] = { "a", "b" }
        ngx.ctx.a = ngx.req.get_headers()["Host"]
        ngx.var.v = ngx.var.uri .. ngx.time()
        ngx.req.set_header("X-B", "c")
        ngx.req.set_uri_args({ a = 1, b = { 2, 3 } })
        ngx.say(ngx.ctx.a, #ngx.req.raw_header(), " done")
    """, 20000),
    "sleep": ("ngx.sleep(0) ngx.sleep(0.001) ngx.say('done')", 10000),
    "error": ("""
        pcall(error, "caught")
        coroutine.wrap(function() pcall(error, { ngx.now() }) end)()
        ngx.say('done')
    """, 20000),
    "subrequests": ("""
        local a = ngx.location.capture("/part", { args = { a = 1 },
            method = ngx.HTTP_POST, body = "b", ctx = {} })
        local b, c = ngx.location.capture_multi{ { "/part" }, { "/hello" } }
        ngx.say(#a.body + #b.body, #c.body, " done")
    """, 9000),
    "exec": ("ngx.exec('/hello')", 20000),
    "cosockets": ("""
        local s = ngx.socket.tcp()
        assert(s:connect("unix:@FOLDER@/http.sock"))
        s:send({ "GET /part? HTTP/1.1\\r\\n", { "Host: a\\r\\n" }, "\\r\\n" })
        local until_ = s:receiveuntil("\\r\\n\\r\\n")
        until_()
        s:receiveany(1000)
        s:close()
        assert(s:connect("127.0.0.1", @HTTP@))
        s:send("GET /hello HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        repeat local line = s:receive() until line == "\\r" or line == ""
        repeat local line = s:receive() until line == "0"
        s:receive()
        assert(s:setkeepalive(10000, 10))
        ngx.say("done")
    """, 9000),
    "datagrams": ("""
        local s = ngx.socket.udp()
        s:setpeername("127.0.0.1", @ECHO@)
        s:send("hello")
        assert(s:receive() == "hello")
        s:close()
        ngx.say("done")
    """, 9000),
    "timers": ("""
        local done = require("ngx.semaphore").new()
        for i = 1, 5 do
            ngx.timer.at(i % 2 / 1000, function(_, a) done:post() end, { i })
        end
        for _ = 1, 5 do assert(done:wait(5)) end
        ngx.say("done")
    """, 9000),
    "dict": ("""
        local d = ngx.shared.d
        local key = "k" .. math.random(20000)
        d:set(key, ("v"):rep(math.random(300)), 1)
        d:incr("n", 1, 0)
        d:lpush("l" .. math.random(100), "x")
        d:rpop("l" .. math.random(100))
        d:get_keys(10)
        d:flush_expired(10)
        ngx.say(#(d:get(key) or ""), " done")
    """, 20000),
    "regex": ("""
        local n = math.random(1000000)
        ngx.re.match("a" .. n, "a(\\\\d+)", "jo")
        ngx.re.match("a" .. n, "a(?<n>" .. n .. ")")
        ngx.re.gsub("a" .. n, "\\\\d", function(m) return m[0] .. "x" end, "jo")
        for m in ngx.re.gmatch("a b c", "\\\\w", "o") do end
        require("ngx.re").split("a,b," .. n, ",")
        pcall(ngx.re.match, "a", "(" .. n)
        ngx.say("done")
    """, 15000),
    "threads": ("""
        local one = ngx.thread.spawn(function() ngx.sleep(0) return 1 end)
        local two = ngx.thread.spawn(function() ngx.sleep(100) end)
        ngx.thread.spawn(function() error("no") end)
        ngx.thread.wait(one)
        ngx.thread.kill(two)
        local co = coroutine.create(function() coroutine.yield() ngx.sleep(0) end)
        coroutine.resume(co)
        coroutine.resume(co)
        ngx.thread.spawn(function() ngx.sleep(100) end)
        ngx.say("done")
        ngx.exit(200)
    """, 12000),
    "semaphores": ("""
        local s = require("ngx.semaphore").new()
        ngx.thread.spawn(function() ngx.sleep(0) s:post(1) end)
        assert(s:wait(1))
        s:wait(0)
        s:wait(0.001)
        ngx.say("done")
    """, 9000),
    "worker threads": ("""
        local ok, text = ngx.run_worker_thread("default", "work", "f", ("a"):rep(1000))
        assert(ok, text)
        ngx.say(#text, " done")
    """, 6000),
    "pipes": ("""
        local p = require("ngx.pipe").spawn({ "/bin/cat" })
        p:write("hello\\n")
        assert(p:stdout_read_line() == "hello")
        p:shutdown("stdin")
        p:wait()
        require("ngx.pipe").spawn({ "/bin/sleep", "0" })
        ngx.say("done")
    """, 600),
    "digests": ("""
        local t = ngx.decode_args(ngx.encode_args({ a = ngx.md5(ngx.now()) }))
        ngx.say(ngx.hmac_sha1("k", t.a):len(), ngx.encode_base64(t.a):len(),
                " done")
    """, 20000),
}

# Of a server with TLS.
CERTIFICATE = """
    ssl_certificate_by_lua_block {
        local ssl = require "ngx.ssl"
        local function read(name)
            local file = io.open("%(folder)s/a.test." .. name)
            local text = file:read("*a")
            file:close()
            return text
        end
        ngx.sleep(0)
        assert(ssl.clear_certs())
        assert(ssl.set_cert(assert(ssl.parse_pem_cert(read("pem")))))
        assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(read("key")))))
    }
    ssl_client_hello_by_lua_block {
        require("ngx.ssl.clienthello").get_client_hello_server_name()
    }
    ssl_session_store_by_lua_block {
        local session = require "ngx.ssl.session"
        ngx.shared.d:set(session.get_session_id(),
                         session.get_serialized_session())
    }
    ssl_session_fetch_by_lua_block {
        local session = require "ngx.ssl.session"
        local text = ngx.shared.d:get(session.get_session_id())
        if text then session.set_serialized_session(text) end
    }
"""

# Of a location, by the kind of the database; %d is its port.
DRIVERS = {
    "mysql": """
        local db = assert(require("resty.mysql"):new())
        assert(db:connect{ host = "127.0.0.1", port = %d, user = "resolua",
                           password = "secret", database = "dns" })
        assert(db:query("select name, content from records limit 10"))
        db:query("select broken from nowhere")
        db:send_query("select 1; select 2")
        db:read_result()
        if math.random() < 0.1 then db:close() else db:set_keepalive(9000, 9) end
        ngx.say("done")""",
    "redis": """
        local db = assert(require("resty.redis"):new())
        assert(db:connect("127.0.0.1", %d))
        if db:get_reused_times() == 0 then db:auth("secret") end
        db:set("a", ("b"):rep(1000))
        db:get("a")
        db:init_pipeline()
        db:hgetall("b") db:wrong()
        db:commit_pipeline()
        if math.random() < 0.1 then db:close() else db:set_keepalive(9000, 9) end
        ngx.say("done")""",
}

# Of a location whose clients go.
WAITS = {
    "sleep": "ngx.sleep(60)",
    "on_abort": """
        ngx.on_abort(function() ngx.exit(499) end)
        ngx.thread.spawn(function() ngx.sleep(60) end)
        ngx.sleep(60)""",
    "socket": """
        local s = ngx.socket.tcp()
        s:connect("127.0.0.1", @HTTP@)
        s:receive("*a")""",
    "handshake": """
        local s = ngx.socket.tcp()
        s:connect("127.0.0.1", @HTTP@)
        s:sslhandshake()""",
    "datagram": """
        local s = ngx.socket.udp()
        s:setpeername("127.0.0.1", @HTTP@)
        s:receive()""",
    "semaphore": "require('ngx.semaphore').new():wait(60)",
    "subrequests": """
        ngx.location.capture_multi{ { "/wait" }, { "/wait" } }""",
    "thread": """
        ngx.run_worker_thread("default", "work", "f", "a")
        ngx.sleep(60)""",
    "pipe": """
        local p = require("ngx.pipe").spawn({ "/bin/sleep", "60" })
        p:stdout_read_line()""",
    "body": "ngx.req.read_body()",
    "request socket": "ngx.req.socket(true):receive(1000)",
}
