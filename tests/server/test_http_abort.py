"""ngx.on_abort and lua_check_client_abort, in http and stream."""

import shutil
import socket
import subprocess
import time

import pytest

import h2_frames
from lua_conf import http_lua
from resolua_server import HOST, wait_for

ON = "lua_check_client_abort on;"


def leave(server, port="HTTP", request=b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n",
          after=0.05):
    """A client that goes away without waiting for its answer."""
    with socket.create_connection((HOST, server.port(port)), 5) as s:
        s.sendall(request)
        time.sleep(after)


def stream_lua(code, server=""):
    return ("lua_shared_dict d 1m; stream { server { listen 127.0.0.1:@TCP@; "
            "%s content_by_lua_block { %s } } } http { server { "
            "listen 127.0.0.1:@HTTP@; location / { content_by_lua_block { "
            "ngx.print(tostring(ngx.shared.d:get('x'))) } } } }"
            % (server, code))


SLEEP = "ngx.sleep(0.3) ngx.log(ngx.WARN, 'AWAKE')"


def test_off_by_default(start):
    server = start(http_lua(
        "ngx.log(ngx.WARN, 'R ', ngx.on_abort(function() end)) " + SLEEP))
    leave(server)
    server.wait_for_log("R nillua_check_client_abort is off")
    server.wait_for_log("AWAKE")


def test_off_by_default_in_stream(start):
    server = start(stream_lua(
        "ngx.log(ngx.WARN, 'R ', ngx.on_abort(function() end)) " + SLEEP))
    leave(server, "TCP")
    server.wait_for_log("R nillua_check_client_abort is off")
    server.wait_for_log("AWAKE")


@pytest.mark.parametrize("after", [0, 0.05])
def test_without_a_callback_all_ends(start, after):
    server = start(http_lua(SLEEP, location=ON + """
        log_by_lua_block { ngx.log(ngx.WARN, "STATUS ", ngx.status) }"""))
    leave(server, after=after)
    server.wait_for_log("STATUS 499")
    time.sleep(0.4)
    assert "AWAKE" not in server.log()


@pytest.mark.parametrize("after", [0, 0.05])
def test_without_a_callback_a_stream_session_ends(start, after):
    server = start(stream_lua(SLEEP, server=ON + """
        log_by_lua_block { ngx.log(ngx.WARN, "STATUS ", ngx.var.status) }"""))
    leave(server, "TCP", after=after)
    server.wait_for_log("STATUS 499")
    time.sleep(0.4)
    assert "AWAKE" not in server.log()


CALLBACK = """
    ngx.log(ngx.WARN, "R ", ngx.on_abort(function()
        ngx.sleep(0.01)
        ngx.log(ngx.WARN, "GONE ", ngx.get_phase())
        %s
    end))
"""


@pytest.mark.parametrize("where", ["http", "stream"])
def test_a_callback_that_lets_it_go_on(start, where):
    code = CALLBACK % "" + SLEEP
    server = start(http_lua(code, location=ON) if where == "http"
                   else stream_lua(code, ON))
    leave(server, "HTTP" if where == "http" else "TCP")
    server.wait_for_log("R 1")
    server.wait_for_log("GONE content")
    server.wait_for_log("AWAKE")
    assert server.log().count("GONE") == 1


@pytest.mark.parametrize("where", ["http", "stream"])
def test_a_callback_that_ends_it(start, where):
    code = CALLBACK % "ngx.exit(499)" + SLEEP
    log = 'log_by_lua_block { ngx.log(ngx.WARN, "STATUS ", ngx.var.status) }'
    server = start(http_lua(code, location=ON + log) if where == "http"
                   else stream_lua(code, ON + log))
    leave(server, "HTTP" if where == "http" else "TCP")
    server.wait_for_log("GONE content")
    server.wait_for_log("STATUS 499")
    time.sleep(0.4)
    assert "AWAKE" not in server.log()


def test_a_callback_that_fails(start):
    server = start(http_lua(CALLBACK % "error('oops')" + SLEEP, location=ON))
    server.allow_log("oops")
    leave(server)
    server.wait_for_log("AWAKE")


def test_it_is_set_once(start):
    server = start(http_lua("""
        local _, err = pcall(ngx.on_abort, 1)
        ngx.on_abort(function() end)
        ngx.say(ngx.on_abort(function() end))
        ngx.say(err)
    """, location=ON))
    lines = server.http("/t").text.splitlines()
    assert lines[0] == "nilduplicate call"
    assert "function expected" in lines[1]


def test_who_stays_is_not_disturbed(start):
    server = start(http_lua(CALLBACK % "" + "ngx.sleep(0.1) ngx.say('ok')",
                            location=ON))
    request = b"GET /t HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        for count in 1, 1, 3:  # the last: others wait behind it
            s.sendall(request * count)
            got = b""
            while got.count(b"ok\n") < count:
                piece = s.recv(4096)
                assert piece
                got += piece
    assert "GONE" not in server.log()


