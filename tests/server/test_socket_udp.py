"""ngx.socket.udp."""

import socket
import threading

import pytest

from lua_conf import http_lua
from resolua_server import HOST


@pytest.fixture
def echo_port():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((HOST, 0))

    def serve():
        while True:
            try:
                data, sender = s.recvfrom(65536)
            except OSError:
                return
            if data == b"end":
                return
            if data != b"silence":
                s.sendto(data.upper(), sender)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = s.getsockname()[1]
    yield port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"end", (HOST, port))
    thread.join(5)
    s.close()


OPEN = """
    local sock = ngx.socket.udp()
    local ok, err = sock:setpeername("127.0.0.1", %d)
    if not ok then ngx.say(err) return end
"""


@pytest.fixture
def run(start, echo_port):
    def go(code, location=""):
        server = start(http_lua(OPEN % echo_port + code, location))
        return server.http("/t").text
    return go


def test_send_and_receive(run):
    assert run("""
        ngx.say(sock:send("hello"))
        ngx.say(sock:receive())
        ngx.say(sock:send({"a", {1, true}}))
        ngx.say(sock:receive())
        ngx.say(sock:close())
        ngx.say(sock:close())
        ngx.say(sock:send("x"))
    """) == "1\nHELLO\n1\nA1TRUE\n1\nnilclosed\nnilclosed\n"


def test_size_limits(run):
    assert run("""
        local text = ("x"):rep(60000)
        sock:send(text)
        ngx.say(#sock:receive())
        sock:send("abcdef")
        ngx.say(sock:receive(3))
        ngx.say(sock:send(("x"):rep(70000)))
    """) == "60000\nABC\nnilmessage too long\n"


def test_timeout(run):
    assert run("""
        sock:settimeout(50)
        sock:send("silence")
        ngx.say(sock:receive())
        sock:settimeout(3000)
        sock:send("on")
        ngx.say(sock:receive())
    """) == "niltimeout\nON\n"


def test_nobody_listens(start):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((HOST, 0))
        port = s.getsockname()[1]
    server = start(http_lua(OPEN % port + """
        sock:send("x")
        ngx.say(sock:receive())
    """))
    assert server.http("/t").text == "nilconnection refused\n"


def test_before_a_peer(start):
    server = start(http_lua("""
        local sock = ngx.socket.udp()
        ngx.say(sock:send("x"))
        ngx.say(sock:receive())
        ngx.say(pcall(sock.setpeername, sock, "127.0.0.1", 99999))
    """))
    assert server.http("/t").text == (
        "nilclosed\nnilclosed\ntruenilbad port number: 99999\n")


def test_bind(start):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((HOST, 0))
        s.settimeout(5)
        server = start(http_lua("""
            local sock = ngx.socket.udp()
            ngx.say(sock:bind("127.0.0.9"))
            sock:setpeername("127.0.0.1", %d)
            sock:send("x")
        """ % s.getsockname()[1]))
        assert server.http("/t").text == "1\n"
        assert s.recvfrom(10)[1][0] == "127.0.0.9"


def test_unix(start, tmp_path):
    path = tmp_path.parent / f"{tmp_path.name[-20:]}.d"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        path.chmod(0o666)
        s.settimeout(5)

        def serve():
            data, sender = s.recvfrom(100)
            s.sendto(data + b"!", sender)

        thread = threading.Thread(target=serve)
        thread.start()
        server = start(http_lua("""
            local sock = ngx.socket.udp()
            ngx.say(sock:setpeername("unix:%s"))
            sock:send("x")
            ngx.say(sock:receive())
        """ % path))
        assert server.http("/t").text == "1\nx!\n"
        thread.join(5)
        path.unlink()
