"""resty.mysql against a real MariaDB."""

import os
import random
import socket
import subprocess
import threading
import time

import dns.message
import dns.rrset
import pytest

from databases import MariaDb
from fake_mysql import FakeMySql
from lua_conf import Peer, http_lua, sends
from resolua_server import HOST, free_port, readable, wait_for

CONNECT = """
    local cjson = require "cjson"
    local mysql = require "resty.mysql"
    local db = assert(mysql:new())
    db:set_timeout(3000)
    local options = { host = "127.0.0.1", port = PORT, user = "resolua",
                      password = "secret", database = "dns" }
    assert(db:connect(options))
"""

CATS = """
    DROP TABLE IF EXISTS cats;
    CREATE TABLE cats (id SERIAL PRIMARY KEY, name VARCHAR(5));
    INSERT INTO cats (name) VALUES ('Bob'), (''), (NULL);
"""


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mariadb")
    for path in (folder, folder.parent):
        path.chmod(0o755)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
         folder / "key", "-out", folder / "cert", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True)
    one = MariaDb(folder)
    yield one
    one.stop()


@pytest.fixture
def run(start, mariadb):
    """run(code) gives what the script prints; code follows CONNECT."""
    def go(code, prefix=CONNECT, **options):
        server = start(http_lua(
            (prefix + code).replace("PORT", str(mariadb.port)), **options))
        run.server = server
        return server.http("/t").text
    run = go
    return go


def test_rows_and_changes(run, mariadb):
    mariadb.run(CATS)
    assert run("""
        local result = db:query("insert into cats (name) values ('Tom'),('Kit')")
        ngx.say(result.affected_rows, " ", result.insert_id, " ",
            result.server_status, " ", result.warning_count, " ",
            result.message)
        for _, row in ipairs((db:query("select * from cats order by id", 10))) do
            ngx.say(type(row.id), " ", row.id, " ", row.name == ngx.null, " ",
                row.name)
        end
        ngx.say(cjson.encode((db:query("select * from cats where id = 99"))))
        db:set_compact_arrays(true)
        ngx.say(cjson.encode((db:query("select * from cats where id < 4"))))
        db:set_compact_arrays(false)
        result = db:query("delete from cats")
        ngx.say(result.affected_rows, result.message)
        ngx.say(db:set_keepalive())
    """) == (
        "2 4 2 0 Records: 2  Duplicates: 0  Warnings: 0\n"
        "string 1 false Bob\nstring 2 false \nstring 3 true null\n"
        "string 4 false Tom\nstring 5 false Kit\n{}\n"
        '[["1","Bob"],["2",""],["3",null]]\n5nil\n1\n')


def test_the_kinds_of_columns(run, mariadb):
    mariadb.run("""
        CREATE OR REPLACE TABLE t (a TINYINT, b SMALLINT UNSIGNED, c INT,
            d MEDIUMINT, e BIGINT UNSIGNED, f FLOAT, g DOUBLE, h DECIMAL(10,2),
            i YEAR, j CHAR(3), k BLOB, l DATETIME, m BIT(8), n TEXT, o JSON);
        INSERT INTO t VALUES (-1, 65535, -2147483648, 7, 18446744073709551615,
            1.5, 1e100, 12.25, 2024, 'abc', 0x00ff27, '2024-02-03 04:05:06',
            b'01000001', 'käse', '{"a":1}');
        INSERT INTO t () VALUES ()""")
    assert run("""
        local rows = db:query("select * from t")
        for _, name in ipairs{ "a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                "l", "m", "n", "o" } do
            local value = rows[1][name]
            ngx.say(name, " ", type(value), " ", value)
        end
        ngx.say(rows[1].k == "\\0\\255'")
        for name in pairs(rows[1]) do assert(rows[2][name] == ngx.null) end
    """) == (
        "a number -1\nb number 65535\nc number -2147483648\nd number 7\n"
        "e string 18446744073709551615\nf number 1.5\ng number 1e+100\n"
        "h number 12.25\ni number 2024\nj string abc\n"
        "l string 2024-02-03 04:05:06\nm string A\nn string käse\n"
        'o string {"a":1}\ntrue\n')


