"""Connections kept for later are in order, and are what is asked for, when
they are used again: cosockets' pools, balancer_by_lua*'s keepalive."""

import socket
import ssl
import threading

import pytest

import tls
from lua_conf import Peer, echo, http_lua
from resolua_server import wait_for

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    authority = tls.Authority(tmp_path_factory.mktemp("tls"))
    authority.issue("peer.test")
    return authority


@pytest.fixture
def peer():
    """peer(serve, ca, version) is a server; with ca it speaks TLS."""
    peers = []

    def go(serve, ca=None, version=None):
        def secure(connection):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.maximum_version = version
            context.load_cert_chain(ca.path("peer.test.pem"),
                                    ca.path("peer.test.key"))
            with context.wrap_socket(connection, server_side=True) as s:
                serve(s)
        peers.append(Peer(secure if ca else serve))
        return peers[-1]

    yield go
    for one in peers:
        one.close()


# A round trip over a connection that is kept then: how often it was used
# before, what came, and what setkeepalive said.
ROUNDS = """
    local function round(line)
        local s = ngx.socket.tcp()
        assert(s:connect("127.0.0.1", %d))
        local used = s:getreusedtimes()
        if %s then assert(s:sslhandshake(nil, "peer.test", false)) end
        local answer, err = "", nil
        if line then
            s:send(line .. "\\n")
            answer, err = s:receive()
        end
        ngx.say(used, " ", answer or err, " ", s:setkeepalive(10000))
    end
    -- Waits without an event loop: what comes is not noticed.
    local function wait_for_file(path)
        repeat
            local file = io.open(path)
            if not file then os.execute("sleep 0.01") end
        until file
    end
"""


