"""Databases that mean harm: what they send costs a worker neither its life, nor
its memory, nor its threads, nor anybody's password."""

import os
import random
import socketserver
import subprocess
import sys
import threading
import time

import pytest

from fake_mysql import CLEAR, SHA2, SHA256, FakeMySql, greeting, hostile
from resolua_server import HOST, wait_for
from service_conf import resolua
from stores import texts

CONF = """
dns_store lmdb path=@FOLDER@/data;
dns_store %s timeout=%s poll=100ms ttl_cap=0;
stream { server { listen 127.0.0.1:@DNS@ udp; listen 127.0.0.1:@DNS@; dns_serve on; } }
http {
    lua_socket_log_errors off;
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block { require("dns.api").serve() } }
        location /t {
            content_by_lua_block {
                local mysql = require "resty.mysql"
                local db = mysql:new()
                db:set_timeout(200)
                local args = ngx.req.get_uri_args()
                local ok, err = db:connect{ host = args.port and (args.host or "127.0.0.1"),
                    port = tonumber(args.port), server_public_key = args.key,
                    path = args.path, user = "resolua", password = "secret", database = "dns" }
                if ok then
                    ok, err = db:query("select name, content, id from domains")
                    while err == "again" do ok, err = db:read_result() end
                end
                ngx.say(ok and "ok" or err)
            }
        }
    }
}
"""

EMBEDDED = """\
$ORIGIN e.test.
@ 60 SOA ns1 hostmaster 7 3600 600 86400 60
@ 60 NS ns1
www 60 A 192.0.2.90
"""


@pytest.fixture
def fake():
    server = FakeMySql()
    yield server
    server.close()


def serve(start, url, timeout="200ms", **options):
    server = start(CONF % (url, timeout), run=False, **options)
    resolua(server, "zone", "load", server.file("zone", EMBEDDED))
    return server.start()


def put(server, zone, number):
    return server.http(f"/dns/zones/{zone}/www/A", "PUT",
                       '{"ttl":60,"records":["192.0.2.%d"]}' % number, timeout=60)