def test_errors_of_the_server(run):
    assert run("""
        ngx.say(db:query("nonsense"))
        ngx.say(db:query("select * from nothing"))
        ngx.say(cjson.encode((db:query("select 1 as one"))))
        ngx.say(db:set_keepalive())
        ngx.say(db:query("select 1"))
        options.password = "wrong"
        options.pool = "other"
        local ok, err, code, state = db:connect(options)
        ngx.say(ok, " ", err:match("Access denied for user 'resolua'"), " ",
            code, " ", state)
        options.password, options.database = "secret", "nothing"
        ngx.say(select(3, db:connect(options)))
    """) == (
        "nilYou have an error in your SQL syntax; check the manual that "
        "corresponds to your MariaDB server version for the right syntax to "
        "use near 'nonsense' at line 1106442000\n"
        "nilTable 'dns.nothing' doesn't exist114642S02\n"
        '[{"one":1}]\n1\nnilcannot send query in the current context: nil\n'
        "nil Access denied for user 'resolua' 1045 28000\n104442000\n")


def test_several_results(run):
    assert run("""
        local result, err = db:query("select 1 as a; set @x = 1; select 2 as b")
        ngx.say(cjson.encode(result), err)
        ngx.say(db:set_keepalive())
        ngx.say(db:query("select 1"))
        result, err = db:read_result()
        ngx.say(result.affected_rows, err)
        result, err = db:read_result()
        ngx.say(cjson.encode(result), err)
        ngx.say(db:read_result())
        result, err = db:query("select 1; nonsense; select 2")
        ngx.say(result[1]["1"], err)
        ngx.say(select(3, db:read_result()))
        ngx.say(db:query("select 3")[1]["3"])
    """) == (
        '[{"a":1}]again\n'
        "nilcannot be reused in the current connection state: 2\n"
        "nilcannot send query in the current context: 2\n"
        '0again\n[{"b":2}]nil\n'
        "nilcannot read result in the current context: 1\n"
        "1again\n106442000\n3\n")


def test_a_procedure_and_a_transaction(run, mariadb):
    mariadb.run(CATS)
    mariadb.run("DELIMITER $$\nCREATE OR REPLACE PROCEDURE two() BEGIN "
                "SELECT name FROM cats WHERE id = 1; SELECT 2 AS n; END$$\n")
    assert run("""
        local result, err = db:query("call two()")
        while err == "again" do
            ngx.say(cjson.encode(result))
            result, err = db:read_result()
        end
        ngx.say(result.affected_rows)
        assert(db:query("start transaction"))
        assert(db:query("update cats set name = 'Max'"))
        assert(db:query("rollback"))
        ngx.say(db:query("select name from cats where id = 1")[1].name)
    """) == '[{"name":"Bob"}]\n[{"n":2}]\n0\nBob\n'


def test_quoting(run):
    assert run("""
        local text = "it's \\\\ \\0 \\n \\"x\\" \\26"
        local rows = db:query("select " .. ngx.quote_sql_str(text) .. " as v, '"
            .. db:escape(text) .. "' as w")
        ngx.say(rows[1].v == text, rows[1].w == text)
        ngx.say(cjson.null == ngx.null)
    """) == "truetrue\ntrue\n"


def test_keepalive_and_pools(run):
    assert run("""
        ngx.say(db:get_reused_times(), (db:server_ver():match("MariaDB")))
        local id = db:query("select connection_id() as id")[1].id
        ngx.say(db:set_keepalive(10000, 5))
        ngx.say(db:query("select 1"))
        assert(db:connect(options))
        ngx.say(db:get_reused_times(),
            db:query("select connection_id() as id")[1].id == id)
        ngx.say(db:close())
        ngx.say(db:close())
        ngx.say(db:server_ver())
        assert(db:connect(options))
        ngx.say(db:get_reused_times())
        db:set_keepalive()
        options.pool = "other"
        assert(db:connect(options))
        ngx.say(db:get_reused_times())
    """) == ("0MariaDB\n1\nnilcannot send query in the current context: nil\n"
             "1true\n1\nnilclosed\nnil\n0\n0\n")


