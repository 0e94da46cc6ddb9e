"""A server that speaks MySQL's protocol as badly as it is told to.

    server = FakeMySql(zones={"f.test": [("www", "A", "192.0.2.1")]})
    server.greeting = lambda: b"..."      # octets in place of the greeting
    server.auth_plugin = b"mysql_clear_password"
    server.change = lambda kind, packet: packet   # each packet, by its kind
    server.hangs_up = True                # after a packet that was changed
    server.slow = 0.05                    # seconds between octets
    server.passwords                      # what clients have sent in clear text,
                                          # or encrypted by server.key

It knows no SQL: what it answers is told by the words in a statement.
"""

import socket
import socketserver
import struct
import threading
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

HOST = "127.0.0.1"
CAPABILITIES = 0x81bff7df & ~0x800  # no TLS, and every packet ends in EOF
CAPABILITIES &= ~0x01000000  # DEPRECATE_EOF
CLEAR = b"mysql_clear_password"
SHA2 = b"caching_sha2_password"
SHA256 = b"sha256_password"
NONCE = b"C" * 20


def size_of(number):
    if number < 251:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + struct.pack("<H", number)
    return b"\xfd" + struct.pack("<I", number)[:3]


def text(value):
    return b"\xfb" if value is None else size_of(len(value)) + value


def greeting(version=b"10.11.6-MariaDB", plugin=b"mysql_native_password", capabilities=CAPABILITIES):
    return (b"\x0a" + version + b"\0" + struct.pack("<I", 7) + b"A" * 8 + b"\0"
            + struct.pack("<H", capabilities & 0xffff) + b"\x2d\x02\x00"
            + struct.pack("<H", capabilities >> 16) + bytes([21]) + bytes(10)
            + b"B" * 12 + b"\0" + plugin + b"\0")


OK = b"\0\0\0\x02\0\0\0"
EOF = b"\xfe\0\0\x02\0"
VAR_STRING, LONGLONG = 0xfd, 8


def column(name, kind=VAR_STRING):
    return (text(b"def") + text(b"dns") + text(b"t") + text(b"t") + text(name) + text(name)
            + b"\x0c" + struct.pack("<HIBHB", 45, 255, kind, 0, 0) + b"\0\0")


