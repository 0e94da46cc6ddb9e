"""Sessions of stream: what comes before Lua and ends it, what is counted."""

import re
import socket
import ssl
import struct

import dns.message
import pytest

from resolua_server import HOST, readable, wait_for
from stream_conf import start_dns
from tls import Authority


def read_all(connection, seconds=20):
    connection.settimeout(seconds)
    data = b""
    while True:
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


def talk(server, data=b"", port="DNS"):
    """What comes until the server ends."""
    with socket.create_connection((HOST, server.port(port)), 10) as s:
        if data:
            s.sendall(data)
        return read_all(s)


# ssl_preread, which ends nginx's phase when it has found the name.


SNI = """stream {
    %(http)s
    server { listen 127.0.0.1:@DNS@; ssl_preread on;
        preread_by_lua_block {
            %(code)s
            local name = ngx.var.ssl_preread_server_name
            ngx.log(ngx.WARN, "name ", name)
            if name == "deny.test" then return ngx.exit(ngx.ERROR) end
            backend = name == "b.test" and "@B@" or "@A@" }
        proxy_pass up; }
    upstream up { server 0.0.0.1:1; balancer_by_lua_block {
        require("ngx.balancer").set_current_peer("127.0.0.1",
                                                 tonumber(backend)) } }
    server { listen 127.0.0.1:@A@; return "at a"; }
    server { listen 127.0.0.1:@B@; return "at b"; }
}"""


def hello(name):
    """A ClientHello."""
    context = ssl._create_unverified_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("code", [
    "", "ngx.sleep(0.001)",
    "assert(#ngx.req.socket():peek(5) == 5)",
    "coroutine.wrap(function() ngx.sleep(0.001) end)()"])
def test_preread_by_lua_knows_the_name_of_ssl_preread(start, code):
    server = start(SNI % {"http": "", "code": code})
    assert talk(server, hello("a.test")) == b"at a"
    assert talk(server, hello("b.test")) == b"at b"
    assert talk(server, hello("deny.test")) == b""
    assert talk(server, b"GET / HTTP/1.0\r\n\r\n") == b"at a"
    assert re.findall(r"name (\S+\.test)", server.log()) == [
        "a.test", "b.test", "deny.test"]


def test_a_hello_in_pieces(start):
    server = start(SNI % {"http": "", "code": ""})
    octets = hello("deny.test")
    with socket.create_connection((HOST, server.port("DNS")), 10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(octets), 50):
            s.sendall(octets[i:i + 50])
        assert read_all(s) == b""
    assert "name deny.test" in server.log()


def test_no_postpone_runs_before_the_name_is_known(start):
    server = start(SNI % {"http": "preread_by_lua_no_postpone on;",
                          "code": ""})
    assert talk(server, hello("deny.test")) == b"at a"


# Time.


@pytest.mark.parametrize("code", [
    "ngx.req.socket():peek(100)", "ngx.req.socket():receive(100)",
    "ngx.req.socket():receive('*l')", "ngx.req.socket():receiveany(0x1000) "
    "ngx.req.socket():receiveuntil('x')()",
    "ngx.thread.wait(ngx.thread.spawn(function() "
    "ngx.req.socket():peek(100) end))"])
def test_preread_timeout_ends_a_session(start, code):
    server = start("""stream { server { listen 127.0.0.1:@DNS@;
        preread_timeout 300ms;
        preread_by_lua_block { %s ngx.log(ngx.WARN, "went on") }
        log_by_lua_block { ngx.log(ngx.WARN, "status ", ngx.var.status) }
        return "x"; } }""" % code)
    assert talk(server, b"abcde") == b""
    assert "status 200" in wait_for(
        lambda: server.log() if "status" in server.log() else None)
    assert "went on" not in server.log()


