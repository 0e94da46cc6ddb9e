"""ngx.req.socket in http: bodies as they come, and the raw connection."""

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import struct
import subprocess
import time

import pytest

from lua_conf import http_lua
from resolua_server import HOST, wait_for


@contextlib.contextmanager
def client(server, port="HTTP", seconds=10):
    with socket.create_connection((HOST, server.port(port)), seconds) as s:
        yield s


def to_end(s):
    return b"".join(iter(lambda: s.recv(65536), b""))


def until(s, mark):
    got = b""
    while mark not in got:
        piece = s.recv(65536)
        assert piece, got
        got += piece
    return got


def post(size, more=b"", connection=b"close", version=b"1.1"):
    return (b"POST /t HTTP/%s\r\nHost: x\r\nConnection: %s\r\n"
            b"Content-Length: %d\r\n%s\r\n" % (version, connection, size, more))


# Bodies.


BODY = """
    local socket, err = ngx.req.socket()
    if not socket then ngx.say("none: ", err) return end
"""


def test_a_body_by_pieces(start):
    server = start(http_lua(BODY + """
        ngx.say(socket:receive())
        ngx.say(socket:receive(3))
        ngx.say(socket:receiveany(100))
        ngx.flush(true)
        local read = socket:receiveuntil("--")
        ngx.say(read())
        local data, err, partial = socket:receive(10)
        ngx.say(data, err, partial)
        ngx.say(socket:receive())
    """))
    with client(server) as s:
        s.sendall(post(23, b"") + b"line\r\nabcdefg")
        got = until(s, b"defg\n")
        s.sendall(b"x--yz--rst" + b"POST is not ours")
        got += to_end(s)
    assert b"line\n" in got
    assert b"abc\n" in got
    assert b"defg\n" in got
    assert b"nilclosed" in got


@pytest.mark.parametrize("together", [True, False])
def test_a_body_counts_in_request_length(start, together):
    server = start(http_lua(
        BODY + "ngx.say(#socket:receive('*a'))",
        'log_by_lua_block { ngx.log(ngx.WARN, "length ", '
        'ngx.var.request_length) }'))
    head = post(5000)
    with client(server) as s:
        if together:
            s.sendall(head + b"x" * 5000)
        else:
            s.sendall(head)
            s.sendall(b"x" * 5000)
        assert b"5000\n" in to_end(s)
    wait_for(lambda: "length %d" % (len(head) + 5000) in server.log())


def test_all_of_a_large_body(start):
    server = start(http_lua(BODY + """
        local data, err = socket:receive("*a")
        ngx.print(#data, ngx.md5(data))
    """, server="client_max_body_size 10m;"))
    body = os.urandom(3_000_000)
    assert server.http("/t", "POST", body).text == (
        "3000000" + hashlib.md5(body).hexdigest())


def test_the_rest_is_discarded_and_the_connection_stays(start):
    server = start(http_lua(BODY + "ngx.say(socket:receive(4))"))
    with client(server) as s:
        for rest in 0, 6, 60000:
            s.sendall(post(4 + rest, connection=b"keep-alive") + b"abcd"
                      + b"x" * rest)
            assert b"abcd" in until(s, b"0\r\n\r\n")


def test_pipelined_requests_are_left_alone(start):
    server = start(http_lua(BODY + "ngx.say(socket:receive('*a'), '|')"))
    with client(server) as s:
        s.sendall((post(3, connection=b"keep-alive") + b"abc") * 2
                  + post(3) + b"xyz")
        got = to_end(s)
    assert got.count(b"abc|") == 2 and got.count(b"xyz|") == 1


def test_errors_after_a_piece_of_the_body(start):
    server = start(http_lua(BODY + """
        socket:receive(2)
        ngx.exit(403)
    """))
    with client(server) as s:
        s.sendall(post(8, connection=b"keep-alive") + b"abcdefgh")
        assert b" 403 " in until(s, b"</html>")
        s.sendall(post(3) + b"abc")
        assert b" 403 " in to_end(s)


