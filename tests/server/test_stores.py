"""Zones in MariaDB and Redis behind the server: what is answered, beside an
embedded store, over each transport, with the cache, hooks and a forwarder."""

import base64
import itertools
import time

import dns.flags
import dns.message
import dns.rcode
import pytest

from proxy import Proxy
from resolua_server import wait_for
from service_conf import resolua
from stores import open_zones, texts, wait_for_answer
from upstream import Upstream

CONF = """
dns_store lmdb path=@FOLDER@/data;
%(stores)s
%(main)s

stream {
    server {
        listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        %(server)s
    }
}

http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block { require("dns.api").serve() } }
        location /dns-query { dns_over_https on; }
    }
}
"""

# Of zone ZONE: what each kind of store has.
RECORDS = [
    ("ns1", "A", 60, "192.0.2.53"),
    ("www", "A", 60, "192.0.2.80"),
    ("www", "A", 60, "192.0.2.81"),
    ("www", "AAAA", 60, "2001:db8::80"),
    ("alias", "CNAME", 60, "www.ZONE."),
    ("deep.below", "TXT", 60, '"deep"'),
    ("*.wild", "A", 60, "192.0.2.99"),
    ("mail", "MX", 60, "10 www.ZONE."),
    ("cut", "NS", 60, "ns.cut.ZONE."),
    ("ns.cut", "A", 60, "192.0.2.54"),
    ("out", "CNAME", 60, "www.elsewhere.test."),
    ("loop", "CNAME", 60, "loop2.ZONE."),
    ("loop2", "CNAME", 60, "loop.ZONE."),
]


def records_of(zone, *more):
    return [(owner, rtype, ttl, text.replace("ZONE", zone))
            for owner, rtype, ttl, text in [*RECORDS, *more]]


@pytest.fixture(scope="module")
def mysql(tmp_path_factory):
    zones = open_zones("mysql", tmp_path_factory.mktemp("mysql"))
    zones.make("mysql.test", records_of(
        "mysql.test", ("chain", "CNAME", 60, "chain.redis.test."),
        ("to-lmdb", "CNAME", 60, "www.lmdb.test.")), serial=7)
    zones.make("deeper.redis.test", [("www", "A", 60, "192.0.2.71")])
    yield zones
    zones.db.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    zones = open_zones("redis", tmp_path_factory.mktemp("redis"))
    zones.make("redis.test", records_of(
        "redis.test", ("chain", "CNAME", 60, "chain.lmdb.test."),
        ("to-mysql", "CNAME", 60, "www.mysql.test.")), serial=7)
    zones.make("deeper.lmdb.test", [("www", "A", 60, "192.0.2.72")])
    yield zones
    zones.db.stop()


LMDB_ZONE = """\
$ORIGIN lmdb.test.
@ 60 SOA ns1 hostmaster 7 3600 600 86400 60
@ 60 NS ns1
ns1 60 A 192.0.2.53
www 60 A 192.0.2.90
chain 60 CNAME www.mysql.test.
www.deeper 60 A 192.0.2.66
"""
DEEPER_ZONE = """\
$ORIGIN deeper.mysql.test.
@ 60 SOA ns1 hostmaster 7 3600 600 86400 60
@ 60 NS ns1
www 60 A 192.0.2.73
"""


@pytest.fixture
def serve(start, mysql, redis):
    """A server over all three stores."""
    def go(server="", main="", **options):
        one = start(CONF % {
            "stores": f"dns_store {mysql.url()};\ndns_store {redis.url()};",
            "main": main, "server": server}, run=False, **options)
        for zone in (LMDB_ZONE, DEEPER_ZONE):
            path = one.file("zone", zone)
            resolua(one, "zone", "load", path)
        return one.start()
    return go


def ask_https(server, name, qtype):
    message = dns.message.make_query(name, qtype)
    message.id = 0
    text = base64.urlsafe_b64encode(message.to_wire()).decode().rstrip("=")
    reply = server.http(f"/dns-query?dns={text}")
    assert reply.status == 200
    return dns.message.from_wire(reply.body)


ASK = {
    "udp": lambda server, name, qtype: server.query(name, qtype),
    "tcp": lambda server, name, qtype: server.query(name, qtype, tcp=True),
    "https": ask_https,
}