def end_with_answer(connection, ca, version, answer):
    """Speaks TLS; the answer, the line that came and close_notify leave as one
    segment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    context.load_cert_chain(ca.path("peer.test.pem"), ca.path("peer.test.key"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context.wrap_bio(incoming, outgoing, server_side=True)

    def until_done(step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
    until_done(secure.do_handshake)
    secure.write(answer + until_done(lambda: secure.read(10000)))
    try:
        secure.unwrap()
    except ssl.SSLWantReadError:
        pass  # the client does not answer it
    connection.sendall(outgoing.read())
    connection.recv(1000)


def lines_of(server):
    return server.http("/t").text.splitlines()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_end_that_came_with_the_answer(start, ca, peer, version):
    """close_notify without a FIN."""
    one = peer(lambda c: end_with_answer(c, ca, version, b"got "))
    server = start(http_lua(ROUNDS % (one.port, "true") + """
        for i = 1, 4 do round("l" .. i) ngx.sleep(0.001) end
    """, "lua_socket_log_errors off;"))
    for i, line in enumerate(lines_of(server)):
        assert line.startswith(f"0 got l{i + 1} ")
    assert one.count == 4


@pytest.mark.parametrize("version", VERSIONS)
def test_tickets_that_come_later_do_no_harm(start, ca, peer, version):
    """TLS 1.3 sends them behind the handshake, when nobody reads."""
    one = peer(echo, ca, version)
    server = start(http_lua(ROUNDS % (one.port, "true") + """
        round() ngx.sleep(0.1) round("a") ngx.sleep(0.05) round("b")
    """))
    assert lines_of(server) == ["0  1", "1 a 1", "2 b 1"]
    assert one.count == 1


def end_by_fin(s):
    s.shutdown(socket.SHUT_WR)


def end_by_close(s):
    s.close()


def say_more(s):
    s.sendall(b"more\n")


@pytest.mark.parametrize("version", [None, *VERSIONS])
@pytest.mark.parametrize("event", [end_by_fin, end_by_close, say_more])
@pytest.mark.parametrize("is_noticed", [True, False])
def test_what_happens_to_an_idle_connection(start, ca, peer, tmp_path, version,
                                            event, is_noticed):
    """Noticed: in an event of the idle connection; else only when it is
    taken."""
    kept, done = tmp_path / "kept", tmp_path / "done"
    first = threading.Event()

    def serve(s):
        # Else what is said later waits till the client has confirmed the first.
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(s.recv(1000))
        if not first.is_set():
            first.set()
            wait_for(kept.exists)
            event(s)
            done.touch()
        try:
            echo(s)
        except OSError:
            pass  # closed here
    tmp_path.chmod(0o777)
    one = peer(serve, version and ca, version)
    wait = "ngx.sleep(0.01)" if is_noticed else ""
    server = start(http_lua(
        ROUNDS % (one.port, "true" if version else "false") + """
        round("a")
        io.open("%s", "w"):close()
        wait_for_file("%s")
        %s
        round("b") ngx.sleep(0.01) round("c")
    """ % (kept, done, wait), "lua_socket_log_errors off;"))
    assert lines_of(server) == ["0 a 1", "0 b 1", "1 c 1"]
    assert one.count == 2


def test_a_dead_one_behind_a_live_one(start, peer, tmp_path):
    """All that are dead go, and the pool's places are free again."""
    go_on = threading.Event()
    done = tmp_path / "done"

    def serve(s):
        line = s.recv(1000)
        s.sendall(line)
        if line == b"die\n":
            go_on.wait(10)
            s.close()
            done.touch()
            return
        echo(s)
    one = peer(serve)
    tmp_path.chmod(0o777)
    server = start(http_lua("""
        local options = { pool = "p", pool_size = 3, backlog = 3 }
        local function open(line)
            local s = ngx.socket.tcp()
            assert(s:connect("127.0.0.1", %d, options))
            s:send(line .. "\\n")
            return s, s:receive()
        end
        local a, b, c = open("live"), open("die"), open("die")
        a:setkeepalive() b:setkeepalive() c:setkeepalive()
        ngx.shared.d:set("kept", 1)
        os.execute("while ! test -e %s; do sleep 0.01; done; sleep 0.02")
        a = open("x")
        b, c = open("y"), open("z")
        ngx.say(a:getreusedtimes(), b:getreusedtimes(), c:getreusedtimes())
        ngx.say(a:setkeepalive(), b:setkeepalive(), c:setkeepalive())
    """ % (one.port, done), http="lua_shared_dict d 100k;"))
    go_on.set()
    assert lines_of(server) == ["100", "111"]


def test_redis_takes_no_dead_connection(start, peer, tmp_path):
    kept, done = tmp_path / "kept", tmp_path / "done"
    tmp_path.chmod(0o777)

    def serve(s):
        s.recv(1000)
        s.sendall(b"+PONG\r\n")
        wait_for(kept.exists)
        s.shutdown(socket.SHUT_RDWR)
        done.touch()
    one = peer(serve)
    server = start(http_lua("""
        local redis = require "resty.redis"
        for i = 1, 2 do
            local db = redis:new()
            assert(db:connect("127.0.0.1", %d))
            ngx.say(db:get_reused_times(), " ", db:ping(), " ",
                    db:set_keepalive(10000, 5))
            if i == 1 then
                io.open("%s", "w"):close()
                os.execute("while ! test -e %s; do sleep 0.01; done")
            end
        end
    """ % (one.port, kept, done)))
    assert [line[:6] for line in lines_of(server)] == ["0 PONG"] * 2


# balancer_by_lua*

