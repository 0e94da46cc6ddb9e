"""resty.dns.resolver against our own server and one with faults."""

import json

import pytest

from lua_conf import http_lua
from resolua_server import HOST, free_port, wait_for
from service_conf import resolua
from upstream import Upstream

ZONE = """
$ORIGIN types.test.
$TTL 300
@ SOA ns1 host\\.master 7 3600 600 86400 60
@ NS ns1
@ MX 10 mail
@ MX 20 .
@ SPF "v=spf1 -all"
@ CAA 0 issue "ca.test"
ns1 A 192.0.2.1
a A 192.0.2.7
a A 192.0.2.8
a AAAA 2001:db8::1
a AAAA ::ffff:192.0.2.9
alias CNAME a
one TXT "just one"
many TXT "a\\"b" "c\\\\d" "\\200x" "\\\\123"
_sip._udp SRV 1 2 5060 a
big TXT "%s" "%s" "%s"
7.2.0.192.in-addr PTR a
""" % ("x" * 200, "y" * 200, "z" * 200)

REVERSE = """
$ORIGIN 2.0.192.in-addr.arpa.
@ 300 SOA ns1.types.test. host.types.test. 1 3600 600 86400 60
@ 300 NS ns1.types.test.
7 300 PTR a.types.test.
"""

PREFIX = """
    local cjson = require "cjson"
    local resolver = require "resty.dns.resolver"
    local function new(options)
        options = options or {}
        options.nameservers = options.nameservers or { { "127.0.0.1", %s } }
        return assert(resolver:new(options))
    end
    local function show(...) ngx.say(cjson.encode{ ... }) end
"""


@pytest.fixture
def ask(start, tmp_path):
    """ask(code) gives the JSON of each line that the script prints."""
    for name, text in (("types.test", ZONE), ("reverse", REVERSE)):
        (tmp_path / f"{name}.zone").write_text(text)

    def go(code):
        conf = """dns_store lmdb path=@FOLDER@/data;
            stream { server { listen 127.0.0.1:@DNS@ udp;
                              listen 127.0.0.1:@DNS@; dns_serve on; } }
            """ + http_lua(PREFIX % "@DNS@" + code,
                           location="lua_socket_log_errors off;")
        server = start(conf, run=False, env={"LUA_PATH": ";;"})
        for name in ("types.test", "reverse"):
            resolua(server, "zone", "load", tmp_path / f"{name}.zone")
        server.start()
        text = server.http("/t").text
        return [json.loads(line) for line in text.splitlines()]
    return go


def as_text(answer):
    return json.dumps(answer, sort_keys=True)


def test_the_kinds_of_answers(ask):
    lines = ask("""
        local r = new()
        for _, question in ipairs {
            { "a", r.TYPE_A }, { "a", r.TYPE_AAAA }, { "alias", r.TYPE_CNAME },
            { "types.test", r.TYPE_NS }, { "types.test", r.TYPE_MX },
            { "_sip._udp", r.TYPE_SRV }, { "types.test", r.TYPE_SOA },
            { "one", r.TYPE_TXT }, { "many", r.TYPE_TXT },
            { "types.test", r.TYPE_SPF } } do
            local name = question[1]
            name = name == "types.test" and name or name .. ".types.test"
            local answers = assert(r:query(name, { qtype = question[2] }))
            for _, answer in ipairs(answers) do
                assert(answer.class == r.CLASS_IN and answer.ttl == 300)
                assert(answer.section == r.SECTION_AN)
                assert(answer.type == question[2] and answer.name == name)
                answer.class, answer.ttl, answer.section = nil, nil, nil
                answer.type, answer.name = nil, nil
                for key, value in pairs(answer) do
                    if type(value) == "table" then
                        for i, text in ipairs(value) do
                            value[i] = ngx.encode_base64(text)
                        end
                    end
                end
            end
            ngx.say(cjson.encode(answers))
        end
        local caa = r:query("types.test", { qtype = 257 })[1]
        show(caa.rdata == "\\0\\5issueca.test")
    """)
    lines = [sorted(line, key=as_text) for line in lines[:-1]] + lines[-1:]
    assert lines[:6] == [
        [{"address": "192.0.2.7"}, {"address": "192.0.2.8"}],
        [{"address": "0:0:0:0:0:ffff:c000:209"},
         {"address": "2001:db8:0:0:0:0:0:1"}],
        [{"cname": "a.types.test"}],
        [{"nsdname": "ns1.types.test"}],
        [{"preference": 20, "exchange": ""},
         {"preference": 10, "exchange": "mail.types.test"}],
        [{"priority": 1, "weight": 2, "port": 5060,
          "target": "a.types.test"}]]
    assert lines[6] == [{
        "mname": "ns1.types.test", "rname": "host\\.master.types.test",
        "serial": 7, "refresh": 3600, "retry": 600, "expire": 86400,
        "minimum": 60}]
    assert lines[7] == [{"txt": "just one"}]
    assert lines[8] == [{"txt": ["YSJi", "Y1xk", "yHg=", "XDEyMw=="]}]
    assert lines[9] == [{"spf": "v=spf1 -all"}]
    assert lines[10] == [True]