def owner_of(response):
    return str(response.authority[0].name) if response.authority else None


def check_answers(ask, zone):
    """What RECORDS answer, in whichever store."""
    assert texts(ask(f"WWW.{zone}", "A")) == ["192.0.2.80", "192.0.2.81"]
    assert texts(ask(f"www.{zone}", "AAAA")) == ["2001:db8::80"]
    assert texts(ask(f"alias.{zone}", "CNAME")) == [f"www.{zone}."]
    assert texts(ask(f"alias.{zone}", "A")) == [
        "192.0.2.80", "192.0.2.81", f"www.{zone}."]
    assert texts(ask(f"mail.{zone}", "MX")) == [f"10 www.{zone}."]
    assert texts(ask(f"x.y.wild.{zone}", "A")) == ["192.0.2.99"]
    assert texts(ask(zone, "SOA"))[0].split()[2] == "7"
    assert texts(ask(zone, "NS")) == [f"ns1.{zone}."]
    for name, qtype, rcode in (
            (f"www.{zone}", "TXT", "NOERROR"),  # another type
            (f"below.{zone}", "A", "NOERROR"),  # empty non-terminals
            (f"wild.{zone}", "A", "NOERROR"),
            (f"x.wild.{zone}", "TXT", "NOERROR"),
            (f"no.{zone}", "A", "NXDOMAIN"),
            (f"x.deep.below.{zone}", "A", "NXDOMAIN"),
            (f"x.www.{zone}", "A", "NXDOMAIN")):
        response = ask(name, qtype)
        assert dns.rcode.to_text(response.rcode()) == rcode, name
        assert response.flags & dns.flags.AA
        assert not response.answer and owner_of(response) == f"{zone}."
    cut = ask(f"x.cut.{zone}", "A")
    assert cut.rcode() == 0 and not cut.flags & dns.flags.AA
    assert owner_of(cut) == f"cut.{zone}."
    assert [str(s[0]) for s in cut.additional] == ["192.0.2.54"]


@pytest.mark.parametrize("cache", ["", "dns_cache 1m;"])
def test_names_of_every_kind_over_every_transport(serve, cache):
    server = serve(main=cache)
    for ask, zone in itertools.product(ASK.values(),
                                       ("mysql.test", "redis.test")):
        check_answers(lambda name, qtype: ask(server, name, qtype), zone)
    assert texts(server.query("www.lmdb.test")) == ["192.0.2.90"]
    assert server.query("www.unknown.test").rcode() == dns.rcode.REFUSED


def test_aliases_go_on_in_other_stores(serve):
    server = serve(main="dns_cache 1m;")
    for _ in range(2):
        # MySQL, Redis, LMDB, MySQL.
        assert texts(server.query("chain.mysql.test")) == [
            "192.0.2.80", "192.0.2.81", "chain.lmdb.test.", "chain.redis.test.",
            "www.mysql.test."]
        assert texts(server.query("to-lmdb.mysql.test")) == [
            "192.0.2.90", "www.lmdb.test."]
        assert texts(server.query("to-mysql.redis.test")) == [
            "192.0.2.80", "192.0.2.81", "www.mysql.test."]
        assert texts(server.query("chain.lmdb.test")) == [
            "192.0.2.80", "192.0.2.81", "www.mysql.test."]
        loop = server.query("loop.mysql.test")
        assert len(texts(loop)) >= 2
        # Nobody serves what comes next.
        assert texts(server.query("out.redis.test")) == ["www.elsewhere.test."]


# A zone whose aliases of wildcards lead out of it, of each store.
LEAVING = [
    ("*.out", "CNAME", 60, "www.far.example."),
    ("*.o3", "CNAME", 60, "out2.ZONE."),
    ("out2", "CNAME", 60, "www.far.example."),
    ("*.to", "CNAME", 60, "*.out.OTHER."),
    ("*.d", "DNAME", 60, "far.example."),
]


