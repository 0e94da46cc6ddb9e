"""The servers that tools/bench measures, each on one core."""

import os
import pathlib
import shutil
import subprocess
import time

HOST = "127.0.0.1"


def descendants(pid):
    """The process and all below it."""
    out = [pid]
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return out
    for child in text.split():
        out += descendants(int(child))
    return out


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        fields = stat.rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def resident_bytes(pids):
    """Proportional share of memory, so that forked pages count once."""
    total = 0
    for pid in pids:
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class Server:
    """One server under `folder`, serving `zone` (a master file of bench.test)
    on `port`.  A subclass writes its files in prepare() and names its command
    in command()."""

    name = ""
    program = ""
    is_dns = True
    is_checked = True   # it answers what the zone holds
    upstream_port = 0   # of a forwarder
    is_filled = False   # its cache is, before it is measured

    def __init__(self, root, build, folder, zone, port):
        self.root = root
        self.build = build
        self.folder = pathlib.Path(folder)
        self.zone = zone
        self.port = port
        self.folder.mkdir(parents=True)

    @classmethod
    def is_installed(cls):
        return shutil.which(cls.program,
                            path=os.environ["PATH"] + ":/usr/sbin") is not None

    def prepare(self):
        pass

    def command(self):
        raise NotImplementedError

    def start(self, core):
        self.prepare()
        self.output = open(self.folder / "output.log", "wb")
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), *map(str, self.command())],
            stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL,
            cwd=self.folder)

    def pids(self):
        return descendants(self.process.pid)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in reversed(self.pids()):
                os.kill(pid, 9)
            self.process.wait()
        self.output.close()


class Echo(Server):
    name = "limit (echo)"
    is_checked = False
    program = "taskset"

    def command(self):
        return [self.build / "bench/echo", self.port]


class Resolua(Server):
    name = "Resolua"
    program = "nginx"
    workers = 1
    main = ""

    def stream_lines(self):
        return ""

    def server_lines(self):
        return ""

    def load_zone(self):
        subprocess.run(
            [self.root / "tools/resolua", "--data", self.folder / "data",
             "zone", "load", self.zone, "--origin", "bench.test"],
            check=True, stdout=subprocess.DEVNULL,
            env={**os.environ, "RESOLUA_BUILD": str(self.build)})

    def prepare(self):
        self.load_zone()
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(f"""
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
load_module {self.build}/modules/ngx_resolua_module.so;
{user}
daemon off;
worker_processes {self.workers};
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log warn;
dns_store lmdb path={self.folder}/data;
{self.main}
events {{ worker_connections 4096; }}
stream {{
    lua_package_path "{self.root}/lua/?.lua;{self.build}/lua/?.lua;;";
    {self.stream_lines()}
    server {{
        listen {HOST}:{self.port} udp{" reuseport" * (self.workers > 1)};
        listen {HOST}:{self.port};
        dns_serve on;
        {self.server_lines()}
    }}
}}
""")

    def command(self):
        return ["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf",
                "-e", self.folder / "error.log"]


class ResoluaTwo(Resolua):
    name = "Resolua (two workers)"
    workers = 2


class Nsd(Server):
    name = "NSD"
    program = "nsd"

    def prepare(self):
        (self.folder / "nsd.conf").write_text(f"""
server:
    server-count: 1
    ip-address: {HOST}@{self.port}
    username: ""
    chroot: ""
    zonesdir: "{self.folder}"
    pidfile: "{self.folder}/nsd.pid"
    database: ""
    xfrdfile: "{self.folder}/xfrd.state"
    zonelistfile: "{self.folder}/zone.list"
    xfrdir: "{self.folder}"
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: bench.test
    zonefile: {self.zone}
""")

    def command(self):
        return ["/usr/sbin/nsd", "-d", "-c", self.folder / "nsd.conf"]


class Knot(Server):
    name = "Knot"
    program = "knotd"

    def prepare(self):
        (self.folder / "knot.conf").write_text(f"""
server:
    rundir: "{self.folder}"
    listen: {HOST}@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{self.folder}"
zone:
  - domain: bench.test
    storage: "{self.folder}"
    file: "{self.zone}"
    zonefile-sync: -1
    journal-content: none
""")

    def command(self):
        return ["/usr/sbin/knotd", "-c", self.folder / "knot.conf"]


class Bind(Server):
    name = "BIND"
    program = "named"

    def prepare(self):
        (self.folder / "named.conf").write_text(f"""
options {{
    directory "{self.folder}";
    pid-file "{self.folder}/named.pid";
    session-keyfile none;
    listen-on port {self.port} {{ {HOST}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    minimal-responses no;
}};
controls {{ }};
zone "bench.test" {{ type primary; file "{self.zone}"; }};
""")

    def command(self):
        return ["/usr/sbin/named", "-f", "-n", "1", "-c",
                self.folder / "named.conf"]


class PowerDns(Server):
    name = "PowerDNS (sqlite, cached)"
    program = "pdns_server"
    cache = 20

    def prepare(self):
        database = self.folder / "pdns.sqlite"
        schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"
        subprocess.run(["sqlite3", database, f".read {schema}"], check=True)
        (self.folder / "pdns.conf").write_text(f"""
launch=gsqlite3
gsqlite3-database={database}
local-address={HOST}
local-port={self.port}
socket-dir={self.folder}
daemon=no
guardian=no
receiver-threads=1
distributor-threads=1
cache-ttl={self.cache}
query-cache-ttl={self.cache}
negquery-cache-ttl={self.cache}
""")
        subprocess.run(["pdnsutil", "--config-dir", self.folder, "load-zone",
                        "bench.test", self.zone], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def command(self):
        return ["/usr/sbin/pdns_server", f"--config-dir={self.folder}"]


class PowerDnsUncached(PowerDns):
    name = "PowerDNS (sqlite, no cache)"
    cache = 0


PEERS = [Nsd, Knot, Bind, PowerDns, PowerDnsUncached]


def wait_until_answering(server, packet, seconds=30):
    """True once the server answers a packet."""
    import socket
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        s.connect((HOST, server.port))
        while time.monotonic() < deadline and server.process.poll() is None:
            try:
                s.send(packet)
                reply = s.recv(65535)
                # REFUSED and the like: the zone is not loaded yet.
                if not server.is_dns or reply[3] & 15 == 0:
                    return True
            except OSError:
                time.sleep(0.02)
    return False
