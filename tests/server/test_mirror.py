"""A networked store's zones as a copy in the embedded one."""

import json
import subprocess

import pytest

from databases import MariaDb, Redis
from resolua_server import BUILD, ROOT, environment, wait_for

CONF = """
%s
stream {
    server {
        listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
    }
}
http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block { require("dns.api").serve() } }
    }
}
"""

ZONE = {
    "@": {"soa": {"ns": "ns.r.test.", "mbox": "h.r.test.", "refresh": 1, "retry": 2,
                  "expire": 3, "minttl": 4, "ttl": 60},
          "ns": [{"host": "ns.r.test.", "ttl": 60}]},
    "ns": {"a": [{"ip": "192.0.2.53", "ttl": 60}]},
    "a.b": {"txt": [{"text": "deep", "ttl": 60}]},
}


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    database = MariaDb(tmp_path_factory.mktemp("mariadb"))
    yield database
    database.stop()


@pytest.fixture
def mysql(mariadb):
    mariadb.run("DROP DATABASE IF EXISTS dns; CREATE DATABASE dns", database=None)
    mariadb.run_file("sql/mysql/schema.sql")
    mariadb.run_file("sql/mysql/sample.sql")
    mariadb.url = f"mysql://resolua:secret@127.0.0.1:{mariadb.port}/dns"
    return mariadb


@pytest.fixture
def redis(tmp_path):
    database = Redis(tmp_path)
    for field, value in ZONE.items():
        database.run("HSET", "dns:r.test.", field, json.dumps(value))
    yield database
    database.stop()


def mirror(start, url, more="", **options):
    return start(CONF % f"dns_store {url} mirror=data poll=50ms {more};", **options)


def first(server, name, rtype="A", **options):
    answer = server.query(name, rtype, **options).answer
    return [str(rdata) for rdata in answer[0]] if answer else None


def command(server, *words):
    done = subprocess.run(
        [ROOT / "tools/resolua", "--data", server.folder / "data", *words],
        capture_output=True, text=True, timeout=30,
        env={**environment(), "RESOLUA_BUILD": str(BUILD)})
    return done.returncode, done.stdout + done.stderr


def test_zones_are_copied_and_followed(start, mysql):
    server = mirror(start, mysql.url)
    wait_for(lambda: first(server, "www.example.test") == ["192.0.2.80"])
    assert server.query("below.example.test").rcode() == 0
    mysql.run("UPDATE records SET content = '192.0.2.9' WHERE name = 'www.example.test'"
              " AND type = 'A'")
    wait_for(lambda: first(server, "www.example.test") == ["192.0.2.9"])
    mysql.run("INSERT INTO domains (name, type) VALUES ('two.test', 'NATIVE')")
    mysql.run("INSERT INTO records (domain_id, name, type, content, ttl) SELECT id, name, 'SOA',"
              " 'ns.two.test h.two.test 1 2 3 4 5', 60 FROM domains WHERE name = 'two.test'")
    mysql.run("INSERT INTO records (domain_id, name, type, content, ttl) SELECT id, name, 'NS',"
              " 'ns.two.test', 60 FROM domains WHERE name = 'two.test'")
    wait_for(lambda: first(server, "two.test", "NS") == ["ns.two.test."])
    mysql.run("DELETE FROM domains WHERE name = 'two.test'")
    wait_for(lambda: server.query("two.test", "NS").rcode() == 5)


def test_the_last_zones_outlive_the_database(start, mysql):
    server = mirror(start, mysql.url)
    wait_for(lambda: first(server, "www.example.test"))
    mysql.stop()
    try:
        server.wait_for_log("its last zones are served")
        assert first(server, "www.example.test") == ["192.0.2.80"]
        server.stop()
        server.start()  # and a start without it
        assert first(server, "www.example.test") == ["192.0.2.80"]
        edit = server.http("/dns/zones/example.test/www.example.test/A", "PUT",
                           '{"ttl":60,"records":["192.0.2.1"]}')
        assert edit.status >= 500
        assert first(server, "www.example.test") == ["192.0.2.80"]
        wait_for(lambda: command(server, "mirror", "status")[0] == 1)
        assert "error: " in command(server, "mirror", "status")[1]
    finally:
        mysql.start()
    mysql.run("UPDATE records SET content = '192.0.2.7' WHERE name = 'www.example.test'"
              " AND type = 'A'")
    wait_for(lambda: first(server, "www.example.test") == ["192.0.2.7"])
    wait_for(lambda: command(server, "mirror", "status")[0] == 0)
    assert server.log().count("its last zones are served") == 2


