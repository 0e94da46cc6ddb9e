"""Zones that were signed elsewhere give the same answers, proofs included,
from live MySQL and Redis as from the embedded store."""

import random
import re
import socket

import dns.flags
import dns.message
import dns.rcode
import pytest

from resolua_server import HOST, have, wait_for
from service_conf import resolua, service
from signing import sign
from stores import open_zones, resolua_store

pytestmark = pytest.mark.skipif(not have("dnssec-signzone"),
                                reason="needs bind9-utils")

# @ is the zone, OTHER another signed one, PLAIN one without signatures.
ZONE = r"""$TTL 3600
@ SOA ns hm 1 7200 3600 1209600 300
@ NS ns
@ MX 10 mail
@ TXT "apex"
ns A 192.0.2.53
ns AAAA 2001:db8::53
mail A 192.0.2.25
www A 192.0.2.1
www TXT "one" "two"
WEB.Upper A 192.0.2.2
a\.b A 192.0.2.3
\001 TXT low
alias CNAME www
first CNAME alias
loop CNAME loop2
loop2 CNAME loop
dangling CNAME absent
dangling2 CNAME x.ent
out CNAME www.OTHER
outwild CNAME x.w.OTHER
outabsent CNAME absent.OTHER
outplain CNAME www.PLAIN
outcut CNAME x.cut.OTHER
a.b.ent A 192.0.2.4
*.w TXT x
*.w A 192.0.2.5
a.w A 192.0.2.6
*.cw CNAME www
*.cwild CNAME x.w
*.cout CNAME www.OTHER
*.cabsent CNAME absent
*.e.ent2 TXT x
cut NS ns.cut
cut NS ns.OTHER
ns.cut A 192.0.2.7
a.ns.cut A 192.0.2.8
secure NS ns.secure
secure DS 1 13 2 abababababababababababababababababababababababababababababababab
ns.secure A 192.0.2.9
itself NS itself
itself A 192.0.2.10
low.deep NS ns
d DNAME www
dout DNAME OTHER
0123456789abcdefghijklmnopqrstuv A 192.0.2.11
""" + "".join(f"h{i} A 192.0.2.{i}\n" for i in range(1, 12))
PLAIN = """$TTL 3600
@ SOA ns hm 1 7200 3600 1209600 300
@ NS ns
www A 192.0.2.1
in CNAME absent.nsec.test.
*.in CNAME x.w.nsec3.test.
"""
WAYS = {"nsec.test": "nsec", "nsec3.test": "nsec3",
        "plain3.test": "nsec3-plain", "optout.test": "nsec3-optout"}

TYPES = ("A", "AAAA", "TXT", "DS", "NS", "MX", "NSEC", "DNSKEY", "CNAME", "ANY")
HASH = ("A", "NSEC3")
ABSENT = ("A", "DS")


def zone_texts(folder, zone=ZONE):
    apexes = list(WAYS)
    texts = {"plain.test": PLAIN}
    for i, apex in enumerate(apexes):
        text = zone.replace("OTHER", apexes[(i + 1) % len(apexes)] + ".")
        text = text.replace("PLAIN", "plain.test.")
        texts |= sign(folder / apex, {apex: text}, WAYS[apex])
    return texts


def owners(text):
    return sorted({line.split()[0] for line in text.splitlines()
                   if re.match(r"[^;\s$]", line)})


def neighbours(name):
    """Names that are absent, as a rule, right around one that is there."""
    label, rest = re.match(r"((?:\\.|[^.\\])+)\.(.*)", name).groups()
    return [f"x.{name}", f"x.y.{name}", f"{label}0.{rest}", f"!{label}.{rest}"]


def questions(texts):
    for apex, text in texts.items():
        names = owners(text) if apex != "plain.test" else [
            f"{label}.{apex}." for label in ("in", "x.in", "absent", "www")]
        for name in names:
            is_hash = re.match(r"[0-9A-Va-v]{32}\.", name)
            yield from ((name, kind) for kind in (HASH if is_hash else TYPES))
            if name != apex + ".":
                yield from ((other, kind) for other in neighbours(name)
                            for kind in ABSENT)
        yield from ((f"{name}.{apex}.", kind) for kind in ABSENT for name in (
            "ent", "b.ent", "x.b.ent", "deep", "upper", "absent", "zzz",
            "x.x.x.x", "!", "e.ent2", "x.e.ent2", r"\000", r"\255"))


def ask_all(port, asked, want_dnssec=True):
    """(name, type) -> the answer's octets; in a window of 32 at once."""
    wires = {}
    for number, (name, kind) in enumerate(dict.fromkeys(asked)):
        query = dns.message.make_query(name, kind, want_dnssec=want_dnssec,
                                       payload=4096)
        query.id = number
        wires[number] = ((name, kind), query.to_wire())
    waiting, flying, answers = list(wires), {}, {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST, port))
        s.settimeout(10)
        while waiting or flying:
            while waiting and len(flying) < 32:
                number = waiting.pop()
                flying[number] = True
                s.send(wires[number][1])
            wire = s.recv(65535)
            number = int.from_bytes(wire[:2], "big")
            del flying[number]
            answers[wires[number][0]] = wire
    return answers


def view(wire, has_ttl=True):
    message = dns.message.from_wire(wire)
    return [dns.rcode.to_text(message.rcode()), dns.flags.to_text(message.flags)] + [
        sorted(f"{s.name} {s.ttl if has_ttl else 0} {r.rdtype.name} {r}" for s in part for r in s)
        for part in (message.answer, message.authority, message.additional)]


