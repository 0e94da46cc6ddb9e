"""Many clients at once that ask odd combinations and leave when they like: the
worker lives, leaks nothing, and answers who stays."""

import concurrent.futures
import os
import random
import socket
import time

from resolua_server import HOST

SECONDS = float(os.environ.get("RESOLUA_CHAOS_SECONDS", "2"))

CONF = """
lua_shared_dict d 1m;
http {
    default_type text/plain;
    client_body_buffer_size 1k;
    proxy_http_version 1.1;
    proxy_read_timeout 200ms;
    lua_socket_log_errors off;
    lua_socket_read_timeout 100ms;
    upstream self { server 127.0.0.1:@HTTP@; keepalive 4; }
    server {
        listen 127.0.0.1:@HTTP@;
        listen 127.0.0.1:@HTTP2@ http2;
        location @err { content_by_lua_block { ngx.print("err") } }
        location = /plain { return 200 plain; }
        location = /slow { content_by_lua_block { ngx.sleep(0.005)
            ngx.print("slow") } }
        location = /large { content_by_lua_block {
            for _ = 1, 20 do ngx.print(("x"):rep(20000)) ngx.flush(true) end
        } }
        location = /proxied { proxy_pass http://self/large; }
        location = /stalls { proxy_pass http://self/never; }
        location = /never { content_by_lua_block { ngx.print("some")
            ngx.flush(true) ngx.sleep(0.4) } }
        location = /captures { content_by_lua_block {
            local a, b, c = ngx.location.capture_multi{
                {"/slow"}, {"/proxied"}, {"/captured", {ctx = ngx.ctx}}}
            ngx.print(a.body, #b.body, c.body) } }
        location = /captured { rewrite_by_lua_block { ngx.sleep(0) }
            content_by_lua_block {
                ngx.print(ngx.location.capture("/plain").body) } }
        location = /light { content_by_lua_block {
            for i = 1, 5 do ngx.thread.spawn(function()
                ngx.location.capture(i % 2 == 0 and "/slow" or "/stalls")
                ngx.print(i)
            end) end
            if math.random() < 0.3 then error("chaos") end } }
        location = /aborts { lua_check_client_abort on; content_by_lua_block {
            ngx.on_abort(function() ngx.sleep(0.001)
                if math.random() < 0.5 then ngx.exit(499) end end)
            ngx.location.capture("/slow") ngx.sleep(0.01)
            ngx.print("stayed") } }
        location = /ends { lua_check_client_abort on; content_by_lua_block {
            ngx.thread.spawn(function() ngx.sleep(0.02) end)
            ngx.location.capture("/stalls") ngx.print("stayed") } }
        location = /raw { content_by_lua_block {
            local socket = ngx.req.socket(true)
            if not socket then return ngx.exit(444) end
            ngx.thread.spawn(function()
                for _ = 1, 5 do socket:send(("y"):rep(5000)) ngx.sleep(0) end
            end)
            socket:receive(10) } }
        location = /body { content_by_lua_block {
            local socket = ngx.req.socket()
            if socket then socket:receive(5) end
            ngx.print("body") } }
        location = /reads { content_by_lua_block { ngx.req.read_body()
            ngx.print(#ngx.location.capture("/echo",
                {method = ngx.HTTP_POST}).body) } }
        location = /echo { proxy_pass http://self/back; }
        location = /back { content_by_lua_block { ngx.req.read_body()
            local file = ngx.req.get_body_file()
            ngx.print(file and io.open(file):read("*a")
                      or ngx.req.get_body_data()) } }
        location = /filters { error_page 403 = @err;
            header_filter_by_lua_block {
                if math.random() < 0.5 then ngx.exit(403) end
                ngx.header.content_length = nil }
            body_filter_by_lua_block {
                if math.random() < 0.1 then return ngx.ERROR end
                ngx.arg[1] = {ngx.arg[1], "!"} }
            content_by_lua_block { ngx.print("a") ngx.flush(true)
                ngx.sleep(0.001) ngx.print("b") } }
        location = /moves { access_by_lua_block { ngx.sleep(0)
            ngx.exec("/captured") } }
        location = /yields { content_by_lua_block {
            for _ = 1, 3 do ngx.thread.spawn(function()
                for _ = 1, 5 do coroutine.yield() end end) end
            coroutine.yield() ngx.print("yields") } }
    }
}
"""
PATHS = ["/plain", "/slow", "/large", "/proxied", "/stalls", "/captures",
         "/captured", "/light", "/aborts", "/ends", "/raw", "/body", "/reads",
         "/filters", "/moves", "/yields"]


def request(random_, path):
    body = b""
    more = b""
    if random_.random() < 0.4:
        body = os.urandom(random_.choice([0, 1, 100, 5000]))
        more = b"Content-Length: %d\r\n" % len(body)
    if random_.random() < 0.2:
        more += b"Connection: close\r\n"
    version = random_.choice([b"1.0", b"1.1", b"1.1", b"1.1"])
    return (b"%s %s HTTP/%s\r\nHost: x\r\n%s\r\n"
            % (b"POST" if more.startswith(b"Content") else b"GET",
               path.encode(), version, more)) + body


def one_client(port, seed, until):
    random_ = random.Random(seed)
    count = 0
    while time.monotonic() < until:
        try:
            with socket.create_connection((HOST, port), 2) as s:
                s.settimeout(random_.choice([0.001, 0.01, 0.05, 1]))
                for _ in range(random_.randint(1, 4)):
                    data = request(random_, random_.choice(PATHS))
                    cut = random_.random()
                    s.sendall(data if cut < 0.8 else
                              data[:random_.randint(1, len(data))])
                    count += 1
                    if random_.random() < 0.6:
                        s.recv(random_.choice([1, 4096, 65536]))
                if random_.random() < 0.2:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 b"\x01\0\0\0\0\0\0\0")  # a reset
        except OSError:
            pass
    return count


def test_chaos(start):
    server = start(CONF)
    server.allow_log(r"\[(error|crit|warn|info)\]")
    seed = int(os.environ.get("RESOLUA_CHAOS_SEED", time.time_ns()))
    print("seed", seed)
    pids = server.worker_pids()
    until = time.monotonic() + SECONDS
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(
            lambda i: one_client(server.port("HTTP"), seed + i, until),
            range(16)))
    assert sum(counts) > 50
    assert server.worker_pids() == pids
    for path, text in (("/plain", "plain"), ("/captures", "slow400000plain"),
                       ("/moves", "plain"), ("/yields", "yields")):
        assert server.http(path).text == text
