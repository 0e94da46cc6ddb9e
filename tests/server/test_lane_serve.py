"""dns_serve over UDP: the express lane and the session path."""

import itertools
import random
import socket

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from resolua_server import HOST, free_port, wait_for
from stream_conf import start_dns

NAMES = ["example.test", "WWW.example.test", "nothing.example.test",
         "a.b.any.example.test", "www.child.example.test", "ftp.example.test",
         "blog.example.test", "elsewhere.test", "."]
TYPES = ["A", "AAAA", "MX", "TXT", "ANY", "NS", "SOA", "DS", "AXFR", "CNAME"]
EDNS = [{}, {"use_edns": 0}, {"want_dnssec": True}, {"payload": 4096},
        {"payload": 100}, {"use_edns": 1}]


def packets():
    """Queries good and bad, each with its own id."""
    numbers = itertools.count(1)
    for name, qtype, options in itertools.product(NAMES, TYPES, EDNS):
        yield dns.message.make_query(name, qtype, id=next(numbers),
                                     **options).to_wire()
    query = dns.message.make_query("www.example.test", "A", id=1).to_wire()
    for opcode in range(16):
        yield query[:2] + bytes([opcode << 3, 0]) + query[4:]
    for size in range(12, len(query)):
        yield query[:size]
    for name in ("version.bind", "hostname.bind", "id.server", "x.test"):
        yield dns.message.make_query(name, "TXT", rdclass="CH",
                                     id=7).to_wire()


def test_lane_and_sessions_give_the_same_octets(start):
    both = []
    for express in ("on", "off"):
        server = start_dns(start, f"dns_express {express}; dns_nsid lab1; "
                           "dns_chaos 'version 1' host.test;")
        both.append([server.send_raw(packet) for packet in packets()])

    assert None not in both[0]
    assert both[0] == both[1]


def test_answers_from_the_store(start):
    server = start_dns(start)
    response = server.query("www.example.test", "A")

    assert response.flags & dns.flags.AA
    assert {r.to_text() for r in response.answer[0]} == {
        "192.0.2.80", "192.0.2.81"}
    assert server.query("elsewhere.test").rcode() == dns.rcode.REFUSED


def test_replies_are_not_answered(start):
    server = start_dns(start)
    query = bytearray(dns.message.make_query("www.example.test", "A").to_wire())
    query[2] |= 0x80

    assert server.send_raw(bytes(query), timeout=0.2) is None
    assert server.send_raw(b"", timeout=0.2) is None
    assert server.send_raw(b"12345678901", timeout=0.2) is None


@pytest.mark.parametrize("listen", ["", "reuseport"])
@pytest.mark.parametrize("workers, events", [
    (1, ""), (2, ""), (2, "accept_mutex on;")])
def test_every_query_is_answered_once(start, listen, workers, events):
    server = start_dns(start, listen=listen, workers=workers, events=events)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        s.settimeout(5)
        s.connect((HOST, server.port("DNS")))
        for base in range(0, 2000, 100):
            for i in range(base, base + 100):
                s.send(dns.message.make_query("mail.example.test", "A",
                                              id=i).to_wire())
            got = [int.from_bytes(s.recv(4096)[:2], "big")
                   for _ in range(100)]
            assert sorted(got) == list(range(base, base + 100))
        s.settimeout(0.1)
        with pytest.raises(TimeoutError):
            s.recv(4096)


@pytest.mark.parametrize("express", ["on", "off"])
@pytest.mark.parametrize("listen", ["0.0.0.0:%d", "[::]:%d ipv6only=off"])
def test_the_reply_leaves_from_the_address_that_was_asked(start, listen,
                                                          express):
    port = free_port()
    server = start_dns(start, f"listen {listen % port} udp; "
                       f"dns_express {express};")
    query = dns.message.make_query("mail.example.test", "A")
    targets = ["127.0.0.1", "127.1.2.3", "127.255.255.254"]
    for target in targets + (["::1"] if "[" in listen else []):
        # dnspython refuses a reply from another address.
        response = dns.query.udp(query, target, port=port, timeout=5)
        assert len(response.answer) == 1
    assert server.worker_pids()


