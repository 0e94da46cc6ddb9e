"""The answer cache between the clients and the forwarder."""

import subprocess
import time

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from resolua_server import ROOT, sanitizer_environment, wait_for
from service_conf import SAMPLE, resolua
from upstream import Upstream

CONF = """
dns_store lmdb path=@FOLDER@/data;
dns_cache 4m;
%(main)s

stream {
    server {
        listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        dns_forward %(upstream)s;
        dns_nsid cache1;
    }
    server {
        listen 127.0.0.1:@OTHER@ udp;
        dns_serve on;
        dns_forward %(other)s;
    }
}

http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /purge {
            content_by_lua_block {
                require("dns.cache").purge(ngx.var.arg_name)
            }
        }
        location /stats {
            content_by_lua_block {
                ngx.say(require("cjson").encode(require("dns.cache").stats()))
            }
        }
    }
}
"""


class Negative(Upstream):
    """NXDOMAIN with an SOA whose MINIMUM is 30."""

    def _answer(self, query):
        response = super()._answer(query)
        response.answer.clear()
        response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text(
            "test.", 900, "IN", "SOA", "ns.test. h.test. 1 2 3 4 30"))
        return response


@pytest.fixture
def serve(start):
    made = []

    def go(upstream=None, main="", **options):
        one = upstream or Upstream(7)
        other = Upstream(9)
        made.extend([one, other])
        server = start(CONF % {"main": main, "upstream": one.address,
                               "other": other.address}, run=False, **options)
        resolua(server, "zone", "load", SAMPLE)
        server.start()
        server.upstream, server.other = one, other
        return server

    yield go
    for one in made:
        one.stop()


def address(response):
    return [str(rdata) for rrset in response.answer for rdata in rrset]


def ask(server, name="www.else.test", **options):
    return server.query(name, "A", rd=True, **options)


@pytest.mark.parametrize("tcp", [False, True])
def test_the_upstream_is_asked_once(serve, tcp):
    server = serve()
    first = ask(server, tcp=tcp)
    second = ask(server, "wWw.ELSE.test", tcp=not tcp)
    assert address(first) == address(second) == ["192.0.0.7"]
    assert second.question[0].name.to_text() == "wWw.ELSE.test."
    assert second.flags & dns.flags.RA and not second.flags & dns.flags.AA
    assert len(server.upstream.asked) == 1


def test_ttls_count_down(serve):
    server = serve()
    assert ask(server).answer[0].ttl == 60
    wait_for(lambda: ask(server).answer[0].ttl < 60)
    assert len(server.upstream.asked) == 1


def test_answers_end_with_their_ttl(serve):
    server = serve(main="dns_cache_ttl 0 1s;")
    ask(server)
    ask(server)
    assert len(server.upstream.asked) == 1
    wait_for(lambda: ask(server) and len(server.upstream.asked) == 2)


def test_a_clock_that_is_set_back(serve, tmp_path):
    """Answers end with their TTL by the clock that nobody sets."""
    library, back = tmp_path / "shim.so", tmp_path / "back"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library,
                    ROOT / "tests/server/shim_clock.c", "-ldl"], check=True)
    preload = [sanitizer_environment().get("LD_PRELOAD"), str(library)]
    server = serve(main="dns_cache_ttl 0 2s; env SHIM_CLOCK;", env={
        "LD_PRELOAD": ":".join(filter(None, preload)),
        "SHIM_CLOCK": str(back)})
    asked = server.upstream.asked
    assert ask(server).answer[0].ttl == 60 and len(asked) == 1
    back.touch()
    wait_for(lambda: ask(server) and len(asked) == 2)
    assert ask(server).answer[0].ttl > 50
    back.unlink()
    wait_for(lambda: ask(server) and len(asked) == 3)


def test_names_that_do_not_exist(serve):
    server = serve(Negative())
    assert ask(server).rcode() == dns.rcode.NXDOMAIN
    again = ask(server)
    assert again.rcode() == dns.rcode.NXDOMAIN and len(again.authority) == 1
    assert len(server.upstream.asked) == 1


def test_failures_are_asked_again(serve):
    server = serve(Upstream(fault="servfail"))
    ask(server)
    before = len(server.upstream.asked)
    ask(server)
    assert len(server.upstream.asked) > before


def test_edns_is_the_clients_own(serve):
    server = serve()
    ask(server, use_edns=0)
    plain = ask(server)
    assert plain.edns == -1
    nsid = ask(server, use_edns=0,
               options=[dns.edns.GenericOption(dns.edns.NSID, b"")])
    assert nsid.edns == 0 and nsid.options[0].to_wire() == b"cache1"
    assert len(server.upstream.asked) == 1
    ask(server, want_dnssec=True)
    assert len(server.upstream.asked) == 2