def test_aliases_of_wildcards_lead_out_of_all_zones(start, mysql, redis):
    """The proofs are made when no zone is at hand any more."""
    for zones, zone, other in ((mysql, "out-m.test", "out-r.test"),
                               (redis, "out-r.test", "out-m.test")):
        zones.make(zone, [(owner, rtype, ttl, text.replace("ZONE", zone)
                           .replace("OTHER", other))
                          for owner, rtype, ttl, text in LEAVING])
    server = start(CONF.replace("dns_store lmdb path=@FOLDER@/data;", "") % {
        "stores": f"dns_store {mysql.url()};\ndns_store {redis.url()};",
        "main": "", "server": ""})
    far = "www.far.example."
    for zone, other in (("out-m.test", "out-r.test"), ("out-r.test", "out-m.test")):
        for qtype in ("A", "DS", "TXT"):
            def ask(name, qtype=qtype, zone=zone):
                response = server.query(f"{name}.{zone}", qtype, want_dnssec=True)
                assert response.rcode() == 0, (name, qtype)
                return texts(response)

            assert ask("x.out") == [far]
            assert ask("x.y.o3") == sorted([far, f"out2.{zone}."])
            assert ask("x.to") == sorted([far, f"*.out.{other}."])
            assert "far.example." in ask("*.d") + ask("x.*.d")
    for zones, zone in ((mysql, "out-m.test"), (redis, "out-r.test")):
        zones.drop(zone)


def test_the_deepest_zone_answers_whichever_store_has_it(serve):
    server = serve(main="dns_cache 1m;")
    # Names of the embedded store do not wait for the databases' zones.
    for name in ("www.mysql.test", "www.redis.test"):
        assert texts(server.query(name))
    for _ in range(2):
        assert texts(server.query("www.deeper.redis.test")) == ["192.0.2.71"]
        assert texts(server.query("www.deeper.lmdb.test")) == ["192.0.2.72"]
        assert texts(server.query("www.deeper.mysql.test")) == ["192.0.2.73"]
        absent = server.query("no.deeper.lmdb.test")
        assert absent.rcode() == dns.rcode.NXDOMAIN
        assert owner_of(absent) == "deeper.lmdb.test."


@pytest.mark.parametrize("fault", ["delay", "hole"])
def test_a_server_that_starts_knows_of_deeper_zones(start, redis, fault):
    """An embedded zone's name waits for a store that is about to tell its
    zones, but not for long."""
    proxy = Proxy(redis.port, mode=fault)
    proxy.delay = 0.01
    server = start(CONF % {"stores": f"dns_store {redis.url(proxy.port)};",
                           "main": "", "server": ""}, run=False)
    resolua(server, "zone", "load", server.file("zone", LMDB_ZONE))
    begun = time.monotonic()
    server.start()

    def check_answer():
        """The zone above answers only when the worker's wait, half a second from
        its start on, is over."""
        found = texts(server.query("www.deeper.lmdb.test"))
        waited = time.monotonic() - begun
        assert found == ["192.0.2.72"] or (found == ["192.0.2.66"] and waited > 0.4)
        return found

    if fault != "delay":
        assert check_answer() == ["192.0.2.66"]
    else:
        check_answer()
        wait_for(lambda: check_answer() == ["192.0.2.72"])
        old = server.worker_pids()
        begun = time.monotonic()
        server.reload(wait=False)

        def is_over():
            check_answer()
            return not set(old) & set(server.worker_pids())

        wait_for(is_over, 20, "the old worker's end")
    proxy.stop()


def test_an_edit_of_a_deeper_embedded_zone_is_not_hidden_by_the_cache(serve):
    server = serve(main="dns_cache 1m;")
    for number in (74, 75):
        reply = server.http("/dns/zones/deeper.mysql.test/www/A", "PUT",
                            '{"ttl":60,"records":["192.0.2.%d"]}' % number)
        assert reply.status == 200, reply.text
        assert texts(server.query("www.deeper.mysql.test")) == [
            f"192.0.2.{number}"]


def fetches(mysql, redis):
    """How often the servers have asked for names."""
    return (int(mysql.db.run("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'")
                .split()[1]),
            sum(int(line.split("calls=")[1].split(",")[0])
                for line in redis.db.run("INFO", "commandstats").splitlines()
                if line.startswith("cmdstat_hmget")))


