"""Measures; tools/bench installs and builds first.  See its --help."""

import argparse
import json
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

import flood
import forwarders
import scale
import scripted
import servers
import stores

NAMES = 10_000
SERVER_CORE, LOAD_CORE = 0, 1
OUTSTANDING = 256
NOERROR, NXDOMAIN, ANY, NOT_DNS = 0, 3, 255, 254


def write_zone(path):
    lines = ["$ORIGIN bench.test.", "$TTL 3600",
             "@ SOA ns1 hostmaster 1 3600 600 86400 300", "@ NS ns1",
             "ns1 A 192.0.2.1"]
    lines += [f"h{i} A 10.0.{i >> 8 & 255}.{i & 255}" for i in range(NAMES)]
    path.write_text("\n".join(lines) + "\n")


def packet(name, qtype=1):
    labels = b"".join(bytes([len(label)]) + label.encode()
                      for label in name.split("."))
    return (struct.pack(">6H", 0, 0x0100, 1, 0, 0, 0) + labels + b"\0"
            + struct.pack(">HH", qtype, 1))


def write_queries(path, missing_share, kind):
    """`path` for our load generator, path.txt for dnsperf."""
    rng = random.Random(1)
    text = []
    with open(path, "wb") as file:
        for _ in range(50_000):
            is_missing = rng.random() < missing_share
            letter = "x" if is_missing else "h"
            name = f"{letter}{rng.randrange(NAMES)}.bench.test"
            wire = packet(name)
            rcode, answers = (NXDOMAIN, 0) if is_missing else (NOERROR, 1)
            if not kind.is_dns:
                rcode, answers = NOT_DNS, ANY
            elif not kind.is_checked:
                rcode, answers = ANY, ANY
            file.write(struct.pack("=HBB", len(wire), rcode, answers) + wire)
            text.append(f"{name} A\n")
    pathlib.Path(f"{path}.txt").write_text("".join(text))


def run_load(build, port, seconds, rate, queries):
    done = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), build / "bench/load", servers.HOST,
         str(port), str(seconds), str(OUTSTANDING), str(rate), queries],
        check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def run_dnsperf(port, seconds, queries, mode="udp"):
    done = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), "dnsperf", "-s", servers.HOST, "-p",
         str(port), "-d", f"{queries}.txt", "-l", str(seconds), "-c", "8",
         "-q", str(OUTSTANDING), "-m", mode],
        check=True, capture_output=True, text=True)
    return float(re.search(r"Queries per second:\s+([\d.]+)", done.stdout)[1])


def measure_tcp(server, seconds, queries):
    """dnsperf's queries a second, and what they cost the server."""
    run_dnsperf(server.port, 1, queries, "tcp")
    pids = server.pids()
    cpu = servers.cpu_seconds(pids)
    qps = run_dnsperf(server.port, max(1, round(seconds)), queries, "tcp")
    cpu = servers.cpu_seconds(pids) - cpu
    return {"qps": qps, "per_cpu": qps * max(1, round(seconds)) / cpu,
            "p50_us": "-", "p99_us": "-", "wrong": "-",
            "memory": servers.resident_bytes(pids)}


def measure(server, build, seconds, queries, with_dnsperf):
    """Figures of a running server for one set of queries."""
    run_load(build, server.port, 0.5, 0, queries)
    pids = server.pids()
    cpu = servers.cpu_seconds(pids)
    full = run_load(build, server.port, seconds, 0, queries)
    cpu = servers.cpu_seconds(pids) - cpu
    half = run_load(build, server.port, seconds / 2, full["qps"] / 2, queries)
    row = {
        "qps": full["qps"],
        "per_cpu": full["good"] / cpu if cpu > 0 else 0,
        "p50_us": half["p50_us"],
        "p99_us": half["p99_us"],
        "wrong": full["wrong"] + full["lost"],
        "memory": servers.resident_bytes(pids),
    }
    if with_dnsperf:
        cpu = servers.cpu_seconds(pids)
        row["dnsperf"] = run_dnsperf(server.port, seconds, queries)
        cpu = servers.cpu_seconds(pids) - cpu
        row["dnsperf_per_cpu"] = row["dnsperf"] * seconds / cpu
    return row


def print_table(title, rows):
    """rows: (name, figures), ours and the limit among them."""
    limit = next((r["per_cpu"] for n, r in rows if n.startswith("limit")), 0)
    peers = [r["per_cpu"] for n, r in rows
             if not n.startswith(("limit", "Resolua"))]
    best = max(peers, default=0)
    has_dnsperf = any("dnsperf" in r for _, r in rows)

    print(f"\n{title}")
    heads = ["server", "q/s", "q/cpu-s", "p50 us", "p99 us", "MiB", "bad",
             "/best peer", "/limit"]
    if has_dnsperf:
        heads += ["dnsperf q/s", "q/cpu-s"]
    print("{:<28}".format(heads[0])
          + "".join(f"{head:>12}" for head in heads[1:]))
    for name, r in rows:
        cells = [f"{r['qps']:,.0f}", f"{r['per_cpu']:,.0f}", r["p50_us"],
                 r["p99_us"], f"{r['memory'] / 2**20:.1f}", r["wrong"],
                 f"{r['per_cpu'] / best:.2f}" if best else "-",
                 f"{r['per_cpu'] / limit:.2f}" if limit else "-"]
        if has_dnsperf:
            cells += [f"{r.get('dnsperf', 0):,.0f}",
                      f"{r.get('dnsperf_per_cpu', 0):,.0f}"]
        print(f"{name:<28}" + "".join(f"{cell:>12}" for cell in cells))


