"""ngx.socket.tcp: sslhandshake."""

import ssl
import subprocess

import pytest

from lua_conf import Peer, echo, http_lua


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days",
         "2", "-subj", "/CN=peer.test", "-addext",
         "subjectAltName=DNS:peer.test"], check=True, capture_output=True)
    return folder


@pytest.fixture
def run(start, certificate):
    peers = []

    def serve(connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem",
                                certificate / "key.pem")
        with context.wrap_socket(connection, server_side=True) as secure:
            echo(secure)

    def go(code, directives="", plain=False):
        peers.append(Peer(echo if plain else serve))
        server = start(http_lua("""
            local port = %d
            local sock = ngx.socket.tcp()
            assert(sock:connect("127.0.0.1", port))
            """ % peers[-1].port + code,
            "lua_socket_log_errors off; " + directives))
        server.peer = peers[-1]
        server.allow_log("SSL_do_handshake")
        go.server = server
        return server.http("/t").text

    yield go
    for peer in peers:
        peer.close()


def trust(certificate):
    return f"lua_ssl_trusted_certificate {certificate}/cert.pem;"


def test_handshake_and_talk(run):
    assert run("""
        ngx.say(type(sock:sslhandshake()))
        sock:send("hello\\n")
        ngx.say(sock:receive())
        ngx.say(sock:close())
    """) == "cdata\nhello\n1\n"


def test_without_a_session(run):
    assert run("ngx.say(sock:sslhandshake(false))") == "true\n"


def test_verification(run, certificate):
    text = run("ngx.say(sock:sslhandshake(nil, 'peer.test', true))")
    assert text.startswith("nil18: self") or "certificate" in text


def test_a_trusted_peer(run, certificate):
    assert run("ngx.say(sock:sslhandshake(false, 'peer.test', true))",
               trust(certificate)) == "true\n"


def test_a_name_that_does_not_match(run, certificate):
    assert run("ngx.say(sock:sslhandshake(false, 'other.test', true))",
               trust(certificate)) == "nilcertificate host mismatch\n"


def test_a_session_is_used_again(run):
    assert run("""
        local session = sock:sslhandshake()
        sock:send("a\\n") ngx.print(sock:receive())
        sock:close()
        assert(sock:connect("127.0.0.1", port))
        ngx.print(type(sock:sslhandshake(session)))
        sock:send("b\\n") ngx.say(sock:receive())
        ngx.say(pcall(sock.sslhandshake, sock, {}))
    """).startswith("acdatab\nfalse")


def test_a_peer_that_speaks_something_else(run):
    assert run("ngx.say(sock:sslhandshake())", plain=True).startswith("nil")


def test_kept_connections_stay_secure(run):
    code = """
        ngx.say(sock:getreusedtimes(), sock:sslhandshake(false))
        sock:send("x\\n") ngx.say(sock:receive())
        ngx.say(sock:setkeepalive())
    """
    assert run(code) == "0true\nx\n1\n"
    assert run.server.http("/t").text == "1true\nx\n1\n"
    assert run.server.peer.count == 1


def test_large_amounts(run):
    assert run("""
        sock:sslhandshake()
        local text = ("0123456789"):rep(2000000)
        local t = ngx.thread.spawn(function() return sock:receive(#text) end)
        assert(sock:send(text))
        local _, got = ngx.thread.wait(t)
        ngx.say(got == text)
    """) == "true\n"


def test_bad_directives(start):
    server = start("http { lua_ssl_trusted_certificate /none.pem; }",
                   run=False)
    server.allow_log("emerg")
    server.test_configuration()
    server = start("http { lua_ssl_protocols TLSv9; }", run=False)
    code, text = server.test_configuration()
    assert code == 1 and "TLSv9" in text
    server.allow_log("emerg")
