"""EDNS through the server: the compliance matrix that ISC asks of name servers
(RFC 6891 and what came after), options, and real tools."""

import shutil
import struct
import subprocess

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from resolua_server import HOST
from stream_conf import start_dns

BIG = "\n".join(f"big 60 TXT {'x' * 200}{i}" for i in range(10))
ZONE = f"""\
$ORIGIN edns.test.
@ 60 SOA ns h 1 7200 900 86400 60
@ 60 NS ns
ns 60 A 192.0.2.1
www 60 A 192.0.2.2
{BIG}
"""


@pytest.fixture
def server(start, tmp_path):
    zone = tmp_path / "edns.test.zone"
    zone.write_text(ZONE)
    return start_dns(start, "dns_nsid one; dns_cookie_secret "
                     "000102030405060708090a0b0c0d0e0f;", zones=[zone])


def question(name="www.edns.test", kind=1):
    return (b"".join(bytes([len(label)]) + label.encode()
                     for label in name.split("."))
            + b"\0" + struct.pack("!HH", kind, 1))


def opt(size=1232, extended=0, version=0, flags=0, options=b"", owner=b"\0"):
    return (owner + struct.pack("!HHBBHH", 41, size, extended, version, flags,
                                len(options)) + options)


def option(code, data=b""):
    return struct.pack("!HH", code, len(data)) + data


def packet(*opts, name="www.edns.test", kind=1):
    return (struct.pack("!HHHHHH", 77, 0, 1, 0, 0, len(opts))
            + question(name, kind) + b"".join(opts))


def ask(server, wire):
    answer = server.send_raw(wire)
    assert answer is not None
    return dns.message.from_wire(answer)


def options_of(message):
    return {o.otype: o.to_wire() for o in message.options}


MATRIX = [  # what, the OPT, rcode, has an answer
    ("dns", (), "NOERROR", 1),
    ("edns", (opt(),), "NOERROR", 1),
    ("edns1", (opt(version=1),), "BADVERS", 0),
    ("edns@512", (opt(512),), "NOERROR", 1),
    ("ednsopt", (opt(options=option(100, b"abcd")),), "NOERROR", 1),
    ("edns1opt", (opt(version=1, options=option(100)),), "BADVERS", 0),
    ("do", (opt(flags=0x8000),), "NOERROR", 1),
    ("ednsflags", (opt(flags=0x0040),), "NOERROR", 1),
    ("edns1flags", (opt(version=1, flags=0x0040),), "BADVERS", 0),
    ("optlist", (opt(options=option(3) + option(8, b"\0\1\0\0")
                     + option(9) + option(10, b"12345678")),), "NOERROR", 1),
    ("size 0", (opt(0),), "NOERROR", 1),
    ("two", (opt(), opt()), "FORMERR", 0),
    ("owner", (opt(owner=b"\1x\0"),), "FORMERR", 0),
    ("cut option", (opt(options=b"\0\3\0\4ab"),), "FORMERR", 0),
    ("bad subnet", (opt(options=option(8, b"\0\1\40\0\1")),), "FORMERR", 0),
    ("bad cookie", (opt(options=option(10, b"123")),), "FORMERR", 0),
]


@pytest.mark.parametrize("what, opts, rcode, answers", MATRIX,
                         ids=[m[0] for m in MATRIX])
def test_matrix(server, what, opts, rcode, answers):
    message = ask(server, packet(*opts))
    assert dns.rcode.to_text(message.rcode()) == rcode
    assert sum(len(r) for r in message.answer) == answers
    if not opts:
        assert message.edns == -1
        return
    if rcode != "FORMERR":
        assert message.edns == 0 and message.payload == 1232
    # Unknown flags and options are not echoed.
    assert message.ednsflags & 0x7fff == 0
    assert bool(message.ednsflags & 0x8000) == (what == "do")
    assert 100 not in options_of(message)


def test_unknown_types_and_names(server):
    assert ask(server, packet(opt(), kind=1000)).rcode() == 0
    assert ask(server, packet(opt(), name="no.edns.test")).rcode() == 3


@pytest.mark.parametrize("size, limit", [
    (0, 512), (512, 512), (1000, 1000), (1232, 1232), (4096, 1232)])
def test_truncation_keeps_the_opt(server, size, limit):
    wire = server.send_raw(packet(opt(size), name="big.edns.test", kind=16))
    message = dns.message.from_wire(wire)
    assert len(wire) <= limit
    assert message.flags & dns.flags.TC and message.edns == 0
    assert not message.answer  # whole sets or nothing


def test_nsid(server):
    assert options_of(ask(server, packet(opt(options=option(3)))))[3] == b"one"
    assert 3 not in options_of(ask(server, packet(opt())))


def test_cookies(server):
    message = ask(server, packet(opt(options=option(10, b"12345678"))))
    cookie = options_of(message)[10]
    assert len(cookie) == 24 and cookie.startswith(b"12345678")
    again = ask(server, packet(opt(options=option(10, cookie))))
    assert again.rcode() == 0 and options_of(again)[10][:8] == b"12345678"


def test_a_cookie_alone(server):
    """RFC 7873 section 5.4: a query without question."""
    def alone(options):
        return (struct.pack("!6H", 7, 0, 0, 0, 0, 1) + opt(options=options))
    wire = server.send_raw(alone(option(10, b"12345678")))
    message = dns.message.from_wire(wire)
    assert message.rcode() == 0 and not message.question
    assert len(options_of(message)[10]) == 24
    for options in (b"", option(3), option(10, b"123")):
        assert dns.message.from_wire(server.send_raw(alone(options))).rcode() == 1


def test_keepalive_on_tcp_alone(server):
    query = dns.message.make_query("www.edns.test", "A", use_edns=0,
                                   options=[dns.edns.GenericOption(11, b"")])
    assert options_of(server.exchange(query, tcp=True))[11] == b"\0\x64"
    assert 11 not in options_of(server.exchange(query))


def test_refused_says_why(server):
    message = ask(server, packet(opt(), name="elsewhere.test"))
    assert message.rcode() == dns.rcode.REFUSED
    assert options_of(message)[15] == b"\0\x14"
    assert ask(server, packet(name="elsewhere.test")).edns == -1


TOOLS = {
    "dig": ["dig", f"@{HOST}", "-p", "PORT", "+norecurse"],
    "kdig": ["kdig", f"@{HOST}", "-p", "PORT", "+norecurse"],
    "drill": ["drill", "-o", "rd", "-p", "PORT", f"@{HOST}"],
    "host": ["host", "-r", "-p", "PORT", "-v", "-t"],
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", ["A", "TXT", "SOA", "NS", "ANY", "TYPE1000"])
@pytest.mark.parametrize("name", ["www.edns.test", "edns.test", "no.edns.test"])
def test_tools_have_no_complaint(server, tool, kind, name):
    assert shutil.which(tool), "tools/dependencies.txt must install it"
    words = [str(server.port("DNS")) if word == "PORT" else word
             for word in TOOLS[tool]]
    words += [kind, name, HOST] if tool == "host" else [name, kind]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    text = done.stdout + done.stderr
    for complaint in ("warning", "malformed", "mismatch", "error:", "got bad",
                      "extra bytes", "timed out"):
        assert complaint not in text.lower(), text
    assert ("NXDOMAIN" in text) == name.startswith("no."), text
