"""ssl_*_by_lua*: phases within the TLS handshakes of clients."""

import concurrent.futures
import contextlib
import hashlib
import random
import signal
import socket
import ssl
import struct
import subprocess
import time

import dns.message
import dns.query
import pytest

import tls
from resolua_server import HOST, wait_for


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    authority = tls.Authority(tmp_path_factory.mktemp("tls"))
    for name in ("fallback.test", "one.test", "two.test", "client.test"):
        authority.issue(name)
    return authority


CONF = """
lua_shared_dict notes 1m;
http {
    server {
        listen 127.0.0.1:@TLS@ ssl;
        server_name fallback.test;
        ssl_certificate %(folder)s/fallback.test.pem;
        ssl_certificate_key %(folder)s/fallback.test.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        %(server)s
        location / { content_by_lua_block {
            local ssl = require "ngx.ssl"
            %(content)s
        } }
    }
    %(more)s
}
stream {
    server {
        listen 127.0.0.1:@STREAM@ ssl;
        ssl_certificate %(folder)s/fallback.test.pem;
        ssl_certificate_key %(folder)s/fallback.test.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        %(stream)s
        content_by_lua_block {
            local ssl = require "ngx.ssl"
            %(content)s
        }
    }
}
"""

# In http and in stream.
PORTS = ["TLS", "STREAM"]


@pytest.fixture
def run(start, ca):
    def go(server="", content="ngx.say('hello')", more="", stream=None):
        fields = {"folder": ca.folder, "server": server, "more": more,
                  "content": content,
                  "stream": server if stream is None else stream}
        one = start(CONF % fields)
        one.allow_log(r"\[error\].*(broken|late|: no|away)")
        return one
    return go


def certificate_of(server, ca, name, port="TLS", **options):
    with tls.connect(server, ca, name, port, **options) as secure:
        return tls.common_name(secure.getpeercert())


def talk(server, ca, port, name="fallback.test", **options):
    """What the content says, over http or stream."""
    with tls.connect(server, ca, name, port, **options) as secure:
        if port == "TLS":
            return tls.get(secure, "/", name)
        return secure.makefile().read()


SET = """
    ssl_certificate_by_lua_block {
        local ssl = require "ngx.ssl"
        local function read(name)
            local file = assert(io.open("%s/" .. name))
            local text = file:read("*a")
            file:close()
            return text
        end
        %s
    }
"""

BY_NAME = """
    local name = assert(ssl.server_name())
    assert(ssl.clear_certs())
    assert(ssl.set_cert(assert(ssl.parse_pem_cert(read(name .. "-chain.pem")))))
    assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(read(name .. ".key")
        ))))
"""


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
def test_a_certificate_by_name(run, ca, port, version):
    server = run(SET % (ca.folder, BY_NAME))
    for name in ("one.test", "two.test", "one.test"):
        assert certificate_of(server, ca, name, port,
                              versions=(version, version)) == name
    assert talk(server, ca, port, "two.test") == "hello\n"


@pytest.mark.parametrize("port", PORTS)
def test_a_chunk_may_sleep_and_use_sockets(run, ca, port):
    server = run(SET % (ca.folder, """
        ngx.sleep(0.05)
        local thread = ngx.thread.spawn(function()
            ngx.sleep(0.01)
            return read("two.test.pem")
        end)
        local sock = ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", @PLAIN@))
        assert(sock:send("GET /key HTTP/1.0\\r\\n\\r\\n"))
        local answer = assert(sock:receive("*a"))
        local ok, pem = ngx.thread.wait(thread)
        assert(ssl.clear_certs())
        assert(ssl.set_der_cert(assert(ssl.cert_pem_to_der(pem))))
        assert(ssl.set_der_priv_key(assert(ssl.priv_key_pem_to_der(
            answer:match("\\r\\n\\r\\n(.*)")))))
    """), more="""server { listen 127.0.0.1:@PLAIN@;
        location = /key { alias %s/two.test.key; } }""" % ca.folder)
    for _ in range(3):
        assert certificate_of(server, ca, "two.test", port) == "two.test"
    assert talk(server, ca, port, "two.test") == "hello\n"


@pytest.mark.parametrize("port", PORTS)
def test_the_configured_one_stays(run, ca, port):
    server = run(SET % (ca.folder, ""))
    assert certificate_of(server, ca, "fallback.test", port) == \
        "fallback.test"


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("code", [
    "error('broken')", "ngx.exit(ngx.ERROR)", "ngx.sleep(0.01) error('late')",
    "ngx.sleep(0.01) ngx.exit(ngx.ERROR)"])
def test_an_error_ends_the_handshake(run, ca, port, code):
    server = run(SET % (ca.folder, code))
    for _ in range(2):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            certificate_of(server, ca, "fallback.test", port)
    if "error" in code:
        assert server.wait_for_log("broken|late")


