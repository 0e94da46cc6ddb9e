"""HTTP by hand, octet for octet."""

import contextlib
import socket

from resolua_server import HOST


@contextlib.contextmanager
def client(server, port="HTTP", seconds=10):
    with socket.create_connection((HOST, server.port(port)), seconds) as s:
        yield s


def to_end(s):
    return b"".join(iter(lambda: s.recv(65536), b""))


def until(s, mark):
    got = b""
    while mark not in got:
        piece = s.recv(65536)
        assert piece, got
        got += piece
    return got
