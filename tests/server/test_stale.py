"""dns_serve_stale: what was kept is given where its source does not answer."""

import json
import re
import signal
import time

import dns.edns
import pytest

from databases import Redis
from resolua_server import wait_for
from upstream import Upstream

CONF = """
dns_cache 1m;
%s
stream {
    server {
        listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        %s
    }
}
"""


def explained(response):
    return [option.code for option in response.options
            if option.otype == dns.edns.OptionType.EDE]


def ask(server, name, **options):
    """Waits for as long as a slow machine needs."""
    return server.query(name, use_edns=0, **{"timeout": 60, **options})


def ask_until(server, name, is_right, **options):
    """The first response that is right."""
    return wait_for(lambda: is_right(r := ask(server, name, **options)) and r, 120,
                    f"the right answer for {name}")


def keep(server, name, rcode=0, **options):
    """Asks until the source has answered, which a slow one does not at once;
    the answer is kept then."""
    return ask_until(server, name, lambda r: r.rcode() == rcode
                     and explained(r) == [], **options)


@pytest.fixture
def redis(tmp_path):
    database = Redis(tmp_path)
    fields = {
        "@": {"soa": {"ns": "ns.r.test.", "mbox": "h.r.test.", "refresh": 1, "retry": 2,
                      "expire": 3, "minttl": 60, "ttl": 60},
              "ns": [{"host": "ns.r.test.", "ttl": 60}]},
        "www": {"a": [{"ip": "192.0.2.3", "ttl": 60}]},
    }
    for field, value in fields.items():
        database.run("HSET", "r.test.", field, json.dumps(value))
    yield database
    database.stop()


def redis_store(redis, more=""):
    return (f"dns_store redis://default:secret@127.0.0.1:{redis.port}/3 ttl_cap=1s"
            f" timeout=2s {more};")


def fails(server, name):
    return ask_until(server, name, lambda r: r.rcode() == 2)


def is_stale(server, name):
    return ask_until(server, name, lambda r: r.rcode() != 2 and explained(r) != [])


def test_names_of_a_store_that_is_gone(start, redis):
    server = start(CONF % (redis_store(redis) + "dns_serve_stale 1h;", ""))
    assert keep(server, "www.r.test").answer[0].ttl in range(1, 61)
    keep(server, "no.r.test", rcode=3)
    redis.process.kill()
    response = is_stale(server, "www.r.test")
    assert explained(response) == [3]
    assert response.rcode() == 0 and response.answer[0].ttl == 30
    response = is_stale(server, "no.r.test")
    assert explained(response) == [19] and response.rcode() == 3
    never_asked = ask(server, "other.r.test")
    assert never_asked.rcode() == 2 and explained(never_asked) in ([22], [23])


def test_off_is_servfail(start, redis):
    server = start(CONF % (redis_store(redis), ""))
    keep(server, "www.r.test")
    redis.process.kill()
    assert explained(fails(server, "www.r.test")) in ([22], [23])


def test_no_longer_than_it_says(start, redis):
    server = start(CONF % (redis_store(redis) + "dns_serve_stale 8s;", ""))
    keep(server, "www.r.test")
    redis.process.kill()
    is_stale(server, "www.r.test")
    fails(server, "www.r.test")


def test_names_of_an_upstream_that_is_gone(start):
    upstream = Upstream(5)
    server = start(CONF % ("dns_serve_stale 1h; dns_cache_ttl 0 1s;",
                           f"dns_forward {upstream.address};"))
    keep(server, "www.test", rd=True)
    upstream.fault = "servfail"
    response = ask_until(server, "www.test", lambda r: explained(r) == [3], rd=True)
    assert str(response.answer[0][0]) == "192.0.0.5" and response.answer[0].ttl == 30
    upstream.fault = None
    keep(server, "www.test", rd=True)
    upstream.stop()


def test_it_needs_a_cache(start):
    server = start("dns_serve_stale 1h;", run=False)
    server.allow_log("dns_serve_stale")
    code, said = server.test_configuration()
    assert code != 0 and "needs dns_cache" in said


# Who waits, and for how long (RFC 8767 section 5).

