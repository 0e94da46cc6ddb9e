"""A zone that was signed elsewhere and that a secondary server of PowerDNS has
transferred: its tables have the signatures of NSEC and NSEC3, but not these."""

import random

import dns.rcode
import pytest

from databases import MariaDb, PowerDns
from peers import start_bind
from resolua_server import have, wait_for
from service_conf import resolua, service
from stores import resolua_store
from test_signed_zones import (WAYS, ZONE, ask_all, differences, proof_count,
                               questions, zone_texts)

pytestmark = pytest.mark.skipif(
    not have("dnssec-signzone") or not have("pdns_server"),
    reason="needs bind9-utils and pdns-server")

COUNT = """SELECT COUNT(DISTINCT domain_id) FROM records
WHERE type = 'SOA' AND disabled = 0"""


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """In small letters, as PowerDNS keeps names."""
    return zone_texts(tmp_path_factory.mktemp("keys"), ZONE.lower().replace(
        "other", "OTHER").replace("plain", "PLAIN").replace("$ttl", "$TTL"))


@pytest.fixture(scope="module")
def database(tmp_path_factory, texts):
    """The signed zones as PowerDNS has transferred them, and the other one."""
    folder = tmp_path_factory.mktemp("primary")
    for apex, text in texts.items():
        (folder / f"{apex}.zone").write_text(text)
    primary = start_bind(folder, WAYS, "any")
    db = MariaDb(tmp_path_factory.mktemp("mariadb"))
    db.run_file("sql/mysql/schema.sql")
    resolua_store(url(db), "zone", "load", folder / "plain.test.zone")
    for apex in WAYS:
        db.run("INSERT INTO domains (name, type, master) VALUES "
               f"('{apex}', 'SLAVE', '127.0.0.1:{primary.port}')")
    secondary = PowerDns(tmp_path_factory.mktemp("pdns"), db, "gmysql-dnssec",
                         "secondary=yes", "xfr-cycle-interval=1")
    wait_for(lambda: int(db.run(COUNT)) == len(texts), 60)
    secondary.stop()
    primary.stop()
    assert db.run("SELECT COUNT(*) FROM records WHERE type LIKE 'NSEC%'"
                  ) == "0\n"
    yield db
    db.stop()


def url(database):
    return f"mysql://resolua:secret@127.0.0.1:{database.port}/dns"


def serve(start, database, options):
    return start(service().replace("dns_store lmdb path=@FOLDER@/data;",
                                   f"dns_store {url(database)} {options};"))


def test_a_mirror_has_the_proofs(start, database, texts, tmp_path):
    embedded = start(service(), run=False)
    for apex, text in texts.items():
        (tmp_path / f"{apex}.zone").write_text(text)
        resolua(embedded, "zone", "load", tmp_path / f"{apex}.zone")
    embedded.start()
    mirror = serve(start, database, "mirror=@FOLDER@/data")
    for apex in texts:
        wait_for(lambda a=apex: mirror.query(a, "SOA").rcode() == 0)
    asked = list(questions(texts)) + [(f"{a}.", "NSEC3PARAM") for a in texts]
    wanted = ask_all(embedded.port("DNS"), asked)
    some = random.Random(1).sample(list(wanted.values()), 300)
    assert proof_count(some, "NSEC") > 50
    assert proof_count(some, "NSEC3") > 200
    assert differences(wanted, ask_all(mirror.port("DNS"), asked)) == []


def test_a_live_store_says_what_the_zone_lacks(start, database, texts):
    server = serve(start, database, "")
    server.allow_log("keeps no NSEC")
    for apex in WAYS:
        for name in ("absent", "other"):
            answer = server.query(f"{name}.{apex}", want_dnssec=True)
            assert answer.rcode() == dns.rcode.NXDOMAIN
            assert "NSEC" not in str(answer.authority).replace("RRSIG NSEC", "")
        assert server.log().count(f"the signed zone {apex}. keeps no NSEC") == 1
    assert server.query("www.plain3.test", want_dnssec=True).answer
    assert "plain.test. keeps no NSEC" not in server.log()


def test_parameters_that_do_not_fit_are_told(start, database):
    database.run("UPDATE domainmetadata SET content = '1 0 3 abcd' "
                 "WHERE content = '1 0 2 abcd'")
    server = serve(start, database, "mirror=@FOLDER@/data")
    server.allow_log("leads to the signed hashes")
    server.wait_for_log("zone nsec3.test.: NSEC3: there is no metadata")
    wait_for(lambda: server.query("nsec3.test", "SOA").rcode() == 0)
    answer = server.query("absent.nsec3.test", want_dnssec=True)
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert proof_count([answer.to_wire()], "NSEC3") == 0
    assert not server.query("nsec3.test", "NSEC3PARAM").answer