def test_a_pool_with_a_bound(run):
    assert run("""
        db:close()
        options.pool, options.pool_size, options.backlog = "small", 1, 1
        local one, two, three = mysql:new(), mysql:new(), mysql:new()
        assert(one:connect(options))
        local waiting = ngx.thread.spawn(function()
            assert(two:connect(options))
            return two:get_reused_times(), two:query("select 5 as n")[1].n
        end)
        ngx.say(three:connect(options))
        one:set_keepalive()
        ngx.say(select(2, ngx.thread.wait(waiting)))
        waiting = ngx.thread.spawn(function()
            assert(one:connect(options))
            return one:get_reused_times(), one:query("select 6 as n")[1].n
        end)
        two:close()
        ngx.say(select(2, ngx.thread.wait(waiting)))
        two:set_timeout(100)
        ngx.say(two:connect(options))
    """) == ("niltoo many waiting connect operations\n15\n06\n"
             "nilfailed to connect: timeout\n")


def test_connections_go_with_their_requests(run, mariadb):
    assert run("ngx.say(1)") == "1\n"
    for _ in range(30):
        run.server.http("/t")
    # The pool of another test's server may still hold some.
    wait_for(lambda: int(mariadb.run(
        "SELECT COUNT(*) FROM information_schema.processlist "
        "WHERE user = 'resolua'")) == 0, what="the connections' end")


def test_a_killed_connection(run, mariadb):
    assert run("""
        local id = db:query("select connection_id() as id")[1].id
        local other = mysql:new()
        assert(other:connect(options))
        assert(other:query("kill " .. id))
        ngx.sleep(0.1)
        local ok, err = db:query("select 1")
        ngx.say(ok, " ", err:match("closed") or err)
        ngx.say(db:close())
        id = other:query("select connection_id() as id")[1].id
        assert(other:set_keepalive())
        assert(db:connect{ host = "127.0.0.1", port = PORT, user = "resolua",
                           password = "secret", database = "dns", pool = "x" })
        assert(db:query("kill " .. id))
        ngx.sleep(0.1)
        assert(other:connect(options))
        ngx.say(other:get_reused_times(), other:query("select 1 as n")[1].n)
    """) == "nil closed\nnilclosed\n01\n"


def test_timeouts(run):
    def serve(connection):
        connection.recv(1000)
    peer = Peer(serve)
    before = time.monotonic()
    assert run("""
        db:set_timeout(100)
        ngx.say(db:query("select sleep(2)"))
        ngx.say(db:query("select 1"))
        ngx.say(db:set_keepalive())
        ngx.say(db:connect{ host = "127.0.0.1", port = %d, user = "a" })
        db:set_timeout(2000)
        assert(db:connect(options))
        ngx.say(db:query("select 1 as n")[1].n)
    """ % peer.port) == (
        "nilfailed to receive packet header: timeout\n"
        "nilcannot send query in the current context: 2\n"
        "nilcannot be reused in the current connection state: 2\n"
        "nilfailed to connect: timeout\n1\n")
    assert time.monotonic() - before < 2
    peer.close()


def test_a_timeout_holds_for_the_whole_result(run):
    """Also where octets keep coming, one at a time."""
    with FakeMySql() as peer:
        def slowly(kind, packet):
            peer.slow = 0.02 if kind == "columns" else peer.slow
            return packet
        peer.change = slowly
        assert run("""
            db:close()
            db:set_timeout(1000)
            assert(db:connect{ host = "127.0.0.1", port = %d, user = "a" })
            ngx.say(db:query("SELECT name, ttl FROM records"))
        """ % peer.port) == "nilfailed to receive packet header: timeout\n"


