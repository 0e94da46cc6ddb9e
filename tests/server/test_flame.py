"""resolua flame: stacks of a running worker."""

import contextlib
import pathlib
import random
import re
import shutil
import socket
import subprocess
import threading
import time
import xml.etree.ElementTree

import pytest

from lua_conf import http_lua
from resolua_server import BUILD, ROOT, environment, wait_for

BUSY = """
    local function leaf(n)
        local s = 0
        for i = 1, n do s = s + #tostring(i) end
        return s
    end
    local function inner(n) return leaf(n) + 1 end
    function outer() return inner(20000) + 1 end
    local function is_over()
        local file = ngx.var.arg_stop and io.open(ngx.var.arg_stop)
        if file then file:close() end
        return file or not ngx.var.arg_stop
    end
    repeat outer() ngx.sleep(0) until is_over()
    ngx.say("done")
"""


def flame(*words):
    done = subprocess.run(
        [ROOT / "tools/resolua", "flame", *map(str, words)], text=True,
        capture_output=True, timeout=60,
        env={**environment(), "RESOLUA_BUILD": str(BUILD)})
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def busy(server):
    """/t is busy within."""
    stop = server.folder / f"stop{random.random()}"
    t = threading.Thread(target=server.http, args=(f"/t?stop={stop}",),
                         kwargs={"timeout": 300})
    t.start()
    try:
        yield
    finally:
        stop.write_text("")
        t.join()


def counts(text):
    return {stack: int(count) for stack, count in
            re.findall(r"^(.*) (\d+)$", text, re.M)}


def watch(server, *words, wanted="leaf@", at_least=1):
    """The stacks of so many samples of a busy worker with the wanted frame,
    looked at again until there are some: a machine may be slow, and the worker
    may not have begun."""
    seconds = 0.3
    with busy(server):
        while True:
            code, text, errors = flame("--pid", server.pid, "--time", seconds,
                                       "--folded", "-o", "-", *words)
            found = {stack: count for stack, count in counts(text).items()
                     if re.search(wanted, stack)}
            if sum(found.values()) >= at_least:
                return code, found, errors
            assert code == 0 or "nothing was seen" in errors, errors
            seconds *= 2
            assert seconds < 60, text


def test_lua_stacks(start):
    server = start(http_lua(BUSY), workers=2)
    code, found, errors = watch(server, wanted=r"inner@.*leaf@.*:\d+",
                                at_least=10)
    assert (code, errors) == (0, "")
    assert all(stack.startswith("content_by_lua*;") for stack in found)


def test_off_again_and_on_again(start):
    server = start(http_lua(BUSY))
    for _ in range(2):
        assert watch(server)[0] == 0
    assert server.http("/t").text == "done\n"


def test_the_graph_is_well_formed(start, tmp_path):
    server = start(http_lua(BUSY))
    path = tmp_path / "out.svg"
    watch(server)  # the worker is up, and busy as soon as it is asked to be
    with busy(server):
        wait_for(lambda: flame("--pid", server.pid, "--time", 1, "-o", path)
                 == (0, "", "") and "leaf@" in path.read_text(), 120,
                 "a graph with samples")
    root = xml.etree.ElementTree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == space + "svg"
    frames = [g for g in root.iter(space + "g")
              if g.get("class") == "frame"]
    names = [g.get("data-name") for g in frames]
    assert names[0] == "all" and any("leaf@" in name for name in names)
    for g in frames:
        x, w = float(g.get("data-x")), float(g.get("data-w"))
        assert 0 <= x < 1 and 0 < w <= 1.000001 and x + w <= 1.000001
    assert "function zoom(" in root.find(space + "script").text


def test_what_it_cannot_do(start, tmp_path):
    server = start(http_lua(BUSY))
    pid = server.worker_pids()[0]
    out = tmp_path / "o.svg"
    assert flame("--pid", 1, "--time", 0.1, "-o", out)[0] == 1
    code, _, errors = flame("--pid", pid, "--time", 0.1, "-o", out)
    assert code == 1 and "nothing was seen" in errors
    for words in (["-o"], ["--time", "x", "-o", out], ["--fast"], []):
        assert flame(*words)[0] == 1
    assert not out.exists()


