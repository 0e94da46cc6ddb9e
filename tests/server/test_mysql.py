"""Zones in MariaDB, asked through the engine and the driver, without nginx."""

import socket
import subprocess
import threading
import time

import pytest

from databases import Asker, MariaDb, free_port

SOA = "authority\nexample.test. 60 IN SOA ns1.example.test. hostmaster.example.test. "
TAIL = " 3600 600 86400 60\n"


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    db = MariaDb(tmp_path_factory.mktemp("mariadb"))
    db.run_file("sql/mysql/schema.sql")
    db.run_file("sql/mysql/sample.sql")
    yield db
    db.stop()


@pytest.fixture(params=["tcp", "unix"])
def asker(request, database):
    where, socket = (f"127.0.0.1:{database.port}", "") if request.param == "tcp" else (
        "", f"&socket={database.socket}")
    asker = Asker("mysql_ask", f"mysql://resolua:secret@{where}/dns?timeout=5s{socket}")
    assert asker.greeting == ""
    yield asker
    asker.close()


def soa(database):
    serial = database.run("SELECT content FROM records WHERE type='SOA' LIMIT 1").split()[2]
    return SOA + serial + TAIL


def test_records_are_served(asker):
    assert asker.ask("www.example.test.", "A") == (
        "NOERROR aa\nanswer\nwww.example.test. 300 IN A 192.0.2.80\n")
    assert asker.rounds == [1]
    assert "IN MX 10 mail.example.test." in asker.ask("example.test.", "MX")
    assert "IN SRV 5 0 5060 www.example.test." in asker.ask("_sip._udp.example.test.", "SRV")
    assert 'IN TXT "v=spf1 mx -all"' in asker.ask("EXAMPLE.test.", "TXT")


def test_aliases_wildcards_and_missing_types(asker, database):
    text = asker.ask("alias.example.test.", "A")
    assert "IN CNAME www.example.test." in text and "IN A 192.0.2.80" in text
    assert "x.y.wild.example.test. 300 IN A 192.0.2.99" in asker.ask("x.y.wild.example.test.", "A")
    assert asker.ask("www.example.test.", "TXT") == "NOERROR aa\n" + soa(database)
    assert asker.rounds == [1]
    assert asker.ask("no.example.test.", "A") == "NXDOMAIN aa\n" + soa(database)
    assert asker.rounds == [2]  # is there something below it?


def test_empty_non_terminals_exist(asker, database):
    assert asker.ask("below.example.test.", "A") == "NOERROR aa\n" + soa(database)
    assert asker.ask("wild.example.test.", "A") == "NOERROR aa\n" + soa(database)
    assert asker.ask("_udp.example.test.", "A") == "NOERROR aa\n" + soa(database)
    # "_" and "%" are letters in a name, not patterns.
    assert asker.ask("%.example.test.", "A") == "NXDOMAIN aa\n" + soa(database)
    assert asker.ask("xudp.example.test.", "A") == "NXDOMAIN aa\n" + soa(database)
    assert asker.ask("_____.example.test.", "A") == "NXDOMAIN aa\n" + soa(database)


def test_other_zones_names_are_not_found(asker):
    assert asker.ask("www.other.test.", "A") == "not found\n"


def test_foreign_writes_are_in_the_next_answer(asker, database):
    database.run("UPDATE records SET content='192.0.2.81' WHERE name='www.example.test' AND type='A'")
    try:
        assert "192.0.2.81" in asker.ask("www.example.test.", "A")
    finally:
        database.run("UPDATE records SET content='192.0.2.80'"
                     " WHERE name='www.example.test' AND type='A'")


