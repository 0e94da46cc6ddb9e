"""DNS over TLS (RFC 7858)."""

import socket
import ssl
import struct
import subprocess

import dns.message
import pytest

from resolua_server import HOST, readable
from service_conf import SAMPLE
from stream_conf import start_dns

COUNT = 300  # answers of 43 kB: more than sockets hold


@pytest.fixture
def server(start, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
         tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2",
         "-subj", "/CN=localhost"], check=True, capture_output=True)
    zone = tmp_path / "large.test.zone"
    zone.write_text("@ 60 SOA ns1 hm 1 2 3 4 5\n@ 60 NS ns1\n" + "".join(
        f'@ 60 TXT "{i:0200}"\n' for i in range(200)))
    return start_dns(start, f"""
        listen 127.0.0.1:@TLS@ ssl;
        ssl_certificate {tmp_path}/cert.pem;
        ssl_certificate_key {tmp_path}/key.pem;
        ssl_session_cache shared:dot:1m;""", zones=(SAMPLE, zone))


def connect(server, protocols=None, session=None, context=None):
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(protocols)
    plain = socket.create_connection((HOST, server.port("TLS")), 5)
    return context.wrap_socket(plain, session=session)


def ask(connection, name="www.example.test"):
    wire = dns.message.make_query(name, "A").to_wire()
    connection.sendall(struct.pack("!H", len(wire)) + wire)
    size, = struct.unpack("!H", connection.recv(2))
    octets = b""
    while len(octets) < size:
        octets += connection.recv(size - len(octets))
    return dns.message.from_wire(octets)


@pytest.mark.parametrize("offered, chosen", [
    (["dot"], "dot"), (["h2", "dot"], "dot"), (["h2"], None), (None, None)])
def test_protocols(server, offered, chosen):
    with connect(server, offered) as connection:
        assert connection.selected_alpn_protocol() == chosen
        assert len(ask(connection).answer[0]) == 2


def test_many_queries_on_a_connection(server):
    with connect(server) as connection:
        for _ in range(100):
            assert ask(connection, "mail.example.test").answer


def test_sessions_are_resumed(server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with connect(server, context=context) as connection:
        ask(connection)
        session = connection.session
    with connect(server, session=session, context=context) as connection:
        assert connection.session_reused
        assert ask(connection).answer


def test_kdig(server):
    done = subprocess.run(
        ["kdig", f"@{HOST}", "-p", str(server.port("TLS")), "+tls",
         "+norecurse", "www.example.test"], capture_output=True, text=True,
        timeout=30)
    assert "192.0.2.80" in done.stdout and "TLS" in done.stdout
    # RFC 8467: kdig pads its queries.
    assert "468 B" in done.stdout, done.stdout


def test_a_client_that_reads_late_gets_all_answers(server):
    """What the socket does not take at once goes on from other memory."""
    wire = dns.message.make_query("large.test", "TXT").to_wire()
    with connect(server) as s:
        s.settimeout(20)
        s.sendall((struct.pack("!H", len(wire)) + wire) * COUNT)
        readable([s], 20)
        stream = s.makefile("rb")
        for _ in range(COUNT):
            size, = struct.unpack("!H", stream.read(2))
            assert len(stream.read(size)) == size > 40000
    assert "SSL_write" not in server.log()