def test_failures_of_the_network(run):
    ends, garbage = Peer(sends()), Peer(sends(b"HTTP/1.1 400 Bad\r\n\r\n"))
    assert run("""
        local mysql = require "resty.mysql"
        local db = mysql:new()
        ngx.say(db:query("select 1"))
        ngx.say(db:connect{ host = "127.0.0.1", port = 1 })
        ngx.say(db:connect{ path = "/nowhere" })
        ngx.say(db:connect{ host = "no.such.test", port = 1 })
        ngx.say(db:connect{})
        ngx.say(db:connect{ host = "127.0.0.1", port = %d })
        ngx.say((db:connect{ host = "127.0.0.1", port = %d }))
        ngx.say(db:connect{ host = "127.0.0.1", port = PORT, user = "resolua",
            password = "secret", charset = "klingon" })
    """ % (ends.port, garbage.port), prefix="") == (
        "nilcannot send query in the current context: nil\n"
        "nilfailed to connect: connection refused\n"
        "nilfailed to connect: no such file or directory\n"
        'nilfailed to connect: no resolver defined to resolve "no.such.test"\n'
        'nilneither "host" nor "path" options are specified\n'
        "nilfailed to connect: closed\nnil\n"
        "nilcharset 'klingon' is not supported\n")
    ends.close()
    garbage.close()


def mutate(rng, octets):
    octets = bytearray(octets)
    for _ in range(rng.choice((0, 1, 1, 2, 8))):
        if octets:
            octets[rng.randrange(len(octets))] = rng.choice(
                (0, 1, 0x7f, 0x80, 0xfb, 0xfc, 0xfe, 0xff, rng.randrange(256)))
    return bytes(octets[:rng.choice((len(octets), len(octets), rng.randrange(
        len(octets) + 1)))])


def test_what_a_hostile_server_sends(run, mariadb):
    """Every packet of a real server with octets changed or cut off."""
    mariadb.run(CATS)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)

    def serve(client):
        with socket.create_connection((HOST, mariadb.port)) as server:
            ends = {client: server, server: client}
            while True:
                for end in readable(list(ends), 1):
                    octets = end.recv(65536)
                    if not octets:
                        return
                    if end is server:
                        octets = mutate(rng, octets)
                    ends[end].sendall(octets)
    peer = Peer(serve)
    code = """
        local mysql = require "resty.mysql"
        for _ = 1, 10 do
            local db = mysql:new()
            db:set_timeout(100)
            if db:connect{ host = "127.0.0.1", port = %d, user = "resolua",
                           password = "secret", database = "dns" } then
                local _, err = db:query(
                    "select *, 1.5 as f from cats; select 1; delete from cats")
                while err == "again" do _, err = db:read_result() end
                db:query("select 1")
                db:set_keepalive(100, 2)
            end
        end
        ngx.say("alive")
    """ % peer.port
    assert run(code, prefix="", location="lua_socket_log_errors off;") == (
        "alive\n")
    for _ in range(3):
        assert run.server.http("/t", timeout=30).text == "alive\n"
    assert len(run.server.worker_pids()) == 1
    peer.close()


def test_a_unix_socket(run, mariadb):
    os.chmod(mariadb.socket, 0o777)
    assert run("""
        local mysql = require "resty.mysql"
        local db = mysql:new()
        local options = { path = "%s", user = "resolua", password = "secret",
                          charset = "latin1" }
        assert(db:connect(options))
        ngx.say(db:query("select @@character_set_client as c")[1].c)
        db:set_keepalive()
        assert(db:connect(options))
        ngx.say(db:get_reused_times())
        ngx.say(db:query("select @@character_set_client as c")[1].c)
    """ % mariadb.socket, prefix="") == "latin1\n1\nlatin1\n"