def test_sections_and_errors(ask):
    assert ask("""
        local r = new()
        local answers = r:query("nothing.types.test", { authority_section = true })
        show(answers.errcode, answers.errstr, #answers, answers[1].section,
            answers[1].minimum)
        answers = r:query("types.test", { qtype = r.TYPE_NS,
            additional_section = true })
        show(#answers, answers[2].section == r.SECTION_AR, answers[2].address)
        answers = r:query("elsewhere.test")
        show(answers.errcode, answers.errstr, #answers)
        answers = r:query("a.types.test", { qtype = r.TYPE_MX })
        show(answers.errcode or "none", #answers)
        show(r:query("alias.types.test")[1].cname)
        show(r:reverse_query("192.0.2.7")[1].ptrdname)
        show(r:query("A.Types.TEST")[1].name:lower())
    """) == [
        [3, "name error", 1, 2, 60], [2, True, "192.0.2.1"],
        [5, "refused", 0], ["none", 0], ["a.types.test"], ["a.types.test"],
        ["a.types.test"]]


def test_tcp_where_udp_is_truncated(ask):
    assert ask("""
        local r = new()
        show(#r:query("big.types.test", { qtype = r.TYPE_TXT })[1].txt)
        show(#r:tcp_query("a.types.test"))
        show(r:tcp_query("none.types.test").errstr)
    """) == [[3], [2], ["name error"]]


def test_addresses_as_text(ask):
    assert ask("""
        local r = resolver
        show(r.compress_ipv6_addr("FF01:0:0:0:0:0:0:101"),
            r.compress_ipv6_addr("0:0:0:0:0:0:0:0"),
            r.compress_ipv6_addr("1:0:2:0:0:3:4:5"),
            r.compress_ipv6_addr("1:0:2:3:4:5:6:7"),
            r.compress_ipv6_addr("0:0:0:0:0:0:0:1"),
            r.compress_ipv6_addr("1:0:0:0:0:0:0:0"))
        show(r.expand_ipv6_addr("FF01::101"), r.expand_ipv6_addr("::"),
            r.expand_ipv6_addr("::1"), r.expand_ipv6_addr("1::"),
            r.expand_ipv6_addr("1:2:3:4:5:6:7:8"))
        show(r.arpa_str("1.2.3.4"), r.arpa_str("FF01::101"))
    """) == [
        ["FF01::101", "::", "1:0:2::3:4:5", "1:0:2:3:4:5:6:7", "::1", "1::"],
        ["FF01:0:0:0:0:0:0:101", "0:0:0:0:0:0:0:0", "0:0:0:0:0:0:0:1",
         "1:0:0:0:0:0:0:0", "1:2:3:4:5:6:7:8"],
        ["4.3.2.1.in-addr.arpa",
         "1.0.1.0." + "0." * 24 + "1.0.F.F.ip6.arpa"]]


