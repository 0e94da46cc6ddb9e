"""balancer_by_lua*, ngx.balancer, in http and in stream."""

import http.client
import socket

import pytest

import tls
from lua_conf import Peer, echo
from resolua_server import HOST

HTTP = """
http {
    %(http)s
    upstream backend {
        server 127.0.0.1:1;   # never asked
        balancer_by_lua_block {
            local balancer = require "ngx.balancer"
            %(code)s
        }
        %(upstream)s
    }
    server {
        listen 127.0.0.1:@HTTP@;
        %(server)s
        location / {
            proxy_pass http://backend;
            %(location)s
        }
    }
    server {
        listen 127.0.0.1:@ONE@;
        location / { content_by_lua_block {
            ngx.say("one ", ngx.var.uri, " ", ngx.var.http_x_my,
                    " ", ngx.var.connection_requests)
        } }
        location /bad { return 503; }
        location /missing { return 404; }
        location /slow { content_by_lua_block {
            ngx.sleep(2) ngx.say("late") } }
        location /post { content_by_lua_block {
            ngx.req.read_body() ngx.print(ngx.req.get_body_data(), " ",
                                          ngx.var.http_x_my) } }
    }
    server {
        listen 127.0.0.1:@TWO@;
        location / { return 200 "two"; }
    }
}
"""


@pytest.fixture
def run(start):
    def go(code, location="", upstream="", server="", http=""):
        one = start(HTTP % {"code": code, "location": location,
                            "upstream": upstream, "server": server,
                            "http": http})
        one.allow_log("connect\\(\\) failed|upstream")
        return one
    return go


PICK_ONE = 'assert(balancer.set_current_peer("127.0.0.1", @ONE@))'


def test_picks_the_peer(run):
    server = run(PICK_ONE)
    assert server.http("/x").text.startswith("one /x")


def test_picks_by_what_an_earlier_phase_left(run):
    server = run("""
        local to = ngx.ctx.to
        assert(balancer.set_current_peer("127.0.0.1", to))
        ngx.var.picked = to == @TWO@ and "second" or "first"
    """, """
        set $picked '';
        add_header X-Picked $picked;
        access_by_lua_block {
            ngx.sleep(0.001)
            ngx.ctx.to = ngx.var.arg_to == "2" and @TWO@ or @ONE@
        }""")
    reply = server.http("/?to=2")
    assert reply.text == "two" and reply.headers["X-Picked"] == "second"
    assert server.http("/").text.startswith("one")


def test_without_a_pick_nginx_balances(run):
    server = run("", upstream="server 127.0.0.1:@TWO@ backup;")
    assert server.http("/").text == "two"


def test_an_error_is_500(run):
    server = run("error('no')")
    assert server.http("/").status == 500
    assert "no" in server.log()


@pytest.mark.parametrize("status", [403, 503, 302])
def test_exit_with_a_status(run, status):
    server = run(f"ngx.exit({status})",
                 server="error_page 403 /own403;"
                        " location = /own403 { return 200 forbidden; }")
    for _ in range(3):
        connection = http.client.HTTPConnection(HOST, server.port("HTTP"))
        connection.request("POST", "/", b"x" * 20000)
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status == status
        assert status != 403 or body == b"forbidden"
        connection.close()


def test_exit_with_error(run):
    assert run("ngx.exit(ngx.ERROR)").http("/").status == 500


def test_exit_ok_keeps_the_pick(run):
    assert run(PICK_ONE + " ngx.exit(ngx.OK)").http("/").status == 200


def test_more_tries_and_the_last_failure(run):
    server = run("""
        ngx.ctx.tries = (ngx.ctx.tries or 0) + 1
        local state, status = balancer.get_last_failure()
        ngx.var.seen = ngx.var.seen .. tostring(state) .. tostring(status) ..
            ";"
        if ngx.ctx.tries < 3 then
            assert(balancer.set_more_tries(1))
            assert(balancer.set_current_peer("127.0.0.1", 1))
        else
            assert(balancer.set_current_peer("127.0.0.1", @TWO@))
        end
    """, "set $seen ''; add_header X-Seen $seen;")
    reply = server.http("/")
    assert reply.text == "two"
    assert reply.headers["X-Seen"] == "nilnil;failed502;failed502;"


def test_no_retry_unless_asked_for(run):
    server = run("""
        assert(not balancer.get_last_failure())
        balancer.set_current_peer("127.0.0.1", 1)""")
    assert server.http("/").status == 502


