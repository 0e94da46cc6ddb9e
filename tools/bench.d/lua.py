"""tools/bench lua: the Lua API against Debian's libnginx-mod-http-lua with
lua-resty-core, a UDP echo in Lua against nginx's own stream `return`."""

import argparse
import contextlib
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import bench
import servers

HOST = servers.HOST
MODULES = "/usr/lib/nginx/modules"

# Each runs `n` times; the worker's own CPU time is what counts.
LOOPS = {
    "shared:get (number)": (2_000_000, "", "x = d:get('number')"),
    "shared:get (string)": (2_000_000, "", "x = d:get('text')"),
    "shared:incr": (2_000_000, "", "x = d:incr('count', 1)"),
    "shared:set": (1_000_000, "", "d:set('text2', 'value')"),
    "re.match jo (3 groups)": (
        300_000, "local subject = 'GET /path/to/1234?x=y HTTP/1.1'",
        "x = match(subject, [[^([A-Z]+) ([^ ?]+)\\\\S* HTTP/(.*)$]], 'jo')"),
    "re.match jo (none)": (
        300_000, "local subject = 'some text of no interest'",
        "x = match(subject, [[\\\\d+]], 'jo')"),
    "re.find jo": (300_000, "local subject = 'some text with 1234 in it'",
                   "x = find(subject, [[\\\\d+]], 'jo')"),
    "re.gsub jo": (100_000, "local subject = 'a1b22c333'",
                   "x = ngx.re.gsub(subject, [[\\\\d+]], '-', 'jo')"),
    "ngx.now": (5_000_000, "", "x = ngx.now()"),
    "ngx.var (uri)": (1_000_000, "local v = ngx.var", "x = v.uri"),
    "ngx.ctx": (2_000_000, "ngx.ctx.a = 1", "x = ngx.ctx.a"),
    "md5": (500_000, "", "x = ngx.md5('some text')"),
    "encode_base64": (500_000, "", "x = ngx.encode_base64('some text here')"),
    "escape_uri": (500_000, "", "x = ngx.escape_uri('some text/here')"),
    "require": (5_000_000, "", "x = require 'ngx.re'"),
    "ngx.sleep(0)": (100_000, "", "ngx.sleep(0)"),
    "thread.spawn, wait": (
        100_000, "local s, w = ngx.thread.spawn, ngx.thread.wait "
        "local function f() return 1 end", "x = w(s(f))"),
    "coroutine.wrap, 1 call": (
        200_000, "local function f() return 1 end",
        "x = coroutine.wrap(f)()"),
    "cosocket line round trip": (
        30_000, "local s = ngx.socket.tcp() "
        "assert(s:connect('127.0.0.1', ECHO))",
        "s:send('hello world\\\\n') x = s:receive()"),
    "cosocket connect, keepalive": (
        30_000, "", "local s = ngx.socket.tcp() s:connect('127.0.0.1', ECHO) "
        "s:setkeepalive()"),
}


def locations(echo_port):
    text = ""
    for i, (count, before, code) in enumerate(LOOPS.values()):
        text += """
        location /loop%d { content_by_lua_block {
            local d = ngx.shared.d
            local match, find = ngx.re.match, ngx.re.find
            local x
            d:set("number", 42) d:set("text", "some text") d:set("count", 0)
            %s
            local begin = os.clock()
            for _ = 1, %d do %s end
            ngx.say((os.clock() - begin) / %d * 1e9)
        } }""" % (i, before, count, code.replace("\\\\\\\\", "\\\\"), count)
    return text.replace("ECHO", str(echo_port)).replace("\\\\", "\\")


class Nginx:
    """One worker on one core."""

    def __init__(self, name, modules, root, build, own, http="", stream=""):
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-lua-"))
        self.port = free_port(socket.SOCK_STREAM)
        load = "".join(f"load_module {path};\n" for path in modules)
        temp = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        if http:
            http = f"""http {{ access_log off; {temp} lua_shared_dict d 10m;
                {own} keepalive_requests 100000000;
                server {{ listen {HOST}:{self.port}; {http} }} }}"""
        (self.folder / "nginx.conf").write_text(f"""{load}
user root; daemon off; worker_processes 1; pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log crit;
events {{ worker_connections 1024; multi_accept on; }}
{http}
{stream}
""")

    def __enter__(self):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(bench.SERVER_CORE), "nginx", "-p",
             self.folder, "-c", self.folder / "nginx.conf", "-e",
             self.folder / "error.log"])
        for _ in range(500):
            if (self.folder / "nginx.pid").exists():
                break
            time.sleep(0.01)
        time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        errors = (self.folder / "error.log").read_text()
        if errors:
            print(errors, file=sys.stderr)

    def get(self, path):
        with urllib.request.urlopen(
                f"http://{HOST}:{self.port}{path}", timeout=120) as reply:
            return reply.read().decode()

    def pids(self):
        return servers.descendants(self.process.pid)


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


SAY = """
    location /say { content_by_lua_block { ngx.say("hello, world") } }
    location /many { content_by_lua_block {
        for i = 1, 20 do ngx.say("line ", i) end } }
    location /echo { content_by_lua_block {
        ngx.req.read_body() ngx.header["X-A"] = "b"
        ngx.print(ngx.req.get_headers()["host"], ngx.var.arg_a) } }
"""


REDIS = """
    location /redis%s { content_by_lua_block {
        local redis = package.loaded.redis
        if not redis then
            local found, module = pcall(require, "resty.redis")
            redis = found and module or require "nginx.redis" -- Debian's name
            package.loaded.redis = redis
        end
        local red = redis:new()
        red:set_timeout(1000)
        assert(red:connect(%s))
        local value
        for _ = 1, 10 do value = assert(red:get("key")) end
        ngx.say(value)
        red:set_keepalive(10000, 100)
    } }
"""


