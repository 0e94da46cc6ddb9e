"""Many requests in a short time, and what they leave behind in a worker.

    load.http(port, "/hello", 10000)
    load.descriptors(pid)
"""

import os
import socket
import struct
import subprocess
import time

import dns.message

from resolua_server import HOST

AT_ONCE = 50
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no farewell


def query(name, qtype="A", number=0):
    message = dns.message.make_query(name, qtype)
    message.id = number & 0xFFFF
    return message.to_wire()


def udp(port, names):
    """One query for each name, AT_ONCE under way; every one is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.connect((HOST, port))
        s.settimeout(20)
        for at in range(0, len(names), AT_ONCE):
            some = names[at:at + AT_ONCE]
            for number, name in enumerate(some):
                s.send(query(name, number=number))
            for _ in some:
                s.recv(65535)


def exactly(s, size):
    octets = b""
    while len(octets) < size:
        more = s.recv(size - len(octets))
        assert more, "the connection has ended"
        octets += more
    return octets


def tcp(port, names):
    """As udp(), AT_ONCE on each connection."""
    for at in range(0, len(names), AT_ONCE):
        some = names[at:at + AT_ONCE]
        with socket.create_connection((HOST, port), 20) as s:
            wires = [query(name, number=n) for n, name in enumerate(some)]
            s.sendall(b"".join(struct.pack("!H", len(w)) + w for w in wires))
            for _ in some:
                exactly(s, struct.unpack("!H", exactly(s, 2))[0])


DONE = b"done\n"  # the end of each response, and nowhere else


def http(port, path, count):
    """count requests over a few connections, AT_ONCE in a pipeline."""
    request = f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode()
    while count > 0:
        with socket.create_connection((HOST, port), 20) as s:
            some = min(20 * AT_ONCE, count)
            count -= some
            for _ in range(some // AT_ONCE):
                pipeline(s, request, AT_ONCE)
            if some % AT_ONCE:
                pipeline(s, request, some % AT_ONCE)


def pipelined(port, request, count, mark):
    """count such requests at once; each response has the mark once."""
    with socket.create_connection((HOST, port), 20) as s:
        pipeline(s, request, count, mark)


def pipeline(s, request, count, mark=DONE):
    s.sendall(request * count)
    octets = b""
    while octets.count(mark) < count:
        more = s.recv(65536)
        assert more, octets[-2000:]
        octets += more


def http2(port, path, count):
    """count requests one after another on one connection."""
    done = subprocess.run(
        ["curl", "-sfk", "--http2", "-o", "/dev/null",
         f"https://{HOST}:{port}{path}&n=[1-{count}]"],
        capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def abandon(port, octets, count):
    """Connections that send this and, a moment later, are closed or reset."""
    for at in range(0, count, AT_ONCE):
        some = [socket.create_connection((HOST, port), 20)
                for _ in range(min(AT_ONCE, count - at))]
        for s in some:
            s.sendall(octets)
        time.sleep(0.03)
        for number, s in enumerate(some):
            if number % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            s.close()


# What is left behind.

def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