def test_rows_that_do_not_parse_are_skipped(asker, database):
    database.run("INSERT INTO records (domain_id, name, type, content, ttl, disabled) VALUES"
                 " (1, 'bad.example.test', 'A', '192.0.2.1', 60, 0),"
                 " (1, 'bad.example.test', 'A', 'nonsense', 60, 0),"
                 " (1, 'bad.example.test', 'LUA', 'A \"1\"', 60, 0),"
                 " (1, 'bad.example.test', NULL, NULL, NULL, 0),"
                 " (1, 'bad.example.test', 'A', '192.0.2.2', 60, 1),"
                 " (1, 'off.example.test', 'A', '192.0.2.2', 60, 1)")
    try:
        text = asker.ask("bad.example.test.", "A")
        assert text.count("skip ") == 2
        assert "bad.example.test: an IPv4 address" in text
        assert text.endswith("NOERROR aa\nanswer\nbad.example.test. 60 IN A 192.0.2.1\n")
        assert asker.ask("off.example.test.", "A").startswith("NXDOMAIN")
    finally:
        database.run("DELETE FROM records WHERE name IN ('bad.example.test', 'off.example.test')")


def test_a_zone_below_another_has_its_own_rows(asker, database):
    database.run("INSERT INTO domains (id, name, type) VALUES (9, 'sub.example.test', 'NATIVE');"
                 "INSERT INTO records (domain_id, name, type, content, ttl) VALUES"
                 " (9, 'sub.example.test', 'SOA', 'a.test b.test 5 1 1 1 1', 60),"
                 " (9, 'sub.example.test', 'NS', 'a.test', 60),"
                 " (1, 'sub.example.test', 'NS', 'parent.test', 60)")
    try:
        text = asker.ask("sub.example.test.", "NS")
        assert "a.test." in text and "parent" not in text
        assert "SOA a.test." in asker.ask("x.sub.example.test.", "A")
    finally:
        database.run("DELETE FROM domains WHERE id = 9; DELETE FROM records WHERE domain_id = 9;"
                     "DELETE FROM records WHERE content = 'parent.test'")


def test_a_killed_connection_is_seen_as_gone(asker, database):
    asker.ask("www.example.test.", "A")
    for line in database.run("SHOW PROCESSLIST").splitlines():
        if "resolua" in line:
            database.run(f"KILL {line.split()[0]}")
    assert "(gone)" in asker.ask("www.example.test.", "A")
    assert "192.0.2.80" in asker.ask("www.example.test.", "A")


def test_a_wrong_password_and_a_missing_table_are_told(database):
    asker = Asker("mysql_ask", f"mysql://resolua:wrong@127.0.0.1:{database.port}/dns?timeout=2s")
    assert "Access denied" in asker.greeting
    asker.close()
    database.run("CREATE DATABASE empty; GRANT ALL ON empty.* TO resolua@'%'")
    asker = Asker("mysql_ask", f"mysql://resolua:secret@127.0.0.1:{database.port}/empty?timeout=2s")
    assert "doesn't exist" in asker.ask("www.example.test.", "A")
    asker.close()


def test_a_locked_table_ends_in_a_timeout(database):
    asker = Asker("mysql_ask", f"mysql://resolua:secret@127.0.0.1:{database.port}/dns?timeout=400ms")
    lock = subprocess.Popen(["mariadb", "--no-defaults", f"--socket={database.socket}", "-uroot",
                             "dns", "-e", "LOCK TABLES records WRITE; SELECT SLEEP(2)"],
                            stdout=subprocess.DEVNULL)
    time.sleep(0.4)
    before = time.time()
    assert "timeout" in asker.ask("www.example.test.", "A")
    assert 0.3 < time.time() - before < 1.2
    lock.wait()
    assert "192.0.2.80" in asker.ask("www.example.test.", "A")
    asker.close()


def test_nobody_listens_and_nobody_answers(database):
    asker = Asker("mysql_ask", f"mysql://resolua:secret@127.0.0.1:{free_port()}/dns?timeout=500ms")
    assert "(gone)" in asker.greeting
    asker.close()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before = time.time()
        asker = Asker("mysql_ask", f"mysql://resolua:secret@127.0.0.1:{silent.getsockname()[1]}/dns?timeout=500ms")
        assert "timeout" in asker.greeting and time.time() - before < 1.5
        asker.close()


