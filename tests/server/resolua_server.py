"""Starts the stock nginx with our module in a temporary folder.

    server = Server(folder, '''
        stream {
            server { listen 127.0.0.1:@DNS@ udp; dns_serve on; }
        }
    ''')
    server.start()
    answer = server.query("www.example.test", "A")
    server.stop()

A test takes the `start` fixture (conftest.py), which does all of that and
looks into the error log at the end.

In the configuration @FOLDER@, @ROOT@ and @BUILD@ are the server's folder, the
source tree and the build folder; any other @NAME@ is a free port of its own,
`server.port("NAME")`.  `query` asks port DNS, `http` port HTTP.
"""

import fcntl
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RESOLUA_BUILD", ROOT / "build/release"))
MODULES = "/usr/lib/nginx/modules"
HOST = "127.0.0.1"

# The whole of what a healthy server never logs.
BAD_LOG = re.compile(
    r"\[(alert|emerg)\]|exited on signal|AddressSanitizer|runtime error:"
    r"|LeakSanitizer")


class Failed(Exception):
    """The server did not do what was asked of it; carries its log."""


def wait_for(condition, seconds=10.0, what="the condition"):
    """Returns the first true value of condition(), asked every few ms.  It is
    not true either while a query in it has no answer in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = condition()
        except dns.exception.Timeout:
            value = None
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.005)


def leaves_at_most(octets, memory, work, rounds=8):
    """Whether one round of work adds no more than that to memory().  Room that
    is kept for reuse grows in the first rounds, with the most that was under
    way at once; what is lost grows in each."""
    for _ in range(rounds):
        before = memory()
        work()
        if memory() - before <= octets:
            return True
    return False


_port_locks = []


def free_port():
    """A port below the ephemeral range, free for UDP and TCP, that no other
    test process takes while this one lives."""
    locks = pathlib.Path(tempfile.gettempdir()) / "resolua-test-ports"
    locks.mkdir(mode=0o777, exist_ok=True)
    for _ in range(1000):
        port = random.randrange(18000, 32000)
        lock = open(locks / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as s:
                    s.bind((HOST, port))
        except OSError:
            lock.close()
            continue
        _port_locks.append(lock)
        return port
    raise Failed("no free port")


def readable(ends, seconds=None):
    """Those of the sockets and files that can be read, waited for.  select()
    itself takes no descriptor above 1023, and a run of all tests has those."""
    poll = select.poll()
    for end in ends:
        poll.register(end, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(
        None if seconds is None else seconds * 1000)}
    return [end for end in ends if end.fileno() in ready]


def children(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def is_running(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def sanitizer_environment():
    """A sanitized module in an nginx that is not needs the run-time first."""
    cache = BUILD / "CMakeCache.txt"
    text = cache.read_text() if cache.exists() else ""
    match = re.search(r"^RESOLUA_SANITIZE:[A-Z]+=(\S+)", text, re.M)
    if not match:
        return {}
    libraries = [
        subprocess.run(["gcc", f"-print-file-name=lib{name}.so"], check=True,
                       capture_output=True, text=True).stdout.strip()
        for name in ("asan", "ubsan")]
    return {"LD_PRELOAD": ":".join(libraries),
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:"
                            "quarantine_size_mb=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def lua_path():
    return ";".join(f"{folder}/{form}"
                    for folder in (ROOT / "lua", BUILD / "lua")
                    for form in ("?.lua", "?/init.lua")) + ";;"


def environment():
    return {**os.environ, **sanitizer_environment(),
            "LUA_PATH": lua_path(), "LC_ALL": "C",
            "RESOLUA_LIBRARY": str(BUILD / "lib/libresolua.so")}


class HttpReply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        import json
        return json.loads(self.body)


class Server:
    """One nginx; `folder` keeps its configuration, logs and data."""

    def __init__(self, folder, conf, workers=1, log_level="info", events="",
                 main="", env=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = {}
        self.workers = workers
        self.log_level = log_level
        self.events = events
        self.main = main
        self.env = env or {}
        self.allowed = []
        self.process = None
        self.write(conf)

    # Configuration.

    def port(self, name):
        if name not in self.ports:
            self.ports[name] = free_port()
        return self.ports[name]

    def fill(self, text):
        fixed = {"FOLDER": self.folder, "ROOT": ROOT, "BUILD": BUILD}
        return re.sub(
            r"@([A-Z][A-Z0-9_]*)@",
            lambda m: str(fixed[m[1]] if m[1] in fixed else self.port(m[1])),
            text)

    def write(self, conf):
        """Writes nginx.conf; a running server takes it at the next reload."""
        temp = "".join(
            f"{name}_temp_path {self.folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = re.sub(r"(?m)^(\s*http\s*\{)",
                      lambda m: f"{m[1]} access_log off; {temp}",
                      self.fill(conf), count=1)
        user = "user root;" if os.geteuid() == 0 else ""
        connections = ("" if "worker_connections" in self.events
                       else "worker_connections 4096;")
        (self.folder / "nginx.conf").write_text(f"""\
