"""What a user sees: tools/serve, and dig's output without a warning."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from resolua_server import (BUILD, HOST, ROOT, accepts_tcp, children, environment,
                            free_port, have, wait_for)
from service_conf import start_service

# Anything that dig says about an answer that is not as it should be.
COMPLAINT = re.compile(
    r"WARNING|warning|malformed|[Mm]ismatch|bad |[Tt]runcated|extra|"
    r"unexpected|no servers|timed out|FORMERR|\bBAD", re.M)
# The zone has no recursion to offer; that is no fault of the answer.
FINE = re.compile(r";; WARNING: recursion requested but not available")

WAYS = [(), ("+tcp",), ("+noedns",), ("+bufsize=512",), ("+dnssec",),
        ("+tcp", "+dnssec")]
QUESTIONS = [
    ("www", "A", "192.0.2.80"), ("www", "AAAA", "2001:db8::80"),
    ("@", "MX", "10 mail.example.test."), ("@", "TXT", "v=spf1 mx -all"),
    ("ftp", "CNAME", "www.example.test."), ("@", "NS", "ns1.example.test."),
    ("@", "SOA", "hostmaster.example.test."),
    ("_sip._tcp", "SRV", "10 60 5060 sip1.example.test."),
    ("@", "CAA", '0 issue "ca.example.net"'),
    ("10.2.0.192.in-addr", "PTR", "www.example.test."),
    ("www", "ANY", "192.0.2.8|HINFO"), ("unknown", "TYPE65280", "0A000001"),
    ("text", "TXT", '"second; with'), ("a.b.any", "A", "192.0.2.99"),
    ("nothing", "A", "NXDOMAIN"), ("www", "MX", "NOERROR"),
    ("www.child", "A", "ns.child.example.test."),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all of dig's questions."""
    from resolua_server import Server
    servers = []

    def start(conf, run=True, **options):
        servers.append(Server(tmp_path_factory.mktemp("dig"), conf, **options))
        return servers[-1]

    yield start_service(start)
    for one in servers:
        one.stop()
        one.check_log()


def complaints(output):
    return [line for line in output.splitlines()
            if COMPLAINT.search(line) and not FINE.search(line)]


def absolute(name):
    return "example.test." if name == "@" else f"{name}.example.test."


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
@pytest.mark.parametrize("name, qtype, wanted", QUESTIONS)
def test_dig(server, name, qtype, wanted, way):
    output = server.dig(absolute(name), qtype, *way)

    assert complaints(output) == []
    assert re.search(wanted, output) or wanted in output, output


@pytest.mark.parametrize("tool, arguments", [
    ("kdig", ["@{host}", "-p", "{port}"]),
    ("drill", ["@{host}", "-p", "{port}"]),
    ("host", ["-p", "{port}", "-v"]),
])
@pytest.mark.parametrize("name, qtype, wanted", QUESTIONS[:9])
def test_other_tools(server, tool, arguments, name, qtype, wanted):
    if not have(tool):
        pytest.skip(f"{tool} is not installed")
    words = [a.format(host=HOST, port=server.port("DNS")) for a in arguments]
    question = (["-t", qtype, absolute(name), HOST] if tool == "host"
                else [absolute(name), qtype])
    done = subprocess.run([tool, *words, *question], capture_output=True,
                          text=True, timeout=30)

    assert done.returncode == 0
    assert complaints(done.stdout + done.stderr) == []
    assert wanted.split(" ")[-1].strip('"') in done.stdout


def test_dig_is_not_recursive_without_forwarder(server):
    output = server.dig("www.example.test", "A", "+norecurse")
    assert "flags: qr aa;" in output
    assert "WARNING" not in output


# tools/serve itself.