def test_states_of_answers(run):
    server = run("""
        local state, status = balancer.get_last_failure()
        if state then
            ngx.var.seen = state .. status
            assert(balancer.set_current_peer("127.0.0.1", @TWO@))
            return
        end
        assert(balancer.set_more_tries(1))
        assert(balancer.set_current_peer("127.0.0.1", @ONE@))
    """, "set $seen ''; add_header X-Seen $seen always;"
         "proxy_next_upstream error http_404 http_503;")
    assert server.http("/missing").headers["X-Seen"] == "next404"
    assert server.http("/bad").headers["X-Seen"] == "failed503"


def test_tries_are_limited(run):
    server = run("""
        ngx.ctx.tries = (ngx.ctx.tries or 0) + 1
        local ok, err = balancer.set_more_tries(5)
        ngx.var.seen = ngx.var.seen .. tostring(ok) .. tostring(err) .. ";"
        balancer.set_current_peer("127.0.0.1", 1)
    """, "set $seen ''; add_header X-Seen $seen always;"
         "proxy_next_upstream_tries 2;")
    reply = server.http("/")
    assert reply.status == 502
    assert reply.headers["X-Seen"] == \
        "truereduced tries due to limit;" * 2


def test_timeouts(run):
    server = run(PICK_ONE + """
        assert(balancer.set_timeouts(1, nil, 0.1))
        assert(not pcall(balancer.set_timeouts, 0, 1, 1))
    """)
    assert server.http("/slow").status == 504
    assert server.http("/x").status == 200


def test_a_request_made_again(run):
    server = run("""
        if not balancer.get_last_failure() then
            balancer.set_more_tries(1)
            balancer.set_current_peer("127.0.0.1", 1)
            return
        end
        ngx.var.my = "second"
        assert(balancer.recreate_request())
        balancer.set_current_peer("127.0.0.1", @ONE@)
    """, "set $my first; proxy_set_header X-My $my;"
         "proxy_next_upstream error non_idempotent;")
    assert server.http("/post", "POST", "hello").text == "hello second"


def test_bad_peers(run):
    server = run("""
        local out = {}
        for _, peer in ipairs{{"example.com", 80}, {"127.0.0.1", 70000},
                              {"", 1}} do
            local ok, err = balancer.set_current_peer(peer[1], peer[2])
            out[#out + 1] = tostring(ok) .. ":" .. err
        end
        ngx.var.seen = table.concat(out, ";")
        assert(balancer.set_current_peer("::1", 1))
        assert(balancer.set_current_peer("[::1]:2"))
        assert(balancer.set_current_peer("127.0.0.1:@TWO@"))
    """, "set $seen ''; add_header X-Seen $seen;")
    reply = server.http("/")
    assert reply.text == "two"
    assert reply.headers["X-Seen"] == (
        "nil:no host allowed;nil:bad port;nil:no host allowed")


