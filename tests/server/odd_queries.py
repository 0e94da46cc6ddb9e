"""Queries that have little to do with what a zone holds: flags, opcodes,
EDNS, meta types, malformed messages; and a zone for answers that fill a
message."""

import dns.edns
import dns.message

ZONE = "odd.test."
TYPES = ["AXFR", "IXFR", "MAILA", "TYPE0", "TYPE41", "TYPE249", "TYPE250",
         "TYPE128", "RRSIG", "NSEC3", "HTTPS", "SVCB"]
OPTIONS = {3: b"", 8: b"\0\1\x18\0\1\2\3", 10: b"12345678", 11: b"",
           12: b"\0\0", 15: b"", 100: b"x", 65001: b""}


def zone_text():
    text = f"""\
$ORIGIN {ZONE}
$TTL 300
@ SOA ns h 1 7200 900 86400 60
@ NS ns
@ NS ns.sub
ns A 192.0.2.1
www A 192.0.2.2
www HTTPS 1 .
al HTTPS 0 www
sv SVCB 1 www
sv2 SVCB 1 . port=53
sv2 A 192.0.2.3
_x._tcp SRV 0 0 0 .
mxd MX 0 .
mxc MX 0 alias
alias CNAME www
mxw MX 0 q.wild
*.wild A 192.0.2.4
mxs MX 1 a1.sub
wc CNAME x.wild
kx KX 1 www
afs AFSDB 1 www
rt RT 1 www
na NAPTR 1 1 "a" "" "" www
nu NAPTR 1 1 "u" "" "!x!y!" .
lp LP 10 www
"""
    for i in range(95):  # BIND takes 100 records of one type
        text += f"big A 10.0.0.{i}\n"
    for i in range(40):
        text += f"mid A 10.0.1.{i}\n"
    for i in range(13):
        text += f"sub NS a{i}.sub\na{i}.sub A 10.1.1.{i}\n"
        text += f"a{i}.sub AAAA 2001:db8::{i + 1}\nsis NS a{i}.sub\n"
    return text


QUESTIONS = [
    ("big", "A"), ("mid", "A"), ("sub", "A"), ("x.sub", "A"), ("sis", "A"),
    ("al", "HTTPS"), ("sv", "SVCB"), ("sv2", "SVCB"), ("www", "HTTPS"),
    ("_x._tcp", "SRV"), ("mxd", "MX"), ("mxc", "MX"), ("mxw", "MX"),
    ("mxs", "MX"), ("wc", "A"), ("kx", "KX"), ("afs", "AFSDB"), ("rt", "RT"),
    ("na", "NAPTR"), ("nu", "NAPTR"), ("lp", "LP"), ("@", "NS"), ("@", "SOA")]


def make(name, kind, cls="IN", flags=0, **options):
    options.setdefault("use_edns", 0)
    message = dns.message.make_query(name, kind, cls, **options)
    message.flags = flags
    message.id = 7
    return message


def _sizes():
    for owner, kind in QUESTIONS:
        name = ZONE if owner == "@" else f"{owner}.{ZONE}"
        yield f"{owner} {kind}", make(name, kind)
        yield f"{owner} {kind} without EDNS", make(name, kind, use_edns=-1)
        for size in (0, 512, 600, 1000, 4096):
            yield (f"{owner} {kind} {size}",
                   make(name, kind, payload=size, want_dnssec=True))


def _headers():
    for kind in TYPES:
        for name in (ZONE, f"www.{ZONE}", "nowhere.invalid."):
            yield f"{name} {kind}", make(name, kind)
    for cls in ("CH", "HS", "ANY", "NONE", "CLASS7"):
        for name in (ZONE, "x.y."):
            yield f"{name} {cls}", make(name, "TXT", cls)
    for flags in (0x0100, 0x0010, 0x0020, 0x0040, 0x0080, 0x0200, 0x0400,
                  0x07f0, 5):
        for name in (f"www.{ZONE}", f"no.{ZONE}", "nowhere.invalid."):
            yield f"{name} flags {flags:x}", make(name, "A", flags=flags)
    for opcode in range(1, 16):
        message = make(f"www.{ZONE}", "A")
        message.set_opcode(opcode)
        yield f"opcode {opcode}", message
    for code, data in OPTIONS.items():
        yield f"option {code}", make(
            f"www.{ZONE}", "A",
            options=[dns.edns.GenericOption(code, data)])


def _malformed():
    whole = make(f"www.{ZONE}", "A").to_wire()
    question, opt = whole[12:-11], whole[-11:]
    header = whole[:12]

    def counts(*numbers):
        return header[:4] + b"".join(n.to_bytes(2, "big") for n in numbers)

    yield "EDNS version 1", header + question + opt[:6] + b"\1" + opt[7:]
    yield "EDNS flags", header + question + opt[:7] + b"\x12\x34" + opt[9:]
    yield "two OPT", counts(1, 0, 0, 2) + question + opt + opt
    yield "OPT of a name", header + question + b"\1a" + opt
    yield "no question", counts(0, 0, 0, 1) + opt
    yield "two questions", counts(2, 0, 0, 1) + question * 2 + opt
    yield "cut short", whole[:20]
    yield "octets behind", whole + b"xx"
    yield "header alone", header
    yield "half a header", header[:7]
    yield "a response", b"\0\7\x80\0" + whole[4:]


def odd_queries():
    """(what it is, wire) pairs."""
    for made in (_sizes(), _headers()):
        for what, message in made:
            yield what, message.to_wire()
    yield from _malformed()
