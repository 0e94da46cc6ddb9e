"""dns_serve over TCP (RFC 7766)."""

import random
import socket
import ssl
import subprocess
import time

import dns.message
import dns.query
import dns.rcode
import pytest

from resolua_server import HOST, wait_for
from stream_conf import start_dns


def query(number, name="mail.example.test", qtype="A"):
    return dns.message.make_query(name, qtype, id=number).to_wire()


def framed(packet):
    return len(packet).to_bytes(2, "big") + packet


def connect(server, timeout=5):
    s = socket.create_connection((HOST, server.port("DNS")), timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_exactly(s, size):
    out = b""
    while len(out) < size:
        more = s.recv(size - len(out))
        if not more:
            raise EOFError
        out += more
    return out


def read_message(s):
    return read_exactly(s, int.from_bytes(read_exactly(s, 2), "big"))


def test_many_queries_in_one_segment(start):
    server = start_dns(start)
    with connect(server) as s:
        s.sendall(b"".join(framed(query(i)) for i in range(500)))
        ids = [int.from_bytes(read_message(s)[:2], "big") for _ in range(500)]
    assert ids == list(range(500))


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_queries_in_pieces(start, piece):
    server = start_dns(start)
    stream = framed(query(1)) + framed(query(2)) + framed(query(3))
    with connect(server) as s:
        for at in range(0, len(stream), piece):
            s.sendall(stream[at:at + piece])
            time.sleep(0.001)
        assert [read_message(s)[1] for _ in range(3)] == [1, 2, 3]


def test_the_answer_is_that_of_udp(start):
    server = start_dns(start)
    for name in ("www.example.test", "nothing.example.test", "else.test"):
        packet = query(7, name)
        with connect(server) as s:
            s.sendall(framed(packet))
            assert read_message(s) == server.send_raw(packet)


def test_after_half_close_the_answers_come(start):
    server = start_dns(start)
    with connect(server) as s:
        s.sendall(b"".join(framed(query(i)) for i in range(10)))
        s.shutdown(socket.SHUT_WR)
        assert [read_message(s)[1] for _ in range(10)] == list(range(10))
        assert s.recv(1) == b""


def test_messages_that_are_none(start):
    server = start_dns(start)
    with connect(server) as s:
        s.sendall(framed(b"") + framed(b"x" * 11) + framed(query(5)))
        assert read_message(s)[1] == 5
    with connect(server) as s:
        s.sendall(framed(bytes([0, 9]) + bytes(65533)) + framed(query(6)))
        formerr = read_message(s)
        assert formerr[1] == 9 and formerr[3] & 15 == dns.rcode.FORMERR
        assert read_message(s)[1] == 6


def test_a_query_of_64_kib(start):
    server = start_dns(start)
    packet = query(3)
    with connect(server) as s:
        s.sendall(framed(packet + bytes(65535 - len(packet))))
        assert read_message(s)[1] == 3


def test_idle_connections_are_closed(start):
    server = start_dns(start, "dns_tcp_idle_timeout 200ms;")
    with connect(server) as s:
        begin = time.monotonic()
        s.sendall(framed(query(1)))
        read_message(s)
        assert s.recv(1) == b""
        assert 0.15 < time.monotonic() - begin < 2
    with connect(server) as s:  # a query that never ends
        s.sendall(b"\0")
        assert s.recv(1) == b""


def is_let_in(server):
    try:
        return len(server.query("mail.example.test", tcp=True).answer) == 1
    except (ConnectionError, EOFError):
        return False  # the server has not yet seen that another has left


def test_limit_per_client(start):
    server = start_dns(start, "dns_tcp_max_per_client 3;")
    open_ones = [connect(server) for _ in range(3)]
    for s in open_ones:
        s.sendall(framed(query(1)))
        read_message(s)
    with connect(server) as s:
        assert s.recv(1) == b""
    open_ones.pop().close()
    wait_for(lambda: is_let_in(server))
    for s in open_ones:
        s.sendall(framed(query(2)))
        assert read_message(s)[1] == 2
        s.close()


def big_zone(tmp_path):
    zone = tmp_path / "big.zone"
    zone.write_text("$ORIGIN big.test.\n@ 60 SOA ns root 1 2 3 4 5\n"
                    "@ 60 NS ns\nns 60 A 192.0.2.1\n"
                    + "".join(f"all 60 A 10.{i // 250}.{i % 250}.1\n"
                              for i in range(3900)))
    return zone


def test_a_client_that_does_not_read_costs_little(start, tmp_path):
    server = start_dns(start, "dns_tcp_idle_timeout 1s;",
                       zones=(big_zone(tmp_path),))
    pid = server.worker_pids()[0]
    ask = framed(query(1, "all.big.test"))
    server.query("all.big.test", tcp=True)
    before = server.memory(pid)
    clients = [connect(server) for _ in range(20)]
    for s in clients:
        s.setblocking(False)
        try:
            for _ in range(50):
                s.send(ask * 100)
        except BlockingIOError:
            pass
    time.sleep(0.3)
    # At most a read and a write buffer for each.
    assert server.memory(pid) - before < 20 * (5 * 65537 + 65537) + 1_000_000
    clients[0].settimeout(5)
    for _ in range(300):
        assert len(read_message(clients[0])) > 60000
    for s in clients:
        s.close()


def test_slow_reader_gets_everything(start, tmp_path):
    server = start_dns(start, zones=(big_zone(tmp_path),))
    with connect(server) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(b"".join(framed(query(i, "all.big.test"))
                           for i in range(120)))
        time.sleep(0.3)
        ids = [int.from_bytes(read_message(s)[:2], "big") for _ in range(120)]
    assert ids == list(range(120))


def test_a_reload_does_not_cut_what_was_asked(start, tmp_path):
    server = start_dns(start, zones=(big_zone(tmp_path),))
    with connect(server) as s:
        s.sendall(b"".join(framed(query(i, "all.big.test"))
                           for i in range(200)))
        time.sleep(0.1)
        server.reload()
        ids = [int.from_bytes(read_message(s)[:2], "big") for _ in range(200)]
        assert ids == list(range(200))
        assert s.recv(1) == b""  # idle now, and the old worker ends


def test_random_streams(start):
    server = start_dns(start)
    pids = server.worker_pids()
    seed = random.randrange(2 ** 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(300):
        with connect(server) as s:
            for _ in range(rng.randint(1, 4)):
                packet = bytearray(query(rng.randrange(65536)))
                for _ in range(rng.randint(0, 3)):
                    packet[rng.randrange(len(packet))] = rng.randrange(256)
                data = framed(bytes(packet)) if rng.random() < .8 else packet
                try:
                    s.sendall(data)
                except OSError:
                    break
    assert server.query("mail.example.test", tcp=True).answer
    assert server.worker_pids() == pids


def test_over_tls(start, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=dns.test",
         "-days", "3", "-keyout", tmp_path / "key.pem", "-out",
         tmp_path / "cert.pem"], check=True, capture_output=True)
    server = start_dns(
        start, more="server { listen 127.0.0.1:@TLS@ ssl; dns_serve on; "
        f"ssl_certificate {tmp_path}/cert.pem; "
        f"ssl_certificate_key {tmp_path}/key.pem; }}",
        zones=(big_zone(tmp_path),))
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    context.check_hostname = False
    ask = dns.message.make_query("all.big.test", "A")
    response = dns.query.tls(ask, HOST, port=server.port("TLS"), timeout=5,
                             ssl_context=context)
    assert len(response.answer[0]) == 3900