def test_an_acknowledged_edit_is_in_the_copy(start, mysql):
    server = mirror(start, mysql.url, workers=2)
    wait_for(lambda: first(server, "www.example.test"))
    for i in range(1, 30):
        edit = server.http("/dns/zones/example.test/www.example.test/A", "PUT",
                           json.dumps({"ttl": 60, "records": [f"192.0.2.{i}"]}))
        assert edit.status == 200, edit.text
        assert first(server, "www.example.test") == [f"192.0.2.{i}"]
    assert mysql.run("SELECT content FROM records WHERE name = 'www.example.test' AND"
                     " type = 'A'") == "192.0.2.29\n"
    zone = "@ 60 SOA ns h 5 1 2 3 4\n@ 60 NS ns\nns 60 A 192.0.2.1\n"
    assert server.http("/dns/zones/new.test", "PUT", zone).status in (200, 201)
    assert first(server, "ns.new.test") == ["192.0.2.1"]
    assert server.http("/dns/zones/new.test", "DELETE").status == 204
    assert server.query("ns.new.test").rcode() == 5


def test_zones_of_its_own_are_left_alone(start, mysql, tmp_path):
    zone = tmp_path / "example.test.zone"
    zone.write_text("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.200\n")
    server = start(CONF % f"dns_store lmdb path=data; dns_store {mysql.url} mirror=data poll=50ms;",
                   run=False)
    assert command(server, "zone", "load", str(zone))[0] == 0
    server.start()
    server.wait_for_log("example.test is a zone of the embedded store's own")
    assert first(server, "ns.example.test") == ["192.0.2.200"]
    assert server.query("www.example.test").rcode() == 3


def test_a_zone_that_cannot_be_served_is_told(start, mysql):
    mysql.run("INSERT INTO domains (name, type) VALUES ('bad.test', 'NATIVE')")
    mysql.run("INSERT INTO records (domain_id, name, type, content, ttl) SELECT id, name, 'A',"
              " '192.0.2.1', 60 FROM domains WHERE name = 'bad.test'")
    server = mirror(start, mysql.url)
    server.wait_for_log("bad.test.: no SOA record at the top of the zone")
    wait_for(lambda: first(server, "www.example.test"))
    assert server.query("bad.test").rcode() == 5
    code, text = command(server, "mirror", "status")
    assert code == 0
    assert "store: mysql://127.0.0.1" in text and "secret" not in text
    assert "zones: 2\n" in text
    assert "not served: bad.test: bad.test.: no SOA record" in text


def test_redis_is_followed(start, redis):
    server = mirror(start, f"redis://default:secret@127.0.0.1:{redis.port}/3", "prefix=dns:")
    wait_for(lambda: first(server, "ns.r.test") == ["192.0.2.53"])
    assert server.query("b.r.test").rcode() == 0
    serial = server.query("r.test", "SOA").answer[0][0].serial
    redis.run("HSET", "dns:r.test.", "www", json.dumps({"a": [{"ip": "192.0.2.3", "ttl": 60}]}))
    wait_for(lambda: first(server, "www.r.test") == ["192.0.2.3"])
    assert server.query("r.test", "SOA").answer[0][0].serial >= serial
    redis.run("DEL", "dns:r.test.")
    wait_for(lambda: server.query("www.r.test").rcode() == 5)


