"""UDP goes on, and so does TCP for who asks, whatever other clients hold."""

import contextlib
import os
import re
import resource
import socket
import ssl
import time

import dns.message
import dns.query
import pytest

import tls
from resolua_server import HOST, wait_for
from stream_conf import start_dns
from test_stream_tcp import big_zone, framed, read_message

LIMIT = 256  # open files of a worker

# Descriptors are few, and are to stay few.
FEW = f"worker_rlimit_nofile {LIMIT};"

HTTP = """
http {
    keepalive_timeout 60s;
    server { listen 127.0.0.1:@HTTP@; location / { return 200 ok; } }
}
"""


def query(name="mail.example.test", number=7):
    return dns.message.make_query(name, "A", id=number).to_wire()


def connect(server, port, source=HOST):
    return socket.create_connection((HOST, server.port(port)), 5,
                                    source_address=(source, 0))


def exchange(s, number=7):
    s.sendall(framed(query(number=number)))
    return read_message(s)


def is_open(s):
    """The server has not ended the connection."""
    s.setblocking(False)
    try:
        return s.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        s.settimeout(5)


@pytest.fixture
def hold():
    """hold(server, port, count, first): connections that sent `first`."""
    with contextlib.ExitStack() as stack:
        def many(server, port, count, first=b"", sources=(HOST,)):
            held = []
            for i in range(count):
                try:
                    s = stack.enter_context(
                        connect(server, port, sources[i % len(sources)]))
                    s.sendall(first)
                except OSError:
                    continue  # refused, which is right
                held.append(s)
            return held
        yield many


def all_are_answered(server, port="DNS", count=300):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((HOST, server.port(port)))
        for number in range(count):
            s.send(query(number=number))
            assert s.recv(4096)[:2] == number.to_bytes(2, "big")


CASES = [
    ("DNS", b"\0"),                       # a query that never ends
    ("HTTP", b""),
    ("HTTP", b"GET / HTTP/1.1\r\nHost: "),  # a head that never ends
    ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),  # kept alive
    ("LUATCP", b"x"),
]


@pytest.mark.parametrize("workers, events, listen", [
    (1, "", ""), (1, "multi_accept on;", ""), (2, "", ""),
    (2, "", "reuseport"), (2, "accept_mutex on;", ""),
    (2, "accept_mutex on;", "reuseport")])
def test_udp_goes_on(start, hold, workers, events, listen):
    server = start_dns(
        start, "dns_tcp_max_per_client 0;", listen, workers=workers,
        events=events, main=FEW, more="""
        server { listen 127.0.0.1:@LUATCP@;
                 content_by_lua_block { ngx.req.socket():receive("*a") } }
        server { listen 127.0.0.1:@LUA@ udp; content_by_lua_block {
                 local s = ngx.req.socket() s:send(s:receive()) } }
        server { listen 127.0.0.1:@PROXY@ udp; proxy_responses 1;
                 proxy_pass 127.0.0.1:@DNS@; }
        } """ + HTTP.strip().removesuffix("}"))
    for port, first in CASES:
        hold(server, port, LIMIT * workers // 2, first)
        for udp in ("DNS", "LUA", "PROXY"):
            all_are_answered(server, udp, 50)
    server.reload()
    hold(server, "HTTP", LIMIT, b"GET / HTTP/1.1\r\nHost: ")
    all_are_answered(server)
    # TCP has a part of its own, which HTTP clients do not get.
    with connect(server, "DNS") as s:
        assert exchange(s)[:2] == b"\0\7"
    assert "are refused: of" in server.log()
    assert "takes" in server.log()


def test_udp_goes_on_where_accept_finds_no_descriptor(start, hold):
    """A script has taken the reserve, too."""
    server = start_dns(start, main=FEW, before="""
        init_worker_by_lua_block {
            ngx.timer.at(0, function()
                files = {}
                for i = 1, 1000 do
                    files[i] = io.open("/dev/null")
                end
            end)
        }""", more="} " + HTTP.strip().removesuffix("}"))
    held = hold(server, "HTTP", 10)
    server.wait_for_log("Too many open files")
    for _ in range(3):
        all_are_answered(server)
        held += hold(server, "HTTP", 5)
    server.allow_log("Too many open files")


def test_the_limit_of_open_files_is_raised(start, hold):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))  # a run of all tests
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (min(max(512, used + 128), soft), hard))
    try:
        server = start_dns(start)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    pid, = server.worker_pids()
    text = open(f"/proc/{pid}/limits").read()
    allowed = int(re.search(r"Max open files +(\d+)", text)[1])
    assert allowed >= min(hard, 2 * 4096 + 512)