def test_answers_of_one_zone_come_from_the_cache(serve, mysql, redis):
    server = serve(main="dns_cache 1m;")
    wait_for_answer(server, "mail.mysql.test", "MX", ["10 www.mysql.test."])
    wait_for_answer(server, "mail.redis.test", "MX", ["10 www.redis.test."])
    for name in ("www.mysql.test", "alias.mysql.test", "no.mysql.test",
                 "below.mysql.test", "www.redis.test", "alias.redis.test",
                 "no.redis.test", "below.redis.test", "www.deeper.redis.test",
                 "chain.mysql.test"):
        first = server.query(name)
        before = fetches(mysql, redis)
        for _ in range(3):
            again = server.query(name)
            assert texts(again) == texts(first)
            assert again.rcode() == first.rcode()
        # An answer from several zones is made anew.
        is_kept = name != "chain.mysql.test"
        assert (fetches(mysql, redis) == before) == is_kept, name


def test_hooks_sleep_answer_and_rename(serve):
    server = serve(main="dns_cache 1m;", server="""
        dns_query_by_lua_block {
            local q = ...
            if q.name:find("^sleep%.") then
                ngx.sleep(0.01)
                q:rewrite((q.name:gsub("^sleep%.", "www.")))
            elseif q.name:find("^new%.") then
                q:rewrite((q.name:gsub("^new%.", "alias.")))
            elseif q.name:find("^own%.") then
                q:answer("A", 5, "192.0.2.1")
            elseif q.name:find("^slow") then
                ngx.sleep(0.01)
            end
        }
        dns_answer_by_lua_block {
            local q = ...
            if q.name:find("^mail%.") then
                local m = q:response()
                m.answers[1].ttl = 7
                q:set_response(m)
            end
        }""")
    for zone in ("mysql.test", "redis.test"):
        for tcp in (False, True):
            def ask(name, qtype="A"):
                return server.query(f"{name}.{zone}", qtype, tcp=tcp)

            slept = ask("sleep")
            assert texts(slept) == ["192.0.2.80", "192.0.2.81"]
            assert str(slept.answer[0].name) == f"sleep.{zone}."
            assert "192.0.2.80" in texts(ask("new"))
            assert texts(ask("own")) == ["192.0.2.1"]
            assert ask("slow").rcode() == dns.rcode.NXDOMAIN
            assert texts(ask("www")) == ["192.0.2.80", "192.0.2.81"]
            assert ask("mail", "MX").answer[0].ttl == 7


def test_what_no_zone_holds_is_forwarded(serve):
    upstream = Upstream(9)
    server = serve(server=f"dns_forward {upstream.address};")
    for tcp in (False, True):
        assert texts(server.query("www.elsewhere.test", rd=True, tcp=tcp)) == [
            "192.0.0.9"]
        assert texts(server.query("out.mysql.test", rd=True, tcp=tcp)) == [
            "192.0.0.9", "www.elsewhere.test."]
        assert texts(server.query("out.redis.test", rd=True, tcp=tcp)) == [
            "192.0.0.9", "www.elsewhere.test."]
        assert texts(server.query("www.mysql.test", rd=True, tcp=tcp)) == [
            "192.0.2.80", "192.0.2.81"]
        assert server.query("no.redis.test", rd=True).rcode() == \
            dns.rcode.NXDOMAIN
    upstream.stop()


def test_stores_are_asked_once_for_what_goes_on_upstream(serve, mysql, redis):
    """Neither a chain that leaves a store's zone nor a name that no zone holds
    is looked up again when upstreams are asked."""
    upstream = Upstream(9)
    server = serve(server=f"dns_forward {upstream.address};")
    wait_for_answer(server, "www.mysql.test", "A", ["192.0.2.80", "192.0.2.81"])
    wait_for_answer(server, "www.redis.test", "A", ["192.0.2.80", "192.0.2.81"])

    def cost(name):
        before = sum(fetches(mysql, redis))
        texts(server.query(name, rd=True))
        return sum(fetches(mysql, redis)) - before
    for kind in ("mysql", "redis"):
        cost(f"www.{kind}.test")  # what is known of the zone is known now
        assert cost(f"out.{kind}.test") == cost(f"www.{kind}.test") == 1
    assert cost("www.elsewhere.test") == 0
    upstream.stop()
