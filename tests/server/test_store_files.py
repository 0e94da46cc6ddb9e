"""The embedded store's files: cut, empty, foreign, not to be written, on a full
disk.  No worker dies of them for ever, and what is wrong is told."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

import dns.rcode
import pytest

from resolua_server import BUILD, ROOT, children, environment, sanitizer_environment, wait_for
from service_conf import SAMPLE, resolua, service, start_service

WWW = ["192.0.2.80", "192.0.2.81"]
SET = "/dns/zones/example.test/a.example.test/A"
NOBODY = 65534


def answers(server, name="www.example.test"):
    return sorted(str(rdata) for rrset in server.query(name).answer
                  for rdata in rrset)


def put(server, path=SET, records=("192.0.2.1",)):
    return server.http(path, "PUT", json.dumps({"records": records}))


def command(folder, *words, user=None):
    return subprocess.run(
        [ROOT / "tools/resolua", "--data", folder, *words],
        capture_output=True, text=True, timeout=60, user=user,
        env={**environment(), "RESOLUA_BUILD": str(BUILD)})


def is_failure(server):
    return server.query("www.example.test").rcode() == dns.rcode.SERVFAIL


def cut(path, size):
    os.truncate(path, size)


@pytest.fixture
def made(start):
    """A server that has stopped, with a store that needs many pages."""
    server = start_service(start)
    server.stop()
    big = server.folder / "big.test.zone"
    big.write_text("@ 60 SOA ns1 h 1 1 1 1 1\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n"
                   + "".join(f"h{i} 60 TXT {i}\n" for i in range(3000)))
    resolua(server, "zone", "load", big)
    return server


@pytest.mark.parametrize("what, message", [
    ("half", r"data.mdb was cut: it has \d+ octets of \d+; restore it"),
    ("a page", "data.mdb was cut: it has 4096 octets of"),
    ("empty", "data.mdb is empty: restore it from a copy, or remove it"),
    ("garbage", "MDB_INVALID: File is not an LMDB file"),
    ("version", "MDB_VERSION_MISMATCH"),
])
def test_a_damaged_file_is_told_and_is_servfail(made, what, message):
    path = made.folder / "data/data.mdb"
    whole = path.read_bytes()
    if what == "garbage":
        path.write_bytes(os.urandom(len(whole)))
    elif what == "version":
        path.write_bytes(whole[:20] + b"\x07" + whole[21:])
    else:
        cut(path, {"half": len(whole) // 8192 * 4096, "a page": 4096,
                   "empty": 0}[what])
    damaged = path.read_bytes()

    for words in (("zone", "list"), ("zone", "show", "big.test"),
                  ("record", "add", "big.test", "x", "A", "192.0.2.1")):
        done = command(made.folder / "data", *words)
        assert done.returncode == 1, words
        assert re.search(message, done.stderr), done.stderr

    made.start()
    [worker] = children(made.process.pid)
    assert is_failure(made)
    for _ in range(50):
        assert is_failure(made)
    reply = put(made)
    assert reply.status in (500, 503) and re.search(message, reply.text)
    assert children(made.process.pid) == [worker]
    lines = [x for x in made.log().splitlines() if re.search(message, x)]
    assert 1 <= len(lines) < 20 and "SERVFAIL until" in made.log()
    assert path.read_bytes() == damaged

    path.write_bytes(whole)
    made.reload()
    wait_for(lambda: answers(made) == WWW)


def test_a_file_that_is_cut_under_a_running_server(made):
    """A worker may die of it, once; the next one says why and answers."""
    made.allowed.append(re.compile(
        "exited on signal (6|7|10)|AddressSanitizer(:DEADLYSIGNAL|: BUS | can not )"
        if sanitizer_environment() else "exited on signal (7|10)"))
    path = made.folder / "data/data.mdb"
    whole = path.read_bytes()
    made.start()
    [first] = children(made.process.pid)
    assert answers(made) == WWW
    cut(path, len(whole) // 8192 * 4096)
    assert command(made.folder / "data", "zone", "list").returncode == 1
    reply = None
    with contextlib.suppress(OSError):
        reply = put(made, "/dns/zones/big.test/x.big.test/A")
    assert reply is None or reply.status in (500, 503)

    def settled():
        workers = children(made.process.pid)
        with contextlib.suppress(Exception):
            made.query("h2999.big.test", timeout=0.5)
        return workers and children(made.process.pid) == workers \
            and "data.mdb was cut" in made.log()

    wait_for(settled, 30)
    [last] = children(made.process.pid)
    for i in range(50):
        assert made.query(f"h{i}.big.test", "TXT").rcode() in (
            dns.rcode.NOERROR, dns.rcode.SERVFAIL)
    assert made.log().count("exited on signal") <= 2
    path.write_bytes(whole)
    made.reload()
    wait_for(lambda: children(made.process.pid) not in ([first], [last])
             and answers(made) == WWW)


@contextlib.contextmanager
def small_disk(folder, size):
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs",
                    folder], check=True)
    try:
        yield lambda options: subprocess.run(
            ["mount", "-o", f"remount,{options}", folder], check=True)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_read_only_file_system_is_answered_from(start, tmp_path):
    with small_disk(tmp_path / "disk", "16m") as remount:
        server = start(service().replace("@FOLDER@/data",
                                         f"{tmp_path}/disk/data"), run=False)
        data = tmp_path / "disk/data"
        assert command(data, "zone", "load", SAMPLE).returncode == 0
        remount("ro")
        server.start()
        assert answers(server) == WWW
        assert server.http("/dns/zones/example.test").status == 200
        for _ in range(3):
            reply = put(server)
            assert reply.status == 500
            assert "no edit is taken, because its file system is read-only" \
                in reply.json()["error"]
        log = server.log()
        assert log.count("no edit is taken, because its file system is"
                         " read-only; make it writable and reload") == 1
        assert log.count("an edit of example.test has failed") == 1
        done = command(data, "record", "add", "example.test", "a", "A",
                       "192.0.2.1")
        assert done.returncode == 1 and "read-only" in done.stderr
        assert command(data, "zone", "list").stdout

        remount("rw")
        server.reload()
        wait_for(lambda: put(server).status == 201)
        server.stop()


@pytest.fixture
def open_folder():
    """One that every user may enter; pytest's own folders are their owner's."""
    with tempfile.TemporaryDirectory(prefix="resolua-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


@pytest.mark.parametrize("locks", [0o644, 0o666])
def test_a_store_of_another_user_is_answered_from(open_folder, locks):
    data = open_folder / "data"
    assert command(data, "zone", "load", SAMPLE).returncode == 0
    data.chmod(0o755)
    (data / "data.mdb").chmod(0o644)
    (data / "lock.mdb").chmod(locks)
    shown = command(data, "zone", "show", "example.test", user=NOBODY)
    assert "www.example.test." in shown.stdout, shown.stderr
    done = command(data, "record", "add", "example.test", "a", "A",
                   "192.0.2.1", user=NOBODY)
    assert done.returncode == 1
    assert "no edit is taken, because this user may not write it" \
        in done.stderr
    assert command(data, "record", "add", "example.test", "a", "A",
                   "192.0.2.1").returncode == 0


def test_a_full_disk_is_told(start, tmp_path):
    with small_disk(tmp_path / "disk", "1m"):
        server = start(service().replace("@FOLDER@/data",
                                         f"{tmp_path}/disk/data"), run=False)
        data = tmp_path / "disk/data"
        assert command(data, "zone", "load", SAMPLE).returncode == 0
        server.start()
        done, failed = [], None
        text = ['"' + "x" * 255 + '"'] * 200
        for i in range(1000):
            reply = put(server, f"/dns/zones/example.test/n{i}/TXT",
                        [" ".join(text)])
            if reply.status != 201:
                failed = reply
                break
            done.append(i)
        assert done and failed.status == 500
        assert "No space left on device" in failed.json()["error"]
        for _ in range(5):
            assert put(server, "/dns/zones/example.test/more/TXT",
                       [" ".join(text)]).status == 500
        assert server.log().count("an edit of example.test has failed: the "
                                  "store cannot be written: No space left") == 1
        assert answers(server) == WWW
        for i in done:
            assert server.http(
                f"/dns/zones/example.test/n{i}/TXT").status == 200
        for i in done[:2]:
            server.http(f"/dns/zones/example.test/n{i}/TXT", "DELETE")
        server.stop()
