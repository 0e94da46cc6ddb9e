"""Requests of which nginx has no headers: HTTP/0.9, and what it refuses before
a location sees it, where error_page leads to Lua."""

import socket
import ssl

import pytest

from resolua_server import HOST, wait_for
from tls import Authority

# What a script does, and what it says then; without headers, and with them.
OPERATIONS = {
    "set_header": (
        "ngx.req.set_header('X-Foo', 'a') "
        "ngx.say(ngx.req.get_headers()['x-foo'])", "nil", "a"),
    "set_headers": (
        "ngx.req.set_header('X-Foo', {'a', 'b'}) "
        "ngx.say(ngx.var.http_x_foo)", "nil", "a"),
    "set_host": (
        "ngx.req.set_header('Host', 'a.test') ngx.say(ngx.var.http_host)",
        "nil", "a.test"),
    "add_header": (
        "require('ngx.req').add_header('X-Foo', 'a') "
        "ngx.say(ngx.req.get_headers()['x-foo'])", "nil", "a"),
    "clear_header": (
        "ngx.req.set_header('X-Foo', 'a') ngx.req.clear_header('X-Foo') "
        "ngx.say(ngx.req.get_headers()['x-foo'])", "nil", "nil"),
    "get_headers": (
        "local h = ngx.req.get_headers() "
        "ngx.say(type(h), type(ngx.req.raw_header()), "
        "type(ngx.req.raw_header(true)))",) + 2 * ("tablestringstring",),
    "request_line": (
        "ngx.say(ngx.req.get_method(), type(ngx.req.http_version()), "
        "type(ngx.req.start_time()))",) + 2 * ("GETnumbernumber",),
    "variables": (
        "local all = {} for _, n in ipairs{'host', 'uri', 'request_uri', "
        "'args', 'request', 'request_length', 'http_cookie', 'cookie_a', "
        "'arg_a', 'content_length', 'content_type', 'request_body', "
        "'server_protocol', 'proxy_add_x_forwarded_for', 'is_args', "
        "'request_filename', 'document_root', 'http_x', 'status', 'https', "
        "'request_id', 'connection'} do all[#all + 1] = ngx.var[n] end "
        "ngx.say(#all > 4)",) + 2 * ("true",),
    "arguments": (
        "ngx.req.set_uri_args({a = 1}) ngx.say(ngx.req.get_uri_args().a)",
    ) + 2 * ("1",),
    "uri": ("ngx.req.set_uri('/x') ngx.say(ngx.var.uri)",) + 2 * ("/x",),
    "method": (
        "ngx.req.set_method(ngx.HTTP_PUT) ngx.say(ngx.req.get_method())",
    ) + 2 * ("PUT",),
    "read_body": (
        "ngx.req.read_body() ngx.say(ngx.req.get_body_data(), "
        "ngx.req.get_body_file(), next(ngx.req.get_post_args()))",
    ) + 2 * ("nilnilnil",),
    "set_body": (
        "ngx.req.read_body() ngx.req.set_body_data('abc') "
        "ngx.req.set_header('X-Foo', 'a') ngx.say(ngx.req.get_body_data())",
    ) + 2 * ("abc",),
    "write_body": (
        "ngx.req.read_body() ngx.req.init_body(2) ngx.req.append_body('abc') "
        "ngx.req.finish_body() ngx.say(ngx.req.get_body_file() ~= nil)",
    ) + 2 * ("true",),
    "discard_body": ("ngx.req.discard_body() ngx.say('x')",) + 2 * ("x",),
    "socket": ("ngx.say(select(2, ngx.req.socket()))",) + 2 * ("no body",),
    "capture": (
        "local r = ngx.location.capture('/echo', {method = ngx.HTTP_POST, "
        "body = 'xy', args = {a = 1}}) ngx.say(r.body)",) + 2 * ("POST a=1 xy",),
    "capture_all": (
        "ngx.req.set_header('X-Foo', 'a') local r = ngx.location.capture("
        "'/echo', {method = ngx.HTTP_PUT, always_forward_body = true, "
        "copy_all_vars = true, ctx = {}}) ngx.say(r.body)",) + 2 * ("PUT nil nil",),
    "capture_proxy": (
        "ngx.req.set_header('X-Foo', 'a') local r = ngx.location.capture("
        "'/proxy', {method = ngx.HTTP_POST, body = 'xy'}) ngx.say(r.body)",
    ) + 2 * ("POST nil xy",),
    "set_in_capture": (
        "local r = ngx.location.capture('/set') ngx.say(r.status)",
    ) + 2 * ("200",),
    "exec": ("ngx.exec('/echo', 'a=1')",) + 2 * ("GET a=1 nil",),
    "exec_proxy": (
        "ngx.req.set_header('X-Foo', 'a') ngx.exec('/proxy', 'a=1')",
    ) + 2 * ("GET a=1 nil",),
    "ssl": (
        "local s = require 'ngx.ssl' ngx.say(pcall(s.get_tls1_version_str))"
        " ngx.say(pcall(s.server_name)) ngx.say('done')",) + 2 * ("done",),
    "sleep": (
        "ngx.say('a') ngx.flush(true) ngx.sleep(0.001) ngx.req.set_header("
        "'X-Foo', 'a') ngx.say('b')",) + 2 * ("a\nb",),
    "raw_socket": (
        "local s, err = ngx.req.socket(true) "
        "ngx.log(ngx.INFO, 'raw: ', err) if s then s:send('raw') end",
    ) + 2 * ("raw",),
}

