"""A flood of random names in a zone of a database, or in what is forwarded: the
tables flood-mysql, flood-redis, flood-forward.

Zone flood.test gets random names at twice the rate at which they are answered
when nothing else is asked for; bench.test, of the embedded store, and the names
that flood.test has get their usual questions.

The ratio counts what the flood costs against what the load generator, on its
one core, still managed to ask: it says little where that does not keep the worker
busy."""

import json
import random
import shutil
import struct
import subprocess

import servers
import stores

ZONE = "flood.test"
NAMES = 1000
USUAL = 500  # questions a second for names of the flooded zone
OUTSTANDING = 8192  # of the flood
NOERROR, NXDOMAIN = 0, 3
SERVER_CORE, LOAD_CORE = 0, 1


class Flooded(servers.Resolua):
    """bench.test in the embedded store, flood.test elsewhere."""

    url = None
    upstream_port = None

    @property
    def main(self):
        return f"dns_store {self.url};" if self.url else ""

    def server_lines(self):
        if self.upstream_port is None:
            return ""
        return f"dns_forward {servers.HOST}:{self.upstream_port};"


class OverMysql(Flooded):
    name = "Resolua (MySQL)"
    url = stores.MariaDb.url


class OverRedis(Flooded):
    name = "Resolua (Redis)"
    url = stores.Redis.url


class Forwarding(Flooded):
    name = "Resolua (forwarding)"


class Upstream(servers.Nsd):
    """Has flood.test."""

    def prepare(self):
        super().prepare()
        conf = self.folder / "nsd.conf"
        conf.write_text(conf.read_text().replace("bench.test", ZONE, 1))


TABLES = {"flood-mysql": (OverMysql, stores.MariaDb),
          "flood-redis": (OverRedis, stores.Redis),
          "flood-forward": (Forwarding, None)}


def write_zone(path):
    lines = [f"$ORIGIN {ZONE}.", "$TTL 1",
             "@ SOA ns1 hostmaster 1 3600 600 86400 1", "@ NS ns1",
             "ns1 A 192.0.2.1"]
    lines += [f"h{i} A 10.1.{i >> 8 & 255}.{i & 255}" for i in range(NAMES)]
    path.write_text("\n".join(lines) + "\n")


def write_queries(path, packet, names, rcode):
    with open(path, "wb") as file:
        for name in names:
            wire = packet(name)
            file.write(struct.pack("=HBB", len(wire), rcode, 255) + wire)


class Measurement:
    def __init__(self, bench, server, packet):
        rng = random.Random(2)
        self.bench = bench
        self.server = server
        self.worker = server.pids()[-1:]
        self.files = {
            "others": ([f"h{rng.randrange(10000)}.bench.test"
                        for _ in range(50000)], NOERROR),
            "known": ([f"h{i}.{ZONE}" for i in range(NAMES)], NOERROR),
            "random": ([f"{rng.getrandbits(60):x}.{ZONE}"
                        for _ in range(300000)], NXDOMAIN)}
        for name, (names, rcode) in self.files.items():
            write_queries(bench.folder / name, packet, names, rcode)

    def load(self, name, outstanding, rate, seconds, lost_ms=1000):
        return subprocess.Popen(
            ["taskset", "-c", str(LOAD_CORE), self.bench.build / "bench/load",
             servers.HOST, str(self.server.port), str(seconds),
             str(outstanding), str(rate), self.bench.folder / name,
             str(lost_ms)], stdout=subprocess.PIPE, text=True)

    def run(self, *loads):
        """What each load saw, and the worker's CPU seconds."""
        cpu = servers.cpu_seconds(self.worker)
        running = [self.load(*load) for load in loads]
        out = [json.loads(load.communicate()[0]) for load in running]
        return out, servers.cpu_seconds(self.worker) - cpu

    def others(self, seconds):
        """What others and names that exist got, and the worker's CPU seconds."""
        (others, known), cpu = self.run(("others", 256, 0, seconds),
                                        ("known", 64, USUAL, seconds))
        return others, known, cpu

    def start_flood(self, rate, seconds):
        flood = self.load("random", OUTSTANDING, rate, seconds,
                          max(20, int(200 * OUTSTANDING / rate)))
        self.run(("others", 256, 0, 1))  # it is seen as one
        return flood

    def figures(self, seconds):
        self.run(("known", 64, 0, 1))
        (alone,), cpu = self.run(("random", 256, 0, seconds))
        rate = 2 * alone["qps"]
        calm, _, calm_cpu = self.others(seconds)
        flood = self.start_flood(rate, seconds + 2)
        others, known, others_cpu = self.others(seconds)
        flood.communicate()
        asked = known["good"] + known["wrong"] + known["lost"]
        return {"rate": rate, "answered": cpu / alone["good"],
                "busy": others_cpu / seconds,
                "before": calm["good"] / calm_cpu,
                "under": others["good"] / others_cpu,
                "wrong": others["wrong"], "known": known["good"] / asked,
                "memory": servers.resident_bytes(self.worker)}


def show(name, figures):
    print(f"\n{name}: {figures['rate']:,.0f} random names a second; one that is "
          f"answered costs the worker {1e6 * figures['answered']:.1f} us")
    print(f"others' answers per CPU-second {figures['before']:,.0f} before, "
          f"{figures['under']:,.0f} now: "
          f"{figures['under'] / figures['before']:.2f}; the worker was busy for "
          f"{figures['busy']:.2f} of the time")
    print(f"others' wrong answers {figures['wrong']}; known names right "
          f"{figures['known']:.2f}; {figures['memory'] / 2**20:.1f} MiB")


def run(bench, name, packet):
    kind, database = TABLES[name]
    zone = bench.folder / f"{ZONE}.zone"
    write_zone(zone)
    bench_zone, running, upstream = bench.zone, None, None
    try:
        if database is not None:
            bench.zone = zone  # what databases are filled with
            running = database(bench, ZONE)
        else:
            upstream = bench.make(Upstream)
            upstream.zone = zone
            upstream.start(LOAD_CORE)
        bench.zone = bench_zone
        server = bench.make(kind)
        server.upstream_port = upstream.port if upstream else None
        server.start(SERVER_CORE)
        if not (servers.wait_until_answering(server, packet("h1.bench.test"))
                and servers.wait_until_answering(server, packet(f"h1.{ZONE}"))):
            print(f"{kind.name} does not answer")
            return
        figures = Measurement(bench, server, packet).figures(
            bench.arguments.seconds)
        server.stop()
    finally:
        bench.zone = bench_zone
        for one in (running, upstream):
            if one is not None:
                one.stop()
        for folder in ("mariadb", "redis"):
            shutil.rmtree(bench.folder / folder, ignore_errors=True)
    show(kind.name, figures)