@pytest.mark.parametrize("port", PORTS)
def test_exit_ok_goes_on(run, ca, port):
    server = run(SET % (ca.folder, "ngx.sleep(0.01) ngx.exit(ngx.OK)"))
    assert talk(server, ca, port) == "hello\n"


@pytest.mark.parametrize("port", PORTS)
def test_clients_that_leave(run, ca, port):
    """While the chunk sleeps, and before the ClientHello is whole."""
    server = run(SET % (ca.folder, "ngx.sleep(0.3)"))
    hello = client_hello("fallback.test")
    for cut in (len(hello), 1, 20, len(hello) - 1):
        with socket.create_connection((HOST, server.port(port)), 5) as s:
            s.sendall(hello[:cut])
            time.sleep(0.05)
    with socket.create_connection((HOST, server.port(port)), 5) as s:
        for octet in hello:  # by drops
            s.sendall(bytes([octet]))
        assert s.recv(1) == b"\x16"
    assert talk(server, ca, port) == "hello\n"


def client_hello(name):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    secure = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        secure.do_handshake()
    return outgoing.read()


def test_a_handshake_that_takes_too_long(run, ca):
    server = run("client_header_timeout 300ms;" +
                 SET % (ca.folder, "ngx.sleep(5)"), stream="")
    begin = time.monotonic()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        certificate_of(server, ca, "fallback.test")
    assert time.monotonic() - begin < 3
    server.wait_for_log("client timed out")


def test_a_handshake_that_takes_too_long_in_stream(run, ca):
    server = run(stream="ssl_handshake_timeout 300ms;" +
                 SET % (ca.folder, "ngx.sleep(5)"))
    begin = time.monotonic()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        certificate_of(server, ca, "fallback.test", "STREAM")
    assert time.monotonic() - begin < 3


def test_what_is_known_of_the_connection(run, ca):
    server = run("""ssl_certificate_by_lua_block {
        local ssl = require "ngx.ssl"
        local addr, kind = ssl.raw_server_addr()
        local client, client_kind = ssl.raw_client_addr()
        ngx.shared.notes:set("seen", table.concat({
            ssl.server_name() or "-", kind, addr:byte(1), client_kind,
            client:byte(4), ssl.server_port(), ssl.client_addr(),
            ssl.get_tls1_version(), ssl.get_tls1_version_str(),
            #ssl.get_client_random(), #ssl.get_client_random(8),
            ngx.get_phase(), type(ssl.get_req_ssl_pointer())}, " "))
    }""", "ngx.say(ngx.shared.notes:get('seen'))")
    for port in PORTS:
        text = talk(server, ca, port, versions=(ssl.TLSVersion.TLSv1_2,) * 2)
        assert text == (f"fallback.test inet 127 inet 1 {server.port(port)} "
                        "127.0.0.1 771 TLSv1.2 32 8 ssl_cert cdata\n")


@pytest.mark.parametrize("port", PORTS)
def test_the_same_later_on(run, ca, port):
    server = run(content="""
        ngx.say(ssl.server_name(), " ", ssl.get_tls1_version(), " ",
                ssl.TLS1_3_VERSION, " ",
                #ssl.export_keying_material(40, "EXPORTER-test", "x"), " ",
                ssl.server_port(), " ",
                select(2, pcall(ssl.set_der_cert, "x")))
    """)
    assert talk(server, ca, port) == (
        f"fallback.test 772 772 40 {server.port(port)} API disabled in the "
        "context of content_by_lua*\n")


def test_a_plain_connection(run):
    server = run(content="""
        ngx.say(tostring(ssl.server_name()), select(2, ssl.server_name()))
        ngx.say(select(2, ssl.get_tls1_version()))
        """, more="""server { listen 127.0.0.1:@HTTP@;
        location / { content_by_lua_block {
            local ssl = require "ngx.ssl"
            ngx.say(select(2, ssl.server_name()))
            ngx.say(select(2, ssl.get_tls1_version()))
            ngx.say(select(2, ssl.export_keying_material(4, "a")))
            ngx.say(ssl.client_addr(), ssl.server_port() > 0)
        } } }""")
    assert server.http("/").text == ("not ssl connection\n" * 3
                                     + "127.0.0.1true\n")


def test_what_makes_no_sense_in_a_handshake(run, ca):
    server = run("""ssl_certificate_by_lua_block {
        local function why(f, ...) return (select(2, pcall(f, ...))) end
        ngx.shared.notes:set("seen", table.concat({
            why(ngx.say, "x"),
            why(function() return ngx.var.uri end):match("API.*"),
            why(ngx.req.get_method),
            why(require "ngx.balancer".set_more_tries, 1),
            why(require "ngx.ssl.clienthello".get_supported_versions),
            tostring(require "ngx.upstream".current_upstream_name()),
            }, "|"))
    }""", "ngx.say(ngx.shared.notes:get('seen'))")
    disabled = "API disabled in the context of ssl_certificate_by_lua*"
    assert talk(server, ca, "TLS") == "|".join([disabled] * 5 + ["nil"]) + "\n"
    assert talk(server, ca, "STREAM").endswith("|nil\n")


