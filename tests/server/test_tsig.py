"""Queries with a TSIG: no key is known, and no answer is unsigned (RFC 8945)."""

import base64
import socket
import ssl
import struct
import subprocess

import dns.message
import dns.name
import dns.rcode
import dns.tsigkeyring
import pytest

from resolua_server import HOST
from service_conf import SAMPLE, resolua

KEYS = dns.tsigkeyring.from_text({"client.key.": "c2VjcmV0c2VjcmV0c2VjcmV0"})

CONF = """
dns_store lmdb path=@FOLDER@/data;
dns_cache 4m;
stream {
    ssl_certificate %(folder)s/cert.pem;
    ssl_certificate_key %(folder)s/key.pem;
    server {
        listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@;
        listen 127.0.0.1:@TLS@ ssl;
        dns_serve on;
    }
    server {
        listen 127.0.0.1:@SESSION@ udp;
        dns_serve on;
        dns_express off;
    }
    server {
        listen 127.0.0.1:@HOOKED@ udp;
        dns_serve on;
        dns_query_by_lua_block {
            local q = ...
            q:answer("A", 60, "192.0.2.9")
            q:cache(60)
        }
    }
}
http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns-query { dns_over_https on; }
    }
}
"""


@pytest.fixture
def server(start, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-keyout",
         tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-subj",
         "/CN=localhost"], check=True, capture_output=True)
    server = start(CONF % {"folder": tmp_path}, run=False)
    resolua(server, "zone", "load", SAMPLE)
    return server.start()


def signed(name="www.example.test", key="client.key.", **options):
    query = dns.message.make_query(name, "A", **options)
    query.use_tsig(KEYS, dns.name.from_text(key))
    return query.to_wire()


def over_stream(connection, wire):
    with connection, connection.makefile("rwb") as stream:
        stream.write(struct.pack("!H", len(wire)) + wire)
        stream.flush()
        return stream.read(*struct.unpack("!H", stream.read(2)))


def by_tls(server, wire):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return over_stream(context.wrap_socket(
        socket.create_connection((HOST, server.port("TLS")), 10)), wire)


TRANSPORTS = {
    "lane": lambda s, w: s.send_raw(w),
    "session": lambda s, w: s.send_raw(w, port="SESSION"),
    "hook": lambda s, w: s.send_raw(w, port="HOOKED"),
    "tcp": lambda s, w: over_stream(
        socket.create_connection((HOST, s.port("DNS")), 10), w),
    "tls": by_tls,
    "https": lambda s, w: s.http(
        "/dns-query", "POST", w,
        {"Content-Type": "application/dns-message"}).body,
}


def tsig_of(wire):
    """(rcode, answers, name, algorithm, time and fudge, MAC, id, error) of a
    response whose last record is a TSIG."""
    counts = struct.unpack("!HHHH", wire[4:12])
    at = 12
    tsig = None
    for section, count in enumerate(counts):
        for _ in range(count):
            name, size = dns.name.from_wire(wire, at)
            at += size
            if section == 0:
                at += 4
                continue
            kind, klass, ttl, length = struct.unpack("!HHIH", wire[at:at + 10])
            at += 10
            tsig = (name, kind, klass, ttl, wire[at:at + length])
            at += length
    assert at == len(wire)
    name, kind, klass, ttl, rdata = tsig
    assert (kind, klass, ttl) == (250, 255, 0)
    algorithm, size = dns.name.from_wire(rdata, 0)
    mac_size, = struct.unpack("!H", rdata[size + 8:size + 10])
    after = size + 10 + mac_size
    id_, error, other = struct.unpack("!HHH", rdata[after:])
    assert other == 0
    return (wire[3] & 15, counts[1], name, algorithm, rdata[size:size + 8],
            mac_size, id_, error)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_unknown_key(server, transport):
    """NOTAUTH, and an unsigned TSIG that says BADKEY (sections 5.2.1, 5.3.2),
    also where the same question without TSIG has been kept."""
    ask = TRANSPORTS[transport]
    plain = dns.message.make_query("www.example.test", "A").to_wire()
    assert dns.message.from_wire(ask(server, plain)).answer
    for options in ({}, {"use_edns": 0}):
        query = signed(**options)
        answer = ask(server, query)
        assert answer[:2] == query[:2]
        rcode, answers, name, algorithm, time, mac, id_, error = tsig_of(answer)
        assert rcode == dns.rcode.NOTAUTH and answers == 0
        assert name == dns.name.from_text("client.key.")
        assert algorithm == dns.name.from_text("hmac-sha256.")
        assert time in query
        assert (mac, error) == (0, 17)
        assert id_ == struct.unpack("!H", query[:2])[0]