def test_preread_timeout_is_for_all_reads(start):
    """A client that sends an octet now and then does not go on for ever, one
    that has sent all is not timed."""
    server = start("""stream { server { listen 127.0.0.1:@DNS@;
        preread_timeout 1s;
        preread_by_lua_block {
            local s = ngx.req.socket()
            for _ = 1, 200 do
                local got = s:receive(1)
                if got == "." then break end
            end
            ngx.sleep(1.1) }
        return "x"; } }""")
    with socket.create_connection((HOST, server.port("DNS")), 10) as s:
        s.settimeout(0.02)
        for _ in range(400):
            try:
                s.sendall(b"a")
                if s.recv(10) == b"":
                    break
            except TimeoutError:
                pass
            except OSError:
                break
        else:
            pytest.fail("the session goes on")
    assert talk(server, b"ab.") == b"x"


def test_a_read_timeout_that_is_shorter(start):
    server = start("""stream { server { listen 127.0.0.1:@DNS@;
        preread_by_lua_block {
            local s = ngx.req.socket() s:settimeout(20)
            for _ = 1, 2 do ngx.say(select(2, s:peek(100))) end
            ngx.say((select(2, s:receive(100)))) }
        return "x"; } }""")
    with socket.create_connection((HOST, server.port("DNS")), 10) as s:
        s.sendall(b"abc")
        got = read_all(s)
    assert got == b"timeout\ntimeout\ntimeout\nx"


@pytest.mark.parametrize("phase", ["preread", "content"])
def test_lua_socket_read_timeout(start, phase):
    server = start("""stream { lua_socket_read_timeout 50ms;
        server { listen 127.0.0.1:@DNS@;
            %s_by_lua_block {
                local s = ngx.req.socket()
                ngx.say(select(2, s:receive(1)))
                s:settimeout(0)
                ngx.say(select(2, s:receive(1)))
                s:settimeouts(nil, nil, 20)
                ngx.say(select(2, s:receive(1))) }
            %s } }""" % (phase, 'return "";' if phase == "preread" else ""))
    assert talk(server) == b"timeout\n" * 3


def test_lua_socket_send_timeout(start):
    server = start("""stream { server { listen 127.0.0.1:@DNS@ sndbuf=4k;
        lua_socket_send_timeout 200ms;
        content_by_lua_block {
            local s = ngx.req.socket()
            local ok, err = s:send(("x"):rep(30000000))
            ngx.log(ngx.WARN, "sent ", ok, " ", err) } } }""")
    with socket.create_connection((HOST, server.port("DNS")), 10):
        wait_for(lambda: "sent nil" in server.log())


# Datagrams.


def test_a_datagram_in_pieces(start):
    server = start("""stream { server { listen 127.0.0.1:@DNS@ udp;
        preread_by_lua_block {
            one = ngx.req.socket():receive(1) }
        content_by_lua_block {
            local s = ngx.req.socket()
            local all = { one }
            for _ = 1, 5 do
                local got, err = s:receive(4)
                all[#all + 1] = got or err
            end
            all[#all + 1] = select(2, s:receive())
            s:send(table.concat(all, ",")) } }
        server { listen 127.0.0.1:@ANY@ udp; content_by_lua_block {
            local s = ngx.req.socket()
            s:send(s:receiveany(3) .. "," .. s:receive(0) .. "," ..
                   s:receive() .. "," .. select(2, s:receiveany(1))) } } }""")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        for port, data, want in [
                ("DNS", b"abcdefghijk", b"a,bcde,fghi,jk,no more data,"
                 b"no more data,no more data"),
                ("DNS", b"a", b"a" + b",no more data" * 6),
                ("ANY", b"abcdef", b"abc,,def,no more data")]:
            s.sendto(data, (HOST, server.port(port)))
            assert s.recv(1000) == want


def test_a_datagram_that_lua_has_read_goes_on_whole(start):
    server = start("""stream {
        server { listen 127.0.0.1:@BACK@ udp; content_by_lua_block {
            local s = ngx.req.socket() s:send(s:receive()) } }
        server { listen 127.0.0.1:@DNS@ udp;
            preread_by_lua_block { ngx.req.socket():receive(4) }
            proxy_responses 1; proxy_timeout 5s;
            proxy_pass 127.0.0.1:@BACK@; } }""")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(b"abcdefgh", (HOST, server.port("DNS")))
        assert s.recv(1000) == b"abcdefgh"


