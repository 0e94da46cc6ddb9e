"""Lua libraries of others for nginx, as Debian packages them, unchanged."""

import hashlib
import pathlib
import shutil

import pytest

from lua_conf import http_lua
from resolua_server import (HOST, Program, accepts_tcp, free_port,
                            start_redis)

LIBRARIES = pathlib.Path("/usr/share/lua/5.1")


def needs(*names):
    missing = [n for n in names if not (LIBRARIES / n).exists()
               and not shutil.which(n)]
    return pytest.mark.skipif(bool(missing), reason=f"no {missing}")


def lines(start, code, **options):
    return start(http_lua(code, **options)).http("/t").text.splitlines()


@needs("resty/lrucache.lua")
@pytest.mark.parametrize("name", ["resty.lrucache",
                                  "resty.lrucache.pureffi"])
def test_lrucache(start, name):
    assert lines(start, f"""
        local cache = require("{name}").new(3)
        for i = 1, 4 do cache:set("k" .. i, i) end
        ngx.say(cache:get("k1"), cache:get("k4"))
        cache:set("short", 1, 0.01)
        ngx.sleep(0.05)
        ngx.say((cache:get("short")))
        cache:delete("k4")
        ngx.say((cache:get("k4")))
    """) == ["nil4nil0", "nil", "nil"]


@needs("nginx/string.lua")
def test_string_and_digests(start):
    text = lines(start, """
        local str = require "nginx.string"
        ngx.say(str.to_hex("ab\\0"))
        ngx.say(str.atoi("123"))
        ngx.say(#require("nginx.random").bytes(16))
        for _, name in ipairs { "md5", "sha1", "sha224", "sha256", "sha384",
                "sha512" } do
            local digest = require("nginx." .. name):new()
            digest:update("hel") digest:update("lo")
            ngx.say(str.to_hex(digest:final()))
        end
        local aes = require "nginx.aes"
        local key = aes:new("secret")
        ngx.say(key:decrypt(key:encrypt("hello")))
        local strong = aes:new("secret", "somesalt", aes.cipher(256, "cbc"),
            aes.hash.sha512, 5)
        ngx.say(strong:decrypt(strong:encrypt("hello again")))
    """)
    assert text == ["616200", "123", "16"] + [
        getattr(hashlib, name)(b"hello").hexdigest() for name in
        ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")] + [
        "hello", "hello again"]


@needs("nginx/cookie.lua")
def test_cookie(start):
    server = start(http_lua("""
        local cookie = require("nginx.cookie"):new()
        ngx.say(cookie:get("a"), cookie:get("b"), (cookie:get("c")))
        ngx.say(cookie:get_all().b)
        cookie:set({ key = "x", value = "y", path = "/", httponly = true })
    """, location="lua_http10_buffering on;"))
    reply = server.http("/t", headers={"Cookie": "a=1; b=two"})
    assert reply.text == "1twonil\ntwo\n"


ECHO = """
    location /echo { content_by_lua_block {
        local ws, err = require("nginx.websocket.server"):new {
            timeout = 5000, max_payload_len = 200000 }
        if not ws then ngx.log(ngx.ERR, err) return ngx.exit(444) end
        while true do
            local data, kind, err = ws:recv_frame()
            if not data then return end
            if kind == "close" then return ws:send_close(1000, "bye") end
            if kind == "ping" then ws:send_pong(data)
            elseif kind == "text" then ws:send_text(data)
            elseif kind == "binary" then ws:send_binary(data) end
        end } }
"""


@needs("nginx/websocket/client.lua")
def test_websocket(start):
    assert lines(start, """
        local ws = require("nginx.websocket.client"):new {
            max_payload_len = 200000 }
        assert(ws:connect("ws://127.0.0.1:@HTTP@/echo"))
        for _, text in ipairs { "hello", "", ("x"):rep(70000) } do
            assert(ws:send_text(text))
            local data, kind = ws:recv_frame()
            ngx.say(data == text, kind)
        end
        ws:send_binary("\\0\\1") ngx.say(#ws:recv_frame())
        ws:send_ping("p") ngx.say(ws:recv_frame())
        ws:send_close(1000, "done") ngx.say(ws:recv_frame())
        ngx.say(ws:close())
    """, server=ECHO) == ["truetext", "truetext", "truetext", "2", "ppongnil",
                          "byeclose1000", "1"]


@needs("nginx/memcached.lua", "memcached")
def test_memcached(start, programs, tmp_path):
    port = free_port()
    programs.append(Program(
        ["memcached", "-l", HOST, "-p", port, "-U", 0, "-u", "nobody"],
        tmp_path / "memcached", lambda: accepts_tcp(port)))
    assert lines(start, """
        local memc = require("nginx.memcached"):new()
        memc:set_timeout(1000)
        ngx.say(memc:connect("127.0.0.1", %d))
        ngx.say(memc:set("dog", 32), memc:get("dog"))
        ngx.say(memc:set("cat", ("y"):rep(100000)), #memc:get("cat"))
        ngx.say(memc:incr("dog", 2)) ngx.say(memc:add("dog", 1))
        ngx.say(memc:delete("dog")) ngx.say((memc:get("dog")))
        local all = memc:get { "cat", "dog" }
        ngx.say(#all.cat[1], all.dog)
        ngx.say(memc:set_keepalive(10000, 10))
        memc:connect("127.0.0.1", %d)
        ngx.say(memc:get_reused_times())
    """ % (port, port)) == ["1", "1320", "1100000", "34", "nilNOT_STORED",
                            "1", "nil", "100000nil", "1", "1"]