def test_the_longest_idle_gives_way(start):
    server = start_dns(start, "dns_tcp_max_connections 8;")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(server, "DNS")) for _ in range(8)]
        for number, s in enumerate(held):
            exchange(s, number)
        exchange(held[0])  # the second is the longest idle now
        new = stack.enter_context(connect(server, "DNS"))
        assert exchange(new, 9)[1] == 9
        wait_for(lambda: not is_open(held[1]))
        for number, s in enumerate(held):
            if number != 1:
                assert exchange(s, number)[1] == number
    assert server.log().count("idle longest are closed") == 1


def test_single_octets_do_not_keep_a_place(start, hold):
    """Clients of many addresses hold all places; others are served, and who
    asks all the time is not closed."""
    server = start_dns(start, "dns_tcp_max_connections 40;")
    sources = [f"127.0.0.{i}" for i in range(2, 10)]
    with connect(server, "DNS") as busy:
        slow = []
        for number in range(100):
            exchange(busy, number)
            slow += hold(server, "DNS", 3, b"\0", sources)
            for s in slow[-40:]:
                with contextlib.suppress(OSError):
                    s.send(b"\0")
            with connect(server, "DNS") as new:
                assert exchange(new, number)[:2] == bytes([0, number])
        exchange(busy)


def slowly(s, octets, seconds):
    """Sends an octet now and then; how long the server let that go on."""
    began = time.monotonic()
    with contextlib.suppress(OSError):
        for octet in octets:
            s.send(bytes([octet]))
            s.settimeout(0.05)
            try:
                if s.recv(1) == b"":
                    break
            except TimeoutError:
                pass
            if time.monotonic() > began + seconds:
                return None
    return time.monotonic() - began


LONG = framed(query() + bytes(60000))


def test_a_query_has_a_deadline(start):
    server = start_dns(start, "dns_tcp_read_timeout 500ms;"
                              "dns_tcp_idle_timeout 30s;")
    with connect(server, "DNS") as s:
        assert slowly(s, LONG, 20) is not None
    with connect(server, "DNS") as s:  # also the second one
        exchange(s)
        assert slowly(s, LONG, 20) is not None
    with connect(server, "DNS") as s:  # but idle it may be for longer
        exchange(s)
        time.sleep(1)
        exchange(s)
    server.wait_for_log("does not send the rest of a query in time")


def test_pipelined_queries_are_not_one_slow_query(start):
    """At every moment the beginning of a query is there."""
    server = start_dns(start, "dns_tcp_read_timeout 700ms;")
    one = framed(query())
    deadline = time.monotonic() + 2
    with connect(server, "DNS") as s:
        s.sendall(one[:5])
        while time.monotonic() < deadline:
            s.sendall(one[5:] + one[:5])
            assert read_message(s)[1] == 7


def ask_much(s):
    ask = framed(query("all.big.test")) * 100
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(500):
            s.send(ask)


def test_answers_have_a_deadline(start, tmp_path):
    server = start_dns(start, "dns_tcp_send_timeout 500ms;"
                              "dns_tcp_idle_timeout 60s;",
                       zones=(big_zone(tmp_path),))
    with connect(server, "DNS") as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ask_much(s)
        server.wait_for_log("does not take its answers in time", 30)
    with connect(server, "DNS") as s:  # an octet now and then is not enough
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ask_much(s)

        s.settimeout(1)

        def is_cut_off():
            with contextlib.suppress(OSError):
                s.recv(1)
            return server.log().count("take its answers in time") == 2
        wait_for(is_cut_off, 30)


