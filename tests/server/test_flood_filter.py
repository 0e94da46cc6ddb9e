"""While a zone of a database is flooded with random names, a filter on the UDP
sockets drops most of them.  It hides nothing that exists, and leaves no trace."""

import contextlib
import ctypes
import errno
import json
import os
import signal
import socket

import dns.rcode
import pytest

from resolua_server import wait_for
from service_conf import resolua
from stores import texts
from test_flood import (
    NUMBERS, Flood, answer, kernel_drops, names_are_told, numbers,
    others_are_answered, wait_for_shed)
# pylint: disable=unused-import
from test_stores_failure import (  # noqa: F401  (fixtures)
    Setting, mysql, redis, setting)

OPTIONS = "timeout=10s poll=50ms ttl_cap=1h queue=64"
SO_GET_FILTER = 26
PIDFD_GETFD = 438  # a system call's number
LIBC = ctypes.CDLL(None, use_errno=True)


def inode_of(port):
    """Of the UDP sockets of a port."""
    with open("/proc/net/udp") as table:
        rows = [line.split() for line in table]
    return [words[9] for words in rows if words[1].endswith(f":{port:04X}")]


def instructions(pid, port):
    """How many a filter on each of the process's UDP sockets has."""
    wanted = {f"socket:[{inode}]" for inode in inode_of(port)}
    counts = []
    process = os.pidfd_open(pid)
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f"/proc/{pid}/fd/{fd}") not in wanted:
                continue
            own = LIBC.syscall(PIDFD_GETFD, process, int(fd), 0)
            if own < 0:  # it was closed just now
                assert ctypes.get_errno() == errno.EBADF
                continue
            size = ctypes.c_uint(0)
            LIBC.getsockopt(own, socket.SOL_SOCKET, SO_GET_FILTER, None,
                            ctypes.byref(size))
            counts.append(size.value)
            os.close(own)
    os.close(process)
    return counts


def filters(server):
    """Of all workers' sockets: the instructions of each filter that is there."""
    port = server.port("DNS")
    return [count for pid in server.worker_pids()
            for count in instructions(pid, port) if count > 0]


class Filtered:
    """A server whose store is flooded with random names."""

    def __init__(self, setting, listen="reuseport", more="",  # noqa: F811
                 options=OPTIONS, workers=1):
        self.setting = setting
        self.zone = f"{setting.kind}.test"
        self.server = setting.serve(
            options, server=more + "}" + NUMBERS.strip().removesuffix("}"),
            listen=listen, workers=workers)
        setting.warm_up()
        names_are_told(setting)
        setting.proxy.delay = 0.02
        setting.proxy.mode = "delay"

    def flood(self, suffix=None):
        return Flood(self.server, suffix or self.zone)

    def wait(self):
        """Until the filter is there and drops."""
        begin = numbers(self.server)["filtered"]

        def drops():
            others_are_answered(self.server, "www.lmdb.test", 10)
            return (filters(self.server)
                    and numbers(self.server)["filtered"] > begin + 200)
        wait_for(drops, 120, "a filter that drops")

    def wait_until_clean(self):
        wait_for(lambda: not filters(self.server), 60, "no filter")


def check_counts(server):
    """The socket's drops are the kernel's and the filter's."""
    def are_equal():
        answer(server, "www.lmdb.test")
        counts = numbers(server)
        return (counts["filtered"] + counts["kernel_dropped"]
                == kernel_drops(server.port("DNS")))
    wait_for(are_equal, 60, "equal counts")


def load_below(server, zone):
    """A zone of the embedded store."""
    resolua(server, "zone", "load", server.file("near", f"""\
$ORIGIN near.{zone}.
@ 60 SOA ns1 hostmaster 7 3600 600 86400 60
@ 60 NS ns1
ns1 60 A 192.0.2.53
*.wild 60 A 192.0.2.83
"""))


def test_it_hides_nothing_that_exists(setting):  # noqa: F811
    zone = f"{setting.kind}.test"
    for i in range(20):  # none of them is in the cache
        setting.zones.set(zone, f"f{i}", "A", 60, f"192.0.2.{i + 1}")
    setting.zones.set(zone, "cut", "NS", 60, "ns.other.test.")
    f = Filtered(setting, options=OPTIONS.replace("=1h", "=2s"))
    with f.flood():
        f.wait()
        for i in range(20):
            assert texts(setting.ask(f"f{i}", timeout=60)) == [
                f"192.0.2.{i + 1}"]
            assert not setting.ask(f"F{i}", qtype="AAAA", timeout=60).answer
        for i in range(5):  # who asks again is answered
            name = f"w{i}.wild.{zone}"
            wait_for(lambda: texts(answer(f.server, name)) == ["192.0.2.99"],
                     120)
        wait_for(lambda: answer(f.server, f"host.cut.{zone}").authority, 120)
        # What another program adds comes within ttl_cap.
        setting.zones.set(zone, "added", "A", 60, "192.0.2.70")
        wait_for(lambda: texts(answer(f.server, f"added.{zone}"))
                 == ["192.0.2.70"], 120)
        load_below(f.server, zone)
        for i in range(5):
            assert texts(answer(f.server, f"x{i}.wild.near.{zone}")) == [
                "192.0.2.83"]
        f.wait_until_clean()
    check_counts(f.server)
    f.server.wait_for_log(f"names below {zone}. that do not exist are dropped")


