"""ngx.req.socket in http: bodies as they come, and the raw connection."""

import hashlib
import os
import socket
import subprocess
import time

import pytest

from lua_conf import http_lua
from raw_http import client, to_end, until
from resolua_server import HOST, wait_for


def post(size, more=b"", connection=b"close", version=b"1.1"):
    return (b"POST /t HTTP/%s\r\nHost: x\r\nConnection: %s\r\n"
            b"Content-Length: %d\r\n%s\r\n" % (version, connection, size, more))


# Bodies.


BODY = """
    local socket, err = ngx.req.socket()
    if not socket then ngx.say("none: ", err) return end
"""


def test_a_body_by_pieces(start):
    server = start(http_lua(BODY + """
        ngx.say(socket:receive())
        ngx.say(socket:receive(3))
        ngx.say(socket:receiveany(100))
        ngx.flush(true)
        local read = socket:receiveuntil("--")
        ngx.say(read())
        local data, err, partial = socket:receive(10)
        ngx.say(data, err, partial)
        ngx.say(socket:receive())
    """))
    with client(server) as s:
        s.sendall(post(23, b"") + b"line\r\nabcdefg")
        got = until(s, b"defg\n")
        s.sendall(b"x--yz--rst" + b"POST is not ours")
        got += to_end(s)
    assert b"line\n" in got
    assert b"abc\n" in got
    assert b"defg\n" in got
    assert b"nilclosed" in got


@pytest.mark.parametrize("together", [True, False])
def test_a_body_counts_in_request_length(start, together):
    server = start(http_lua(
        BODY + "ngx.say(#socket:receive('*a'))",
        'log_by_lua_block { ngx.log(ngx.WARN, "length ", '
        'ngx.var.request_length) }'))
    head = post(5000)
    with client(server) as s:
        if together:
            s.sendall(head + b"x" * 5000)
        else:
            s.sendall(head)
            s.sendall(b"x" * 5000)
        assert b"5000\n" in to_end(s)
    wait_for(lambda: "length %d" % (len(head) + 5000) in server.log())


def test_all_of_a_large_body(start):
    server = start(http_lua(BODY + """
        local data, err = socket:receive("*a")
        ngx.print(#data, ngx.md5(data))
    """, server="client_max_body_size 10m;"))
    body = os.urandom(3_000_000)
    assert server.http("/t", "POST", body).text == (
        "3000000" + hashlib.md5(body).hexdigest())


def test_the_rest_is_discarded_and_the_connection_stays(start):
    server = start(http_lua(BODY + "ngx.say(socket:receive(4))"))
    with client(server) as s:
        for rest in 0, 6, 60000:
            s.sendall(post(4 + rest, connection=b"keep-alive") + b"abcd"
                      + b"x" * rest)
            assert b"abcd" in until(s, b"0\r\n\r\n")


def test_pipelined_requests_are_left_alone(start):
    server = start(http_lua(BODY + "ngx.say(socket:receive('*a'), '|')"))
    with client(server) as s:
        s.sendall((post(3, connection=b"keep-alive") + b"abc") * 2
                  + post(3) + b"xyz")
        got = to_end(s)
    assert got.count(b"abc|") == 2 and got.count(b"xyz|") == 1


def test_errors_after_a_piece_of_the_body(start):
    server = start(http_lua(BODY + """
        socket:receive(2)
        ngx.exit(403)
    """))
    with client(server) as s:
        s.sendall(post(8, connection=b"keep-alive") + b"abcdefgh")
        assert b" 403 " in until(s, b"</html>")
        s.sendall(post(3) + b"abc")
        assert b" 403 " in to_end(s)


@pytest.mark.parametrize("request_head, code, answer", [
    (b"GET /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "",
     b"none: no body"),
    (post(0), "", b"none: no body"),
    (b"POST /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "",
     b"none: chunked request bodies not supported yet"),
    (post(2) + b"ab", "ngx.req.read_body()",
     b"none: request body already exists"),
])
def test_no_socket(start, request_head, code, answer):
    server = start(http_lua(code + BODY))
    with client(server) as s:
        s.sendall(request_head)
        assert answer in to_end(s)


def test_not_in_subrequests_nor_filters(start):
    server = start(http_lua(
        "ngx.print(ngx.location.capture('/s').body)",
        server="location /s { content_by_lua_block { "
               "ngx.print(pcall(ngx.req.socket)) } } location /f { "
               "return 200; header_filter_by_lua_block { local ok, err = "
               "pcall(ngx.req.socket) ngx.header.x = err } }"))
    assert "in a subrequest" in server.http("/t").text
    assert "API disabled" in server.http("/f").headers["x"]


