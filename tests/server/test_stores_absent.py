"""Names that are not there: the database is asked once for all names of a zone, not for what is
below each."""

import json

import pytest

from databases import MariaDb, Redis
from resolua_server import wait_for

CONF = """
%s
stream { server { listen 127.0.0.1:@DNS@ udp; dns_serve on; } }
http { server { listen 127.0.0.1:@HTTP@;
    location /dns { content_by_lua_block { require("dns.api").serve() } } } }
"""


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    database = MariaDb(tmp_path_factory.mktemp("mariadb"))
    database.run_file("sql/mysql/schema.sql")
    database.run_file("sql/mysql/sample.sql")
    yield database
    database.stop()


class MySqlStore:
    def __init__(self, database):
        self.database = database
        self.directive = f"dns_store mysql://resolua:secret@127.0.0.1:{database.port}/dns %s;"

    def count_walks(self):
        """Statements that walked over names or over a zone: LIKE, DISTINCT."""
        text = self.database.run("SELECT argument FROM mysql.general_log", database="mysql")
        return (sum(" LIKE " in line for line in text.splitlines()),
                sum("DISTINCT name" in line for line in text.splitlines()))

    def watch(self):
        self.database.run("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log;"
                          "SET GLOBAL general_log = 1", database="mysql")

    def add(self, name):
        self.database.run("INSERT INTO records (domain_id, name, type, content, ttl) SELECT id,"
                          f" '{name}', 'A', '192.0.2.1', 60 FROM domains WHERE name = 'example.test'")


class RedisStore:
    def __init__(self, database):
        self.database = database
        self.directive = f"dns_store redis://default:secret@127.0.0.1:{database.port}/3 %s;"
        for field, value in {
                "@": {"soa": {"ns": "ns.r.test.", "mbox": "h.r.test.", "refresh": 1, "retry": 2,
                              "expire": 3, "minttl": 4, "ttl": 60},
                      "ns": [{"host": "ns.r.test.", "ttl": 60}]},
                "a.below": {"a": [{"ip": "192.0.2.1", "ttl": 60}]}}.items():
            database.run("HSET", "example.test.", field, json.dumps(value))

    def watch(self):
        self.database.run("CONFIG", "RESETSTAT")

    def count_walks(self):
        text = self.database.run("INFO", "commandstats")
        calls = [line for line in text.splitlines() if "cmdstat_hkeys" in line]
        return 0, int(calls[0].split("calls=")[1].split(",")[0]) if calls else 0

    def add(self, name):
        self.database.run("HSET", "example.test.", name.removesuffix(".example.test"),
                          json.dumps({"a": [{"ip": "192.0.2.1", "ttl": 60}]}))


@pytest.fixture(params=["mysql", "redis"])
def store(request, mariadb, tmp_path):
    if request.param == "mysql":
        yield MySqlStore(mariadb)
        return
    database = Redis(tmp_path)
    yield RedisStore(database)
    database.stop()


def serve(start, store, options, more=""):
    server = start(CONF % (store.directive % options + more))
    wait_for(lambda: server.query("example.test", "SOA").answer)
    return server


def test_many_absent_names_are_one_walk(start, store):
    server = serve(start, store, "ttl_cap=1h")
    store.watch()
    for i in range(50):
        assert server.query(f"n{i}.example.test").rcode() == 3
    assert server.query("below.example.test").rcode() == 0
    likes, walks = store.count_walks()
    assert likes == 0 and walks == 1


def test_what_others_add_is_seen_within_the_cap(start, store):
    server = serve(start, store, "ttl_cap=1s")
    assert server.query("deep.example.test").rcode() == 3
    store.add("x.deep.example.test")
    wait_for(lambda: server.query("deep.example.test").rcode() == 0)


def test_an_edit_is_seen_at_once(start, store):
    server = serve(start, store, "ttl_cap=1h", "dns_cache 1m;")
    for i in range(20):
        assert server.query(f"e{i}.example.test").rcode() == 3
        edit = server.http(f"/dns/zones/example.test/x.e{i}.example.test/A", "PUT",
                           '{"ttl":60,"records":["192.0.2.1"]}')
        assert edit.status in (200, 201), edit.text
        assert server.query(f"e{i}.example.test").rcode() == 0


def test_without_a_cap_each_name_is_asked_for(start, store):
    server = serve(start, store, "ttl_cap=0")
    assert server.query("gone.example.test").rcode() == 3
    store.add("x.gone.example.test")
    assert server.query("gone.example.test").rcode() == 0
