"""ngx.socket.tcp."""

import socket
import time

import pytest

from lua_conf import Peer, echo, http_lua, sends
from resolua_server import HOST, wait_for

CONNECT = """
    local sock = ngx.socket.tcp()
    local ok, err = sock:connect("127.0.0.1", %d)
    if not ok then ngx.say("connect: ", err) return end
"""


@pytest.fixture
def peer():
    peers = []

    def start(serve, **options):
        one = Peer(serve, **options)
        peers.append(one)
        return one

    yield start
    for one in peers:
        one.close()


@pytest.fixture
def run(start, peer):
    """run(code, serve) gives what the script prints; code follows CONNECT."""
    def go(code, serve=echo, location="", prefix=CONNECT):
        one = peer(serve)
        server = start(http_lua(prefix % one.port + code, location))
        run.server = server
        return server.http("/t").text
    run = go
    return go


def test_send_and_receive_a_line(run):
    assert run("""
        ngx.say(sock:send("hello\\r\\nrest"))
        ngx.say(sock:receive())
        ngx.say(sock:receive(4))
        ngx.say(sock:close())
        ngx.say(sock:send("x"))
    """) == "11\nhello\nrest\n1\nnilclosed\n"


def test_send_takes_nested_arrays(run):
    assert run("""
        ngx.say(sock:send({"a", 1, {true, {"b"}}, " "}))
        ngx.say(sock:send(12))
        ngx.say(sock:receive(9))
    """) == "8\n2\na1trueb 1\n"


def test_receive_patterns(run):
    assert run("""
        local a = sock:receive("*l")
        local b = sock:receive(3)
        local c = sock:receive("*a")
        ngx.say(a, "|", b, "|", c)
        ngx.say(sock:receive())
    """, sends(b"one\r\nt", b"wo", b"three\nfour")) == (
        "one|two|three\nfour\nnilclosed\n")


def test_the_end_leaves_what_came(run):
    assert run("""
        local data, err, partial = sock:receive(10)
        ngx.say(data, "|", err, "|", partial)
    """, sends(b"abc")) == "nil|closed|abc\n"


def test_a_timeout_leaves_what_came_and_the_socket_open(run, start):
    def serve(connection):
        connection.sendall(b"abc")
        connection.recv(1)
        connection.sendall(b"def\n")

    text = run("""
        sock:settimeout(100)
        local data, err, partial = sock:receive()
        ngx.say(data, "|", err, "|", partial)
        sock:settimeout(3000)
        sock:send("x")
        ngx.say(sock:receive())
    """, serve, "lua_socket_log_errors off;")
    assert text == "nil|timeout|abc\ndef\n"


def test_receiveany(run):
    def serve(connection):
        connection.sendall(b"abcdef")
        connection.recv(1)
        connection.sendall(b"gh")

    assert run("""
        local a = sock:receiveany(4)
        local b = sock:receiveany(4)
        sock:send("x")
        local c = sock:receiveany(4)
        ngx.say(a, " ", b, " ", c)
        ngx.say(sock:receiveany(4))
    """, serve) == "abcd ef gh\nnilclosed\n"


@pytest.mark.parametrize("inclusive, expected", [
    ("", "one|two|nilclosedlast"),
    (", {inclusive = true}", "one--end|two--end|nilclosedlast")])
def test_receiveuntil(run, inclusive, expected):
    assert run("""
        local read = sock:receiveuntil("--end"%s)
        ngx.print(read(), "|", read(), "|")
        local a, b, c = read()
        ngx.say(a, b, c)
    """.replace("%s", inclusive),
        sends(b"one--e", b"ndtwo-", b"-endlast")) == expected + "\n"


def test_receiveuntil_in_pieces(run):
    assert run("""
        local read = sock:receiveuntil("\\r\\n")
        local out = {}
        for _ = 1, 5 do out[#out + 1] = tostring(read(3)) end
        ngx.say(table.concat(out, ","))
    """, sends(b"abcdefgh\r\nxyz1\r\n")) == "abc,def,gh,nil,xyz\n"