@pytest.mark.parametrize("request_head, code, answer", [
    (b"GET /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "",
     b"none: no body"),
    (post(0), "", b"none: no body"),
    (b"POST /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "",
     b"none: chunked request bodies not supported yet"),
    (post(2) + b"ab", "ngx.req.read_body()",
     b"none: request body already exists"),
])
def test_no_socket(start, request_head, code, answer):
    server = start(http_lua(code + BODY))
    with client(server) as s:
        s.sendall(request_head)
        assert answer in to_end(s)


def test_not_in_subrequests_nor_filters(start):
    server = start(http_lua(
        "ngx.print(ngx.location.capture('/s').body)",
        server="location /s { content_by_lua_block { "
               "ngx.print(pcall(ngx.req.socket)) } } location /f { "
               "return 200; header_filter_by_lua_block { local ok, err = "
               "pcall(ngx.req.socket) ngx.header.x = err } }"))
    assert "in a subrequest" in server.http("/t").text
    assert "API disabled" in server.http("/f").headers["x"]


def test_it_reads_only(start):
    server = start(http_lua(BODY + """
        ngx.say(tostring(socket.send), tostring(socket.connect),
                tostring(socket.close), type(socket.settimeout))
        ngx.say(ngx.req.socket())
    """))
    assert server.http("/t", "POST", b"x").text == (
        "nilnilnilfunction\nnilrequest body already exists\n")


def test_the_client_leaves_amid_its_body(start):
    server = start(http_lua(BODY + """
        local data, err, partial = socket:receive(10)
        ngx.log(ngx.WARN, "GOT ", data, " ", err, " ", partial)
    """))
    with client(server) as s:
        s.sendall(post(10) + b"abc")
        time.sleep(0.05)
    server.wait_for_log("GOT nil client aborted abc")


def test_timeout(start):
    server = start(http_lua(BODY + """
        socket:settimeout(50)
        ngx.say(socket:receive(10))
        socket:settimeouts(1000, 1000, 5000)
        ngx.say(socket:receive(2))
    """, location="lua_socket_log_errors off;"))
    with client(server) as s:
        s.sendall(post(5) + b"abc")
        time.sleep(0.2)
        s.sendall(b"de")
        got = to_end(s)
    assert b"niltimeoutabc\n" in got and b"de\n" in got


def test_who_waits_to_be_told_is_told(start):
    server = start(http_lua(BODY + "ngx.say(socket:receive('*a'))"))
    with client(server) as s:
        s.sendall(post(3, b"Expect: 100-continue\r\n"))
        assert until(s, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"abc")
        got = to_end(s)
    assert got.startswith(b"HTTP/1.1 200") and b"abc\n" in got


def test_light_threads_share_it(start):
    server = start(http_lua(BODY + """
        local t = ngx.thread.spawn(function() return socket:receive(4) end)
        ngx.sleep(0.01)
        ngx.say(socket:receive(1))
        local _, data = ngx.thread.wait(t)
        ngx.say(data)
    """))
    with client(server) as s:
        s.sendall(post(4))
        time.sleep(0.1)
        s.sendall(b"abcd")
        got = to_end(s)
    assert b"nilsocket busy reading" in got and b"abcd\n" in got


def test_it_belongs_to_its_request(start):
    server = start(http_lua("""
        package.loaded.kept = package.loaded.kept or ngx.req.socket()
        ngx.say(pcall(package.loaded.kept.receive, package.loaded.kept))
    """))
    assert server.http("/t", "POST", b"one\n").text == "trueone\n"
    text = server.http("/t", "POST", b"two\n").text
    assert text.startswith("false") and "bad request" in text


def test_in_rewrite_and_access(start):
    server = start("http { server { listen 127.0.0.1:@HTTP@; location /t { "
                   "rewrite_by_lua_block { ngx.ctx.s = ngx.req.socket() "
                   "ngx.ctx.a = ngx.ctx.s:receive(2) } "
                   "access_by_lua_block { ngx.sleep(0.001) "
                   "ngx.ctx.b = ngx.ctx.s:receive(2) } "
                   "content_by_lua_block { ngx.print(ngx.ctx.a, ngx.ctx.b, "
                   "ngx.ctx.s:receive(2)) } } } }")
    with client(server) as s:
        s.sendall(post(6) + b"a")
        for octet in b"bcdef":
            time.sleep(0.02)
            s.sendall(bytes([octet]))
        assert to_end(s).split(b"\r\n\r\n")[1].startswith(b"6\r\nabcdef")