def test_large_statements_and_results(run):
    assert run("""
        options.max_packet_size = 8 * 1024 * 1024
        db:close()
        assert(db:connect(options))
        local text = ("x"):rep(3000000)
        local rows = db:query("select '" .. text .. "' as v")
        ngx.say(#rows[1].v)
        rows = db:query("select seq, repeat('y', 200) as v from seq_1_to_50000")
        ngx.say(#rows, " ", rows[50000].seq, " ", #rows[777].v)
        options.max_packet_size = 100000
        db:close()
        assert(db:connect(options))
        ngx.say((db:query("select repeat('z', 200000) as v")))
        ngx.say((db:query("select 1 as n")))
    """) == "3000000\n50000 50000 200\nnil\nnil\n"


def test_the_worker_serves_others_meanwhile(run):
    assert run("""
        local sleeps = {}
        local before = ngx.now()
        for i = 1, 5 do
            sleeps[i] = ngx.thread.spawn(function()
                local one = mysql:new()
                assert(one:connect(options))
                return one:query("select sleep(0.3) as s")[1].s
            end)
        end
        for i = 1, 5 do ngx.say(select(2, ngx.thread.wait(sleeps[i]))) end
        ngx.update_time()
        ngx.say(ngx.now() - before < 1)
    """) == "0\n" * 5 + "true\n"


def test_a_request_that_ends_in_a_query(run, mariadb):
    """Its connection is cut, and the worker goes on."""
    assert run("""
        if ngx.var.arg_wait then
            ngx.thread.spawn(function() db:query("select sleep(3)") end)
            ngx.sleep(0.05)
            ngx.exit(200)
        end
        ngx.say(db:query("select 1 as n")[1].n)
    """) == "1\n"
    for _ in range(10):
        run.server.http("/t?wait=1")
    assert run.server.http("/t").text == "1\n"


def use_tls(mariadb):
    folder = mariadb.folder
    if f"--ssl-key={folder}/key" not in mariadb.options:
        mariadb.stop()
        mariadb.options = [f"--ssl-cert={folder}/cert",
                           f"--ssl-key={folder}/key"]
        mariadb.start()


def test_tls(run, mariadb):
    plain = CONNECT.replace("assert(db:connect(options))", "options.ssl = true")
    assert run("ngx.say(db:connect(options))", prefix=plain) == (
        "nilssl disabled on server\n")
    folder = mariadb.folder
    use_tls(mariadb)
    cipher = """
        local ok, err = db:connect(options)
        if not ok then return ngx.say(err:match("^[^:]*")) end
        ngx.say(#db:query("show status like 'Ssl_cipher'")[1].Value > 5)
        db:set_keepalive()
        assert(db:connect(options))
        ngx.say(db:get_reused_times(), db:query("select 1 as n")[1].n)
    """
    assert run(cipher, prefix=plain) == "true\n11\n"
    verifies = plain + "options.ssl_verify, options.host = true, 'localhost' "
    assert run(cipher, prefix=verifies,
               location=f"lua_ssl_trusted_certificate {folder}/cert;") == (
        "true\n11\n")
    assert run(cipher, prefix=verifies) == "failed to do ssl handshake\n"


@pytest.mark.parametrize("plugin", ["ed25519", "mysql_native_password"])
def test_ways_to_authenticate(run, mariadb, plugin):
    mariadb.client(None, "INSTALL SONAME 'auth_ed25519'")
    mariadb.run(f"CREATE OR REPLACE USER other@'%' IDENTIFIED VIA {plugin} "
                "USING PASSWORD('secret')", database=None)
    assert run("""
        db:close()
        options.user, options.database = "other", nil
        assert(db:connect(options))
        ngx.say(db:query("select user() as u")[1].u:match("^[^@]*"))
        ngx.say(select(3, db:query("select * from nothing")))
    """) == "other\n10463D000\n"


