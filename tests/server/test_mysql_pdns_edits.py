"""One database, two servers: after an edit here the tables are as PowerDNS's own
API leaves them, so that it serves what it would after its own edit."""

import json
import subprocess
import urllib.error
import urllib.request

import dns.message
import dns.query
import dns.rcode
import pytest

from databases import MariaDb, free_port
from resolua_server import have, wait_for
from service_conf import SERVICE

API = "/api/v1/servers/localhost/zones"
N = "e.test."
KINDS = {
    "unsigned": {},
    "nsec": {"dnssec": True},
    "nsec3": {"dnssec": True, "nsec3param": "1 0 1 ab"},
    "opt-out": {"dnssec": True, "nsec3param": "1 1 1 ab"},
    "narrow": {"dnssec": True, "nsec3param": "1 0 1 ab", "nsec3narrow": True},
}
DS = "1 8 2 " + "ab" * 32


def rrset(owner, rtype, *contents):
    return {"name": f"{owner}.{N}" if owner != "@" else N, "type": rtype,
            "ttl": 60, "changetype": "REPLACE" if contents else "DELETE",
            "records": [{"content": c} for c in contents]}


# Delegations with all kinds of names at and below them, empty non-terminals
# that lead to them, and what becomes of all that when some of it goes.
EDITS = [
    [rrset("cut", "NS", "ns.cut." + N), rrset("cut", "A", "192.0.2.1"),
     rrset("cut", "AAAA", "2001:db8::1"), rrset("cut", "TXT", '"t"'),
     rrset("ns.cut", "A", "192.0.2.6"), rrset("t.x.cut", "TXT", '"t"'),
     rrset("sec", "NS", "ns1." + N), rrset("sec", "DS", DS),
     rrset("sec", "A", "192.0.2.1"), rrset("d.e.f", "NS", "ns1." + N),
     rrset("d.s.f", "NS", "ns1." + N), rrset("d.s.f", "DS", DS),
     rrset("deep.cut2.g", "NS", "ns1." + N),
     rrset("a.deep.cut2.g", "NS", "ns1." + N),
     rrset("a.deep.cut2.g", "DS", DS), rrset("dn", "DNAME", "other.test."),
     rrset("below.dn", "A", "192.0.2.1"), rrset("x.y.below.dn", "A", "192.0.2.1"),
     rrset("*.w", "TXT", '"x"'), rrset("UP.Case", "A", "192.0.2.1"),
     rrset("a.b.c", "A", "192.0.2.1"), rrset("*.a.b.c", "A", "192.0.2.1")],
    [rrset("zz", "A", "192.0.2.1")],
    [rrset("a.b.c", "A"), rrset("*.a.b.c", "A"), rrset("b.c", "A", "192.0.2.9"),
     rrset("cut", "NS"), rrset("sec", "DS"), rrset("e.f", "A", "192.0.2.1"),
     rrset("q.r", "MX", "10 mail." + N), rrset("@", "NS", "ns2." + N)],
    [rrset("c", "NS", "ns1." + N), rrset("UP.Case", "A"),
     rrset("below.dn", "A"), rrset("w", "A", "192.0.2.1")],
]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    db = MariaDb(tmp_path_factory.mktemp("mariadb"))
    db.run_file("sql/mysql/schema.sql")
    yield db
    db.stop()


class PowerDns:
    def __init__(self, database, folder):
        self.port, self.api = free_port(), free_port()
        (folder / "pdns.conf").write_text(f"""launch=gmysql
gmysql-socket={database.socket}
gmysql-user=resolua
gmysql-password=secret
gmysql-dbname=dns
gmysql-dnssec=yes
local-address=127.0.0.1
local-port={self.port}
socket-dir={folder}
webserver=yes
webserver-address=127.0.0.1
webserver-port={self.api}
api=yes
api-key=k
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
domain-metadata-cache-ttl=0
dnssec-key-cache-ttl=0
zone-cache-refresh-interval=0
""")
        self.process = subprocess.Popen(
            ["/usr/sbin/pdns_server", f"--config-dir={folder}", "--daemon=no",
             "--guardian=no"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

        def answers():
            try:
                return self.call("GET", "") is not None
            except urllib.error.URLError:
                return False

        wait_for(answers, 30)

    def call(self, method, path, value=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api}{API}{path}", method=method,
            data=None if value is None else json.dumps(value).encode(),
            headers={"X-API-Key": "k"})
        return urllib.request.urlopen(request, timeout=60).read()

    def ask(self, name, rtype="A", **options):
        return dns.query.tcp(dns.message.make_query(name, rtype, **options),
                             "127.0.0.1", timeout=10, port=self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def powerdns(database, tmp_path_factory):
    if not have("/usr/sbin/pdns_server"):
        pytest.skip("no pdns_server")
    one = PowerDns(database, tmp_path_factory.mktemp("pdns"))
    yield one
    one.stop()


@pytest.fixture
def server(start, database):
    store = f"mysql://resolua:secret@127.0.0.1:{database.port}/dns"
    return start((SERVICE % "").replace(
        "lmdb path=@FOLDER@/data", store).replace(
        "location /dns {", "location /api { content_by_lua_block { require("
        '"dns.api.powerdns").serve() } } location /dns {'))


def rows(database):
    """All but the SOA's serial."""
    text = database.run(
        "SELECT name,type,ttl,IFNULL(prio,0),IF(type='SOA','',content),disabled,"
        "auth,ordername FROM records ORDER BY name,type,content")
    return text.splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_are_as_after_an_edit_of_powerdns(database, powerdns,
                                                     server, kind):
    def edit_by_powerdns(rrsets):
        powerdns.call("PATCH", "/" + N, {"rrsets": rrsets})

    def edit_by_us(rrsets):
        reply = server.http(f"{API}/{N}", "PATCH",
                            json.dumps({"rrsets": rrsets}))
        assert reply.status == 204, reply.text

    states = []
    for edit in (edit_by_powerdns, edit_by_us):
        database.run("DELETE FROM records; DELETE FROM domains;"
                     "DELETE FROM domainmetadata; DELETE FROM cryptokeys")
        powerdns.call("POST", "", {"name": N, "kind": "Native",
                                   "nameservers": ["ns1." + N], **KINDS[kind]})
        after = []
        for rrsets in EDITS:
            edit(rrsets)
            after.append(rows(database))
        states.append(after)
    for theirs, ours in zip(*states):
        assert ours == theirs

    # The whole zone put back, and a delegation and denials of PowerDNS's.
    text = server.http("/dns/zones/e.test", headers={"Accept": "text/dns"}).text
    assert server.http("/dns/zones/e.test", "PUT", text).status == 200
    assert rows(database) == states[0][-1]
    answer = powerdns.ask("www.sub.sec." + N, want_dnssec=True)
    assert answer.rcode() == dns.rcode.NOERROR
    assert str(answer.authority[0].name) == "sec." + N
    for name, rcode in (("r." + N, dns.rcode.NOERROR),
                        ("no.r." + N, dns.rcode.NXDOMAIN)):
        assert powerdns.ask(name, want_dnssec=True).rcode() == rcode