def test_ambiguous_patterns(run):
    assert run("""
        local read = sock:receiveuntil("aab")
        ngx.say(read(), ",", read())
    """, sends(b"aaa", b"abaaaaab")) == "aa,aaa\n"


def test_refused(start):
    with socket.socket() as s:
        s.bind((HOST, 0))
        port = s.getsockname()[1]
    server = start(http_lua("""
        local sock = ngx.socket.tcp()
        ngx.say(sock:connect("127.0.0.1", %d))
        ngx.say(sock:send("x"))
    """ % port, "lua_socket_log_errors off;"))
    assert server.http("/t").text == (
        "nilconnection refused\nnilclosed\n")


def test_no_resolver(start):
    server = start(http_lua(
        'ngx.say(ngx.socket.tcp():connect("no.test", 80))'))
    assert server.http("/t").text == (
        'nilno resolver defined to resolve "no.test"\n')


def test_host_names_go_through_the_resolver(start, peer):
    one = peer(echo)
    server = start("""
        dns_store lmdb path=@FOLDER@/data;
        stream { server { listen 127.0.0.1:@DNS@ udp; dns_serve on; } }
        """ + http_lua("""
        local sock = ngx.socket.tcp()
        ngx.say(sock:connect("peer.example.test", %d))
        sock:send("hi\\n")
        ngx.say(sock:receive())
        ngx.say(ngx.socket.tcp():connect("none.example.test", 80))
    """ % one.port, "resolver 127.0.0.1:@DNS@ ipv6=off;"), run=False)
    from service_conf import resolua, SAMPLE
    resolua(server, "zone", "load", SAMPLE)
    resolua(server, "record", "add", "example.test", "peer",
            "A", "60", "127.0.0.1")
    server.start()
    assert server.http("/t").text == (
        "1\nhi\n"
        "nilnone.example.test could not be resolved (3: Host not found)\n")


def test_unix_socket(start, peer, tmp_path):
    path = tmp_path.parent / f"{tmp_path.name[-20:]}.s"
    peer(echo, path=path)
    server = start(http_lua("""
        local sock = ngx.socket.tcp()
        ngx.say(sock:connect("unix:%s"))
        sock:send("hi\\n")
        ngx.say(sock:receive())
        ngx.say(ngx.socket.tcp():connect("unix:%s.none"))
    """ % (path, path), "lua_socket_log_errors off;"))
    try:
        assert server.http("/t").text == (
            "1\nhi\nnilno such file or directory\n")
    finally:
        path.unlink()


def test_socket_connect(start, peer):
    one = peer(echo)
    server = start(http_lua("""
        local sock = assert(ngx.socket.connect("127.0.0.1", %d))
        sock:send("x\\n")
        ngx.say(sock:receive())
    """ % one.port))
    assert server.http("/t").text == "x\n"


def test_large_amounts_both_ways(run):
    assert run("""
        local text = ("0123456789"):rep(500000)
        local writer = coroutine.wrap(function() end)
        ngx.say(sock:send(text))
        ngx.say(sock:receive(2) == "ok")
    """, lambda c: (take(c, 5000000), c.sendall(b"ok"))) == (
        "5000000\ntrue\n")


def take(connection, size):
    while size > 0:
        size -= len(connection.recv(65536))


def test_pooled_connections_are_used_again(start, peer):
    one = peer(echo)
    server = start(http_lua(CONNECT % one.port + """
        ngx.say(sock:getreusedtimes())
        sock:send("hi\\n")
        ngx.say(sock:receive())
        ngx.say(sock:setkeepalive())
        ngx.say(sock:send("x"))
    """))
    for i in range(3):
        assert server.http("/t").text == f"{i}\nhi\n1\nnilclosed\n"
    assert one.count == 1


def test_pools_by_name_and_limits(start, peer):
    one = peer(echo)
    server = start(http_lua("""
        local function open(options)
            local sock = ngx.socket.tcp()
            assert(sock:connect("127.0.0.1", %d, options))
            return sock
        end
        local a = open { pool = "one", pool_size = 1 }
        local b = open { pool = "one" }
        local c = open { pool = "other" }
        a:setkeepalive() b:setkeepalive() c:setkeepalive()
        a = open { pool = "one" }
        b = open { pool = "one" }
        c = open { pool = "other" }
        ngx.say(a:getreusedtimes(), b:getreusedtimes(), c:getreusedtimes())
    """ % one.port))
    assert server.http("/t").text == "101\n"