@pytest.fixture
def names():
    """The port of a name server that says 127.0.0.1 to every name."""
    def answer():
        while True:
            try:
                packet, client = server.recvfrom(1000)
            except OSError:
                return
            query = dns.message.from_wire(packet)
            response = dns.message.make_response(query)
            if query.question[0].rdtype == 1:
                response.answer.append(dns.rrset.from_text(
                    query.question[0].name, 60, "IN", "A", HOST))
            server.sendto(response.to_wire(), client)
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, port))
        threading.Thread(target=answer, daemon=True).start()
        yield port


def test_a_host_name(run, names):
    assert run("""
        db:close()
        options.host = "database.test"
        assert(db:connect(options))
        ngx.say(db:query("select 1 as n")[1].n)
    """, location=f"resolver 127.0.0.1:{names};") == "1\n"


def test_a_certificate_is_compared_with_the_name(run, mariadb):
    use_tls(mariadb)
    assert run("""
        for _, host in ipairs{ "localhost", "127.0.0.1" } do
            options.host = host
            local ok, err = db:connect(options)
            ngx.say(ok and db:query("select 1 as n")[1].n
                or err:match("^[^:]*"))
            db:set_keepalive()
        end
    """, prefix=CONNECT.replace("assert(db:connect(options))", """
        options.ssl, options.ssl_verify = true, true"""),
        location=f"lua_ssl_trusted_certificate {mariadb.folder}/cert;") == (
        "1\nfailed to do ssl handshake\n")


def test_a_slow_handshake_blocks_nobody(run, mariadb):
    use_tls(mariadb)

    def serve(connection):
        """A greeting with TLS among what the server can, then nothing."""
        upstream = socket.create_connection((HOST, mariadb.port))
        connection.sendall(upstream.recv(1000))
        connection.recv(1000)
        time.sleep(3)
    peer = Peer(serve)
    assert run("""
        local slow, gone = mysql:new(), mysql:new()
        slow:set_timeout(500)
        options.ssl = true
        local begin = ngx.now()
        local waiting = ngx.thread.spawn(function()
            return slow:connect{ host = "127.0.0.1", port = %d, user = "a",
                                 ssl = true }
        end)
        ngx.thread.spawn(function()
            gone:connect{ host = "127.0.0.1", port = %d, ssl = true }
        end)
        options.pool = "another"
        assert(db:connect(options))
        ngx.say(db:query("select 1 as n")[1].n)
        ngx.update_time()
        ngx.say(ngx.now() - begin < 0.9)
        local sleeper = ngx.thread.spawn(function()
            return db:query("select sleep(0.3) as s")[1].s
        end)
        ngx.sleep(0.05)
        ngx.update_time()
        ngx.say(ngx.now() - begin < 0.9)
        ngx.say(select(2, ngx.thread.wait(sleeper)))
        ngx.say(select(3, ngx.thread.wait(waiting)))
        ngx.exit(200) -- while one still connects
    """ % (peer.port, peer.port)) == (
        "1\ntrue\ntrue\n0\nfailed to connect: timeout\n")
    assert run.server.http("/t").status == 200
    peer.close()


def test_in_stream_and_timers(start, mariadb):
    mariadb.run("CREATE OR REPLACE TABLE marks (v VARCHAR(20))")
    prefix = CONNECT.replace("PORT", str(mariadb.port))
    server = start("""
        stream {
            init_worker_by_lua_block {
                ngx.timer.at(0, function()
                    %s
                    assert(db:query("insert into marks values ('timer')"))
                    db:set_keepalive()
                end)
            }
            server {
                listen 127.0.0.1:@DNS@ udp;
                content_by_lua_block {
                    %s
                    local socket = ngx.req.socket()
                    local rows = db:query("select v from marks where v = "
                        .. ngx.quote_sql_str(socket:receive()))
                    socket:send(rows[1] and rows[1].v or "none")
                    db:set_keepalive()
                }
            }
        }""" % (prefix, prefix), env={"LUA_PATH": ";;"})
    wait_for(lambda: server.send_raw(b"timer") == b"timer", 5)
    assert server.send_raw(b"other") == b"none"