def test_the_copy_has_one_folder(start, mysql):
    server = start(CONF % f"dns_store lmdb path=a; dns_store {mysql.url} mirror=b;", run=False)
    server.allow_log("not the folder")
    code, text = server.test_configuration()
    assert code != 0 and "not the folder" in text


def insert(mysql, zone, *rows):
    for name, rtype, content in rows:
        mysql.run("INSERT INTO records (domain_id, name, type, content, ttl) SELECT id,"
                  f" '{name}', '{rtype}', '{content}', 60 FROM domains WHERE name = '{zone}'")


# What may not stand in a zone: rows, and what is said of the one that is left out.
BAD = {
    "CNAME beside other data": (("both.example.test", "A", "192.0.2.7"),
                                ("both.example.test", "CNAME", "www.example.test")),
    "more than one CNAME record": (("two.example.test", "CNAME", "mail.example.test"),
                                   ("two.example.test", "CNAME", "www.example.test")),
    "more than one DNAME record": (("d.example.test", "DNAME", "a.test"),
                                   ("d.example.test", "DNAME", "b.test")),
    "DNAME beside NS below the top": (("dn.example.test", "DNAME", "a.test"),
                                      ("dn.example.test", "NS", "ns.a.test")),
    "SOA record below the top": (("soa.example.test", "SOA", "a. b. 1 2 3 4 5"),
                                 ("soa.example.test", "A", "192.0.2.7")),
    "more than one SOA record": (("example.test", "SOA", "a. b. 1 2 3 4 5"),),
    "an IPv4 address": (("unread.example.test", "A", "192.0.2"),
                        ("unread.example.test", "AAAA", "2001:db8::7")),
}
BAD_NAMES = ("both", "two", "d", "x.d", "dn", "x.dn", "soa", "unread", "www", "none")


def test_bad_rows_are_left_out_as_by_a_live_store(start, mysql):
    for rows in BAD.values():
        insert(mysql, "example.test", *rows)
    copy, live = mirror(start, mysql.url), start(CONF % f"dns_store {mysql.url};")
    wait_for(lambda: first(copy, "www.example.test"))

    def view(server, name, rtype):
        answer = server.query(name, rtype)
        return answer.rcode(), answer.answer, answer.authority, answer.additional

    for name in [f"{label}.example.test" for label in BAD_NAMES] + ["example.test"]:
        for rtype in ("A", "AAAA", "CNAME", "DNAME", "NS", "SOA", "MX", "ANY"):
            assert view(copy, name, rtype) == view(live, name, rtype), (name, rtype)
    assert first(copy, "both.example.test") == ["192.0.2.7"]
    assert first(copy, "two.example.test", "CNAME") == ["www.example.test."]
    for reason, rows in BAD.items():
        for server in (copy, live):
            server.allow_log(reason)
            lines = [line for line in server.log().splitlines()
                     if reason in line and rows[0][0] in line]
            assert len(lines) == 1, (reason, lines)
        [line] = [line for line in copy.log().splitlines() if reason in line]
        assert "zone example.test." in line
        assert any(f" {rtype}: " in line for _, rtype, _ in rows)


def test_a_zone_is_copied_before_the_one_that_it_lies_in(start, mysql):
    for zone in ("p.test", "b.p.test", "a.b.p.test"):
        mysql.run(f"INSERT INTO domains (name, type) VALUES ('{zone}', 'NATIVE')")
        insert(mysql, zone, (zone, "SOA", "a. b. 1 2 3 4 5"), (zone, "NS", "a.test"))
    mysql.run("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON")
    server = mirror(start, mysql.url)
    wait_for(lambda: first(server, "p.test", "NS"))
    found = mysql.run("SELECT argument FROM mysql.general_log WHERE argument LIKE"
                      " '%FROM domains WHERE name = %p.test%' AND argument NOT LIKE"
                      " '%general_log%' ORDER BY event_time")
    mysql.run("SET GLOBAL general_log = OFF")
    asked = [line.split("'")[1] for line in found.splitlines()]
    assert list(dict.fromkeys(asked)) == ["a.b.p.test", "b.p.test", "p.test"]