@pytest.mark.parametrize("phase", ["rewrite", "access", "content"])
def test_phases(start, phase):
    server = start("http { server { listen 127.0.0.1:@HTTP@; location /t { %s "
                   "%s_by_lua_block { %s } } } }"
                   % (ON, phase, CALLBACK % "ngx.exit(499)" + SLEEP))
    leave(server)
    server.wait_for_log("GONE " + phase)


def test_light_threads_and_subrequests_end_too(start):
    server = start(http_lua("""
        ngx.thread.spawn(function() ngx.sleep(0.3)
            ngx.log(ngx.WARN, "AWAKE") end)
        ngx.location.capture("/s")
    """, location=ON, server="location /s { content_by_lua_block { "
                             "ngx.sleep(0.3) ngx.log(ngx.WARN, 'AWAKE') } }"))
    leave(server)
    time.sleep(0.5)
    assert "AWAKE" not in server.log()


def test_while_a_subrequest_is_proxied(start):
    server = start(http_lua(
        CALLBACK % "ngx.exit(499)" + "ngx.location.capture('/p') "
        "ngx.log(ngx.WARN, 'AWAKE')", location=ON,
        server="location /p { proxy_pass http://127.0.0.1:@HTTP@/slow; } "
               "location /slow { content_by_lua_block { ngx.sleep(0.3) } }"))
    leave(server)
    server.wait_for_log("GONE content")
    time.sleep(0.4)
    assert "AWAKE" not in server.log()


def test_a_body_that_has_been_read_or_not(start):
    server = start(http_lua("if ngx.var.arg_read then ngx.req.read_body() end "
                            + CALLBACK % "ngx.exit(499)" + SLEEP,
                            location=ON))
    for target in (b"/t", b"/t?read=1"):
        leave(server, request=b"POST " + target + b" HTTP/1.1\r\nHost: x\r\n"
              b"Content-Length: 5\r\n\r\nhello")
    wait_for(lambda: server.log().count("GONE") == 2, 5, "two callbacks")


def test_a_reader_in_stream_sees_the_end_itself(start):
    server = start(stream_lua("""
        local socket = ngx.req.socket()
        ngx.on_abort(function() ngx.log(ngx.WARN, "GONE") end)
        ngx.log(ngx.WARN, "FIRST ", socket:receive())
        local _, err = socket:receive()
        ngx.log(ngx.WARN, "THEN ", err)
    """, ON))
    leave(server, "TCP", b"line\n")
    server.wait_for_log("FIRST line")
    server.wait_for_log("THEN closed")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_http2(start, tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)
    server = start("http { server { listen 127.0.0.1:@HTTP@ ssl http2; "
                   "ssl_certificate %s; ssl_certificate_key %s; "
                   "location /t { %s content_by_lua_block { %s } } } }"
                   % (cert, key, ON, CALLBACK % "ngx.exit(499)" + SLEEP))
    subprocess.run(["curl", "-sk", "--http2", "-m", "0.2", "https://%s:%d/t"
                    % (HOST, server.port("HTTP"))], check=False)
    server.wait_for_log("GONE content")
    time.sleep(0.4)
    assert "AWAKE" not in server.log()


def test_inside_locations_and_ifs(start):
    server = start("http { lua_check_client_abort on; server { listen "
                   "127.0.0.1:@HTTP@; location /on { %(code)s } location /off "
                   "{ lua_check_client_abort off; %(code)s } location /if { "
                   "if ($arg_off) { lua_check_client_abort off; } %(code)s } "
                   "} }" % {"code": "content_by_lua_block { "
                            "ngx.say(ngx.on_abort(function() end)) }"})
    assert server.http("/on").text == "1\n"
    assert server.http("/off").text == "nillua_check_client_abort is off\n"
    assert server.http("/if").text == "1\n"
    assert server.http("/if?off=1").text == (
        "nillua_check_client_abort is off\n")


@pytest.mark.parametrize("leaves", ["resets", "closes"])
def test_who_waits_for_an_http2_window_is_told_of_its_end(start, leaves):
    """Else connections of clients that are long gone take places, for as long
    as send_timeout."""
    server = start("""http { server { listen 127.0.0.1:@HTTP@ http2;
        location /t { content_by_lua_block {
            ngx.print(("x"):rep(1000))
            ngx.log(ngx.WARN, "FLUSHES")
            ngx.log(ngx.WARN, "ENDS ", select(2, ngx.flush(true)))
        } } } }""")
    with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
        s.sendall(h2_frames.hello(0) + h2_frames.get(b"/t"))
        server.wait_for_log("FLUSHES")
        if leaves == "resets":
            s.sendall(h2_frames.cancel())
            server.wait_for_log("ENDS client aborted")
    server.wait_for_log("ENDS client aborted")
