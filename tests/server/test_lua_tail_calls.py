"""`return object:method()`: while it waits, nothing but the call itself refers
to the object, and the collector runs."""

import contextlib
import socket

import pytest

from lua_conf import Peer
from resolua_server import HOST

# Each starts an operation that waits, by a tail call, for an object that it
# has told `keep`; what the operation gives then.
OPERATIONS = {
    "receive": ("local s = connected() return keep(s):receive()",
                "nil timeout"),
    "receiveany": ("local s = connected() return keep(s):receiveany(10)",
                   "nil timeout"),
    "receiveuntil": ("local s = connected() "
                     "return keep(s):receiveuntil('--')()", "nil timeout"),
    "send": ("local s = connected() return keep(s):send(('x'):rep(2e7))",
             "nil timeout"),
    "connect": ("local options = { pool = 'p', pool_size = 1, backlog = 1 } "
                "first = ngx.socket.tcp() "
                "first:connect('127.0.0.1', @PEER@, options) "
                "local s = ngx.socket.tcp() s:settimeout(400) "
                "return keep(s):connect('127.0.0.1', @PEER@, options)",
                "nil timeout"),
    "resolve": ("local s = ngx.socket.tcp() "
                "return keep(s):connect('name.example', 1)",
                "nil name.example could not be resolved "
                "(110: Operation timed out)"),
    "handshake": ("local s = connected() return keep(s):sslhandshake()",
                  "nil timeout"),
    "udp": ("local s = ngx.socket.udp() s:settimeout(400) "
            "s:setpeername('127.0.0.1', @SILENT@) return keep(s):receive()",
            "nil timeout"),
    "udp_resolve": ("local s = ngx.socket.udp() "
                    "return keep(s):setpeername('name.example', 1)",
                    "nil name.example could not be resolved "
                    "(110: Operation timed out)"),
    "semaphore": ("local s = require 'ngx.semaphore'.new() "
                  "return keep(s):wait(0.4)", "false timeout"),
    "thread": ("return ngx.thread.wait(keep(ngx.thread.spawn(function() "
               "ngx.sleep(0.4) return 'ended' end)))", "true ended"),
    "pipe": ("local p = require 'ngx.pipe'.spawn{'sleep', '1'} "
             "p:set_timeouts(0, 200, 400) return keep(p):stdout_read_any(9)",
             "nil timeout"),
    "process": ("local p = require 'ngx.pipe'.spawn{'sleep', '60'} "
                "p:set_timeouts(0, 400, 400, 400) return keep(p):wait()",
                "nil timeout"),
    "redis": ("local r = require 'resty.redis':new() "
              "r:set_timeouts(2000, 200, 400) r:connect('127.0.0.1', @PEER@) "
              "return r:get('x')", "nil timeout"),
    "mysql": ("local d = require 'resty.mysql':new() d:set_timeout(400) "
              "return d:connect{host = '127.0.0.1', port = @PEER@}",
              "nil failed to connect: timeout"),
    "request": ("local s = ngx.req.socket() s:settimeout(400) "
                "return keep(s):receive(10)", "nil timeout"),
}

SHARED = """
    kept = setmetatable({}, { __mode = "v" })
    function keep(o) kept[1] = o return o end
    function connected()
        local s = ngx.socket.tcp()
        s:settimeout(400)
        assert(s:connect("127.0.0.1", %d))
        return s
    end
    function tail_call(name, operation)
        local t = ngx.thread.spawn(operation)
        for _ = 1, 3 do
            ngx.sleep(0.001)
            collectgarbage()
            for i = 1, 100 do local _ = ("x"):rep(i * 50) end
        end
        -- After the end nothing needs it; a slow machine may be there already.
        local is_there = kept[1] ~= nil or coroutine.status(t) ~= "running"
            or name == "redis" or name == "mysql"
        local _, a, b = ngx.thread.wait(t)
        ngx.say(is_there and "there" or "collected", " ", tostring(a), " ", b)
    end
"""


@pytest.fixture
def peer():
    """Accepts, and neither reads nor answers."""
    mine, gate = socket.socketpair()
    one = Peer(lambda connection: gate.recv(1))
    yield one
    mine.close()
    one.close()


def server_for(start, peer):
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind((HOST, 0))
    numbers = {"@PEER@": str(peer.port),
               "@SILENT@": str(silent.getsockname()[1])}
    locations = ""
    for name, (code, _) in OPERATIONS.items():
        for key, value in numbers.items():
            code = code.replace(key, value)
        locations += ("location = /%s { content_by_lua_block { "
                      "tail_call('%s', function() %s end) } }\n"
                      % (name, name, code))
    server = start("""
        http {
            init_by_lua_block { %s }
            lua_socket_log_errors off;
            lingering_timeout 10ms;
            resolver 127.0.0.1:%s;
            resolver_timeout 400ms;
            server { listen 127.0.0.1:@HTTP@; %s }
        }
        stream {
            lua_socket_log_errors off;
            server { listen 127.0.0.1:@RECEIVE@; content_by_lua_block {
                tail_call("", function()
                    local s = ngx.req.socket() s:settimeout(400)
                    return keep(s):receive() end) } }
            server { listen 127.0.0.1:@UNTIL@; content_by_lua_block {
                tail_call("", function()
                    local s = ngx.req.socket() s:settimeout(400)
                    return keep(s):receiveuntil("--")() end) } }
        }
    """ % (SHARED % peer.port, numbers["@SILENT@"], locations))
    server.silent = silent
    return server


def everything(s):
    text = b""
    s.settimeout(20)
    with contextlib.suppress(OSError):
        while more := s.recv(1000):
            text += more
    return text


def test_the_object_lives_while_its_operation_waits(start, peer):
    server = server_for(start, peer)
    workers = server.worker_pids()
    wrong = {}
    for name, (_, result) in OPERATIONS.items():
        with socket.create_connection((HOST, server.port("HTTP"))) as s:
            head = "Content-Length: 9\r\n" if name == "request" else ""
            s.sendall(f"GET /{name} HTTP/1.0\r\n{head}\r\n".encode())
            text = everything(s)
        body = text.decode().partition("\r\n\r\n")[2]
        if body != f"there {result}\n":
            wrong[name] = body
    for name in "RECEIVE", "UNTIL":
        with socket.create_connection((HOST, server.port(name))) as s:
            s.settimeout(20)
            text = b""
            with contextlib.suppress(OSError):
                while more := s.recv(1000):
                    text += more
        if not text.startswith(b"there nil timeout\n"):
            wrong[name] = text
    server.silent.close()
    assert not wrong
    assert server.worker_pids() == workers
