"""For whom upstreams are asked, and what look-ups over HTTP obey."""

import json
import socket
import struct

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from resolua_server import HOST
from service_conf import SAMPLE, resolua
from upstream import Upstream

OUTSIDE = "203.0.113.9"

CONF = """
dns_store lmdb path=@FOLDER@/data;
dns_cache 4m;

stream {
    dns_forward %(upstream)s;
    %(stream)s
    server {
        listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        %(server)s
    }
    server { # clients as PROXY protocol tells them
        listen 127.0.0.1:@PROXY@ proxy_protocol;
        set_real_ip_from 127.0.0.0/8;
        dns_serve on;
        %(server)s
    }
}

http {
    set_real_ip_from 127.0.0.0/8;
    real_ip_header X-Client;
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block {
            require("dns.api").serve { %(options)s }
        } }
        location /dns-query {
            dns_over_https on;
            dns_forward %(upstream)s;
            %(server)s
        }
        location /udp { content_by_lua_block {
            local dns = require "dns"
            local wire = require("dns.servers").answer(1, dns.encode {
                id = 1, rd = true, edns = { udp_size = 1232 },
                questions = { { name = ngx.var.arg_name, type = 1 } },
            }, 0, ngx.var.arg_client, true)
            ngx.print(wire)
        } }
    }
}
"""


@pytest.fixture
def upstream():
    one = Upstream(7)
    yield one
    one.stop()


def start_conf(start, upstream, server="", options="", stream="", **more):
    made = start(CONF % {"upstream": upstream.address, "server": server,
                         "options": options, "stream": stream},
                 run=False, **more)
    resolua(made, "zone", "load", SAMPLE)
    return made.start()


def query_of(name):
    return dns.message.make_query(name, "A", use_edns=0).to_wire()


def by_proxy(server, client, name):
    family = "TCP6" if ":" in client else "TCP4"
    local = "::1" if ":" in client else "127.0.0.1"
    wire = query_of(name)
    with socket.create_connection((HOST, server.port("PROXY")), 10) as s:
        s.sendall(f"PROXY {family} {client} {local} 1 53\r\n".encode()
                  + struct.pack("!H", len(wire)) + wire)
        with s.makefile("rb") as stream:
            return stream.read(*struct.unpack("!H", stream.read(2)))


def by_https(server, client, name):
    return server.http("/dns-query", "POST", query_of(name), {
        "Content-Type": "application/dns-message", "X-Client": client}).body


def by_udp(server, client, name):
    return server.http(f"/udp?client={client}&name={name}").body


WAYS = {"proxy": by_proxy, "https": by_https, "udp": by_udp}

LOCAL = ["127.0.0.1", "127.9.9.9", "10.255.255.255", "172.16.0.1",
         "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255",
         "169.254.1.1", "::1", "fd00::1", "fc00::1", "fe80::1",
         "::ffff:10.0.0.1"]
OTHER = [OUTSIDE, "9.255.255.255", "11.0.0.1", "172.15.255.255", "172.32.0.1",
         "192.169.0.1", "100.63.255.255", "100.128.0.1", "128.0.0.1",
         "169.255.0.1", "2001:db8::1", "fec0::1", "fe00::1",
         "::ffff:203.0.113.9", "::2"]


def ede(response):
    return [int(option.code) for option in response.options
            if option.otype == dns.edns.OptionType.EDE]


def is_answered(wire):
    response = dns.message.from_wire(wire)
    if response.rcode() == dns.rcode.NOERROR:
        assert response.flags & dns.flags.RA
        assert str(response.answer[0][0]) == "192.0.0.7"
        return True
    assert response.rcode() == dns.rcode.REFUSED
    assert ede(response) == [18] and not response.flags & dns.flags.RA
    return False


@pytest.mark.parametrize("way", WAYS)
def test_upstreams_are_asked_for_local_clients(start, upstream, way):
    """Others are refused, though the answer is kept; zones are for all."""
    server = start_conf(start, upstream)
    ask = WAYS[way]
    assert not is_answered(ask(server, OUTSIDE, "www.elsewhere.test"))
    assert upstream.asked == []
    for client in LOCAL:
        assert is_answered(ask(server, client, "www.elsewhere.test")), client
    for client in OTHER:
        assert not is_answered(ask(server, client, "www.elsewhere.test")), client
        zone = dns.message.from_wire(ask(server, client, "www.example.test"))
        assert zone.answer and not zone.flags & dns.flags.RA
    assert upstream.count() == 1


def test_a_chain_that_leaves_the_zones(start, upstream):
    server = start_conf(start, upstream)
    for client, count in (("10.0.0.1", 2), (OUTSIDE, 1), ("10.0.0.1", 2)):
        response = dns.message.from_wire(
            by_proxy(server, client, "blog.example.test"))
        assert len(response.answer) == count


