"""Several redis-servers on loopback that belong together: a master with
replicas and sentinels, a cluster.

    group = Sentinels(folder)
    group.servers[group.master()].kill()
    group.stop()
"""

import json
import pathlib
import random
import signal
import socket
import subprocess

from resolua_server import HOST, Program, accepts_tcp, wait_for

# The apex field of a.test.
APEX = json.dumps({
    "soa": {"ttl": 60, "ns": "ns1.a.test.", "mbox": "hostmaster.a.test.",
            "serial": 1, "refresh": 3600, "retry": 600, "expire": 86400,
            "minttl": 60},
    "ns": [{"ttl": 60, "host": "ns1.a.test."}]})

PASSWORD = "secret"
SENTINEL_PASSWORD = "guard"
BUS = 10000  # a cluster's nodes talk at port + this
SLOTS = 16384


def free_ports(count):
    """Ports below the ephemeral range whose bus is free as well."""
    found = []
    while len(found) < count:
        port = random.randrange(11000, 18000)
        try:
            for number in (port, port + BUS):
                with socket.socket() as s:
                    s.bind((HOST, number))
        except OSError:
            continue
        if port not in found:
            found.append(port)
    return found


class Node:
    """One redis-server; arguments as in redis.conf, without the dashes."""

    def __init__(self, folder, port, *arguments, sentinel=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self.password = SENTINEL_PASSWORD if sentinel else PASSWORD
        self.words = ["--sentinel"] if sentinel else []
        lines = [f"port {port}", f"bind {HOST}", f"dir {self.folder}",
                 f"requirepass {self.password}", *arguments]
        if not sentinel:
            lines += [f"masterauth {PASSWORD}", 'save ""', "repl-diskless-sync-delay 0",
                      "notify-keyspace-events Khg", "repl-ping-replica-period 1"]
        (self.folder / "redis.conf").write_text("\n".join(lines) + "\n")
        self.program = None
        self.start()

    def start(self):
        self.program = Program(
            ["redis-server", self.folder / "redis.conf", *self.words],
            self.folder, lambda: accepts_tcp(self.port))

    def run(self, *words):
        done = subprocess.run(
            ["redis-cli", "-h", HOST, "-p", str(self.port), "-a", self.password,
             "--no-auth-warning", *map(str, words)],
            text=True, capture_output=True)
        return done.stdout.strip()

    def is_alive(self):
        return self.program.process.poll() is None

    def freeze(self):
        self.program.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.program.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.program.stop(signal.SIGKILL)

    def stop(self):
        self.thaw()
        self.program.stop(signal.SIGKILL)


class Sentinels:
    """A master, a replica, three sentinels with a password."""

    name = "dns-master"

    def __init__(self, folder):
        ports = free_ports(5)
        self.servers = {}
        self.servers[ports[0]] = Node(f"{folder}/0", ports[0])
        self.servers[ports[1]] = Node(f"{folder}/1", ports[1],
                                      f"replicaof {HOST} {ports[0]}")
        self.sentinels = [
            Node(f"{folder}/s{port}", port,
                 f"sentinel monitor {self.name} {HOST} {ports[0]} 2",
                 f"sentinel down-after-milliseconds {self.name} 300",
                 f"sentinel failover-timeout {self.name} 2000",
                 f"sentinel auth-pass {self.name} {PASSWORD}", sentinel=True)
            for port in ports[2:]]
        wait_for(lambda: all(self._sees_all(s) for s in self.sentinels), 20,
                 "the sentinels' view")

    def _sees_all(self, sentinel):
        words = sentinel.run("SENTINEL", "MASTER", self.name).split()
        facts = dict(zip(words[::2], words[1::2]))
        return (facts.get("num-other-sentinels") == "2"
                and facts.get("num-slaves") == "1"
                and "down" not in facts.get("flags", "down"))

    def master(self):
        """The port, as the sentinels have it."""
        return int(self.sentinels[0].run(
            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name).split()[1])

    def options(self):
        return f"sentinel={self.name} sentinel_password={SENTINEL_PASSWORD}"

    def url(self):
        hosts = ",".join(f"{HOST}:{s.port}" for s in self.sentinels)
        return f"redis://:{PASSWORD}@{hosts}"

    def stop(self):
        for node in [*self.sentinels, *self.servers.values()]:
            if node.is_alive():
                node.stop()


class Cluster:
    """Three masters with the slots by thirds, and replicas of the first
    `replicas` ones."""

    def __init__(self, folder, replicas=0):
        ports = free_ports(3 + replicas)
        self.nodes = [
            Node(f"{folder}/{port}", port, "cluster-enabled yes",
                 "cluster-node-timeout 1000", "cluster-require-full-coverage no",
                 "cluster-replica-validity-factor 0",
                 "cluster-migration-barrier 5")
            for port in ports]
        for node in self.nodes[1:]:
            self.nodes[0].run("CLUSTER", "MEET", HOST, node.port)
        for i, node in enumerate(self.nodes[:3]):
            node.run("CLUSTER", "ADDSLOTSRANGE", i * SLOTS // 3,
                     (i + 1) * SLOTS // 3 - 1)
        wait_for(lambda: all(self._is_whole(n, len(ports)) for n in self.nodes),
                 20, "the cluster")
        for i in range(replicas):
            wait_for(lambda i=i: self.nodes[3 + i].run(
                "CLUSTER", "REPLICATE", self.nodes[i].run("CLUSTER", "MYID"))
                == "OK", 10)
        wait_for(lambda: all("master_link_status:up" in n.run("INFO", "replication")
                             for n in self.nodes[3:]), 20, "the replicas")

    @staticmethod
    def _is_whole(node, count):
        info = node.run("CLUSTER", "INFO")
        return ("cluster_state:ok" in info
                and f"cluster_known_nodes:{count}" in info)

    def run(self, *words):
        """Where the key belongs."""
        done = subprocess.run(
            ["redis-cli", "-c", "-h", HOST, "-p", str(self.nodes[0].port), "-a",
             PASSWORD, "--no-auth-warning", *map(str, words)],
            text=True, capture_output=True)
        return done.stdout.strip()

    def slot(self, key):
        return int(self.nodes[0].run("CLUSTER", "KEYSLOT", key))

    def number_of(self, key):
        """The master that has it at first."""
        return next(i for i in range(3)
                    if self.slot(key) < (i + 1) * SLOTS // 3)

    def url(self, *numbers):
        hosts = ",".join(f"{HOST}:{self.nodes[i].port}"
                         for i in numbers or range(len(self.nodes)))
        return f"redis://:{PASSWORD}@{hosts}"

    def stop(self):
        for node in self.nodes:
            if node.is_alive():
                node.stop()
