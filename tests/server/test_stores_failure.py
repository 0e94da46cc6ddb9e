"""Databases that fail: their names get SERVFAIL in time and nobody else
notices, the error log says it once, and all is well when they are back."""

import concurrent.futures
import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import time

import dns.message
import dns.rcode
import pytest

from proxy import Proxy
from resolua_server import HOST, leaves_at_most, wait_for
from service_conf import resolua
from stores import (ede, is_failure, open_zones, texts, wait_for_answer)

CONF = """
dns_store lmdb path=@FOLDER@/data;
%(stores)s
%(main)s

stream {
    server {
        listen 127.0.0.1:@DNS@ udp %(listen)s rcvbuf=4m sndbuf=4m;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        %(server)s
    }
}

http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block { require("dns.api").serve() } }
    }
}
"""
TIMEOUT = 0.4  # seconds, of the store that fails
OPTIONS = "timeout=400ms poll=50ms ttl_cap=1h"
OTHER_OPTIONS = "timeout=10s poll=50ms ttl_cap=1h"
PATIENT = "timeout=2s poll=50ms ttl_cap=1h"  # where nothing has to time out
TRIES = 5  # of what has to be quick: a busy machine may be slow at some
LMDB_ZONE = """\
$ORIGIN lmdb.test.
@ 60 SOA ns1 hostmaster 7 3600 600 86400 60
@ 60 NS ns1
ns1 60 A 192.0.2.53
www 60 A 192.0.2.90
"""
FAILS = r"dns_store \S+ (?:fails|cannot be reached): .*"
RECOVERS = r"dns_store \S+ answers again"
OTHER = {"mysql": "redis", "redis": "mysql"}


@pytest.fixture(scope="module")
def mysql(tmp_path_factory):
    zones = open_zones("mysql", tmp_path_factory.mktemp("mysql"))
    fill(zones)
    yield zones
    zones.db.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    zones = open_zones("redis", tmp_path_factory.mktemp("redis"))
    fill(zones)
    yield zones
    zones.db.stop()


def fill(zones):
    zones.make(f"{zones.kind}.test", [
        ("www", "A", 60, "192.0.2.80"), ("cached", "A", 3600, "192.0.2.81"),
        ("*.wild", "A", 60, "192.0.2.99")])


class Setting:
    """A server with one store behind a proxy, the other one beside it."""

    def __init__(self, start, zones, other):
        self.kind = zones.kind
        self.zones = zones
        self.other = other
        self.proxy = Proxy(zones.port)
        self.make = start
        self.server = None

    def serve(self, options=OPTIONS, url=None, run=True, server="", main="",
              listen="", **more):
        url = url or self.zones.url(self.proxy.port)
        self.server = self.make(CONF % {
            "stores": f"dns_store {url} {options};\n"
                      f"dns_store {self.other.url()} {OTHER_OPTIONS};",
            "main": f"dns_cache 16m; {main}", "server": server,
            "listen": listen}, run=False, **more)
        resolua(self.server, "zone", "load",
                self.server.file("zone", LMDB_ZONE))
        return self.server.start() if run else self.server

    def ask(self, owner="www", **options):
        return self.server.query(f"{owner}.{self.kind}.test", use_edns=0,
                                 **options)

    def warm_up(self):
        """The cache is emptied when a store tells its zones first."""
        for zones in (self.other, self.zones):
            wait_for_answer(self.server, f"www.{zones.kind}.test", "A",
                            ["192.0.2.80"])
        assert texts(self.ask("cached")) == ["192.0.2.81"]

    def fail(self, mode):
        self.proxy.mode = mode
        if mode == "refuse":
            self.proxy.cut()

    def check_others(self):
        """What does not need the failing store comes without delay."""
        for name, text in ((f"cached.{self.kind}.test", "192.0.2.81"),
                           (f"www.{self.other.kind}.test", "192.0.2.80"),
                           (f"x.wild.{self.other.kind}.test", "192.0.2.99"),
                           ("www.lmdb.test", "192.0.2.90")):
            def took():
                began = time.monotonic()
                assert texts(self.server.query(name)) == [text]
                return time.monotonic() - began
            assert any(took() < TIMEOUT for _ in range(TRIES)), name

    def log_lines(self, pattern):
        return re.findall(pattern, self.server.log())

    def check_states(self):
        """Each state of the store is logged once, however many queries met
        it; on a slow machine it may fail for a moment while it recovers."""
        states = re.findall(f"{FAILS}|{RECOVERS}", self.server.log())
        fails = ["answers again" not in line for line in states]
        assert fails == [n % 2 == 0 for n in range(len(fails))]
        assert 1 <= len(fails) <= 6

    def recover(self, seconds=60.0):
        self.proxy.mode = "pass"
        wait_for(lambda: texts(self.ask()) == ["192.0.2.80"], seconds,
                 "the store's names")
        self.server.wait_for_log(RECOVERS, seconds)


