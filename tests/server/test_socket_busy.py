"""One light thread sleeps in a socket's method while another calls one of
its methods: it is told that the socket is busy, and the first one wakes."""

import socket
import threading

import pytest

from lua_conf import Peer
from resolua_server import HOST

# Each is given a socket and sleeps for 0.3 s, then fails.
STATES = {
    "resolving": "return s:connect('some.example.org', 80)",
    "connecting": "return s:connect('127.0.0.1', FULL)",
    "queued": """
        local one = { pool = tostring(s), pool_size = 1, backlog = 5 }
        local first = ngx.socket.tcp()
        assert(first:connect("127.0.0.1", SILENT, one))
        local ok, err = s:connect("127.0.0.1", SILENT, one)
        first:close()
        return ok, err""",
    "handshake": """
        assert(s:connect("127.0.0.1", SILENT))
        return s:sslhandshake(false, "x", false)""",
    "receiving": """
        assert(s:connect("127.0.0.1", SILENT))
        return s:receive()""",
    "sending": """
        assert(s:connect("127.0.0.1", SILENT))
        s:setoption("sndbuf", 4096)
        return s:send(("x"):rep(200000))""",
}

WAKES = dict.fromkeys(STATES, "nil timeout")
WAKES["resolving"] = ("nil some.example.org could not be resolved "
                      "(110: Operation timed out)")

# What is said to the other thread of those that need the connection.
REFUSED = {"resolving": "nil closed", "queued": "nil closed",
           "connecting": "nil socket busy connecting",
           "handshake": "nil socket busy connecting",
           "receiving": "nil socket busy reading",
           "sending": "nil socket busy writing"}
CONNECTS = dict(REFUSED, resolving="nil socket busy connecting",
                queued="nil socket busy connecting")

CODE = """
    local function show(...)
        local t = {}
        for i = 1, select("#", ...) do t[i] = tostring((select(i, ...))) end
        return table.concat(t, " ")
    end
    local calls = {
        { "setkeepalive" }, { "setkeepalive", 1000, 5 }, { "close" },
        { "connect", "127.0.0.1", SILENT },
        { "connect", "other.example.org", 80 },
        { "sslhandshake", false, "x", false },
        { "settimeouts", 1000, 1000, 1000 }, { "bind", "127.0.0.1" },
        { "setoption", "keepalive", true }, { "getoption", "keepalive" },
        { "getreusedtimes" }, { "setclientcert", nil, nil, n = 3 },
        { "settrustedstore", nil, n = 2 }, { "getsslpointer" },
        { "getsslsession" }, { "getsslctx" }, { "peek", 1 },
        { "send", "x" }, { "receive", 1 }, { "receiveany", 1 },
        { "shutdown", "send" },
    }
    local function try(call)
        local s = ngx.socket.tcp()
        s:settimeouts(300, 300, 300)
        local said
        local other = ngx.thread.spawn(function()
            ngx.sleep(0.05)
            said = show(s[call[1]](s, unpack(call, 2, call.n or #call)))
        end)
        local woken = show((function() STATE end)())
        ngx.thread.wait(other)
        return call[1] .. ": " .. said .. "\\t" .. woken
    end
    local threads = {}
    for i, call in ipairs(calls) do
        threads[i] = ngx.thread.spawn(try, call)
    end
    for i = 1, #threads do
        local _, text = ngx.thread.wait(threads[i])
        ngx.say(text)
    end
"""


@pytest.fixture
def peers():
    """The fields of CODE: a peer that says nothing and one that accepts no
    more connections."""
    stop = threading.Event()
    silent = Peer(lambda connection: stop.wait(30))
    silent.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    full = socket.socket()
    full.bind((HOST, 0))
    full.listen(0)
    address = full.getsockname()
    waiting = []
    for _ in range(4):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(address)
    resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    resolver.bind((HOST, 0))
    yield {"SILENT": silent.port, "FULL": address[1],
           "RESOLVER": resolver.getsockname()[1]}
    stop.set()
    silent.close()
    for one in [full, resolver, *waiting]:
        one.close()