def test_the_original_id_and_a_compressed_key(server):
    """A forwarder on the way has another id; names may be compressed."""
    query = bytearray(signed(key="client.key."))
    query[:2] = b"\x12\x34"
    at = query.rindex(b"\x06client\x03key\x00")
    query[at:at + 12] = b"\xc0\x0c"
    result = tsig_of(server.send_raw(bytes(query)))
    assert result[2] == dns.name.from_text("www.example.test.")
    assert result[0] == dns.rcode.NOTAUTH and result[7] == 17
    assert result[6] != 0x1234


def tsig_record(klass=255, ttl=0, algorithm=b"\x0bhmac-sha256\0", more=b""):
    rdata = (algorithm + bytes(6) + b"\1\x2c" + b"\0\4MACX" + b"\0\7\0\0\0\0"
             + more)
    return (b"\1k\0" + struct.pack("!HHIH", 250, klass, ttl, len(rdata))
            + rdata)


def message(*additional, answer=b"", flags=0):
    question = b"\3www\7example\4test\0\0\1\0\1"
    return (struct.pack("!HHHHHH", 7, flags, 1, 1 if answer else 0, 0,
                        len(additional))
            + question + answer + b"".join(additional))


OPT = b"\0\0\x29\4\xd0\0\0\0\0\0\0"


@pytest.mark.parametrize("wire, rcode", [
    (message(tsig_record()), "NOTAUTH"),
    (message(OPT, tsig_record()), "NOTAUTH"),
    (message(tsig_record(), flags=0x2800), "NOTAUTH"),  # UPDATE
    (message(tsig_record(), flags=0x2000), "NOTAUTH"),  # NOTIFY
    (message(tsig_record(), OPT), "FORMERR"),  # not the last
    (message(tsig_record(), tsig_record()), "FORMERR"),
    (message(answer=tsig_record()), "FORMERR"),
    (message(tsig_record(klass=1)), "FORMERR"),
    (message(tsig_record(ttl=1)), "FORMERR"),
    (message(tsig_record(more=b"x")), "FORMERR"),
    (message(tsig_record(algorithm=b"\xc0\x0c")), "FORMERR"),
    (message(b"\xc0\xff" + tsig_record()[3:]), "FORMERR"),
])
def test_form(server, wire, rcode):
    answer = server.send_raw(wire)
    assert answer[3] & 15 == dns.rcode.from_text(rcode)
    assert answer[11] == (1 if rcode == "NOTAUTH" else 0) + (
        answer.count(b"\0\0\x29") if rcode == "NOTAUTH" else 0)


def test_what_does_not_fit_says_tc(server):
    """Names as long as they may be: over TCP the TSIG is there."""
    label = b"\x3f" + b"k" * 63
    longest = label * 3 + b"\x3d" + b"k" * 61 + b"\0"
    rdata = longest + bytes(6) + b"\1\x2c\0\0\0\7\0\0\0\0"
    record = longest + struct.pack("!HHIH", 250, 255, 0, len(rdata)) + rdata
    wire = message(record)
    answer = server.send_raw(wire)
    assert len(answer) <= 512 and answer[2] & 2
    assert answer[3] & 15 == dns.rcode.NOTAUTH
    whole = TRANSPORTS["tcp"](server, wire)
    assert not whole[2] & 2 and tsig_of(whole)[7] == 17


def test_dig_understands(server):
    secret = base64.b64encode(b"secret" * 4).decode()
    said = server.dig("-y", f"hmac-sha256:client.key:{secret}",
                      "www.example.test")
    assert "NOTAUTH" in said and "BADKEY" in said
