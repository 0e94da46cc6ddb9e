"""Tables that are not PowerDNS's: one of a site's own, the CoreDNS plugin's."""

import json
import re

import pytest
from dns.rdatatype import NSEC

from databases import MariaDb, Redis
from resolua_server import ROOT, wait_for
from test_examples import start_example

COREDNS = """
CREATE TABLE coredns_records (
    id INT AUTO_INCREMENT PRIMARY KEY, zone VARCHAR(255) NOT NULL, name VARCHAR(255) NOT NULL,
    ttl INT DEFAULT NULL, content TEXT, record_type VARCHAR(255) NOT NULL);
"""


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    database = MariaDb(tmp_path_factory.mktemp("mariadb"))
    yield database
    database.stop()


@pytest.fixture
def mysql(mariadb):
    mariadb.run("DROP DATABASE IF EXISTS dns; CREATE DATABASE dns", database=None)
    return mariadb


def text(server, name, rtype="A"):
    response = server.query(name, rtype)
    return (response.rcode(), sorted(str(r) for s in response.answer for r in s))


def test_one_table_of_numbers(start, mysql):
    mysql.run_file("conf/examples/one-table/schema.sql")
    server = start_example(start, "one-table", {5300: "DNS", 8053: "HTTP"},
                           [("127.0.0.1:3306", f"127.0.0.1:{mysql.port}")])
    assert text(server, "www.example.test") == (0, ["192.0.2.80"])
    assert text(server, "www.example.test", "AAAA") == (0, ["2001:db8::80"])
    assert text(server, "alias.example.test") == (0, ["192.0.2.80", "www.example.test."])
    assert text(server, "example.test", "MX") == (0, ["10 mail.example.test."])
    assert text(server, "x.y.wild.example.test") == (0, ["192.0.2.99"])
    assert text(server, "below.example.test") == (0, [])
    assert text(server, "no.example.test") == (3, [])
    assert text(server, "other.test") == (5, [])
    zone = server.http("/dns/zones/example.test").text
    assert "192.0.2.80" in zone and "below has no record" in zone
    edit = server.http("/dns/zones/example.test/www.example.test/A", "PUT",
                       '{"ttl":60,"records":["192.0.2.1"]}')
    assert edit.status >= 400 and "read only" in edit.text


def test_proofs_of_a_zone_in_one_table(start, mysql):
    """With and without query_owners, which tells the order of its names."""
    mysql.run_file("conf/examples/one-table/schema.sql")
    mysql.run("INSERT INTO tb_dns (name, type, record) VALUES"
              "('example.test', 47, 'mail.example.test. NS SOA NSEC'),"
              "('mail.example.test', 47, 'www.example.test. A NSEC'),"
              "('www.example.test', 47, 'example.test. A NSEC')")
    changes = [("127.0.0.1:3306", f"127.0.0.1:{mysql.port}")]

    def proofs(server, name):
        answer = server.query(name, "TXT", want_dnssec=True)
        return sorted(str(s.name) for s in answer.authority if s.rdtype == NSEC)

    server = start_example(start, "one-table", {5300: "DNS", 8053: "HTTP"}, changes)
    assert proofs(server, "nn.example.test") == ["example.test.", "mail.example.test."]
    assert proofs(server, "www.example.test") == ["www.example.test."]
    assert text(server, "below.example.test") == (0, [])
    conf = (ROOT / "conf/examples/one-table/nginx.conf").read_text()
    owners = re.search('"query_owners=[^"]*"', conf)[0]
    server = start_example(start, "one-table", {5300: "DNS", 8053: "HTTP"},
                           [(owners, ""), *changes])
    server.allow_log("cannot be listed")
    for _ in range(3):
        assert proofs(server, "nn.example.test") == []
    assert server.log().count("cannot be listed, for the store has no query_owners") == 1


def test_one_table_is_mirrored(start, mysql):
    mysql.run_file("conf/examples/one-table/schema.sql")
    server = start_example(start, "one-table", {5300: "DNS", 8053: "HTTP"},
                           [("127.0.0.1:3306/dns", f"127.0.0.1:{mysql.port}/dns mirror=data poll=50ms")])
    wait_for(lambda: text(server, "www.example.test") == (0, ["192.0.2.80"]))
    assert text(server, "below.example.test") == (0, [])
    mysql.run("UPDATE tb_dns SET record = '192.0.2.81' WHERE name = 'www.example.test' AND type = 1;"
              "UPDATE tb_dns SET record = 'ns1.example.test. h.example.test. 2 3 4 5 6' WHERE type = 6")
    wait_for(lambda: text(server, "www.example.test") == (0, ["192.0.2.81"]))


def put(mysql, zone, name, rtype, content, ttl=300):
    mysql.run("INSERT INTO coredns_records (zone, name, ttl, content, record_type) VALUES"
              f" ('{zone}', '{name}', {ttl}, '{json.dumps(content)}', '{rtype}')")