def test_broken_certificates(run, ca):
    server = run(SET % (ca.folder, """
        local out = {}
        local function note(ok, err)
            out[#out + 1] = tostring(ok) .. ":" .. tostring(err)
        end
        note(ssl.parse_pem_cert("x"))
        note(ssl.parse_pem_priv_key("x"))
        note(ssl.cert_pem_to_der(""))
        note(ssl.priv_key_pem_to_der(""))
        note(ssl.parse_der_cert("x"))
        note(ssl.parse_der_priv_key("x"))
        note(ssl.set_der_cert(""))
        note(ssl.set_der_priv_key("abc"))
        note(pcall(ssl.set_cert, nil))
        note(pcall(ssl.set_cert, {}))
        local der = ssl.cert_pem_to_der(read("one.test-chain.pem"))
        note(ssl.set_der_cert(der .. "x"))
        note(ssl.set_der_cert(der))
        note(ssl.set_der_priv_key(ssl.priv_key_pem_to_der(
            read("two.test.key"))))
        note(type(ssl.parse_der_cert(der)))
        note(ssl.set_der_priv_key(ssl.priv_key_pem_to_der(
            read("one.test.key"))))
        ngx.shared.notes:set("seen", table.concat(out, "\\n"))
    """), "ngx.say(ngx.shared.notes:get('seen'))")
    said = talk(server, ca, "TLS", "one.test").splitlines()
    assert said[:8] == [
        "nil:PEM_read_bio_X509_AUX() failed",
        "nil:PEM_read_bio_PrivateKey() failed",
        "nil:PEM_read_bio_X509_AUX() failed",
        "nil:PEM_read_bio_PrivateKey() failed",
        "nil:d2i_X509_bio() failed",
        "nil:d2i_PrivateKey_bio() failed",
        "nil:d2i_X509_bio() failed",
        "nil:d2i_PrivateKey_bio() failed"]
    assert said[8].startswith("false:") and "cdata" in said[8]
    assert said[10:] == [
        "nil:d2i_X509_bio() failed", "true:nil",
        "nil:SSL_use_PrivateKey() failed", "cdata:nil", "true:nil"]


def test_virtual_servers(run, ca):
    server = run(SET % (ca.folder, BY_NAME), more="""
        server {
            listen 127.0.0.1:@TLS@ ssl;
            server_name two.test;
            ssl_certificate %s/fallback.test.pem;
            ssl_certificate_key %s/fallback.test.key;
            %s
            location / { return 200 two; }
        }
        server {
            listen 127.0.0.1:@TLS@ ssl;
            server_name client.test;
            ssl_certificate %s/client.test.pem;
            ssl_certificate_key %s/client.test.key;
            location / { return 200 configured; }
        }
        """ % (ca.folder, ca.folder,
               SET % (ca.folder, BY_NAME + "ngx.log(ngx.WARN, 'second')"),
               ca.folder, ca.folder))
    assert certificate_of(server, ca, "one.test") == "one.test"
    assert "second" not in server.log()
    assert talk(server, ca, "TLS", "two.test") == "two"
    server.wait_for_log("second")
    assert talk(server, ca, "TLS", "client.test") == "configured"


# ssl_client_hello_by_lua*

HELLO = """
    ssl_client_hello_by_lua_block {
        local hello = require "ngx.ssl.clienthello"
        %s
    }
"""


@pytest.mark.parametrize("port", PORTS)
def test_the_client_hello(run, ca, port):
    server = run(HELLO % """
        local has = {}
        for _, kind in ipairs(hello.get_client_hello_ext_present()) do
            has[kind] = true
        end
        ngx.sleep(0.01)
        local ext = hello.get_client_hello_ext(0)
        ngx.shared.notes:set("seen", table.concat({
            hello.get_client_hello_server_name(),
            table.concat(hello.get_supported_versions(), ","),
            tostring(has[0]), tostring(has[12345]), ext:sub(6),
            tostring(hello.get_client_hello_ext(12345)),
            tostring(#hello.get_client_hello_ciphers() > 2),
            require "ngx.ssl".server_name(), ngx.get_phase()}, " "))
    """, "ngx.say(ngx.shared.notes:get('seen'))")
    both = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    assert talk(server, ca, port, versions=both) == (
        "fallback.test TLSv1.3,TLSv1.2 true nil fallback.test nil true "
        "fallback.test ssl_client_hello\n")