# Raw.


RAW = """
    local socket, err = ngx.req.socket(true)
    if not socket then ngx.log(ngx.ERR, "NONE ", err) ngx.exit(444) end
"""
GET = b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_response_by_hand(start):
    server = start(http_lua(RAW + """
        socket:send({"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n",
                     "\\r\\n", "hello"})
    """))
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s) == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def test_nothing_else_is_written(start):
    server = start(http_lua(RAW + """
        local print, say = ngx.print, ngx.say
        local results = {}
        for i, f in ipairs{ngx.print, ngx.say, ngx.flush, ngx.send_headers,
                           ngx.eof} do
            results[i] = select(2, f())
        end
        socket:send(table.concat(results, "|"))
    """, location="header_filter_by_lua_block { ngx.log(ngx.ERR, 'HEADER') }"))
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s) == b"|".join([b"raw request socket acquired"] * 5)
    assert "HEADER" not in server.log()


@pytest.mark.parametrize("code", ["ngx.exit(500)", "ngx.exit(200)",
                                  "error('oops')", "ngx.exit(444)"])
def test_ends(start, code):
    server = start(http_lua(RAW + "socket:send('x') " + code))
    server.allow_log("oops")
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s) == b"x"


def test_echo_full_duplex(start):
    server = start(http_lua(RAW + """
        local writer = ngx.thread.spawn(function()
            for i = 1, 20 do socket:send(i .. " ") ngx.sleep(0.001) end
        end)
        local sum = 0
        while true do
            local line, err = socket:receive()
            if line == "end" then break end
            sum = sum + #line
        end
        ngx.thread.wait(writer)
        socket:send("sum " .. sum)
    """))
    with client(server) as s:
        s.sendall(GET + b"before\n")
        for _ in range(10):
            time.sleep(0.002)
            s.sendall(b"12345\n")
        s.sendall(b"end\n")
        got = to_end(s)
    assert got.endswith(b"sum 56")
    assert got.startswith(b"1 2 3 4 5 ")


def test_large_output_to_a_slow_client(start):
    server = start(http_lua(RAW + """
        local n = 0
        for i = 1, 20 do n = n + assert(socket:send(("x"):rep(500000))) end
        ngx.log(ngx.WARN, "SENT ", n)
    """))
    with client(server) as s:
        s.sendall(GET)
        time.sleep(0.2)
        total = 0
        while True:
            piece = s.recv(1 << 20)
            if not piece:
                break
            total += len(piece)
    assert total == 10_000_000
    server.wait_for_log("SENT 10000000")


def test_a_client_that_does_not_take_it(start):
    server = start(http_lua(RAW + """
        socket:settimeout(50)
        local ok, err
        repeat ok, err = socket:send(("x"):rep(1000000)) until not ok
        ngx.log(ngx.WARN, "ENDED ", err)
    """, location="lua_socket_log_errors off;"))
    with client(server) as s:
        s.sendall(GET)
        server.wait_for_log("ENDED timeout")


def test_the_client_leaves(start):
    server = start(http_lua(RAW + """
        local data, err = socket:receive(1)
        ngx.log(ngx.WARN, "ENDED ", data, err)
        local ok, err
        for _ = 1, 50 do
            ok, err = socket:send("x") ngx.sleep(0.005)
            if not ok then break end
        end
        ngx.log(ngx.WARN, "SEND ", err)
    """))
    with client(server) as s:
        s.sendall(GET)
        time.sleep(0.05)
    server.wait_for_log("ENDED nilclient aborted")
    server.wait_for_log("SEND (closed|connection reset by peer)")


def test_what_is_not_written_yet_refuses_it(start):
    server = start(http_lua("""
        ngx.print("x")
        local socket, err = ngx.req.socket(true)
        ngx.print(tostring(socket), err)
    """))
    assert server.http("/t").text == "xnilpending data to write"