@pytest.fixture
def dot(start, tmp_path):
    tls.Authority(tmp_path).issue("dns.test")

    def run(directives="", **options):
        return start_dns(start, f"""
            listen 127.0.0.1:@TLS@ ssl;
            ssl_certificate {tmp_path}/dns.test.pem;
            ssl_certificate_key {tmp_path}/dns.test.key;
            {directives}""", **options)
    return run


def shake_hands(server, source=HOST):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connect(server, "TLS", source))


def test_a_handshake_has_a_deadline(dot, hold):
    server = dot("dns_tls_handshake_timeout 500ms; dns_tcp_read_timeout 500ms;")
    for first in (b"", b"\x16"):
        s, = hold(server, "TLS", 1, first)
        wait_for(lambda: not is_open(s))
    s, = hold(server, "TLS", 1)
    assert slowly(s, b"\x16\x03\x01\x40\x00" + bytes(60000), 20) is not None
    server.wait_for_log("its handshake takes too long")
    with shake_hands(server) as s:
        assert slowly(s, LONG, 20) is not None
    with shake_hands(server) as s:
        time.sleep(1)
        assert exchange(s)[1] == 7


@pytest.mark.parametrize("directives", [
    "", "ssl_certificate_by_lua_block { ngx.sleep(0.01) }"])
def test_handshakes_take_places_and_lose_them(dot, hold, directives):
    server = dot("dns_tcp_max_connections 20; dns_tls_handshake_timeout 60s;"
                 + directives)
    sources = [f"127.0.0.{i}" for i in range(2, 10)]
    with shake_hands(server) as busy:
        for number in range(20):
            exchange(busy, number)
            hold(server, "TLS", 15, b"\x16", sources)
            with shake_hands(server) as new:
                assert exchange(new, number)[1] == number
        exchange(busy)
    # Idle ones are closed without waiting for their farewell.
    held = [shake_hands(server) for _ in range(40)]
    for s in held[-10:]:
        exchange(s)
    for s in held:
        s.close()


def test_a_handshake_that_sleeps_is_cut_off(dot):
    """By its deadline, and for another connection."""
    server = dot("""dns_tcp_max_connections 4; dns_tls_handshake_timeout 500ms;
                    ssl_certificate_by_lua_block { ngx.sleep(2) }""")
    with contextlib.ExitStack() as stack:
        for _ in range(12):
            s = stack.enter_context(connect(server, "TLS"))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            out = ssl.MemoryBIO()
            tls_object = context.wrap_bio(ssl.MemoryBIO(), out,
                                          server_hostname="dns.test")
            with contextlib.suppress(ssl.SSLWantReadError):
                tls_object.do_handshake()
            s.sendall(out.read())
        server.wait_for_log("its handshake takes too long")
        assert len(server.query("mail.example.test").answer) == 1
        time.sleep(2.5)  # the sleepers would wake by now
    assert len(server.query("mail.example.test", tcp=True).answer) == 1


def test_who_waits_for_an_answer_is_not_idle(start):
    server = start_dns(start, """
        dns_tcp_max_connections 3;
        dns_query_by_lua_block {
            local q = ...
            if q.transport == 0 then
                over = true
            else
                waiting = (waiting or 0) + 1
                ngx.log(ngx.NOTICE, "waiting: ", waiting)
            end
            while not over do ngx.sleep(0.02) end
        }""")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(server, "DNS")) for _ in range(3)]
        for s in held:
            s.sendall(framed(query()))
        server.wait_for_log("waiting: 3")
        with connect(server, "DNS") as s:
            assert s.recv(1) == b""
        server.query("mail.example.test")
        for s in held:
            assert read_message(s)[1] == 7
    assert "none is idle" in server.log()
