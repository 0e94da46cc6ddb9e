"""A zone that holds two chains of NSEC3, as one does while its parameters
change: every proof is made of the chain that NSEC3PARAM names (RFC 5155
section 7.2), just as if the other chain were not there."""

import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import pytest

from resolua_server import have
from service_conf import start_service
from signing import two_chains

pytestmark = pytest.mark.skipif(not have("dnssec-signzone"),
                                reason="needs bind9-utils")

APEX = "two.test."
ZONE = """$TTL 3600
@ SOA ns hm 1 7200 3600 1209600 300
@ NS ns
ns A 127.0.0.1
a.b.ent A 192.0.2.3
*.w TXT x
alias.w2 CNAME x.w
cut NS ns.cut
ns.cut A 192.0.2.4
""" + "".join(f"h{i} A 192.0.2.{i}\n" for i in range(1, 40))

# The second chain: with other salt and iterations, and as sparse as it gets.
OPTIONS = {
    "salt": (["-3", "aabb"], ["-3", "-"]),
    "iterations": (["-3", "aabb", "-H", "1"], ["-3", "aabb", "-H", "2"]),
    "sparse": (["-3", "aa", "-A"], ["-3", "bb"]),
}

QUESTIONS = [("h1.two.test", "AAAA"), ("x.w.two.test", "TXT"),
             ("x.w.two.test", "A"), ("alias.w2.two.test", "TXT"),
             ("b.ent.two.test", "A"), ("ent.two.test", "A"),
             ("x.cut.two.test", "A"), ("two.test", "AAAA")]
QUESTIONS += [(f"absent{i}.two.test", "A") for i in range(40)]
QUESTIONS += [(f"a.absent{i}.h{i}.two.test", "A") for i in range(1, 10)]


def proofs(server, name, kind):
    query = dns.message.make_query(name, kind, want_dnssec=True, payload=4096)
    answer = dns.query.udp(query, "127.0.0.1", port=server.port("DNS"),
                           timeout=30)
    assert not answer.flags & dns.flags.TC
    return sorted((r.name.to_text(), rdata.to_text())
                  for r in answer.authority for rdata in r
                  if r.rdtype == dns.rdatatype.NSEC3)


@pytest.mark.parametrize("way", OPTIONS)
def test_proofs_are_of_the_chain_that_the_parameters_name(
        start, tmp_path, way):
    one, both = two_chains(tmp_path / "keys", APEX, ZONE, OPTIONS[way])
    servers = []
    for number, text in enumerate((one, both)):
        file = tmp_path / f"{number}.zone"
        file.write_text(text)
        servers.append(start_service(start, zones=[file]))
    assert both.count(" NSEC3\t") > one.count(" NSEC3\t") > 0
    for name, kind in QUESTIONS:
        wanted = proofs(servers[0], name, kind)
        assert wanted or kind == "TXT", name
        assert proofs(servers[1], name, kind) == wanted, (name, kind)