def test_edits_are_one_transaction_with_the_serial_raised(asker, database):
    before = int(soa(database).split()[7])
    assert asker.ask("new.example.test.", "= A 60 192.0.2.1|192.0.2.2") == "done\n"
    text = asker.ask("new.example.test.", "A")
    assert "192.0.2.1\n" in text and "192.0.2.2\n" in text
    assert asker.ask("new.example.test.", "= A 60 192.0.2.3") == "done\n"
    assert asker.ask("new.example.test.", "A").count("IN A") == 1
    assert int(soa(database).split()[7]) == before + 2
    # What fails leaves nothing, not even a serial.
    assert "! " in asker.ask("new.example.test.", "= CNAME 60 www.example.test.")
    assert "! " in asker.ask("new.example.test.", "= AAAA 60 ")
    assert "! " in asker.ask("alias.example.test.", "= A 60 192.0.2.1")
    assert int(soa(database).split()[7]) == before + 2
    assert asker.ask("new.example.test.", "= A 60 ") == "done\n"
    assert asker.ask("new.example.test.", "A").startswith("NXDOMAIN")


def test_edits_are_written_as_the_layout_has_them(asker, database):
    def row(name):
        return database.run(f"SELECT content, prio FROM records WHERE name = '{name}'")

    asker.ask("e.example.test.", "= MX 60 20 mail.example.test.")
    assert row("e.example.test") == "mail.example.test\t20\n"
    asker.ask("e.example.test.", "= MX 60 ")
    asker.ask("E.example.test.", "= SRV 60 1 2 3 .")
    assert row("e.example.test") == "2 3 .\t1\n"
    asker.ask("e.example.test.", "= SRV 60 ")
    asker.ask("e.example.test.", "= TXT 60 \"it's. \\\\ ok.\"")
    assert "it's. \\\\ ok." in asker.ask("e.example.test.", "TXT")
    asker.ask("e.example.test.", "= TXT 60 ")


def test_readers_see_the_old_set_or_the_new_one(asker, database):
    """And never the old one after the edit was acknowledged."""
    reader = Asker("mysql_ask", f"mysql://resolua:secret@127.0.0.1:{database.port}/dns?timeout=5s")
    seen = []
    stop = threading.Event()

    def read():
        while not stop.is_set():
            text = reader.ask("turn.example.test.", "A")
            seen.append({x.split()[-1] for x in text.splitlines() if " IN A " in x})

    sets = [{f"192.0.2.{i}", f"192.0.2.{100 + i}"} for i in range(40)]
    assert asker.ask("turn.example.test.", "= A 60 " + "|".join(sets[0])) == "done\n"
    thread = threading.Thread(target=read)
    thread.start()
    for addresses in sets:
        assert asker.ask("turn.example.test.", "= A 60 " + "|".join(addresses)) == "done\n"
        text = asker.ask("turn.example.test.", "A")
        assert {x.split()[-1] for x in text.splitlines() if " IN A " in x} == addresses
    stop.set()
    thread.join()
    reader.close()
    assert seen and all(addresses in sets for addresses in seen)
    assert asker.ask("turn.example.test.", "= A 60 ") == "done\n"


def test_names_backwards_give_the_same_answers(database):
    database.run_file("sql/mysql/reversed_names.sql")
    asker = Asker("mysql_ask", f"mysql://resolua:secret@127.0.0.1:{database.port}/dns?timeout=5s")
    assert asker.ask("below.example.test.", "A") == "NOERROR aa\n" + soa(database)
    assert asker.ask("_udp.example.test.", "A") == "NOERROR aa\n" + soa(database)
    assert asker.ask("xudp.example.test.", "A") == "NXDOMAIN aa\n" + soa(database)
    assert asker.ask("no.example.test.", "A") == "NXDOMAIN aa\n" + soa(database)
    asker.close()
