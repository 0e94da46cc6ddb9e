"""Zones in Redis, asked through the engine and the protocol, without nginx."""

import json
import socket
import threading

import pytest

from databases import Asker, Redis

SOA = ("authority\nexample.test. 60 IN SOA ns1.example.test. hostmaster.example.test."
       " 7 3600 600 86400 60\n")
ZONE = {
    "@": {"soa": {"ttl": 300, "minttl": 60, "MBox": "hostmaster.example.test.",
                  "ns": "ns1.example.test.", "refresh": 3600, "retry": 600, "expire": 86400},
          "ns": [{"ttl": 300, "host": "ns1.example.test."}]},
    "ns1": {"a": [{"ttl": 300, "ip": "192.0.2.53"}]},
    "www": {"a": [{"ttl": 300, "ip": "192.0.2.80"}]},
    "alias": {"cname": [{"ttl": 300, "host": "www.example.test."}]},
    "*.wild": {"a": [{"ttl": 300, "ip": "192.0.2.99"}]},
    "deep.below": {"txt": [{"ttl": 300, "text": "say \"hi\""}]},
    "bad": {"a": [{"ttl": 300, "ip": "nonsense"}, {"ttl": 300, "ip": "192.0.2.1"}]},
    "other": {"rr": [{"type": "TLSA", "ttl": 300, "data": "3 1 1 00ff"}]},
    "broken": "no json",
}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    db = Redis(tmp_path_factory.mktemp("redis"))
    for field, value in ZONE.items():
        db.run("HSET", "dns[1]:example.test.", field,
               value if isinstance(value, str) else json.dumps(value))
    db.run("SET", "dns[1]:text.test.", "not a hash")
    db.run("HSET", "dns1:other.test.", "@", "{}")
    yield db
    db.stop()


@pytest.fixture(params=[65536, 7])
def asker(request, database):
    asker = Asker("redis_ask", f"redis://:secret@127.0.0.1:{database.port}/3?prefix=dns[1]:", request.param)
    assert asker.greeting == ""
    yield asker
    asker.close()


def test_records_are_served(asker):
    assert asker.ask("WWW.example.test.", "A").endswith("300 IN A 192.0.2.80\n")
    assert asker.rounds == [1]
    assert "IN CNAME www.example.test." in asker.ask("alias.example.test.", "A")
    assert "192.0.2.80" in asker.ask("alias.example.test.", "A")
    assert 'IN TXT "say \\"hi\\""' in asker.ask("deep.below.example.test.", "TXT")
    assert "IN TLSA 3 1 1 00ff" in asker.ask("other.example.test.", "TLSA")
    assert "192.0.2.99" in asker.ask("x.y.wild.example.test.", "A")


def test_what_is_not_there(asker):
    assert asker.ask("www.example.test.", "TXT") == "NOERROR aa\n" + SOA
    assert asker.ask("no.example.test.", "A") == "NXDOMAIN aa\n" + SOA
    assert asker.ask("below.example.test.", "A") == "NOERROR aa\n" + SOA
    assert asker.ask("wild.example.test.", "A") == "NOERROR aa\n" + SOA
    assert asker.ask("elow.example.test.", "A") == "NXDOMAIN aa\n" + SOA


def test_only_hashes_with_the_prefix_are_zones(asker):
    assert asker.ask("www.other.test.", "A") == "not found\n"
    assert asker.ask("www.text.test.", "A") == "not found\n"


def test_what_does_not_parse_is_skipped(asker):
    text = asker.ask("bad.example.test.", "A")
    assert "skip bad.example.test. A: an IPv4 address" in text
    assert text.endswith("300 IN A 192.0.2.1\n")
    assert "skip broken.example.test. JSON: " in asker.ask("broken.example.test.", "A")


def test_foreign_writes_are_in_the_next_answer(asker, database):
    for ip in "192.0.2.7", "192.0.2.8":
        database.run("HSET", "dns[1]:example.test.", "new",
                     json.dumps({"a": [{"ttl": 5, "ip": ip}]}))
        assert asker.ask("new.example.test.", "A").endswith(f"5 IN A {ip}\n")


def test_a_wrong_password_is_told(database):
    asker = Asker("redis_ask", f"redis://nobody:wrong@127.0.0.1:{database.port}", 100)
    assert "WRONGPASS" in asker.greeting
    asker.close()


def test_many_zones_are_listed(database):
    database.run("EVAL", "for i = 1, 3000 do redis.call('HSET', 'many:z' .. i .. '.test.', '@',"
                 "'{\"ns\":[{\"host\":\"a.test.\"}]}') end", "0")
    asker = Asker("redis_ask", f"redis://default:secret@127.0.0.1:{database.port}/3?prefix=many:", 65536)
    assert "IN NS a.test." in asker.ask("z1.test.", "NS")
    assert "IN NS a.test." in asker.ask("z3000.test.", "NS")
    assert asker.ask("z3001.test.", "NS") == "not found\n"
    asker.close()


@pytest.mark.parametrize("reply", [
    b"garbage\r\n", b":1\r\n", b"*0\r\n", b"*2\r\n:1\r\n:2\r\n", b"*-1\r\n", b"$-1\r\n",
    b"*2\r\n$1\r\n0\r\n*2\r\n:1\r\n$-1\r\n", b"*2\r\n$1\r\n0\r\n", b"*99999999999\r\n", b""])
def test_what_is_no_reply_ends_the_job(reply):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            link, _ = server.accept()
            with link:
                link.recv(65536)
                link.sendall(b"+PONG\r\n")
                link.recv(65536)
                link.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        asker = Asker("redis_ask", f"redis://127.0.0.1:{server.getsockname()[1]}", 65536)
        text = asker.ask("www.example.test.", "A")
        assert "! " in text or text == "not found\n"
        asker.close()
        thread.join()
