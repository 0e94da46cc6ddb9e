"""Who may do what at /dns and /api: keys and their scopes, loopback and
elsewhere, certificates, nginx's own directives."""

import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from resolua_server import HOST, HttpReply
from service_conf import SAMPLE, SERVICE, resolua

ZONE = "/dns/zones/example.test"
SET = ZONE + "/new/A"
VALUE = {"records": ["192.0.2.1"]}
MASTER = "@ 60 SOA ns h 7 3600 600 86400 300\n@ 60 NS ns.example.test.\n"


def own_address():
    """An address of this host that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 53))
        except OSError:
            return None
        address = s.getsockname()[0]
    return None if address.startswith("127.") else address


OTHER = own_address()
needs_other = pytest.mark.skipif(OTHER is None, reason="only loopback here")


def start_keys(start, options="", http="", **more):
    conf = (SERVICE % "").replace("serve()", f"serve({options})").replace(
        "location /dns {",
        "%s location /api { content_by_lua_block { "
        'require("dns.api.powerdns").serve(%s) } }\nlocation /dns {'
        % (http, options))
    if OTHER:
        conf = conf.replace("listen 127.0.0.1:@HTTP@;",
                            f"listen 127.0.0.1:@HTTP@; listen {OTHER}:@HTTP@;")
    server = start(conf, run=False, **more)
    resolua(server, "zone", "load", SAMPLE)
    return server.start()


def ask(server, method, path, value=None, key=None, host=HOST, headers=None):
    body = None if value is None else (
        value if isinstance(value, str) else json.dumps(value))
    headers = dict(headers or {})
    if key:
        headers["X-API-Key"] = key
    request = urllib.request.Request(
        f"http://{host}:{server.port('HTTP')}{path}", method=method,
        data=body and body.encode(), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return HttpReply(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        return HttpReply(error.code, error.headers, error.read())


def add_key(server, *options):
    return resolua(server, "key", "add", *options).strip()


def status(server, *arguments, **more):
    return ask(server, *arguments, **more).status


# The command line.

def test_keys_are_made_listed_and_revoked(start):
    server = start_keys(start)
    key = add_key(server, "--zone", "Example.test.,other.test", "--type",
                  "a,txt", "--name", "*.dyn.example.test.", "--note",
                  "the router")
    other = add_key(server)
    lines = resolua(server, "key", "list").splitlines()
    assert len(lines) == 2
    assert lines[0].split("\t")[0] == key.split(".")[0]
    assert "zones example.test,other.test" in lines[0]
    assert "names *.dyn.example.test" in lines[0]
    assert "types A,TXT" in lines[0] and "the router" in lines[0]
    assert "everything" in lines[1]

    path = server.folder / "data/api-keys"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_uid == path.parent.stat().st_uid
    assert key.split(".")[1] not in path.read_text()

    resolua(server, "key", "revoke", key.split(".")[0])
    assert status(server, "GET", "/dns/zones", key=key) == 401
    assert status(server, "GET", "/dns/zones", key=other) == 200
    assert len(resolua(server, "key", "list").splitlines()) == 1


def test_odd_keys(start):
    server = start_keys(start)
    key = add_key(server)
    for odd in (key[:-1], key + "0", key.upper() + "x", "." + key, "x",
                "0" * 5000, key.split(".")[0], key.split(".")[0] + ".00"):
        assert status(server, "GET", "/dns/zones", key=odd) == 401, odd
    assert status(server, "GET", "/dns/zones", headers={
        "Authorization": "Bearer " + key}) == 200
    assert status(server, "GET", "/dns/zones", headers={
        "Authorization": "Bearer x" + key}) == 401


# Scopes.

def test_a_key_that_reads(start):
    server = start_keys(start)
    key = add_key(server, "--read-only")
    assert status(server, "GET", ZONE, key=key) == 200
    for method, path, value in (
            ("PUT", SET, VALUE), ("DELETE", ZONE + "/www/A", None),
            ("DELETE", ZONE, None), ("PUT", "/dns/zones/new.test", MASTER),
            ("PATCH", ZONE, {"rrsets": [{"name": "x", "type": "A",
                                         **VALUE}]})):
        assert status(server, method, path, value, key=key) == 403, method
    assert len(server.http("/dns/zones").json()) == 1


def test_a_key_for_a_zone(start):
    server = start_keys(start)
    ask(server, "PUT", "/dns/zones/other.test", MASTER)
    key = add_key(server, "--zone", "example.test")
    assert [z["name"] for z in ask(server, "GET", "/dns/zones",
                                   key=key).json()] == ["example.test"]
    assert status(server, "PUT", SET, VALUE, key=key) == 201
    assert status(server, "GET", "/dns/zones/other.test", key=key) == 403
    assert status(server, "PUT", "/dns/zones/other.test/@/TXT",
                  {"records": ['"x"']}, key=key) == 403
    assert status(server, "PUT", "/dns/zones/more.test", MASTER,
                  key=key) == 403
    base = "/api/v1/servers/localhost"
    zones = ask(server, "GET", base + "/zones", key=key).json()
    assert [z["name"] for z in zones] == ["example.test."]
    assert status(server, "GET", base + "/zones/other.test.", key=key) == 404
    found = ask(server, "GET", base + "/search-data?q=*&max=1000",
                key=key).json()
    assert {r["zone_id"] for r in found} == {"example.test."}
    assert status(server, "PUT", base + "/cache/flush?domain=other.test.",
                  key=key) == 403


def test_a_key_for_names_and_types(start):
    server = start_keys(start)
    key = add_key(server, "--name", "*.dyn.example.test", "--type", "A,AAAA")
    for name, qtype, expected in (
            ("a.dyn.example.test", "A", 201), ("A.b.DYN.example.test.", "A",
                                               201),
            ("a.dyn.example.test", "TXT", 403), ("dyn", "A", 403),
            ("www", "A", 403), ("xdyn.example.test", "A", 403)):
        value = {"records": ['"x"' if qtype == "TXT" else "192.0.2.1"]}
        assert status(server, "PUT", f"{ZONE}/{name}/{qtype}", value,
                      key=key) == expected, name
    assert status(server, "DELETE", ZONE, key=key) == 403
    mixed = [{"name": "b.dyn.example.test", "type": "A", **VALUE},
             {"name": "www", "type": "A", **VALUE}]
    assert status(server, "PATCH", ZONE, {"rrsets": mixed}, key=key) == 403
    assert status(server, "PATCH", ZONE, {"rrsets": mixed[:1]}, key=key) == 200


def test_a_key_for_certificates(start):
    server = start_keys(start)
    key = add_key(server, "--acme")
    text = {"records": ['"x"']}
    for name, qtype, expected in (
            ("_acme-challenge", "TXT", 201),
            ("_acme-challenge.www.example.test", "TXT", 201),
            ("_acme-challenge.www.example.test", "CAA", 403),
            ("www", "TXT", 403), ("x._acme-challenge.example.test", "TXT",
                                  403)):
        assert status(server, "PUT", f"{ZONE}/{name}/{qtype}", text,
                      key=key) == expected, name
    patch = [{"name": name, "type": "TXT", "ttl": 1, "changetype": "REPLACE",
              "records": [{"content": '"x"'}]}
             for name in ("_acme-challenge.a.example.test.",
                          "www.example.test.")]
    path = "/api/v1/servers/localhost/zones/example.test."
    assert status(server, "PATCH", path, {"rrsets": patch}, key=key) == 403
    assert status(server, "PATCH", path, {"rrsets": patch[:1]},
                  key=key) == 204
    assert status(server, "DELETE", path, key=key) == 403


# Where a key is needed.

@needs_other
def test_elsewhere_without_keys_all_but_lookups_is_refused(start):
    server = start_keys(start)
    assert status(server, "GET", "/dns?domain=www.example.test",
                  host=OTHER) == 200
    for method, path, value in (("GET", "/dns/zones", None),
                                ("PUT", SET, VALUE), ("GET", "/api", None)):
        reply = ask(server, method, path, value, host=OTHER)
        assert reply.status == 403
        assert "resolua key add" in reply.json()["error"]
    server.wait_for_log("which is not loopback, and no authentication")
    assert status(server, "PUT", SET, VALUE) == 201


@needs_other
def test_elsewhere_with_keys_one_is_needed(start):
    server = start_keys(start)
    key = add_key(server)
    reply = ask(server, "PUT", SET, VALUE, host=OTHER)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert status(server, "PUT", SET, VALUE, host=OTHER, key=key) == 201


def test_a_key_on_loopback_too(start):
    server = start_keys(start, '{ auth = "key" }')
    assert status(server, "GET", "/dns/zones") == 403
    key = add_key(server)
    assert status(server, "GET", "/dns/zones") == 401
    assert status(server, "GET", "/dns/zones", key=key) == 200


@needs_other
@pytest.mark.parametrize("guarded", [True, False])
def test_auth_basic(start, guarded):
    server = start_keys(
        start, "", 'auth_basic "x"; auth_basic_user_file @FOLDER@/users;'
        if guarded else "")
    server.file("users", "admin:{PLAIN}secret\n")
    admin = {"Authorization": "Basic YWRtaW46c2VjcmV0"}
    wrong = {"Authorization": "Basic YWRtaW46d3Jvbmc="}
    for headers, expected in ((None, 401), (wrong, 401), (admin, 201)):
        assert status(server, "PUT", SET, VALUE, host=OTHER,
                      headers=headers) == (expected if guarded else 403)


@needs_other
def test_auth_basic_that_is_off(start):
    server = start_keys(start, "", "auth_basic off; "
                        "auth_basic_user_file @FOLDER@/users;")
    assert status(server, "PUT", SET, VALUE, host=OTHER, headers={
        "Authorization": "Basic YWRtaW46c2VjcmV0"}) == 403


@needs_other
def test_nginx_decides(start):
    server = start_keys(start, '{ auth = "nginx" }', f"deny {OTHER};")
    assert status(server, "GET", "/dns/zones", host=OTHER) == 403
    assert status(server, "PUT", SET, VALUE) == 201
    server = start_keys(start, '{ auth = "nginx" }', f"allow {OTHER};")
    assert status(server, "PUT", SET, VALUE, host=OTHER) == 201


@needs_other
def test_a_client_certificate(start, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "100", "-subj", "/CN=test", "-keyout", tmp_path / "key.pem", "-out",
         tmp_path / "cert.pem"], check=True, capture_output=True)
    server = start_keys(
        start, "", f"listen {OTHER}:@HTTPS@ ssl; ssl_certificate "
        f"{tmp_path}/cert.pem; ssl_certificate_key {tmp_path}/key.pem; "
        f"ssl_verify_client optional; ssl_client_certificate "
        f"{tmp_path}/cert.pem;")

    def get(with_certificate):
        context = ssl._create_unverified_context()
        if with_certificate:
            context.load_cert_chain(tmp_path / "cert.pem",
                                    tmp_path / "key.pem")
        url = f"https://{OTHER}:{server.port('HTTPS')}/dns/zones"
        try:
            with urllib.request.urlopen(url, context=context) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code

    assert get(True) == 200
    assert get(False) == 403


def test_on_loopback_without_keys_any_will_do(start):
    """Clients of PowerDNS insist on sending one."""
    server = start_keys(start)
    assert status(server, "PUT", SET, VALUE, key="anything") == 201
    add_key(server)
    assert status(server, "PUT", SET, VALUE, key="anything") == 401
    assert status(server, "PUT", SET, VALUE) == 200


def test_keys_in_a_folder_of_their_own(start):
    server = start_keys(start, '{ auth = "key", folder = "@FOLDER@" }')
    key = add_key(server)
    assert status(server, "GET", ZONE, key=key) == 403
    (server.folder / "data/api-keys").rename(server.folder / "api-keys")
    assert status(server, "GET", ZONE, key=key) == 200
    path = "/api/v1/servers/localhost/zones/example.test."
    assert status(server, "PUT", path, {"account": "ops"}, key=key) == 204
    assert ask(server, "GET", path, key=key).json()["account"] == "ops"
    assert "ops" in (server.folder / "zone-attributes").read_text()


def test_pages_of_other_sites(start):
    server = start_keys(start)
    own = {"Origin": f"http://{HOST}:{server.port('HTTP')}"}
    other = {"Origin": "https://evil.test"}
    assert status(server, "PUT", SET, VALUE, headers=other) == 403
    assert status(server, "PUT", SET, VALUE, headers=own) == 201
    assert status(server, "GET", ZONE, headers=other) == 200
    key = add_key(server)
    assert status(server, "PUT", SET, VALUE, headers=other, key=key) == 200