def test_a_unix_socket(run, tmp_path):
    path = tmp_path / "peer"

    def serve(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nunix")
    peer = Peer(serve, path)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    server = run(f'balancer.set_current_peer("unix:{path}")')
    assert server.http("/").text == "unix"
    peer.close()


def test_only_in_its_phase(run):
    server = run(PICK_ONE, """
        content_by_lua_block {
            local ok, err = pcall(require "ngx.balancer".set_current_peer,
                                  "127.0.0.1", 1)
            ngx.say(err)
        }""")
    assert server.http("/").text == \
        "API disabled in the context of content_by_lua*\n"


def test_nothing_sleeps_in_it(run):
    server = run("""
        ngx.var.seen = select(2, pcall(ngx.sleep, 1)) .. ";" ..
            select(2, pcall(ngx.say, "x")) .. ";" ..
            select(2, pcall(ngx.socket.tcp)) .. ";" ..
            select(2, pcall(ngx.socket.udp)) .. ";" ..
            select(2, pcall(ngx.location.capture, "/"))
    """ + PICK_ONE, "set $seen ''; add_header X-Seen $seen;")
    assert server.http("/").headers["X-Seen"].count(
        "API disabled in the context of balancer_by_lua*") == 5


def test_connections_are_kept(run):
    server = run(PICK_ONE + """
        assert(balancer.enable_keepalive(5, 3))
    """, 'proxy_http_version 1.1; proxy_set_header Connection "";',
        "balancer_keepalive 4;")
    counts = [server.http("/").text.split()[-1] for _ in range(7)]
    assert counts == ["1", "2", "3", "1", "2", "3", "1"]


def test_kept_connections_go_by_name(run):
    server = run("""
        assert(balancer.set_current_peer("127.0.0.1", @ONE@,
                                         ngx.var.arg_name))
        assert(balancer.enable_keepalive())
    """, 'proxy_http_version 1.1; proxy_set_header Connection "";')
    assert server.http("/?name=a").text.endswith(" 1\n")
    assert server.http("/?name=b").text.endswith(" 1\n")
    assert server.http("/?name=a").text.endswith(" 2\n")


def test_the_least_used_kept_connection_goes(run):
    server = run("""
        assert(balancer.set_current_peer("127.0.0.1", @ONE@,
                                         ngx.var.arg_name))
        assert(balancer.enable_keepalive())
    """, 'proxy_http_version 1.1; proxy_set_header Connection "";',
        "balancer_keepalive 2;")
    for name in "abc":
        server.http(f"/?name={name}")
    assert server.http("/?name=c").text.endswith(" 2\n")
    assert server.http("/?name=a").text.endswith(" 1\n")


def test_a_kept_connection_that_closes_is_replaced(run, start):
    def serve(connection):
        connection.recv(10000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    peer = Peer(serve)
    server = run(f"""
        balancer.set_current_peer("127.0.0.1", {peer.port})
        balancer.enable_keepalive()
    """, 'proxy_http_version 1.1; proxy_set_header Connection "";')
    assert [server.http("/").text for _ in range(5)] == ["ok"] * 5
    peer.close()


def test_nginxs_keepalive_around_it(run):
    server = run(PICK_ONE, 'proxy_http_version 1.1;'
                 'proxy_set_header Connection "";', "keepalive 4;")
    assert [server.http("/").text.split()[-1] for _ in range(3)] == \
        ["1", "2", "3"]


def test_a_local_address(run):
    server = run(PICK_ONE + """
        assert(balancer.bind_to_local_addr("127.0.0.3"))
        assert(not balancer.bind_to_local_addr("nowhere"))
    """)
    assert server.http("/").status == 200


# Stream.

STREAM = """
stream {
    upstream backend {
        server 127.0.0.1:1;
        balancer_by_lua_block {
            local balancer = require "ngx.balancer"
            %(code)s
        }
    }
    server { listen 127.0.0.1:@IN@; %(server)s proxy_pass backend; }
}
http { server { listen 127.0.0.1:@HTTP@;
    location / { content_by_lua_block { ngx.say("http") } } } }
"""


def ask(server, data=b"hello"):
    with socket.create_connection((HOST, server.port("IN")), 5) as s:
        s.settimeout(5)
        s.sendall(data)
        try:
            return s.recv(1000)
        except ConnectionResetError:
            return b""


@pytest.fixture
def peer():
    one = Peer(echo)
    yield one
    one.close()


@pytest.fixture
def run_stream(start):
    def go(code, server=""):
        one = start(STREAM % {"code": code, "server": server})
        one.allow_log("connect\\(\\) failed|upstream")
        return one
    return go


def test_stream_picks_the_peer(run_stream, peer):
    server = run_stream(
        f'assert(balancer.set_current_peer("127.0.0.1", {peer.port}))')
    assert ask(server) == b"hello"


def test_stream_after_preread(run_stream, peer):
    server = run_stream(
        'assert(balancer.set_current_peer("127.0.0.1", ngx.ctx.port))',
        "preread_by_lua_block { ngx.sleep(0.01) ngx.ctx.port = %d }"
        % peer.port)
    assert ask(server) == b"hello"


def test_stream_retries(run_stream, peer):
    server = run_stream("""
        local state, status = balancer.get_last_failure()
        if state then
            ngx.log(ngx.WARN, "last: ", state, " ", status)
            assert(balancer.set_current_peer("127.0.0.1", %d))
            return
        end
        assert(balancer.set_more_tries(1))
        assert(balancer.set_current_peer("127.0.0.1", 1))
    """ % peer.port)
    assert ask(server) == b"hello"
    assert "last: failed 0" in server.log()


def test_stream_limits_tries(run_stream):
    server = run_stream("""
        local ok, err = balancer.set_more_tries(9)
        ngx.log(ngx.WARN, "tries: ", ok, " ", err)
        assert(balancer.set_current_peer("127.0.0.1", 1))
    """, "proxy_next_upstream_tries 3;")
    assert ask(server) == b""
    assert server.log().count("tries: true reduced tries due to limit") == 3


def test_stream_timeouts(run_stream, peer):
    server = run_stream("""
        assert(balancer.set_timeouts(1, 0.2, 0.2))
        assert(balancer.set_current_peer("127.0.0.1", %d))
        ngx.log(ngx.WARN, select(2, balancer.recreate_request()))
        ngx.log(ngx.WARN, select(2, balancer.enable_keepalive()))
    """ % peer.port)
    with socket.create_connection((HOST, server.port("IN")), 5) as s:
        s.settimeout(5)
        assert s.recv(10) == b""
    assert server.log().count("not supported in this subsystem") == 2
    assert ask(server) == b"hello"


def test_stream_errors(run_stream):
    server = run_stream("error('no')")
    assert ask(server) == b""
    server = run_stream("ngx.exit(ngx.ERROR)")
    assert ask(server) == b""


def test_bad_configurations(start):
    for text, word in (
            ("balancer_by_lua_block { } balancer_by_lua_block { }",
             "duplicate"),
            ("balancer_keepalive x;", "invalid")):
        server = start("http { upstream a { server 127.0.0.1:1; %s } }"
                       % text, run=False)
        server.allow_log("emerg")
        code, said = server.test_configuration()
        assert code == 1 and word in said


def test_stream_over_udp(start):
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind((HOST, 0))
    peer.settimeout(5)
    server = start("""
        stream {
            upstream backend {
                server 127.0.0.1:1;
                balancer_by_lua_block {
                    assert(require "ngx.balancer".set_current_peer(
                        "127.0.0.1", %d))
                }
            }
            server { listen 127.0.0.1:@IN@ udp; proxy_pass backend;
                     proxy_responses 1; }
        }""" % peer.getsockname()[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        for turn in range(3):
            client.sendto(b"ask%d" % turn, (HOST, server.port("IN")))
            data, address = peer.recvfrom(100)
            peer.sendto(data + b"!", address)
            assert client.recv(100) == b"ask%d!" % turn
    peer.close()


TLS_UPSTREAM = """
http {
    upstream backend {
        server 127.0.0.1:1;
        balancer_by_lua_block {
            local balancer = require "ngx.balancer"
            assert(balancer.set_current_peer("127.0.0.1", @UP@,
                                             ngx.var.arg_name))
            assert(balancer.enable_keepalive())
        }
    }
    server {
        listen 127.0.0.1:@HTTP@;
        location / {
            proxy_pass https://backend;
            proxy_ssl_server_name on;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
    server {
        listen 127.0.0.1:@UP@ ssl;
        ssl_certificate %(folder)s/one.test.pem;
        ssl_certificate_key %(folder)s/one.test.key;
        return 200 "$ssl_server_name $connection_requests";
    }
}
stream {
    upstream backend {
        server 127.0.0.1:1;
        balancer_by_lua_block {
            assert(require "ngx.balancer".set_current_peer(
                "127.0.0.1", @UP@, "three.test"))
        }
    }
    server { listen 127.0.0.1:@IN@; proxy_pass backend; proxy_ssl on;
             proxy_ssl_server_name on; }
}
"""


def test_the_name_in_tls(start, tmp_path):
    ca = tls.Authority(tmp_path)
    ca.issue("one.test")
    tmp_path.parent.parent.chmod(0o755)
    server = start(TLS_UPSTREAM % {"folder": ca.folder})
    assert server.http("/?name=a.test").text == "a.test 1"
    assert server.http("/?name=b.test").text == "b.test 1"
    assert server.http("/?name=a.test").text == "a.test 2"
    with socket.create_connection((HOST, server.port("IN")), 5) as s:
        s.settimeout(5)
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"three.test 1" in s.makefile("rb").read()


def test_in_subrequests(run):
    server = run("""
        if ngx.var.arg_no then
            ngx.exit(403)
        end
    """ + PICK_ONE, server="""
        location /sub { content_by_lua_block {
            local a, b, c = ngx.location.capture_multi{
                {"/inner"}, {"/inner?no=1"}, {"/inner"}}
            ngx.print(a.status, a.body:sub(1, 3), b.status, c.status)
        } }""")
    for _ in range(3):
        assert server.http("/sub").text == "200one403200"