def test_the_table_of_the_coredns_plugin(start, mysql):
    mysql.run(COREDNS)
    put(mysql, "c.test.", "", "SOA", {"ns": "ns.c.test.", "MBox": "h.c.test.", "refresh": 44,
                                      "retry": 55, "expire": 66, "minttl": 77})
    put(mysql, "c.test.", "", "NS", {"host": "ns.c.test."})
    put(mysql, "c.test.", "ns", "A", {"ip": "192.0.2.53"})
    put(mysql, "c.test.", "www", "A", {"ip": "192.0.2.80"})
    put(mysql, "c.test.", "www", "TXT", {"text": "a text"})
    put(mysql, "c.test.", "a.b", "MX", {"host": "www.c.test.", "preference": 5})
    put(mysql, "c.test.", "*.w", "CNAME", {"host": "www.c.test."})
    put(mysql, "c.test.", "bad", "A", {"ip": "not an address"})
    server = start(f"""
dns_store mysql://resolua:secret@127.0.0.1:{mysql.port}/dns coredns=coredns_ poll=50ms;
stream {{ server {{ listen 127.0.0.1:@DNS@ udp; dns_serve on; }} }}
""")
    assert text(server, "www.c.test") == (0, ["192.0.2.80"])
    assert text(server, "www.c.test", "TXT") == (0, ['"a text"'])
    assert text(server, "a.b.c.test", "MX") == (0, ["5 www.c.test."])
    assert text(server, "b.c.test") == (0, [])
    assert text(server, "x.w.c.test") == (0, ["192.0.2.80", "www.c.test."])
    assert text(server, "c.test", "NS") == (0, ["ns.c.test."])
    assert text(server, "no.c.test") == (3, [])
    for _ in range(3):
        assert text(server, "bad.c.test") == (0, [])
    assert server.log().count("bad.c.test: not served") == 1
    put(mysql, "d.test.", "", "SOA", {"ns": "ns.d.test.", "MBox": "h.d.test.", "refresh": 44,
                                      "retry": 55, "expire": 66, "minttl": 77})
    wait_for(lambda: text(server, "d.test", "SOA")[0] == 0)


@pytest.mark.parametrize("options, reason", [
    ('"query_zones=SELECT 1"', "go together"),
    ('"query_zones=SELECT 1" "query_names=SELECT 2"', "IN (?)"),
    ('"query_zones=SELECT 1" "query_names=SELECT (?)" mirror=data', "query_records"),
    ("coredns=x;drop", "not a prefix"),
    ('"query_owners=SELECT ?"', "are missing"),
    ('"query_zones=SELECT 1" "query_names=SELECT (?)" "query_owners=SELECT 3"', "= ?"),
    ("reverse=1", "no such option"),
])
def test_wrong_queries_are_told(start, options, reason):
    server = start(f"dns_store mysql://127.0.0.1/dns {options.replace(';', 'SEMICOLON')};", run=False)
    server.write(f"dns_store mysql://127.0.0.1/dns '{options}';" if "drop" in options
                 else f"dns_store mysql://127.0.0.1/dns {options};")
    server.allow_log("dns_store")
    code, said = server.test_configuration()
    assert code != 0 and reason in said


def test_a_statement_that_is_wrong_is_logged_once(start, mysql):
    mysql.run_file("conf/examples/one-table/schema.sql")
    server = start(f"""
dns_store mysql://resolua:secret@127.0.0.1:{mysql.port}/dns
    "query_zones=SELECT name FROM tb_dns WHERE type = 6"
    "query_names=SELECT name FROM tb_dns WHERE name IN (?)";
stream {{ server {{ listen 127.0.0.1:@DNS@ udp; dns_serve on; }} }}
""")
    for _ in range(5):
        assert text(server, "www.example.test")[0] == 2
    assert server.log().count("the statement has 1 columns") == 1


SERVER = """
%s
stream { server { listen 127.0.0.1:@DNS@ udp; listen 127.0.0.1:@DNS@; dns_serve on; } }
http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block { require("dns.api").serve() } }
    }
}
"""

# Zones of which a SOA is disabled or missing, in and beside one that is served.
SWITCHED_OFF = """
INSERT INTO domains (id,name,type) VALUES (2,'off.test','NATIVE'),(3,'par.test','NATIVE'),
    (4,'off.par.test','NATIVE'),(5,'none.test','NATIVE');
INSERT INTO records (domain_id,name,type,content,ttl,disabled) VALUES
 (2,'off.test','SOA','ns1.off.test hm.off.test 5 10800 3600 604800 3600',300,1),
 (2,'off.test','NS','ns1.off.test',300,0),(2,'www.off.test','A','192.0.2.25',300,0),
 (3,'par.test','SOA','ns1.par.test hm.par.test 5 10800 3600 604800 3600',300,0),
 (3,'par.test','NS','ns1.par.test',300,0),(3,'*.par.test','A','192.0.2.200',300,0),
 (4,'off.par.test','SOA','ns1.off.par.test hm.off.par.test 5 10800 3600 604800 3600',300,1),
 (4,'off.par.test','NS','ns1.par.test',300,0),(4,'www.off.par.test','A','192.0.2.26',300,0),
 (5,'none.test','NS','ns1.none.test',300,0),(5,'www.none.test','A','192.0.2.27',300,0);
"""