@needs("nginx/redis.lua", "redis-server")
def test_redis(start, programs, tmp_path):
    port = free_port()
    programs.append(start_redis(tmp_path / "redis", port))
    assert lines(start, """
        local red = require("nginx.redis"):new()
        red:set_timeouts(1000, 1000, 1000)
        assert(red:connect("127.0.0.1", %d))
        ngx.say(red:set("dog", "an animal"), red:get("dog"))
        ngx.say(red:get("none") == ngx.null)
        red:init_pipeline()
        red:rpush("l", 1, 2, 3) red:lrange("l", 0, -1) red:get("l")
        local results = red:commit_pipeline()
        ngx.say(results[1], #results[2], results[3][1])
        ngx.say(red:hmset("h", { a = 1, b = 2 }), red:hlen("h"))
        ngx.say(red:eval("return {1,2,{3,'four'}}", 0)[3][2])
        local sub = require("nginx.redis"):new()
        sub:connect("127.0.0.1", %d)
        sub:subscribe("ch")
        red:publish("ch", "news")
        ngx.say(table.concat(sub:read_reply(), " "))
        ngx.say(red:set_keepalive(10000, 10))
    """ % (port, port)) == ["OKan animal", "true", "33false", "OK2", "four",
                            "message ch news", "1"]


@needs("nginx/redis/connector.lua", "redis-server")
def test_redis_connector(start, programs, tmp_path):
    port = free_port()
    programs.append(start_redis(tmp_path / "redis", port))
    assert lines(start, """
        local connector = require("nginx.redis.connector").new()
        local red = assert(connector:connect {
            url = "redis://127.0.0.1:%d/2" })
        ngx.say(red:set("a", 1), red:get("a"))
        ngx.say(connector:set_keepalive(red))
    """ % port) == ["OK1", "1"]


@needs("nginx/dns/resolver.lua")
def test_dns_resolver(start):
    server = start(http_lua("""
        local r = assert(require("nginx.dns.resolver"):new {
            nameservers = { { "127.0.0.1", @DNS@ } }, retrans = 2,
            timeout = 1000 })
        local answers = assert(r:query("www.example.test"))
        ngx.say(answers[1].name, answers[1].address, answers[1].ttl)
        answers = r:tcp_query("www.example.test", { qtype = r.TYPE_TXT })
        ngx.say(answers[1].txt)
        answers = r:query("none.example.test")
        ngx.say(answers.errcode, answers.errstr)
    """, main="""stream { server { listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@; dns_serve on; dns_query_by_lua_block {
            local q = ...
            if not q.name:find("^www") then q:nxdomain()
            elseif q.type_name == "TXT" then q:answer("TXT", 60, '"a text"')
            else q:answer("A", 60, "192.0.2.7") end } } }"""))
    assert server.http("/t").text.splitlines() == [
        "www.example.test192.0.2.760", "a text", "3name error"]


@needs("nginx/kafka/producer.lua")
def test_kafka_without_a_broker(start):
    server = start(http_lua("""
        local producer = require("nginx.kafka.producer"):new(
            { { host = "127.0.0.1", port = @NOBODY@ } },
            { max_retry = 1, retry_backoff = 10 })
        local ok, err = producer:send("topic", nil, "hello")
        ngx.say(ok, type(err))
    """))
    assert server.http("/t").text == "nilstring\n"


@needs("nginx/string.lua", "nginx/memcached.lua", "nginx/websocket/server.lua",
       "nginx/cookie.lua", "nginx/kafka/producer.lua", "resty/lrucache.lua",
       "nginx/redis/connector.lua")
def test_the_names_that_scripts_know(start, tmp_path):
    """Debian's packages have resty.string as nginx.string, and so on."""
    (tmp_path / "resty").mkdir()
    (tmp_path / "resty/random.lua").write_text("return { own = true }")
    tmp_path.chmod(0o755)
    assert lines(start, """
        for _, name in ipairs { "aes", "md5", "sha", "sha1", "sha224", "sha256",
                "sha384", "sha512", "string", "memcached", "cookie",
                "websocket.client", "websocket.server", "websocket.protocol",
                "kafka.producer", "redis.connector", "lrucache",
                "lrucache.pureffi", "redis", "mysql", "dns.resolver" } do
            if type(require("resty." .. name)) ~= "table" then
                ngx.say(name)
            end
        end
        ngx.say(require("resty.string") == require("nginx.string"))
        ngx.say(require("resty.string").to_hex("ab"))
        ngx.say(require("resty.random").own, require("nginx.random").own)
        local ok, err = pcall(require, "resty.nowhere")
        ngx.say(ok, err:find("nginx/nowhere.lua", 1, true) ~= nil)
    """, http="lua_package_path '%s/?.lua;;';" % tmp_path) == [
        "true", "6162", "truenil", "falsetrue"]
