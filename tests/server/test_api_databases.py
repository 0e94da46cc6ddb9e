"""/dns, /api and dry runs over each kind of zone store: what they promise does
not depend on where zones lie."""

import json
import threading

import pytest

from databases import MariaDb, Redis
from resolua_server import have, wait_for
from service_conf import SERVICE

MASTER = """\
@ 60 SOA ns1 hostmaster 7 3600 600 86400 300
@ 60 NS ns1
ns1 60 A 192.0.2.1
www 60 A 192.0.2.80
www 60 A 192.0.2.81
* 60 TXT "any"
ftp 60 CNAME www
"""
ZONE = "/dns/zones/example.test"
API = "/api/v1/servers/localhost/zones"


@pytest.fixture(scope="module")
def mysql(tmp_path_factory):
    if not have("mariadbd"):
        pytest.skip("no mariadbd")
    one = MariaDb(tmp_path_factory.mktemp("m"))
    one.run_file("sql/mysql/schema.sql")
    yield one
    one.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    if not have("redis-server"):
        pytest.skip("no redis-server")
    one = Redis(tmp_path_factory.mktemp("redis"))
    yield one
    one.stop()


@pytest.fixture(params=["lmdb", "redis", "mysql"])
def server(request, start):
    store = "lmdb path=@FOLDER@/data"
    if request.param == "redis":
        port = request.getfixturevalue("redis").port
        request.getfixturevalue("redis").run("FLUSHALL")
        store = f"redis://:secret@127.0.0.1:{port}"
    elif request.param == "mysql":
        port = request.getfixturevalue("mysql").port
        request.getfixturevalue("mysql").run(
            "DELETE FROM records; DELETE FROM domains")
        store = f"mysql://resolua:secret@127.0.0.1:{port}/dns"
    conf = (SERVICE % "").replace("lmdb path=@FOLDER@/data", store)
    one = start("dns_cache 1m;" + conf.replace(
        "location /dns {", "location /api { content_by_lua_block { require("
        '"dns.api.powerdns").serve() } } location /dns {'))
    assert one.http(ZONE, "PUT", MASTER).status == 201
    return one


def send(server, method, path, value, **headers):
    return server.http(path, method, json.dumps(value), headers={
        name.replace("_", "-"): text for name, text in headers.items()})


def answers(server, name, qtype="A"):
    return sorted(str(rdata) for rrset in server.query(name, qtype).answer
                  for rdata in rrset)


def seen(server, name, expected, qtype="A"):
    wait_for(lambda: answers(server, name, qtype) == expected)


def test_zones_and_sets(server):
    zone = server.http(ZONE).json()
    assert len(zone["records"]) == 7 and zone["records"][0]["type"] == 6
    text = server.http(ZONE, headers={"Accept": "text/dns"}).text
    assert "www.example.test.\t60\tIN\tA\t192.0.2.80\n" in text
    assert [z["name"] for z in server.http("/dns/zones").json()] == [
        "example.test"]
    pages = server.http(ZONE + "?limit=2")
    assert 'rel="next"' in pages.headers["Link"]
    assert len(pages.json()["records"]) == 2

    assert send(server, "PUT", ZONE + "/new/A",
                {"records": ["192.0.2.9"]}).status == 201
    seen(server, "new.example.test", ["192.0.2.9"])
    assert server.http(ZONE + "/new/A", "DELETE").status == 204
    assert server.http(ZONE, "DELETE").status == 204
    assert server.http("/dns/zones").text.strip() == "[]"


def test_lists_of_changes(server):
    change = [{"name": "a", "type": "A", "records": ["192.0.2.1"]},
              {"name": "www", "type": "A", "change": "drop",
               "records": ["192.0.2.80", "192.0.2.7"]},
              {"name": "www", "type": "A", "change": "add",
               "records": ["192.0.2.82"]},
              {"name": "ftp", "type": "CNAME", "change": "delete"}]
    assert send(server, "PATCH", ZONE, {"rrsets": change}).status == 200
    seen(server, "www.example.test", ["192.0.2.81", "192.0.2.82"])
    assert server.http(ZONE + "/ftp/CNAME").status == 404
    bad = change[:1] + [{"name": "www", "type": "CNAME", "records": ["a"]}]
    bad[0] = {**bad[0], "records": ["192.0.2.200"]}
    assert send(server, "PATCH", ZONE, {"rrsets": bad}).status == 409
    assert server.http(ZONE + "/a/A").json()["records"] == ["192.0.2.1"]