TABLES = {  # name: (title, servers, share of missing names)
    "store": ("existing names, UDP",
              [servers.Resolua, *servers.PEERS, servers.Echo], 0.0),
    "missing": ("20% NXDOMAIN, UDP",
                [servers.Resolua, *servers.PEERS, servers.Echo], 0.2),
    "random": ("100% NXDOMAIN, UDP",
               [servers.Resolua, *servers.PEERS, servers.Echo], 1.0),
    "forward": ("cached forwarding, UDP",
                [*forwarders.FORWARDERS, servers.Echo], 0.0),
    "scripts": ("scripted answers, UDP",
                [*scripted.SCRIPTED, servers.Nsd, servers.Knot, servers.Echo],
                0.0),
    "tcp": ("pipelined, TCP, dnsperf",
            [servers.Resolua, *servers.PEERS[:-1]], 0.0),
    "workers": ("one worker and two, UDP",
                [servers.Resolua, servers.ResoluaTwo], 0.0),
}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tools/bench", add_help=False)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tables", default=",".join([*TABLES, *stores.TABLES,
                                          *flood.TABLES]))
    parser.add_argument("--only", default="")
    parser.add_argument("--dnsperf", action="store_true")
    parser.add_argument("--scale", action="store_true")
    return parser.parse_args()


def is_wanted(kind, arguments):
    words = arguments.only.lower().split(",") if arguments.only else []
    name = kind.name.lower().split(" ")[0]
    return (not words or name in words) and kind.is_installed()


class Bench:
    """Servers under one folder, each on a port of its own."""

    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.root = arguments.root
        self.folder = folder
        self.build = arguments.root / "build/release"
        self.zone = folder / "bench.test.zone"
        self.count = 0
        write_zone(self.zone)

    def make(self, kind):
        self.count += 1
        return kind(self.arguments.root, self.build,
                    self.folder / str(self.count), self.zone,
                    15300 + self.count)

    def start(self, kind):
        """A running server and, of a forwarder, its upstream."""
        upstream = None
        server = self.make(kind)
        if issubclass(kind, forwarders.Forwarding):
            upstream = self.make(servers.Nsd)
            upstream.start(LOAD_CORE)
            servers.wait_until_answering(upstream, packet("h1.bench.test"))
            server.upstream_port = upstream.port
        two = kind is servers.ResoluaTwo
        server.start(f"{SERVER_CORE},{LOAD_CORE}" if two else SERVER_CORE)
        if not servers.wait_until_answering(server, packet("h1.bench.test")):
            log = (server.folder / "output.log").read_text(errors="replace")
            print(f"{kind.name} does not answer:\n{log[-500:]}",
                  file=sys.stderr)
            self.stop(server, upstream)
            return None, None
        return server, upstream

    @staticmethod
    def stop(*running):
        for server in running:
            if server is not None:
                server.stop()

    def row(self, kind, name, share):
        server, upstream = self.start(kind)
        if server is None:
            return None
        queries = self.folder / "queries"
        try:
            write_queries(queries, share, kind)
            if name == "tcp":
                return measure_tcp(server, self.arguments.seconds, queries)
            if upstream is not None or server.is_filled:  # ask all once
                run_load(self.build, server.port, 2, 0, queries)
            return measure(server, self.build, self.arguments.seconds,
                           queries, self.arguments.dnsperf)
        finally:
            self.stop(server, upstream)

    def table(self, name):
        """The best of some rounds: what else runs on the machine can only
        take away."""
        title, kinds, share = TABLES[name]
        kinds = [kind for kind in kinds if is_wanted(kind, self.arguments)]
        best = {}
        for _ in range(self.arguments.rounds):
            for kind in kinds:
                row = self.row(kind, name, share)
                if row is not None and row["per_cpu"] >= best.get(
                        kind.name, {"per_cpu": 0})["per_cpu"]:
                    best[kind.name] = row
        print_table(f"{title}, {NAMES:,} names, one core", best.items())


def main():
    arguments = parse_arguments()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="resolua-bench-"))
    folder.chmod(0o755)
    try:
        bench = Bench(arguments, folder)
        for name in filter(None, arguments.tables.split(",")):
            if name in flood.TABLES:
                flood.run(bench, name, packet)
            elif name in stores.TABLES:
                stores.run(bench, name)
            else:
                bench.table(name)
        if arguments.scale:
            scale.run(bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