BALANCER = """
http {
    upstream backend {
        server 127.0.0.1:1;
        balancer_by_lua_block {
            local b = require "ngx.balancer"
            assert(b.set_current_peer("127.0.0.1", tonumber(ngx.var.arg_port)
                                      or @UP@, ngx.var.arg_host))
            if ngx.var.arg_local then
                assert(b.bind_to_local_addr(ngx.var.arg_local))
            end
            assert(b.enable_keepalive())
        }
    }
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_ssl_protocols TLSv1.2 TLSv1.3;
    server {
        listen 127.0.0.1:@HTTP@;
        location / {
            proxy_pass https://backend;
            proxy_ssl_server_name on;
            location /by_name { proxy_pass https://backend;
                                proxy_ssl_name $arg_sni; }
            location /by_certificate {
                proxy_pass https://backend;
                proxy_ssl_certificate %(folder)s/$arg_who.pem;
                proxy_ssl_certificate_key %(folder)s/$arg_who.key; }
            location /bound { proxy_pass https://backend;
                              proxy_bind $arg_from; }
            location /without { proxy_pass https://backend;
                                proxy_ssl_server_name off; }
            location /strict { proxy_pass https://backend;
                               proxy_ssl_name peer.test; proxy_ssl_verify on;
                               proxy_ssl_trusted_certificate
                                   %(folder)s/ca.pem; }
            location /plain { proxy_pass http://backend; }
        }
    }
    server {
        listen 127.0.0.1:@UP@ ssl;
        listen 127.0.0.1:@OPEN@;
        ssl_certificate %(folder)s/peer.test.pem;
        ssl_certificate_key %(folder)s/peer.test.key;
        ssl_verify_client optional_no_ca;
        return 200 "$ssl_server_name,$remote_addr,$ssl_client_s_dn,$connection_requests";
    }
}
"""


def test_kept_connections_of_a_balancer_go_by_what_they_are(start, ca):
    for name in ("one.test", "two.test"):
        ca.issue(name)
    server = start(BALANCER % {"folder": ca.folder})

    def ask(path, form):
        """The counts of two requests in a row, which look like form."""
        counts = []
        for _ in range(2):
            text = server.http(path).text
            assert text.rpartition(",")[0] == form
            counts.append(int(text.rpartition(",")[2]))
        return counts

    def ask_all(first):
        same = "peer.test,127.0.0.1,"
        for path, form in (
                ("/?", "backend,127.0.0.1,"),
                ("/?host=one.test", "one.test,127.0.0.1,"),
                ("/by_name?sni=one.test&host=x", "one.test,127.0.0.1,"),
                ("/by_name?sni=two.test", "two.test,127.0.0.1,"),
                ("/by_name?sni=peer.test", same),
                ("/strict?", same),
                ("/?local=127.0.0.3", "backend,127.0.0.3,"),
                ("/?local=127.0.0.4", "backend,127.0.0.4,"),
                ("/bound?from=127.0.0.5", "backend,127.0.0.5,"),
                ("/bound?from=127.0.0.6", "backend,127.0.0.6,"),
                ("/without?", ",127.0.0.1,"),
                ("/by_certificate?who=one.test",
                 "backend,127.0.0.1,CN=one.test"),
                ("/by_certificate?who=two.test",
                 "backend,127.0.0.1,CN=two.test")):
            counts = ask(path, form)
            if path == "/by_name?sni=one.test&host=x":
                # The name is the same as of "/?host=one.test".
                assert counts == [2 * first + 1, 2 * first + 2]
            else:
                assert counts[1] == counts[0] + 1, path
    ask_all(1)
    assert ask("/by_name?sni=two.test", "two.test,127.0.0.1,") == [3, 4]
    assert ask("/?local=127.0.0.3", "backend,127.0.0.3,") == [3, 4]
    plain = f"/plain?port={server.port('OPEN')}"
    assert ask(plain, ",127.0.0.1,") == [1, 2]
    assert server.http("/plain").status == 400  # plain HTTP to TLS's port


@pytest.mark.parametrize("version", VERSIONS)
def test_a_balancer_keeps_no_connection_that_has_ended(start, ca, peer,
                                                       version):
    one = peer(lambda c: end_with_answer(
        c, ca, version, b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"))
    server = start(BALANCER % {"folder": ca.folder})
    server.allow_log("upstream")
    for _ in range(4):
        assert server.http(f"/?port={one.port}").text.startswith("GET /")
    assert one.count == 4
