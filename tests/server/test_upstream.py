"""ngx.upstream."""

import json
import socket

import pytest

from resolua_server import HOST

CONF = """
http {
    upstream one {
        server 127.0.0.1:@A@ weight=3 max_fails=2 fail_timeout=7;
        server 127.0.0.1:@B@ backup;
        server 127.0.0.1:1 down;
    }
    upstream two { zone two 64k; server 127.0.0.1:@B@ max_conns=5; }
    server { listen 127.0.0.1:@A@; return 200 A; }
    server { listen 127.0.0.1:@B@; return 200 B; }
    server {
        listen 127.0.0.1:@HTTP@;
        location /one { proxy_pass http://one/; log_by_lua_block {
            ngx.log(ngx.WARN, "current: ",
                    require "ngx.upstream".current_upstream_name())
        } }
        location /two { proxy_pass http://two/; }
        location /direct { proxy_pass http://127.0.0.1:@B@/; }
        location /t { content_by_lua_block {
            local upstream = require "ngx.upstream"
            local f = loadstring(ngx.var.arg_code:gsub("%%20", " "))
            setfenv(f, setmetatable({upstream = upstream}, {__index = _G}))
            ngx.say(require "cjson".encode({f()}))
        } }
    }
}
stream {
    upstream streamed { server 127.0.0.1:@A@; server 127.0.0.1:@B@ backup; }
    upstream one { server 127.0.0.1:2; }
    server { listen 127.0.0.1:@IN@; content_by_lua_block {
        local upstream = require "ngx.upstream"
        ngx.say(table.concat(upstream.get_upstreams(), ","), " ",
                upstream.get_servers("one")[1].addr, " ",
                upstream.get_servers("two")[1].max_conns, " ",
                upstream.get_backup_peers("streamed")[1].name, " ",
                upstream.set_peer_down("streamed", false, 0, true), " ",
                upstream.get_primary_peers("streamed")[1].down, " ",
                upstream.current_upstream_name())
    } }
}
init_worker_by_lua_block {
    ngx.log(ngx.WARN, "all: ",
            table.concat(require "ngx.upstream".get_upstreams(), ","))
}
"""


@pytest.fixture
def server(start):
    one = start(CONF)
    one.ask = lambda code: json.loads(
        one.http("/t?code=" + code.replace(" ", "%20")).text)
    return one


def test_names(server):
    names = server.ask("return upstream.get_upstreams()")[0]
    assert names[:2] == ["one", "two"]
    assert f"127.0.0.1:{server.port('B')}" in names
    said = server.wait_for_log("all: ([^ ]*)")[1].split(",")
    assert said[:2] == ["one", "two"] and "streamed" in said


def test_servers(server):
    servers = server.ask("return upstream.get_servers('one')")[0]
    assert servers[0] == {
        "addr": f"127.0.0.1:{server.port('A')}",
        "name": f"127.0.0.1:{server.port('A')}", "weight": 3, "max_conns": 0,
        "max_fails": 2, "fail_timeout": 7}
    assert servers[1]["backup"] is True and "down" not in servers[1]
    assert servers[2]["down"] is True


def test_peers(server):
    primary = server.ask("return upstream.get_primary_peers('one')")[0]
    assert [p["id"] for p in primary] == [0, 1]
    assert primary[0]["name"] == f"127.0.0.1:{server.port('A')}"
    assert primary[0]["weight"] == primary[0]["effective_weight"] == 3
    assert primary[1]["down"] is True
    backup = server.ask("return upstream.get_backup_peers('one')")[0]
    assert [p["name"] for p in backup] == [f"127.0.0.1:{server.port('B')}"]
    assert server.ask("return upstream.get_backup_peers('two')") == [{}]


def test_a_peer_goes_down_and_up(server):
    assert server.http("/one").text == "A"
    assert server.ask("return upstream.set_peer_down('one',false,0,true)") \
        == [True]
    assert server.http("/one").text == "B"
    assert server.ask("return upstream.set_peer_down('one',false,0,false)") \
        == [True]
    assert server.http("/one").text == "A"


def test_a_shared_zone(server):
    assert server.ask("return upstream.get_primary_peers('two')")[0][0][
        "max_conns"] == 5
    assert server.ask("return upstream.set_peer_down('two',false,0,true)") \
        == [True]
    server.allow_log("no live upstreams")
    assert server.http("/two").status == 502


def test_unknown(server):
    for call in ("get_servers('x')", "get_primary_peers('x')",
                 "get_backup_peers('x')", "set_peer_down('x',false,0,true)"):
        assert server.ask(f"return select(2,upstream.{call})") == \
            ["upstream not found"]
    assert server.ask(
        "return select(2,upstream.set_peer_down('one',false,9,true))") == \
        ["bad peer id"]


def test_the_current_one(server):
    server.http("/one")
    assert server.wait_for_log("current: one")


def test_stream(server):
    with socket.create_connection((HOST, server.port("IN")), 5) as s:
        s.settimeout(5)
        text = s.makefile().read()
    assert text == (f"streamed,one 127.0.0.1:2 5 "
                    f"127.0.0.1:{server.port('B')} true true nil\n")
