"""One database, two servers: PowerDNS serves our schema and our edits, and
both give the same answers."""

import subprocess
import time

import dns.message
import dns.query
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from databases import Asker, MariaDb, free_port
from powerdns_contents import CONTENTS


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
    asker = Asker("mysql_ask", f"mysql://resolua:secret@127.0.0.1:{database.port}/dns?timeout=5s")
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


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@pytest.fixture
def contents(database):
    """A zone with a name for each of CONTENTS."""
    rows = ",".join(
        f"(77,'c{i}.s.test','{rtype}',{quoted(text)},300,{'NULL' if prio is None else prio})"
        for i, (rtype, text, prio) in enumerate(CONTENTS))
    database.run(
        "SET NAMES utf8mb4; INSERT INTO domains (id,name,type) VALUES (77,'s.test','NATIVE');"
        "INSERT INTO records (domain_id,name,type,content,ttl,prio) VALUES"
        " (77,'s.test','SOA','ns1.s.test hm.s.test 5 10800 3600 604800 3600',300,0),"
        f"(77,'s.test','NS','ns1.s.test',300,0),{rows};")
    yield
    database.run("DELETE FROM records WHERE domain_id=77; DELETE FROM domains WHERE id=77")


# The server reads "1h" of a SOA as one second.
UNLIKE = {("SOA", "ns.s.test hm.s.test 5 1h 3600 604800 3600")}
# dnspython does not know them by these names.
UNKNOWN_TO_DNSPYTHON = {"MB", "MG", "MR", "MINFO", "KEY"}


def test_contents_are_read_as_powerdns_reads_them(contents, asker, powerdns):
    compared = 0
    for i, (rtype, text, prio) in enumerate(CONTENTS):
        name, number = f"c{i}.s.test.", dns.rdatatype.from_text(rtype)
        try:
            theirs = ask_powerdns(powerdns, name, number)
        except EOFError:  # it ends the connection over some
            continue
        lines = [x.split(" ", 4) for x in asker.ask(name, rtype).splitlines()]
        if theirs.rcode() != 0 or (rtype, text) in UNLIKE or rtype in UNKNOWN_TO_DNSPYTHON:
            continue  # it cannot read the row either, or the two cannot be compared
        ours = [dns.rdata.from_text(dns.rdataclass.IN, number, x[4]).to_digestable()
                for x in lines
                if len(x) == 5 and x[0] == name and x[3] == dns.rdatatype.to_text(number)]
        assert sorted(ours) == sorted(
            r.to_digestable() for s in theirs.answer + theirs.authority for r in s
            if r.rdtype == number and str(s.name) == name), (rtype, text, prio)
        compared += 1
    assert compared > 180