def test_what_a_mysql_server_may_send(start, fake):
    """To live queries, to /dns, which blocks, and to a script."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    server = serve(start, fake.url())
    workers = server.worker_pids()

    def ask_all(i):
        answers = [server.query("www.f.test").rcode(), server.query(f"n{i}.f.test").rcode()]
        return answers + [server.http("/dns/zones/f.test", timeout=60).status,
                          server.http(f"/t?port={fake.port}", timeout=60).text]

    wait_for(lambda: ask_all(0) == [0, 3, 200, "ok\n"])
    rng = random.Random(seed)
    changes = hostile(rng)
    known = [c for c in changes if c[0] == "greeting"][:14]
    for i, (kind, change) in enumerate(known + rng.sample(changes, 60)):
        fake.reset()
        fake.hangs_up = True
        fake.auth_plugin = b"mysql_native_password" if kind == "switch" else None
        fake.change = lambda k, p, kind=kind, change=change: change(p) if k == kind else p
        ask_all(i)
    assert server.worker_pids() == workers
    assert texts(server.query("www.e.test")) == ["192.0.2.90"]
    fake.reset()
    wait_for(lambda: ask_all(9) == [0, 3, 200, "ok\n"], 30)
    # Not the end, but nothing more to come.
    for kind in ("greeting", "login", "prepared", "row", "columns"):
        fake.change = lambda k, p, kind=kind: p[:-1] if k == kind else p
        assert server.query("www.f.test").rcode() in (0, 2)
        assert server.http(f"/t?port={fake.port}", timeout=60).status == 200
    fake.reset()
    wait_for(lambda: ask_all(9) == [0, 3, 200, "ok\n"], 30)
    assert server.worker_pids() == workers


def test_a_server_tells_another_number_of_parameters(start, fake):
    """As many are then taken out of memory as it says."""
    server = serve(start, fake.url(), "2s")
    wait_for(lambda: server.query("www.f.test").rcode() == 0, 60)
    for count in (0, 3, 5, 200, 65535):
        fake.change = lambda kind, packet, count=count: (
            packet[:7] + count.to_bytes(2, "little") + packet[9:] if kind == "prepared"
            else packet)
        fake.parameters = count
        fake.cut()
        wait_for(lambda: server.query("www.f.test", timeout=20).rcode() == 2, 60)
    assert "another number of parameters" in server.log()
    fake.reset()
    wait_for(lambda: server.query("www.f.test").rcode() == 0)


@pytest.mark.parametrize("plugin", [CLEAR, b"dialog"])
@pytest.mark.parametrize("first", [True, False])
def test_no_password_goes_in_clear_text_over_tcp(start, fake, plugin, first):
    def ask(server):
        server.query("www.f.test")
        server.http("/dns/zones/f.test", timeout=60)
        return server.http(f"/t?port={fake.port}").text

    server = serve(start, fake.url())
    wait_for(lambda: ask(server) == "ok\n")
    fake.auth_plugin = plugin
    if first:  # in the greeting already
        fake.change = lambda kind, packet: (greeting(plugin=plugin) if kind == "greeting"
                                            else packet)
    fake.cut()
    for _ in range(3):
        assert ask(server) != "ok\n"
    assert fake.passwords == []
    assert b"secret" not in fake.heard


def test_a_unix_socket_takes_a_password_in_clear_text(start, tmp_path):
    fake = FakeMySql(path=str(tmp_path / "s"))
    fake.auth_plugin = CLEAR
    server = serve(start, f"mysql://resolua:secret@/dns socket={tmp_path}/s")
    wait_for(lambda: server.query("www.f.test").rcode() == 0)
    assert server.http("/dns/zones/f.test").status == 200
    assert server.http(f"/t?path={tmp_path}/s").text == "ok\n"
    assert len(fake.passwords) >= 3 and set(fake.passwords) == {b"secret\0"}
    fake.close()


OTHER_HOST = "198.51.100.9"  # RFC 5737, in a network namespace


def run_in_namespace(test):
    """The test once more, where OTHER_HOST is an address of this host and nobody else's."""
    rights = ["-r"] if os.geteuid() != 0 else []
    done = subprocess.run(
        ["unshare", "-n", *rights, "sh", "-c",
         f'ip link set lo up && ip addr add {OTHER_HOST}/32 dev lo && exec "$@"', "sh",
         sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{test}"],
        env={**os.environ, "IN_NAMESPACE": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ask_by_key(start, fake, plugin, key=""):
    """Live, through /dns, as a mirror and from a script; what is said about it."""
    fake.auth_plugin = plugin
    option = f" server_public_key={key}" if key else ""
    logs = []
    for more in ("", " mirror=data"):
        server = serve(start, fake.url(), f"5s{option}{more}")
        server.query("www.f.test")
        text = server.http("/dns/zones/f.test", timeout=60).text
        text += server.http(f"/t?port={fake.port}&host={fake.host}" + (f"&key={key}" if key else "")).text
        if more:
            wait_for(lambda: "mirror of" in server.log())
        logs += [server.log(), text]
        server.stop()
    return logs


def test_no_password_goes_by_a_key_that_anybody_could_send(start):
    """Who is between server and client could send a key of its own."""
    if "IN_NAMESPACE" not in os.environ:
        run_in_namespace("test_no_password_goes_by_a_key_that_anybody_could_send")
        return
    with FakeMySql(host=OTHER_HOST) as fake:
        for plugin in (SHA2, SHA256):
            logs = ask_by_key(start, fake, plugin)
            assert fake.passwords == [] and fake.keys_sent == 0
            assert all("server_public_key" in log for log in logs)
    with FakeMySql() as fake:
        ask_by_key(start, fake, SHA2)
        ask_by_key(start, fake, SHA256)
        assert fake.keys_sent == len(fake.passwords) >= 8 and set(fake.passwords) == {b"secret\0"}


def test_a_key_that_is_known(start, tmp_path):
    """server_public_key=FILE: the server's key, and a file without one."""
    if "IN_NAMESPACE" not in os.environ:
        run_in_namespace("test_a_key_that_is_known")
        return
    file = tmp_path / "public_key.pem"
    with FakeMySql(host=OTHER_HOST) as fake:
        file.write_bytes(fake.public_key())
        logs = ask_by_key(start, fake, SHA2, file)
        assert len(fake.passwords) >= 4 and set(fake.passwords) == {b"secret\0"}
        assert fake.keys_sent == 0 and not any("server_public_key" in log for log in logs)
    with FakeMySql() as fake:  # over loopback too
        file.write_text("no key")
        ask_by_key(start, fake, SHA2, file)
        assert fake.passwords == [] and fake.keys_sent == 0


class SlowRedis(socketserver.BaseRequestHandler):
    """Whatever is asked, the answer has no end."""

    def handle(self):
        try:
            while True:
                self.request.recv(65536)
                for octets in self.server.reply():
                    self.request.sendall(octets)
        except OSError:
            pass


class Replies:
    """Of a Redis server, one after another."""

    def __init__(self):
        self.is_over = False

    def drip(self):
        yield b"$60000\r\n"
        while not self.is_over:
            yield b"x"
            time.sleep(0.05)

    def line(self):
        yield b"+"
        while not self.is_over:
            yield b"y" * 65536

    @staticmethod
    def arrays():
        yield b"*1\r\n" * 100

    @staticmethod
    def elements():
        yield b"*2000000000\r\n$-1\r\n"

    @staticmethod
    def bulk():
        yield b"$2147483647\r\n" + b"z" * 1000

    @staticmethod
    def kinds():
        yield b"*2\r\n:1\r\n:2\r\n*2\r\n$-1\r\n$-1\r\n:7\r\n*-1\r\n-\r\n" * 20


@pytest.fixture
def redis():
    """A server whose replies are those of redis.reply."""
    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 100

    replies = Replies()
    server = Server((HOST, 0), SlowRedis)
    server.replies = replies
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    replies.is_over = True
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("reply", ["line", "arrays", "elements", "bulk", "kinds"])
def test_what_a_redis_server_may_send(start, redis, reply):
    redis.reply = getattr(redis.replies, reply)
    server = serve(start, f"redis://{HOST}:{redis.server_address[1]}")
    workers = server.worker_pids()
    for i in range(2):
        if i == 0 or reply != "bulk":  # which is waited for
            assert server.http("/dns/zones/f.test", timeout=60).status >= 400
        assert server.query("www.f.test").rcode() == 2
        assert texts(server.query("www.e.test")) == ["192.0.2.90"]
    assert server.worker_pids() == workers
    for pid in workers:
        with open(f"/proc/{pid}/status") as status:
            size = next(x for x in status if x.startswith("VmHWM"))
        assert int(size.split()[1]) < 3 << 20  # kB


@pytest.mark.parametrize("kind", ["mysql", "redis"])
def test_a_reply_octet_by_octet_holds_up_nobody_else(start, fake, redis, kind):
    """More edits than there are threads, all of them of the slow store."""
    redis.reply = redis.replies.drip
    url = fake.url() if kind == "mysql" else f"redis://{HOST}:{redis.server_address[1]}"
    if kind == "mysql":
        fake.slow = 0.05
    server = serve(start, url)
    old = server.worker_pids()
    waiting = [threading.Thread(target=put, args=(server, "f.test", 1), daemon=True)
               for _ in range(40)]
    for one in waiting:
        one.start()
    wait_for(lambda: fake.said or kind == "redis")
    for number in range(1, 6):
        assert put(server, "e.test", number).status == 200
    assert not all(not one.is_alive() for one in waiting)
    server.reload()
    wait_for(lambda: not set(old) & set(server.worker_pids()), 60)
    for one in waiting:
        one.join(60)
        assert not one.is_alive()
    threading.Thread(target=put, args=(server, "f.test", 1), daemon=True).start()
    assert put(server, "e.test", 9).status == 200
    server.stop()


def test_a_run_of_a_mirror_ends(start):
    """Each call is answered in the time of a call, but there is one for each zone."""
    zones = {f"z{i}.test": [] for i in range(30)}
    with FakeMySql(zones) as fake:
        fake.change = lambda kind, packet: (
            time.sleep(5 * (kind == "columns" and b"ttl" in fake.heard[-2000:])), packet)[1]
        server = serve(start, fake.url(), "5s mirror=data")
        server.wait_for_log("is too slow: the run was ended", 60)
        assert texts(server.query("www.e.test")) == ["192.0.2.90"]