def test_it_reads_only(start):
    server = start(http_lua(BODY + """
        ngx.say(tostring(socket.send), tostring(socket.connect),
                tostring(socket.close), type(socket.settimeout))
        ngx.say(ngx.req.socket())
    """))
    assert server.http("/t", "POST", b"x").text == (
        "nilnilnilfunction\nnilrequest body already exists\n")


def test_the_client_leaves_amid_its_body(start):
    server = start(http_lua(BODY + """
        local data, err, partial = socket:receive(10)
        ngx.log(ngx.WARN, "GOT ", data, " ", err, " ", partial)
    """))
    with client(server) as s:
        s.sendall(post(10) + b"abc")
        time.sleep(0.05)
    server.wait_for_log("GOT nil client aborted abc")


def test_timeout(start):
    server = start(http_lua(BODY + """
        socket:settimeout(50)
        ngx.say(socket:receive(10))
        ngx.flush(true)
        socket:settimeouts(1000, 1000, 5000)
        ngx.say(socket:receive(2))
    """, location="lua_socket_log_errors off;"))
    with client(server) as s:
        s.sendall(post(5) + b"abc")
        until(s, b"niltimeoutabc\n")
        s.sendall(b"de")
        assert b"de\n" in to_end(s)


def test_who_waits_to_be_told_is_told(start):
    server = start(http_lua(BODY + "ngx.say(socket:receive('*a'))"))
    with client(server) as s:
        s.sendall(post(3, b"Expect: 100-continue\r\n"))
        assert until(s, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"abc")
        got = to_end(s)
    assert got.startswith(b"HTTP/1.1 200") and b"abc\n" in got


def test_light_threads_share_it(start):
    server = start(http_lua(BODY + """
        local t = ngx.thread.spawn(function() return socket:receive(4) end)
        ngx.say(socket:receive(1))
        ngx.flush(true)
        local _, data = ngx.thread.wait(t)
        ngx.say(data)
    """))
    with client(server) as s:
        s.sendall(post(4))
        assert b"nil" in until(s, b"socket busy reading")
        s.sendall(b"abcd")
        assert b"abcd\n" in to_end(s)


def test_it_belongs_to_its_request(start):
    server = start(http_lua("""
        package.loaded.kept = package.loaded.kept or ngx.req.socket()
        ngx.say(pcall(package.loaded.kept.receive, package.loaded.kept))
    """))
    assert server.http("/t", "POST", b"one\n").text == "trueone\n"
    text = server.http("/t", "POST", b"two\n").text
    assert text.startswith("false") and "bad request" in text


def test_in_rewrite_and_access(start):
    server = start("http { server { listen 127.0.0.1:@HTTP@; location /t { "
                   "rewrite_by_lua_block { ngx.ctx.s = ngx.req.socket() "
                   "ngx.ctx.a = ngx.ctx.s:receive(2) } "
                   "access_by_lua_block { ngx.sleep(0.001) "
                   "ngx.ctx.b = ngx.ctx.s:receive(2) } "
                   "content_by_lua_block { ngx.print(ngx.ctx.a, ngx.ctx.b, "
                   "ngx.ctx.s:receive(2)) } } } }")
    with client(server) as s:
        s.sendall(post(6) + b"a")
        for octet in b"bcdef":
            time.sleep(0.02)
            s.sendall(bytes([octet]))
        assert to_end(s).split(b"\r\n\r\n")[1].startswith(b"6\r\nabcdef")


# Raw.


RAW = """
    local socket, err = ngx.req.socket(true)
    if not socket then ngx.log(ngx.ERR, "NONE ", err) ngx.exit(444) end
"""
GET = b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_response_by_hand(start):
    server = start(http_lua(RAW + """
        socket:send({"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n",
                     "\\r\\n", "hello"})
    """))
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s) == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def test_nothing_else_is_written(start):
    server = start(http_lua(RAW + """
        local print, say = ngx.print, ngx.say
        local results = {}
        for i, f in ipairs{ngx.print, ngx.say, ngx.flush, ngx.send_headers,
                           ngx.eof} do
            results[i] = select(2, f())
        end
        socket:send(table.concat(results, "|"))
    """, location="header_filter_by_lua_block { ngx.log(ngx.ERR, 'HEADER') }"))
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s) == b"|".join([b"raw request socket acquired"] * 5)
    assert "HEADER" not in server.log()


@pytest.mark.parametrize("code", ["ngx.exit(500)", "ngx.exit(200)",
                                  "error('oops')", "ngx.exit(444)"])
