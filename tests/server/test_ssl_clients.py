"""Chunks in handshakes of clients that are hostile, slow, many, or gone."""

import concurrent.futures
import contextlib
import random
import signal
import socket
import ssl
import struct
import time

import pytest

from resolua_server import HOST
from ssl_phases import certificates, run_phases  # noqa: F401 (the fixtures)
from ssl_phases import (BY_NAME, HELLO, PORTS, SESSIONS, SET, certificate_of,
                        client_hello, talk)


@pytest.mark.parametrize("port", PORTS)
def test_clients_that_leave(run, ca, port):
    """While the chunk sleeps, and before the ClientHello is whole."""
    server = run(SET % (ca.folder, "ngx.sleep(0.3)"))
    hello = client_hello("fallback.test")
    for cut in (len(hello), 1, 20, len(hello) - 1):
        with socket.create_connection((HOST, server.port(port)), 5) as s:
            s.sendall(hello[:cut])
            time.sleep(0.05)
    with socket.create_connection((HOST, server.port(port)), 5) as s:
        for octet in hello:  # by drops
            s.sendall(bytes([octet]))
        assert s.recv(1) == b"\x16"
    assert talk(server, ca, port) == "hello\n"


def test_a_handshake_that_takes_too_long(run, ca):
    server = run("client_header_timeout 300ms;" +
                 SET % (ca.folder, "ngx.sleep(5)"), stream="")
    begin = time.monotonic()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        certificate_of(server, ca, "fallback.test")
    assert time.monotonic() - begin < 3
    server.wait_for_log("client timed out")


def test_a_handshake_that_takes_too_long_in_stream(run, ca):
    server = run(stream="ssl_handshake_timeout 300ms;" +
                 SET % (ca.folder, "ngx.sleep(5)"))
    begin = time.monotonic()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        certificate_of(server, ca, "fallback.test", "STREAM")
    assert time.monotonic() - begin < 3


def test_many_handshakes(run, ca):
    server = run(SET % (ca.folder, "ngx.sleep(0.001)" + BY_NAME))
    before = None
    for turn in range(4):
        for _ in range(60):
            certificate_of(server, ca, "one.test")
        memory = server.workers_memory()
        before = before or memory
    assert memory - before < 4 << 20


def test_reload_while_a_handshake_sleeps(run, ca):
    server = run(SET % (ca.folder, "ngx.sleep(0.4)"))
    hello = client_hello("fallback.test")
    with socket.create_connection((HOST, server.port("TLS")), 5) as s:
        s.sendall(hello)
        time.sleep(0.1)
        server.reload()
        assert s.recv(1) == b"\x16"


def exchange(server, port, octets, reset=False):
    """Sends octets and reads until the server has had enough."""
    with socket.create_connection((HOST, server.port(port)), 5) as s:
        s.settimeout(0.5)
        with contextlib.suppress(OSError):
            s.sendall(octets)
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
                return
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass


ALL_PHASES = HELLO % """
    hello.get_client_hello_server_name() hello.get_supported_versions()
    hello.get_client_hello_ciphers() hello.get_client_hello_ext_present()
    for i = 0, 60 do hello.get_client_hello_ext(i) end
    require "ngx.ssl".server_name()
    ngx.sleep(0)
""" + SESSIONS % "ngx.sleep(0)" + """
    ssl_certificate_by_lua_block {
        local ssl = require "ngx.ssl"
        ssl.server_name() ssl.get_client_random() ngx.sleep(0)
    }
"""


@pytest.mark.parametrize("port", PORTS)
def test_hostile_hellos(run, ca, port):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    server = run(ALL_PHASES)
    hello = client_hello("fallback.test")
    for turn in range(150):
        octets = bytearray(hello)
        for _ in range(rng.randrange(1, 6)):
            octets[rng.randrange(len(octets))] = rng.randrange(256)
        octets[0] = 0x16
        if turn % 5 == 0:
            octets = octets[:rng.randrange(1, len(octets))]
        exchange(server, port, bytes(octets), reset=turn % 7 == 0)
    assert talk(server, ca, port) == "hello\n"


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT])
def test_the_end_while_handshakes_sleep(run, ca, sig):
    server = run("client_header_timeout 1s;" + SET % (ca.folder,
                                                      "ngx.sleep(30)"),
                 stream="ssl_handshake_timeout 1s;" + SET % (
                     ca.folder, "ngx.sleep(30)"))
    hello = client_hello("fallback.test")
    with contextlib.ExitStack() as stack:
        for port in PORTS * 5:
            s = stack.enter_context(
                socket.create_connection((HOST, server.port(port)), 5))
            s.sendall(hello)
        time.sleep(0.1)
        server.stop(sig)


@pytest.mark.parametrize("port", PORTS)
def test_many_at_once(run, ca, port):
    server = run(SET % (ca.folder, "ngx.sleep(0.1)" + BY_NAME))
    names = ["one.test", "two.test"] * 20
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert list(pool.map(
            lambda name: certificate_of(server, ca, name, port), names)) == \
            names


@pytest.mark.parametrize("port", PORTS)
def test_octets_that_come_while_a_chunk_sleeps(run, ca, port):
    server = run(HELLO % "ngx.sleep(0.05)" + SET % (
        ca.folder, "ngx.sleep(0.2)" + BY_NAME))
    with socket.create_connection((HOST, server.port(port)), 5) as s:
        s.settimeout(5)
        s.sendall(client_hello("one.test"))
        before = server.cpu_seconds(server.worker_pids()[0])
        for _ in range(5):
            time.sleep(0.02)
            s.sendall(b"\x16")
        assert s.recv(1) == b"\x16"
        assert server.cpu_seconds(server.worker_pids()[0]) - before < 0.15
    assert talk(server, ca, port, "one.test") == "hello\n"
