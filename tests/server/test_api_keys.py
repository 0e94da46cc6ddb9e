"""Who may do what at /dns and /api: keys and their scopes, loopback and
elsewhere, certificates, nginx's own directives."""

import json
import resource
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from resolua_server import BUILD, HOST, ROOT, HttpReply, environment
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


# Over loopback the Host has to be a name of this server's (DNS rebinding).

def raw(server, request, address=None):
    """The status and the body of what a connection answers to the octets."""
    if isinstance(request, str):
        request = request.encode()
    if address and address.startswith("/"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(address)
    else:
        s = socket.create_connection(
            (address or HOST, server.port("HTTP")), timeout=20)
    with s:
        s.sendall(request)
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def get(path, *headers, target=None, version="1.1"):
    return (f"GET {target or path} HTTP/{version}\r\n" + "".join(
        f"{h}\r\n" for h in headers) + "Connection: close\r\n\r\n")


LOOKUP = "/dns?domain=www.example.test&type=A"
READ = [LOOKUP, "/dns/zones", ZONE, ZONE + "/www/A",
        "/dns/explain?name=www.example.test", "/api", "/api/v1/servers",
        "/api/v1/servers/localhost/zones",
        "/api/v1/servers/localhost/statistics",
        "/api/v1/servers/localhost/config"]
OWN = ["127.0.0.1", "127.0.0.1:81", "127.9.8.7", "localhost", "LocalHost:1",
       "localhost.", "localhost.:80", "[::1]", "[::1]:8080", "[0:0::1]",
       "[::ffff:127.0.0.1]", "dns.lan", "DNS.Lan.:8081", "192.0.2.7:1"]
FOREIGN = ["evil.test", "evil.test:8080", "localhost.evil.test",
           "127.0.0.1.evil.test", "127.evil.test", "xlocalhost", "dns.lan.x",
           "0.0.0.0", "192.0.2.8", "[::2]", "[::]", "[::ffff:192.0.2.1]",
           "www.dns.lan", "localhost..", ""]


def test_over_loopback_a_page_knows_no_name_of_this_server(start):
    server = start_keys(start, '{ hosts = { "dns.lan", "192.0.2.7" } }')
    key = add_key(server)
    for host in OWN:
        for path in READ[:2]:
            assert raw(server, get(path, f"Host: {host}"))[0] == 200, host
    for host in FOREIGN:
        reply = raw(server, get("/dns/zones", f"Host: {host}"))
        assert reply[0] in (421, 400), (host, reply)
        assert reply[0] == 421 or not host.strip(".") or ".." in host, host
    for path in READ:
        status_, body = raw(server, get(path, "Host: evil.test"))
        assert status_ == 421 and "hosts = {" in body, path
        assert raw(server, get(path, "Host: evil.test",
                               f"X-API-Key: {key}"))[0] == 200, path
    assert raw(server, "PUT " + SET + " HTTP/1.1\r\nHost: evil.test\r\n"
               "Origin: http://evil.test\r\nConnection: close\r\n"
               "Content-Length: 25\r\n\r\n" + json.dumps(VALUE))[0] == 421
    assert status(server, "GET", SET) == 404


def test_every_way_to_name_a_host(start):
    server = start_keys(start, "", "")
    own = "Host: localhost"
    for target, host, expected in (
            ("http://evil.test/dns/zones", own, 421),
            ("http://localhost/dns/zones", own, 200),
            ("http://LOCALHOST:99/dns/zones", own, 200),
            ("http://localhost/dns/zones", "Host: evil.test", 421)):
        assert raw(server, get("", host, target=target))[0] == expected, target
    assert raw(server, get("/dns/zones", version="1.0"))[0] == 421
    assert raw(server, get("/dns/zones", own, version="1.0"))[0] == 200
    assert raw(server, get("/dns/zones", own,
                           "X-Forwarded-Host: evil.test"))[0] == 421
    assert raw(server, get("/dns/zones", "Host: evil.test",
                           "X-Forwarded-Host: localhost"))[0] == 421


def test_hosts_behind_a_hundred_headers(start):
    server = start_keys(start, '{ auth = "key" }')
    key = add_key(server)
    many = [f"X-{i}: 1" for i in range(150)]
    assert raw(server, get("/dns/zones", "Host: localhost", *many,
                           f"X-API-Key: {key}"))[0] == 200
    assert raw(server, get("/dns/zones", "Host: localhost", *many,
                           f"Authorization: Bearer {key}"))[0] == 200
    server = start_keys(start)
    assert raw(server, "DELETE " + ZONE + " HTTP/1.1\r\nHost: localhost\r\n"
               + "".join(f"{h}\r\n" for h in many)
               + "Origin: http://evil.test\r\nConnection: close\r\n\r\n"
               )[0] == 403
    assert raw(server, get("/dns/zones", *many, "Host: evil.test"))[0] == 421
    assert raw(server, get("/dns/zones", "Host: localhost", *many,
                           "X-Forwarded-Host: evil.test"))[0] == 421


def test_hosts_where_nginx_decides_and_at_a_unix_socket(start):
    server = start_keys(
        start, '{ auth = "nginx" }', "listen unix:@FOLDER@/socket; "
        "allow 127.0.0.1; allow unix:; deny all;")
    path = str(server.folder / "socket")
    for address in (None, path):
        for host, expected in (("evil.test", 421), ("localhost", 200)):
            assert raw(server, get("/dns/zones", f"Host: {host}"),
                       address)[0] == expected


def test_a_client_that_a_proxy_names_is_not_on_loopback(start):
    server = start_keys(start, "", "set_real_ip_from 127.0.0.1; "
                        "real_ip_header X-Real-IP;")
    for client, expected in (("192.0.2.1", 403), ("127.0.0.2", 200)):
        assert raw(server, get("/dns/zones", "Host: localhost",
                               f"X-Real-IP: {client}"))[0] == expected
    key = add_key(server)
    assert raw(server, get("/dns/zones", "Host: evil.test",
                           "X-Real-IP: 192.0.2.1"))[0] == 401
    assert raw(server, get("/dns/zones", "Host: evil.test",
                           "X-Real-IP: 192.0.2.1", f"X-API-Key: {key}")
               )[0] == 200


@needs_other
def test_elsewhere_any_host_will_do(start):
    server = start_keys(start)
    key = add_key(server)
    host = "Host: dns.example.test"
    assert raw(server, get(LOOKUP, host), OTHER)[0] == 200
    assert raw(server, get("/dns/zones", host, f"X-API-Key: {key}"),
               OTHER)[0] == 200
    assert raw(server, get("/dns/zones", host), OTHER)[0] == 401


def test_wrong_hosts_are_an_error_of_the_configuration(start):
    server = start_keys(start, '{ hosts = "dns.lan" }')
    assert status(server, "GET", "/dns/zones") == 500
    server.wait_for_log("hosts is a list of names")
    server.allow_log("hosts is a list of names")


# Files of keys.

def revoke(server, key, **more):
    return subprocess.run(
        [ROOT / "tools/resolua", "--data", server.folder / "data", "key",
         "revoke", key.split(".")[0]], capture_output=True, text=True,
        timeout=60, env={**environment(), "RESOLUA_BUILD": str(BUILD)},
        **more)


def small_files():
    """Writing beyond the first octets fails, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def test_a_revocation_that_cannot_be_written_is_an_error(start):
    server = start_keys(start)
    keys = [add_key(server) for _ in range(2)]
    before = (server.folder / "data/api-keys").read_text()
    done = revoke(server, keys[0], preexec_fn=small_files)
    assert done.returncode != 0 and "api-keys: File too large" in done.stderr
    assert (server.folder / "data/api-keys").read_text() == before
    assert [f.name for f in (server.folder / "data").glob("api-keys*")] == [
        "api-keys"]
    for key in keys:
        assert status(server, "GET", ZONE, key=key) == 200
    assert revoke(server, keys[0]).returncode == 0
    assert status(server, "GET", ZONE, key=keys[0]) == 401
    assert status(server, "GET", ZONE, key=keys[1]) == 200


def test_keys_behind_a_line_that_was_cut(start):
    server = start_keys(start)
    keys = [add_key(server) for _ in range(3)]
    path = server.folder / "data/api-keys"
    with open(path, "a") as file:  # as former versions left it
        file.write('{"id":"%s","revok' % keys[0].split(".")[0])
    new = add_key(server)
    assert [status(server, "GET", ZONE, key=key) for key in (*keys, new)] == [
        401, 200, 200, 200]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3].rstrip("\n") + lines[4])
    assert [status(server, "GET", ZONE, key=key) for key in (*keys, new)] == [
        401, 200, 200, 200]


@pytest.mark.parametrize("damage", ["folder", "garbage", "loop"])
def test_keys_that_cannot_be_read(start, damage):
    server = start_keys(start)
    key = add_key(server, "--read-only")
    path = server.folder / "data/api-keys"
    text = path.read_text()
    if damage == "garbage":
        path.write_text(text + "\0\0\0\n")
    else:
        path.unlink()
        path.mkdir() if damage == "folder" else path.symlink_to(path)
    for more in ({"key": key}, {"key": "x.y"}, {}):
        reply = ask(server, "PUT", SET, VALUE, **more)
        assert reply.status == 500 and "keys cannot be read" in reply.text
    assert status(server, "GET", LOOKUP) == 200
    server.wait_for_log("API keys cannot be read")
    server.allow_log("API keys cannot be read")
    assert server.log().count("API keys cannot be read") == 1
    done = revoke(server, key)
    assert done.returncode != 0 and "api-keys" in done.stderr


def test_a_pattern_means_labels_on_the_wire(start):
    server = start_keys(start)
    key = add_key(server, "--name", "*.team.example.test")
    for name, expected in (
            ("x%5C.team.example.test", 403), ("%5C046team.example.test", 403),
            ("x%5C046team.example.test", 403), ("x.team.example.test", 201),
            ("x%5C.y.team.example.test", 201), ("team.example.test", 403)):
        assert status(server, "PUT", f"{ZONE}/{name}/A", VALUE,
                      key=key) == expected, name
    patch = {"rrsets": [{
        "name": "x\\.team.example.test.", "type": "A", "ttl": 1,
        "changetype": "REPLACE", "records": [{"content": "192.0.2.1"}]}]}
    assert status(server, "PATCH", "/api/v1/servers/localhost" + ZONE[4:] + ".",
                  patch, key=key) == 403


def test_a_body_is_read_behind_the_key(start):
    """A request whose body never comes is refused at once."""
    server = start_keys(start, '{ auth = "key" }')
    keys = [add_key(server, *options) for options in (
        ("--read-only",), ("--zone", "other.test"), ("--type", "A"),
        ("--acme",), ())]
    api = "/api/v1/servers/localhost/zones"
    length = f"Content-Length: {55 * 1024 * 1024}"
    for method, path, expected in (
            ("PATCH", ZONE, [403, 403, 413, 413, 413]),
            ("PATCH", api + "/example.test.", [403, 404, 413, 413, 413]),
            ("PUT", SET, [403, 403, 413, 403, 413]),
            ("POST", api, [403, 413, 403, 403, 413]),
            ("PUT", ZONE, [403, 403, 403, 403, None])):
        head = (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n"
                "Connection: close\r\n")
        assert raw_head(server, head + "\r\n") == 401
        assert raw_head(server, head + "X-API-Key: 00.00\r\n\r\n") == 401
        for key, want in zip(keys, expected):
            if want:
                assert raw_head(server, head + f"X-API-Key: {key}\r\n\r\n"
                                ) == want, (method, path, key)
    chunk = "400000\r\n" + " " * 0x400000 + "\r\n"
    assert raw_head(
        server, f"PATCH {ZONE} HTTP/1.1\r\nHost: localhost\r\n"
        f"X-API-Key: {keys[2]}\r\nTransfer-Encoding: chunked\r\n"
        f"Connection: close\r\n\r\n{chunk}0\r\n\r\n") == 413


def raw_head(server, request):
    """The status, as soon as it is there."""
    with socket.create_connection((HOST, server.port("HTTP")), 20) as s:
        s.sendall(request.encode())
        return int(s.recv(100).split()[1])