class Serve:
    def __init__(self, folder, *words, port=None, cwd=None,
                 program=ROOT / "tools/serve", user=None, **variables):
        self.dns = port or free_port()
        self.http = free_port()
        self.folder = folder
        self.output = folder / "serve.out"
        self.process = subprocess.Popen(
            [program, "--dns", f"{HOST}:{self.dns}",
             "--http", f"{HOST}:{self.http}", "--data", folder / "data",
             "--workers", "1", *words],
            stdout=self.output.open("wb"), stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env={**environment(), **variables},
            # nohup's children ignore it, and what is ignored stays so.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
            cwd=cwd, start_new_session=True, user=user, group=user and
            pwd.getpwnam(user).pw_gid, extra_groups=user and [])

    def text(self):
        return self.output.read_text(errors="replace")

    def wait(self):
        wait_for(lambda: "try:" in self.text()
                 or self.process.poll() is not None, 60, "tools/serve")
        assert self.process.poll() is None, self.text()

    def stop(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.process.wait(20)


@pytest.fixture
def serve(tmp_path):
    if BUILD != ROOT / "build/release":
        pytest.skip("tools/serve runs the release build")
    started = []

    def run(*words, folder=tmp_path, **options):
        started.append(Serve(folder, *words, **options))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()


def dig(port, *words):
    return subprocess.run(["dig", f"@{HOST}", "-p", str(port), "+short",
                           *words], capture_output=True, text=True,
                          timeout=30).stdout


def test_serve_answers_and_stops(serve, tmp_path):
    one = serve()
    one.wait()

    assert "192.0.2.80" in dig(one.dns, "www.example.test")
    assert "192.0.2.80" in dig(one.dns, "www.example.test", "+tcp")
    tries = re.findall(r"^(?:try:)?\s+(dig|curl) (.*)$", one.text(), re.M)
    assert len(tries) == 2
    for program, words in tries:
        done = subprocess.run(f"{program} {words}", shell=True, timeout=30,
                              capture_output=True, text=True)
        assert "192.0.2.80" in done.stdout
    assert one.stop() == 0
    assert not accepts_tcp(one.dns) and not accepts_tcp(one.http)
    assert (tmp_path / "data/data.mdb").exists()


def test_serve_stops_on_ctrl_c(serve):
    one = serve()
    one.wait()
    os.killpg(one.process.pid, signal.SIGINT)
    assert one.process.wait(20) == 0
    assert not accepts_tcp(one.dns)


def test_serve_keeps_its_data(serve):
    one = serve()
    one.wait()
    done = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT",
         f"http://{HOST}:{one.http}/dns/zones/example.test/kept/A",
         "-d", '{"ttl":60,"records":["192.0.2.123"]}'],
        capture_output=True, text=True, timeout=30)
    assert done.stdout == "201"
    assert dig(one.dns, "kept.example.test") == "192.0.2.123\n"
    assert one.stop() == 0

    two = serve()
    two.wait()
    assert dig(two.dns, "kept.example.test") == "192.0.2.123\n"


@pytest.mark.parametrize("words, reason", [
    (["--dns", "nonsense"], "not an address"),
    (["--dns", "127.0.0.1"], "a port"),
    (["--dns", "127.0.0.1:99999"], "port"),
    (["--dns", "192.0.2.1:5300"], "192.0.2.1:5300"),
    (["--workers", "0"], "--workers"),
    (["--forward", "nonsense"], "not an address"),
    (["--data", "/proc/nothing"], "/proc/nothing"),
    (["--conf", "/no/such/file"], "/no/such/file"),
    (["--dns"], "needs a value"),
    (["--fly"], "--fly"),
])
def test_serve_says_what_is_wrong(serve, words, reason):
    one = serve(*words)

    assert one.process.wait(60) == 1
    lines = one.text().splitlines()
    assert len(lines) == 1, one.text()
    assert reason in lines[0]


def test_serve_on_a_busy_port(serve):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        port = free_port()
        busy.bind((HOST, port))
        one = serve(port=port)

        assert one.process.wait(60) == 1
        assert len(one.text().splitlines()) == 1
        assert "in use" in one.text()


# A configuration without @DNS@ and @HTTP@, and with a password.
OWN_CONF = """
load_module @MODULES@/ndk_http_module.so;
load_module @MODULES@/ngx_stream_module.so;
load_module @BUILD@/modules/ngx_resolua_module.so;
@USER@
daemon off;
pid @DATA@/run/nginx.pid;
error_log stderr notice;
dns_store mysql://someone:secret@127.0.0.1:%d/db;
events {}
http {
    access_log off;
    client_body_temp_path @DATA@/run/client_body;
    proxy_temp_path @DATA@/run/proxy;
    fastcgi_temp_path @DATA@/run/fastcgi;
    uwsgi_temp_path @DATA@/run/uwsgi;
    scgi_temp_path @DATA@/run/scgi;
    server { listen 127.0.0.1:%d; location / { return 200 own; } }
}
"""