@pytest.fixture(params=["mysql", "redis"])
def setting(request, start, mysql, redis):
    both = {"mysql": mysql, "redis": redis}
    one = Setting(start, both[request.param], both[OTHER[request.param]])
    yield one
    one.proxy.stop()


@contextlib.contextmanager
def stopped(server):
    """What comes meanwhile is there at once when the workers go on."""
    pids = server.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def ask_in_turn(server, names, at_once=500, responses=None):
    """One query for each name over UDP, so many under way; the responses."""
    responses = [] if responses is None else responses
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.connect((HOST, server.port("DNS")))
        s.settimeout(10)
        for at in range(0, len(names), at_once):
            some = names[at:at + at_once]
            for number, name in enumerate(some):
                query = dns.message.make_query(name, "A")
                query.id = number
                s.send(query.to_wire())
            for _ in some:
                responses.append(s.recv(4096))
    return responses


def rcodes(responses):
    return {octets[3] & 15 for octets in responses}


def open_files(server):
    return sum(len(os.listdir(f"/proc/{pid}/fd"))
               for pid in server.worker_pids())


@pytest.mark.parametrize("fault", ["refuse", "hole", "delay", "garbage",
                                   "half"])
def test_a_fault_hits_the_stores_own_names_alone(setting, fault):
    server = setting.serve(PATIENT if fault == "refuse" else OPTIONS)
    setting.warm_up()
    workers = server.worker_pids()
    setting.proxy.delay = 3 * TIMEOUT
    setting.fail(fault)

    times = []
    for number in range(3):
        began = time.monotonic()
        response = setting.ask(f"n{number}")
        times.append(time.monotonic() - began)
        assert response.rcode() == dns.rcode.SERVFAIL
        assert ede(response) in ([22], [23])
        setting.check_others()
    assert min(times) < 2 * TIMEOUT
    server.wait_for_log(FAILS)
    setting.recover()
    wait_for(lambda: setting.ask("n0").rcode() == dns.rcode.NXDOMAIN)  # not kept

    setting.check_states()
    assert len(setting.log_lines(r"\[error\]")) == len(setting.log_lines(FAILS))
    assert fault != "refuse" or "refused" in setting.log_lines(FAILS)[0] \
        or "(111)" in setting.log_lines(FAILS)[0]
    assert "secret" not in server.log()
    assert server.worker_pids() == workers


@pytest.mark.parametrize("fault", ["refuse", "hole", "garbage"])
def test_thousands_of_failing_queries_leave_nothing_behind(setting, fault):
    server = setting.serve("timeout=100ms poll=100ms ttl_cap=1h")
    setting.warm_up()
    ask_in_turn(server, [f"a{i}.{setting.kind}.test" for i in range(1000)])
    setting.fail(fault)
    wait_for(lambda: is_failure(setting.ask("new")))
    names = [f"b{i}.{setting.kind}.test" for i in range(1000)]
    for _ in range(2):
        assert rcodes(ask_in_turn(server, names)) == {dns.rcode.SERVFAIL}
    files = open_files(server)

    def fail_again():
        assert rcodes(ask_in_turn(server, names)) == {dns.rcode.SERVFAIL}
        setting.check_others()

    assert leaves_at_most(1 << 20, server.workers_memory, fail_again)
    assert open_files(server) <= files + 16
    setting.recover()
    wait_for(lambda: rcodes(ask_in_turn(server, names[:100], 5))
             == {dns.rcode.NXDOMAIN})
    setting.check_states()


