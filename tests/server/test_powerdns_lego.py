"""/api/v1: lego itself."""

import os
import subprocess

import pytest

from acme_stub import AcmeStub
from powerdns_api import start_api
from resolua_server import HOST, have
from service_conf import resolua


def texts(server, name):
    answer = server.query(name, "TXT").answer
    return [b"".join(r.strings).decode() for rrs in answer for r in rrs]


def run_lego(server, acme, key, *domains):
    names = [word for d in domains for word in ("--domains", d)]
    return subprocess.run(
        ["lego", "--server", acme.url, "--accept-tos", "--email",
         "hostmaster@example.test", "--dns", "pdns", "--dns.resolvers",
         f"{HOST}:{server.port('DNS')}", "--dns.disable-cp", "--path",
         server.folder / "lego", *names, "run"],
        capture_output=True, text=True, timeout=60,
        env={**os.environ, "PDNS_API_KEY": key,
             "PDNS_API_URL": f"http://{HOST}:{server.port('HTTP')}"})


@pytest.mark.skipif(not have("lego"), reason="lego is not installed")
def test_lego_gets_a_certificate(start):
    server = start_api(start, '{ auth = "key" }')
    key = resolua(server, "key", "add", "--zone", "example.test",
                  "--acme").split()[0]

    with AcmeStub(lambda name: texts(server, name)) as acme:
        done = run_lego(server, acme, key, "example.test", "*.example.test",
                        "www.example.test")

    assert done.returncode == 0, done.stderr
    assert sorted(acme.verified) == ["*.example.test", "example.test",
                                     "www.example.test"]
    folder = server.folder / "lego/certificates"
    assert "BEGIN CERTIFICATE" in (folder / "example.test.crt").read_text()
    for name in acme.verified:  # and the challenges are gone
        assert texts(server, "_acme-challenge."
                     + name.removeprefix("*.")) == []


@pytest.mark.skipif(not have("lego"), reason="lego is not installed")
def test_lego_with_a_key_for_another_zone(start):
    server = start_api(start, '{ auth = "key" }')
    key = resolua(server, "key", "add", "--zone", "other.test").split()[0]
    with AcmeStub(lambda name: texts(server, name)) as acme:
        done = run_lego(server, acme, key, "www.example.test")
    assert done.returncode != 0
    assert acme.verified == []
