"""A worker keeps nothing of what is over: neither memory nor descriptors.

Each kind of work is done three times.  In the last part the worker's resident
memory may grow by GROWTH and no more, whatever the number of requests: a leak
of some hundred bytes for each is seen with the half of the numbers below, which
is done as a rule; one of a few bytes with RESOLUA_ENDURANCE=N, which does N
times these numbers.
"""

import itertools
import os
import socket
import ssl
import subprocess

import pytest

import leaks
import load
import tls
from load import descriptors
from lua_work import CERTIFICATE, DRIVERS, PIECES, SLEEPS, WAITS
from resolua_server import HOST, have, sanitizer_environment, wait_for
from service_conf import SAMPLE, resolua
from stores import open_zones, wait_for_answer
from upstream import Upstream

TIMES = float(os.environ.get("RESOLUA_ENDURANCE", "0.5"))
GROWTH = 1 << 20  # bytes of a worker's resident memory
LUA_GROWTH = 128 << 10  # of its Lua heap
KEPT = 24  # descriptors: connections that wait for the next request ...
SPARE = 3  # ... and how many more they may become

SANITIZED = bool(sanitizer_environment())  # does a tenth, looks for leaks

CONF = """
dns_store lmdb path=@FOLDER@/data;
lua_shared_dict d 1m;
%(main)s
stream {
    server {
        listen 127.0.0.1:@DNS@ udp rcvbuf=4m sndbuf=4m;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        %(server)s
    }
    server {
        listen 127.0.0.1:@ECHO@ udp;
        content_by_lua_block {
            local socket = ngx.req.socket()
            socket:send(socket:receive())
        }
    }
}
http {
    lua_socket_log_errors off;
    server {
        listen 127.0.0.1:@HTTP@;
        listen unix:@FOLDER@/http.sock;
        keepalive_requests 1000000;
        lua_check_client_abort on;
        default_type text/plain;
        location /hello { content_by_lua_block { ngx.say("done") } }
        location /part { internal; content_by_lua_block { ngx.say(("x"):rep(100)) } }
        location /dns-query { dns_over_https on; }
        location /dns { content_by_lua_block { require("dns.api").serve() } }
        location /lua-heap { content_by_lua_block {
            collectgarbage() collectgarbage()
            ngx.print(collectgarbage("count") * 1024)
        } }
        %(http)s
    }
}
"""


def location(code, name="t", more=""):
    return "location /%s { %s content_by_lua_block { %s } }" % (
        name, more, code)


@pytest.fixture
def serve(start, tmp_path):
    """Under sanitizers its processes tell at their end what has leaked."""
    servers = []

    def go(http="", server="", main="", **options):
        folder = tmp_path / f"server{len(servers)}"
        one = start(CONF % {"http": http, "server": server, "main": main},
                    run=False, folder=folder, log_level="crit",
                    env=leaks.environment(tmp_path, folder), **options)
        servers.append(one)
        resolua(one, "zone", "load", SAMPLE)
        return one.start()

    yield go
    for one in servers:
        one.stop(seconds=60)
        assert leaks.found(one.folder) == []