def test_a_slow_store_costs_a_query_the_timeout_once(setting):
    """However often the store is asked for it: each link of a chain comes in
    time, all of them do not."""
    zone = f"slow{setting.kind}.test"
    setting.zones.make(zone, [
        *((f"c{i}", "CNAME", 60, f"c{i + 1}.{zone}.") for i in range(8)),
        ("c8", "A", 60, "192.0.2.8")])
    server = setting.serve()
    wait_for_answer(server, f"c8.{zone}", "A", ["192.0.2.8"])
    setting.proxy.delay = 0.3 * TIMEOUT
    setting.proxy.mode = "delay"

    def took():
        began = time.monotonic()
        response = server.query(f"c0.{zone}", use_edns=0)
        assert response.rcode() == dns.rcode.SERVFAIL
        return time.monotonic() - began
    assert any(took() < 2 * TIMEOUT for _ in range(TRIES))
    setting.zones.drop(zone)


@pytest.mark.parametrize("mode", ["refuse", "hole"])
def test_a_store_that_is_away_at_the_start(setting, mode):
    setting.proxy.mode = mode
    server = setting.serve()
    for name, text in ((f"www.{setting.other.kind}.test", "192.0.2.80"),
                       ("www.lmdb.test", "192.0.2.90")):
        wait_for_answer(server, name, "A", [text])

    def took():  # Nobody knows whether the store has it.
        began = time.monotonic()
        assert is_failure(setting.ask())
        return time.monotonic() - began
    assert any(took() < 2 * TIMEOUT for _ in range(TRIES))
    server.wait_for_log(FAILS)
    setting.recover()
    wait_for(lambda: server.query("www.unknown.test").rcode()
             == dns.rcode.REFUSED)
    setting.check_states()


def test_renamed_queries_fail_as_others_do(setting):
    server = setting.serve(server="""
        dns_query_by_lua_block {
            local q = ...
            local label, zone = q.name:match("^(new%d*)%.(.*)")
            if label then -- the answer to www is kept
                q:rewrite((label == "new" and "www." or "other.") .. zone)
            end
        }""")
    setting.warm_up()
    wait_for(lambda: texts(setting.ask("new")) == ["192.0.2.80"])
    for mode in ("refuse", "hole"):
        setting.fail(mode)
        for number in range(3):
            response = setting.ask(f"new{number}")
            assert is_failure(response) and ede(response) in ([22], [23])
    setting.proxy.mode = "pass"
    wait_for(lambda: texts(setting.ask("new")) == ["192.0.2.80"])
    assert "the zone store failed" not in server.log()


def test_clients_that_do_not_wait_leave_nothing_behind(setting):
    """Over TCP, with a hook and without, while the store says nothing."""
    server = setting.serve("timeout=100ms poll=100ms ttl_cap=1h", server="""
        dns_tcp_max_per_client 0;
        dns_query_by_lua_block {
            local q = ...
            if q.name:find("^new") then
                q:rewrite("www." .. q.name:match("%.(.*)"))
            end
        }""")
    setting.warm_up()
    setting.fail("hole")
    workers = server.worker_pids()

    def leave(count):
        for number in range(count):
            with socket.create_connection((HOST, server.port("DNS"))) as s:
                for owner in (f"new{number}", f"other{number}"):
                    wire = dns.message.make_query(
                        f"{owner}.{setting.kind}.test", "A").to_wire()
                    s.sendall(len(wire).to_bytes(2, "big") + wire)
        wait_for(lambda: is_failure(setting.ask("last")))

    leave(300)
    assert leaves_at_most(1 << 20, server.workers_memory, lambda: leave(300))
    assert server.worker_pids() == workers
    setting.proxy.mode = "pass"
    wait_for(lambda: texts(setting.ask("new")) == ["192.0.2.80"])


def test_renamed_queries_of_a_store_that_is_away_at_the_start(setting):
    setting.proxy.mode = "hole"
    setting.serve(server="""
        dns_query_by_lua_block {
            local q = ...
            q:rewrite("www." .. q.name:match("%.(.*)"))
        }""", workers=1)
    assert is_failure(setting.ask("new"))
    setting.proxy.mode = "pass"
    wait_for(lambda: texts(setting.ask("new")) == ["192.0.2.80"])


