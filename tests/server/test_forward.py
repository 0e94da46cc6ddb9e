"""The forwarder against upstreams of the tests' own."""

import threading
import time

import dns.flags
import dns.rcode
import pytest

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
