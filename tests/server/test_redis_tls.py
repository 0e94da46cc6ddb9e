"""Zones in a Redis that speaks TLS alone."""

import json

import dns.rcode
import pytest

from redis_servers import APEX, Node, PASSWORD, free_ports
from resolua_server import HOST, wait_for
from service_conf import STORE_CONF
from stores import resolua_store, texts, wait_for_answer
from tls import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("redis.test")
    return authority


@pytest.fixture(scope="module")
def redis(tmp_path_factory, authority):
    """Gives the port of TLS; the plain one is for the test alone."""
    plain, secure = free_ports(2)
    node = Node(tmp_path_factory.mktemp("redis"), plain, f"tls-port {secure}",
                f"tls-cert-file {authority.path('redis.test.pem')}",
                f"tls-key-file {authority.path('redis.test.key')}",
                f"tls-ca-cert-file {authority.path('ca.pem')}",
                "tls-auth-clients no")
    node.secure = secure
    yield node
    node.stop()


@pytest.fixture(autouse=True)
def clean(redis):
    redis.run("FLUSHALL")
    redis.run("HSET", "a.test.", "@", APEX, "www",
              json.dumps({"a": [{"ttl": 600, "ip": "192.0.2.1"}]}))


def url(port):
    return f"redis://:{PASSWORD}@{HOST}:{port}/0"


def options(authority, name="redis.test"):
    return (f"tls=on ca_file={authority.path('ca.pem')} tls_name={name}"
            " poll=100ms timeout=500ms ttl_cap=10m")


def test_zones_are_served_and_edited_over_tls(start, redis, authority):
    server = start(STORE_CONF % f"{url(redis.secure)} {options(authority)}")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])
    server.wait_for_log("changes are told by")
    for i in range(2, 8):
        redis.run("HSET", "a.test.", "www",
                  json.dumps({"a": [{"ttl": 600, "ip": f"192.0.2.{i}"}]}))
        wait_for_answer(server, "www.a.test", "A", [f"192.0.2.{i}"], 3)
    done = server.http("/dns/zones/a.test/new/A", "PUT",
                       json.dumps({"ttl": 60, "records": ["192.0.2.9"]}),
                       {"Content-Type": "application/json"})
    assert done.status == 201
    assert texts(server.query("new.a.test")) == ["192.0.2.9"]


def test_large_things_cross_in_many_records(start, redis, authority):
    for i in range(3000):
        if i % 500 == 0:
            words = ["HSET", "a.test."]
        words += [f"n{i}", json.dumps({"txt": [{"ttl": 60, "text": "x" * 200}]})]
        if i % 500 == 499:
            redis.run(*words)
    where = (f"{url(redis.secure)}?tls=on&ca_file={authority.path('ca.pem')}"
             "&tls_name=redis.test")
    assert resolua_store(where, "zone", "show", "a.test").count("xxx") >= 3000
    server = start(STORE_CONF % f"{url(redis.secure)} {options(authority)}")
    wait_for_answer(server, "n2999.a.test", "TXT", ['"' + "x" * 200 + '"'])


@pytest.mark.parametrize("name, trusted", [("other.test", True),
                                           ("redis.test", False)])
def test_a_server_that_is_not_trusted_is_not_asked(start, redis, authority,
                                                   tmp_path, name, trusted):
    known = authority if trusted else Authority(tmp_path)
    slow = options(known, name).replace("timeout=500ms", "timeout=20s")
    server = start(STORE_CONF % f"{url(redis.secure)} {slow}")
    server.wait_for_log("cannot be reached: (the certificate is not|unable to"
                        "|self-signed|certificate)")
    assert server.query("www.a.test").rcode() == dns.rcode.SERVFAIL
    where = (f"{url(redis.secure)}?tls=on&ca_file={known.path('ca.pem')}"
             f"&tls_name={name}")
    done = resolua_store(where, "zone", "list", check=False)
    assert done.returncode != 0 and done.stderr


def test_who_does_not_speak_tls_costs_the_timeout(start, redis, authority):
    server = start(STORE_CONF % f"{url(redis.port)} {options(authority)}")
    server.wait_for_log(r"dns_store \S+ (cannot be reached|fails)")
    assert server.query("www.a.test").rcode() == dns.rcode.SERVFAIL


def test_it_is_used_again_when_it_is_back(start, redis, authority):
    server = start(STORE_CONF % f"{url(redis.secure)} {options(authority)}")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])
    redis.run("CLIENT", "KILL", "TYPE", "normal")
    redis.run("CLIENT", "KILL", "TYPE", "pubsub")
    wait_for(lambda: server.query("x.a.test").rcode() == dns.rcode.NXDOMAIN, 5)


def test_what_is_missing_is_told(start, tmp_path):
    for words in ("tls=on", "ca_file=/nowhere", "tls=on ca_file=/nowhere"):
        server = start(STORE_CONF % f"{url(1)} {words}", run=False)
        server.allow_log("emerg")
        code, said = server.test_configuration()
        assert code != 0 and ("go together" in said or "/nowhere" in said)