def test_after_a_flush(start):
    server = start(http_lua("""
        ngx.header.content_length = 5
        ngx.print("ab")
        ngx.flush(true)
        local socket = ngx.req.socket(true)
        socket:send("cde")
        ngx.log(ngx.WARN, "TWICE ", select(2, ngx.req.socket(true)))
    """))
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s).endswith(b"\r\n\r\nabcde")
    server.wait_for_log("TWICE duplicate call")


def test_shutdown(start):
    server = start(http_lua(RAW + """
        socket:send("bye")
        socket:shutdown("send")
        ngx.log(ngx.WARN, "GOT ", socket:receive("*a"))
    """))
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s) == b"bye"
        s.sendall(b"later")
        s.shutdown(socket.SHUT_WR)
        server.wait_for_log("GOT later")


def test_clients_that_abort_while_it_sleeps(start):
    server = start(http_lua(RAW + """
        ngx.on_abort(function() ngx.log(ngx.WARN, "GONE") ngx.exit(499) end)
        socket:receive(1)
        ngx.sleep(1)
        ngx.log(ngx.WARN, "AWAKE")
    """, location="lua_check_client_abort on;"))
    with client(server) as s:
        s.sendall(GET + b"x")
        time.sleep(0.05)
    server.wait_for_log("GONE")
    assert "AWAKE" not in server.log()


# A websocket server, by hand.


WEBSOCKET = """
    local function receive_frame(socket)
        local head, err = socket:receive(2)
        if not head then return nil, err end
        local first, second = head:byte(1, 2)
        local size = bit.band(second, 0x7f)
        if size >= 126 then
            local more = socket:receive(size == 126 and 2 or 8)
            size = 0
            for i = 1, #more do size = size * 256 + more:byte(i) end
        end
        local mask = {socket:receive(4):byte(1, 4)}
        local data = size > 0 and socket:receive(size) or ""
        local out = {}
        for i = 1, size do
            out[i] = string.char(bit.bxor(data:byte(i), mask[(i - 1) % 4 + 1]))
        end
        return bit.band(first, 0x0f), table.concat(out)
    end

    local function send_frame(socket, opcode, data)
        local size = #data
        local head
        if size < 126 then
            head = string.char(0x80 + opcode, size)
        elseif size < 65536 then
            head = string.char(0x80 + opcode, 126, bit.rshift(size, 8),
                               bit.band(size, 255))
        else
            head = string.char(0x80 + opcode, 127, 0, 0, 0, 0,
                               bit.rshift(size, 24),
                               bit.band(bit.rshift(size, 16), 255),
                               bit.band(bit.rshift(size, 8), 255),
                               bit.band(size, 255))
        end
        return socket:send({head, data})
    end

    ngx.req.read_body()
    local key = ngx.var.http_sec_websocket_key
    ngx.header["Upgrade"] = "websocket"
    ngx.header["Sec-WebSocket-Accept"] = ngx.encode_base64(ngx.sha1_bin(
        key .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
    ngx.header["Content-Type"] = nil
    ngx.status = 101
    assert(ngx.send_headers())
    assert(ngx.flush(true))
    local socket = assert(ngx.req.socket(true))
    socket:settimeout(5000)
    while true do
        local opcode, data = receive_frame(socket)
        if not opcode then
            ngx.log(ngx.WARN, "LEFT ", data)
            return
        end
        if opcode == 8 then
            send_frame(socket, 8, data)
            return ngx.exit(ngx.OK)
        end
        send_frame(socket, opcode == 9 and 10 or opcode, data)
    end
"""