# ngx.status, ngx.eof.


def test_status(start):
    server = start("""stream { server { listen 127.0.0.1:@DNS@;
        preread_by_lua_block { ngx.say(ngx.status) ngx.status = 503
                               ngx.say(ngx.status) }
        content_by_lua_block { ngx.say(ngx.status) ngx.exit(403) }
        log_by_lua_block { ngx.log(ngx.WARN, "ended ", ngx.status) } } }""")
    assert talk(server) == b"0\n503\n503\n"
    wait_for(lambda: "ended 403" in server.log())


@pytest.mark.parametrize("phase", ["preread", "access"])
@pytest.mark.parametrize("late", ["", "ngx.sleep(0.001)"])
@pytest.mark.parametrize("size", [1, 3_000_000])
def test_eof(start, phase, late, size):
    server = start("""stream {
        server { listen 127.0.0.1:@DNS@;
            %s_by_lua_block { ngx.print(("a"):rep(%d)) ngx.eof() %s
                              ngx.exit(ngx.OK) }
            content_by_lua_block {
                local ok, err = ngx.print("bad")
                ngx.log(ngx.WARN, "said ", ok, " ", err)
                ngx.log(ngx.WARN, "flushed ", select(2, ngx.flush(true)))
                ngx.log(ngx.WARN, "ended ", select(2, ngx.eof())) } }
        server { listen 127.0.0.1:@PLAIN@;
            %s_by_lua_block { ngx.print(("a"):rep(%d)) ngx.eof() %s }
            return "bad"; } }""" % (2 * (phase, size, late)))
    assert talk(server) == b"a" * size
    assert "said nil seen eof" in server.log()
    assert "flushed seen eof" in server.log()
    assert "ended seen eof" in server.log()
    assert talk(server, port="PLAIN") == b"a" * size


def test_a_status_waits_for_the_output(start):
    server = start("""stream { server { listen 127.0.0.1:@DNS@;
        preread_by_lua_block { ngx.print(("a"):rep(3000000)) ngx.exit(403) }
        return "bad"; } }""")
    assert talk(server) == b"a" * 3_000_000


# What an access log tells.


LOG = """log_format all '%s';
         access_log @FOLDER@/access.log all;""" % " ".join(
    "%s=$%s" % (name, name) for name in (
        "protocol", "status", "bytes_received", "bytes_sent", "session_time",
        "upstream_addr", "upstream_bytes_sent", "upstream_bytes_received"))


def sessions(server, count):
    path = server.folder / "access.log"

    def lines():
        text = path.read_text().splitlines() if path.exists() else []
        return text if len(text) >= count else None
    return [dict(field.split("=", 1) for field in line.split(" "))
            for line in wait_for(lines)]


def queries(names):
    wires = [dns.message.make_query(name, "A").to_wire() for name in names]
    return b"".join(struct.pack("!H", len(w)) + w for w in wires)


def exchange(connection, data, count):
    """Sends queries and reads as many answers; how many octets came."""
    connection.settimeout(10)
    connection.sendall(data)
    got = b""
    for _ in range(count):
        while len(got) < 2:
            got += connection.recv(65536)
        size = struct.unpack("!H", got[:2])[0] + 2
        while len(got) < size:
            got += connection.recv(65536)
        yield size
        got = got[size:]


HOOK = """dns_query_by_lua_block { local q = ...
    if q.name:find("late") then ngx.sleep(0.01) q:nxdomain() end }"""


@pytest.mark.parametrize("server_conf", ["", HOOK, "preread_by_lua_block { "
                                         "ngx.req.socket():peek(2) }"])