def test_faults(ask):
    good, silent, wrong, garbage, truncated, servfail = servers = [
        Upstream(1), Upstream(fault="silent"), Upstream(fault="wrong id"),
        Upstream(fault="garbage"), Upstream(fault="truncated"),
        Upstream(fault="servfail")]
    dead = free_port()
    lines = ask("""
        local function try(port, ...)
            local servers = { { "127.0.0.1", port } }
            for i, more in ipairs{ ... } do
                servers[i + 1] = { "127.0.0.1", more }
            end
            local r = new { nameservers = servers, retrans = 2, timeout = 100,
                            no_random = true }
            local answers, err, tries = r:query("www.test", nil, {})
            show(answers and (answers.errstr or answers[1].address) or err,
                #tries, tries[1] or "none")
        end
        try(%d) try(%d) try(%d, %d) try(%d) try(%d) try(%d) try(%d, %d)
        local r = new { nameservers = { { "127.0.0.1", %d }, "127.0.0.1" },
                        no_random = true, no_recurse = true }
        show(r:query("rd.test")[1].address)
        show(resolver:new{}) show(resolver:new()) show(resolver:new{ nameservers = {} })
        show(r:query("..")) show(r:query("")) show(r:query(("x"):rep(64) .. ".test"))
        r:destroy() show(r:query("a"))
    """ % (good.port, silent.port, wrong.port, good.port, garbage.port,
           truncated.port, servfail.port, dead, good.port, good.port))

    def failed(server):
        return (f"failed to receive reply from UDP server {HOST}:{server}: "
                "timeout")
    refused = failed(dead).replace("timeout", "connection refused")
    assert lines == [
        ["192.0.0.1", 0, "none"], [failed(silent.port), 2, failed(silent.port)],
        ["192.0.0.1", 1, failed(wrong.port)], lines[3],
        ["192.0.0.1", 0, "none"], ["server failure", 0, "none"],
        ["192.0.0.1", 1, refused], ["192.0.0.1"],
        [None, "no nameservers specified"], [None, "no options table specified"],
        [None, "no nameservers specified"], [None, "bad name"],
        [None, "bad name"], [None, "bad name"], [None, "not initialized"]]
    assert lines[3][0] == "192.0.0.1" or "timeout" in lines[3][0]
    assert truncated.count("tcp") == 1
    flags = [message.flags & 0x100 for _, message, _ in good.asked]
    assert flags[0] and not flags[-1]
    assert len({port for _, _, port in silent.asked}) == 2
    assert len({message.id for _, message, _ in silent.asked}) == 2
    for one in servers:
        one.stop()


def test_many_at_once(ask):
    slow = Upstream(fault=None, delay=0.1)
    assert ask("""
        local threads = {}
        for i = 1, 50 do
            threads[i] = ngx.thread.spawn(function()
                local r = new { nameservers = { { "127.0.0.1", %d } } }
                return r:query("n" .. i .. ".test")[1].name
            end)
        end
        local good = 0
        for i = 1, 50 do
            local _, name = ngx.thread.wait(threads[i])
            good = good + (name == "n" .. i .. ".test" and 1 or 0)
        end
        show(good)
    """ % slow.port) == [[50]]
    slow.stop()


def test_in_stream_and_timers(start):
    upstream = Upstream(9)
    ask = """
        local r = require("resty.dns.resolver"):new {
            nameservers = { { "127.0.0.1", %d } } }
        local address = r:query("www.test")[1].address
    """ % upstream.port
    server = start("""
        stream {
            init_worker_by_lua_block {
                ngx.timer.at(0, function()
                    %s
                    package.loaded.found = address
                end)
            }
            server {
                listen 127.0.0.1:@DNS@ udp;
                content_by_lua_block {
                    %s
                    ngx.req.socket():send(address .. " "
                        .. tostring(package.loaded.found))
                }
            }
        }""" % (ask, ask), env={"LUA_PATH": ";;"})
    wait_for(lambda: server.send_raw(b"x") == b"192.0.0.9 192.0.0.9")
    upstream.stop()