def test_a_connection_that_the_peer_closed_is_not_reused(start, peer):
    one = peer(lambda c: c.sendall(c.recv(10)))
    server = start(http_lua(CONNECT % one.port + """
        ngx.say(sock:getreusedtimes())
        sock:send("hi\\n")
        ngx.say(sock:receive())
        sock:setkeepalive()
        ngx.sleep(0.05)
    """))
    for _ in range(2):
        assert server.http("/t").text.startswith("0\n")


def test_backlog_waits_for_a_turn(start, peer):
    one = peer(echo)
    server = start("http { server { listen 127.0.0.1:@HTTP@; "
                   "location /t { content_by_lua_block { %s } } } }" % ("""
        local sock = ngx.socket.tcp()
        local ok, err = sock:connect("127.0.0.1", %d,
            { pool = "p", pool_size = 1, backlog = 1 })
        if not ok then ngx.say(err) return end
        ngx.sleep(0.2)
        sock:send("x\\n")
        ngx.say(sock:receive(), sock:getreusedtimes())
        sock:setkeepalive()
    """ % one.port))
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(3) as pool:
        texts = sorted(pool.map(lambda _: server.http("/t").text,
                                range(3)))
    assert texts == ["too many waiting connect operations\n",
                     "x0\n", "x1\n"] or texts == sorted(
                         ["too many waiting connect operations\n",
                          "x0\n", "x1\n"])
    assert one.count == 1


def test_full_duplex_from_two_coroutines_is_refused_while_busy(run):
    assert run("""
        sock:settimeout(500)
        local co = coroutine.create(function() return sock:receive() end)
        ngx.say(pcall(sock.setkeepalive, sock, "x"))
    """).startswith("false")


def test_a_socket_of_another_request(start, peer):
    one = peer(echo)
    server = start(http_lua("""
        if not package.loaded.kept then
            package.loaded.kept = ngx.socket.tcp()
            package.loaded.kept:connect("127.0.0.1", %d)
            ngx.say("kept")
        else
            ngx.say(pcall(package.loaded.kept.send, package.loaded.kept, "x"))
        end
    """ % one.port))
    assert server.http("/t").text == "kept\n"
    assert server.http("/t").text == "falsebad request\n"


def test_options_shutdown_bind(run):
    assert run("""
        ngx.say(sock:setoption("keepalive", true), sock:getoption("keepalive"))
        ngx.say(sock:setoption("tcp-nodelay", 1), sock:getoption("tcp-nodelay"))
        ngx.say(sock:setoption("keepidle", 11), sock:getoption("keepidle"))
        ngx.say(sock:setoption("keepintvl", 12), sock:getoption("keepintvl"))
        ngx.say(sock:setoption("keepcnt", 13), sock:getoption("keepcnt"))
        ngx.say(sock:setoption("none", 1))
        sock:send("abc")
        ngx.say(sock:shutdown("send"))
        ngx.say(sock:receive("*a"))
    """) == "true1\ntrue1\ntrue11\ntrue12\ntrue13\nnilunsupported option none\n1\nabc\n"


def test_a_whole_piece_and_then_by_sizes(run):
    assert run("""
        sock:send("one-|-three four-|-")
        local read = sock:receiveuntil("-|-")
        ngx.say(read())
        ngx.say(read(6), "|", read(60), "|", tostring(read(6)))
    """) == "one\nthree |four|nil\n"


def test_bind_chooses_the_local_address(start, peer):
    def serve(connection):
        connection.sendall(connection.getpeername()[0].encode())

    one = peer(serve)
    server = start(http_lua("""
        local sock = ngx.socket.tcp()
        ngx.say(sock:bind("127.0.0.9"))
        assert(sock:connect("127.0.0.1", %d))
        ngx.say(sock:receive("*a"))
    """ % one.port))
    assert server.http("/t").text == "true\n127.0.0.9\n"