@contextlib.contextmanager
def attached(server, command):
    """A connection to the worker's control socket that it has taken: it takes
    one at a time, and the one before may not be gone yet."""
    server.http("/t")  # the worker is up
    name = f"\0resolua-worker-{server.worker_pids()[0]}"

    def attach():
        s = socket.socket(socket.AF_UNIX)
        s.connect(name)
        try:
            s.sendall(command)
            server.http("/t")  # which the worker does after it has seen us
            if s.recv(1, socket.MSG_DONTWAIT) is not None:
                s.close()
        except BlockingIOError:
            return s
        except OSError:
            s.close()
        return None

    s = wait_for(attach, 60, "the control socket")
    try:
        yield s
    finally:
        s.close()


def test_odd_clients_of_the_control_socket(start):
    server = start(http_lua(BUSY))
    server.http("/t")
    name = f"\0resolua-worker-{server.worker_pids()[0]}"

    def ask(data, end=True):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(name)
            try:
                s.sendall(data)
                if end:
                    s.shutdown(socket.SHUT_WR)
                    return s.recv(100)
            except (ConnectionResetError, BrokenPipeError):
                pass
            return b""
    for data in (b"", b"\n", b"x" * 1000, b"sample\n", b"sample 0\n",
                 b"sample -1\n", b"sample 99999\n", b"sample 1\n",
                 b"map", b"map\n", b"map\nmap\n", b"maps\n"):
        assert ask(data) == b""
        ask(data, end=False)
    seconds, report = 0.2, b""
    while b"leaf@" not in report:
        with attached(server, b"sample 1\n") as first:
            assert ask(b"sample 1\n") == b""  # one at a time
            with busy(server):
                time.sleep(seconds)
            first.shutdown(socket.SHUT_WR)
            report = b"".join(iter(lambda: first.recv(65536), b""))
        seconds *= 2
        assert seconds < 60


def test_the_worker_may_exit_meanwhile(start):
    server = start(http_lua(BUSY))
    server.http("/t")  # the worker is up
    with attached(server, b"sample 1\n") as s:
        server.stop()
        assert s.recv(100) == b""


@pytest.mark.skipif(not shutil.which("perf"), reason="no perf")
def test_c_stacks_name_what_is_compiled(start):
    server = start(http_lua(BUSY))
    probe = subprocess.run(["perf", "record", "-o", server.folder / "perf",
                            "true"], capture_output=True, timeout=60)
    if probe.returncode != 0:
        pytest.skip("perf may not record here")
    code, found, errors = watch(server, "--c", wanted=r"Lua [^;]*:\d+")
    assert (code, errors) == (0, "")
    assert not any("[unknown];[unknown]" in stack for stack in found)
    assert not list(pathlib.Path("/tmp").glob(
        f"perf-{server.worker_pids()[0]}.map"))
    assert server.http("/t").text == "done\n"


def test_workers_that_may_not_be_watched_are_left_out(start):
    """As another user's nginx on the host: here one that is watched already."""
    mine, others = start(http_lua(BUSY)), start(http_lua(BUSY))
    others.http("/t")
    pid = others.worker_pids()[0]
    with attached(others, b"sample 1\n"):
        with busy(mine):
            seconds = 0.5
            while seconds < 60:
                code, text, errors = flame("--time", seconds, "--folded",
                                           "-o", "-")
                if code == 0 and "leaf@" in text:
                    break
                seconds *= 2
        assert code == 0 and "leaf@" in text, errors
        assert f"worker {pid} is left out" in errors
        code, _, errors = flame("--pid", pid, "--time", 0.1, "-o", "-")
        assert code == 1 and "is being watched" in errors