def test_killed_connections_are_not_seen_by_clients(setting):
    server = setting.serve("timeout=5s poll=100ms")
    setting.warm_up()
    names = [f"k{i}.wild.{setting.kind}.test" for i in range(3000)]
    responses = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asking = pool.submit(ask_in_turn, server, names, 50, responses)
        while not asking.done():
            count = len(responses)
            setting.zones.kill_connections()
            wait_for(lambda: asking.done() or len(responses) > count + 50)
    assert rcodes(asking.result()) == {dns.rcode.NOERROR}
    # And while nobody asks.
    for number in range(5):
        setting.zones.kill_connections()
        assert texts(setting.ask(f"later{number}.wild")) == ["192.0.2.99"]
    assert not setting.log_lines(FAILS)


def test_another_host_takes_over(setting):
    second = Proxy(setting.zones.port)
    url = setting.zones.url().replace(
        f":{setting.zones.port}",
        f":{setting.proxy.port},{HOST}:{second.port}")
    server = setting.serve("timeout=2s poll=50ms ttl_cap=1h", url=url)
    setting.warm_up()
    names = (f"f{i}.wild" for i in itertools.count())
    assert texts(setting.ask(next(names))) == ["192.0.2.99"]
    assert second.accepted == 0
    # One that refuses is not even noticed.
    setting.fail("refuse")
    for _ in range(5):
        assert texts(setting.ask(next(names))) == ["192.0.2.99"]
    assert second.accepted > 0 and not setting.log_lines(FAILS)
    # One that says nothing costs its queries the timeout, then the next one
    # is taken.
    setting.proxy.mode = "pass"
    second.mode = "hole"
    assert is_failure(setting.ask(next(names)))
    wait_for(lambda: texts(setting.ask(next(names))) == ["192.0.2.99"])
    server.wait_for_log(RECOVERS)
    second.stop()


def test_a_password_that_is_wrong_for_a_while(setting):
    url = setting.zones.url(setting.proxy.port).replace("secret", "mistaken")
    server = setting.serve(PATIENT, url=url)
    wait_for_answer(server, "www.lmdb.test", "A", ["192.0.2.90"])
    assert is_failure(setting.ask())
    line = server.wait_for_log(FAILS)[0]
    assert re.search("Access denied|WRONGPASS|invalid", line), line
    assert "mistaken" not in server.log()
    if setting.kind == "mysql":
        setting.zones.db.run("SET PASSWORD FOR resolua@'%' ="
                             " PASSWORD('mistaken')")
    else:
        setting.zones.db.run("ACL", "SETUSER", "default", ">mistaken")
    setting.recover()
    if setting.kind == "mysql":
        setting.zones.db.run("SET PASSWORD FOR resolua@'%' ="
                             " PASSWORD('secret')")
    else:
        setting.zones.db.run("ACL", "SETUSER", "default", "<mistaken")
    assert len(setting.log_lines(FAILS)) == 1


def test_a_database_with_no_place_for_us(setting):
    zones = setting.zones
    server = setting.serve(PATIENT + " max_connections=4")
    setting.warm_up()
    limit(zones, 2 if setting.kind == "mysql" else zones.connections() + 1)
    setting.proxy.cut()
    names = [f"p{i}.{setting.kind}.test" for i in range(300)]
    # What it takes is enough for some time.
    wait_for(lambda: setting.ask("x").rcode() == dns.rcode.NXDOMAIN)
    rcodes(ask_in_turn(server, names, 100))
    assert rcodes(ask_in_turn(server, names[:20], 1)) == {dns.rcode.NXDOMAIN}
    limit(zones, None)
    wait_for(lambda: rcodes(ask_in_turn(server, names, 100))
             == {dns.rcode.NXDOMAIN})


def limit(zones, count):
    """How many connections the database takes from us; None: any number."""
    if zones.kind == "mysql":
        zones.db.run("ALTER USER resolua@'%' WITH MAX_USER_CONNECTIONS"
                     f" {count or 0}")
    else:
        # Redis may have no place for us either.
        wait_for(lambda: zones.db.run("CONFIG", "SET", "maxclients",
                                      str(count or 10000), check=False)
                 .strip() == "OK", 60)


