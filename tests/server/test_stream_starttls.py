"""serversslhandshake: a client goes on in TLS when a script of stream says
so, as with STARTTLS."""

import socket
import ssl

import pytest

import tls
from resolua_server import HOST


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    authority = tls.Authority(tmp_path_factory.mktemp("tls"))
    authority.issue("one.test")
    return authority


CONF = """
stream {
    lua_shared_dict notes 100k;
    server {
        listen 127.0.0.1:@IN@;
        ssl_certificate %(folder)s/one.test.pem;
        ssl_certificate_key %(folder)s/one.test.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_handshake_timeout %(timeout)s;
        %(server)s
        content_by_lua_block {
            local sock = ngx.req.socket()
            local command = sock:receive()
            sock:send("220 " .. command .. "\\n")
            %(before)s
            local ok, err = sock:serversslhandshake()
            ngx.log(ngx.WARN, "handshake: ", ok, " ", err)
            if not ok then
                ngx.log(ngx.WARN, "then: ", select(2, sock:receive()), " ",
                        select(2, sock:send("x")))
                return
            end
            sock:send("secure " .. sock:receive() .. " " ..
                      tostring(ngx.var.ssl_protocol) .. "\\n")
            ngx.say(sock:serversslhandshake())
            %(after)s
        }
    }
    server { listen 127.0.0.1:@BARE@; content_by_lua_block {
        local sock = ngx.req.socket()
        ngx.say(sock:serversslhandshake())
    } }
}
"""


@pytest.fixture
def run(start, ca):
    def go(server="", before="", after="", timeout="10s"):
        one = start(CONF % {"folder": ca.folder, "server": server,
                            "before": before, "after": after,
                            "timeout": timeout})
        one.allow_log("SSL_do_handshake")
        return one
    return go


def plain_part(server, more=b""):
    s = socket.create_connection((HOST, server.port("IN")), 10)
    s.sendall(b"STARTTLS\n" + more)
    text = b""
    while not text.endswith(b"\n"):
        text += s.recv(1)
    assert text == b"220 STARTTLS\n"
    return s


def go_on(s, ca, version=None, name="one.test"):
    context = ssl.create_default_context(cafile=ca.path("ca.pem"))
    if version:
        context.minimum_version = context.maximum_version = version
    with context.wrap_socket(s, server_hostname=name) as secure:
        secure.sendall(b"hello\n")
        return secure.makefile().read()


@pytest.mark.parametrize("version, name", [
    (ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_the_connection_goes_on_in_tls(run, ca, version, name):
    server = run()
    for _ in range(2):
        assert go_on(plain_part(server), ca, version) == (
            f"secure hello {name}\nnilalready in TLS\n")


def test_with_chunks_in_the_handshake(run, ca):
    server = run("""
        ssl_client_hello_by_lua_block { ngx.sleep(0.01) ngx.ctx.hello = 1 }
        ssl_certificate_by_lua_block {
            ngx.sleep(0.01)
            ngx.log(ngx.WARN, "certificate for ",
                    require("ngx.ssl").server_name())
        }""")
    assert go_on(plain_part(server), ca).startswith("secure hello")
    server.wait_for_log("certificate for one.test")


def test_large_amounts(run, ca):
    server = run(after="""
        sock:send(("x"):rep(3000000))
        ngx.say("end")""")
    text = go_on(plain_part(server), ca)
    assert text.count("x") == 3000000 and text.endswith("end\n")


def test_what_other_threads_say_waits(run, ca):
    """Nothing of it leaves in plain amid the handshake."""
    server = run(before="""
        ngx.thread.spawn(function() ngx.sleep(0.001) ngx.say("other") end)
    """)
    s = plain_part(server)
    server.allow_log("x")
    text = go_on(s, ca)
    assert sorted(text.splitlines()[:2]) == ["nilalready in TLS", "other"] \
        or "other\n" in text


def test_what_came_in_plain_is_not_taken_for_tls(run, ca):
    server = run()
    with plain_part(server, b"injected\n") as s:
        assert s.recv(100) == b"x"  # in plain, by the script
    server.wait_for_log("handshake: nil unread data in buffer")


def test_a_client_that_speaks_something_else(run, ca):
    server = run()
    with plain_part(server) as s:
        s.sendall(b"this is no TLS at all, though long enough\r\n\r\n")
        s.settimeout(10)
        try:
            while s.recv(1000):
                pass
        except ConnectionError:
            pass
    server.wait_for_log("handshake: nil handshake failed")
    server.wait_for_log("then: closed closed")


def test_a_client_that_says_nothing(run, ca):
    server = run(timeout="100ms")
    with plain_part(server) as s:
        assert s.recv(100) == b""
    server.wait_for_log("handshake: nil timeout")


def test_a_server_without_a_certificate(run):
    server = run()
    with socket.create_connection((HOST, server.port("BARE")), 10) as s:
        assert s.makefile().read() == "nilno ssl_certificate in this server\n"


def test_a_thread_that_is_killed_amid_it(run, ca):
    server = run(before="""
        local t = ngx.thread.spawn(function() sock:serversslhandshake() end)
        ngx.say(sock:receive())
        ngx.thread.kill(t)
        ngx.log(ngx.WARN, "killed: ", select(2, sock:receive()))
        ngx.exit(ngx.OK)
    """)
    with plain_part(server) as s:
        assert s.recv(100) == b""
    server.wait_for_log("killed: closed")
