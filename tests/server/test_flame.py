"""resolua flame: stacks of a running worker."""

import re
import shutil
import socket
import subprocess
import threading
import time
import xml.etree.ElementTree

import pytest

from lua_conf import http_lua
from resolua_server import BUILD, ROOT, environment

BUSY = """
    local function leaf(n)
        local s = 0
        for i = 1, n do s = s + #tostring(i) end
        return s
    end
    local function inner(n) return leaf(n) + 1 end
    function outer() return inner(20000) + 1 end
    local stop = ngx.now() + tonumber(ngx.var.arg_for)
    while ngx.now() < stop do outer() ngx.sleep(0) end
    ngx.say("done")
"""


def flame(*words):
    done = subprocess.run(
        [ROOT / "tools/resolua", "flame", *map(str, words)], text=True,
        capture_output=True, timeout=60,
        env={**environment(), "RESOLUA_BUILD": str(BUILD)})
    return done.returncode, done.stdout, done.stderr


def watch(server, *words, seconds=1.5):
    """flame's result while /t is busy."""
    t = threading.Thread(target=server.http, args=(f"/t?for={seconds}",))
    t.start()
    time.sleep(0.1)
    try:
        return flame("--pid", server.pid, "--time", 0.6, *words)
    finally:
        t.join()


def counts(text):
    return {stack: int(count) for stack, count in
            re.findall(r"^(.*) (\d+)$", text, re.M)}


def test_lua_stacks(start):
    server = start(http_lua(BUSY), workers=2)
    code, text, errors = watch(server, "--folded", "-o", "-")
    assert (code, errors) == (0, "")
    found = [stack for stack in counts(text)
             if re.search(r"inner@.*leaf@.*:\d+", stack)]
    assert found and all(stack.startswith("content_by_lua*;")
                         for stack in found)
    assert sum(counts(text).values()) > 20


def test_off_again_and_on_again(start):
    server = start(http_lua(BUSY))
    for _ in range(2):
        code, text, _ = watch(server, "--folded", "-o", "-", seconds=1)
        assert code == 0 and "leaf@" in text
    assert server.http("/t?for=0.1").text == "done\n"


def test_the_graph_is_well_formed(start, tmp_path):
    server = start(http_lua(BUSY))
    path = tmp_path / "out.svg"
    assert watch(server, "-o", path) == (0, "", "")
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


def test_odd_clients_of_the_control_socket(start):
    server = start(http_lua(BUSY))
    server.http("/t?for=0")
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
                 b"sample -1\n", b"sample 99999\n", b"sample 1\n"):
        assert ask(data) == b""
        ask(data, end=False)
    time.sleep(0.1)  # one at a time: the last has to be gone
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(name)
        first.sendall(b"sample 1\n")
        time.sleep(0.05)
        assert ask(b"sample 1\n") == b""  # one at a time
        assert server.http("/t?for=0.3").text == "done\n"
        first.shutdown(socket.SHUT_WR)
        assert b"leaf@" in b"".join(iter(lambda: first.recv(65536), b""))


def test_the_worker_may_exit_meanwhile(start):
    server = start(http_lua(BUSY))
    server.http("/t?for=0")  # the worker is up
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"\0resolua-worker-{server.worker_pids()[0]}")
        s.sendall(b"sample 1\n")
        time.sleep(0.05)
        server.stop()
        assert s.recv(100) == b""


@pytest.mark.skipif(not shutil.which("perf"), reason="no perf")
def test_c_stacks(start):
    server = start(http_lua(BUSY))
    code, text, errors = watch(server, "--c", "--folded", "-o", "-")
    if "perf record" in errors:
        pytest.skip("perf may not record here")
    assert code == 0 and sum(counts(text).values()) > 20