@pytest.fixture
def mysql_setting(start, mysql, redis):
    one = Setting(start, mysql, redis)
    yield one
    one.proxy.stop()


def test_a_missing_table(mysql_setting):
    setting, db = mysql_setting, mysql_setting.zones.db
    server = setting.serve(PATIENT)
    setting.warm_up()
    db.run("RENAME TABLE records TO elsewhere")
    for number in range(20):
        assert is_failure(setting.ask(f"m{number}"))
        setting.check_others()
    assert "doesn't exist" in server.wait_for_log(FAILS)[0]
    db.run("RENAME TABLE elsewhere TO records")
    setting.recover()
    assert len(setting.log_lines(FAILS)) == 1
    assert len(setting.log_lines(RECOVERS)) == 1


def test_a_locked_table(mysql_setting):
    """Queries that were given up do not pile up in the database."""
    setting, db = mysql_setting, mysql_setting.zones.db
    server = setting.serve("timeout=200ms poll=50ms ttl_cap=1h"
                           " max_connections=4")
    setting.warm_up()
    numbers = itertools.count()
    with locked(db):
        wait_for(lambda: is_failure(setting.ask(f"l{next(numbers)}")))
        for _ in range(10):
            some = [f"l{next(numbers)}.mysql.test" for _ in range(20)]
            assert rcodes(ask_in_turn(server, some)) == {dns.rcode.SERVFAIL}
            setting.check_others()
        assert setting.zones.connections() <= 30  # not 4 for each 200 ms
    setting.recover()
    setting.check_states()


@contextlib.contextmanager
def locked(db):
    holder = subprocess.Popen(
        ["mariadb", "--no-defaults", f"--socket={db.socket}", "-uroot", "dns"],
        stdin=subprocess.PIPE, text=True)
    holder.stdin.write("LOCK TABLES records WRITE;\n")
    holder.stdin.flush()
    try:
        yield
    finally:
        holder.communicate(timeout=10)


def test_a_database_that_is_killed_and_comes_back(mysql_setting):
    setting = mysql_setting
    setting.serve(PATIENT, url=setting.zones.url())
    setting.warm_up()
    setting.zones.db.stop(kill=True)
    for number in range(5):
        assert is_failure(setting.ask(f"r{number}"))
        setting.check_others()
    setting.zones.db.start()
    setting.recover()
    assert len(setting.log_lines(FAILS)) == 1


def test_workers_end_while_a_store_hangs(setting):
    """A reload loses no query; nothing is left open."""
    server = setting.serve("timeout=500ms poll=100ms ttl_cap=1h")
    setting.warm_up()
    setting.fail("hole")
    old = server.worker_pids()
    names = [f"e{i}.{setting.kind}.test" for i in range(50)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST, server.port("DNS")))
        s.settimeout(5)
        for name in names:
            s.send(dns.message.make_query(name, "A").to_wire())
        setting.check_others()  # so that all are under way
        server.reload()
        assert rcodes([s.recv(4096) for _ in names]) == {dns.rcode.SERVFAIL}
    wait_for(lambda: not set(old) & set(server.worker_pids()))
    setting.proxy.mode = "pass"
    setting.warm_up()
    # At once, with queries under way.
    setting.fail("hole")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((HOST, server.port("DNS")))
        for name in names:
            s.send(dns.message.make_query(name, "A").to_wire())
        setting.check_others()
        server.stop(signal.SIGTERM)


def test_edits_of_a_store_that_is_down_are_refused(setting):
    server = setting.serve(PATIENT)
    setting.warm_up()
    path = f"/dns/zones/{setting.kind}.test/www/A"
    body = '{"ttl": 60, "records": ["192.0.2.1"]}'
    setting.fail("refuse")
    for _ in range(3):
        reply = server.http(path, "PUT", body)
        assert reply.status in (500, 502, 503) and reply.json()["error"]
        setting.check_others()
    name = f"new.{setting.kind}.test"
    assert server.http(f"/dns?domain={name}&type=A").status == 502
    explained = server.http(f"/dns/explain?name={name}")
    assert explained.status == 200, explained.text
    assert explained.json()["response"]["rcode"] in (2, "SERVFAIL")
    setting.fail("hole")  # the edit waits, and nobody with it
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.http, path, "PUT", body)
        wait_for(lambda: setting.proxy.pairs)
        for _ in range(5):
            setting.check_others()
        assert not waiting.done()
        setting.fail("refuse")
        assert waiting.result(10).status in (500, 502, 503)
    setting.proxy.mode = "pass"
    wait_for(lambda: texts(setting.ask()) == ["192.0.2.80"])
    assert server.http(path, "PUT", body.replace("2.1", "2.80")).status == 200


