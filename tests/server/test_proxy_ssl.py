"""proxy_ssl_*_by_lua*: phases within the TLS handshakes with upstreams."""

import re
import socket
import subprocess
import time

import pytest

import tls
from resolua_server import HOST


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    authority = tls.Authority(tmp_path_factory.mktemp("tls"))
    for name in ("one.test", "two.test", "client.test"):
        authority.issue(name)
    return authority


CONF = """
http {
    lua_shared_dict notes 1m;
    server {
        listen 127.0.0.1:@HTTP@;
        location / {
            proxy_pass https://127.0.0.1:@UP@;
            proxy_ssl_session_reuse off;
            set $note '';
            add_header X-Note $note always;
            %(location)s
        }
        location /plain { proxy_pass http://127.0.0.1:@PLAIN@; }
    }
    server {
        listen 127.0.0.1:@UP@ ssl;
        ssl_certificate %(folder)s/one.test-chain.pem;
        ssl_certificate_key %(folder)s/one.test.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_client_certificate %(folder)s/ca.pem;
        ssl_verify_client %(verify)s;
        return 200 "$ssl_client_verify $ssl_client_s_dn";
    }
    server { listen 127.0.0.1:@PLAIN@; return 200 plain; }
}
stream {
    server {
        listen 127.0.0.1:@STREAM@;
        proxy_pass 127.0.0.1:@UP@;
        proxy_ssl on;
        proxy_ssl_session_reuse off;
        %(stream)s
    }
}
"""

CERT = """
    proxy_ssl_certificate_by_lua_block {
        local ssl = require "ngx.ssl"
        local proxy = require "ngx.ssl.proxysslcert"
        local function read(name)
            local file = assert(io.open("%s/" .. name))
            local text = file:read("*a")
            file:close()
            return text
        end
        %s
    }
"""

CLIENT = """
    assert(proxy.clear_certs())
    assert(proxy.set_cert(ssl.parse_pem_cert(read("client.test.pem"))))
    assert(proxy.set_priv_key(ssl.parse_pem_priv_key(read("client.test.key"))))
"""

VERIFY = """
    proxy_ssl_verify_by_lua_block {
        local proxy = require "ngx.ssl.proxysslverify"
        %s
    }
"""


@pytest.fixture
def run(start, ca):
    def go(location="", stream=None, verify="optional"):
        one = start(CONF % {
            "folder": ca.folder, "location": location, "verify": verify,
            "stream": location if stream is None else stream})
        one.allow_log(r"\[error\]")
        return one
    return go


def ask(server):
    """Over the stream proxy; "" when it ends."""
    with socket.create_connection((HOST, server.port("STREAM")), 10) as s:
        try:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            data = b""
            while piece := s.recv(65536):
                data += piece
        except ConnectionError:
            return ""
    return data.split(b"\r\n\r\n", 1)[-1].decode()


@pytest.mark.parametrize("wait", ["", "ngx.sleep(0.02)"])
def test_a_certificate_for_the_upstream(run, ca, wait):
    server = run(CERT % (ca.folder, wait + CLIENT))
    for _ in range(3):
        assert server.http("/").text == "SUCCESS CN=client.test"
        assert ask(server) == "SUCCESS CN=client.test"


def test_none_is_asked_for(run, ca):
    server = run(CERT % (ca.folder, "error('must not run')"), verify="off")
    assert server.http("/").text.startswith("NONE")
    assert ask(server).startswith("NONE")


@pytest.mark.parametrize("code", ["error('no')", "ngx.exit(ngx.ERROR)",
                                  "ngx.sleep(0.01) ngx.exit(ngx.ERROR)"])
def test_a_failing_chunk_fails_the_attempt(run, ca, code):
    server = run(CERT % (ca.folder, code))
    assert server.http("/").status == 502
    assert ask(server) == ""
    assert server.http("/plain").text == "plain"


def test_variables_and_ctx(run, ca):
    server = run("""
        access_by_lua_block { ngx.ctx.name = "client.test" }
        header_filter_by_lua_block {
            ngx.header["X-Seen"] = ngx.ctx.seen
        }
    """ + CERT % (ca.folder, """
        ngx.sleep(0.01)
        local name = ngx.ctx.name
        assert(proxy.set_der_cert(ssl.cert_pem_to_der(read(name .. ".pem"))))
        assert(proxy.set_der_priv_key(ssl.priv_key_pem_to_der(
            read(name .. ".key"))))
        ngx.ctx.seen = ngx.get_phase()
        ngx.var.note = ngx.var.uri .. ngx.var.request_method
    """), stream="")
    reply = server.http("/x")
    assert reply.text == "SUCCESS CN=client.test"
    assert reply.headers["X-Seen"] == "proxy_ssl_cert"
    assert reply.headers["X-Note"] == "/xGET"


@pytest.mark.parametrize("wait", ["", "ngx.sleep(0.02)"])
def test_the_upstreams_certificate(run, ca, wait):
    server = run(VERIFY % (wait + """
        ngx.log(ngx.WARN, "verify: ", proxy.get_verify_result(), " ",
                type(proxy.get_verify_cert()), " ", ngx.get_phase())
    """))
    assert server.http("/").status == 200
    assert ask(server).startswith("NONE")
    said = re.findall(r"verify: (\d+) cdata proxy_ssl_verify", server.log())
    assert len(said) == 2 and "0" not in said


