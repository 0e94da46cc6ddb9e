"""Database servers on loopback, each under a folder of its own."""

import os
import pathlib
import shutil
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
USER = "root" if os.geteuid() == 0 else None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class MariaDb:
    """A mariadbd with one database, dns, and one account, resolua."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.socket = str(self.folder / "s")
        self.port = free_port()
        self.process = None
        self.as_user = [f"--user={USER}"] if USER else []
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal",
             "--skip-test-db", f"--datadir={self.folder}/data", *self.as_user],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.start()
        self.run("CREATE DATABASE dns; CREATE USER resolua@'%' IDENTIFIED BY 'secret';"
                 "GRANT ALL ON dns.* TO resolua@'%'", database=None)

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults",
             f"--datadir={self.folder}/data", f"--socket={self.socket}", f"--port={self.port}",
             "--bind-address=127.0.0.1", f"--pid-file={self.folder}/pid", *self.as_user,
             "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M"],
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