def test_a_random_name_flood_leaves_the_others_alone(setting):
    server = setting.serve("timeout=2s poll=100ms ttl_cap=1h queue=64")
    setting.warm_up()
    setting.proxy.delay = 0.05
    setting.proxy.mode = "delay"
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.connect((HOST, server.port("DNS")))
        for number in range(3000):
            flood.send(dns.message.make_query(
                f"x{number}.{setting.kind}.test", "A").to_wire())
            if number % 100 == 0:
                setting.check_others()
                answered += 1
    assert answered == 30
    assert len(setting.log_lines(FAILS)) <= 1
    setting.proxy.mode = "pass"

    # A strange name may be dropped; a real client asks again.
    wait_for(lambda: setting.ask("calm", timeout=1).rcode()
             == dns.rcode.NXDOMAIN, 30)


def test_queries_over_the_queue_end_once(setting):
    """More than may wait come in one turn of the event loop."""
    server = setting.serve(f"{PATIENT} queue=8", main="dns_flood_limit off;")
    setting.warm_up()
    names = [f"q{i}.{setting.kind}.test" for i in range(60)]
    for _ in range(20):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            with stopped(server):
                asking = pool.submit(ask_in_turn, server, names)
                time.sleep(0.02)
            seen = rcodes(asking.result())
        assert seen <= {dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN}
        assert dns.rcode.NXDOMAIN in seen
    setting.check_others()


# Configurations.

@pytest.mark.parametrize("directive, message", [
    ("mysql://u:p@127.0.0.1/dns speed=1", 'dns_store "speed": no such option'),
    ("mysql://u:p@127.0.0.1/dns timeout=soon", '"timeout=soon": not a time'),
    ("mysql://u:p@127.0.0.1/dns timeout=0", '"timeout=0": not a time'),
    ("mysql://u:p@127.0.0.1/dns poll=-1s", '"poll=-1s": not a time'),
    ("mysql://u:p@127.0.0.1/dns ttl_cap=x", '"ttl_cap=x": not a time'),
    ("mysql://u:p@127.0.0.1/dns queue=0", '"queue=0": not a number'),
    ("redis://127.0.0.1/ max_connections=many",
     '"max_connections=many": not a number'),
    ("redis://127.0.0.1/ max_connections=100000",
     '"max_connections=100000": not a number'),
    ("mysql://u:p@127.0.0.1/", "a database is missing"),
    ("mysql://u:p@127.0.0.1", "a database is missing"),
    ("redis://127.0.0.1/dns", '"dns": not a database\'s number'),
    ("mysql://u:p@no-such-host.invalid/dns",
     'host not found in "no-such-host.invalid"'),
    ("mysql://u:p@127.0.0.1:99999/dns", "not a port"),
    ("mysql://u:p@/dns", "neither a host nor socket=PATH"),
    ("mysql://u:p@127.0.0.1/dns socket=/tmp/s",
     "both a host and socket=PATH"),
    ("mysql://u:p@/dns socket=/%s" % ("s" * 200), "too long a path"),
    ("mysql://u:p@127.0.0.1/dns prefix=x", '"prefix": not an option'),
    ("redis://127.0.0.1/ coredns=x", '"coredns": not an option'),
    ("mysql://u:p@127.0.0.1/dns password_file=none", 'none" cannot be read'),
    ("mysql://u:p@127.0.0.1/dns timeout", '"timeout": not of the form'),
    ("postgres://u:p@127.0.0.1/dns", "not a store"),
    ("mysql://u:p@127.0.0.1/dns ca_file=/none.pem", "/none.pem"),
])
def test_configuration_errors_say_what_is_wrong(start, directive, message):
    server = start(f"dns_store {directive};\nstream {{ }}", run=False)
    code, said = server.test_configuration()
    server.allow_log("dns_store")
    assert code != 0 and message in said, said