@pytest.mark.parametrize("mirror", ["", " mirror=data"])
def test_a_zone_whose_soa_is_disabled_is_not_there(start, mysql, mirror):
    mysql.run_file("sql/mysql/schema.sql")
    mysql.run(SWITCHED_OFF)
    url = f"mysql://resolua:secret@127.0.0.1:{mysql.port}/dns"
    embedded = "dns_store lmdb path=data;" if mirror else ""
    server = start(SERVER % f"{embedded} dns_store {url} poll=50ms ttl_cap=0{mirror};")

    def check(expected):
        return all(text(server, name)[:1 + (rcode == 0)] == (rcode, *more)
                   for name, rcode, *more in expected)

    off = [("www.off.test", 5), ("nix.off.test", 5), ("off.test", 5), ("www.none.test", 5),
           ("www.off.par.test", 0, ["192.0.2.200"]), ("x.off.par.test", 0, ["192.0.2.200"])]
    wait_for(lambda: text(server, "a.par.test") == (0, ["192.0.2.200"]))
    assert check(off)
    # Switched on, off, and on: answers follow, and no copy stays.
    for _ in range(2):
        mysql.run("UPDATE records SET disabled = 0 WHERE type = 'SOA'")
        wait_for(lambda: check([("www.off.test", 0, ["192.0.2.25"]), ("nix.off.test", 3),
                                ("www.off.par.test", 0, ["192.0.2.26"]),
                                ("x.off.par.test", 3)]))
        mysql.run("UPDATE records SET disabled = 1 WHERE type = 'SOA' AND domain_id IN (2, 4)")
        wait_for(lambda: check(off))


README = [("foo", "A", {"ip": "192.0.2.1"}, 30), ("foo", "TXT", {"text": "hello"}, 30),
          ("foo", "MX", {"host": "foo.example.org.", "priority": 10}, 30)]
MADE_UP = r"ns1.example.org. hostmaster.example.org. \d+ 86400 7200 3600 360"


@pytest.mark.parametrize("kind", ["mysql", "redis"])
@pytest.mark.parametrize("mirror", ["", " mirror=data"])
def test_data_of_coredns_without_a_soa(start, request, tmp_path, kind, mirror):
    if kind == "mysql":
        database = request.getfixturevalue("mysql")
        database.run(COREDNS)
        for name, rtype, content, ttl in README:
            put(database, "example.org.", name, rtype, content, ttl)
        store = f"mysql://resolua:secret@127.0.0.1:{database.port}/dns coredns=coredns_"
    else:
        database = Redis(tmp_path)
        database.run("HSET", "example.org.", "foo", json.dumps(
            {rtype.lower(): [{**content, "ttl": str(ttl)}]
             for name, rtype, content, ttl in README}))
        store = f"redis://:secret@127.0.0.1:{database.port}/3"
    embedded = "dns_store lmdb path=data;" if mirror else ""
    server = start(SERVER % f"{embedded} dns_store {store} poll=50ms{mirror};")
    wait_for(lambda: text(server, "foo.example.org") == (0, ["192.0.2.1"]))
    assert text(server, "foo.example.org", "AAAA") == (0, [])
    assert text(server, "nix.example.org") == (3, [])
    assert text(server, "example.org", "NS") == (0, [])
    rcode, (soa,) = text(server, "example.org", "SOA")
    assert rcode == 0 and re.fullmatch(MADE_UP, soa)
    absent = server.query("nix.example.org").authority[0]
    assert re.fullmatch(MADE_UP, str(absent[0])) and absent.ttl == 360
    foo = server.query("foo.example.org", "TXT").answer[0]
    assert (str(foo[0]), foo.ttl) == ('"hello"', 30)
    assert "192.0.2.1" in server.http("/dns/zones/example.org").text
    assert server.http("/dns/zones/nix.org").status == 404
    assert server.http("/dns/zones/nix.org/nix.org/SOA").status == 404
    if kind == "redis":
        # An edit needs no SOA, and makes none.
        reply = server.http("/dns/zones/example.org/new/A", "PUT",
                            '{"ttl":0,"records":["192.0.2.7"]}')
        assert reply.status in (200, 201), reply.text
        wait_for(lambda: text(server, "new.example.org") == (0, ["192.0.2.7"]))
        assert server.query("new.example.org").answer[0].ttl == 0
        assert database.run("HGET", "example.org.", "@") == ""
        database.stop()
