"""dns_serve_stale: what was kept is given where its source does not answer."""

import json

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
    return server.query(name, use_edns=0, **options)


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
            f" timeout=300ms {more};")


def fails(server, name):
    return wait_for(lambda: (r := ask(server, name)).rcode() == 2 and r)


def is_stale(server, name):
    return wait_for(lambda: explained(r := ask(server, name)) != [] and r)


def test_names_of_a_store_that_is_gone(start, redis):
    server = start(CONF % (redis_store(redis) + "dns_serve_stale 1h;", ""))
    assert ask(server, "www.r.test").answer[0].ttl == 60
    assert ask(server, "no.r.test").rcode() == 3
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
    assert ask(server, "www.r.test").answer
    redis.process.kill()
    assert explained(fails(server, "www.r.test")) in ([22], [23])


def test_no_longer_than_it_says(start, redis):
    server = start(CONF % (redis_store(redis) + "dns_serve_stale 1s;", ""))
    assert ask(server, "www.r.test").answer
    redis.process.kill()
    is_stale(server, "www.r.test")
    fails(server, "www.r.test")


def test_names_of_an_upstream_that_is_gone(start):
    upstream = Upstream(5)
    server = start(CONF % ("dns_serve_stale 1h; dns_cache_ttl 0 1s;",
                           f"dns_forward {upstream.address};"))
    assert ask(server, "www.test", rd=True).answer
    upstream.fault = "servfail"
    response = wait_for(lambda: (r := ask(server, "www.test", rd=True))
                        and explained(r) == [3] and r)
    assert str(response.answer[0][0]) == "192.0.0.5" and response.answer[0].ttl == 30
    upstream.fault = None
    wait_for(lambda: explained(ask(server, "www.test", rd=True)) == [])
    upstream.stop()


def test_it_needs_a_cache(start):
    server = start("dns_serve_stale 1h;", run=False)
    server.allow_log("dns_serve_stale")
    code, said = server.test_configuration()
    assert code != 0 and "needs dns_cache" in said