def counted(count):
    """How many of a third: the whole is `count`."""
    return max(int(count * TIMES / (10 if SANITIZED else 1)) // 3, 1)


def measure(server):
    pid, = server.worker_pids()
    lua = float(server.http("/lua-heap", timeout=60).text)
    return server.memory(pid), lua, descriptors(pid)


def settle(server, bound):
    """What is closed at the other side, or waits for nobody, ends soon."""
    wait_for(lambda: measure(server)[2] <= bound, 20, f"{bound} descriptors")


def endure(server, work, count, growth=GROWTH):
    """work(n) does n of `count` requests in three parts."""
    bound = measure(server)[2] + KEPT
    seen = []
    for _ in range(3):
        work(counted(count))
        settle(server, bound)
        seen.append(measure(server))
        bound = seen[-1][2] + SPARE
    print(f"{3 * counted(count)} requests:", *(
        f"{memory >> 10} KiB, Lua {int(lua) >> 10} KiB, {files} descriptors;"
        for memory, lua, files in seen))
    (memory0, _, _), (memory1, lua1, _), (memory2, lua2, _) = seen
    assert lua2 - lua1 <= LUA_GROWTH
    if not SANITIZED:  # freed memory stays for a while there
        assert memory2 - max(memory0, memory1) <= growth


@pytest.mark.skipif(not SANITIZED, reason="needs the sanitizers")
def test_leaks_are_found(start, tmp_path):
    folder = tmp_path / "server"
    server = start(CONF % {"http": location("""
        local ffi = require "ffi"
        ffi.cdef "void *calloc(size_t, size_t);"
        for _ = 1, 100 do ffi.C.calloc(1, 100) end
        ngx.say("done")
    """), "server": "", "main": ""}, folder=folder,
        env=leaks.environment(tmp_path, folder))
    load.http(server.port("HTTP"), "/t", 3)
    server.stop()
    assert len(leaks.found(folder)) == 1


def names(count, text="n{}.example.test"):
    numbers = itertools.count()
    return lambda n: [text.format(next(numbers) % count) for _ in range(n)]


# DNS.


@pytest.mark.parametrize("directives, qname, count", [
    ("", "n{}.example.test", 60000),
    (SLEEPS, "n{}.example.test", 20000),
    ("dns_query_by_lua_block { local q = ... q:rewrite('www.example.test') }",
     "n{}.example.test", 10000),
    ("dns_query_by_lua_block { error('no') }", "n{}.example.test", 10000),
], ids=["zone", "hook-that-sleeps", "rewritten", "hook-that-fails"])
@pytest.mark.parametrize("ask", [load.udp, load.tcp], ids=["udp", "tcp"])
def test_dns(serve, directives, qname, count, ask):
    server = serve(server=directives, main="dns_cache 1m;")
    some = names(5000, qname)
    endure(server, lambda n: ask(server.port("DNS"), some(n)), count)


def test_datagrams_of_scripts(serve):
    server = serve()
    endure(server, lambda n: load.udp(server.port("ECHO"), ["a.test"] * n),
           20000)


@pytest.mark.parametrize("ask", [load.udp, load.tcp], ids=["udp", "tcp"])
@pytest.mark.parametrize("cache", ["", "dns_cache 1m;"], ids=["asked", "kept"])
def test_forwarding(serve, ask, cache):
    upstream = Upstream()
    server = serve(server=f"dns_forward {upstream.address};", main=cache)
    some = names(1000, "n{}.elsewhere.test")

    def work(n):
        ask(server.port("DNS"), some(n))
        upstream.asked.clear()

    endure(server, work, 6000)
    upstream.stop()


@pytest.fixture(scope="module", params=["mysql", "redis"])
def zones(request, tmp_path_factory):
    one = open_zones(request.param, tmp_path_factory.mktemp(request.param))
    one.make("a.test", [("*", "A", 60, "192.0.2.1")])
    yield one
    one.db.stop()


@pytest.mark.parametrize("ask", [load.udp, load.tcp], ids=["udp", "tcp"])
@pytest.mark.parametrize("cache", ["", "dns_cache 1m;"], ids=["asked", "kept"])
def test_zones_in_databases(serve, zones, ask, cache):
    # A store's connections come as they are needed: a few at the most here.
    server = serve(main=f"dns_store {zones.url()} timeout=20s"
                   f" max_connections=2; {cache}")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])
    some = names(1000, "n{}.a.test")
    endure(server, lambda n: ask(server.port("DNS"), some(n)), 15000)


def test_listings_of_databases(serve, zones):
    server = serve(main=f"dns_store {zones.url()} timeout=20s poll=10ms"
                   " max_connections=2;")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])

    def work(n):
        for number in range(n):
            zones.make(f"z{number}.test")
            zones.raise_serial("a.test")
            zones.drop(f"z{number}.test")
            load.udp(server.port("DNS"), ["www.a.test"] * 20)

    endure(server, work, 60)


def test_edits(serve):
    server = serve()
    numbers = itertools.count()

    def work(n):
        for number in itertools.islice(numbers, n):
            reply = server.http(
                f"/dns/zones/example.test/w{number % 50}/A", "PUT",
                '{"ttl":60,"records":["192.0.2.%d"]}' % (number % 250))
            assert reply.status in (200, 201)

    endure(server, work, 600)