def test_unix_sockets_are_local(start, upstream):
    server = start_conf(start, upstream, stream="""
    server { listen unix:@FOLDER@/dns.sock; dns_serve on; }""")
    wire = query_of("www.elsewhere.test")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(server.folder / "dns.sock"))
        s.sendall(struct.pack("!H", len(wire)) + wire)
        with s.makefile("rb") as stream:
            assert is_answered(stream.read(
                *struct.unpack("!H", stream.read(2))))


def test_a_hook_that_forwards_decides_for_itself(start, upstream):
    server = start_conf(start, upstream, server="""
        dns_query_by_lua_block {
            local q = ...
            if q.name == "open.test" then
                q:forward("%s")
            elseif q.name == "renamed.test" then
                q:rewrite("elsewhere.test")
            end
        }""" % upstream.address)
    for ask in (by_proxy, by_https):
        assert is_answered(ask(server, OUTSIDE, "open.test"))
        assert not is_answered(ask(server, OUTSIDE, "renamed.test"))
        assert is_answered(ask(server, "10.0.0.1", "renamed.test"))


# Look-ups by GET /dns?domain=.

def look_up(server, name, client="127.0.0.1", rtype="&type=A"):
    reply = server.http(f"/dns?domain={name}{rtype}", headers={"X-Client": client})
    if reply.status != 200:
        assert set(json.loads(reply.body)) == {"error"}
        return reply.status
    return [record["record"] for record in reply.json()]


def test_look_ups_recurse_for_local_clients(start, upstream):
    server = start_conf(start, upstream)
    assert look_up(server, "www.elsewhere.test") == ["192.0.0.7"]
    assert look_up(server, "elsewhere.test", rtype="") == ["192.0.0.7"]
    for client in OUTSIDE, "2001:db8::1":
        assert look_up(server, "www.elsewhere.test", client) == 403
        assert look_up(server, "mail.example.test", client) == ["192.0.2.25"]
        assert look_up(server, "no.example.test", client) == []


def test_look_ups_run_the_hooks(start, upstream):
    """As a query of the HTTP client's."""
    server = start_conf(start, upstream, server="""
        dns_query_by_lua_block {
            local q = ...
            if q.name == "mail.example.test" then
                q:answer("A", 60, q:client_in("10.0.0.0/8") and "10.1.2.3"
                    or "192.0.2.99")
            elseif q.name == "secret.example.test" then
                ngx.sleep(0.01)
                q:refuse()
            elseif q.name == "gone.example.test" then
                q:drop()
            end
        }
        dns_answer_by_lua_block {
            local q = ...
            if q.name == "www.example.test" then
                q:refuse()
            end
        }""")
    assert look_up(server, "mail.example.test", "10.0.0.1") == ["10.1.2.3"]
    assert look_up(server, "mail.example.test") == ["192.0.2.99"]
    assert look_up(server, "secret.example.test") == 403
    assert look_up(server, "gone.example.test") == 502
    assert look_up(server, "www.example.test") == 403


def test_look_ups_obey_the_access_rules(start, upstream):
    server = start_conf(start, upstream, stream="""
        allow 10.0.0.0/8; deny 10.9.0.0/16; allow 2001:db8:1::/48; deny all;""")
    for client, is_allowed in [("10.0.0.1", True), ("192.168.0.1", False),
                               ("2001:db8:1::5", True), ("2001:db8::5", False),
                               (OUTSIDE, False)]:
        found = look_up(server, "mail.example.test", client)
        assert found == (["192.0.2.25"] if is_allowed else 403), client


def test_look_ups_can_be_switched_off(start, upstream):
    server = start_conf(start, upstream, options="lookup = false")
    assert look_up(server, "mail.example.test") == 404
    assert server.http("/dns/zones").status == 200


def test_the_server_whose_hooks_look_ups_run(start, upstream):
    server = start_conf(start, upstream, options="server = 3", stream="""
        server {
            listen 127.0.0.1:@FIRST@ udp;
            dns_serve on;
            dns_query_by_lua_block { local q = ... q:refuse() }
        }""")
    assert look_up(server, "mail.example.test") == ["192.0.2.25"]


def test_without_a_server_that_serves_dns(start, upstream):
    server = start("""
    dns_store lmdb path=@FOLDER@/data;
    http {
        set_real_ip_from 127.0.0.0/8;
        real_ip_header X-Client;
        dns_forward %s;
        server {
            listen 127.0.0.1:@HTTP@;
            location /dns { content_by_lua_block {
                require("dns.api").serve() } }
        }
    }""" % upstream.address)
    assert look_up(server, "www.elsewhere.test") == ["192.0.0.7"]
    assert look_up(server, "www.elsewhere.test", OUTSIDE) in (403, [])
    assert upstream.count() == 1
