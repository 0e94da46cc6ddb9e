"""ssl_client_hello_by_lua*."""

import ssl

import pytest

import tls
from ssl_phases import certificates, run_phases  # noqa: F401 (the fixtures)
from ssl_phases import BY_NAME, HELLO, PORTS, SET, certificate_of, talk


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
