"""ngx.req.socket in http: a websocket server by hand."""

import base64
import contextlib
import hashlib
import os
import ssl
import struct
import subprocess

from lua_conf import http_lua
from raw_http import client, until

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
