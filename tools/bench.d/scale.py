"""Memory and load time: many names in one zone, many zones."""

import os
import socket
import subprocess
import time

import servers

NAMES, ZONES, NAMES_OF_A_ZONE = 1_000_000, 100_000, 10
ASKED_EVERY = 20  # several in each page of the store

HEAD = ("$TTL 3600\n@ SOA ns1 hostmaster 1 3600 600 86400 300\n@ NS ns1\n"
        "ns1 A 192.0.2.1\n")


def packet(name):
    labels = b"".join(bytes([len(label)]) + label.encode()
                      for label in name.split("."))
    return b"\0\1\0\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"


class ManyKnot(servers.Knot):
    def prepare(self):
        super().prepare()
        conf = (self.folder / "knot.conf").read_text()
        conf = conf[:conf.index("zone:\n")] + "zone:\n" + "".join(
            f"  - domain: z{i}.test\n    file: \"{self.zones}/z{i}.test.zone\"\n"
            f"    zonefile-sync: -1\n    journal-content: none\n"
            for i in range(ZONES))
        (self.folder / "knot.conf").write_text(conf)


class ManyNsd(servers.Nsd):
    def prepare(self):
        super().prepare()
        conf = (self.folder / "nsd.conf").read_text()
        conf = conf[:conf.index("zone:\n")] + "".join(
            f"zone:\n name: z{i}.test\n zonefile: {self.zones}/z{i}.test.zone\n"
            for i in range(ZONES))
        (self.folder / "nsd.conf").write_text(conf)


class ManyResolua(servers.Resolua):
    def load_zone(self):
        subprocess.run(
            [self.root / "tools/resolua", "--data", self.folder / "data",
             "zone", "load", self.zones],
            check=True, stdout=subprocess.DEVNULL,
            env={**os.environ, "RESOLUA_BUILD": str(self.build)})


def ask_all(port, names):
    """A map that is never read is not in memory: every name is asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.connect((servers.HOST, port))
        for name in names:
            s.send(packet(name))
            s.recv(4096)


def measure(bench, kind, name, names, zones=None):
    """Seconds to the first answer, and resident octets when a good part of the
    names has been asked."""
    server = bench.make(kind)
    server.zones = zones
    begin = time.monotonic()
    server.start("0,1")
    if not servers.wait_until_answering(server, packet(name), 300):
        server.stop()
        return None
    seconds = time.monotonic() - begin
    ask_all(server.port, names)
    memory = servers.resident_bytes(server.pids())
    server.stop()
    return seconds, memory


def print_rows(title, rows, count):
    print(f"\n{title}")
    print(f"{'server':<28}{'load s':>12}{'MiB':>12}{'octets/name':>14}")
    for name, row in rows:
        if row is not None:
            print(f"{name:<28}{row[0]:>12.1f}{row[1] / 2**20:>12.0f}"
                  f"{row[1] / count:>14.0f}")


def run(bench):
    with open(bench.zone, "w") as file:
        file.write("$ORIGIN bench.test.\n" + HEAD)
        for i in range(NAMES):
            file.write(f"h{i} A 10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}\n")
    kinds = [servers.Resolua, servers.Nsd, servers.Knot]
    print_rows(f"{NAMES:,} names in one zone",
               [(k.name, measure(bench, k, f"h{NAMES - 1}.bench.test",
                                 [f"h{i}.bench.test"
                                  for i in range(0, NAMES, ASKED_EVERY)]))
                for k in kinds], NAMES)

    zones = bench.folder / "zones"
    zones.mkdir()
    for i in range(ZONES):
        (zones / f"z{i}.test.zone").write_text(
            f"$ORIGIN z{i}.test.\n" + HEAD + "".join(
                f"h{k} A 10.0.0.{k}\n" for k in range(NAMES_OF_A_ZONE)))
    kinds = [ManyResolua, ManyNsd, ManyKnot]
    print_rows(f"{ZONES:,} zones of {NAMES_OF_A_ZONE} names",
               [(k.name, measure(bench, k, f"h1.z{ZONES - 1}.test",
                                 [f"h1.z{i}.test"
                                  for i in range(0, ZONES, ASKED_EVERY)],
                                 zones))
                for k in kinds], ZONES * NAMES_OF_A_ZONE)