def fill(text, fields):
    for name, value in fields.items():
        text = text.replace(name, str(value))
    return text


SETTINGS = """lua_socket_log_errors off; resolver 127.0.0.1:RESOLVER ipv6=off;
    resolver_timeout 300ms;"""


def expected(state):
    """The lines of calls whose outcome is the same in each state of waiting,
    by their beginnings."""
    refused, busy = REFUSED[state], CONNECTS[state]
    return [f"setkeepalive: {refused}", f"setkeepalive: {refused}",
            f"close: {refused}", f"connect: {busy}", f"connect: {busy}",
            f"sslhandshake: {refused}"]


@pytest.mark.parametrize("subsystem", ["http", "stream"])
def test_another_thread_calls_a_method(start, peers, subsystem):
    def code(state):
        return fill(CODE, {"STATE": STATES[state]})
    if subsystem == "http":
        conf = "http { %s server { listen 127.0.0.1:@HTTP@; %s } }" % (
            SETTINGS, "".join("location /%s { content_by_lua_block { %s } }"
                              % (state, code(state)) for state in STATES))
    else:
        conf = "stream { %s %s }" % (SETTINGS, "".join(
            "server { listen 127.0.0.1:@%s@; content_by_lua_block { %s } }"
            % (state.upper(), code(state)) for state in STATES))
    server = start(fill(conf, peers))

    def ask(state):
        if subsystem == "http":
            return server.http(f"/{state}", timeout=60).text
        with socket.create_connection((HOST, server.port(state.upper())),
                                      60) as s:
            return s.makefile().read()
    for state in STATES:
        lines = ask(state).splitlines()
        assert len(lines) == 21, state
        for line, start_of_line in zip(lines, expected(state)):
            assert line.startswith(start_of_line), (state, line)
        for line in lines:
            woken = line.split("\t")[1].rstrip()
            if line.startswith("shutdown: 1"):
                assert woken.startswith("nil "), (state, line)
            else:
                assert woken == WAKES[state], (state, line)


def test_a_name_that_is_looked_up_stays(start, peers):
    """For UDP: another setpeername while the first one resolves."""
    server = start(fill("""
        http { SETTINGS server { listen 127.0.0.1:@HTTP@;
            location /t { content_by_lua_block {
                local s = ngx.socket.udp()
                local long = ("a"):rep(60) .. ".example.org"
                local other = ngx.thread.spawn(function()
                    ngx.sleep(0.05)
                    ngx.say(s:setpeername("b.example.org", 53))
                    ngx.say(s:send("x")) ngx.say(s:receive())
                    ngx.say(s:close())
                    local filler = {}
                    for i = 1, 1000 do filler[i] = ("z"):rep(70) .. i end
                end)
                local _, err = s:setpeername(long, 53)
                ngx.thread.wait(other)
                ngx.say(err == long .. " could not be resolved " ..
                        "(110: Operation timed out)")
            } } } }""", dict(SETTINGS=fill(SETTINGS, peers))))
    assert server.http("/t").text == (
        "nilsocket busy\nnilclosed\nnilclosed\nnilclosed\ntrue\n")


def test_who_sends_wakes_when_the_reader_breaks_the_connection(start):
    """A reply that has no end within its time breaks the connection."""
    stop = threading.Event()
    silent = Peer(lambda connection: stop.wait(30))
    server = start("""
        http { lua_socket_log_errors off; server { listen 127.0.0.1:@HTTP@;
            location /t { content_by_lua_block {
                local db = require("resty.redis"):new()
                db:set_timeouts(300, 5000, 300)
                assert(db:connect("127.0.0.1", %d))
                local sender = ngx.thread.spawn(function()
                    ngx.sleep(0.05)
                    return db._sock:send(("x"):rep(20000000))
                end)
                ngx.say(db:get("a"))
                local _, n, err = ngx.thread.wait(sender)
                ngx.say(n, err)
            } } } }""" % silent.port)
    try:
        assert server.http("/t").text == "niltimeout\nnilclosed\n"
    finally:
        stop.set()
        silent.close()
