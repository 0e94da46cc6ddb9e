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


def in_threads(*works):
    """Runs functions at once; gives what they raised."""
    failures = []

    def guard(work):
        try:
            work()
        except BaseException as failure:  # shown by the assertion
            failures.append(failure)

    threads = [threading.Thread(target=guard, args=(w,)) for w in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.parametrize("way", ["set", "zone"])
def test_editors_who_chain_by_the_etag_given_lose_nothing(server, way):
    """Each goes on from what its own answer said, without reading again."""
    path = ZONE + "/count/TXT"
    send(server, "PUT", path, {"records": ['"0"']})

    def write(number, etag):
        if way == "set":
            return send(server, "PUT", path, {"records": [f'"{number}"']},
                        If_Match=etag)
        return send(server, "PATCH", ZONE, {"rrsets": [
            {"name": "count", "type": "TXT", "records": [f'"{number}"']}]},
            If_Match=etag)

    def read():
        zone, count = server.http(ZONE), server.http(path)
        if way == "set":
            return (int(count.json()["records"][0].strip('"')),
                    count.headers["ETag"])
        texts = [r["record"] for r in zone.json()["records"]
                 if r["name"] == "count.example.test"]
        return int(texts[0].strip('"')), zone.headers["ETag"]

    def edit():
        number, etag = read()
        done = 0
        while done < 20:
            reply = write(number + 1, etag)
            if reply.status == 412:
                number, etag = read()
                continue
            assert reply.status == 200, reply.text
            done += 1
            number, etag = number + 1, reply.headers["ETag"]

    assert in_threads(edit, edit, edit) == []
    assert server.http(path).json()["records"] == ['"60"']


def test_an_answer_is_of_its_own_edit(server):
    """However many others edit the same set meanwhile, or take it away."""
    path = ZONE + "/own/A"
    serials = []

    def put(part):
        for i in range(25):
            reply = send(server, "PUT", path, {
                "ttl": 60 + part, "records": [f"10.{part}.0.{i}"]})
            assert reply.status in (200, 201), reply.text
            value = reply.json()
            assert value["records"] == [f"10.{part}.0.{i}"]
            assert value["ttl"] == 60 + part and value["type"] == 1
            serials.append(value["serial"])

    def delete():
        for _ in range(25):
            assert server.http(path, "DELETE").status in (204, 404)

    assert in_threads(lambda: put(1), lambda: put(2), delete) == []
    assert len(serials) == len(set(serials)) == 50


def test_a_zone_put_back_with_its_serial_has_another_etag(server):
    before = server.http(ZONE).headers["ETag"]
    more = MASTER + "more 60 A 192.0.2.9\n"
    reply = server.http(ZONE, "PUT", more, headers={"If-Match": before})
    assert reply.status == 200 and reply.json()["serial"] == 7
    assert reply.headers["ETag"] != before
    assert server.http(ZONE).headers["ETag"] == reply.headers["ETag"]
    assert server.http(ZONE, "PUT", MASTER,
                       headers={"If-Match": before}).status == 412


def test_changes_apply_in_their_order(server):
    def patch(*changes):
        reply = send(server, "PATCH", ZONE, {"rrsets": [
            {"name": "p", "type": "A", **change} for change in changes]})
        assert reply.status == 200, reply.text
        found = server.http(ZONE + "/p/A")
        return (found.json()["ttl"], found.json()["records"]) \
            if found.status == 200 else None

    one, two, three = ["192.0.2.1"], ["192.0.2.2"], ["192.0.2.3"]
    assert patch({"ttl": 60, "records": one + two},
                 {"change": "drop", "records": one}) == (60, two)
    assert patch({"change": "add", "records": three},
                 {"change": "drop", "records": two + three + one}) is None
    assert patch({"change": "add", "records": one}) == (3600, one)
    assert patch({"ttl": 90, "records": two},
                 {"change": "add", "records": one}) == (90, one + two)
    assert patch({"change": "delete"},
                 {"change": "add", "records": three}) == (3600, three)
    assert patch({"change": "drop", "records": three},
                 {"change": "add", "ttl": 5, "records": one}) == (5, one)


def test_one_text_is_one_record(server):
    path = ZONE + "/_dmarc/TXT"
    text = "v=DMARC1; p=reject; rua=mailto:a@example.test"
    for given in (text, f'"{text}"', text.replace(";", "\\;")):
        reply = send(server, "PUT", path, {"records": [given]})
        assert reply.json()["records"] == [f'"{text}"']
    assert send(server, "PATCH", ZONE, {"rrsets": [
        {"name": "k", "type": "TXT", "records": ["k=rsa; (p) = A"]},
        {"name": "_dmarc", "type": "TXT", "change": "drop",
         "records": [text]}]}).status == 200
    seen(server, "k.example.test", ['"k=rsa; (p) = A"'], "TXT")
    assert server.http(path).status == 404
    for rtype, record in (("A", "192.0.2.1 ; old"), ("A", "192.0.2.1\n192.0.2.2"),
                          ("TXT", '"a" ; b'), ("TXT", "a\nb"),
                          ("CAA", "0 issue ca.test; account=1")):
        reply = send(server, "PUT", f"{ZONE}/x/{rtype}", {"records": [record]})
        assert reply.status == 400, record
        assert "records[0]: " in reply.json()["error"]
    content = [{"content": "192.0.2.1 ; old"}]
    assert send(server, "PATCH", API + "/example.test.", {"rrsets": [{
        "name": "x.example.test.", "type": "A", "ttl": 60,
        "changetype": "REPLACE", "records": content}]}).status == 422


def test_a_zone_put_with_several_ttls_is_warned_of(server):
    reply = server.http(ZONE, "PUT", MASTER + "www 30 A 192.0.2.82\n")
    assert reply.json()["warnings"] == [
        "line:8: warning: www.example.test. A has the TTLs 30 and 60: a record"
        " set has one, and the lowest is used"]
    assert server.http(ZONE + "/www/A").json()["ttl"] == 30
    assert "warnings" not in server.http(ZONE, "PUT", MASTER).json()


SIGNED = MASTER + """\
@ 60 DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
@ 60 RRSIG SOA 13 2 60 20400101000000 20200101000000 1 @ AAAA
@ 7200 TXT "x"
@ 7200 RRSIG TXT 13 2 7200 20400101000000 20200101000000 1 @ AAAA
"""


def test_a_zone_that_was_signed_elsewhere_is_not_edited(server):
    assert server.http(ZONE, "PUT", SIGNED).status == 200
    text = server.http(ZONE, headers={"Accept": "text/dns"}).text
    assert "\t60\tIN\tRRSIG\tSOA " in text
    assert "\t7200\tIN\tRRSIG\tTXT " in text  # of the set that it covers
    www = {"name": "www", "type": "A", "records": ["192.0.2.1"]}
    rrset = {"name": "www.example.test.", "type": "A", "ttl": 60,
             "changetype": "REPLACE", "records": [{"content": "192.0.2.1"}]}
    for status, method, path, value in (
            (409, "PATCH", ZONE, {"rrsets": [www]}),
            (409, "PUT", ZONE + "/www/A", {"records": ["192.0.2.1"]}),
            (409, "DELETE", ZONE + "/www/A", {}),
            (422, "PATCH", API + "/example.test.", {"rrsets": [rrset]})):
        reply = send(server, method, path, value)
        assert reply.status == status
        assert "the zone is signed" in reply.json()["error"]
    assert server.http(ZONE).json()["serial"] == 7
    assert answers(server, "www.example.test") == ["192.0.2.80", "192.0.2.81"]
    assert server.http(ZONE, "PUT", SIGNED.replace(" 7 ", " 8 ")).status == 200
    assert server.http(ZONE, "PUT", MASTER.replace(" 7 ", " 9 ")).status == 200
    assert send(server, "PATCH", ZONE, {"rrsets": [www]}).status == 200


def test_a_new_zone_of_the_api_is_shown_as_it_was_made(server):
    reply = send(server, "POST", API, {
        "name": "made.test.", "kind": "Native", "nameservers": ["ns1.x."],
        "rrsets": [{"name": "www.made.test.", "type": "A", "ttl": 60,
                    "records": [{"content": "192.0.2.1"}]}]})
    made, read = reply.json(), server.http(API + "/made.test.").json()
    made["rrsets"].sort(key=lambda r: (r["name"], r["type"]))
    read["rrsets"].sort(key=lambda r: (r["name"], r["type"]))
    assert made == read and len(made["rrsets"]) == 3
    server.http(API + "/made.test.", "DELETE")


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


# What is kept and not served.

def sets_of(server, *names):
    zone = server.http(API + "/example.test.").json()
    return {(r["name"], r["type"]): sorted(
        (x["content"], x["disabled"]) for x in r["records"])
        for r in zone["rrsets"] if r["name"] in names}


def rrset(name, qtype, *records, ttl=60):
    return {"name": name, "type": qtype, "ttl": ttl, "changetype": "REPLACE",
            "records": [{"content": c, "disabled": d} for c, d in records]}


PARKED = {
    ("www.example.test.", "A"): [("192.0.2.1", False), ("192.0.2.2", True)],
    ("off.example.test.", "MX"): [("10 mx.example.test.", True)],
    ("off.example.test.", "TXT"): [('"a; b"', True), ('"ü"', True)],
    ("app.example.test.", "ALIAS"): [("lb.cloud.test.", False)],
    ("off.example.test.", "ALIAS"): [("lb.cloud.test.", True)],
}
NAMES = ["www.example.test.", "off.example.test.", "app.example.test."]


def test_disabled_records_and_aliases(server):
    path = API + "/example.test."
    before = server.http(path).json()["serial"]
    assert send(server, "PATCH", path, {"rrsets": [
        rrset(*key, *records) for key, records in PARKED.items()]}
        ).status == 204
    assert sets_of(server, *NAMES) == PARKED
    assert server.http(path).json()["serial"] == before + 1
    seen(server, "www.example.test", ["192.0.2.1"])
    assert answers(server, "app.example.test") == ["lb.cloud.test."]
    assert answers(server, "off.example.test", "MX") == []
    assert server.query("off.example.test", "MX").rcode() == 0  # the wildcard
    assert server.query("x.off.example.test", "TXT").answer
    assert server.query("parked", "A").rcode() == 5

    # A text replaces what is served.
    text = server.http(ZONE, headers={"Accept": "text/dns"}).text
    assert "192.0.2.2\n" not in text and "mx.example" not in text
    assert server.http(ZONE, "PUT", text).status == 200
    assert sets_of(server, *NAMES) == PARKED

    # A change of some leaves the others.
    assert send(server, "PATCH", path, {"rrsets": [
        rrset("off.example.test.", "MX", ("10 mx.example.test.", False)),
        {"name": "app.example.test.", "type": "ALIAS",
         "changetype": "DELETE"}]}).status == 204
    left = {**PARKED, ("off.example.test.", "MX"): [
        ("10 mx.example.test.", False)]}
    del left[("app.example.test.", "ALIAS")]
    assert sets_of(server, *NAMES) == left
    seen(server, "off.example.test", ["10 mx.example.test."], "MX")
    found = server.http("/api/v1/servers/localhost/search-data?q=192.0.2.*"
                        ).json()
    assert {(r["content"], r["disabled"]) for r in found} >= {
        ("192.0.2.1", False), ("192.0.2.2", True)}

    assert server.http(path, "DELETE").status == 204
    assert server.http(ZONE, "PUT", MASTER).status == 201
    assert sets_of(server, *NAMES[1:]) == {}


def test_rows_that_powerdns_does_not_serve(mysql, start):
    """They are shown and kept, whoever has written them."""
    mysql.run("DELETE FROM records; DELETE FROM domains")
    server = start((SERVICE % "").replace(
        "lmdb path=@FOLDER@/data",
        f"mysql://resolua:secret@127.0.0.1:{mysql.port}/dns").replace(
        "location /dns {", "location /api { content_by_lua_block { require("
        '"dns.api.powerdns").serve() } } location /dns {'))
    assert server.http(ZONE, "PUT", MASTER).status == 201
    mysql.run(
        "INSERT INTO records (domain_id,name,type,ttl,prio,content,disabled)"
        " SELECT id, 'old.example.test', 'MX', 77, 5, 'mx.a.test', 1 FROM"
        " domains UNION SELECT id, 'example.test', 'ALIAS', 60, NULL,"
        " 'lb.a.test', 0 FROM domains UNION SELECT id, 'bad.example.test',"
        " 'A', 60, NULL, 'nonsense', 1 FROM domains")
    names = ["old.example.test.", "example.test."]
    found = sets_of(server, *names)
    assert found[(names[0], "MX")] == [("5 mx.a.test.", True)]
    assert found[(names[1], "ALIAS")] == [("lb.a.test.", False)]

    path = API + "/example.test."
    text = server.http(ZONE, headers={"Accept": "text/dns"}).text
    assert server.http(ZONE, "PUT", text).status == 200
    assert send(server, "PATCH", path, {"rrsets": [
        rrset("old.example.test.", "A", ("192.0.2.1", True)),
        rrset("app.example.test.", "ALIAS", ("b.test.", False)),
        rrset("gone.example.test.", "ALIAS", ("b.test.", True))]}
        ).status == 204
    rows = mysql.run("SELECT name, type, ttl, prio, content, disabled FROM"
                     " records WHERE disabled = 1 OR type = 'ALIAS'"
                     " OR name = 'app.example.test' ORDER BY name, type")
    assert [line.split("\t") for line in rows.splitlines()] == [
        ["app.example.test", "ALIAS", "60", "0", "b.test", "0"],
        ["app.example.test", "CNAME", "60", "0", "b.test", "0"],
        ["bad.example.test", "A", "60", "NULL", "nonsense", "1"],
        ["example.test", "ALIAS", "60", "NULL", "lb.a.test", "0"],
        ["gone.example.test", "ALIAS", "60", "0", "b.test", "1"],
        ["old.example.test", "A", "60", "0", "192.0.2.1", "1"],
        ["old.example.test", "MX", "77", "5", "mx.a.test", "1"]]
    assert send(server, "PATCH", path, {"rrsets": [
        {"name": "old.example.test.", "type": "MX", "changetype": "DELETE"}]}
        ).status == 204
    assert sets_of(server, "old.example.test.") == {
        ("old.example.test.", "A"): [("192.0.2.1", True)]}


@pytest.mark.parametrize("kind", ["redis", "mysql"])
def test_a_mirror_serves_without_and_shows_with_them(kind, request, start):
    if kind == "redis":
        request.getfixturevalue(kind).run("FLUSHALL")
        url = "redis://:secret@127.0.0.1:%d"
    else:
        request.getfixturevalue(kind).run(
            "DELETE FROM records; DELETE FROM domains")
        url = "mysql://resolua:secret@127.0.0.1:%d/dns"
    url = url % request.getfixturevalue(kind).port
    conf = (SERVICE % "").replace(
        "dns_store lmdb path=@FOLDER@/data",
        f"dns_store {url} mirror=@FOLDER@/copy")
    server = start(conf.replace(
        "location /dns {", "location /api { content_by_lua_block { require("
        '"dns.api.powerdns").serve() } } location /dns {'))
    assert server.http(ZONE, "PUT", MASTER).status == 201
    assert send(server, "PATCH", API + "/example.test.", {"rrsets": [
        rrset(*key, *records) for key, records in PARKED.items()]}
        ).status == 204
    seen(server, "www.example.test", ["192.0.2.1"])
    seen(server, "app.example.test", ["lb.cloud.test."])
    assert server.query("off.example.test", "A").rcode() == 0  # the wildcard
    assert sets_of(server, *NAMES) == PARKED
    server.stop()
    server.start()
    seen(server, "www.example.test", ["192.0.2.1"])
    assert sets_of(server, *NAMES) == PARKED


def test_where_redis_keeps_what_it_does_not_serve(redis, start):
    """In one field, which is no name and comes with a dump."""
    redis.run("FLUSHALL")
    server = start((SERVICE % "").replace(
        "lmdb path=@FOLDER@/data",
        f"redis://:secret@127.0.0.1:{redis.port}/3").replace(
        "location /dns {", "location /api { content_by_lua_block { require("
        '"dns.api.powerdns").serve() } } location /dns {'))
    assert server.http(ZONE, "PUT", MASTER.replace("*", "w")).status == 201
    assert send(server, "PATCH", API + "/example.test.", {"rrsets": [
        rrset("a.off.example.test.", "A", ("192.0.2.2", True))]}
        ).status == 204
    assert json.loads(redis.run("HGET", "example.test.", "parked\\")) == [
        {"name": "a.off.example.test.", "type": "A", "ttl": 60,
         "data": "192.0.2.2"}]
    for name in ("a.off", "off", "parked", "parked\\\\"):
        assert server.query(name + ".example.test").rcode() == 3, name
    dumped = redis.run("HGETALL", "example.test.")
    assert server.http(ZONE).json()["name"] == "example.test"
    assert redis.run("HGETALL", "example.test.") == dumped
    assert server.http(API + "/example.test.", "DELETE").status == 204
    assert redis.run("EXISTS", "example.test.").strip() == "0"