def test_a_wildcard_and_an_address_of_the_same_port(start):
    port = free_port()
    server = start_dns(
        start, f"listen *:{port} udp; dns_nsid everywhere;",
        more=f"server {{ listen 127.0.0.5:{port} udp; dns_serve on; "
        "dns_nsid five; }")
    for target, nsid in (("127.0.0.5", b"five"), ("127.0.0.6", b"everywhere")):
        query = dns.message.make_query(
            "mail.example.test", "A",
            options=[dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")])
        response = dns.query.udp(query, target, port=port, timeout=5)
        assert nsid in response.to_wire()
    assert server.worker_pids()


def test_access_rules_hold(start):
    server = start_dns(start, "allow 127.0.0.1; deny all;")
    port = server.port("DNS")
    query = dns.message.make_query("mail.example.test", "A").to_wire()
    assert server.query("mail.example.test").answer

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.77", 0))
        s.settimeout(0.3)
        s.sendto(query, (HOST, port))
        with pytest.raises(TimeoutError):
            s.recv(4096)


def test_the_access_log_has_every_query(start):
    server = start_dns(
        start, "access_log @FOLDER@/access.log plain;",
        before="log_format plain '$remote_addr $protocol $status';")
    for _ in range(5):
        server.query("mail.example.test")
    log = server.folder / "access.log"
    wait_for(lambda: log.read_text().count("127.0.0.1 UDP 200") == 5)


def test_cookies(start):
    server = start_dns(
        start, "dns_cookie_secret 00112233445566778899aabbccddeeff;")
    client = bytes(range(8))
    query = dns.message.make_query(
        "mail.example.test", "A",
        options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, client)])
    response = server.exchange(query)

    cookies = [o.to_wire() for o in response.options
               if o.otype == dns.edns.OptionType.COOKIE]
    assert len(cookies) == 1
    assert cookies[0][:8] == client and len(cookies[0]) == 24


def test_large_answers_are_cut_at_the_limit(start, tmp_path):
    zone = tmp_path / "big.zone"
    zone.write_text("$ORIGIN big.test.\n@ 60 SOA ns root 1 2 3 4 5\n"
                    "@ 60 NS ns\nns 60 A 192.0.2.1\n"
                    + "".join(f"all 60 A 10.0.{i // 250}.{i % 250}\n"
                              for i in range(400)))
    server = start_dns(start, "dns_udp_size 2000;", zones=(zone,))
    for payload, limit in ((None, 512), (1000, 1000), (4096, 2000)):
        options = {"payload": payload} if payload else {}
        response = server.query("all.big.test", "A", **options)
        assert response.flags & dns.flags.TC
        assert len(response.to_wire()) <= limit
    response = server.query("all.big.test", "A", tcp=True)
    assert len(response.answer[0]) == 400


@pytest.mark.parametrize("directive, reason", [
    ("dns_serve maybe;", 'invalid value "maybe" in "dns_serve"'),
    ("dns_udp_size 100;", 'dns_udp_size "100"'),
    ("dns_forward nonsense;", 'dns_forward "nonsense"'),
    ("dns_forward 192.0.2.1:99999;", 'dns_forward "192.0.2.1:99999"'),
    ("dns_nsid 0xabc;", 'dns_nsid "0xabc"'),
    ("dns_cookie_secret 1234;", "dns_cookie_secret takes 32"),
    ("dns_express on; dns_express off;", '"dns_express" directive is dup'),
    ("dns_tcp_idle_timeout soon;", '"dns_tcp_idle_timeout" directive inv'),
])
def test_configuration_errors_say_what_is_wrong(start, directive, reason):
    server = start("stream { server { listen 127.0.0.1:@DNS@ udp; "
                   f"dns_serve on; {directive} }} }}".replace(
                       "dns_serve on; dns_serve", "dns_serve"), run=False)
    server.allow_log("emerg")
    code, output = server.test_configuration()
    assert code == 1
    assert reason in output


@pytest.mark.parametrize("directive, reason", [
    ("dns_store lmdb;", "path=DIR"),
    ("dns_store lmdb path=a extra=b;", "path=DIR"),
    ("dns_store lmdb path=@FOLDER@/a; dns_store lmdb path=@FOLDER@/b;",
     "one already"),
    ("dns_store oracle;", 'dns_store "oracle"'),
    ("dns_store mysql://h/d nonsense;", 'dns_store "nonsense"'),
    ("dns_store lmdb path=/proc/none;", '"/proc/none"'),
    ("dns_cache huge;", 'dns_cache "huge"'),
    ("dns_cache_ttl 60 30;", 'dns_cache_ttl "30"'),
])
def test_main_configuration_errors(start, directive, reason):
    server = start(directive, run=False)
    server.allow_log("emerg")
    code, output = server.test_configuration()
    assert code == 1
    assert reason in output


def test_garbage_does_not_hurt(start):
    server = start_dns(start)
    pids = server.worker_pids()
    seed = random.randrange(2 ** 32)
    print("seed", seed)
    rng = random.Random(seed)
    base = list(packets())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST, server.port("DNS")))
        for _ in range(20000):
            packet = bytearray(rng.choice(base))
            for _ in range(rng.randint(0, 4)):
                packet[rng.randrange(len(packet))] = rng.randrange(256)
            s.send(packet)
    wait_for(lambda: server.query("mail.example.test", timeout=1).answer)
    assert server.worker_pids() == pids
