"""Frames of HTTP/2 (RFC 9113), for clients that do what no library would."""

import struct

HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE = 1, 3, 4, 8
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4
CANCEL = 8

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return (struct.pack("!I", len(payload))[1:] + bytes([kind, flags])
            + struct.pack("!I", stream) + payload)


def field(name, value):
    """A literal header field, which no table keeps (RFC 7541 section 6.2.2)."""
    assert len(name) < 127 and len(value) < 127
    return b"\0" + b"".join(bytes([len(x)]) + x for x in (name, value))


def hello(window):
    """The client's first octets; the server may send window octets a stream."""
    return PREFACE + frame(SETTINGS, payload=struct.pack("!HI", INITIAL_WINDOW_SIZE, window))


def get(path, stream=1):
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, b"".join(
        field(*x) for x in ((b":method", b"GET"), (b":path", path), (b":scheme", b"http"),
                            (b":authority", b"localhost"))))


def cancel(stream=1):
    return frame(RST_STREAM, stream=stream, payload=struct.pack("!I", CANCEL))