def start_upstream(start, upstream, server="", **options):
    return start(CONF % ("dns_serve_stale 1h; dns_cache_ttl 0 1s;",
                         f"dns_forward {upstream.address};" + server), **options)


def expire(server, *names):
    """Answers of the names are kept, and have expired."""
    for name in names:
        keep(server, name, rd=True)
    server.upstream.fault = "silent"


def test_one_client_waits_for_an_upstream(start):
    """The others are answered at once, by all workers; one question at a time
    looks whether it is back, and then answers are fresh."""
    upstream = Upstream(5)
    server = start_upstream(start, upstream, workers=2)
    server.upstream = upstream
    names = [f"n{i}.test" for i in range(20)]
    expire(server, *names)
    ask_until(server, names[0], lambda r: explained(r) == [3], rd=True)
    count, begin = upstream.count(), time.monotonic()
    for i in range(200):
        response = ask(server, names[i % 20], rd=True, tcp=i % 2 == 1)
        assert explained(response) == [3] and response.answer[0].ttl == 30
    # Who waits for 1.8 s each would take six minutes.
    took = time.monotonic() - begin
    assert took < 200
    # A check is one question that asks the upstream some times; the next one
    # begins a second later at the earliest.
    assert upstream.count() - count < 40 + 10 * took
    assert ask(server, "never.test", rd=True).rcode() == 2
    upstream.fault = None
    keep(server, names[0], rd=True)
    keep(server, names[7], rd=True)
    upstream.stop()


def test_a_slow_upstream_is_not_waited_for(start):
    """What comes after the client has its answer is kept for the next one; the
    hooks see what the client got, once."""
    upstream = Upstream(5)
    server = start_upstream(start, upstream, server="""
        dns_answer_by_lua_block { local q = ... answers = (answers or 0) + 1 }
        dns_log_by_lua_block {
            local q = ...
            if q.name == "slow.test" then
                ngx.log(ngx.WARN, "logged ", q.name, " ", q.rcode)
            end
        }""")
    keep(server, "slow.test", rd=True)
    asked = len(re.findall("logged slow.test", server.log()))
    upstream.delay = 2.6
    time.sleep(1.1)  # its TTL
    begin = time.monotonic()
    response = ask(server, "slow.test", rd=True)
    assert explained(response) == [3]
    assert time.monotonic() - begin >= 1.7
    assert len(re.findall("logged slow.test", server.log())) == asked + 1
    upstream.delay = 0
    keep(server, "slow.test", rd=True)
    upstream.stop()


def test_one_client_waits_for_a_store(start, redis):
    """A database that hangs; the socket takes what is asked and says nothing."""
    server = start(CONF % (redis_store(redis).replace("2s", "600s")
                           + "dns_serve_stale 1h;", ""))
    keep(server, "www.r.test")
    keep(server, "no.r.test", rcode=3)
    redis.process.send_signal(signal.SIGSTOP)
    try:
        is_stale(server, "www.r.test")
        begin = time.monotonic()
        for _ in range(100):
            assert explained(ask(server, "www.r.test")) == [3]
            assert explained(ask(server, "no.r.test")) in ([19], [])
        # Who waits for 1.8 s each would take six minutes.
        assert time.monotonic() - begin < 200
    finally:
        redis.process.send_signal(signal.SIGCONT)
    keep(server, "www.r.test")


def test_stale_answers_are_of_the_same_upstream(start):
    """A query that a hook sends to another upstream, which fails, is not given
    what this server's own upstream has said."""
    upstream, other = Upstream(5), Upstream(6, fault="servfail")
    server = start_upstream(start, upstream, server="""
        dns_query_by_lua_block {
            local q = ...
            if q.type == 1 and away then q:forward("%s") end
            if q.name == "away.test" then away = true end
        }""" % other.address)
    keep(server, "www.test", rd=True)
    ask(server, "away.test", rd=True)
    time.sleep(1.1)  # its TTL
    response = ask(server, "www.test", rd=True)
    assert response.rcode() == 2 and explained(response) != [3]
    for one in (upstream, other):
        one.stop()