@pytest.mark.parametrize("option", ["", "mirror=@FOLDER@/data"],
                         ids=["live", "mirrored"])
def test_edits_of_databases(serve, zones, option):
    server = serve(main=f"dns_store {zones.url()} timeout=20s {option};")
    numbers = itertools.count()

    def is_there():
        return server.http("/dns/zones/a.test").status == 200

    def work(n):
        for number in itertools.islice(numbers, n):
            reply = server.http(
                f"/dns/zones/a.test/w{number % 20}/A", "PUT",
                '{"ttl":60,"records":["192.0.2.%d"]}' % (number % 250))
            assert reply.status in (200, 201), reply.text
            server.http(f"/dns/zones/a.test/w{number % 20}/A")
            server.http(f"/dns/zones/a.test/w{number % 20}/A", "DELETE")

    wait_for(is_there)
    # Each thread of the pool has memory of its own, in use or not.
    endure(server, work, 1200, 4 * GROWTH)


# DNS over HTTPS.

DOH = "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlBHRlc3QAAAEAAQ"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    authority = tls.Authority(tmp_path_factory.mktemp("tls"))
    authority.issue("a.test")
    return authority


def https(ca, listen="ssl http2", more=""):
    return f"""
        listen 127.0.0.1:@HTTPS@ {listen};
        ssl_certificate {ca.path("a.test.pem")};
        ssl_certificate_key {ca.path("a.test.key")};
        {more}
    """


@pytest.mark.parametrize("hook", ["", SLEEPS], ids=["zone", "hook"])
def test_doh(serve, hook):
    server = serve(hook)

    def work(n):
        request = f"GET {DOH} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode()
        for _ in range(n // 10 + 1):
            load.pipelined(server.port("HTTP"), request, 10, b"HTTP/1.1 200")

    endure(server, work, 20000)


@pytest.mark.skipif(not have("curl"), reason="no curl")
@pytest.mark.parametrize("path", [DOH, "/hello?a=b", "/t?a=b"],
                         ids=["doh", "hello", "sleep"])
def test_http2(serve, ca, path):
    server = serve(https(ca) + location("ngx.sleep(0) ngx.say('done')"))
    endure(server, lambda n: load.http2(server.port("HTTPS"), path, n), 9000)


# Lua over HTTP.

MODULE = "local M = {} function M.f(text) return text .. text end return M"
MAIN = "lua_package_path '@FOLDER@/?.lua;;'; thread_pool default threads=2;"


@pytest.mark.parametrize("name", PIECES)
def test_lua(serve, name):
    code, count = PIECES[name]
    server = serve(location(code, more="set $v '';"), main=MAIN)
    server.file("work.lua", MODULE)
    endure(server, lambda n: load.http(server.port("HTTP"), "/t", n), count)


def test_filters(serve):
    server = serve("""
        location /t {
            rewrite_by_lua_block { ngx.ctx.a = {} }
            access_by_lua_block { ngx.sleep(0) }
            header_filter_by_lua_block { ngx.header.content_length = nil }
            body_filter_by_lua_block { ngx.arg[1] = ngx.arg[1]:lower() }
            log_by_lua_block { ngx.timer.at(0, function() end) }
            return 200 "DONE\\n";
        }""")
    endure(server, lambda n: load.http(server.port("HTTP"), "/t", n), 20000)


def test_balancer(serve):
    server = serve("""
        location /t {
            proxy_pass http://back/hello;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
    upstream back {
        server 0.0.0.1;
        balancer_by_lua_block {
            local balancer = require "ngx.balancer"
            assert(balancer.set_current_peer("127.0.0.1", @HTTP@))
            balancer.set_more_tries(1)
        }
        keepalive 4;
    }
    server {
        listen 127.0.0.1:@OTHER@;
    """)
    endure(server, lambda n: load.http(server.port("HTTP"), "/t", n), 15000)


# TLS.


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_handshakes(serve, ca, version):
    server = serve(https(ca, "ssl", CERTIFICATE % {"folder": ca.folder}
                         + "ssl_session_tickets off; ssl_protocols TLSv1.2 TLSv1.3;"))
    context = ssl.create_default_context(cafile=ca.path("ca.pem"))
    context.minimum_version = context.maximum_version = getattr(
        ssl.TLSVersion, version)

    def work(n):
        session = None
        for number in range(n):
            with socket.create_connection(
                    (HOST, server.port("HTTPS")), 20) as plain:
                if number % 10 == 0:  # gone in the middle
                    plain.sendall(b"\x16\x03\x01\x02\x00\x01")
                    continue
                with context.wrap_socket(plain, server_hostname="a.test",
                                         session=session) as s:
                    s.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
                    while s.recv(1000):
                        pass
                    session = s.session if number % 3 == 0 else None

    endure(server, work, 1500)


def test_handshakes_of_sockets(serve, ca):
    server = serve(https(ca, "ssl") + location("""
        local s = ngx.socket.tcp()
        assert(s:connect("127.0.0.1", @HTTPS@))
        assert(s:sslhandshake(session, "a.test", true))
        s:send("GET /hello HTTP/1.0\\r\\n\\r\\n")
        s:receive("*a")
        s:close()
        assert(s:connect("127.0.0.1", @HTTPS@))
        session = s:sslhandshake(nil, "a.test", true)
        assert(s:connect("127.0.0.1", @HTTPS@))
        assert(not s:sslhandshake(nil, "b.test", true))
        ngx.say("done")
    """, more=f"lua_ssl_trusted_certificate {ca.path('ca.pem')};"))
    endure(server, lambda n: load.http(server.port("HTTP"), "/t", n), 600)


# Databases from Lua.


def test_databases_of_scripts(serve, zones):
    server = serve(location(DRIVERS[zones.kind] % zones.port))
    endure(server, lambda n: load.http(server.port("HTTP"), "/t", n), 6000)


# Clients that go.


@pytest.mark.parametrize("name", WAITS)
def test_clients_that_go(serve, name):
    server = serve(location(WAITS[name]) + location("ngx.sleep(60)", "wait"),
                   main=MAIN)
    server.file("work.lua", MODULE)
    request = (b"POST /t HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"
               if name in ("body", "request socket")
               else b"GET /t HTTP/1.1\r\nHost: a\r\n\r\n")
    endure(server,
           lambda n: load.abandon(server.port("HTTP"), request, n),
           300 if name == "pipe" else 3000)


@pytest.mark.parametrize("directives, qname", [
    ("dns_query_by_lua_block { ngx.sleep(0.02) }", "www.example.test"),
    ("dns_forward 127.0.0.1:@SILENT@;", "www.elsewhere.test"),
], ids=["hook", "forward"])
def test_dns_clients_that_go(serve, directives, qname):
    server = serve(server=directives)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, server.port("SILENT")))
        wire = load.query(qname)
        octets = (len(wire).to_bytes(2, "big") + wire) * 5
        endure(server,
               lambda n: load.abandon(server.port("DNS"), octets, n), 1500)