def test_ends(start, code):
    server = start(http_lua(RAW + "socket:send('x') " + code))
    server.allow_log("oops")
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s) == b"x"


def test_echo_full_duplex(start):
    server = start(http_lua(RAW + """
        local writer = ngx.thread.spawn(function()
            for i = 1, 20 do socket:send(i .. " ") ngx.sleep(0.001) end
        end)
        local sum = 0
        while true do
            local line, err = socket:receive()
            if line == "end" then break end
            sum = sum + #line
        end
        ngx.thread.wait(writer)
        socket:send("sum " .. sum)
    """))
    with client(server) as s:
        s.sendall(GET + b"before\n")
        for _ in range(10):
            time.sleep(0.002)
            s.sendall(b"12345\n")
        s.sendall(b"end\n")
        got = to_end(s)
    assert got.endswith(b"sum 56")
    assert got.startswith(b"1 2 3 4 5 ")


def test_large_output_to_a_slow_client(start):
    server = start(http_lua(RAW + """
        local n = 0
        for i = 1, 20 do n = n + assert(socket:send(("x"):rep(500000))) end
        ngx.log(ngx.WARN, "SENT ", n)
    """))
    with client(server) as s:
        s.sendall(GET)
        time.sleep(0.2)
        total = 0
        while True:
            piece = s.recv(1 << 20)
            if not piece:
                break
            total += len(piece)
    assert total == 10_000_000
    server.wait_for_log("SENT 10000000")


def test_a_client_that_does_not_take_it(start):
    server = start(http_lua(RAW + """
        socket:settimeout(50)
        local ok, err
        repeat ok, err = socket:send(("x"):rep(1000000)) until not ok
        ngx.log(ngx.WARN, "ENDED ", err)
    """, location="lua_socket_log_errors off;"))
    with client(server) as s:
        s.sendall(GET)
        server.wait_for_log("ENDED timeout")


def test_the_client_leaves(start):
    server = start(http_lua(RAW + """
        local data, err = socket:receive(1)
        ngx.log(ngx.WARN, "ENDED ", data, err)
        local ok, err
        for _ = 1, 50 do
            ok, err = socket:send("x") ngx.sleep(0.005)
            if not ok then break end
        end
        ngx.log(ngx.WARN, "SEND ", err)
    """))
    with client(server) as s:
        s.sendall(GET)
        time.sleep(0.05)
    server.wait_for_log("ENDED nilclient aborted")
    server.wait_for_log("SEND (closed|connection reset by peer)")


def test_what_is_not_written_yet_refuses_it(start):
    server = start(http_lua("""
        ngx.print("x")
        local socket, err = ngx.req.socket(true)
        ngx.print(tostring(socket), err)
    """))
    assert server.http("/t").text == "xnilpending data to write"


def test_after_a_flush(start):
    server = start(http_lua("""
        ngx.header.content_length = 5
        ngx.print("ab")
        ngx.flush(true)
        local socket = ngx.req.socket(true)
        socket:send("cde")
        ngx.log(ngx.WARN, "TWICE ", select(2, ngx.req.socket(true)))
    """))
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s).endswith(b"\r\n\r\nabcde")
    server.wait_for_log("TWICE duplicate call")


def test_shutdown(start):
    server = start(http_lua(RAW + """
        socket:send("bye")
        socket:shutdown("send")
        ngx.log(ngx.WARN, "GOT ", socket:receive("*a"))
    """))
    with client(server) as s:
        s.sendall(GET)
        assert to_end(s) == b"bye"
        s.sendall(b"later")
        s.shutdown(socket.SHUT_WR)
        server.wait_for_log("GOT later")


def test_clients_that_abort_while_it_sleeps(start):
    server = start(http_lua(RAW + """
        ngx.on_abort(function() ngx.log(ngx.WARN, "GONE") ngx.exit(499) end)
        socket:receive(1)
        ngx.sleep(1)
        ngx.log(ngx.WARN, "AWAKE")
    """, location="lua_check_client_abort on;"))
    with client(server) as s:
        s.sendall(GET + b"x")
        time.sleep(0.05)
    server.wait_for_log("GONE")
    assert "AWAKE" not in server.log()


def test_http2_has_none(start):
    server = start(http_lua(BODY).replace(
        "listen 127.0.0.1:@HTTP@;", "listen 127.0.0.1:@HTTP@ http2;"))
    run = subprocess.run(
        ["curl", "-s", "--http2-prior-knowledge",
         "http://%s:%d/t" % (HOST, server.port("HTTP"))],
        capture_output=True, text=True, check=False)
    assert run.stdout == "none: http v2 not supported yet\n"
