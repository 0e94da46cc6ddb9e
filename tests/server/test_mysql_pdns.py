"""One database, two servers: PowerDNS serves our schema and our edits, and
both give the same answers."""

import subprocess
import time

import dns.message
import dns.query
import dns.rdatatype
import pytest

from databases import Asker, MariaDb, free_port


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    db = MariaDb(tmp_path_factory.mktemp("mariadb"))
    db.run_file("sql/mysql/schema.sql")
    db.run_file("sql/mysql/sample.sql")
    yield db
    db.stop()


@pytest.fixture(scope="module")
def powerdns(database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pdns")
    port = free_port()
    (folder / "pdns.conf").write_text(f"""launch=gmysql
gmysql-socket={database.socket}
gmysql-user=resolua
gmysql-password=secret
gmysql-dbname=dns
local-address=127.0.0.1
local-port={port}
socket-dir={folder}
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
""")
    process = subprocess.Popen(["/usr/sbin/pdns_server", f"--config-dir={folder}", "--daemon=no",
                                "--guardian=no"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    deadline = time.time() + 10
    while True:
        try:
            ask_powerdns(port, "example.test.", "SOA")
            break
        except OSError:
            assert time.time() < deadline
            time.sleep(0.1)
    yield port
    process.terminate()
    process.wait(10)


def ask_powerdns(port, name, rtype):
    return dns.query.tcp(dns.message.make_query(name, rtype), "127.0.0.1", timeout=5, port=port)


def answer_of(message):
    return sorted(f"{s.name} {s.ttl} IN {dns.rdatatype.to_text(s.rdtype)} {r}"
                  for s in message.answer for r in s)


def our_answer(asker, name, rtype):
    lines = asker.ask(name, rtype).splitlines()
    if "answer" not in lines:
        return lines[0].split()[0], []
    out = []
    for line in lines[lines.index("answer") + 1:]:
        if line in ("authority", "additional"):
            break
        out.append(line)
    return lines[0].split()[0], sorted(out)


@pytest.fixture
def asker(database):
    asker = Asker("mysql_ask", "127.0.0.1", database.port, "resolua", "secret", "dns", 5000)
    yield asker
    asker.close()


QUESTIONS = [("example.test.", t) for t in ("SOA", "NS", "MX", "TXT", "A")] + [
    ("www.example.test.", "A"), ("www.example.test.", "AAAA"), ("www.example.test.", "TXT"),
    ("alias.example.test.", "A"), ("alias.example.test.", "CNAME"),
    ("x.wild.example.test.", "A"), ("x.y.wild.example.test.", "A"),
    ("_sip._udp.example.test.", "SRV"), ("no.example.test.", "A"),
    ("deep.below.example.test.", "TXT")]


@pytest.mark.parametrize("name, rtype", QUESTIONS)
def test_both_answer_the_same(asker, powerdns, name, rtype):
    theirs = ask_powerdns(powerdns, name, rtype)
    rcode, answer = our_answer(asker, name, rtype)
    assert rcode == dns.rcode.to_text(theirs.rcode())
    assert answer == answer_of(theirs)


@pytest.mark.parametrize("rtype, text", [
    ("A", "192.0.2.1|192.0.2.2"), ("MX", "10 mail.example.test.|20 backup.example.net."),
    ("SRV", "1 2 3 www.example.test."), ("TXT", '"a b" "c"'), ("NS", "ns.sub.example.test."),
    ("CNAME", "www.example.test."), ("CAA", '0 issue "ca.test"'),
    ("TLSA", "3 1 1 00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff")])
def test_powerdns_serves_our_edits(asker, powerdns, rtype, text):
    name = f"edit.{rtype}.example.test.".lower()
    assert asker.ask(name, f"= {rtype} 77 {text}") == "done\n"
    try:
        rcode, answer = our_answer(asker, name, rtype)
        theirs = ask_powerdns(powerdns, name, rtype)
        if rtype == "NS":  # a cut: both refer to it
            assert [str(r) for s in theirs.authority for r in s] == ["ns.sub.example.test."]
            return
        assert rcode == "NOERROR" and len(answer) == text.count("|") + 1
        assert answer == answer_of(theirs)
    finally:
        assert asker.ask(name, f"= {rtype} 77 ") == "done\n"