@pytest.mark.parametrize("call, error", [
    ("sock:connect('127.0.0.1', 70000)", "bad port number"),
    ("sock:receive('*x')", "bad pattern argument"),
    ("sock:receive(-1)", "bad pattern argument"),
    ("sock:receive(nil)", "bad pattern argument"),
    ("sock:receive({})", "bad pattern argument"),
    ("sock:receiveany()", "expecting 2 arguments (including the object), "
     "but got 1"),
    ("sock:receiveany('x')", "bad max argument"),
    ("sock:receiveuntil()", "expecting 2 or 3 arguments"),
    ("sock:receiveuntil('x', { inclusive = 1 })",
     'bad "inclusive" option value type: number'),
    ("sock:send()", "expecting 2 arguments (including the object), but got 1"),
    ("sock:connect()", "expecting 2, 3, or 4 arguments"),
    ("sock:connect('127.0.0.1', 1, { pool = {} })",
     'bad "pool" option type: table'),
    ("sock:connect('127.0.0.1', 1, { pool_size = 'a' })",
     'bad "pool_size" option type: string'),
    ("sock:connect('127.0.0.1', 1, { pool_size = 0 })",
     'bad "pool_size" option value: 0'),
    ("sock:settimeouts(1, 2)", "expecting 4 arguments"),
    ("sock:send(print)", "bad argument"),
    ("sock:receiveuntil('')", "pattern is empty"),
    ("sock:settimeout(-1)", "bad timeout value"),
])
def test_bad_arguments(run, call, error):
    assert error in run("ngx.say(pcall(function() return %s end))" % call)


@pytest.mark.parametrize("call, error", [
    ("sock:connect('127.0.0.1')", "missing the port number"),
    ("sock:connect('127.0.0.1', 'x')", "missing the port number"),
    ("sock:setoption()", 'missing the "option" argument'),
    ("sock:setoption('keepalive')", 'missing the "value" argument'),
])
def test_what_is_missing(run, call, error):
    assert run("ngx.say(%s)" % call) == f"nil{error}\n"


def test_not_where_nothing_may_sleep(start):
    server = start(http_lua("ngx.say('x')", """
        log_by_lua_block {
            ngx.log(ngx.WARN, select(2, pcall(ngx.socket.tcp)))
        }"""))
    server.http("/t")
    server.wait_for_log("API disabled in the context of log_by_lua")


def test_in_timers(start, peer):
    got = []
    one = peer(lambda c: got.append(c.recv(100)))
    server = start(http_lua("""
        ngx.timer.at(0, function()
            local sock = ngx.socket.tcp()
            sock:connect("127.0.0.1", %d)
            sock:send("from a timer")
        end)
    """ % one.port))
    server.http("/t")
    wait_for(lambda: got == [b"from a timer"])


def test_a_client_that_leaves_takes_its_sockets_along(start, peer):
    ended = []

    def serve(connection):
        ended.append(connection.recv(1))

    one = peer(serve)
    server = start(http_lua(CONNECT % one.port + "sock:receive()",
                            "lua_check_client_abort on;"))
    with socket.create_connection((HOST, server.port("HTTP"))) as s:
        s.sendall(b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: one.count == 1)
    wait_for(lambda: ended == [b""])


def test_memory_stays(start, peer):
    one = peer(echo)
    server = start(http_lua("""
        for _ = 1, 200 do
            local sock = ngx.socket.tcp()
            assert(sock:connect("127.0.0.1", %d))
            sock:send("hello\\n")
            assert(sock:receive() == "hello")
            if ngx.var.arg_keep then sock:setkeepalive() else sock:close() end
        end
    """ % one.port))
    for _ in range(3):
        server.http("/t")
        server.http("/t?keep=1")
    before = server.workers_memory()
    for _ in range(5):
        server.http("/t")
        server.http("/t?keep=1")
    assert server.workers_memory() < before + 2_000_000


def test_the_deadline_of_a_read(run):
    start = time.monotonic()
    text = run("""
        sock:settimeouts(1000, 1000, 100)
        ngx.say(sock:receive())
    """, location="lua_socket_log_errors off;")
    assert text == "niltimeout\n"
    assert time.monotonic() - start < 20
