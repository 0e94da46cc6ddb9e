"""Database servers on loopback, each under a folder of its own."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from resolua_server import BUILD, ROOT

AS_USER = ["--user=root"] if os.geteuid() == 0 else []
LOG_SIZE = "--innodb-log-file-size=8M"
MARIADBD = shutil.which("mariadbd") or "/usr/sbin/mariadbd"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def new_data_folder():
    """A data folder as mariadb-install-db makes it, for copying.  It is made
    once for each version of the server, since making it takes seconds."""
    version = subprocess.run([MARIADBD, "--version"], check=True,
                             capture_output=True).stdout
    made = BUILD / f"mariadb-{hashlib.sha1(version).hexdigest()[:8]}"
    with open(BUILD / "mariadb.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=BUILD) as folder:
                install(pathlib.Path(folder) / "data")
                os.rename(pathlib.Path(folder) / "data", made)
    return made


def install(data):
    result = subprocess.run(
        ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
         "--skip-test-db", f"--datadir={data}", f"--tmpdir={data.parent}", *AS_USER,
         LOG_SIZE],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        raise RuntimeError(result.stdout)


class MariaDb:
    """A mariadbd with one database, dns, and one account, resolua."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.socket = str(self.folder / "s")
        self.port = free_port()
        self.process = None
        self.options = []
        shutil.copytree(new_data_folder(), self.folder / "data")
        self.start()
        self.run("CREATE DATABASE dns; CREATE USER resolua@'%' IDENTIFIED BY 'secret';"
                 "GRANT ALL ON dns.* TO resolua@'%'", database=None)

    def start(self):
        # A mariadbd that starts removes all temporary tables in its tmpdir, also
        # those of other servers that run: each has a folder of its own.
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [MARIADBD, "--no-defaults",
             f"--datadir={self.folder}/data", f"--tmpdir={self.folder}",
             f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1",
             f"--pid-file={self.folder}/pid", *AS_USER,
             "--innodb-buffer-pool-size=32M", LOG_SIZE, *self.options],
            stdout=log, stderr=log)
        deadline = time.time() + 30
        while time.time() < deadline:
            if self.client(None, "SELECT 1").returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text())

    def client(self, database, sql):
        return subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self.socket}", "-uroot", "-N", "-B",
             *([database] if database else [])],
            input=sql, text=True, capture_output=True)

    def run(self, sql, database="dns"):
        result = self.client(database, sql)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def run_file(self, name):
        return self.run((ROOT / name).read_text())

    def stop(self, kill=False):
        if self.process:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(30)
            self.process = None


class Redis:
    """A redis-server with a password."""

    def __init__(self, folder):
        self.port = free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--requirepass", "secret", "--dir", str(folder)], stdout=subprocess.DEVNULL)
        deadline = time.time() + 10
        while self.run("PING", check=False) != "PONG":
            assert time.time() < deadline
            time.sleep(0.05)

    def run(self, *words, check=True):
        result = subprocess.run(
            ["redis-cli", "-p", str(self.port), "-a", "secret", "--no-auth-warning", "-n", "3", *words],
            text=True, capture_output=True)
        assert not check or result.returncode == 0
        return result.stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Asker:
    """A program that answers lines "NAME TYPE" from a store."""

    def __init__(self, name, *arguments):
        program = BUILD / "tests" / name
        self.process = subprocess.Popen([str(program), *map(str, arguments)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.greeting = self.read()

    def read(self):
        lines = []
        while (line := self.process.stdout.readline()) not in ("", "\n"):
            lines.append(line)
        return "".join(lines)

    def ask(self, name, rtype):
        """The answer's text without the line of rounds."""
        self.process.stdin.write(f"{name} {rtype}\n")
        self.process.stdin.flush()
        text = self.read()
        self.rounds = [int(x.split()[1]) for x in text.splitlines() if x.startswith("rounds")]
        return "".join(x for x in text.splitlines(True) if not x.startswith("rounds"))

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0


class PowerDns:
    """PowerDNS on the database of a MariaDb."""

    def __init__(self, folder, database, *options):
        self.port = free_port()
        (folder / "pdns.conf").write_text("\n".join((
            "launch=gmysql", f"gmysql-socket={database.socket}",
            "gmysql-user=resolua", "gmysql-password=secret",
            "gmysql-dbname=dns", "local-address=127.0.0.1",
            f"local-port={self.port}", f"socket-dir={folder}", "cache-ttl=0",
            "query-cache-ttl=0", "negquery-cache-ttl=0",
            "zone-cache-refresh-interval=0", *options, "")))
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["/usr/sbin/pdns_server", f"--config-dir={folder}",
                 "--daemon=no", "--guardian=no"], stdout=log, stderr=log)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
