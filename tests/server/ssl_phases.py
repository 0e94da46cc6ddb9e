"""A server whose TLS handshakes run chunks, in http and in stream."""

import ssl

import pytest

import tls


@pytest.fixture(scope="module", name="ca")
def certificates(tmp_path_factory):
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


@pytest.fixture(name="run")
def run_phases(start, ca):
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


def client_hello(name):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    secure = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        secure.do_handshake()
    return outgoing.read()


HELLO = """
    ssl_client_hello_by_lua_block {
        local hello = require "ngx.ssl.clienthello"
        %s
    }
"""

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