class WebSocket:
    def __init__(self, connection):
        self.s = connection
        key = base64.b64encode(os.urandom(16))
        self.s.sendall(b"GET /t HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                       b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       b"Sec-WebSocket-Key: " + key + b"\r\n\r\n")
        self.got = until(self.s, b"\r\n\r\n")
        self.head, self.got = self.got.split(b"\r\n\r\n", 1)
        accept = base64.b64encode(hashlib.sha1(
            key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        assert self.head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"Sec-WebSocket-Accept: " + accept in self.head
        assert b"\r\nConnection: upgrade" in self.head
        assert b"Transfer-Encoding" not in self.head

    def send(self, opcode, data):
        mask = os.urandom(4)
        size = len(data)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", size)
        self.s.sendall(head + mask + bytes(
            b ^ mask[i % 4] for i, b in enumerate(data)))

    def take(self, size):
        while len(self.got) < size:
            piece = self.s.recv(65536)
            assert piece
            self.got += piece
        taken, self.got = self.got[:size], self.got[size:]
        return taken

    def receive(self):
        first, size = self.take(2)
        if size == 126:
            size, = struct.unpack(">H", self.take(2))
        elif size == 127:
            size, = struct.unpack(">Q", self.take(8))
        return first & 0x0F, self.take(size)


def talk(connection):
    ws = WebSocket(connection)
    for opcode, data, answer in [(1, b"hello", 1), (2, b"", 2), (9, b"p", 10),
                                 (2, os.urandom(300), 2),
                                 (2, os.urandom(100_000), 2)]:
        ws.send(opcode, data)
        assert ws.receive() == (answer, data)
    for i in range(50):
        ws.send(1, b"%d" % i)
    for i in range(50):
        assert ws.receive() == (1, b"%d" % i)
    ws.send(8, b"\x03\xe8")
    assert ws.receive() == (8, b"\x03\xe8")
    assert connection.recv(1) == b""


def test_websocket(start):
    server = start(http_lua(WEBSOCKET))
    with client(server) as s:
        talk(s)


def test_websocket_through_a_proxy(start):
    server = start(http_lua(WEBSOCKET) .replace(
        "location /t", "location /proxied { proxy_http_version 1.1; "
        "proxy_set_header Upgrade $http_upgrade; "
        "proxy_set_header Connection upgrade; "
        "proxy_pass http://127.0.0.1:@HTTP@/t; } location /t"))
    with client(server) as s:
        ws = WebSocket.__new__(WebSocket)
        s.sendall(b"GET /proxied HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                  b"Sec-WebSocket-Key: x\r\n\r\n")
        ws.s, ws.got = s, until(s, b"\r\n\r\n").split(b"\r\n\r\n", 1)[1]
        ws.send(1, b"hello")
        assert ws.receive() == (1, b"hello")


def test_websocket_over_tls(start, tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)
    server = start(http_lua(WEBSOCKET).replace(
        "listen 127.0.0.1:@HTTP@;", "listen 127.0.0.1:@HTTP@ ssl; "
        "ssl_certificate %s; ssl_certificate_key %s;" % (cert, key)))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with client(server) as s, context.wrap_socket(s) as tls:
        talk(tls)


def test_websocket_clients_that_leave(start):
    server = start(http_lua(WEBSOCKET))
    for _ in range(10):
        with client(server) as s:
            ws = WebSocket(s)
            ws.send(1, b"x")
    server.wait_for_log("LEFT client aborted")


def test_many_websockets(start):
    server = start(http_lua(WEBSOCKET))
    with contextlib.ExitStack() as stack:
        all_of_them = [WebSocket(stack.enter_context(client(server)))
                       for _ in range(50)]
        for _ in range(3):
            for i, ws in enumerate(all_of_them):
                ws.send(1, b"%d" % i)
            for i, ws in enumerate(all_of_them):
                assert ws.receive() == (1, b"%d" % i)


def test_http2_has_none(start):
    server = start(http_lua(BODY).replace(
        "listen 127.0.0.1:@HTTP@;", "listen 127.0.0.1:@HTTP@ http2;"))
    run = subprocess.run(
        ["curl", "-s", "--http2-prior-knowledge",
         "http://%s:%d/t" % (HOST, server.port("HTTP"))],
        capture_output=True, text=True, check=False)
    assert run.stdout == "none: http v2 not supported yet\n"


# The body, read by the script and given on.


GIVE_ON = """
    local socket = assert(ngx.req.socket())
    ngx.req.init_body(%s)
    while true do
        local piece, err, partial = socket:receive(1000)
        piece = piece or partial
        if piece == "" then break end
        ngx.req.append_body(piece:upper())
        if err then break end
    end
    ngx.req.finish_body()
"""

GIVEN = """
    location /back { content_by_lua_block {
        ngx.req.read_body()
        local body = ngx.req.get_body_data()
        if not body then
            local file = io.open(ngx.req.get_body_file())
            body = file:read("*a")
        end
        ngx.say(ngx.var.http_content_length, " ", #body, " ", ngx.md5(body))
    } }
    location /p { rewrite_by_lua_block { %s }
                  proxy_pass http://127.0.0.1:@HTTP@/back; }
    location = /again { content_by_lua_block { ngx.say("again") } }
"""


@pytest.mark.parametrize("size", ["", "100", "0", "1000000"])
def test_a_body_read_by_pieces_is_given_on(start, size):
    server = start(http_lua("", server=GIVEN % (GIVE_ON % size)))
    for count in (1, 999, 1000, 100000):
        body = (b"abcdefg" * (count // 7 + 1))[:count]
        with client(server) as s:
            for _ in range(2):  # the connection stays in order
                s.sendall(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: "
                          b"%d\r\n\r\n" % count + body
                          + b"GET /again HTTP/1.1\r\nHost: x\r\n\r\n")
                got = until(s, b"again\n")
                digest = hashlib.md5(body.upper()).hexdigest()
                assert f"{count} {count} {digest}\n".encode() in got


def test_a_new_body_of_another_size(start):
    """What the socket may still read is the client's body's."""
    server = start(http_lua("", server=GIVEN % """
        local socket = assert(ngx.req.socket())
        local first = socket:receive(3)
        ngx.req.init_body()
        ngx.req.append_body(first .. ("x"):rep(50))
        ngx.req.finish_body()
        if ngx.var.arg_rest then
            ngx.log(ngx.WARN, "rest: ", socket:receive("*a"))
        end
    """))
    digest = hashlib.md5(b"abc" + b"x" * 50).hexdigest()
    wanted = f"53 53 {digest}\n".encode()
    follower = b"GET /again HTTP/1.1\r\nHost: x\r\n\r\n"
    with client(server) as s:
        s.sendall(b"POST /p?rest=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10"
                  b"\r\n\r\nabcdefghij" + follower)
        assert wanted in until(s, b"again\n")
    server.wait_for_log("rest: defghij,")
    with client(server) as s:  # what is not read of a body is no request
        s.sendall(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 100000"
                  b"\r\n\r\nabc")
        got = until(s, wanted)
        s.sendall(follower)
        got += to_end(s)
        assert b"Connection: close" in got and b"again" not in got


def test_a_body_that_is_discarded_or_set_by_data(start):
    server = start(http_lua("", server=GIVEN % """
        local socket = assert(ngx.req.socket())
        socket:receive(2)
        ngx.req.set_body_data("new body")
    """))
    with client(server) as s:
        s.sendall(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd")
        digest = hashlib.md5(b"new body").hexdigest()
        assert until(s, f"8 8 {digest}\n".encode())


def test_bodies_that_go_to_a_file_at_once(start):
    server = start(http_lua("", server="""
        location /f {
            %s
            content_by_lua_block {
                ngx.req.read_body()
                ngx.req.init_body(tonumber(ngx.var.arg_size))
                for i = 1, 3 do ngx.req.append_body("abc") end
                ngx.req.finish_body()
                ngx.say(ngx.req.get_body_data(), " ",
                        ngx.req.get_body_file() ~= nil, " ",
                        ngx.req.get_headers()["content-length"])
                ngx.req.init_body(0)
                ngx.req.finish_body()
                ngx.say(ngx.req.get_body_data(), " ",
                        ngx.req.get_body_file() ~= nil, " ",
                        ngx.req.get_headers()["content-length"])
            }
        }""" % ""))
    text = server.http("/f?size=0").text
    assert text == "nil true 9\nnil false 0\n"
    text = server.http("/f?size=9").text
    assert text == "abcabcabc false 9\nnil false 0\n"


def test_no_buffer_for_the_clients_body(start):
    server = start(http_lua("""
        ngx.req.read_body()
        ngx.req.init_body()
        ngx.req.append_body("abc")
        ngx.req.finish_body()
        ngx.say(ngx.req.get_body_file() ~= nil)
    """, location="client_body_buffer_size 0;"))
    assert server.http("/t").text == "true\n"