@pytest.mark.parametrize("result, good", [(0, True), (1, False)])
def test_the_chunk_decides(run, ca, result, good):
    server = run(VERIFY % f"assert(proxy.set_verify_result({result}))" + """
        proxy_ssl_verify on; proxy_ssl_name one.test;
        proxy_ssl_trusted_certificate %s;""" % ca.path("two.test.pem"))
    assert (server.http("/").status == 200) == good
    assert (ask(server) != "") == good


def test_nginxs_own_verification_stays(run, ca):
    server = run(VERIFY % "ngx.sleep(0.001)" + """
        proxy_ssl_verify on; proxy_ssl_name one.test;
        proxy_ssl_trusted_certificate %s;""" % ca.path("two.test.pem"))
    assert server.http("/").status == 502
    server = run(VERIFY % "ngx.sleep(0.001)" + """
        proxy_ssl_verify on; proxy_ssl_name one.test;
        proxy_ssl_trusted_certificate %s;""" % ca.path("ca.pem"))
    assert server.http("/").status == 200
    server = run(VERIFY % "ngx.sleep(0.001)" + """
        proxy_ssl_verify on; proxy_ssl_name two.test;
        proxy_ssl_trusted_certificate %s;""" % ca.path("ca.pem"))
    assert server.http("/").status == 502


def test_openssls_verification_is_skipped(run, ca):
    server = run(VERIFY % """
        ngx.log(ngx.WARN, "verify: ", proxy.get_verify_result())
    """ + "lua_upstream_skip_openssl_default_verify on;")
    assert server.http("/").status == 200
    assert "verify: 0" in server.log()


def test_both(run, ca):
    server = run(CERT % (ca.folder, "ngx.sleep(0.001)" + CLIENT) +
                 VERIFY % "ngx.sleep(0.001) ngx.ctx.verified = true")
    assert server.http("/").text == "SUCCESS CN=client.test"
    assert ask(server) == "SUCCESS CN=client.test"


def test_an_upstream_that_speaks_no_tls(run, ca, start):
    server = start(CONF.replace("https://127.0.0.1:@UP@",
                                "https://127.0.0.1:@PLAIN@") % {
        "folder": ca.folder, "verify": "off", "stream": "",
        "location": VERIFY % "" + CERT % (ca.folder, CLIENT)})
    server.allow_log("error")
    assert server.http("/").status == 502


def test_a_handshake_that_takes_too_long(run, ca):
    server = run(VERIFY % "ngx.sleep(5)" + "proxy_connect_timeout 300ms;")
    assert server.http("/").status == 504
    assert ask(server) == ""


def test_clients_that_leave_meanwhile(run, ca):
    server = run(VERIFY % "ngx.sleep(0.5)" + CERT % (ca.folder, CLIENT))
    for port in ("HTTP", "STREAM"):
        for _ in range(3):
            with socket.create_connection((HOST, server.port(port)), 5) as s:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                s.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    s.recv(1)
    assert server.http("/").text == "SUCCESS CN=client.test"


def test_an_upstream_that_negotiates_again(start, ca):
    """openssl s_server does so at a line "R" of its input."""
    server = start("""
        stream { server {
            listen 127.0.0.1:@STREAM@;
            proxy_pass 127.0.0.1:@PEER@;
            proxy_ssl on;
            proxy_ssl_protocols TLSv1.2;
            %s
        } }""" % (CERT % (ca.folder, "ngx.sleep(0.01)" + CLIENT) +
                  VERIFY % "ngx.sleep(0.01)"), run=False)
    peer = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{server.port('PEER')}",
         "-cert", ca.path("one.test.pem"), "-key", ca.path("one.test.key"),
         "-tls1_2", "-verify", "2", "-naccept", "1", "-no_cache",
         "-no_ticket"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    try:
        while peer.stdout.readline() != b"ACCEPT\n":
            pass
        server.start()
        with socket.create_connection((HOST, server.port("STREAM")), 5) as s:
            s.settimeout(5)
            s.sendall(b"one\n")
            time.sleep(0.3)
            peer.stdin.write(b"R\n")
            peer.stdin.flush()
            time.sleep(0.3)
            s.sendall(b"two\n")
            time.sleep(0.3)
            peer.stdin.write(b"three\n")
            peer.stdin.flush()
            assert s.recv(100) == b"three\n"
    finally:
        peer.kill()
        said = peer.communicate()[0]
    assert b"one" in said and b"two" in said
    assert said.count(b"CN = client.test") > 1


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_the_version_of_the_upstreams_tls(run, ca, version):
    note = """
        local p = require "ngx.proxyssl"
        ngx.ctx.versions = (ngx.ctx.versions or "") .. " " ..
            tostring(p.get_tls1_version_str()) ..
            tostring(p.get_tls1_version() == p.%s_VERSION)
    """ % version.replace("v1.", "1_")
    server = run(
        f"proxy_ssl_protocols {version};" + CERT % (ca.folder, note)
        + "header_filter_by_lua_block { %s "
        "ngx.header['X-Versions'] = ngx.ctx.versions }" % note
        + "access_by_lua_block { ngx.ctx.plain = select(2, "
        "require('ngx.proxyssl').get_tls1_version()) }",
        f"proxy_ssl_protocols {version};" + CERT % (ca.folder, note + """
            ngx.log(ngx.WARN, "in stream:", ngx.ctx.versions)"""))
    reply = server.http("/")
    assert reply.headers["X-Versions"].split() == [f"{version}true"] * 2
    assert ask(server).startswith("NONE")
    server.wait_for_log(f"in stream: {version}true")