def test_serve_runs_a_configuration_of_ones_own(serve, tmp_path):
    port = free_port()
    conf = tmp_path / "own.conf"
    conf.write_text(OWN_CONF % (free_port(), port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        dns = free_port()
        busy.bind((HOST, dns))  # which the configuration does not use
        one = serve("--conf", conf, port=dns)
        wait_for(lambda: "nginx runs" in one.text()
                 or one.process.poll() is not None, 60, "tools/serve")
        assert one.process.poll() is None, one.text()
    assert f"nginx runs the configuration {conf}" in one.text()
    assert "try:" not in one.text()
    assert "--dns does nothing, as there is no @DNS@" in one.text()
    wait_for(lambda: accepts_tcp(port), what="the server")
    copy = tmp_path / "data/run/nginx.conf"
    assert "secret" in copy.read_text()
    assert copy.stat().st_mode & 0o777 == 0o600


def test_serve_locks_its_folder(serve):
    one = serve()
    one.wait()
    two = serve()
    assert two.process.wait(60) == 1
    (line,) = two.text().splitlines()
    said, pids = line.split(": processes ")
    assert said == (f"serve: --data {two.folder}/data: another tools/serve runs"
                    " on this folder, or nginx that it left")
    assert str(one.process.pid) in pids.split()
    assert str(two.process.pid) not in pids.split()


def test_nginx_ends_with_a_killed_serve(serve):
    for sig in (signal.SIGKILL, signal.SIGHUP):
        one = serve()
        one.wait()
        one.process.send_signal(sig)
        one.process.wait(20)
        wait_for(lambda: not accepts_tcp(one.dns), what="nginx's end")
        two = serve(port=one.dns)
        two.wait()
        assert "192.0.2.80" in dig(two.dns, "www.example.test")
        assert two.stop() == 0


STRANGE = ["two words", "it's", 'a "quote"', "a&b|c", "back\\slash",
           "-dash", "$dollar {brace};#"]


@pytest.mark.parametrize("name", STRANGE)
def test_serve_in_a_folder_of_a_strange_name(serve, tmp_path, name):
    where = tmp_path / name
    where.mkdir()
    conf = where / "own.conf"
    conf.write_text((ROOT / "conf/nginx.conf").read_text())
    one = serve("--data", "./da ta" if name[0] != "-" else name, "--conf",
                "own.conf", cwd=where)
    one.wait()
    assert "192.0.2.80" in dig(one.dns, "www.example.test")
    data = where / ("da ta" if name[0] != "-" else name)
    assert (data / "run/nginx.conf").exists()
    assert one.stop() == 0


def test_serve_by_a_link_and_with_cdpath(serve, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "serve").symlink_to(ROOT / "tools/serve")
    one = serve("--data", "link/data", cwd=tmp_path,
                program=tmp_path / "serve", CDPATH=str(tmp_path))
    one.wait()
    assert "192.0.2.80" in dig(one.dns, "www.example.test")
    assert (tmp_path / "real/data/data.mdb").exists()
    assert one.stop() == 0


def test_serve_leaves_a_linked_run_folder_alone(serve, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/nginx.pid").write_text("another's")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/run").symlink_to(tmp_path / "run")
    one = serve()
    assert one.process.wait(60) == 1
    assert "run in it is a link" in one.text()
    assert [f.name for f in (tmp_path / "run").iterdir()] == ["nginx.pid"]


def test_serve_loads_the_sample_zone_after_a_failed_edit(serve, tmp_path):
    words = [ROOT / "tools/resolua", "--data", tmp_path / "data"]
    for command in (["record", "add", "example.test", "x", "A", "192.0.2.1"],
                    ["zone", "load", tmp_path / "absent.zone"]):
        done = subprocess.run(words + command, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr and "stack" not in done.stderr
        assert not (tmp_path / "data").exists()
    one = serve()
    one.wait()
    assert "192.0.2.80" in dig(one.dns, "www.example.test")


def test_serve_warns_of_forwarding_on_a_public_address(serve):
    one = serve("--dns", f"0.0.0.0:{free_port()}", "--forward", "192.0.2.1")
    one.wait()
    assert "may be reached by other machines" in one.text()


@pytest.fixture
def open_folder():
    """A folder that every user may enter, as those of pytest are not."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="resolua-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def workers_of(server):
    master = int((server.folder / "data/run/nginx.pid").read_text())
    return children(master)


@pytest.mark.parametrize("owner", ["root", "nobody"])
def test_workers_of_root_are_the_owner_of_the_folder(serve, open_folder,
                                                     owner):
    user = "www-data" if owner == "root" else owner
    if os.getuid() != 0:
        pytest.skip("only root can choose who the workers are")
    if not can_read_the_tree(user):
        pytest.skip(f"{user} cannot read the source tree")
    (open_folder / "data").mkdir()
    shutil.chown(open_folder / "data", owner)
    one = serve(folder=open_folder)
    one.wait()
    wait_for(lambda: workers_of(one), what="workers")
    uid = pwd.getpwnam(user).pw_uid
    assert all(os.stat(f"/proc/{pid}").st_uid == uid
               for pid in workers_of(one))
    done = subprocess.run(
        [ROOT / "tools/resolua", "--data", open_folder / "data", "record",
         "add", "example.test", "new", "A", "192.0.2.7"], timeout=60)
    assert done.returncode == 0
    assert dig(one.dns, "new.example.test") == "192.0.2.7\n"
    reply = subprocess.run(
        ["curl", "-s", "-X", "PUT", "-d", '{"records":["192.0.2.8"]}',
         f"http://{HOST}:{one.http}/dns/zones/example.test/made/A"],
        capture_output=True, text=True, timeout=30)
    assert "192.0.2.8" in reply.stdout
    assert (open_folder / "data/data.mdb").stat().st_uid == uid
    assert one.stop() == 0


def can_read_the_tree(user):
    return subprocess.run(["runuser", "-u", user, "--", "test", "-r",
                           ROOT / "lua/dns.lua"]).returncode == 0


def test_a_folder_that_root_used_is_still_its_owners(serve, open_folder):
    if os.getuid() != 0 or not can_read_the_tree("nobody"):
        pytest.skip("only root can become nobody, who has to read the tree")
    (open_folder / "data").mkdir()
    shutil.chown(open_folder / "data", "nobody")
    (open_folder / "link").symlink_to("data")
    one = serve("--data", open_folder / "link", folder=open_folder)
    one.wait()
    assert "warning" not in one.text()
    assert one.stop() == 0
    # nobody cannot write to the tree: it runs what root has built.
    two = serve(folder=open_folder, user="nobody")
    two.wait()
    assert "192.0.2.80" in dig(two.dns, "www.example.test")
    assert two.stop() == 0


def test_workers_stay_root_where_others_cannot_go(serve, open_folder):
    if os.getuid() != 0:
        pytest.skip("only root can choose who the workers are")
    open_folder.chmod(0o700)
    one = serve(folder=open_folder)
    one.wait()
    assert "warning: the workers run as root" in one.text()
    assert "192.0.2.80" in dig(one.dns, "www.example.test")


def test_serve_runs_no_code_of_the_current_folder(serve, tmp_path):
    where = tmp_path / "where"
    for name in ("cjson.lua", "cjson/safe.lua", "dns.lua", "dns/api.lua",
                 "ffi.lua", "bit.lua", "argparse.py", "socket.py"):
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"print('RAN {name}')\n")
    one = serve(cwd=where)
    one.wait()
    reply = subprocess.run(
        ["curl", "-s", f"http://{HOST}:{one.http}/dns/zones/example.test"],
        capture_output=True, text=True, timeout=30)
    assert '"serial"' in reply.stdout
    assert "RAN" not in one.text()
    done = subprocess.run(
        [ROOT / "tools/resolua", "--data", tmp_path / "data", "zone", "list"],
        capture_output=True, text=True, timeout=60, cwd=where)
    assert done.stdout.startswith("example.test\t"), done.stderr
    assert "RAN" not in done.stdout + done.stderr


def test_serve_forwards(serve):
    from upstream import Upstream
    upstream = Upstream(9)
    one = serve("--forward", upstream.address)
    one.wait()

    assert dig(one.dns, "www.elsewhere.test") == "192.0.0.9\n"
    upstream.stop()


def test_serve_on_ipv6(tmp_path, serve):
    port = free_port()
    one = serve("--dns", f"[::1]:{port}")
    one.wait()
    done = subprocess.run(["dig", "@::1", "-p", str(port), "+short",
                           "mail.example.test"], capture_output=True,
                          text=True, timeout=30)
    assert done.stdout == "192.0.2.25\n"


def test_the_raw_udp_example(start, tmp_path):
    folder = ROOT / "conf/examples/raw-udp"
    server = start("stream { server { listen 127.0.0.1:@DNS@ udp; "
                   f"content_by_lua_file {folder}/udp.lua; }} }}")

    output = server.dig("WWW.table.test", "A")
    assert complaints(output) == []
    assert "192.0.2.1" in output and "192.0.2.2" in output
    assert "hello from Lua" in server.dig("www.table.test", "TXT")
    assert "NXDOMAIN" in server.dig("nothing.table.test", "A")
    assert server.send_raw(b"nonsense", timeout=0.3) is None
