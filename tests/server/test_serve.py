"""What a user sees: tools/serve, and dig's output without a warning."""

import os
import re
import signal
import socket
import subprocess

import pytest

from resolua_server import (BUILD, HOST, ROOT, accepts_tcp, environment,
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
    def __init__(self, folder, *words, port=None):
        self.dns = port or free_port()
        self.http = free_port()
        self.folder = folder
        self.output = folder / "serve.out"
        self.process = subprocess.Popen(
            [ROOT / "tools/serve", "--dns", f"{HOST}:{self.dns}",
             "--http", f"{HOST}:{self.http}", "--data", folder / "data",
             "--workers", "1", *words],
            stdout=self.output.open("wb"), stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env=environment(),
            start_new_session=True)

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

    def run(*words, **options):
        started.append(Serve(tmp_path, *words, **options))
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