@contextlib.contextmanager
def redis_locations():
    """A Redis on the other core: 10 GETs for each request, over TCP and over
    a Unix socket."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-lua-"))
    folder.chmod(0o755)
    port = free_port(socket.SOCK_STREAM)
    process = subprocess.Popen(
        ["taskset", "-c", str(bench.LOAD_CORE), "redis-server", "--port",
         str(port), "--bind", HOST, "--save", "", "--dir", folder,
         "--unixsocket", folder / "socket", "--unixsocketperm", "777"],
        stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            done = subprocess.run(
                ["redis-cli", "-p", str(port), "set", "key", "x" * 100],
                capture_output=True)
            if done.returncode == 0:
                break
            time.sleep(0.05)
        yield (REDIS % ("", f"'{HOST}', {port}")
               + REDIS % ("-unix", f"'unix:{folder}/socket'"))
    finally:
        process.terminate()
        process.wait()


def requests_per_cpu(server, path, seconds):
    """wrk on the other core: requests for each CPU-second of the server."""
    url = f"http://{HOST}:{server.port}{path}"
    cpu = servers.cpu_seconds(server.pids())
    done = subprocess.run(
        ["taskset", "-c", str(bench.LOAD_CORE), "wrk", "-t1", "-c32",
         f"-d{seconds}s", url], capture_output=True, text=True, check=True)
    cpu = servers.cpu_seconds(server.pids()) - cpu
    return int(re.search(r"(\d+) requests in", done.stdout)[1]) / cpu


def http_tables(both, options):
    print(f"{'ns of CPU time':<30}{both[0].name:>14}{both[1].name:>14}"
          f"{'theirs/ours':>14}")
    for i, name in enumerate(LOOPS):
        if options.only and not re.search(options.only, name):
            continue
        ns = [min(float(server.get(f"/loop{i}"))
                  for _ in range(options.rounds)) for server in both]
        print(f"{name:<30}{ns[0]:>14.1f}{ns[1]:>14.1f}"
              f"{ns[1] / max(ns[0], 0.001):>14.2f}")
    print(f"\n{'requests per CPU-second':<30}{both[0].name:>14}"
          f"{both[1].name:>14}{'ours/theirs':>14}")
    for path in ("/say", "/many", "/echo?a=b", "/redis", "/redis-unix"):
        if options.only and not re.search(options.only, path):
            continue
        rate = [max(requests_per_cpu(server, path, options.seconds)
                    for _ in range(options.rounds)) for server in both]
        print(f"{path:<30}{rate[0]:>14,.0f}{rate[1]:>14,.0f}"
              f"{rate[0] / rate[1]:>14.2f}")


STREAM = """stream { server { listen %s:%d udp; %s } }"""
ECHO = """content_by_lua_block {
    local sock = ngx.req.socket() sock:send(sock:receive()) }"""


def udp_table(modules, options):
    rows = []
    queries = pathlib.Path(tempfile.mkdtemp(prefix="bench-lua-")) / "queries"
    kind = type("Kind", (), {"is_dns": False, "is_checked": False})
    bench.write_queries(queries, 0, kind)
    for name, loaded, code in (
            ("content_by_lua_block echo", modules, ECHO),
            ("nginx's stream return", [f"{MODULES}/ngx_stream_module.so"],
             "return xxxxxxxxxxxxxxxxxxxx;")):
        port = free_port(socket.SOCK_DGRAM)
        with Nginx(name, loaded, None, None, "",
                   stream=STREAM % (HOST, port, code)) as server:
            best = 0
            for _ in range(options.rounds):
                cpu = servers.cpu_seconds(server.pids())
                load = bench.run_load(options.build, port, options.seconds, 0,
                                      queries)
                cpu = servers.cpu_seconds(server.pids()) - cpu
                total = load["qps"] * options.seconds
                best = max(best, total / cpu)
            rows.append((name, best))
    print(f"\n{'UDP answers per CPU-second':<30}")
    for name, best in rows:
        print(f"{name:<30}{best:>14,.0f}")
    print(f"{'':<30}{rows[0][1] / rows[1][1]:>14.2f}")


def main():
    parser = argparse.ArgumentParser(prog="tools/bench lua")
    parser.add_argument("top", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", help="a regular expression of rows")
    options = parser.parse_args()
    options.build = options.top / "build/release"
    ours = [f"{MODULES}/ndk_http_module.so", f"{MODULES}/ngx_stream_module.so",
            f"{options.build}/modules/ngx_resolua_module.so"]
    theirs = [f"{MODULES}/ndk_http_module.so",
              f"{MODULES}/ngx_http_lua_module.so"]

    port = free_port(socket.SOCK_STREAM)
    echo = subprocess.Popen(
        ["taskset", "-c", str(bench.LOAD_CORE),
         options.build / "bench/tcp_echo", str(port)])
    try:
        with contextlib.ExitStack() as stack:
            code = (locations(port) + SAY
                    + stack.enter_context(redis_locations()))
            both = [stack.enter_context(Nginx(
                name, modules, options.top, options.build, own, code))
                for name, modules, own in (
                    ("Resolua", ours, ""), ("Debian's", theirs, ""))]
            http_tables(both, options)
    finally:
        echo.terminate()
    if not options.only or "udp" in options.only:
        udp_table(ours, options)


if __name__ == "__main__":
    main()