def test_conditions(server):
    path = ZONE + "/www/A"
    etag = server.http(path).headers["ETag"]
    zone = server.http(ZONE).headers["ETag"]
    assert send(server, "PUT", path, {"records": ["192.0.2.1"]},
                If_Match=etag).status == 200
    assert send(server, "PUT", path, {"records": ["192.0.2.2"]},
                If_Match=etag).status == 412
    assert send(server, "PUT", path, {"records": ["192.0.2.2"]},
                If_None_Match="*").status == 412
    change = {"rrsets": [{"name": "a", "type": "A",
                          "records": ["192.0.2.1"]}]}
    assert send(server, "PATCH", ZONE, change, If_Match=zone).status == 412
    zone = server.http(ZONE).headers["ETag"]
    assert send(server, "PATCH", ZONE, change, If_Match=zone).status == 200


def test_conditional_edits_at_once_lose_nothing(server):
    path = ZONE + "/count/TXT"
    send(server, "PUT", path, {"records": ['"0"']})
    wrong = []

    def count():
        for _ in range(4):
            for _ in range(400):
                reply = server.http(path)
                number = int(reply.json()["records"][0].strip('"'))
                status = send(server, "PUT", path,
                              {"records": [f'"{number + 1}"']},
                              If_Match=reply.headers["ETag"]).status
                if status == 200:
                    break
                if status != 412:
                    wrong.append(status)
                    return

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert server.http(path).json()["records"] == ['"12"']


def test_the_api_of_powerdns(server):
    path = API + "/example.test."
    for changetype, contents in (("EXTEND", ["192.0.2.82"]),
                                 ("PRUNE", ["192.0.2.80"]),
                                 ("PRUNE", ["192.0.2.80"])):
        assert send(server, "PATCH", path, {"rrsets": [{
            "name": "www.example.test.", "type": "A",
            "changetype": changetype,
            "records": [{"content": c} for c in contents]}]}).status == 204
    seen(server, "www.example.test", ["192.0.2.81", "192.0.2.82"])
    zone = server.http(path).json()
    [www] = [r for r in zone["rrsets"] if r["name"] == "www.example.test."]
    assert www["ttl"] == 60 and len(www["records"]) == 2
    assert "IN\tCNAME\twww.example.test." in server.http(path + "/export").text
    found = server.http("/api/v1/servers/localhost/search-data?q=*82").json()
    assert [r["name"] for r in found] == ["www.example.test."]
    assert send(server, "POST", API, {
        "name": "made.test.", "kind": "Native",
        "nameservers": ["ns1.example.test."]}).status == 201
    assert send(server, "POST", API, {"name": "made.test."}).status == 409
    seen(server, "made.test", ["ns1.example.test."], "NS")
    assert server.http(API + "/made.test.", "DELETE").status == 204


def test_a_large_zone_in_batches(server):
    more = "".join(f"n{i:04} 60 A 192.0.2.1\n" for i in range(2500))
    assert server.http(ZONE, "PUT", MASTER + more).status == 200
    assert len(server.http(ZONE).json()["records"]) == 2507
    text = server.http(API + "/example.test./export").text
    assert len(text.splitlines()) == 2507


def test_dry_runs(server):
    for name, step, text in (
            ("www.example.test", "node", "www.example.test has A"),
            ("x.example.test", "wildcard", "*.example.test has TXT"),
            ("ftp.example.test", "node", "is an alias")):
        found = server.http("/dns/explain?name=" + name).json()
        texts = [s["text"] for s in found["steps"] if s["step"] == step]
        assert text in texts[0], found
        assert found["response"]["rcode"] == "NOERROR"
        zones = [s["text"] for s in found["steps"] if s["step"] == "zone"]
        is_remote = zones[0] == "example.test, in a networked store"
        assert is_remote or zones[0] == "example.test"
        if is_remote:
            assert "nothing is kept" in str(found)
            again = server.http("/dns/explain?name=" + name).json()
            assert "the answer is kept" in str(again)
        real = server.query(name)
        assert len(found["response"]["answers"]) == sum(
            len(rrs) for rrs in real.answer)