@pytest.mark.parametrize("port", PORTS)
def test_without_a_name(run, ca, port):
    server = run(HELLO % """
        ngx.shared.notes:set("seen",
            tostring(hello.get_client_hello_server_name()) ..
            select("#", hello.get_client_hello_server_name()) ..
            tostring(require "ngx.ssl".server_name()))
    """, "ngx.say(ngx.shared.notes:get('seen'))")
    with tls.connect(server, ca, None, port) as secure:
        text = tls.get(secure) if port == "TLS" else secure.makefile().read()
    assert text == "nil1nil\n"


@pytest.mark.parametrize("port", PORTS)
def test_protocols_by_name(run, ca, port):
    server = run(HELLO % """
        ngx.sleep(0.001)
        if hello.get_client_hello_server_name() == "fallback.test" then
            assert(hello.set_protocols({"TLSv1.2"}))
        end
        assert(not hello.set_protocols({"TLSv9"}))
    """, "ngx.say(ssl.get_tls1_version_str())")
    assert talk(server, ca, port) == "TLSv1.2\n"
    with tls.connect(server, ca, None, port) as secure:
        assert secure.version() == "TLSv1.3"


@pytest.mark.parametrize("port", PORTS)
def test_hello_and_certificate(run, ca, port):
    server = run(HELLO % """
        ngx.ctx.name = hello.get_client_hello_server_name()
    """ + SET % (ca.folder, BY_NAME + "assert(ngx.ctx.name == name)"))
    assert certificate_of(server, ca, "one.test", port) == "one.test"


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("code", ["ngx.exit(ngx.ERROR)", "error('no')",
                                  "ngx.sleep(0.01) ngx.exit(ngx.ERROR)"])
def test_the_hello_is_refused(run, ca, port, code):
    server = run(HELLO % code)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        certificate_of(server, ca, "fallback.test", port)


# ssl_session_*_by_lua*

SESSIONS = """
    ssl_session_tickets off;
    ssl_session_store_by_lua_block {
        local session = require "ngx.ssl.session"
        local id = assert(session.get_session_id())
        ngx.shared.notes:set(id, assert(session.get_serialized_session()))
        ngx.shared.notes:incr("stored", 1, 0)
    }
    ssl_session_fetch_by_lua_block {
        local session = require "ngx.ssl.session"
        %s
        local id = assert(session.get_session_id())
        ngx.shared.notes:incr("fetched", 1, 0)
        local data = ngx.shared.notes:get(id)
        if data then
            assert(session.set_serialized_session(data))
        end
        assert(not session.set_serialized_session("x"))
    }
"""

COUNTS = """ngx.say(ngx.shared.notes:get("stored"), " ",
    tostring(ngx.shared.notes:get("fetched")))"""


def context_of(ca, version):
    context = ssl.create_default_context(cafile=ca.path("ca.pem"))
    context.minimum_version = context.maximum_version = version
    return context


def ask_with(context, server, port, session=None):
    """Whether the session was reused, the new one, what the server said."""
    with socket.create_connection((HOST, server.port(port)), 10) as s:
        with context.wrap_socket(s, server_hostname="fallback.test",
                                 session=session) as secure:
            text = (tls.get(secure) if port == "TLS"
                    else secure.makefile().read())
            return secure.session_reused, secure.session, text


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("wait", ["", "ngx.sleep(0.02)"])
def test_sessions_are_resumed(run, ca, port, wait):
    server = run(SESSIONS % wait, COUNTS)
    old = context_of(ca, ssl.TLSVersion.TLSv1_2)
    reused, session, text = ask_with(old, server, port)
    assert not reused and text == "1 nil\n"
    reused, _, text = ask_with(old, server, port, session)
    assert reused and text == "1 1\n"
    assert ask_with(old, server, port, session)[0]


@pytest.mark.parametrize("port", PORTS)
def test_sessions_of_tls_1_3_are_not_fetched(run, ca, port):
    """A client sends a session id that means nothing (RFC 8446 4.1.2)."""
    server = run(SESSIONS % "", COUNTS)
    new = context_of(ca, ssl.TLSVersion.TLSv1_3)
    reused, session, text = ask_with(new, server, port)
    assert not reused and text == "2 nil\n"
    reused, _, text = ask_with(new, server, port, session)
    assert not reused and text == "4 nil\n"


@pytest.mark.parametrize("limit", [
    "ssl_protocols TLSv1.2;", "ssl_conf_command MaxProtocol TLSv1.2;"])
def test_a_client_without_a_common_version_fetches_nothing(start, ca, limit):
    conf = CONF.replace("ssl_protocols TLSv1.2 TLSv1.3;", limit)
    server = start(conf % {"folder": ca.folder, "more": "", "content": COUNTS,
                           "server": SESSIONS % "", "stream": SESSIONS % ""})
    for port in PORTS:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask_with(context_of(ca, ssl.TLSVersion.TLSv1_3), server, port)
        text = ask_with(context_of(ca, ssl.TLSVersion.TLSv1_2), server, port)[2]
        assert text.endswith(" nil\n")


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("code", [
    "error('away')", "ngx.exit(ngx.ERROR)", "ngx.sleep(0.001) error({})",
    "ngx.sleep(0.001) ngx.exit(ngx.ERROR)"])
