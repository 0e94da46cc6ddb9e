"""Zones in Redis Cluster and in a Redis with replicas for reading."""

import itertools
import json
import re

import dns.rcode
import pytest

from redis_servers import Cluster, Node, PASSWORD, free_ports
from resolua_server import HOST, wait_for
from service_conf import STORE_CONF
from stores import resolua_store, texts, wait_for_answer

OPTIONS = "poll=100ms timeout=400ms ttl_cap=10m"
ZONES = [f"z{i}.test" for i in range(12)]


def apex(zone):
    return json.dumps({
        "soa": {"ttl": 60, "ns": f"ns1.{zone}.", "mbox": f"hostmaster.{zone}.",
                "serial": 1, "refresh": 3600, "retry": 600, "expire": 86400,
                "minttl": 60},
        "ns": [{"ttl": 60, "host": f"ns1.{zone}."}]})


def address(ip):
    return json.dumps({"a": [{"ttl": 600, "ip": ip}]})


def put(server, zone, owner, ip):
    return server.http(f"/dns/zones/{zone}/{owner}/A", "PUT",
                       json.dumps({"ttl": 60, "records": [ip]}),
                       {"Content-Type": "application/json"}).status


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three masters, a replica of the first."""
    cluster = Cluster(tmp_path_factory.mktemp("redis"), replicas=1)
    for i, zone in enumerate(ZONES):
        cluster.run("HSET", f"{zone}.", "@", apex(zone), "www",
                    address(f"192.0.2.{i}"))
    yield cluster
    cluster.stop()


def serve(start, cluster, *numbers):
    server = start(STORE_CONF % f"{cluster.url(*numbers)} cluster=on {OPTIONS}")
    for i, zone in enumerate(ZONES):
        wait_for_answer(server, f"www.{zone}", "A", [f"192.0.2.{i}"])
    return server


def test_zones_of_all_nodes_are_served(start, cluster):
    assert {cluster.number_of(f"{zone}.") for zone in ZONES} == {0, 1, 2}
    server = serve(start, cluster)
    assert server.query("www.elsewhere.test").rcode() == dns.rcode.REFUSED
    assert server.query("no.z1.test").rcode() == dns.rcode.NXDOMAIN


def test_one_node_in_the_url_finds_the_others(start, cluster):
    serve(start, cluster, 1)


def test_changes_are_told_by_each_node(start, cluster):
    server = serve(start, cluster)
    wait_for(lambda: len(re.findall("changes are told by", server.log())) == 4)
    for i, zone in enumerate(ZONES):
        cluster.run("HSET", f"{zone}.", "www", address(f"198.51.100.{i}"))
        wait_for_answer(server, f"www.{zone}", "A", [f"198.51.100.{i}"], 3)
    for i, zone in enumerate(ZONES):
        cluster.run("HSET", f"{zone}.", "www", address(f"192.0.2.{i}"))


def test_edits_go_to_the_right_master(start, cluster):
    server = serve(start, cluster, 2, 1, 0)
    for i, zone in enumerate(ZONES):
        assert put(server, zone, "new", f"192.0.2.{100 + i}") == 201
        assert texts(server.query(f"new.{zone}")) == [f"192.0.2.{100 + i}"]
    listed = server.http("/dns/zones").json()
    assert sorted(zone["name"] for zone in listed) == sorted(ZONES)
    for zone in ZONES:
        assert cluster.run("HDEL", f"{zone}.", "new") == "1"


def test_the_command_line_edits_a_cluster(cluster):
    url = cluster.url(0) + "/0?cluster=on"
    for zone in ZONES[:4]:
        resolua_store(url, "record", "set", zone, "cli", "A", 60, "192.0.2.200")
        assert "192.0.2.200" in cluster.run("HGET", f"{zone}.", "cli")
        cluster.run("HDEL", f"{zone}.", "cli")
    assert set(resolua_store(url, "zone", "list").split()) >= set(ZONES)


def move_slot(cluster, slot, source, target, between=lambda: None):
    source, target = cluster.nodes[source], cluster.nodes[target]
    ids = [node.run("CLUSTER", "MYID") for node in (source, target)]
    assert target.run("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0]) == "OK"
    assert source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1]) == "OK"
    between()
    for key in source.run("CLUSTER", "GETKEYSINSLOT", slot, 10).split():
        assert source.run("MIGRATE", HOST, target.port, key, 0, 1000, "AUTH",
                          PASSWORD) == "OK"
    between()
    for node in (target, source):
        assert node.run("CLUSTER", "SETSLOT", slot, "NODE", ids[1]) == "OK"


def test_a_zone_that_moves_is_followed(start, cluster):
    # The list is old all the time: only the nodes' replies tell.
    zone = next(z for z in ZONES if cluster.number_of(f"{z}.") == 2)
    ip = f"192.0.2.{ZONES.index(zone)}"
    server = start(STORE_CONF % f"{cluster.url()} cluster=on poll=10m timeout=2s"
                   " ttl_cap=0")
    for name in ZONES:
        wait_for(lambda: server.query(f"www.{name}").answer)
    wait_for(lambda: len(re.findall("changes are told by", server.log())) == 4)
    asked = iter(range(10000))

    def ask():
        for _ in range(3):
            name = f"n{next(asked)}.{zone}"
            assert server.query(name).rcode() == dns.rcode.NXDOMAIN
        assert texts(server.query(f"www.{zone}")) == [ip]

    for node in cluster.nodes:  # nor do they tell that keys come and go
        node.run("CONFIG", "SET", "notify-keyspace-events", "")
    try:
        slot = cluster.slot(f"{zone}.")
        move_slot(cluster, slot, 2, 1, ask)
        ask()
        assert put(server, zone, "moved", "192.0.2.77") == 201
        ask()
        assert texts(server.query(f"moved.{zone}")) == ["192.0.2.77"]
        move_slot(cluster, slot, 1, 2, ask)
        ask()
        cluster.run("HDEL", f"{zone}.", "moved")
    finally:
        for node in cluster.nodes:
            node.run("CONFIG", "SET", "notify-keyspace-events", "Khg")


def test_a_cluster_is_mirrored(start, cluster):
    server = start(STORE_CONF % f"{cluster.url(1)} cluster=on poll=100ms"
                   " mirror=@FOLDER@/copy")
    for i, zone in enumerate(ZONES):
        wait_for_answer(server, f"www.{zone}", "A", [f"192.0.2.{i}"])
    assert put(server, ZONES[3], "mirrored", "192.0.2.60") == 201
    assert texts(server.query(f"mirrored.{ZONES[3]}")) == ["192.0.2.60"]
    cluster.run("HDEL", f"{ZONES[3]}.", "mirrored")


def test_a_dead_master_is_replaced_by_its_replica(start, cluster):
    server = serve(start, cluster)
    zone = next(z for z in ZONES if cluster.number_of(f"{z}.") == 0)
    other = next(z for z in ZONES if cluster.number_of(f"{z}.") == 1)
    numbers = itertools.count()

    def is_answered():
        i = next(numbers)
        assert server.query(f"n{i}.{other}").rcode() == dns.rcode.NXDOMAIN
        return server.query(f"n{i}.{zone}").rcode() == dns.rcode.NXDOMAIN

    cluster.nodes[0].kill()
    wait_for(is_answered, 10, "an answer from the replica")
    assert sum(is_answered() for _ in range(100)) >= 90
    wait_for(lambda: server.query("www.elsewhere.test").rcode()
             == dns.rcode.REFUSED, 10, "a cluster without that node")
    wait_for(lambda: put(server, zone, "after", "192.0.2.55") == 201, 20)
    wait_for_answer(server, f"after.{zone}", "A", ["192.0.2.55"], 3)
    cluster.nodes[0].start()
    wait_for(lambda: "role:slave" in cluster.nodes[0].run("INFO", "replication"),
             10)
    assert texts(server.query(f"after.{zone}")) == ["192.0.2.55"]


# Replicas.

@pytest.fixture
def pair(tmp_path):
    ports = free_ports(2)
    master = Node(tmp_path / "master", ports[0])
    replica = Node(tmp_path / "replica", ports[1],
                   f"replicaof {HOST} {ports[0]}")
    master.run("HSET", "a.test.", "@", apex("a.test"), "www",
               address("192.0.2.1"))
    wait_for(lambda: replica.run("EXISTS", "a.test.") == "1")
    yield master, replica
    for node in (master, replica):
        if node.is_alive():
            node.stop()


def calls(node):
    """How many questions it has answered."""
    match = re.search(r"cmdstat_hmget:calls=(\d+)",
                      node.run("INFO", "commandstats"))
    return int(match[1]) if match else 0


def test_zones_are_read_from_replicas(start, pair):
    master, replica = pair
    server = start(STORE_CONF % f"redis://:{PASSWORD}@{HOST}:{master.port}"
                   f" replicas={HOST}:{replica.port} {OPTIONS}")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])
    wait_for(lambda: server.log().count("changes are told by") == 2)
    before = calls(master)
    for i in range(20):
        assert put(server, "a.test", f"n{i}", f"192.0.2.{i}") == 201
        assert texts(server.query(f"n{i}.a.test")) == [f"192.0.2.{i}"]
    assert calls(master) == before and calls(replica) >= 20

    # Without it, and with it again.
    replica.kill()
    failures = sum(server.query(f"x{i}.a.test").rcode() != dns.rcode.NXDOMAIN
                   for i in range(50))
    assert failures <= 2 and calls(master) > before
    assert server.query("www.elsewhere.test").rcode() == dns.rcode.REFUSED
    replica.start()
    wait_for(lambda: replica.run("EXISTS", "a.test.") == "1", 10)
    before = calls(replica)
    numbers = itertools.count()

    def is_asked():
        server.query(f"y{next(numbers)}.a.test")
        return calls(replica) > before

    wait_for(is_asked, 10)
    # Without the master all but edits goes on.
    master.kill()
    wait_for(lambda: server.query("z.a.test").rcode() == dns.rcode.NXDOMAIN)
    assert texts(server.query("n1.a.test")) == ["192.0.2.1"]
    assert put(server, "a.test", "never", "192.0.2.1") >= 500


def test_what_a_lost_replica_knows_is_not_served(start, pair):
    master, replica = pair
    master.run("HSET", "b.test.", "@", apex("b.test"))
    server = start(STORE_CONF % f"redis://:{PASSWORD}@{HOST}:{master.port}"
                   f" replicas={HOST}:{replica.port} {OPTIONS}")
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.1"])
    # It is up, and knows that it knows nothing.
    replica.run("CONFIG", "SET", "replica-serve-stale-data", "no")
    replica.run("REPLICAOF", HOST, 1)
    master.run("HSET", "a.test.", "www", address("192.0.2.2"))
    wait_for_answer(server, "www.a.test", "A", ["192.0.2.2"], 3)
    master.run("DEL", "b.test.")
    wait_for(lambda: server.query("b.test", "SOA").rcode() == dns.rcode.REFUSED,
             3, "the end of a zone that the replica has")
    replica.run("REPLICAOF", HOST, master.port)
    wait_for(lambda: replica.run("HGET", "a.test.", "www")
             == address("192.0.2.2"), 10)
    replica.kill()
    master.run("DEL", "a.test.")
    wait_for(lambda: server.query("a.test", "SOA").rcode() == dns.rcode.REFUSED,
             3, "the end of a zone")
    master.kill()
    wait_for(lambda: server.query("z.elsewhere.test").rcode()
             in (dns.rcode.REFUSED, dns.rcode.SERVFAIL), 3)


@pytest.mark.parametrize("options, reason", [
    ("redis://127.0.0.1/3 cluster=on", "database 0 alone"),
    ("redis://127.0.0.1 cluster=on sentinel=x", "neither with sentinel"),
    ("redis://127.0.0.1 cluster=maybe", "neither on nor off"),
    ("redis:///0 cluster=on socket=/tmp/s", "a cluster has hosts"),
    ("redis://127.0.0.1 replicas=:::", "not a host"),
    ("mysql://127.0.0.1/a cluster=on", "not an option of this store"),
])
def test_what_is_wrong_is_told_by_the_configuration(start, options, reason):
    server = start(STORE_CONF % options, run=False)
    server.allow_log("emerg")
    code, said = server.test_configuration()
    assert code != 0 and reason in said
