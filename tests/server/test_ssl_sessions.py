"""ssl_session_fetch_by_lua* and ssl_session_store_by_lua*."""

import socket
import ssl

import pytest

import tls
from resolua_server import HOST
from ssl_phases import certificates, run_phases  # noqa: F401 (the fixtures)
from ssl_phases import CONF, PORTS, SESSIONS


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