def test_a_fetch_that_fails_leads_to_a_full_handshake(run, ca, port, code):
    """Also after the chunk has given a session."""
    fetch = (SESSIONS % "").replace(
        "assert(not session.set_serialized_session", code + " assert(not x")
    server = run(fetch, COUNTS)
    server.allow_log("session_fetch_by_lua|unknown reason")
    old = context_of(ca, ssl.TLSVersion.TLSv1_2)
    session = ask_with(old, server, port)[1]
    for count in (1, 2):
        reused, _, text = ask_with(old, server, port, session)
        assert not reused and text == f"{count + 1} {count}\n"


# Client certificates.

@pytest.mark.parametrize("port", PORTS)
def test_clients_are_verified(run, ca, port):
    server = run(SET % (ca.folder, """
        local chain = assert(ssl.parse_pem_cert(read("ca.pem")))
        assert(ssl.verify_client(chain, 2))
    """), "ngx.say(ngx.var.ssl_client_verify, ' ', ngx.var.ssl_client_s_dn)")
    assert talk(server, ca, port, client="client.test") == \
        "SUCCESS CN=client.test\n"
    assert talk(server, ca, port).startswith("NONE")


# ngx.ocsp

def test_ocsp(run, ca, tmp_path):
    index = tmp_path / "index"
    request = tmp_path / "request"
    response = tmp_path / "response"
    revoked = tmp_path / "revoked"
    tls.openssl("ocsp", "-issuer", ca.path("ca.pem"), "-cert",
                ca.path("one.test.pem"), "-reqout", request, "-no_nonce")
    ca.issue("responder", usage="OCSPSigning")
    states = {response: ("V\t491231235959Z\t", "ca"),
              revoked: ("R\t491231235959Z\t200101000000Z", "ca"),
              tmp_path / "delegated": ("V\t491231235959Z\t", "responder"),
              tmp_path / "other": ("V\t491231235959Z\t", "two.test")}
    for out, (state, signer) in states.items():
        index.write_text("%s\t%X\tunknown\t/CN=one.test\n"
                         % (state, serial(ca, "one")))
        tls.openssl("ocsp", "-index", index, "-rsigner",
                    ca.path(f"{signer}.pem"), "-rkey",
                    ca.path(f"{signer}.key"), "-CA", ca.path("ca.pem"),
                    "-reqin", request, "-respout", out, "-ndays", "1")
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(0o755)
    server = run(SET % (ca.folder, OCSP % tmp_path),
                 "ngx.say(ngx.shared.notes:get('seen'))")
    said = talk(server, ca, "TLS", "one.test").splitlines()
    assert said == [
        "http://127.0.0.1:1/ocsp", "http truncated", "d2i_X509_bio() failed",
        hashlib.md5(request.read_bytes()).hexdigest(),
        f"output buffer too small: {len(request.read_bytes())} > 1",
        "no issuer certificate in chain", "true",
        "certificate status not found in the OCSP response",
        "d2i_OCSP_RESPONSE() failed",
        "OCSP response not successful (6: unauthorized)",
        'certificate status "revoked" in the OCSP response',
        "true", "OCSP_basic_verify() failed",
        "OCSP_basic_verify() failed",
        "trueno status req"]
    for port in PORTS:
        done = tls.openssl(
            "s_client", "-connect", f"127.0.0.1:{server.port(port)}",
            "-servername", "one.test", "-status", "-CAfile",
            ca.path("ca.pem"), stdin=-3)
        assert b"OCSP Response Status: successful" in done.stdout
        assert b"Cert Status: good" in done.stdout


OCSP = """
        local ocsp = require "ngx.ocsp"
        local chain = assert(ssl.cert_pem_to_der(read("one.test-chain.pem")))
        local function load(name)
            local file = assert(io.open("%s/" .. name))
            local text = file:read("*a")
            file:close()
            return text
        end
        local response = load("response")
        local other = ssl.cert_pem_to_der(read("two.test-chain.pem"))
        assert(ssl.set_der_cert(chain))
        assert(ssl.set_der_priv_key(ssl.priv_key_pem_to_der(
            read("one.test.key"))))
        local function err(_, why) return why end
        local out = {
            ocsp.get_ocsp_responder_from_der_chain(chain),
            table.concat({ocsp.get_ocsp_responder_from_der_chain(chain, 4)},
                         " "),
            err(ocsp.get_ocsp_responder_from_der_chain("x")),
            ngx.md5(ocsp.create_ocsp_request(chain)),
            err(ocsp.create_ocsp_request(chain, 1)),
            err(ocsp.create_ocsp_request(ssl.cert_pem_to_der(
                read("one.test.pem")))),
            tostring(ocsp.validate_ocsp_response(response, chain)),
            err(ocsp.validate_ocsp_response(response, other)),
            err(ocsp.validate_ocsp_response("x", chain)),
            err(ocsp.validate_ocsp_response("\\48\\3\\10\\1\\6", chain)),
            err(ocsp.validate_ocsp_response(load("revoked"), chain)),
            tostring(ocsp.validate_ocsp_response(load("delegated"), chain)),
            err(ocsp.validate_ocsp_response(load("other"), chain)),
            err(ocsp.validate_ocsp_response(
                response:sub(1, 150) ..
                string.char((response:byte(151) + 1) %% 256) ..
                response:sub(152), chain)),
        }
        local ok, warning = ocsp.set_ocsp_status_resp(response)
        out[#out + 1] = tostring(ok) .. tostring(warning)
        ngx.shared.notes:set("seen", table.concat(out, "\\n"))
"""


