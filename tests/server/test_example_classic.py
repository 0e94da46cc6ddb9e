"""conf/examples/classic: dig, the script, HTTP, MySQL, the resolver."""

import re

import pytest

from databases import MariaDb
from resolua_server import BUILD, ROOT
from upstream import Upstream

FOLDER = ROOT / "conf/examples/classic"


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mariadb")
    one = MariaDb(folder)
    one.run((FOLDER / "schema.sql").read_text(), database=None)
    yield one
    one.stop()


@pytest.fixture
def upstream():
    one = Upstream(7)
    yield one
    one.stop()


@pytest.fixture
def classic(start, mariadb, upstream):
    text = (FOLDER / "nginx.conf").read_text()
    text = re.sub(r"\n    (access_log|\w+_temp_path)[^;]*;", "",
                  text[text.index("stream {"):])
    for old, new in (("5302", "127.0.0.1:@DNS@"), ("8054", "@HTTP@"),
                     ("database_port 3306", f"database_port {mariadb.port}"),
                     ("192.0.2.53", "127.0.0.1"),
                     ("resolver_port 53", f"resolver_port {upstream.port}"),
                     ("@ROOT@", str(ROOT)), ("@BUILD@", str(BUILD))):
        assert old in text or old == "@BUILD@"
        text = text.replace(old, new)
    return start(text, env={"LUA_PATH": ";;"})


def test_names_of_the_table(classic, upstream):
    assert classic.dig("+short", "www.classic.test").splitlines() == [
        "192.0.2.10", "192.0.2.11"]
    assert classic.dig("+short", "WWW.classic.test", "AAAA") == "2001:db8::10\n"
    assert classic.dig("+short", "ftp.classic.test") == "www.classic.test.\n"
    assert classic.dig("+short", "classic.test", "MX") == (
        "10 mail.classic.test.\n")
    assert classic.dig("+short", "classic.test", "TXT") == (
        '"hello from a table"\n')
    nothing = classic.dig("www.classic.test", "TXT")
    assert "status: NOERROR" in nothing and "ANSWER: 0" in nothing
    assert not upstream.asked


def test_other_names_come_from_the_resolver(classic, upstream):
    assert classic.dig("+short", "www.elsewhere.test") == "192.0.0.7\n"
    assert upstream.count() == 1
    upstream.fault = "nxdomain"
    assert "status: NXDOMAIN" in classic.dig("no.elsewhere.test")


def test_a_name_cannot_be_a_statement(classic):
    assert "status: NOERROR" in classic.dig("a'; DROP TABLE tb_dns; --.test")
    assert classic.dig("+short", "ftp.classic.test") == "www.classic.test.\n"


def test_the_location_by_itself(classic):
    assert classic.http("/dns?name=ftp.classic.test.&type=5").json() == {
        "rcode": 0, "answers": [{"name": "ftp.classic.test.", "type": 5,
                                 "ttl": 60, "record": "www.classic.test."}]}
    assert classic.http("/dns").status == 400


def test_failures_are_servfail(classic, mariadb, upstream):
    upstream.fault = "silent"
    assert "status: SERVFAIL" in classic.dig("slow.elsewhere.test")
    mariadb.stop()
    assert "status: SERVFAIL" in classic.dig("www.classic.test")
    mariadb.start()
    assert "status: NOERROR" in classic.dig("www.classic.test")
