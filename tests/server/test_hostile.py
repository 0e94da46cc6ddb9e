"""Random and mutated datagrams: the worker lives and does not grow."""

import random
import socket
import time

import dns.message

from resolua_server import HOST
from service_conf import start_service

COUNT = 100_000
NAMES = ["www.example.test", "a.any.example.test", "nothing.example.test",
         "www.child.example.test", "example.test", "elsewhere.test", "."]


def seeds():
    out = []
    for name in NAMES:
        for qtype in ("A", "MX", "ANY", "DS", "TXT", "AXFR"):
            for options in ({}, {"want_dnssec": True}, {"payload": 4096}):
                out.append(dns.message.make_query(name, qtype,
                                                  **options).to_wire())
    return out


def mutate(rng, packet):
    packet = bytearray(packet)
    for _ in range(rng.randint(1, 6)):
        kind = rng.randrange(4)
        at = rng.randrange(len(packet)) if packet else 0
        if kind == 0 and packet:
            packet[at] = rng.randrange(256)
        elif kind == 1:
            del packet[at:]
        elif kind == 2:
            packet[at:at] = rng.randbytes(rng.randint(1, 40))
        elif packet:
            packet[at] ^= 1 << rng.randrange(8)
    return bytes(packet)


def datagrams(rng, count):
    base = seeds()
    for _ in range(count):
        if rng.random() < 0.15:
            yield rng.randbytes(rng.randint(0, 600))
        else:
            yield mutate(rng, rng.choice(base))


def check_reply(reply):
    assert len(reply) >= 12
    assert reply[2] & 0x80, "a reply is a response"


def flood(server, rng, count):
    """Sends count datagrams, reads what comes; the number of replies."""
    replies = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST, server.port("DNS")))
        s.setblocking(False)
        for i, packet in enumerate(datagrams(rng, count)):
            try:
                s.send(packet)
            except OSError:
                pass
            if i % 16 == 0:
                replies += drain(s)
        time.sleep(0.2)
        replies += drain(s)
    return replies


def drain(s):
    count = 0
    while True:
        try:
            reply = s.recv(65535)
        except BlockingIOError:
            return count
        check_reply(reply)
        count += 1


def test_hundred_thousand_datagrams(start):
    server = start_service(start)
    pids = server.worker_pids()
    seed = random.randrange(2 ** 32)
    print("seed", seed)
    rng = random.Random(seed)

    flood(server, rng, COUNT // 5)
    before = server.workers_memory()
    replies = flood(server, rng, COUNT)
    after = server.workers_memory()

    assert replies > COUNT // 20
    assert server.worker_pids() == pids
    assert after - before < 2 * 1024 * 1024
    assert len(server.query("www.example.test").answer) == 1


def test_hostile_tcp_streams(start):
    server = start_service(start)
    pids = server.worker_pids()
    rng = random.Random(7)

    for packet in datagrams(rng, 1500):
        with socket.create_connection((HOST, server.port("DNS")), 5) as s:
            prefix = len(packet).to_bytes(2, "big")
            if rng.random() < 0.2:
                prefix = rng.randbytes(2)
            try:
                s.sendall(prefix + packet)
            except OSError:
                pass

    assert server.worker_pids() == pids
    assert len(server.query("www.example.test", tcp=True).answer) == 1


def test_hostile_http(start):
    server = start_service(start)
    pids = server.worker_pids()
    rng = random.Random(9)
    paths = ["/dns?domain=", "/dns/zones/", "/dns/zones/example.test/",
             "/dns/zones/example.test/www/A", "/dns?type="]

    for _ in range(1500):
        method = rng.choice(["GET", "PUT", "DELETE", "POST"])
        junk = "".join(rng.choice("abz.%/\\*@-_0129") for _ in range(
            rng.randint(0, 30)))
        body = rng.randbytes(rng.randint(0, 200))
        with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
            s.sendall(f"{method} {rng.choice(paths)}{junk} HTTP/1.1\r\n"
                      "Host: localhost\r\nConnection: close\r\nContent-Length: "
                      f"{len(body)}\r\n\r\n".encode() + body)
            reply = s.makefile("rb").read()
        assert reply.startswith(b"HTTP/1.1 ")
        assert int(reply.split(b" ")[1]) not in (500, 502, 503)

    assert server.worker_pids() == pids
