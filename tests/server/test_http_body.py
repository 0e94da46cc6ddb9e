"""The body of a request, read by the script and given on."""

import hashlib

import pytest

from lua_conf import http_lua
from raw_http import client, to_end, until

GIVE_ON = """
    local socket = assert(ngx.req.socket())
    ngx.req.init_body(%s)
    while true do
        local piece, err, partial = socket:receive(1000)
        piece = piece or partial
        if piece == "" then break end
        ngx.req.append_body(piece:upper())
        if err then break end
    end
    ngx.req.finish_body()
"""

GIVEN = """
    location /back { content_by_lua_block {
        ngx.req.read_body()
        local body = ngx.req.get_body_data()
        if not body then
            local file = io.open(ngx.req.get_body_file())
            body = file:read("*a")
        end
        ngx.say(ngx.var.http_content_length, " ", #body, " ", ngx.md5(body))
    } }
    location /p { rewrite_by_lua_block { %s }
                  proxy_pass http://127.0.0.1:@HTTP@/back; }
    location = /again { content_by_lua_block { ngx.say("again") } }
"""


@pytest.mark.parametrize("size", ["", "100", "0", "1000000"])
def test_a_body_read_by_pieces_is_given_on(start, size):
    server = start(http_lua("", server=GIVEN % (GIVE_ON % size)))
    for count in (1, 999, 1000, 100000):
        body = (b"abcdefg" * (count // 7 + 1))[:count]
        with client(server) as s:
            for _ in range(2):  # the connection stays in order
                s.sendall(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: "
                          b"%d\r\n\r\n" % count + body
                          + b"GET /again HTTP/1.1\r\nHost: x\r\n\r\n")
                got = until(s, b"again\n")
                digest = hashlib.md5(body.upper()).hexdigest()
                assert f"{count} {count} {digest}\n".encode() in got


def test_a_new_body_of_another_size(start):
    """What the socket may still read is the client's body's."""
    server = start(http_lua("", server=GIVEN % """
        local socket = assert(ngx.req.socket())
        local first = socket:receive(3)
        ngx.req.init_body()
        ngx.req.append_body(first .. ("x"):rep(50))
        ngx.req.finish_body()
        if ngx.var.arg_rest then
            ngx.log(ngx.WARN, "rest: ", socket:receive("*a"))
        end
    """))
    digest = hashlib.md5(b"abc" + b"x" * 50).hexdigest()
    wanted = f"53 53 {digest}\n".encode()
    follower = b"GET /again HTTP/1.1\r\nHost: x\r\n\r\n"
    with client(server) as s:
        s.sendall(b"POST /p?rest=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10"
                  b"\r\n\r\nabcdefghij" + follower)
        assert wanted in until(s, b"again\n")
    server.wait_for_log("rest: defghij,")
    with client(server) as s:  # what is not read of a body is no request
        s.sendall(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 100000"
                  b"\r\n\r\nabc")
        got = until(s, wanted)
        s.sendall(follower)
        got += to_end(s)
        assert b"Connection: close" in got and b"again" not in got


def test_a_body_that_is_discarded_or_set_by_data(start):
    server = start(http_lua("", server=GIVEN % """
        local socket = assert(ngx.req.socket())
        socket:receive(2)
        ngx.req.set_body_data("new body")
    """))
    with client(server) as s:
        s.sendall(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd")
        digest = hashlib.md5(b"new body").hexdigest()
        assert until(s, f"8 8 {digest}\n".encode())


def test_bodies_that_go_to_a_file_at_once(start):
    server = start(http_lua("", server="""
        location /f {
            %s
            content_by_lua_block {
                ngx.req.read_body()
                ngx.req.init_body(tonumber(ngx.var.arg_size))
                for i = 1, 3 do ngx.req.append_body("abc") end
                ngx.req.finish_body()
                ngx.say(ngx.req.get_body_data(), " ",
                        ngx.req.get_body_file() ~= nil, " ",
                        ngx.req.get_headers()["content-length"])
                ngx.req.init_body(0)
                ngx.req.finish_body()
                ngx.say(ngx.req.get_body_data(), " ",
                        ngx.req.get_body_file() ~= nil, " ",
                        ngx.req.get_headers()["content-length"])
            }
        }""" % ""))
    text = server.http("/f?size=0").text
    assert text == "nil true 9\nnil false 0\n"
    text = server.http("/f?size=9").text
    assert text == "abcabcabc false 9\nnil false 0\n"


def test_no_buffer_for_the_clients_body(start):
    server = start(http_lua("""
        ngx.req.read_body()
        ngx.req.init_body()
        ngx.req.append_body("abc")
        ngx.req.finish_body()
        ngx.say(ngx.req.get_body_file() ~= nil)
    """, location="client_body_buffer_size 0;"))
    assert server.http("/t").text == "true\n"
