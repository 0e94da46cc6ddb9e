"""ssl_*_by_lua*: phases within the TLS handshakes of clients; certificates."""

import socket
import ssl
import subprocess

import dns.message
import dns.query
import pytest

import tls
from resolua_server import HOST, wait_for
from ssl_phases import certificates, run_phases  # noqa: F401 (the fixtures)
from ssl_phases import BY_NAME, CONF, HELLO, PORTS, SET, certificate_of, talk


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