def binary_row(values):
    """Values: bytes are strings, numbers 64 bits, None NULL."""
    nulls = bytearray((len(values) + 9) // 8)
    body = b""
    for i, value in enumerate(values):
        if value is None:
            nulls[(i + 2) // 8] |= 1 << (i + 2) % 8
        elif isinstance(value, int):
            body += struct.pack("<q", value)
        else:
            body += text(value)
    return b"\0" + bytes(nulls) + body


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        self.owner = self.server.owner
        self.number = 0
        self.owner.sessions.append(self)
        try:
            self.talk()
        except (OSError, struct.error, IndexError):
            pass
        self.owner.sessions.remove(self)

    def put(self, kind, packet):
        octets = self.owner.change(kind, packet)
        is_changed = octets is not packet
        if octets is None:
            octets = Raw(b"")
        if not getattr(octets, "is_raw", False):
            octets = struct.pack("<I", len(octets))[:3] + bytes([self.number & 255]) + octets
        self.number += 1
        self.owner.said.append(kind)
        if not self.owner.slow:
            self.request.sendall(octets)
            if is_changed and self.owner.hangs_up:
                raise OSError("hung up")
            return
        for i in range(len(octets)):
            if self.owner.is_closed:
                raise OSError("closed")
            self.request.sendall(octets[i:i + 1])
            time.sleep(self.owner.slow)

    def exactly(self, size):
        octets = b""
        while len(octets) < size:
            more = self.request.recv(size - len(octets))
            if not more:
                raise OSError("the client has gone")
            octets += more
        return octets

    def get(self):
        head = self.exactly(4)
        self.number = head[3] + 1
        packet = self.exactly(head[0] | head[1] << 8 | head[2] << 16)
        self.owner.heard += packet
        return packet

    def talk(self):
        self.put("greeting", greeting())
        self.get()
        if self.owner.auth_plugin:
            self.put("switch", b"\xfe" + self.owner.auth_plugin + b"\0" + NONCE + b"\0")
            reply = self.get()
            if self.owner.auth_plugin in (SHA2, SHA256):
                self.owner.passwords.append(self.get_encrypted(reply))
            if self.owner.auth_plugin in (CLEAR, b"dialog"):
                self.owner.passwords.append(reply)
        self.put("login", OK)
        while True:
            self.answer(self.get())

    def get_encrypted(self, reply):
        """As a server that does not have the password in its cache."""
        if self.owner.auth_plugin == SHA2:
            self.put("full", b"\x01\x04")
            reply = self.get()
        if reply in (b"\x01", b"\x02"):
            key = self.owner.public_key()
            self.owner.keys_sent += 1
            self.put("key", b"\x01" + key)
            reply = self.get()
        return bytes(a ^ NONCE[i % len(NONCE)] for i, a in enumerate(self.owner.key.decrypt(
            reply, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))))

    def answer(self, packet):
        command, words = packet[0], packet[1:]
        if command == 0x16:
            self.prepare(words)
        elif command == 0x17:
            self.execute(struct.unpack("<I", words[:4])[0])
        elif command == 3 and b"SELECT" in words.upper() and b"FROM" in words.upper():
            self.listing(words)
        elif command in (3, 0x0e):
            self.put("ok", OK)
        elif command == 1:
            raise OSError("quit")

    def fields(self, kind, names):
        for name, sort in names:
            self.put(kind, column(name, sort))
        if names:
            self.put(kind + " end", EOF)

    def prepare(self, words):
        below = b"LIKE" in words
        names = COLUMNS[:1] if below else COLUMNS
        number = 2 if below else 1
        parameters = words.count(b"?")
        self.put("prepared", b"\0" + struct.pack("<IHHBH", number, len(names), parameters, 0, 0))
        if self.owner.parameters is not None:
            parameters = self.owner.parameters
        self.fields("parameter", [(b"?", VAR_STRING)] * parameters)
        self.fields("prepared column", names)

    def execute(self, number):
        below = number == 2
        names = COLUMNS[:1] if below else COLUMNS
        self.put("columns", size_of(len(names)))
        self.fields("column", names)
        for row in [] if below else self.owner.rows():
            self.put("row", binary_row(row))
        self.put("rows end", EOF)

    def listing(self, words):
        names = [(b"name", VAR_STRING), (b"content", VAR_STRING), (b"id", LONGLONG)]
        rows = [[zone.encode(), SOA.encode(), str(i + 1).encode()]
                for i, zone in enumerate(self.owner.zones)]
        if b"DISTINCT" in words:
            names, rows = names[:1], [[row[0]] for row in self.owner.rows()]
        elif b"ttl" in words:
            names = COLUMNS[:5]
            rows = [[v if v is None or isinstance(v, bytes) else str(v).encode() for v in row[:5]]
                    for row in self.owner.rows()]
        self.put("columns", size_of(len(names)))
        self.fields("column", names)
        for row in rows:
            self.put("row", b"".join(map(text, row)))
        self.put("rows end", EOF)


COLUMNS = [(b"name", VAR_STRING), (b"type", VAR_STRING), (b"ttl", LONGLONG),
           (b"content", VAR_STRING), (b"prio", LONGLONG), (b"id", LONGLONG),
           (b"domain_id", LONGLONG)]
SOA = "ns1.f.test hm.f.test 5 3600 600 86400 60"


class Raw(bytes):
    """Octets that go out without a packet's header."""
    is_raw = True


class FakeMySql:
    def __init__(self, zones=None, path=None, host=HOST):
        self.zones = zones or {"f.test": [("www", "A", "192.0.2.1")]}
        self.passwords = []
        self.said = []
        self.sessions = []
        self.heard = b""
        self.is_closed = False
        self.reset()
        kind = socketserver.ThreadingUnixStreamServer if path else socketserver.ThreadingTCPServer
        kind.allow_reuse_address = True
        kind.daemon_threads = True
        kind.request_queue_size = 100
        self.host = host
        self.key = rsa.generate_private_key(65537, 2048)
        self.keys_sent = 0
        self.server = kind(path or (host, 0), Session)
        self.server.owner = self
        self.port = None if path else self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def reset(self):
        self.change = lambda kind, packet: packet
        self.parameters = None  # that follow; None: as many as there are
        self.auth_plugin = None
        self.hangs_up = False
        self.slow = 0

    def cut(self):
        """All connections end."""
        for session in list(self.sessions):
            try:
                session.request.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def rows(self):
        out = []
        for i, (zone, records) in enumerate(self.zones.items()):
            for owner, rtype, content in [("@", "SOA", SOA), ("@", "NS", "ns1." + zone), *records]:
                name = zone if owner == "@" else f"{owner}.{zone}"
                out.append([name.encode(), rtype.encode(), 60, content.encode(), None,
                            len(out) + 1, i + 1])
        return out

    def public_key(self):
        return self.key.public_key().public_bytes(serialization.Encoding.PEM,
                                                  serialization.PublicFormat.SubjectPublicKeyInfo)

    def url(self, name="dns"):
        return f"mysql://resolua:secret@{self.host}:{self.port}/{name}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.is_closed = True
        self.server.shutdown()
        self.server.server_close()


def hostile(rng):
    """(kind, change): what a server may do to each packet of a kind."""
    out = []
    kinds = ["greeting", "switch", "login", "ok", "prepared", "parameter", "parameter end",
             "prepared column", "prepared column end", "columns", "column", "column end", "row",
             "rows end"]
    changes = [
        lambda p: b"", lambda p: None, lambda p: p[:1], lambda p: p[:len(p) // 2], lambda p: p[:-1],
        lambda p: p + b"\xff" * 9, lambda p: b"\xff" * len(p), lambda p: b"\xfe" * 5,
        lambda p: b"\xfb/etc/passwd", lambda p: b"\xfb", lambda p: b"\xff\x15\x04#28000no",
        lambda p: b"\xff", lambda p: b"\0", lambda p: Raw(b"\xff\xff\xff\0" + b"x" * 100),
        lambda p: Raw(b"\x05\0"), lambda p: Raw(b"\0" * 4 * 50),
        lambda p: p[:1] + b"\xfe" + b"\xff" * 8 + p[10:], lambda p: p[:1] + b"\xfd\xff\xff\xff" + p[5:],
        lambda p: size_of(65535), lambda p: b"\xfe" + b"\xff" * 8, lambda p: size_of(0),
        lambda p: b"\0" + struct.pack("<IHHBH", 1, 65535, 65535, 0, 0),
        lambda p: b"\0" + struct.pack("<IHHBH", 1, 7, 1, 0, 0),
        lambda p: b"\0" + struct.pack("<IHHBH", 1, 0, 0, 0, 0),
        lambda p: b"\0" + struct.pack("<IHHBH", 1, 300, 4, 0, 0)]
    for kind in kinds:
        out += [(kind, change) for change in changes]
        for _ in range(12):
            seed = rng.randrange(1 << 30)

            def spoil(p, seed=seed):
                own = type(rng)(seed)
                p = bytearray(p)
                for _ in range(own.choice((1, 1, 2, 4))):
                    if p:
                        p[own.randrange(len(p))] = own.choice((0, 1, 0x7f, 0x80, 0xfb, 0xfc, 0xfd,
                                                              0xfe, 0xff, own.randrange(256)))
                return bytes(p)
            out.append((kind, spoil))
    return out