def test_what_is_too_long_for_a_client_is_cut(serve):
    server = serve(Upstream(records=60))
    assert len(ask(server, tcp=True).answer[0]) == 60
    short = ask(server)
    assert short.flags & dns.flags.TC and not short.answer
    assert len(ask(server, use_edns=0, payload=4096).question) == 1
    assert server.upstream.count() + server.upstream.count("tcp") == 1


def test_servers_with_other_upstreams_do_not_share(serve):
    server = serve()
    assert address(ask(server)) == ["192.0.0.7"]
    assert address(ask(server, port="OTHER")) == ["192.0.0.9"]


def test_zones_come_before_the_cache(serve):
    server = serve()
    ask(server, "new.test")
    zone = server.file("new.zone", "$ORIGIN new.test.\n"
                       "@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\n"
                       "@ 60 A 192.0.2.99\nns 60 A 192.0.2.1\n")
    resolua(server, "zone", "load", zone)
    assert address(ask(server, "new.test")) == ["192.0.2.99"]


def test_purge_and_stats(serve):
    server = serve()
    ask(server), ask(server, "two.else.test")
    server.http("/purge?name=www.else.test")
    ask(server), ask(server, "two.else.test")
    assert len(server.upstream.asked) == 3
    server.http("/purge")
    ask(server), ask(server, "two.else.test")
    assert len(server.upstream.asked) == 5
    stats = server.http("/stats").json()
    assert stats["kept"] == 5 and stats["hits"] == 1
    assert stats["capacity"] > 1000


def test_workers_share_it_and_a_reload_keeps_it(serve):
    server = serve(workers=2)
    for _ in range(20):
        ask(server)
    # At most one question for each worker that met the name first.
    assert len(server.upstream.asked) <= 2
    before = len(server.upstream.asked)
    server.reload()
    for _ in range(10):
        ask(server)
    assert len(server.upstream.asked) == before


def test_bad_directives(start):
    for directive, complaint in [
            ("dns_cache 10;", "not a size of at least 1m"),
            ("dns_cache x;", "not a size"),
            ("dns_cache 1m; dns_cache 1m;", "duplicate"),
            ("dns_cache_ttl 5s 1s;", "at least the first")]:
        server = start(directive + "stream {}", run=False)
        code, text = server.test_configuration()
        assert code == 1 and complaint in text
        server.allow_log("emerg")


def test_pipelined_queries_get_their_own_ids(serve):
    server = serve()
    names = [f"n{i % 10}.else.test" for i in range(300)]
    packets = [dns.message.make_query(name, "A", id=1000 + i).to_wire()
               for i, name in enumerate(names)]
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect(("127.0.0.1", server.port("DNS")))
        got = {}
        for start_at in range(0, 300, 50):
            for packet in packets[start_at:start_at + 50]:
                s.send(packet)
            while len(got) < start_at + 50:
                message = dns.message.from_wire(s.recv(4096))
                got[message.id] = message
    for i, name in enumerate(names):
        assert got[1000 + i].question[0].name.to_text() == name + "."
        assert address(got[1000 + i]) == ["192.0.0.7"]


def test_time_does_not_go_backwards(serve):
    server = serve()
    ask(server)
    ttls = []
    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline:
        ttls.append(ask(server).answer[0].ttl)
    assert ttls == sorted(ttls, reverse=True) and ttls[-1] < 60


def test_no_old_answer_after_a_purge(start):
    """Edits while hits are served: what was acknowledged is what is answered."""
    import threading
    server = start("""
        dns_cache 1m;
        stream {
            server {
                listen 127.0.0.1:@DNS@ udp;
                dns_serve on;
                dns_query_by_lua_block {
                    local q = ...
                    q:answer("TXT", 60, tostring(package.loaded.number or 0))
                    q:cache(60, "numbers")
                }
            }
        }
        http {
            server {
                listen 127.0.0.1:@HTTP@;
                keepalive_requests 100000;
                location / {
                    content_by_lua_block {
                        package.loaded.number = tonumber(ngx.var.arg_n)
                        require("dns.cache").purge("numbers")
                    }
                }
            }
        }""")
    import http.client
    stop = threading.Event()

    def read():
        while not stop.is_set():
            server.query("x.test", "TXT")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port("HTTP"))
    try:
        for number in range(1, 1001):
            connection.request("GET", f"/?n={number}")
            connection.getresponse().read()
            answer = server.query("x.test", "TXT").answer[0][0]
            assert answer.to_text() == f'"{number}"'
    finally:
        stop.set()
        for reader in readers:
            reader.join()
