"""A store over TLS does not block the worker."""

import os
import signal
import socket
import subprocess
import threading
import time

import dns.exception
import dns.message
import dns.rcode
import pytest

from databases import MariaDb
from lua_conf import Peer
from proxy import Proxy
from resolua_server import HOST, wait_for
from service_conf import SAMPLE, resolua
from stores import MySqlZones

CONF = """
dns_store lmdb path=@FOLDER@/data;
dns_store mysql://resolua:secret@127.0.0.1:%d/dns ca_file=%s timeout=500ms
    poll=50ms ttl_cap=0s;
stream { server { listen 127.0.0.1:@DNS@ udp; dns_serve on; } }
"""


@pytest.fixture
def zones(tmp_path):
    tmp_path.chmod(0o755)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
         tmp_path / "key", "-out", tmp_path / "cert", "-days", "2", "-subj",
         "/CN=database", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True)
    database = MariaDb(tmp_path)
    database.stop()
    database.options = [
        f"--ssl-cert={tmp_path}/cert", f"--ssl-key={tmp_path}/key",
        "--require-secure-transport=1"]
    database.start()
    database.run_file("sql/mysql/schema.sql")
    zones = MySqlZones(database)
    zones.make("a.test", [("www", "A", 60, "192.0.2.1")])
    yield zones
    database.stop()


def is_answered(server, name):
    try:
        return server.query(name, timeout=1).rcode() == 0
    except dns.exception.Timeout:
        return False


def test_others_are_answered_while_the_database_stands_still(start, zones, tmp_path):
    server = start(CONF % (zones.db.port, tmp_path / "cert"), run=False)
    resolua(server, "zone", "load", SAMPLE)
    server.start()
    deadline = time.time() + 10
    while not is_answered(server, "www.a.test"):
        assert time.time() < deadline, server.log()
        time.sleep(0.05)
    os.kill(zones.db.process.pid, signal.SIGSTOP)
    try:
        asker = threading.Thread(target=is_answered, args=(server, "www.a.test"))
        asker.start()
        for _ in range(20):
            begin = time.time()
            assert is_answered(server, "www.example.test")
            assert time.time() - begin < 0.4
            time.sleep(0.01)
        asker.join()
    finally:
        os.kill(zones.db.process.pid, signal.SIGCONT)
    deadline = time.time() + 10
    while not is_answered(server, "www.a.test"):
        assert time.time() < deadline, server.log()
        time.sleep(0.05)


def test_others_are_answered_while_a_handshake_stands_still(start, zones, tmp_path):
    """A greeting that offers TLS, then nothing."""
    def serve(connection):
        with socket.create_connection((HOST, zones.db.port)) as database:
            connection.sendall(database.recv(1000))
        connection.recv(1000)
        time.sleep(2)
    peer = Peer(serve)
    server = start(CONF % (peer.port, tmp_path / "cert"), run=False)
    resolua(server, "zone", "load", SAMPLE)
    server.start()
    wait_for(lambda: peer.count)
    for _ in range(50):
        begin = time.time()
        assert is_answered(server, "www.example.test")
        assert time.time() - begin < 0.4
        time.sleep(0.01)
    peer.close()


def test_a_silent_database_takes_one_thread(start, zones, tmp_path):
    """However many queries wait for a connection: each is made on a thread."""
    proxy = Proxy(zones.db.port)
    server = start(CONF % (proxy.port, tmp_path / "cert"), run=False)
    resolua(server, "zone", "load", SAMPLE)
    server.start()
    wait_for(lambda: is_answered(server, "www.a.test"))
    proxy.mode = "hole"
    before = proxy.accepted
    proxy.cut()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST, server.port("DNS")))
        s.settimeout(30)
        for i in range(40):
            s.send(dns.message.make_query(f"n{i}.a.test", "A").to_wire())
        for _ in range(40):
            assert dns.message.from_wire(s.recv(4096)).rcode() == dns.rcode.SERVFAIL
    assert proxy.accepted - before <= 3  # one after another
    proxy.mode = "pass"
    wait_for(lambda: is_answered(server, "www.a.test"))
    proxy.stop()