load_module {MODULES}/ndk_http_module.so;
load_module {MODULES}/ngx_stream_module.so;
load_module {BUILD}/modules/ngx_resolua_module.so;
{user}
daemon off;
worker_processes {self.workers};
pid {self.folder}/nginx.pid;
lock_file {self.folder}/nginx.lock;
error_log {self.folder}/error.log {self.log_level};
{self.fill(self.main)}
events {{ {connections} {self.events} }}
{conf}
""")

    def file(self, name, text):
        """Writes a file of the server's folder, @NAME@ filled in."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.fill(text))
        return path

    # Life.

    def command(self, *more):
        return ["nginx", "-p", str(self.folder), "-c",
                str(self.folder / "nginx.conf"), "-e",
                str(self.folder / "error.log"), *more]

    def test_configuration(self):
        """`nginx -t`: its exit code and what it said."""
        done = subprocess.run(
            self.command("-t"), capture_output=True, text=True, timeout=30,
            env={**environment(), **self.env})
        return done.returncode, done.stderr + done.stdout

    def start(self, seconds=20.0):
        self.stderr = open(self.folder / "stderr.log", "ab")
        self.process = subprocess.Popen(
            self.command(), stdout=self.stderr, stderr=self.stderr,
            stdin=subprocess.DEVNULL,
            env={**environment(), **self.env})
        wait_for(self._is_ready, seconds, "nginx's start")
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise Failed(f"nginx ended with {self.process.returncode}:\n"
                         f"{self.log()}")
        return ((self.folder / "nginx.pid").exists()
                and len(self.worker_pids()) >= self.workers)

    @property
    def pid(self):
        return self.process.pid

    def worker_pids(self):
        """Workers and helpers of the running master."""
        return children(self.pid)

    def workers_memory(self):
        """Resident bytes of all workers."""
        return sum(self.memory(pid) for pid in self.worker_pids())

    @staticmethod
    def memory(pid):
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024

    @staticmethod
    def cpu_seconds(pid):
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def reload(self, wait=True, seconds=20.0):
        """SIGHUP; waits for the new workers, not for the old ones' end."""
        old = set(self.worker_pids())
        self.process.send_signal(signal.SIGHUP)
        if wait:
            wait_for(lambda: len(set(self.worker_pids()) - old)
                     >= self.workers, seconds, "the new workers")

    def stop(self, sig=signal.SIGQUIT, seconds=20.0):
        """Ends the server, gracefully by default."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Failed("nginx did not end:\n" + self.log()) from None
        self.process = None
        self.stderr.close()

    def kill(self):
        """SIGKILL for the master and all of its workers."""
        pids = self.worker_pids()
        self.process.kill()
        self.process.wait()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not any(is_running(pid) for pid in pids),
                 what="the workers' end")
        self.process = None
        self.stderr.close()

    # The error log.

    def log(self):
        texts = []
        for name in ("error.log", "stderr.log"):
            path = self.folder / name
            if path.exists():
                texts.append(path.read_text(errors="replace"))
        return "".join(texts)

    def wait_for_log(self, pattern, seconds=10.0):
        """The match of pattern in the error log, waited for."""
        return wait_for(lambda: re.search(pattern, self.log()), seconds,
                        f"{pattern!r} in the error log")

    def allow_log(self, pattern):
        """Lines with this pattern are expected; check_log passes them."""
        self.allowed.append(re.compile(pattern))

    def check_log(self):
        bad = [line for line in self.log().splitlines()
               if BAD_LOG.search(line)
               and not any(a.search(line) for a in self.allowed)]
        assert not bad, "in the error log:\n" + "\n".join(bad[:20])

    # Asking.

    def query(self, name, qtype="A", tcp=False, timeout=5.0, port="DNS",
              rd=False, payload=None, **options):
        """Asks once; gives the parsed response.  options go to dnspython's
        make_query (use_edns, want_dnssec, payload, rdclass, ...)."""
        if payload is not None:
            options.update(use_edns=0, payload=payload)
        message = dns.message.make_query(name, qtype, **options)
        if not rd:
            message.flags &= ~dns.flags.RD
        return self.exchange(message, tcp, timeout, port)

    def exchange(self, message, tcp=False, timeout=5.0, port="DNS"):
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(message, HOST, port=self.port(port), timeout=timeout)

    def send_raw(self, packet, timeout=5.0, port="DNS"):
        """Sends a datagram as it is; the answer's octets or None."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.connect((HOST, self.port(port)))
            s.send(packet)
            try:
                return s.recv(65535)
            except TimeoutError:
                return None

    def dig(self, *arguments, port="DNS"):
        """dig's output, unchanged."""
        done = subprocess.run(
            ["dig", f"@{HOST}", "-p", str(self.port(port)), "+tries=1",
             "+time=5", *arguments],
            capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr

    def http(self, path, method="GET", body=None, headers=None, port="HTTP",
             timeout=10.0):
        """One HTTP exchange; a status of 400 and more is a reply as well."""
        if isinstance(body, str):
            body = body.encode()
        request = urllib.request.Request(
            f"http://{HOST}:{self.port(port)}{path}", data=body,
            method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return HttpReply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            return HttpReply(error.code, error.headers, error.read())


class Program:
    """Another server that a test needs (MariaDB, Redis, a peer): started by
    hand, with its files under `folder`."""

    def __init__(self, arguments, folder, ready, seconds=30.0, **options):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.output = open(self.folder / "output.log", "ab")
        self.process = subprocess.Popen(
            [str(a) for a in arguments], stdin=subprocess.DEVNULL,
            stdout=self.output, stderr=self.output, **options)
        wait_for(lambda: self._is_ready(ready), seconds,
                 f"{arguments[0]}'s start")

    def _is_ready(self, ready):
        if self.process.poll() is not None:
            log = (self.folder / "output.log").read_text(errors="replace")
            raise Failed(f"ended with {self.process.returncode}:\n{log}")
        return ready()

    def stop(self, sig=signal.SIGTERM, seconds=20.0):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()


def accepts_tcp(port):
    try:
        with socket.create_connection((HOST, port), 0.2):
            return True
    except OSError:
        return False


def start_redis(folder, port, *arguments):
    return Program(
        ["redis-server", "--port", port, "--bind", HOST, "--dir",
         _made(folder), "--save", "", "--appendonly", "no", *arguments],
        folder, lambda: accepts_tcp(port))


def _made(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def have(program):
    return shutil.which(program) is not None