def test_dns_clients_that_go_while_a_database_is_asked(serve, zones):
    server = serve(main=f"dns_store {zones.url()} timeout=20s;")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])
    wire = load.query("other.a.test")
    octets = (len(wire).to_bytes(2, "big") + wire) * 5
    endure(server,
           lambda n: load.abandon(server.port("DNS"), octets, n), 3000)


# Reloads.

@pytest.mark.skipif(not have("wrk"), reason="no wrk")
def test_reloads_under_load(serve, zones):
    """The master keeps nothing of a configuration that is over."""
    server = serve(main=f"dns_store {zones.url()} timeout=20s; dns_cache 1m;")
    with subprocess.Popen(
            ["wrk", "-t1", "-c8", "-d600", server.fill(
                f"http://{HOST}:@HTTP@/hello")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as clients:
        seen = []
        for _ in range(3):
            for _ in range(counted(30)):
                load.udp(server.port("DNS"), ["www.example.test"] * 50)
                server.reload()
            wait_for(lambda: len(server.worker_pids()) == 1, 20,
                     "the old workers' end")
            pid, = server.worker_pids()
            seen.append((server.memory(server.pid), descriptors(server.pid),
                         server.memory(pid)))
        clients.terminate()
    print(seen)
    assert seen[2][1] == seen[1][1]
    if not SANITIZED:
        assert seen[2][0] - seen[1][0] <= GROWTH
        assert seen[2][2] - seen[1][2] <= 4 * GROWTH