def differences(wanted, got, has_ttl=True):
    """As text; empty: there are none."""
    out = []
    for question, wire in wanted.items():
        if got[question] == wire:
            continue
        for mine, theirs in zip(view(wire, has_ttl),
                                view(got[question], has_ttl)):
            if mine != theirs:
                out.append(f"{question}: {mine} is {theirs}")
    return out


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return zone_texts(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module", params=["mysql", "redis"])
def live(request, tmp_path_factory, texts):
    """The zones in a database."""
    folder = tmp_path_factory.mktemp(request.param)
    zones = open_zones(request.param, folder)
    for apex, text in texts.items():
        (folder / f"{apex}.zone").write_text(text)
        resolua_store(zones.url(), "zone", "load", folder / f"{apex}.zone")
    yield zones
    zones.db.stop()


@pytest.fixture
def embedded(start, texts, tmp_path):
    server = start(service(), run=False)
    for apex, text in texts.items():
        (tmp_path / f"{apex}.zone").write_text(text)
        resolua(server, "zone", "load", tmp_path / f"{apex}.zone")
    return server.start()


def serve(start, zones, options="", more=""):
    return start(service().replace(
        "dns_store lmdb path=@FOLDER@/data;",
        f"dns_store {zones.url()} {options};{more}"))


def proof_count(wires, kind):
    return sum(f" {kind} " in line for wire in wires for line in view(wire)[3])


def test_answers_are_those_of_the_embedded_store(start, live, embedded, texts):
    server = serve(start, live)
    asked = list(questions(texts))
    for dnssec in (True, False):
        wanted = ask_all(embedded.port("DNS"), asked, dnssec)
        got = ask_all(server.port("DNS"), asked, dnssec)
        assert differences(wanted, got) == []
        some = random.Random(1).sample(list(wanted.values()), 300)
        assert (proof_count(some, "NSEC") > 50) == dnssec
        assert (proof_count(some, "NSEC3") > 200) == dnssec


# Two states of a zone: names that come, go, and get and lose types.
BEFORE = """$TTL 3600
@ SOA ns hm 1 7200 3600 1209600 300
@ NS ns
ns A 192.0.2.1
b A 192.0.2.2
d.d A 192.0.2.3
m A 192.0.2.4
cut NS ns.cut
ns.cut A 192.0.2.5
*.w A 192.0.2.6
"""
AFTER = """$TTL 3600
@ SOA ns hm 2 7200 3600 1209600 300
@ NS ns
ns A 192.0.2.1
b AAAA 2001:db8::2
c A 192.0.2.7
m.m A 192.0.2.4
cut NS ns.cut
cut DS 1 13 2 abababababababababababababababababababababababababababababababab
ns.cut A 192.0.2.5
*.v A 192.0.2.6
zz.w A 192.0.2.6
"""
# What another program adds without a signature or a new serial.
UNSIGNED = [("a.a.cut", "192.0.2.8"), ("zzz", "192.0.2.9")]


# How long the order of names is good for, and whether answers are kept.
CONFIGURED = {"cap": ("", ""), "no-cap": ("ttl_cap=0", ""),
              "cache": ("poll=50ms ttl_cap=1", "dns_cache 4m;")}


def load_into(url, folder, apex, text):
    (folder / f"{apex}.zone").write_text(text)
    resolua_store(url, "zone", "load", folder / f"{apex}.zone")


@pytest.mark.parametrize("way", ["nsec", "nsec3"])
@pytest.mark.parametrize("kept", CONFIGURED)
def test_proofs_follow_the_changes_of_others(start, live, tmp_path, way, kept):
    options, more = CONFIGURED[kept]
    apex = f"{way}.{kept}.test"
    states = [sign(tmp_path / str(i), {apex: text}, way)[apex]
              for i, text in enumerate((BEFORE, AFTER))]
    states.append(states[-1] + "".join(
        f"{name}.{apex}. 60 IN A {address}\n" for name, address in UNSIGNED))
    asked = list(questions({apex: "\n".join(states)}))
    server, embedded = None, start(service(), run=False)
    for number, state in enumerate(states):
        if number < 2:
            load_into(live.url(), tmp_path, apex, state)
        else:
            for name, address in UNSIGNED:
                live.set(apex, name, "A", 60, address)
        (tmp_path / f"{apex}.zone").write_text(state)
        resolua(embedded, "zone", "load", tmp_path / f"{apex}.zone")
        if server is None:
            server = serve(start, live, options, more)
            embedded.start()
        wanted = ask_all(embedded.port("DNS"), asked)

        def found():
            return differences(wanted, ask_all(server.port("DNS"), asked),
                               has_ttl=not more)

        if more:  # until the cache has heard of it
            wait_for(lambda: found() == [], 30)
        assert found() == []


def test_a_zone_of_too_many_names_has_no_proofs_and_is_named(
        start, live, tmp_path):
    text = sign(tmp_path / "keys", {"big.test": BEFORE}, "nsec")["big.test"]
    load_into(live.url(), tmp_path, "big.test", text)
    live.fill("big.test", "cut", 100000)
    server = serve(start, live, "timeout=60s")
    server.allow_log("cannot be listed")
    for name in ("absent", "other", "third"):
        answer = server.query(f"{name}.big.test", want_dnssec=True, timeout=60)
        assert answer.rcode() == dns.rcode.NXDOMAIN
        assert proof_count([answer.to_wire()], "NSEC") == 0
    log = server.log()
    assert log.count("the signed zone big.test. cannot be listed, for there "
                     "are more than 100000") == 1
    live.drop("big.test")
