"""The forwarder against upstreams of the tests' own."""

import threading
import time

import dns.edns
import dns.flags
import dns.rcode
import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from resolua_server import wait_for
from service_conf import start_service
from upstream import Upstream


@pytest.fixture
def upstream():
    made = []

    def make(*arguments, **options):
        made.append(Upstream(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def start_with(start, *upstreams, **options):
    addresses = " ".join(one.address for one in upstreams)
    return start_service(start, f"dns_forward {addresses};", **options)


def ede(response):
    return [int(option.code) for option in response.options
            if option.otype == dns.edns.OptionType.EDE]


def addresses(response):
    return [str(rdata) for rrset in response.answer for rdata in rrset]


@pytest.mark.parametrize("tcp", [False, True])
def test_forwards_what_no_zone_holds(start, upstream, tcp):
    server = start_with(start, upstream(7))

    response = server.query("WWW.Elsewhere.test", "A", rd=True, tcp=tcp)

    assert addresses(response) == ["192.0.0.7"]
    assert response.flags & dns.flags.RA
    assert response.flags & dns.flags.RD
    assert not response.flags & dns.flags.AA
    assert str(response.question[0].name) == "WWW.Elsewhere.test."


def test_zones_come_first(start, upstream):
    one = upstream()
    server = start_with(start, one)

    assert addresses(server.query("mail.example.test", rd=True)) == [
        "192.0.2.25"]
    assert server.query("nothing.example.test", rd=True).rcode() == 3
    assert one.asked == []


def test_each_query_has_its_own_id_port_and_case(start, upstream):
    one = upstream()
    server = start_with(start, one)

    for i in range(40):
        server.query(f"n{i}.manylettersinthisname.test", rd=True)

    assert len({query.id for _, query, _ in one.asked}) > 35
    assert len({port for _, _, port in one.asked}) > 30
    names = [query.question[0].name.to_text() for _, query, _ in one.asked]
    assert sum(name != name.lower() for name in names) > 35


def test_edns_is_for_each_hop(start, upstream):
    one = upstream()
    server = start_with(start, one)

    assert server.query("a.elsewhere.test", rd=True).edns == -1
    assert server.query("b.elsewhere.test", rd=True, payload=4096).edns == 0
    assert all(query.payload == 1232 for _, query, _ in one.asked)


def test_truncated_answers_are_asked_again_over_tcp(start, upstream):
    one = upstream(5, fault="truncated")
    server = start_with(start, one)

    response = server.query("www.elsewhere.test", rd=True)

    assert addresses(response) == ["192.0.0.5"]
    assert one.count("tcp") == 1


def test_a_large_answer_is_cut_for_the_client(start, upstream):
    server = start_with(start, upstream(5, records=100))

    response = server.query("www.elsewhere.test", rd=True)
    assert response.flags & dns.flags.TC
    assert addresses(response) == []
    assert len(response.to_wire()) <= 512

    response = server.query("www.elsewhere.test", rd=True, tcp=True)
    assert not response.flags & dns.flags.TC
    assert len(addresses(response)) == 100


def test_another_letter_case_is_not_trusted_over_udp(start, upstream):
    one = upstream(6, fault="no case")
    server = start_with(start, one)

    response = server.query("abcdefghijklmnop.elsewhere.test", rd=True)

    assert addresses(response) == ["192.0.0.6"]
    assert one.count("tcp") == 1


@pytest.mark.parametrize("fault", [
    "silent", "wrong id", "wrong name", "garbage", "servfail"])
def test_the_next_upstream_is_asked(start, upstream, fault):
    bad, good = upstream(1, fault=fault), upstream(2)
    server = start_with(start, bad, good)

    assert addresses(server.query("www.elsewhere.test", rd=True)) == [
        "192.0.0.2"]
    assert bad.count() >= 1


def test_a_silent_upstream_is_asked_last_for_a_while(start, upstream):
    server = start_with(start, upstream(1, fault="silent"), upstream(2))
    server.query("a.elsewhere.test", rd=True)

    begin = time.monotonic()
    server.query("b.elsewhere.test", rd=True)

    assert time.monotonic() - begin < 0.5


def test_a_slow_upstream_is_heard(start, upstream):
    """The second try does not end the first: an answer that takes longer than
    one try is taken, of the only upstream and beside one that is silent."""
    slow = upstream(3, delay=1.6)
    server = start_with(start, slow)
    assert addresses(server.query("a.elsewhere.test", rd=True)) == [
        "192.0.0.3"]

    server = start_with(start, slow, upstream(1, fault="silent"))
    assert addresses(server.query("b.elsewhere.test", rd=True)) == [
        "192.0.0.3"]


def test_the_times_are_directives(start, upstream):
    """In stream and in http; each server has its own."""
    slow = upstream(3, delay=1.2)
    server = start_service(start, f"""
        dns_forward {slow.address};
        dns_forward_timeout 600ms;
        dns_forward_retry 200ms;
        dns_forward_down 1s;""")
    response = server.query("a.elsewhere.test", rd=True, use_edns=0)
    assert response.rcode() == dns.rcode.SERVFAIL
    assert ede(response) == [22]
    assert slow.count() == 3  # at 0, 200 and 400 ms


@pytest.mark.parametrize("no_edns", [
    "formerr", "formerr with opt", "header", "notimp", "badvers"])
def test_upstreams_without_edns(start, upstream, no_edns):
    """They are asked again without it (RFC 6891 section 7), over TCP too."""
    server = start_with(start, upstream(1, no_edns=no_edns))
    for options in ({}, {"use_edns": 0}, {"want_dnssec": True},
                    {"tcp": True}):
        response = server.query("x.up.test", rd=True, **options)
        assert response.rcode() == dns.rcode.NOERROR
        assert addresses(response) == ["192.0.0.1"]

    one = upstream(1, no_edns=no_edns, fault="truncated")
    server = start_with(start, one)
    assert addresses(server.query("x.up.test", rd=True)) == ["192.0.0.1"]
    assert one.count("tcp") >= 1


def test_an_upstream_that_refuses_everything(start, upstream):
    """What it says of our question is not said to the client."""
    one = upstream(1, fault="badvers")
    server = start_with(start, one)
    for fault in ("badvers", "formerr", "notimp"):
        one.fault = fault
        for options in ({}, {"use_edns": 0}):
            response = server.query(f"{fault}.up.test", rd=True, **options)
            assert response.rcode() == dns.rcode.SERVFAIL


def test_questions_under_way_are_bounded(start, upstream):
    """An upstream that does not answer leaves connections to others, and the
    log is not flooded; who is over the bound is told at once."""
    import socket

    import dns.message

    silent = upstream(1, fault="silent")
    server = start_with(start, silent, main="dns_forward_max_queries 20;",
                        events="worker_connections 128;")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.connect(("127.0.0.1", server.port("DNS")))
        over = []
        for i in range(400):
            s.send(dns.message.make_query(f"n{i}.elsewhere.test", "A", id=i,
                                          use_edns=0).to_wire())
            if i >= 20:
                over.append(dns.message.from_wire(s.recv(65535)))
        assert all(r.rcode() == dns.rcode.SERVFAIL for r in over)
        assert all(ede(r) == [14] for r in over)
        for _ in range(3):
            assert addresses(server.query("mail.example.test", tcp=True)) == [
                "192.0.2.25"]
        assert server.http("/dns/zones").status == 200
        late = [dns.message.from_wire(s.recv(65535)) for _ in range(20)]
        assert all(ede(r) == [22] for r in late)
    lines = server.log().splitlines()
    assert sum("dns_forward" in line for line in lines) <= 4
    assert len(lines) < 120
    assert not any("refused" in line for line in lines)


def test_no_free_connection_is_an_error_of_its_own(start, upstream):
    """It is not the upstream that refuses: nothing is marked as down."""
    one = upstream(4)
    server = start("""
    stream {
        server {
            listen 127.0.0.1:@DNS@ udp;
            dns_serve on;
            dns_forward %s;
        }
    }
    http {
        server {
            listen 127.0.0.1:@HTTP@;
            location /take { content_by_lua_block {
                local held = {}
                local err
                for _, kind in ipairs { "udp", "tcp" } do
                    for i = 1, 100 do
                        local sock = ngx.socket[kind]()
                        local ok
                        ok, err = sock[kind == "udp" and "setpeername"
                            or "connect"](sock, "%s", %d)
                        if not ok then break end
                        held[#held + 1] = sock
                    end
                    ngx.say(err)
                end
            } }
        }
    }""" % (one.address, "127.0.0.1", one.port), events="worker_connections 48;")
    assert server.http("/take").text == "no free connection\n" * 2
    assert "onnection refused" not in server.log()
    assert addresses(server.query("www.elsewhere.test", rd=True)) == [
        "192.0.0.4"]


def test_nxdomain_is_an_answer(start, upstream):
    other = upstream(2)
    server = start_with(start, upstream(1, fault="nxdomain"), other)

    assert server.query("www.elsewhere.test", rd=True).rcode() == 3
    assert other.asked == []


@pytest.mark.parametrize("fault", ["silent", "servfail"])
def test_servfail_when_all_fail(start, upstream, fault):
    server = start_with(start, upstream(fault=fault), upstream(fault=fault))

    begin = time.monotonic()
    response = server.query("www.elsewhere.test", rd=True, timeout=10)

    assert response.rcode() == dns.rcode.SERVFAIL
    assert response.flags & dns.flags.RA
    assert time.monotonic() - begin < 5
    if fault == "silent":
        server.wait_for_log(r"no upstream of .* answered \(timeout\)")


def test_slow_upstreams_do_not_hold_up_others(start, upstream):
    server = start_with(start, upstream(3, delay=0.8))
    answers = []

    def ask(i):
        answers.append(server.query(f"n{i}.elsewhere.test", rd=True))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(50)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    assert addresses(server.query("mail.example.test")) == ["192.0.2.25"]
    assert time.monotonic() - begin < 0.7
    for thread in threads:
        thread.join()

    assert len(answers) == 50
    assert time.monotonic() - begin < 4


def test_datagrams_from_one_port_are_queries_of_their_own(start, upstream):
    import socket

    import dns.message

    server = start_with(start, upstream(3, delay=0.3))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect(("127.0.0.1", server.port("DNS")))
        sent = {}
        for i in range(20):
            query = dns.message.make_query(f"n{i}.elsewhere.test", "A", id=i)
            sent[i] = query.question[0].name
            s.send(query.to_wire())
        for _ in range(20):
            response = dns.message.from_wire(s.recv(65535))
            assert sent.pop(response.id) == response.question[0].name
            assert addresses(response) == ["192.0.0.3"]
    assert sent == {}


def test_a_chain_that_leaves_the_zones_goes_on_upstream(start, upstream):
    server = start_with(start, upstream(4))

    response = server.query("blog.example.test", "A", rd=True)

    assert response.rcode() == 0
    assert addresses(response) == ["pages.example.net.", "192.0.0.4"]


def test_http_lookup_asks_the_upstream(start, upstream):
    server = start_with(start, upstream(8))

    reply = server.http("/dns?domain=www.elsewhere.test&type=A")

    assert reply.json() == [{"name": "www.elsewhere.test", "type": 1,
                             "class": 1, "ttl": 60, "record": "192.0.0.8"}]


def test_without_forwarder_refused(start):
    server = start_service(start)
    response = server.query("www.elsewhere.test", rd=True)
    assert response.rcode() == dns.rcode.REFUSED
    assert not response.flags & dns.flags.RA


# Chains of aliases.

class Zone(Upstream):
    """Answers with the records that lines of master files hold for the question's
    name and type, or aliases; `soa` adds a denial."""

    def __init__(self, *records, soa=False, **options):
        self.records_of = [line.split(None, 2) for line in records]
        self.soa = soa
        self.wants_ad = False
        self.silent_for = None
        super().__init__(**options)

    def _datagrams(self, query):
        name = query.question[0].name.to_text().lower()
        return [] if name == self.silent_for else super()._datagrams(query)

    def _answer(self, query):
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        question = query.question[0]
        wants = query.flags & dns.flags.AD or query.ednsflags & dns.flags.DO
        if wants and self.wants_ad:
            response.flags |= dns.flags.AD
        kind = dns.rdatatype.to_text(question.rdtype)
        name = question.name.to_text().lower()
        for owner, rtype, rdata in self.records_of:
            if owner == name and rtype in (kind, "CNAME"):
                response.answer.append(dns.rrset.from_text(
                    question.name if owner == name else owner, 3600, "IN",
                    rtype, rdata))
            elif owner.startswith("+") and owner[1:] == name:
                # behind the alias, in the same answer
                target, also, data = rdata.split(None, 2)
                response.answer.append(dns.rrset.from_text(
                    target, 3600, "IN", also, data))
        if not response.answer and self.soa:
            response.authority.append(dns.rrset.from_text(
                "test.", 900, "IN", "SOA", "ns.test. h.test. 1 2 3 4 900"))
        return response


def names_asked(upstream):
    return [query.question[0].name.to_text().lower()
            for _, query, _ in upstream.asked]


@pytest.fixture
def zone_upstream():
    made = []

    def make(*records, **options):
        made.append(Zone(*records, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def start_cached(start, one, more="", main="dns_cache 2m;"):
    from service_conf import SAMPLE, resolua, service
    server = start(main + service(f"dns_forward {one.address};" + more),
                   run=False)
    resolua(server, "zone", "load", SAMPLE)
    return server.start()


def test_an_alias_without_its_target_is_asked_on(start, zone_upstream):
    """One more question for the target; the whole is kept."""
    one = zone_upstream("a.up.test. CNAME b.up.test.",
                        "b.up.test. CNAME c.up.test.",
                        "c.up.test. A 192.0.2.7", soa=True)
    server = start_cached(start, one)
    for options in ({}, {"use_edns": 0}, {"tcp": True}):
        response = server.query("A.up.test", rd=True, **options)
        assert addresses(response) == ["b.up.test.", "c.up.test.", "192.0.2.7"]
        assert str(response.question[0].name) == "A.up.test."
        assert not response.flags & dns.flags.AA
    assert names_asked(one) == ["a.up.test.", "b.up.test.", "c.up.test."]
    # A denial of the target is an end as well.
    response = server.query("a.up.test", "AAAA", rd=True)
    assert addresses(response) == ["b.up.test.", "c.up.test."]
    assert response.authority
    count = one.count()
    server.query("a.up.test", "AAAA", rd=True)
    assert one.count() == count
    # An alias itself is what was asked for.
    server.query("a.up.test", "CNAME", rd=True)
    assert one.count() == count + 1


def test_an_alias_that_stays_without_its_target(start, zone_upstream):
    """Is kept for 5 seconds at most, whatever dns_cache_ttl says."""
    one = zone_upstream("a.up.test. CNAME b.up.test.")
    server = start_cached(start, one, main="dns_cache 2m; dns_cache_ttl 1m 1d;")
    begin = time.monotonic()
    assert addresses(server.query("a.up.test", rd=True)) == ["b.up.test."]
    count = one.count()
    assert count <= 3
    one.records_of.append(["b.up.test.", "A", "192.0.2.8"])
    wait_for(lambda: addresses(server.query("a.up.test", rd=True))
             == ["b.up.test.", "192.0.2.8"], 20)
    assert time.monotonic() - begin < 15


def test_a_long_chain_has_five_questions(start, zone_upstream):
    one = zone_upstream(*(f"n{i}.up.test. CNAME n{i + 1}.up.test."
                          for i in range(8)))
    server = start_cached(start, one)
    response = server.query("n0.up.test", rd=True)
    assert addresses(response) == [f"n{i}.up.test." for i in range(1, 6)]
    assert names_asked(one) == [f"n{i}.up.test." for i in range(5)]


def test_a_closed_chain_ends(start, zone_upstream):
    one = zone_upstream("a.up.test. CNAME b.up.test.",
                        "b.up.test. CNAME a.up.test.")
    server = start_cached(start, one)
    response = server.query("a.up.test", rd=True)
    assert response.rcode() == 0 and len(response.answer) == 2
    assert one.count() <= 4


def test_a_chain_into_a_local_zone(start, zone_upstream):
    """The zone's records, not what the upstream says of them; edits are seen at
    once; a chain may go out again."""
    one = zone_upstream(
        "in.up.test. CNAME mail.example.test.",
        "+in.up.test. A mail.example.test. A 203.0.113.66",
        "far.up.test. CNAME in.up.test.",
        "no.up.test. CNAME nothing.example.test.",
        "out.up.test. CNAME blog.example.test.",
        "pages.example.net. A 192.0.2.9", soa=True)
    server = start_cached(start, one)
    for options in ({}, {"use_edns": 0}, {"want_dnssec": True}):
        response = server.query("in.up.test", rd=True, **options)
        assert addresses(response) == ["mail.example.test.", "192.0.2.25"]
        assert response.flags & dns.flags.RA
        assert not response.flags & (dns.flags.AA | dns.flags.AD)
    assert addresses(server.query("far.up.test", rd=True)) == [
        "in.up.test.", "mail.example.test.", "192.0.2.25"]
    response = server.query("no.up.test", rd=True)
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert addresses(response) == ["nothing.example.test."]
    assert str(response.authority[0].name) == "example.test."
    assert addresses(server.query("out.up.test", rd=True)) == [
        "blog.example.test.", "pages.example.net.", "192.0.2.9"]
    reply = server.http("/dns/zones/example.test/mail.example.test/A", "PUT",
                        '{"ttl": 60, "records": ["192.0.2.77"]}')
    assert reply.status == 200
    assert addresses(server.query("in.up.test", rd=True)) == [
        "mail.example.test.", "192.0.2.77"]


def test_ds_of_a_local_zone_is_the_parents(start, zone_upstream):
    """RFC 4035 section 3.1.4.1: NODATA of the child is for servers without
    recursion, or for who does not ask for it."""
    ds = "1 8 2 " + "ab" * 32
    one = zone_upstream(f"example.test. DS {ds}", soa=True)
    server = start_cached(start, one)
    for _ in range(2):
        response = server.query("example.test", "DS", rd=True)
        assert addresses(response) == [ds]
        assert not response.flags & dns.flags.AA
    assert one.count() == 1
    response = server.query("example.test", "DS")
    assert response.flags & dns.flags.AA and not response.answer
    assert server.query("www.example.test", "DS", rd=True).flags & dns.flags.AA
    server.query("example.test", "SOA", rd=True)
    assert one.count() == 1


@pytest.mark.parametrize("cache", ["", "dns_cache 2m;"])
def test_ad_is_for_who_asks_for_it(start, zone_upstream, cache):
    """The client's AD goes to the upstream, and its AD comes back (RFC 6840
    sections 5.7 and 5.8), from the cache as well."""
    one = zone_upstream("x.up.test. A 192.0.2.1")
    one.wants_ad = True
    server = start_cached(start, one, main=cache)

    def has_ad(flags=0, **options):
        query = dns.message.make_query("x.up.test", "A", **options)
        query.flags |= flags
        return bool(server.exchange(query).flags & dns.flags.AD)

    for _ in range(2):
        assert not has_ad()
        assert has_ad(dns.flags.AD)
        assert has_ad(want_dnssec=True)
        assert has_ad(dns.flags.AD, use_edns=0)
        assert not has_ad(use_edns=0)
    flags = [bool(query.flags & dns.flags.AD) for _, query, _ in one.asked]
    assert set(flags) == {True, False}
    assert len(flags) == (3 if cache else 10)


def test_a_server_that_is_its_own_upstream(start):
    # nobody waits for the time-out of a question that goes round
    server = start_service(start, """
        dns_forward 127.0.0.1:@DNS@;
        dns_forward_timeout 60s;
        dns_query_by_lua_block {
            local q = ...
            if q.name:find("^hook") then
                q:forward("127.0.0.1:@DNS@")
            end
        }""")
    server.allow_log("has come back to this server")
    for name in ("elsewhere.test", "hook.elsewhere.test", "hook.example.test"):
        for tcp in (False, True):
            answer = server.query(name, rd=True, tcp=tcp, timeout=20)
            assert answer.rcode() == dns.rcode.SERVFAIL
    assert "is this server itself (upstreams of this query: 127.0.0.1:" in (
        server.log())


class BothTypes(Upstream):
    """Answers no question of a name before both A and ANY are asked for."""

    def _datagrams(self, query):
        wait_for(lambda: {1, 255} <= {asked[1].question[0].rdtype
                                      for asked in self.asked}, 20)
        return super()._datagrams(query)


def test_a_look_up_without_type_asks_a_slow_upstream_once(start):
    upstream = BothTypes(7)
    server = start_service(start, f"dns_forward {upstream.address};"
                           "dns_forward_timeout 60s; dns_forward_retry 60s;")
    reply = server.http("/dns?domain=www.elsewhere.test", timeout=20)
    upstream.stop()
    assert [r["record"] for r in reply.json()] == ["192.0.0.7"]


def test_a_chain_whose_end_is_slow_is_answered_stale(start, zone_upstream):
    """The kept answer is that of the client's question, not of the link's."""
    one = zone_upstream("a.up.test. CNAME b.up.test.",
                        "b.up.test. A 192.0.2.7")
    server = start_cached(
        start, one, main="dns_cache 2m; dns_cache_ttl 0 1; dns_serve_stale 1h;")
    assert addresses(server.query("a.up.test", rd=True)) == [
        "b.up.test.", "192.0.2.7"]
    one.silent_for = "b.up.test."

    def is_stale():
        response = server.query("a.up.test", rd=True, use_edns=0, timeout=20)
        assert str(response.question[0].name) == "a.up.test."
        assert addresses(response) == ["b.up.test.", "192.0.2.7"]
        return [o.code for o in response.options
                if isinstance(o, dns.edns.EDEOption)] == [3]

    wait_for(is_stale, 30)