def test_octets_of_a_tcp_session(start, server_conf):
    server = start_dns(start, server_conf, before=LOG)
    data = queries(["www.example.test", "late.example.test", "x.example.test"])
    with socket.create_connection((HOST, server.port("DNS")), 10) as s:
        sent = sum(exchange(s, data, 3))
        sent += sum(exchange(s, data[:-5], 2))
    [one] = sessions(server, 1)
    assert one["protocol"] == "TCP" and one["status"] == "200"
    assert int(one["bytes_received"]) == 2 * len(data) - 5
    assert int(one["bytes_sent"]) == sent
    assert float(one["session_time"]) >= 0


def test_octets_of_a_tls_session(start, tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    authority = Authority(folder)
    authority.issue("own.test")
    server = start_dns(start, before=LOG, more="""
        server { listen 127.0.0.1:@TLS@ ssl; dns_serve on;
                 ssl_certificate %s/own.test.pem;
                 ssl_certificate_key %s/own.test.key; }""" % (folder, folder))
    data = queries(["www.example.test", "x.example.test"])
    context = ssl._create_unverified_context()
    with socket.create_connection((HOST, server.port("TLS")), 10) as s:
        with context.wrap_socket(s) as c:
            sent = sum(exchange(c, data, 2))
    [one] = sessions(server, 1)
    assert one["protocol"] == "TCP" and one["status"] == "200"
    assert int(one["bytes_received"]) == len(data)
    assert int(one["bytes_sent"]) == sent


def test_a_tls_client_that_reads_late_gets_all_of_a_script(start, tmp_path):
    """Whatever waits is not copied for each piece that comes behind it."""
    folder = tmp_path / "tls"
    folder.mkdir()
    authority = Authority(folder)
    authority.issue("own.test")
    server = start_dns(start, more="""
        server { listen 127.0.0.1:@TLS@ ssl;
                 ssl_certificate %s/own.test.pem;
                 ssl_certificate_key %s/own.test.key;
                 content_by_lua_block {
                     for i = 1, 100000 do ngx.print(("x"):rep(200)) end
                     ngx.flush(true)
                 } }""" % (folder, folder))
    context = ssl._create_unverified_context()
    with socket.create_connection((HOST, server.port("TLS")), 60) as s:
        with context.wrap_socket(s) as c:
            readable([c], 60)
            assert len(c.makefile("rb").read()) == 20000000


@pytest.mark.parametrize("hook", ["", HOOK])
def test_octets_of_datagrams(start, hook):
    server = start_dns(start, hook, before=LOG)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        for number, name in enumerate(["www.example.test",
                                       "late.example.test"], 1):
            wire = dns.message.make_query(name, "A").to_wire()
            s.sendto(wire, (HOST, server.port("DNS")))
            size = len(s.recv(65536))
            one = sessions(server, number)[-1]
            assert one["protocol"] == "UDP" and one["status"] == "200"
            assert int(one["bytes_received"]) == len(wire)
            assert int(one["bytes_sent"]) == size


def test_octets_of_lua_and_of_an_upstream(start):
    server = start("""stream { %s
        server { listen 127.0.0.1:@BACK@; access_log off;
            content_by_lua_block { local s = ngx.req.socket()
                s:send(s:receive(5) .. "!") } }
        server { listen 127.0.0.1:@LUA@; content_by_lua_block {
            local s = ngx.req.socket() s:receive(3) s:receive(3)
            ngx.say("0123") } }
        server { listen 127.0.0.1:@DNS@;
            preread_by_lua_block { ngx.req.socket():peek(2) }
            proxy_pass 127.0.0.1:@BACK@; } }""" % LOG)
    assert talk(server, b"abcdef", "LUA") == b"0123\n"
    [lua] = sessions(server, 1)
    assert (lua["bytes_received"], lua["bytes_sent"]) == ("6", "5")
    assert talk(server, b"abcde") == b"abcde!"
    proxied = sessions(server, 2)[-1]
    assert (proxied["bytes_received"], proxied["bytes_sent"]) == ("5", "6")
    assert proxied["upstream_bytes_sent"] == "5"
    assert proxied["upstream_bytes_received"] == "6"
    assert proxied["upstream_addr"].endswith(":%d" % server.port("BACK"))
