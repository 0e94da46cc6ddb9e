"""Lua in stream: raw UDP and TCP scripts, phases, variables."""

import socket
import time

import pytest

from resolua_server import HOST, wait_for


def udp_server(code, more=""):
    return ("stream { %s server { listen 127.0.0.1:@DNS@ udp; "
            "content_by_lua_block { %s } } }" % (more, code))


def tcp_server(code, server="", more=""):
    return ("stream { %s server { listen 127.0.0.1:@DNS@; %s "
            "content_by_lua_block { %s } } }" % (more, server, code))


def talk(server, data=b"", port="DNS", end=True):
    """Sends data, reads to the end."""
    with socket.create_connection((HOST, server.port(port)), 5) as s:
        s.sendall(data)
        if end:
            s.shutdown(socket.SHUT_WR)
        out = b""
        while True:
            more = s.recv(65536)
            if not more:
                return out
            out += more


@pytest.fixture
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        yield s


# UDP


def test_echo(start, udp):
    server = start(udp_server(
        "local s = ngx.req.socket() s:send(s:receive())"))
    udp.connect((HOST, server.port("DNS")))
    for size in (1, 100, 1472, 9000, 60000):
        data = bytes(i % 251 for i in range(size))
        udp.send(data)
        assert udp.recv(65536) == data


def test_one_datagram_in_any_number_out(start, udp):
    server = start(udp_server("""
        local s = ngx.req.socket()
        local a = s:receive()
        local b, err = s:receive()
        s:send({"a=", a})
        s:send("b=" .. tostring(b) .. " " .. err)
        ngx.print("c", 1, true)
        ngx.say("d")
    """))
    udp.connect((HOST, server.port("DNS")))
    udp.send(b"x")
    got = [udp.recv(100) for _ in range(4)]
    assert got == [b"a=x", b"b=nil no more data", b"c1true", b"d\n"]


def test_receive_cuts_at_a_size(start, udp):
    server = start(udp_server(
        "local s = ngx.req.socket() s:send(s:receive(3))"))
    udp.connect((HOST, server.port("DNS")))
    udp.send(b"abcdef")
    assert udp.recv(100) == b"abc"


def test_every_datagram_is_a_session(start, udp):
    server = start(udp_server("""
        local s = ngx.req.socket()
        local data = s:receive()
        ngx.sleep(0.2)
        s:send(data)
    """))
    udp.connect((HOST, server.port("DNS")))
    begin = time.monotonic()
    for i in range(50):
        udp.send(b"%d" % i)
    got = {udp.recv(100) for _ in range(50)}
    assert got == {b"%d" % i for i in range(50)}
    assert time.monotonic() - begin < 2


def test_the_answer_survives_a_reload(start, udp):
    server = start(udp_server("""
        local s = ngx.req.socket()
        local data = s:receive()
        ngx.sleep(0.7)
        s:send(data .. " late")
    """))
    udp.connect((HOST, server.port("DNS")))
    old = server.worker_pids()
    for i in range(10):
        udp.send(b"%d" % i)
    time.sleep(0.05)
    server.reload()
    udp.send(b"new")
    got = {udp.recv(100) for _ in range(11)}
    assert got == {b"%d late" % i for i in range(10)} | {b"new late"}
    wait_for(lambda: not set(old) & set(server.worker_pids()))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8"])
def test_replies_from_the_address_that_was_asked(start, address, udp):
    server = start("stream { server { listen 0.0.0.0:@DNS@ udp; "
                   "content_by_lua_block { local s = ngx.req.socket() "
                   "ngx.sleep(0.01) s:send('x') "
                   "ngx.say(ngx.var.server_addr) } } }")
    udp.sendto(b"?", (address, server.port("DNS")))
    assert udp.recvfrom(100) == (b"x", (address, server.port("DNS")))
    assert udp.recvfrom(100)[0] == address.encode() + b"\n"


def test_proxied_udp_keeps_its_sessions(start, udp):
    server = start("""
    stream {
        server { listen 127.0.0.1:@BACK@ udp;
                 content_by_lua_block {
                     local s = ngx.req.socket()
                     s:send(s:receive() .. " " .. ngx.var.remote_port) } }
        server { listen 127.0.0.1:@DNS@ udp; proxy_pass 127.0.0.1:@BACK@;
                 proxy_timeout 1s; }
    }""")
    udp.connect((HOST, server.port("DNS")))
    seen = set()
    for i in range(5):
        udp.send(b"%d" % i)
        number, port = udp.recv(100).split()
        assert number == b"%d" % i
        seen.add(port)
    assert len(seen) == 1  # one upstream socket: one session


def test_a_socket_of_another_session_is_refused(start, udp):
    server = start(udp_server("""
        local s = ngx.req.socket()
        kept = kept or s
        ngx.say(pcall(kept.send, kept, "own"))
    """))
    udp.connect((HOST, server.port("DNS")))
    udp.send(b"1")
    assert udp.recv(100) == b"own"
    assert udp.recv(100) == b"true1\n"
    udp.send(b"2")
    assert udp.recv(100) == b"falsebad request\n"