def test_an_edit_is_answered_at_once(setting):  # noqa: F811
    """By both workers, at the first try."""
    zone = f"{setting.kind}.test"
    f = Filtered(setting, workers=2)
    with f.flood():
        for i in range(3):
            f.wait()
            reply = f.server.http(
                f"/dns/zones/{zone}/e{i}/A", "PUT",
                json.dumps({"ttl": 60, "records": [f"192.0.2.{i + 1}"]}),
                timeout=60)
            assert reply.status == 201
            for _ in range(8):
                assert texts(setting.ask(f"e{i}", timeout=60)) == [
                    f"192.0.2.{i + 1}"]
        f.wait()
        reply = f.server.http(f"/dns/zones/new.{zone}", "PUT", f"""\
$ORIGIN new.{zone}.
@ 60 SOA ns1 hostmaster 7 3600 600 86400 60
@ 60 NS ns1
""", timeout=60)
        assert reply.status == 201
        for _ in range(8):
            response = f.server.query(f"new.{zone}", "NS", timeout=60)
            assert len(response.answer) == 1
    f.wait_until_clean()


def test_it_goes_with_the_flood(setting):  # noqa: F811
    f = Filtered(setting)
    with f.flood():
        f.wait()
    f.wait_until_clean()
    f.setting.proxy.mode = "pass"
    assert answer(f.server, f"calm2.{f.zone}").rcode() == dns.rcode.NXDOMAIN


def test_a_worker_that_is_killed_leaves_none(setting):  # noqa: F811
    f = Filtered(setting)
    with f.flood():
        f.wait()
        [pid] = f.server.worker_pids()
        os.kill(pid, signal.SIGSTOP)
    assert filters(f.server)
    f.server.allow_log("exited on signal 9")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: f.server.worker_pids() not in ([pid], []), 60)
    f.wait_until_clean()
    assert texts(answer(f.server, f"www.{f.zone}")) == ["192.0.2.80"]


def test_a_reload_leaves_none(setting):  # noqa: F811
    f = Filtered(setting, listen="")  # one worker: it is its own socket
    with f.flood():
        f.wait()
        f.server.reload()
        f.wait()  # of the new worker, or the old one's counts
        conf = f.server.folder / "nginx.conf"
        conf.write_text(conf.read_text().replace(
            "dns_cache", "dns_flood_limit off; dns_cache", 1))
        old = f.server.worker_pids()
        f.server.reload()
        wait_for(lambda: not set(old) & set(f.server.worker_pids()), 60,
                 "the old worker's end")
        assert not filters(f.server)
    wait_for(lambda: texts(answer(f.server, f"www.{f.zone}"))
             == ["192.0.2.80"], 60)


def test_a_flood_below_a_name_is_found(setting):  # noqa: F811
    """The filter knows what stands there."""
    zone = f"{setting.kind}.test"
    setting.zones.set(zone, "a.deep", "A", 60, "192.0.2.60")
    setting.zones.set(zone, "deep", "A", 60, "192.0.2.61")
    f = Filtered(setting)
    with f.flood(f"deep.{zone}"):
        f.wait()
        f.server.wait_for_log(f"names below deep.{zone}. that do not exist")
        assert texts(setting.ask("a.deep", timeout=60)) == ["192.0.2.60"]
        assert texts(setting.ask("deep", timeout=60)) == ["192.0.2.61"]


@pytest.mark.parametrize("server, listen", [
    ("dns_query_by_lua_block { }", "reuseport"),
    ("", "")])  # the workers share one socket
def test_what_has_to_be_seen_is_not_filtered(redis, mysql, start,  # noqa: F811
                                             server, listen):
    setting = Setting(start, redis, mysql)  # noqa: F811
    f = Filtered(setting, listen, workers=2, more=server)
    with f.flood():
        wait_for_shed(f.server, "www.lmdb.test", 1000)
        assert not filters(f.server)