def serial(ca, name):
    done = tls.openssl("x509", "-in", ca.path(f"{name}.test.pem"), "-noout",
                       "-serial")
    return int(done.stdout.decode().strip().split("=")[1], 16)


def test_many_handshakes(run, ca):
    server = run(SET % (ca.folder, "ngx.sleep(0.001)" + BY_NAME))
    before = None
    for turn in range(4):
        for _ in range(60):
            certificate_of(server, ca, "one.test")
        memory = server.workers_memory()
        before = before or memory
    assert memory - before < 4 << 20


def test_reload_while_a_handshake_sleeps(run, ca):
    server = run(SET % (ca.folder, "ngx.sleep(0.4)"))
    hello = client_hello("fallback.test")
    with socket.create_connection((HOST, server.port("TLS")), 5) as s:
        s.sendall(hello)
        time.sleep(0.1)
        server.reload()
        assert s.recv(1) == b"\x16"


@pytest.mark.parametrize("port", PORTS)
def test_ctx_goes_on_to_the_requests(run, ca, port):
    server = run(HELLO % "ngx.ctx.hello = 1" + SET % (ca.folder, """
        ngx.sleep(0.001)
        ngx.ctx.certificate = ngx.ctx.hello + 1
    """), """
        ngx.say(tostring(ngx.ctx.hello), tostring(ngx.ctx.certificate),
                tostring(ngx.ctx.mine))
        ngx.ctx.mine = "seen"
    """)
    assert talk(server, ca, port) == "12nil\n"
    if port == "TLS":  # every request of a connection has its own copy
        with tls.connect(server, ca, "fallback.test") as secure:
            for _ in range(2):
                secure.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                data = b""
                while not data.endswith(b"0\r\n\r\n"):
                    data += secure.recv(4096)
                assert b"12nil" in data


def test_http2(run, ca, start):
    server = run(SET % (ca.folder, "ngx.sleep(0.01)" + BY_NAME), more="""
        server { listen 127.0.0.1:@H2@ ssl http2;
            ssl_certificate %s/fallback.test.pem;
            ssl_certificate_key %s/fallback.test.key;
            %s
            location / { content_by_lua_block {
                ngx.say(ngx.var.server_protocol, " ",
                        require "ngx.ssl".server_name(), ngx.ctx.x) } } }""" %
        (ca.folder, ca.folder, SET % (
            ca.folder, "ngx.sleep(0.01) ngx.ctx.x = 1" + BY_NAME)))
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", ca.path("ca.pem"),
         "--connect-to", f"::127.0.0.1:{server.port('H2')}",
         "https://one.test/", "https://one.test/a"],
        capture_output=True, text=True, timeout=20)
    assert done.stdout == "HTTP/2.0 one.test1\n" * 2, done.stderr


def test_files(run, ca, tmp_path, start):
    server = start(CONF % {"folder": ca.folder, "stream": "", "more": "",
                           "content": "ngx.say(ngx.ctx.phases)",
                           "server": """
        ssl_client_hello_by_lua_file hello.lua;
        ssl_certificate_by_lua_file certificate.lua;"""}, run=False)
    server.file("hello.lua", "ngx.ctx.phases = ngx.get_phase()")
    server.file("certificate.lua", """
        ngx.sleep(0) ngx.ctx.phases = ngx.ctx.phases .. ngx.get_phase()""")
    server.start()
    assert talk(server, ca, "TLS") == "ssl_client_hellossl_cert\n"


def test_a_unix_socket(run, ca, tmp_path):
    path = tmp_path / "tls.sock"
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    server = run(more="""
        server { listen unix:%s ssl;
            ssl_certificate %s/fallback.test.pem;
            ssl_certificate_key %s/fallback.test.key;
            ssl_certificate_by_lua_block {
                local ssl = require "ngx.ssl"
                local addr, kind = ssl.raw_server_addr()
                local peer, peer_kind = ssl.raw_client_addr()
                ngx.ctx.seen = addr .. kind .. "|" .. peer .. peer_kind ..
                    "|" .. tostring(ssl.server_port())
            }
            location / { content_by_lua_block { ngx.say(ngx.ctx.seen) } }
        }""" % (path, ca.folder, ca.folder))
    context = ssl.create_default_context(cafile=ca.path("ca.pem"))
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(5)
        plain.connect(str(path))
        with context.wrap_socket(plain, server_hostname="fallback.test") as s:
            assert tls.get(s) == f"{path}unix|unix|nil\n"
    assert server.pid


