"""Zones in MySQL and Redis: the tables mysql, mysql-cached, redis, mirror.

The database runs on the load's core, beside the load."""

import os
import re
import shutil
import subprocess
import time

from servers import HOST, PowerDns, Resolua

DATABASE_CORE = 1
PORT = 15390


class MariaDb:
    """PowerDNS's layout with the zone bench.test."""

    def __init__(self, bench, origin="bench.test"):
        self.folder = bench.folder / "mariadb"
        self.folder.mkdir()
        self.bench = bench
        user = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", "--skip-test-db",
             "--auth-root-authentication-method=normal",
             f"--datadir={self.folder}/data", f"--tmpdir={self.folder}", *user],
            check=True, capture_output=True)
        self.process = subprocess.Popen(
            ["taskset", "-c", str(DATABASE_CORE), "/usr/sbin/mariadbd",
             "--no-defaults", f"--datadir={self.folder}/data",
             f"--tmpdir={self.folder}", f"--socket={self.folder}/s",
             f"--port={PORT}", f"--bind-address={HOST}",
             f"--pid-file={self.folder}/pid", *user],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while self.run("SELECT 1", check=False) != 0:
            time.sleep(0.1)
        self.fill(origin)

    def run(self, sql, check=True):
        return subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self.folder}/s", "-uroot"],
            input=sql, text=True, check=check, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode

    def fill(self, origin):
        schema = (self.bench.root / "sql/mysql/schema.sql").read_text()
        self.run("CREATE DATABASE dns; CREATE USER bench@'%' IDENTIFIED BY"
                 f" 'bench'; GRANT ALL ON dns.* TO bench@'%'; USE dns; {schema}")
        load(self.bench, self.url, origin)

    url = f"mysql://bench:bench@{HOST}:{PORT}/dns"

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class Redis:
    """The zone as one hash."""

    url = f"redis://{HOST}:{PORT}"

    def __init__(self, bench, origin="bench.test"):
        folder = bench.folder / "redis"
        folder.mkdir()
        self.process = subprocess.Popen(
            ["taskset", "-c", str(DATABASE_CORE), "redis-server", "--port",
             str(PORT), "--bind", HOST, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL)
        while subprocess.run(["redis-cli", "-p", str(PORT), "ping"],
                             capture_output=True).returncode != 0:
            time.sleep(0.05)
        load(bench, self.url, origin)

    def benchmark(self):
        """Its own load generator: HMGETs of as many fields as a query needs."""
        done = subprocess.run(
            ["taskset", "-c", "0", "redis-benchmark", "-p", str(PORT), "-n",
             "400000", "-P", "16", "-q", "HMGET", "bench.test.", "h1", "@",
             "*"], check=True, capture_output=True, text=True)
        return float(re.search(r"([\d.]+) requests per second",
                               done.stdout)[1])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def load(bench, url, origin):
    subprocess.run(
        [bench.root / "tools/resolua", "--store", url, "zone", "load",
         bench.zone, "--origin", origin], check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "RESOLUA_BUILD": str(bench.build)})


class Networked(Resolua):
    """Resolua over a database; the embedded store is empty."""

    url = MariaDb.url
    options = ""

    def load_zone(self):
        (self.folder / "data").mkdir()

    @property
    def main(self):
        return f"dns_store {self.url} {self.options};"


class Mysql(Networked):
    name = "Resolua (MySQL)"


class MysqlCached(Networked):
    name = "Resolua (MySQL, cached)"
    is_filled = True

    @property
    def main(self):
        return super().main + "dns_cache 32m;"


class OverRedis(Networked):
    name = "Resolua (Redis)"
    url = Redis.url


class Mirror(Networked):
    name = "Resolua (MySQL, mirror)"

    @property
    def options(self):
        return f"mirror={self.folder}/data"


class PowerDnsMysql(PowerDns):
    name = "PowerDNS (MySQL)"
    cache = 0

    @classmethod
    def is_installed(cls):
        return super().is_installed() and any(
            os.path.exists(f"/usr/lib/{machine}/pdns/libgmysqlbackend.so")
            for machine in os.listdir("/usr/lib"))

    def prepare(self):
        (self.folder / "pdns.conf").write_text(f"""
launch=gmysql
gmysql-host={HOST}
gmysql-port={PORT}
gmysql-user=bench
gmysql-password=bench
gmysql-dbname=dns
local-address={HOST}
local-port={self.port}
socket-dir={self.folder}
daemon=no
guardian=no
receiver-threads=1
distributor-threads=3
cache-ttl={self.cache}
query-cache-ttl={self.cache}
negquery-cache-ttl={self.cache}
""")


class PowerDnsMysqlCached(PowerDnsMysql):
    name = "PowerDNS (MySQL, cached)"
    cache = 20
    is_filled = True


TABLES = {  # name: (title, database, servers, what is compared)
    "mysql": ("MySQL, nothing kept, queries/s", MariaDb,
              [Mysql, PowerDnsMysql], "qps"),
    "mysql-cached": ("MySQL, answers kept, queries per CPU-second", MariaDb,
                     [MysqlCached, PowerDnsMysqlCached], "per_cpu"),
    "redis": ("Redis, nothing kept, queries/s", Redis, [OverRedis], "qps"),
    "mirror": ("mirror of MySQL, queries per CPU-second", MariaDb,
               [Mirror, Resolua], "per_cpu"),
}


def print_rows(rows, figure):
    first = rows[0][1][figure]
    print(f"{'server':<28}{'q/s':>12}{'q/cpu-s':>12}{'p50 us':>12}"
          f"{'bad':>12}{'first / it':>12}")
    for name, r in rows:
        print(f"{name:<28}{r['qps']:>12,.0f}{r['per_cpu']:>12,.0f}"
              f"{r['p50_us']:>12}{r['wrong']:>12}"
              f"{first / r[figure]:>12.2f}")


def run(bench, name):
    title, database, kinds, figure = TABLES[name]
    running = database(bench)
    best = {}
    try:
        for _ in range(bench.arguments.rounds):
            for kind in kinds:
                if not kind.is_installed():
                    continue
                row = bench.row(kind, "store", 0.0)
                if row and row[figure] >= best.get(kind.name,
                                                   {figure: 0})[figure]:
                    best[kind.name] = row
        if database is Redis:
            rate = running.benchmark()
            best["redis-benchmark -P 16"] = {
                "qps": rate, "per_cpu": 0, "p50_us": "-", "wrong": "-"}
    finally:
        running.stop()
        shutil.rmtree(running.folder if hasattr(running, "folder")
                      else bench.folder / "redis", ignore_errors=True)
    print(f"\n{title}, one core")
    print_rows(list(best.items()), figure)