CONF = """
http {
    lua_shared_dict choice 100k;
    keepalive_timeout 0;
    client_header_buffer_size 1k;
    large_client_header_buffers 2 1k;
    init_by_lua_block {
        OPERATIONS = {}
        %s
        function RUN() return OPERATIONS[ngx.shared.choice:get("it")]() end
    }
    server {
        listen 127.0.0.1:@HTTP@;
        listen 127.0.0.1:@TLS@ ssl;
        ssl_certificate @FOLDER@/tls/own.test.pem;
        ssl_certificate_key @FOLDER@/tls/own.test.key;
        ssl_client_certificate @FOLDER@/tls/ca.pem;
        ssl_verify_client on;
        error_page 400 413 414 494 495 496 497 505 /error;
        location = /choose { content_by_lua_block {
            ngx.shared.choice:set("it", ngx.var.args) } }
        location = /error {
            header_filter_by_lua_block { ngx.req.set_header("X-Filter", "1") }
            log_by_lua_block {
                local seen = ngx.req.get_headers()
                ngx.log(ngx.INFO, "seen ", type(seen), ngx.var.request) }
            content_by_lua_block { RUN() }
        }
        location = /t { content_by_lua_block { RUN() } }
        location = /echo { content_by_lua_block {
            ngx.req.read_body()
            ngx.print(ngx.req.get_method(), " ", ngx.var.args, " ",
                      ngx.req.get_body_data()) } }
        location = /set { content_by_lua_block {
            ngx.req.set_header("X-Foo", "a") ngx.req.clear_header("Host")
            ngx.req.set_body_data("abc") ngx.req.set_header("X-Foo", "b") } }
        location = /proxy { proxy_pass http://127.0.0.1:@HTTP@/echo; }
    }
    server {
        listen 127.0.0.1:@PLAIN@;
        header_filter_by_lua_block { ngx.req.set_header("X-Filter", "1")
                                     ngx.header.x_filtered = "1" }
        location = /t { return 200 "x"; }
    }
}
""" % "\n".join("OPERATIONS[%r] = function() %s end" % (name, case[0])
                for name, case in OPERATIONS.items())

LONG = b"x" * 3000

# What is sent, the port, and whether the request has headers then.
REQUESTS = {
    "http09": (b"GET /t\r\n", "HTTP", False),
    "http09_arguments": (b"GET /t?a=%20&b\n", "HTTP", False),
    "bad_method": (b"GeT /t HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP", False),
    "bad_version": (b"GET /t HTTP/9.9\r\nHost: x\r\n\r\n", "HTTP", False),
    "binary": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", "HTTP", False),
    "long_line": (b"GET /t?" + LONG + b" HTTP/1.1\r\n\r\n", "HTTP", False),
    "bad_uri": (b"GET /t/../../.. HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP", False),
    "bad_header": (b"GET /t HTTP/1.1\r\nHost: x\r\nA: 1\r\nB\0: 2\r\n\r\n",
                   "HTTP", True),
    "first_header_bad": (b"GET /t HTTP/1.1\r\nB\0: 2\r\n\r\n", "HTTP", True),
    "long_header": (b"GET /t HTTP/1.1\r\nHost: x\r\nA: " + LONG + b"\r\n\r\n",
                    "HTTP", True),
    "no_host": (b"GET /t HTTP/1.1\r\nA: 1\r\n\r\n", "HTTP", True),
    "bad_length": (b"GET /t HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
                   "HTTP", True),
    "plain_to_tls": (b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n", "TLS", True),
    "http09_to_tls": (b"GET /t\r\n", "TLS", False),
}


@pytest.fixture(scope="module", name="server")
def one_server(tmp_path_factory):
    from resolua_server import Server
    folder = tmp_path_factory.mktemp("refused")
    Authority.issue(make(folder / "tls"), "own.test")
    server = Server(folder, CONF).start()
    yield server
    server.stop()
    server.check_log()


def make(folder):
    folder.mkdir()
    return Authority(folder)


def read_all(connection):
    data = b""
    while True:
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


def ask(server, port, octets, wrap=lambda s: s):
    with socket.create_connection((HOST, server.port(port)), 10) as s:
        with wrap(s) as c:
            c.sendall(octets)
            return read_all(c).decode("latin-1")


def body(reply):
    """Without the header and what chunks put between."""
    _, end, text = reply.partition("\r\n\r\n")
    if not reply.startswith("HTTP/") or not end:
        return reply
    if "chunked" not in reply[:-len(text) or None]:
        return text
    lines = text.split("\r\n")
    return "".join(lines[1::2])


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_a_script_on_a_request_without_headers(server, operation):
    server.http("/choose?" + operation)
    _, without, with_headers = OPERATIONS[operation]
    for name, (octets, port, has_headers) in REQUESTS.items():
        reply = ask(server, port, octets)
        want = with_headers if has_headers else without
        assert body(reply).strip().endswith(want), (name, reply)


def test_a_client_certificate_that_is_refused(server):
    server.http("/choose?set_header")
    context = ssl._create_unverified_context()
    got = ask(server, "TLS", b"GET /t HTTP/1.1\r\nHost: x\r\n"
              b"Connection: close\r\n\r\n", context.wrap_socket)
    assert got.startswith("HTTP/1.1 400") and body(got) == "a\n"
    got = ask(server, "TLS", b"GET /t\r\n", context.wrap_socket)
    assert got == "nil\n"


def test_a_header_filter_of_a_refused_request(server):
    for octets, _, _ in REQUESTS.values():
        reply = ask(server, "PLAIN", octets)
        if reply.startswith("HTTP/"):
            assert "x-filtered: 1" in reply.lower()


def test_log_by_lua_of_a_refused_request(server):
    server.http("/choose?set_header")
    before = server.log().count("seen table")
    ask(server, "HTTP", b"GeT / HTTP/1.1\r\n\r\n")
    wait_for(lambda: server.log().count("seen table") > before)
