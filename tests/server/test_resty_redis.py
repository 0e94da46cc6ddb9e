"""resty.redis against a real Redis."""

import random
import subprocess
import threading
import time

import pytest

from lua_conf import Peer, http_lua, sends
from resolua_server import free_port, start_redis

CONNECT = """
    local cjson = require "cjson"
    local redis = require "resty.redis"
    local red = redis:new()
    red:set_timeouts(2000, 2000, 2000)
    assert(red:connect("127.0.0.1", %d))
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis")
    folder.chmod(0o755)
    port = free_port()
    program = start_redis(folder, port, "--unixsocket", folder / "redis.sock",
                          "--unixsocketperm", "777")
    program.port = port
    program.path = folder / "redis.sock"
    yield program
    program.stop()


@pytest.fixture
def run(start, redis):
    """run(code) gives what the script prints; code follows CONNECT."""
    subprocess.run(["redis-cli", "-p", str(redis.port), "flushall"],
                   check=True, capture_output=True)

    def go(code, prefix=None, **options):
        server = start(http_lua(
            (CONNECT % redis.port if prefix is None else prefix)
            + code.replace("PORT", str(redis.port)),
            **options), env={"LUA_PATH": ";;"})
        run.server = server
        return server.http("/t").text
    run = go
    return go


def test_the_kinds_of_replies(run):
    assert run("""
        ngx.say(red:set("dog", "an animal"))
        ngx.say(red:get("dog"))
        ngx.say(red:get("cat") == ngx.null, cjson.null == ngx.null)
        ngx.say(red:incr("n"), red:incr("n"))
        ngx.say(red:lpush("dog", 1))
        red:rpush("list", "a", 2, true)
        ngx.say(cjson.encode(red:lrange("list", 0, -1)))
        ngx.say(cjson.encode(red:lrange("none", 0, -1)))
        ngx.say(cjson.encode(red:mget("dog", "none")))
        ngx.say(red:nosuchcommand("x"))
        ngx.say(#red:echo(("x"):rep(100000)))
        ngx.say(red:get("dog"))
    """) == (
        "OK\nan animal\ntruetrue\n12\n"
        "falseWRONGTYPE Operation against a key holding the wrong kind of "
        "value\n"
        '["a","2","true"]\n{}\n["an animal",null]\n'
        "falseERR unknown command 'nosuchcommand', with args beginning with: "
        "'x' \n100000\nan animal\n")


def test_a_command_that_goes_out_bit_by_bit(run):
    seen = []
    over = threading.Event()

    def serve(connection):
        seen.append(connection)
        if len(seen) == 2:  # this one is never read
            over.wait(60)
            return
        time.sleep(0.2)
        while True:
            if connection.recv(1 << 20).endswith(b"xyz\r\n"):
                connection.sendall(b":7\r\n")
    peer = Peer(serve)
    assert run("""
        local text = ("x"):rep(20000000)
        ngx.say(red:set("big", text), #red:get("big"))
        red:connect("127.0.0.1", %d)
        ngx.say(red:set("big", text .. "xyz"))
        red:set_timeouts(100, 100, 2000)
        red:connect("127.0.0.1", %d)
        ngx.say(red:set("big", text .. "xyz"))
        ngx.say(red:get("big"))
    """ % (peer.port, peer.port)) == (
        "OK20000000\n7\nniltimeout\nnilclosed\n")
    over.set()
    peer.close()


def test_nested_replies_in_pieces(run, start):
    reply = b"*3\r\n*2\r\n:1\r\n*1\r\n+two\r\n$-1\r\n*2\r\n-ERR no\r\n$3\r\nabc\r\n"

    def serve(connection):
        connection.recv(1000)
        for i in range(len(reply)):
            connection.sendall(reply[i:i + 1])
            time.sleep(0.001)
        connection.recv(1000)
        connection.sendall(b"*-1\r\n")
        connection.recv(1000)
    peer = Peer(serve)
    assert run("""
        ngx.say(cjson.encode(red:foo()))
        ngx.say(red:foo() == ngx.null)
    """, CONNECT % peer.port) == (
        '[[1,["two"]],null,[[false,"ERR no"],"abc"]]\ntrue\n')
    peer.close()


def test_a_reply_is_never_taken_for_anothers(run):
    def serve(connection):
        connection.recv(1000)
        time.sleep(0.2)
        connection.sendall(b"+late\r\n")
    peer = Peer(serve)
    assert run("""
        local waiting = ngx.thread.spawn(function() return red:get("a") end)
        ngx.thread.kill(waiting)
        ngx.sleep(0.3)
        ngx.say(red:get("b"))
        red:connect("127.0.0.1", %d)
        red:set_timeout(100)
        ngx.say(red:get("a"))
        ngx.sleep(0.2)
        ngx.say(red:get("b"))
        ngx.say(red:set_keepalive())
    """ % peer.port, CONNECT % peer.port,
        location="lua_socket_log_errors off;") == (
        "nilclosed\nniltimeout\nnilclosed\nnilclosed\n")
    peer.close()


def test_a_pipeline(run):
    assert run("""
        red:init_pipeline(4)
        ngx.say(red:set("a", 1))
        red:lpush("a", 1)
        red:get("a")
        red:lrange("none", 0, -1)
        ngx.say(cjson.encode(red:commit_pipeline()))
        ngx.say(red:commit_pipeline())
        red:init_pipeline()
        red:set("a", 2)
        red:cancel_pipeline()
        ngx.say(red:get("a"))
        red:init_pipeline()
        for i = 1, 5000 do red:set("k" .. i, ("v"):rep(i % 100)) end
        local replies = red:commit_pipeline()
        ngx.say(#replies, replies[5000])
        ngx.say(#red:get("k99"))
    """) == (
        '\n["OK",[false,"WRONGTYPE Operation against a key holding the wrong '
        'kind of value"],"1",{}]\nnilno pipeline\n1\n5000OK\n99\n')


def test_a_transaction(run):
    assert run("""
        ngx.say(red:multi())
        ngx.say(red:set("a", "abc"), red:lpop("a"))
        ngx.say(red:set_keepalive())
        ngx.say(cjson.encode(red:exec()))
        red:multi() red:set("a", "b") ngx.say(red:discard())
        ngx.say(red:get("a"))
        ngx.say(red:set_keepalive())
    """) == (
        "OK\nQUEUEDQUEUED\nnilin transaction\n"
        '["OK",[false,"WRONGTYPE Operation against a key holding the wrong '
        'kind of value"]]\nOK\nabc\n1\n')


def test_scripts_hashes_and_words_of_many_kinds(run):
    assert run("""
        ngx.say(cjson.encode(red:eval("return {KEYS[1],ARGV[1],7}", 1, "k", 1.5)))
        ngx.say(red:hmset("h", "a", 1, "b", 2))
        ngx.say(red:hmset("h", { c = 3 }))
        local hash = red:array_to_hash(red:hgetall("h"))
        ngx.say(hash.a, hash.b, hash.c)
        ngx.say(cjson.encode(red:hmget("h", "a", "none")))
        ngx.say(cjson.encode(red:hmget("h", { "c", "a" })))
        local many = {}
        for i = 1, 20000 do many["f" .. i] = i end
        ngx.say(red:hmset("many", many))
        ngx.say(red:hlen("many"))
        ngx.say(red:set("k", "a\\0b\\r\\n"), #red:get("k"))
        ngx.say(red:client("setname", "me"), red:client("getname"))
        ngx.say(cjson.encode(red:mget(unpack({ "k1", "k2", "k3", "k4", "k5",
            "k6", "k7", "k8", "k9", "k10", "k11", "k12", "k13", "k14", "k15",
            "k16", "k17" }))))
    """) == (
        '["k","1.5",7]\nOK\nOK\n123\n["1",null]\n["3","1"]\nOK\n20000\nOK5\n'
        "OKme\n[" + ",".join(["null"] * 17) + "]\n")


def test_subscribing(run):
    assert run("""
        local other = redis:new()
        assert(other:connect("127.0.0.1", PORT))
        red:set_timeout(100)
        ngx.say(red:read_reply())
        ngx.say(cjson.encode(red:subscribe("dog", "cat")))
        ngx.say(cjson.encode(red:read_reply()))
        ngx.say(other:publish("dog", "hello"))
        ngx.say(cjson.encode(red:read_reply()))
        ngx.say(red:read_reply())
        other:publish("cat", "again")
        ngx.say(cjson.encode(red:psubscribe("c*")))
        ngx.say(cjson.encode(red:read_reply()))
        ngx.say(red:set_keepalive())
        red:unsubscribe("dog") red:unsubscribe("cat")
        ngx.say(cjson.encode(red:punsubscribe("c*")))
        ngx.say(red:set("k", 1))
        ngx.say(red:set_keepalive())
    """) == (
        'nilnot subscribed\n["subscribe","dog",1]\n["subscribe","cat",2]\n1\n'
        '["message","dog","hello"]\nniltimeout\n'
        '["psubscribe","c*",3]\n["message","cat","again"]\n'
        'nilsubscribed state\n["punsubscribe","c*",0]\nOK\n1\n')


def test_a_message_in_two_parts_with_a_timeout_between(run):
    def serve(connection):
        connection.recv(1000)
        connection.sendall(b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
                           b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhe")
        time.sleep(0.3)
        connection.sendall(b"llo\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n2\r\n")
        time.sleep(0.3)
    peer = Peer(serve)
    assert run("""
        red:set_timeout(100)
        red:subscribe("a")
        ngx.say(red:read_reply())
        red:set_timeout(2000)
        ngx.say(red:read_reply()[3], red:read_reply()[3])
        ngx.say(red:read_reply())
    """, CONNECT % peer.port) == "niltimeout\nhello2\nnilclosed\n"
    peer.close()


def test_keepalive(run):
    assert run("""
        ngx.say(red:get_reused_times())
        ngx.say(red:set_keepalive(10000, 10))
        ngx.say(red:get("a"))
        ngx.say(red:set_keepalive())
        assert(red:connect("127.0.0.1", PORT))
        ngx.say(red:get_reused_times())
        red:select(3)
        assert(red:set_keepalive())
        assert(red:connect("127.0.0.1", PORT, { db = 2, pool_size = 4 }))
        ngx.say(red:get_reused_times(), " ", (red:client("list"):match("db=2")))
        assert(red:set_keepalive())
        assert(red:connect("127.0.0.1", PORT, { db = 2 }))
        ngx.say(red:get_reused_times())
        ngx.say(red:close())
        ngx.say(red:close())
        ngx.say(red:get_reused_times())
    """) == ("0\n1\nnilclosed\nnilclosed\n1\n0 db=2\n1\n1\nnilclosed\n"
             "nilclosed\n")


def test_a_pool_with_a_bound(run):
    assert run("""
        local options = { pool = "small", pool_size = 1, backlog = 1 }
        local one, two, three = redis:new(), redis:new(), redis:new()
        two:set_timeout(100)
        ngx.say(one:connect("127.0.0.1", PORT, options))
        local waiting = ngx.thread.spawn(function()
            return two:connect("127.0.0.1", PORT, options)
        end)
        ngx.say(three:connect("127.0.0.1", PORT, options))
        ngx.say(select(2, ngx.thread.wait(waiting)),
            select(3, two:connect("127.0.0.1", PORT, options)))
        waiting = ngx.thread.spawn(function()
            assert(two:connect("127.0.0.1", PORT, options))
            return two:get_reused_times()
        end)
        one:set_keepalive()
        ngx.say(select(2, ngx.thread.wait(waiting)))
    """) == "1\nniltoo many waiting connect operations\nnil\n1\n"


def test_a_unix_socket(run, redis):
    assert run("""
        local redis = require "resty.redis"
        local red = redis:new()
        assert(red:connect("unix:%s"))
        ngx.say(red:set("a", 1))
        ngx.say(red:set_keepalive())
        assert(red:connect("unix:%s", { pool_size = 3 }))
        ngx.say(red:get("a"), red:get_reused_times())
    """ % (redis.path, redis.path), prefix="") == "OK\n1\n11\n"


def test_failures(run):
    def serve(connection):
        time.sleep(0.4)
    peer, garbage = Peer(serve), Peer(sends(b"HTTP/1.1 200\r\n"))
    huge = Peer(sends(b"*2147483647\r\n:1\r\n"))
    assert run("""
        local redis = require "resty.redis"
        local red = redis:new()
        ngx.say(red:get("a"))
        ngx.say(red:set_keepalive())
        ngx.say(red:connect("127.0.0.1", 1))
        ngx.say(pcall(red.connect, red, nil))
        ngx.say(red:connect("unix:/nowhere"))
        red:set_timeout(100)
        red:connect("127.0.0.1", %d)
        ngx.say(red:get("a"))
        ngx.say(red:get("a"))
        red:set_timeout(1000)
        red:connect("127.0.0.1", %d)
        ngx.say(red:get("a"))
        ngx.say(red:get("a"))
        red:connect("127.0.0.1", %d)
        ngx.say((red:get("a")))
        ngx.say(rawget(red, "_sock") ~= nil, red._nothing)
    """ % (peer.port, garbage.port, huge.port), prefix="",
        location="lua_socket_log_errors off;") == (
        "nilclosed\nnilclosed\nnilconnection refused\n"
        "falsebad argument #1 host: string expected, got nil\n"
        "nilno such file or directory\nniltimeout\nnilclosed\n"
        "nilProtocol error, got \"H\" as reply type byte\nnilclosed\n"
        "nil\ntruenil\n")
    for one in (peer, garbage, huge):
        one.close()


REPLIES = [b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b"$3\r\nabc\r\n", b"$-1\r\n", b"*-1\r\n",
           b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n-ERR x\r\n", b"*0\r\n", b"$0\r\n\r\n",
           b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
           b"$99999999999\r\n", b"$18446744073709551617\r\nab\r\n", b"*-5\r\n"]


def test_what_a_hostile_server_sends(run):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)

    def serve(connection):
        while connection.recv(65536):
            octets = bytearray(b"".join(rng.choices(REPLIES, k=rng.randrange(1, 4))))
            for _ in range(rng.choice((0, 0, 1, 2))):
                octets[rng.randrange(len(octets))] = rng.randrange(256)
            connection.sendall(octets[:rng.randrange(len(octets) + 1)])
    peer = Peer(serve)
    assert run("""
        for _ = 1, 50 do
            local red = redis:new()
            red:set_timeout(20)
            assert(red:connect("127.0.0.1", %d))
            for _ = 1, 3 do red:get("a") end
            red:init_pipeline() red:get("a") red:get("b") red:commit_pipeline()
            red:subscribe("a") red:read_reply()
            red:set_keepalive(10, 2)
        end
        ngx.say("alive")
    """ % peer.port, location="lua_socket_log_errors off;",
        prefix='local redis = require "resty.redis"') == "alive\n"
    for _ in range(2):
        assert run.server.http("/t", timeout=30).text == "alive\n"
    peer.close()


def test_a_module_prefix(run):
    def serve(connection):
        assert connection.recv(1000) == (
            b"*3\r\n$6\r\nbf.add\r\n$3\r\ndog\r\n$1\r\n1\r\n")
        connection.sendall(b":1\r\n")
        assert connection.recv(1000).startswith(b"*2\r\n$3\r\nget")
        connection.sendall(b"$0\r\n\r\n")
    peer = Peer(serve)
    assert run("""
        redis.register_module_prefix("bf")
        redis.add_commands("foo")
        ngx.say(red:bf():add("dog", 1))
        ngx.say(red:get("a") == "")
    """, CONNECT % peer.port) == "1\ntrue\n"
    peer.close()


def test_users_and_passwords(run, tmp_path, programs):
    port = free_port()
    programs.append(start_redis(tmp_path / "redis", port, "--requirepass", "secret"))
    assert run("""
        ngx.say(red:get("a"))
        ngx.say(red:auth("wrong"))
        ngx.say(red:auth("secret"))
        red:acl("setuser", "alice", "on", ">wonder", "+@all", "~*")
        red:close()
        ngx.say(red:connect("127.0.0.1", PORT, { password = "wrong" }))
        ngx.say(red:connect("127.0.0.1", PORT,
            { username = "alice", password = "wonder", tcp_keepalive = true }))
        ngx.say(red:acl("whoami"))
        ngx.say(red:set_keepalive())
        ngx.say(red:connect("127.0.0.1", PORT, { password = "secret" }))
        ngx.say(red:acl("whoami"))
    """.replace("PORT", str(port)), CONNECT % port) == (
        "falseNOAUTH Authentication required.\n"
        "falseWRONGPASS invalid username-password pair or user is disabled.\n"
        "OK\nnilfailed to authenticate: WRONGPASS invalid username-password "
        "pair or user is disabled.\n1\nalice\n1\n1\ndefault\n")


def test_tls(run, tmp_path, programs):
    tmp_path.chmod(0o755)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
         tmp_path / "key", "-out", tmp_path / "cert", "-days", "2", "-subj",
         "/CN=redis.test"], check=True, capture_output=True)
    port = free_port()
    programs.append(start_redis(
        tmp_path / "redis", port, "--port", "0", "--tls-port", str(port),
        "--tls-cert-file", tmp_path / "cert", "--tls-key-file",
        tmp_path / "key", "--tls-auth-clients", "no"))
    assert run("""
        local redis = require "resty.redis"
        local red = redis:new()
        local options = { ssl = true, ssl_verify = true,
                          server_name = "redis.test" }
        assert(red:connect("127.0.0.1", PORT, options))
        ngx.say(red:set("a", ("x"):rep(100000)))
        ngx.say(#red:get("a"))
        ngx.say(red:set_keepalive())
        assert(red:connect("127.0.0.1", PORT, options))
        ngx.say(#red:get("a"), " ", red:get_reused_times())
        red:close()
        options.server_name = "other.test"
        ngx.say(red:connect("127.0.0.1", PORT, options))
        ngx.say(red:get("a"))
    """.replace("PORT", str(port)), prefix="", location="""
        lua_socket_log_errors off;
        lua_ssl_trusted_certificate %s/cert;""" % tmp_path) == (
        "OK\n100000\n1\n100000 1\nnilfailed to do ssl handshake: certificate "
        "host mismatch\nnilclosed\n")


def test_in_stream_and_timers(start, run, redis):
    prefix = CONNECT % redis.port
    server = start("""
        stream {
            init_worker_by_lua_block {
                ngx.timer.at(0, function()
                    %s
                    red:set("timer", "was here")
                    red:set_keepalive()
                end)
            }
            server {
                listen 127.0.0.1:@DNS@ udp;
                content_by_lua_block {
                    %s
                    local socket = ngx.req.socket()
                    socket:send(red:get(socket:receive()))
                    red:set_keepalive()
                }
            }
        }""" % (prefix, prefix), env={"LUA_PATH": ";;"})
    deadline = time.time() + 5
    while server.send_raw(b"timer") in (None, b"") and time.time() < deadline:
        time.sleep(0.01)
    assert server.send_raw(b"timer") == b"was here"


def test_another_request_may_not_use_it(run):
    assert run("""
        package.loaded.mine = package.loaded.mine or red
        local ok, result = pcall(package.loaded.mine.get, package.loaded.mine, "a")
        ngx.say(ok, type(result) == "string" and result:match("bad.*") or result)
    """) == "truenull\n"
    assert run.server.http("/t").text == "falsebad request\n"


def test_many_requests_leave_no_connection(run, redis):
    assert run("ngx.say(red:set('a', 1)) red:set_keepalive(1000, 2)") == "OK\n"
    for _ in range(100):
        assert run.server.http("/t").text == "OK\n"
    clients = subprocess.run(
        ["redis-cli", "-p", str(redis.port), "client", "list"], check=True,
        capture_output=True, text=True).stdout
    assert len(clients.splitlines()) <= 3


def test_a_users_own_module_comes_first(start, tmp_path):
    (tmp_path / "resty").mkdir()
    (tmp_path / "resty/redis.lua").write_text("return 'own'")
    tmp_path.chmod(0o755)
    for path, found in (("%s/?.lua;;", "string"), ("%s/nothing/?.lua", "table")):
        server = start(http_lua(
            "ngx.say(type(require 'resty.redis'))",
            http="lua_package_path '%s';" % (path % tmp_path)),
            env={"LUA_PATH": ";;"})
        assert server.http("/t").text == found + "\n"
