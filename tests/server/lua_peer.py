#!/usr/bin/python3
"""The same configuration under our module and under Debian's
libnginx-mod-http-lua: what a client gets must be alike.

A test module says what is asked and takes both names that `compare` gives:

    CASES = {
        "nested": content("ngx.say({1, {'a', true}}, nil)"),
        "post": Case("location @@ { content_by_lua_block { "
                     "ngx.req.read_body() ngx.print(ngx.req.get_body_data()) "
                     "} }", post("a=1")),
    }
    pair, test_is_alike = compare(CASES)

@@ in a case's configuration is the location /NAME of its own.  By hand, a
server's configuration and what each of the two answers:

    echo 'location /t { content_by_lua_block { ngx.say(1) } }' |
        tests/server/lua_peer.py /t
"""

import dataclasses
import os
import pathlib
import re
import shutil
import socket
import sys
import tempfile

import pytest

from resolua_server import BUILD, HOST, MODULES, Server

OURS = ["ndk_http_module.so", "ngx_stream_module.so",
        f"{BUILD}/modules/ngx_resolua_module.so"]
PEER = ["ndk_http_module.so", "ngx_stream_module.so",
        "ngx_http_lua_module.so"]
HAVE_PEER = pathlib.Path(MODULES, PEER[-1]).exists()


def get(path="@@", version="1.1", headers="", host="localhost"):
    """A request; @@ is the case's location."""
    host = f"Host: {host}\r\n" if host else ""
    return (f"GET {path} HTTP/{version}\r\n{host}Connection: close\r\n"
            f"{headers}\r\n")


def post(body, path="@@", version="1.1", headers="", method="POST",
         kind="application/x-www-form-urlencoded"):
    """A request with a body."""
    return (f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n"
            f"Connection: close\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body.encode('latin-1'))}\r\n{headers}\r\n"
            f"{body}")


@dataclasses.dataclass
class Case:
    """conf: of the server; ask: the octets sent, as latin-1; http: of http
    {}; differs: why ours answers otherwise on purpose, then the two must
    differ."""
    conf: str
    ask: str = get()
    http: str = ""
    differs: str = ""


def content(code, ask=None, http="", location="", differs=""):
    """A case whose location runs code."""
    return Case(f"location @@ {{ {location} content_by_lua_block "
                f"{{ {code} }} }}", ask or get(), http, differs)


class Nginx(Server):
    """A server with the modules given, whose lines are where the other's
    are."""

    def __init__(self, folder, conf, modules, env):
        self.modules = modules
        super().__init__(folder, conf)
        self.env = env

    def write(self, conf):
        super().write(conf)
        path = self.folder / "nginx.conf"
        text = path.read_text()
        for old, new in zip(OURS, self.modules):
            text = text.replace(f"/{pathlib.Path(old).name};",
                                f"/{pathlib.Path(new).name};")
        if self.modules is PEER:  # beside nginx's own
            text = text.replace(f"{BUILD}/modules/ngx_http",
                                f"{MODULES}/ngx_http")
        path.write_text(text)

    def ask(self, octets, timeout=5.0):
        """What comes back until the server closes the connection."""
        with socket.create_connection((HOST, self.port("HTTP"))) as s:
            s.settimeout(timeout)
            s.sendall(octets.encode("latin-1"))
            data = b""
            while True:
                try:
                    more = s.recv(65536)
                except TimeoutError:
                    return data + b"\n[still open]"
                except ConnectionResetError:
                    return data + b"\n[reset]"
                if not more:
                    return data
                data += more

    def reply(self, octets):
        """The same, without what no two runs have in common."""
        text = self.ask(octets).decode("latin-1")
        for secret, name in ((str(self.port("HTTP")), "PORT"),
                             (str(self.folder), "FOLDER")):
            text = text.replace(secret, name)
        head, empty, body = text.partition("\r\n\r\n")
        lines = head.split("\r\n")
        fields = sorted(line for line in lines[1:]
                        if not line.startswith("Date: "))
        if "Transfer-Encoding: chunked" in fields:
            body = unchunked(body)
        return "\n".join([lines[0], *fields]) + empty.replace("\r", "") + body


def unchunked(body):
    """The octets of a chunked body; one that is cut says so."""
    text, at = "", 0
    while True:
        size = re.match(r"([0-9a-fA-F]+)\r\n", body[at:])
        if not size:
            return text + "[chunks end]" + body[at:]
        at += size.end()
        if int(size[1], 16) == 0:
            return text + body[at:].removeprefix("\r\n")
        text += body[at:at + int(size[1], 16)]
        at += int(size[1], 16) + 2


class Pair:
    """Both servers over one configuration."""

    def __init__(self, folder, server, http=""):
        # One line, so that those of the cases stand where they stand.
        conf = (f"http {{ {http} server {{ listen 127.0.0.1:@HTTP@;\n{server}"
                "\n} }")
        folder = pathlib.Path(folder)
        self.ours = Nginx(folder / "ours", conf, OURS, {})
        # Debian's finds its modules by its own path.
        self.peer = Nginx(folder / "peer", conf, PEER,
                          {"LUA_PATH": ";;", "LD_PRELOAD": ""})

    def __enter__(self):
        self.ours.start()
        self.peer.start()
        return self

    def __exit__(self, *_):
        self.ours.stop()
        self.peer.stop()


def compare(cases, http="", server=""):
    """The fixture `pair` and the test of all cases."""
    def conf():
        return server + "\n" + "\n".join(
            case.conf.replace("@@", f"/{name}")
            for name, case in cases.items())

    @pytest.fixture(scope="module", name="pair")
    def pair(tmp_path_factory):
        more = http + " ".join(case.http for case in cases.values())
        with Pair(tmp_path_factory.mktemp("pair"), conf(), more) as servers:
            yield servers
        servers.ours.check_log()

    @pytest.mark.skipif(not HAVE_PEER, reason="no libnginx-mod-http-lua")
    @pytest.mark.parametrize("name", list(cases))
    def test_is_alike(pair, name):
        case = cases[name]
        ask = case.ask.replace("@@", f"/{name}")
        ours, peer = pair.ours.reply(ask), pair.peer.reply(ask)
        if case.differs:
            assert ours != peer, "alike now: take `differs` away"
        else:
            assert ours == peer

    return pair, test_is_alike


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lua-peer-"))
    os.chmod(folder, 0o755)
    paths = sys.argv[1:] or ["/t"]
    try:
        with Pair(folder, sys.stdin.read()) as pair:
            for path in paths:
                ask = path.encode().decode("unicode_escape") \
                    if " " in path else get(path)
                ours, peer = pair.ours.reply(ask), pair.peer.reply(ask)
                print(f"== {path}: {'alike' if ours == peer else 'DIFFERS'}")
                print(f"-- ours\n{ours}")
                if ours != peer:
                    print(f"-- Debian's\n{peer}")
            for server in (pair.ours, pair.peer):
                log = [line for line in server.log().splitlines()
                       if re.search(r"\[(error|crit|alert|emerg)\]", line)]
                print(f"-- {server.folder.name}'s log", *log[-20:], sep="\n")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
