"""The examples of conf/examples as they stand there, on ports of the test's
own."""

import json
import re
import socket
import subprocess

import pytest

from resolua_server import HOST, ROOT, have, start_redis, free_port, wait_for

EXAMPLES = ROOT / "conf/examples"


def start_example(start, name, ports, words=(), prepare=None, run=True,
                  **options):
    """The example's http {} and stream {}; ports maps its ports to names."""
    text = (EXAMPLES / name / "nginx.conf").read_text()
    text = text[text.index("events {}") + len("events {}"):]
    for word, value in words:
        text = text.replace(word, value)
    text = text.replace("@DATA@", "@FOLDER@")
    for port, word in ports.items():
        text = re.sub(rf"(?<=127\.0\.0\.1:){port}\b", f"@{word}@", text)
    server = start(text, run=False, **options)
    if prepare:
        prepare(server)
    return server.start() if run else server


def test_every_example_has_its_readme():
    for folder in EXAMPLES.iterdir():
        text = (folder / "README.md").read_text()
        assert f"conf/examples/{folder.name}/nginx.conf" in text
        assert f"examples/{folder.name}/" in (
            ROOT / "conf/README.md").read_text()


# ffi

def build_luhn(server):
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o",
         server.folder / "libluhn.so", EXAMPLES / "ffi/luhn.c"], check=True)


def luhn(digits):
    total = 0
    for i, digit in enumerate(map(int, reversed(digits))):
        digit <<= i % 2
        total += digit - 9 if digit > 9 else digit
    return len(digits) > 1 and total % 10 == 0


NUMBERS = ["4539578763621486", "4539578763621487", "79927398713",
           "79927398710", "0", "00", "12x4", ""]


def test_ffi_over_http_and_stream(start):
    server = start_example(start, "ffi", {8084: "HTTP", 8085: "LINES"},
                           prepare=build_luhn)
    expected = ["valid" if n.isdigit() and luhn(n) else "wrong"
                for n in NUMBERS]
    assert expected.count("valid") == 3
    assert [server.http("/check?number=" + n).text.strip()
            for n in NUMBERS] == expected

    with socket.create_connection((HOST, server.port("LINES")), 5) as s:
        s.sendall("".join(n + "\n" for n in NUMBERS).encode())
        s.shutdown(socket.SHUT_WR)
        lines = s.makefile().read().split()
    assert lines == expected


def test_ffi_without_the_library(start):
    server = start_example(start, "ffi", {8084: "HTTP", 8085: "LINES"})
    assert server.http("/check?number=1").status == 500
    server.wait_for_log(r"no file '.*libluhn\.so'")
    server.allow_log(r"luhn\.lua:9:")


# json-api

def send(server, method, path, value=None):
    return server.http(path, method, value if isinstance(value, str)
                       else value and json.dumps(value))


def test_notes(start):
    server = start_example(start, "json-api", {8086: "HTTP"}, workers=2)
    assert server.http("/notes").json() == {"count": 0}
    reply = send(server, "POST", "/notes", {"text": "buy milk"})
    assert reply.status == 201
    assert reply.headers["Location"] == "/notes/1"
    assert reply.headers["Content-Type"] == "application/json"
    send(server, "POST", "/notes", {"text": "ü\n\""})
    assert server.http("/notes/2").json() == {"number": 2, "text": "ü\n\""}
    assert send(server, "PUT", "/notes/1", {"text": "oat"}).status == 200
    assert server.http("/notes").json() == {"count": 2, "notes": [
        {"number": 1, "text": "oat"}, {"number": 2, "text": "ü\n\""}]}
    assert send(server, "DELETE", "/notes/1").status == 204
    for method in ("GET", "DELETE"):
        assert send(server, method, "/notes/1").status == 404
    assert send(server, "PUT", "/notes/9", {"text": "x"}).status == 404
    assert send(server, "POST", "/notes/2", {"text": "x"}).status == 405
    assert server.http("/notes/x").status == 404


@pytest.mark.parametrize("body", ["", "{", "[]", "7", "{}", '{"text":7}',
                                  json.dumps({"text": "x" * 1001})])
def test_bad_notes(start, body):
    server = start_example(start, "json-api", {8086: "HTTP"})
    assert send(server, "POST", "/notes", body).status == 400
    assert server.http("/notes").json() == {"count": 0}


# redis-blocklist

def redis_cli(port, *words):
    subprocess.run(["redis-cli", "-p", str(port), *words], check=True,
                   capture_output=True)


def rcode(server, name):
    return server.query(name).rcode()


@pytest.mark.skipif(not have("redis-server"), reason="no redis-server")
def test_the_blocklist_follows_redis(start, programs, tmp_path):
    port = free_port()
    redis = start_redis(tmp_path / "redis", port)
    programs.append(redis)
    redis_cli(port, "sadd", "blocked", "ads.test", "Tracker.example.")
    server = start_example(
        start, "redis-blocklist", {8087: "HTTP", 5302: "DNS"},
        [("6379", str(port)), ("seconds = 5", "seconds = 0.2"),
         ("@FORWARD@", "")], workers=2)
    server.wait_for_log("start worker process")

    wait_for(lambda: server.http("/blocked").text.startswith("2 names"))
    wait_for(lambda: all(rcode(server, "www.ads.test") == 3
                         for _ in range(10)))
    assert rcode(server, "tracker.example") == 3
    assert rcode(server, "xads.test") == rcode(server, "test") == 5

    redis_cli(port, "srem", "blocked", "ads.test")
    redis_cli(port, "sadd", "blocked", "xads.test")
    wait_for(lambda: all(rcode(server, "xads.test") == 3
                         and rcode(server, "ads.test") == 5
                         for _ in range(10)))

    redis.stop()
    server.wait_for_log("the blocked names stay as they are")
    assert rcode(server, "xads.test") == 3
