"""ngx.socket.tcp: what the client shows and knows in TLS."""

import pytest

import tls


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    authority = tls.Authority(tmp_path_factory.mktemp("tls"))
    for name in ("one.test", "client.test"):
        authority.issue(name)
    return authority


CONF = """
http {
    server {
        listen 127.0.0.1:@UP@ ssl;
        ssl_certificate %(folder)s/one.test.pem;
        ssl_certificate_key %(folder)s/one.test.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_client_certificate %(folder)s/ca.pem;
        ssl_verify_client optional;
        return 200 "$ssl_client_verify $ssl_client_s_dn $ssl_protocol";
    }
    server {
        listen 127.0.0.1:@HTTP@;
        lua_ssl_trusted_certificate %(folder)s/ca.pem;
        %(directives)s
        location / { content_by_lua_block {
            local ssl = require "ngx.ssl"
            local function read(name)
                local file = assert(io.open("%(folder)s/" .. name))
                local text = file:read("*a")
                file:close()
                return text
            end
            local sock = ngx.socket.tcp()
            assert(sock:connect("127.0.0.1", @UP@))
            local function ask()
                assert(sock:send("GET / HTTP/1.0\\r\\n\\r\\n"))
                return (sock:receive("*a"):match("\\r\\n\\r\\n(.*)"))
            end
            %(code)s
        } }
    }
}
"""


@pytest.fixture
def run(start, ca):
    def go(code, directives=""):
        go.server = start(CONF % {"folder": ca.folder, "code": code,
                                  "directives": directives})
        return go.server.http("/").text
    return go


CERT = """
    local chain = assert(ssl.parse_pem_cert(read("client.test-chain.pem")))
    local key = assert(ssl.parse_pem_priv_key(read("client.test.key")))
"""

SHAKE = 'assert(sock:sslhandshake(nil, "one.test", true))'


def test_a_client_certificate(run):
    assert run(CERT + """
        assert(sock:setclientcert(chain, key))
    """ + SHAKE + "ngx.say(ask())") == "SUCCESS CN=client.test TLSv1.3\n"


def test_taken_back(run):
    assert run(CERT + """
        assert(sock:setclientcert(chain, key))
        assert(sock:setclientcert(nil, nil))
    """ + SHAKE + "ngx.say(ask())") == "NONE  TLSv1.3\n"


def test_bad_certificates(run, ca):
    said = run(CERT + """
        ngx.say(sock:setclientcert(chain, nil))
        ngx.say(sock:setclientcert(nil, key))
        ngx.say(pcall(sock.setclientcert, sock, "x", "y"))
        local other = ssl.parse_pem_priv_key(read("one.test.key"))
        assert(sock:setclientcert(chain, other))
        ngx.say(sock:sslhandshake())
    """).splitlines()
    assert said[0] == ("nilclient certificate supplied without corresponding "
                       "private key")
    assert said[1] == "nilprivate key supplied without client certificate"
    assert said[2].startswith("falsebad argument")
    assert said[3] == "nilSSL_use_PrivateKey() failed"


def test_a_certificate_of_the_configuration(run, ca):
    assert run(SHAKE + "ngx.say(ask())", f"""
        lua_ssl_certificate {ca.folder}/client.test.pem;
        lua_ssl_certificate_key {ca.folder}/client.test.key;
    """) == "SUCCESS CN=client.test TLSv1.3\n"


def test_commands_for_openssl(run):
    assert run(SHAKE + "ngx.say(ask())",
               "lua_ssl_conf_command MaxProtocol TLSv1.2;") == \
        "NONE  TLSv1.2\n"


def test_a_log_of_keys(run):
    run(SHAKE + "ngx.say(ask())", "lua_ssl_key_log keys.log;")
    log = (run.server.folder / "keys.log").read_text()
    assert "CLIENT_HANDSHAKE_TRAFFIC_SECRET " in log and log.endswith("\n")


def test_pointers_and_sessions(run):
    said = run("""
        ngx.say(sock:getsslpointer())
        ngx.say(sock:getsslsession())
        ngx.say(sock:getfd() > 2)
        """ + SHAKE + """
        ngx.say(type(sock:getsslpointer()), type(sock:getsslctx()))
        ask()
        local session = assert(sock:getsslsession())
        sock:close()
        ngx.say(sock:getsslpointer())
        ngx.say(sock:getfd())
        assert(sock:connect("127.0.0.1", @UP@))
        ngx.say(type(sock:sslhandshake(session, "one.test", true)))
        local ffi = require "ffi"
        ffi.cdef "int SSL_session_reused(const void *ssl);"
        ngx.say(ffi.load("ssl").SSL_session_reused(sock:getsslpointer()))
    """.replace('ffi.load("ssl")', 'ffi.C')).splitlines()
    assert said == ["nilnot an SSL connection"] * 2 + [
        "true", "cdatacdata", "nilclosed", "nilclosed", "cdata", "1"]


def test_a_store_of_ones_own(run, ca):
    assert run("""
        local ffi = require "ffi"
        ffi.cdef[[
            typedef struct x509_store_st X509_STORE;
            X509_STORE *X509_STORE_new(void);
            void X509_STORE_free(X509_STORE *);
            int X509_STORE_load_file(X509_STORE *, const char *);
        ]]
        local store = ffi.gc(ffi.C.X509_STORE_new(), ffi.C.X509_STORE_free)
        local none = ffi.gc(ffi.C.X509_STORE_new(), ffi.C.X509_STORE_free)
        ffi.C.X509_STORE_load_file(store, "%s/ca.pem")
        assert(sock:settrustedstore(none))
        ngx.say(sock:sslhandshake(nil, "one.test", true))
        assert(sock:connect("127.0.0.1", @UP@))
        assert(sock:settrustedstore(store))
        assert(sock:sslhandshake(nil, "one.test", true))
        ngx.say(ask())
        ngx.say(ngx.socket.tcp():settrustedstore(store))
    """ % ca.folder, "lua_socket_log_errors off;") == (
        "nil21: unable to verify the first certificate\n"
        "NONE  TLSv1.3\nnilclosed\n")


def test_bad_directives(start, ca):
    for text, word in (
            ("lua_ssl_certificate /none.pem;", "lua_ssl_certificate_key"),
            ("lua_ssl_certificate /n.pem; lua_ssl_certificate_key /k.pem;",
             "/n.pem"),
            ("lua_ssl_conf_command No Such;", "No"),
            ("lua_ssl_key_log /no/such/folder/x;", "/no/such")):
        server = start("http { server { %s } }" % text, run=False)
        server.allow_log("emerg")
        code, said = server.test_configuration()
        assert code == 1 and word in said
