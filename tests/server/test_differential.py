"""Our answers beside those of NSD, Knot and BIND over generated zones.  Where
the three agree with each other and not with us, the test fails.  Each query is
asked twice: a server with the express lane and one without give the same octets.

Sections are compared as sets.  What is left out on purpose:

- ANY over UDP: one set is answered (RFC 8482 section 4.1); which one is free.
- A name that a wildcard matches which is itself an empty non-terminal: we add
  the NSEC that shows that the wildcard has no records (RFC 4035 section
  3.1.3.4), without which the answer cannot be validated.
"""

import os
import random

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

import odd_queries
from nasty_zones import make_zones, names_to_ask
from peers import Peer, start_peers
from resolua_server import have
from service_conf import resolua
from signing import sign

TYPES = ["A", "AAAA", "NS", "SOA", "MX", "TXT", "CNAME", "DNAME", "DS",
         "SRV", "ANY", "PTR", "NAPTR", "TYPE65280", "NSEC", "CAA", "DNSKEY"]
SEEDS = range(1, 1 + int(os.environ.get("RESOLUA_DIFFERENTIAL_SEEDS", "4")))
QUERIES = int(os.environ.get("RESOLUA_DIFFERENTIAL_QUERIES", "3000"))

pytestmark = pytest.mark.skipif(
    not all(have(p) for p in ("nsd", "knotd", "named", "dnssec-signzone")),
    reason="needs nsd, knot, bind9 and bind9-utils")


def section(rrsets):
    return sorted({
        f"{r.name.to_text().lower()} {r.ttl} "
        f"{dns.rdatatype.to_text(r.rdtype)} {rdata.to_text().lower()}"
        for r in rrsets for rdata in r})


def view(wire):
    """What is compared of an answer: name of the part -> value."""
    if wire is None:
        return {"rcode": "none"}
    try:
        message = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError):  # other opcodes
        return {"header": wire[2:12].hex()}
    return {
        "rcode": dns.rcode.to_text(message.rcode()),
        "flags": dns.flags.to_text(message.flags),
        "question": [str(q) for q in message.question],
        "answer": section(message.answer),
        "authority": section(message.authority),
        "additional": section(message.additional),
        "edns": message.edns,
        "do": message.ednsflags,
    }


def make_query(name, kind, how, identity):
    message = dns.message.make_query(
        name, kind, use_edns=-1 if how == "plain" else 0,
        want_dnssec=how == "do", payload=1232)
    message.flags = 0
    message.id = identity
    return message.to_wire()


def differences(ours, theirs):
    """Parts that all peers have alike and we have otherwise."""
    return [part for part in theirs[0]
            if all(part in t and t[part] == theirs[0].get(part)
                   for t in theirs)
            and ours.get(part) != theirs[0][part]]


def agree(theirs):
    """The peers have one opinion on what matters most."""
    return all(t.get(part) == theirs[0].get(part) for t in theirs
               for part in ("rcode", "answer"))


def describe(name, kind, how, parts, ours, theirs):
    lines = [f"{name} {kind} ({how}): {', '.join(parts)}"]
    for part in parts:
        lines.append(f"  ours   {part}: {ours.get(part)}")
        lines.append(f"  peers' {part}: {theirs[0].get(part)}")
    return "\n".join(lines)


def adds_only_nsec(ours, theirs):
    more = set(ours["authority"]) - set(theirs[0]["authority"])
    less = set(theirs[0]["authority"]) - set(ours["authority"])
    return (not less and not ours["answer"] and ours["rcode"] == "NOERROR"
            and all(" NSEC " in r or " RRSIG nsec " in r for r in more))


def is_left_out(kind, how, part, ours, theirs):
    if kind == "ANY" and how != "tcp":
        return part in ("answer", "additional")
    return part == "authority" and adds_only_nsec(ours, theirs)


CONF = """
dns_store lmdb path=@FOLDER@/data;

stream {
    server {
        listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
    }
    server {
        listen 127.0.0.1:@SESSIONS@ udp;
        listen 127.0.0.1:@SESSIONS@;
        dns_serve on;
        dns_express off;
    }
}
"""


class Resolua:
    """A server that holds the zones, asked both ways."""

    def __init__(self, start, folder, texts):
        server = start(CONF, run=False)
        folder.mkdir()
        for number, (apex, text) in enumerate(texts.items()):
            (folder / f"{number}.zone").write_text(f"$ORIGIN {apex}\n{text}")
        resolua(server, "zone", "load", folder)
        server.start()
        self.lane = Peer("lane", server.port("DNS"))
        self.sessions = Peer("sessions", server.port("SESSIONS"))

    def ask(self, wire, tcp=False):
        answer = self.lane.ask(wire, tcp)
        assert self.sessions.ask(wire, tcp) == answer, wire.hex()
        return answer


@pytest.fixture(params=["unsigned", "nsec", "nsec3", "nsec3-optout"])
def servers(request, tmp_path, start):
    zones = {}
    for seed in SEEDS:
        zones.update(make_zones(seed))
    texts = {apex: zone.text() for apex, zone in zones.items()}
    if request.param != "unsigned":
        texts = sign(tmp_path / "signing", texts, request.param)
    ours = Resolua(start, tmp_path / "zones", texts)
    peers = start_peers(tmp_path, texts)
    yield zones, ours, peers
    for peer in peers:
        peer.stop()


def test_agrees_with_what_the_peers_agree_on(servers):
    zones, resolua_server, peers = servers
    rng = random.Random(1)
    names = names_to_ask(zones, rng)
    found, agreed = [], 0
    for i in range(QUERIES):
        name = names[i % len(names)]
        kind = rng.choice(TYPES)
        how = rng.choice(["plain", "edns", "do", "tcp"])
        wire = make_query(name, kind, how, rng.randrange(65536))
        theirs = [view(peer.ask(wire, how == "tcp")) for peer in peers]
        ours = view(resolua_server.ask(wire, how == "tcp"))
        agreed += agree(theirs)
        parts = [part for part in differences(ours, theirs)
                 if not is_left_out(kind, how, part, ours, theirs)]
        if parts:
            found.append(describe(name, kind, how, parts, ours, theirs))
    print(f"{QUERIES} queries, the peers agree on {agreed}, "
          f"{len(found)} differences")
    assert agreed > QUERIES * 0.8  # or there is no measure
    assert not found, (f"{len(found)} of {QUERIES}:\n" + "\n".join(found[:20]))


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_agrees_on_odd_queries(tmp_path, start, tcp):
    texts = {odd_queries.ZONE: odd_queries.zone_text()}
    resolua_server = Resolua(start, tmp_path / "zones", texts)
    peers = start_peers(tmp_path, texts)
    found = []
    for what, wire in odd_queries.odd_queries():
        if tcp and len(wire) < 12:
            continue  # the peers close the connection
        theirs = [view(peer.ask(wire, tcp)) for peer in peers]
        ours = view(resolua_server.ask(wire, tcp))
        parts = differences(ours, theirs)
        if parts:
            found.append(describe(what, "", "tcp" if tcp else "udp", parts,
                                  ours, theirs))
    for peer in peers:
        peer.stop()
    assert not found, f"{len(found)}:\n" + "\n".join(found)
