"""The lane's batches: what the system does not take at once, segments, floods,
and what is counted."""

import os
import signal
import socket
import struct
import subprocess
import threading

import dns.message
import pytest

from network import CAN_MAKE_NETWORKS, Ethernet, in_own_network
from resolua_server import HOST, ROOT, sanitizer_environment, wait_for
from stream_conf import start_dns

UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33


def queries(count, name="mail.example.test"):
    return [dns.message.make_query(name, "A", id=i).to_wire()
            for i in range(count)]


def ids(s, count):
    return {int.from_bytes(s.recv(4096)[:2], "big") for _ in range(count)}


@pytest.fixture
def client():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        s.settimeout(5)
        yield s


@pytest.fixture
def shim(tmp_path):
    library = tmp_path / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library,
                    ROOT / "tests/server/shim_sendmmsg.c", "-ldl"], check=True)
    return library


@pytest.mark.skipif(bool(sanitizer_environment()),
                    reason="the sanitizers have to be preloaded first")
def test_partial_sends(start, client, shim):
    server = start_dns(start, env={"LD_PRELOAD": str(shim)})
    client.connect((HOST, server.port("DNS")))
    for base in range(0, 1000, 100):
        for wire in queries(1000)[base:base + 100]:
            client.send(wire)
        assert ids(client, 100) == set(range(base, base + 100))


def test_segmented_sends(start, client):
    server = start_dns(start)
    client.connect((HOST, server.port("DNS")))
    wires = queries(20)
    size = len(wires[0])
    try:
        client.sendmsg([b"".join(wires)], [(
            socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", size))])
    except OSError as error:
        pytest.skip(f"this kernel has no UDP segmentation: {error}")
    assert ids(client, 20) == set(range(20))


def test_others_are_served_under_a_flood(start):
    server = start_dns(start)
    stop = threading.Event()

    def flood():
        wires = queries(200, "no.example.test")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((HOST, server.port("DNS")))
            while not stop.is_set():
                for wire in wires:
                    s.send(wire)

    threads = [threading.Thread(target=flood) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert server.query("mail.example.test", tcp=True).answer
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_each_way_is_counted(start, client):
    server = start_dns(start, more="""
        server {
            listen 127.0.0.1:@SESSIONS@ udp;
            dns_serve on;
            dns_express off;
        }
        server {
            listen 127.0.0.1:@NUMBERS@;
            content_by_lua_block {
                local numbers = require("dns.statistics").get()
                for name, value in pairs(numbers) do
                    ngx.say(name, " ", value)
                end
            }
        }""")

    def numbers():
        with socket.create_connection((HOST, server.port("NUMBERS"))) as s:
            text = b"".join(iter(lambda: s.recv(4096), b"")).decode()
        return {line.split()[0]: int(line.split()[1])
                for line in text.splitlines()}

    for _ in range(5):
        server.query("mail.example.test")
    server.query("mail.example.test", port="SESSIONS")
    server.query("mail.example.test", tcp=True)
    server.query("refused.else")
    wait_for(lambda: numbers()["zone"] == 7)
    now = numbers()
    assert now["errors"] == 1
    assert now["udp"] == 7 and now["tcp"] == 1
    assert now["sessions"] == 1 and now["cache_hits"] == 0


@pytest.mark.skipif(os.geteuid() != 0,
                    reason="only root may go beyond the system's own limit")
def test_a_burst_waits_for_a_busy_worker(start, client):
    server = start_dns(start)
    client.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    client.connect((HOST, server.port("DNS")))
    pid = server.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        for wire in queries(800):
            client.send(wire)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert ids(client, 800) == set(range(800))


@pytest.mark.skipif(not CAN_MAKE_NETWORKS, reason="only root makes networks")
def test_a_silent_neighbour_uses_up_no_room(start):
    """Replies to an address of the own network that does not answer ARP wait
    for seconds in the send buffer: who asks in such names silences nobody."""
    in_own_network(ask_beside_a_silent_neighbour, start)


def ask_beside_a_silent_neighbour(start):
    net = Ethernet()
    server = start_dns(start, more="server { listen @OTHER@ udp; dns_serve on; }")
    for i, wire in enumerate(queries(2000)):
        net.send(("10.9.7.7", 1000 + i), server.port("OTHER"), wire)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST, server.port("OTHER")))
        s.settimeout(5)
        for wire in queries(20):
            s.send(wire)
            assert s.recv(4096)[:2] == wire[:2]
    net.close()