def test_nginxs_session_cache_beside_it(run, ca):
    """Both are told of a session; a chunk's is used first."""
    server = run("ssl_session_cache shared:s:1m;" +
                 SESSIONS % "if true then return end", COUNTS,
                 stream="")
    context = ssl.create_default_context(cafile=ca.path("ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = None
    for turn in range(3):
        with socket.create_connection((HOST, server.port("TLS")), 10) as s:
            with context.wrap_socket(s, server_hostname="fallback.test",
                                     session=session) as secure:
                assert secure.session_reused == (turn > 0)
                session = secure.session
                assert tls.get(secure).startswith("1 ")


@pytest.mark.parametrize("cache, other", [
    ("", "ssl_session_cache shared:s:1m;"),
    ("ssl_session_cache shared:s:1m;", ""),
    ("ssl_session_cache off;", "ssl_session_cache builtin;")])
def test_sessions_of_virtual_servers(run, ca, cache, other):
    server = run(cache + SESSIONS % "", COUNTS, stream="", more="""
        server {
            listen 127.0.0.1:@TLS@ ssl;
            server_name two.test;
            %s
            ssl_certificate %s/two.test.pem;
            ssl_certificate_key %s/two.test.key;
            ssl_protocols TLSv1.2;
            location / { return 200 two; }
        }""" % (other, ca.folder, ca.folder))
    context = ssl.create_default_context(cafile=ca.path("ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for name in ("two.test", "fallback.test"):
        session = None
        for _ in range(3):
            with socket.create_connection((HOST, server.port("TLS")), 10) as s:
                with context.wrap_socket(s, server_hostname=name,
                                         session=session) as secure:
                    session = secure.session
                    assert tls.get(secure, "/", name)


def test_dns_over_tls(start, ca):
    server = start("""
        dns_store lmdb path=@FOLDER@/data;
        stream { server { listen 127.0.0.1:@DOT@ ssl; dns_serve on;
            ssl_certificate %s/fallback.test.pem;
            ssl_certificate_key %s/fallback.test.key;
            %s
        } }""" % (ca.folder, ca.folder,
                  SET % (ca.folder, "ngx.sleep(0.01)" + BY_NAME)))
    query = dns.message.make_query("version.bind", "TXT", "CH")
    context = ssl.create_default_context(cafile=ca.path("ca.pem"))
    for _ in range(2):
        answer = dns.query.tls(query, HOST, port=server.port("DOT"),
                               ssl_context=context,
                               server_hostname="two.test", timeout=5)
        assert answer.id == query.id


def test_variables_in_nginxs_certificate(run, ca):
    """nginx's own way to choose stays, beside servers with chunks."""
    server = run(SET % (ca.folder, BY_NAME), stream="", more="""
        server { listen 127.0.0.1:@VAR@ ssl;
            ssl_certificate %s/$ssl_server_name.pem;
            ssl_certificate_key %s/$ssl_server_name.key;
            %s
            return 200 var; }""" % (
                ca.folder, ca.folder, HELLO % "ngx.sleep(0.001)"))
    assert certificate_of(server, ca, "two.test", "VAR") == "two.test"
    assert certificate_of(server, ca, "one.test", "VAR") == "one.test"
    assert certificate_of(server, ca, "one.test") == "one.test"


def test_early_data_is_not_taken(run, ca, tmp_path, start):
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(b"GET / HTTP/1.0\r\nHost: one.test\r\n\r\n")
    (tmp_path / "tickets").write_bytes(bytes(range(80)))
    directives = f"ssl_early_data on; ssl_session_ticket_key {tmp_path}/tickets;"

    def conf(chunks):
        return CONF % {"folder": ca.folder, "stream": "", "more": "",
                       "content": "ngx.say('hello')",
                       "server": directives + chunks}
    server = start(conf(""))

    def s_client(*more):  # ends with 1 where the server closes
        return subprocess.run(
            ["openssl", "s_client", "-connect",
             f"127.0.0.1:{server.port('TLS')}", "-servername",
             "fallback.test", "-tls1_3", *more, "-ign_eof"],
            input=early.read_bytes(), capture_output=True, timeout=20).stdout
    assert b"hello" in s_client("-sess_out", session)
    said = s_client("-sess_in", session, "-early_data", early)
    assert b"Early data was accepted" in said and b"hello" in said
    server.write(conf(SET % (ca.folder, "ngx.sleep(0.001)")))
    server.reload()
    wait_for(lambda: len(server.worker_pids()) == 1, what="the old one's end")
    said = s_client("-sess_in", session, "-early_data", early)
    assert b"Early data was rejected" in said and b"hello" in said, said
    assert b"Max Early Data: 0" in s_client()


def exchange(server, port, octets, reset=False):
    """Sends octets and reads until the server has had enough."""
    with socket.create_connection((HOST, server.port(port)), 5) as s:
        s.settimeout(0.5)
        with contextlib.suppress(OSError):
            s.sendall(octets)
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
                return
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass


ALL_PHASES = HELLO % """
    hello.get_client_hello_server_name() hello.get_supported_versions()
    hello.get_client_hello_ciphers() hello.get_client_hello_ext_present()
    for i = 0, 60 do hello.get_client_hello_ext(i) end
    require "ngx.ssl".server_name()
    ngx.sleep(0)
""" + SESSIONS % "ngx.sleep(0)" + """
    ssl_certificate_by_lua_block {
        local ssl = require "ngx.ssl"
        ssl.server_name() ssl.get_client_random() ngx.sleep(0)
    }
"""


@pytest.mark.parametrize("port", PORTS)
def test_hostile_hellos(run, ca, port):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    server = run(ALL_PHASES)
    hello = client_hello("fallback.test")
    for turn in range(150):
        octets = bytearray(hello)
        for _ in range(rng.randrange(1, 6)):
            octets[rng.randrange(len(octets))] = rng.randrange(256)
        octets[0] = 0x16
        if turn % 5 == 0:
            octets = octets[:rng.randrange(1, len(octets))]
        exchange(server, port, bytes(octets), reset=turn % 7 == 0)
    assert talk(server, ca, port) == "hello\n"


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT])
def test_the_end_while_handshakes_sleep(run, ca, sig):
    server = run("client_header_timeout 1s;" + SET % (ca.folder,
                                                      "ngx.sleep(30)"),
                 stream="ssl_handshake_timeout 1s;" + SET % (
                     ca.folder, "ngx.sleep(30)"))
    hello = client_hello("fallback.test")
    with contextlib.ExitStack() as stack:
        for port in PORTS * 5:
            s = stack.enter_context(
                socket.create_connection((HOST, server.port(port)), 5))
            s.sendall(hello)
        time.sleep(0.1)
        server.stop(sig)


@pytest.mark.parametrize("port", PORTS)
def test_many_at_once(run, ca, port):
    server = run(SET % (ca.folder, "ngx.sleep(0.1)" + BY_NAME))
    names = ["one.test", "two.test"] * 20
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert list(pool.map(
            lambda name: certificate_of(server, ca, name, port), names)) == \
            names


@pytest.mark.parametrize("port", PORTS)
def test_tls_as_a_client_within_a_handshake(run, ca, port):
    server = run(SET % (ca.folder, """
        local sock = ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", @KEYS@))
        assert(sock:sslhandshake(nil, "one.test", true))
        assert(sock:send("GET /two.test.key HTTP/1.0\\r\\n\\r\\n"))
        local key = sock:receive("*a"):match("\\r\\n\\r\\n(.*)")
        sock:connect("127.0.0.1", @PLAIN@)
        ngx.ctx.failed = select(2, sock:sslhandshake())
        assert(ssl.clear_certs())
        assert(ssl.set_cert(ssl.parse_pem_cert(read("two.test.pem"))))
        assert(ssl.set_priv_key(ssl.parse_pem_priv_key(key)))
    """) + "lua_ssl_trusted_certificate %s/ca.pem; lua_socket_log_errors off;"
        % ca.folder, "ngx.say(ngx.ctx.failed)", more="""
        server { listen 127.0.0.1:@KEYS@ ssl; listen 127.0.0.1:@PLAIN@;
            ssl_certificate %s/one.test.pem;
            ssl_certificate_key %s/one.test.key;
            root %s; }""" % ((ca.folder,) * 3))
    server.allow_log("SSL_do_handshake")
    assert certificate_of(server, ca, "two.test", port) == "two.test"
    assert talk(server, ca, port, "two.test") == "handshake failed\n"


@pytest.mark.parametrize("port", PORTS)
def test_octets_that_come_while_a_chunk_sleeps(run, ca, port):
    server = run(HELLO % "ngx.sleep(0.05)" + SET % (
        ca.folder, "ngx.sleep(0.2)" + BY_NAME))
    with socket.create_connection((HOST, server.port(port)), 5) as s:
        s.settimeout(5)
        s.sendall(client_hello("one.test"))
        before = server.cpu_seconds(server.worker_pids()[0])
        for _ in range(5):
            time.sleep(0.02)
            s.sendall(b"\x16")
        assert s.recv(1) == b"\x16"
        assert server.cpu_seconds(server.worker_pids()[0]) - before < 0.15
    assert talk(server, ca, port, "one.test") == "hello\n"