def test_memory_does_not_grow(start, udp):
    server = start(udp_server(
        "local s = ngx.req.socket() s:send(s:receive())"))
    udp.connect((HOST, server.port("DNS")))

    def flood(count):
        for i in range(count // 50):
            for _ in range(50):
                udp.send(b"x" * 60)
            for _ in range(50):
                udp.recv(100)

    flood(20000)
    before = server.workers_memory()
    flood(30000)
    assert server.workers_memory() - before < 1024 * 1024


# TCP


def test_tcp_receive(start):
    server = start(tcp_server(r"""
        local s = ngx.req.socket()
        ngx.say("line: ", s:receive())
        ngx.say("l: ", s:receive("*l"))
        ngx.say("5: ", s:receive(5))
        ngx.say("0: ", s:receive(0), ";")
        ngx.say("any: ", s:receiveany(2))
        ngx.say("all: ", s:receive("*a"))
        ngx.say("all: ", s:receive("*a"), ";")
        local data, err, partial = s:receive()
        ngx.say(tostring(data), " ", err, " ", partial, ";")
    """))
    assert talk(server, b"first\r\nsecond\n12345xxthe rest") == (
        b"line: first\nl: second\n5: 12345\n0: ;\nany: xx\nall: the rest\n"
        b"all: ;\nnil closed ;\n")


def test_tcp_receive_in_pieces(start):
    server = start(tcp_server(r"""
        local s = ngx.req.socket()
        s:settimeout(2000)
        ngx.say(s:receive())
        ngx.say(s:receive(6))
        local until_end = s:receiveuntil("--END--")
        ngx.say(until_end())
        ngx.say(s:receive("*a"))
    """))
    data = b"a line\n123456some data-- --EN --EN--END--tail"
    with socket.create_connection((HOST, server.port("DNS")), 5) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in data:
            s.send(bytes([octet]))
            time.sleep(0.001)
        s.shutdown(socket.SHUT_WR)
        out = b""
        while more := s.recv(1000):
            out += more
    assert out == b"a line\n123456\nsome data-- --EN --EN\ntail\n"


def test_receiveuntil(start):
    server = start(tcp_server(r"""
        local s = ngx.req.socket()
        local it = s:receiveuntil("aab", { inclusive = true })
        ngx.say(it())
        it = s:receiveuntil("--")
        while true do
            local data, err, partial = it(4)
            if not data then
                ngx.say("nil ", tostring(err), " ", tostring(partial))
                break
            end
            ngx.say(data)
        end
        ngx.say(it())
        local data, err, partial = it()
        ngx.say(tostring(data), " ", err, " ", partial)
    """))
    assert talk(server, b"aaaab12345-678--second--third") == (
        b"aaaab\n1234\n5-67\n8\nnil nil nil\nsecond\nnil closed third\n")


def test_timeouts_leave_the_socket_usable(start):
    server = start(tcp_server(r"""
        local s = ngx.req.socket()
        s:settimeout(100)
        local data, err, partial = s:receive(10)
        ngx.say(tostring(data), " ", err, " ", partial)
        ngx.flush(true)
        s:settimeout(3000)
        ngx.say(s:receive(3))
    """))
    with socket.create_connection((HOST, server.port("DNS")), 5) as s:
        s.send(b"abc")
        assert s.recv(100) == b"nil timeout abc\n"
        s.send(b"def")
        assert s.recv(100) == b"def\n"


def test_large_output_to_a_slow_reader(start):
    server = start(tcp_server(r"""
        local s = ngx.req.socket()
        local block = string.rep("x", 100000)
        for i = 1, 100 do
            assert(s:send(block) == 100000)
        end
        ngx.print({ "the ", { "end", 1 } })
    """))
    with socket.create_connection((HOST, server.port("DNS")), 5) as s:
        time.sleep(0.2)
        size, tail = 0, b""
        while more := s.recv(65536):
            size += len(more)
            tail = (tail + more)[-8:]
    assert size == 100 * 100000 + 8 and tail == b"the end1"


def test_exit_codes_reach_the_log(start):
    server = start(tcp_server(
        "local s = ngx.req.socket() ngx.exit(tonumber(s:receive()))",
        server="access_log @FOLDER@/access.log plain;",
        more="log_format plain '$status';"))
    server.allow_log("number expected")
    for code in (200, 403, 503, 0):
        talk(server, b"%d\n" % code)
    talk(server, b"not a number\n")
    log = server.folder / "access.log"
    wait_for(lambda: log.read_text().count("\n") == 5)
    assert log.read_text().split() == ["200", "403", "503", "200", "500"]


def test_errors_carry_the_place(start):
    server = start(tcp_server("\n\n error('broken')"))
    server.allow_log("broken")
    talk(server)
    server.wait_for_log(r"content_by_lua\(nginx.conf:\d+\):3: broken")


# Phases and variables


def test_phases_in_order(start):
    server = start(tcp_server(
        "ngx.ctx.seen = ngx.ctx.seen .. ngx.get_phase() ngx.say(ngx.ctx.seen)",
        server="""
        access_by_lua_block { ngx.sleep(0.01)
                              ngx.ctx.seen = ngx.get_phase() .. " " }
        preread_by_lua_block { ngx.sleep(0.01)
                               ngx.ctx.seen = ngx.ctx.seen ..
                                              ngx.get_phase() .. " " }
        log_by_lua_block { ngx.log(ngx.NOTICE, "log sees ", ngx.ctx.seen) }
        """))
    assert talk(server) == b"access preread content\n"
    server.wait_for_log("log sees access preread content")


@pytest.mark.parametrize("phase", ["access", "preread"])
@pytest.mark.parametrize("sleep", ["", "ngx.sleep(0.01)"])
def test_access_can_be_refused(start, phase, sleep):
    server = start(tcp_server(
        "ngx.say('let in')",
        server=f"{phase}_by_lua_block {{ {sleep} "
        "if ngx.var.remote_port ~= '0' then ngx.exit(403) end }"))
    assert talk(server) == b""


def test_preread_peeks_and_the_upstream_gets_everything(start):
    server = start("""
    stream {
        server { listen 127.0.0.1:@BACK@;
                 content_by_lua_block {
                     ngx.print("back: ", ngx.req.socket():receive("*a")) } }
        lua_add_variable $first;
        server { listen 127.0.0.1:@DNS@;
                 preread_by_lua_block {
                     local s = ngx.req.socket()
                     ngx.var.first = s:peek(5)
                     assert(s:peek(3) == ngx.var.first:sub(1, 3))
                 }
                 log_by_lua_block { ngx.log(ngx.NOTICE, "first=",
                                            ngx.var.first) }
                 proxy_half_close on; proxy_pass 127.0.0.1:@BACK@; }
    }""")
    with socket.create_connection((HOST, server.port("DNS")), 5) as s:
        s.send(b"he")
        time.sleep(0.05)
        s.send(b"llo you")
        s.shutdown(socket.SHUT_WR)
        out = b""
        while more := s.recv(100):
            out += more
    assert out == b"back: hello you"
    server.wait_for_log("first=hello")


def test_variables(start):
    server = start(tcp_server(r"""
        ngx.say(ngx.var.remote_addr, " ", ngx.var.protocol, " ",
                tostring(ngx.var.nothing_of_this_name))
        ngx.say(tostring(ngx.var.mine))
        ngx.var.mine = "set"
        ngx.say(ngx.var.mine, ngx.var.MINE)
        ngx.var.mine = nil
        ngx.say(tostring(ngx.var.mine))
        ngx.say(pcall(function() ngx.var.remote_addr = 1 end))
        ngx.say(pcall(function() ngx.var.nowhere = 1 end))
    """, more="lua_add_variable $mine;"))
    lines = talk(server).decode().split("\n")
    assert lines[0] == "127.0.0.1 TCP nil"
    assert lines[1:4] == ["nil", "setset", "nil"]
    assert "not changeable" in lines[4]
    assert "not found for writing" in lines[5]


def test_a_file_of_lua(start):
    server = start("stream { server { listen 127.0.0.1:@DNS@; "
                   "content_by_lua_file hello.lua; } }", run=False)
    server.file("hello.lua", "ngx.say('hello from ', ngx.config.subsystem)")
    server.start()
    assert talk(server).startswith(b"hello from ")


def test_init_is_shared_with_the_master(start):
    server = start("stream { init_by_lua_block { made = 42 } "
                   "init_worker_by_lua_block { id = ngx.worker.id() } "
                   "server { listen 127.0.0.1:@DNS@; content_by_lua_block { "
                   "ngx.say(made, ' ', id) } } }", workers=2)
    for _ in range(4):
        assert talk(server) in (b"42 0\n", b"42 1\n")


def test_files_by_variable(start):
    """The names are filled in for each session."""
    code = "stream { %s }" % " ".join("""server {
        listen 127.0.0.1:@%s@;
        preread_by_lua_file by/preread-$server_addr.lua;
        access_by_lua_file by/$server_addr-access.lua;
        content_by_lua_file @FOLDER@/by/${server_addr}-%s.lua;
        log_by_lua_file by/log-$server_addr.lua;
    }""" % pair for pair in (("A", "content"), ("B", "none")))
    server = start(code, run=False)
    for name in ("preread-127.0.0.1", "127.0.0.1-access"):
        server.file(f"by/{name}.lua", f"ngx.say('{name[:7]}')")
    server.file("by/127.0.0.1-content.lua", "ngx.say(ngx.get_phase())")
    server.file("by/log-127.0.0.1.lua", "ngx.log(ngx.WARN, 'logs by file')")
    server.folder.chmod(0o755)
    server.start()
    for _ in range(2):
        assert talk(server, port="A") == b"127.0.0\npreread\ncontent\n"
    server.wait_for_log("logs by file")
    assert talk(server, port="B") == b"127.0.0\npreread\n"
    server.wait_for_log("by/127.0.0.1-none.lua")
