"""Databases that other programs write to as well: what of theirs is served, and
what an edit leaves as it is."""

import json

import pytest

from service_conf import STORE_CONF
from stores import open_zones, resolua_store, wait_for_answer

ZONE = "/dns/zones/b.test"


@pytest.fixture(scope="module", params=["mysql", "redis"])
def zones(request, tmp_path_factory):
    one = open_zones(request.param, tmp_path_factory.mktemp(request.param))
    yield one
    one.db.stop()


@pytest.fixture
def server(zones, start):
    zones.clear()
    zones.make("b.test", [("www", "A", 60, "192.0.2.80"),
                          ("www", "AAAA", 60, "2001:db8::1")])
    return start(STORE_CONF % zones.url())


def test_rows_with_several_ttls_have_the_lowest(zones, server):
    """RFC 2181 section 5.2, in whatever order they come."""
    for owner, ttls in (("up", (60, 90)), ("down", (90, 60))):
        for i, ttl in enumerate(ttls):
            if zones.kind == "mysql":
                zones.db.run(zones.insert("b.test", [
                    (owner, "A", ttl, f"192.0.2.{i}")]))
        if zones.kind == "redis":
            zones.db.run("HSET", "b.test.", owner, json.dumps({"a": [
                {"ttl": ttl, "ip": f"192.0.2.{i}"}
                for i, ttl in enumerate(ttls)]}))
        wait_for_answer(server, f"{owner}.b.test", "A",
                        ["192.0.2.0", "192.0.2.1"])
        assert server.query(f"{owner}.b.test").answer[0].ttl == 60
        assert server.http(f"{ZONE}/{owner}/A").json()["ttl"] == 60


def patch(server, *changes):
    reply = server.http(ZONE, "PATCH", json.dumps({"rrsets": changes}))
    assert reply.status == 200, reply.text


def unread(zones):
    """What of the zone this server cannot read, as it lies there."""
    if zones.kind == "mysql":
        return zones.db.run("SELECT name, type, content FROM records WHERE"
                            " type='LUA' OR content LIKE 'bad%' OR disabled=1"
                            " ORDER BY id").splitlines()
    fields = [zones.db.run("HGET", "b.test.", f)
              for f in ("www", "only", "other", "@")]
    return [text for text in ("bad 1", "bad 2", "not JSON", "bad 3")
            if any(text in field for field in fields)]


def make_unread(zones):
    for owner, text in (("www", "bad 1"), ("only", "bad 2"), ("@", "bad 3")):
        zones.set_raw("b.test", owner, "A", text)
    if zones.kind == "mysql":
        zones.set_raw("b.test", "lua", "LUA", 'A "ifportup(443)"')
        zones.db.run("UPDATE records SET disabled=1 WHERE type='AAAA'")
    else:
        zones.db.run("HSET", "b.test.", "other", "not JSON")


def test_what_cannot_be_read_stays_when_a_zone_is_put_back(zones, server):
    make_unread(zones)
    before = unread(zones)
    assert len(before) >= 4
    wait_for_answer(server, "www.b.test", "A", ["192.0.2.80"])
    shown = server.http(ZONE, headers={"Accept": "text/dns"}).text
    assert "bad" not in shown
    for text in (shown, shown.replace("192.0.2.80", "192.0.2.81"),
                 shown + "new.b.test. 60 IN A 192.0.2.9\n"):
        assert server.http(ZONE, "PUT", text).status == 200
        assert unread(zones) == before
    assert server.http(ZONE + "/www/A").json()["records"] == ["192.0.2.80"]
    assert server.http(ZONE + "/new/A").status == 200
    zone = server.http("/dns/zones/b.test", "DELETE")
    assert zone.status == 204 and unread(zones) == []


def test_what_cannot_be_read_stays_beside_an_added_record(zones, server):
    """It goes with a set that is replaced or removed as a whole."""
    make_unread(zones)
    before = unread(zones)
    www = {"name": "www", "type": "A"}
    patch(server, {**www, "change": "add", "records": ["192.0.2.81"]})
    patch(server, {**www, "change": "drop", "records": ["192.0.2.80"]})
    assert unread(zones) == before
    assert server.http(ZONE + "/www/A").json()["records"] == ["192.0.2.81"]
    patch(server, {**www, "records": ["192.0.2.82"]})
    assert len(unread(zones)) == len(before) - 1
    wait_for_answer(server, "www.b.test", "A", ["192.0.2.82"])
    if zones.kind == "redis":
        reply = server.http(ZONE + "/other/A", "PUT",
                            json.dumps({"records": ["192.0.2.1"]}))
        assert reply.status == 409
        assert "other.b.test.: its field in Redis" in reply.json()["error"]


def test_a_row_with_a_final_dot_is_shown_nowhere_and_stays(zones, server):
    """Look-ups do not find it, PowerDNS's either."""
    if zones.kind == "redis":
        question = ("HGET", "b.test.", "dot.b.test.")
        zones.db.run("HSET", *question[1:], '{"a":[{"ip":"192.0.2.9"}]}')
    else:
        question = ("SELECT content FROM records WHERE name='dot.b.test.'",)
        zones.db.run(zones.insert("b.test", [("dot", "A", 60, "192.0.2.9")])
                     .replace("'dot.b.test'", "'dot.b.test.'"))
    before = zones.db.run(*question)
    assert "192.0.2.9" in before
    wait_for_answer(server, "www.b.test", "A", ["192.0.2.80"])
    assert server.query("dot.b.test").rcode() == 3
    shown = server.http(ZONE, headers={"Accept": "text/dns"}).text
    assert "dot.b.test." not in shown
    assert server.http(ZONE, "PUT", shown).status == 200
    assert zones.db.run(*question) == before
    assert server.query("dot.b.test").rcode() == 3


def test_the_command_explains_by_a_networked_store(zones, tmp_path):
    """The password's file was written on Windows."""
    zones.clear()
    zones.make("b.test", [("www", "A", 60, "192.0.2.80")])
    file = tmp_path / "password"
    file.write_bytes(b"secret\r\nanother\r\n")
    account = "resolua" if zones.kind == "mysql" else ""
    done = resolua_store(
        zones.url(account=account) + f"?password_file={file}", "explain",
        "www.b.test", "--api", "http://127.0.0.1:1/dns", check=False)
    assert "www.b.test has A" in done.stdout, done.stderr
    done = resolua_store(zones.url(account=account), "explain", "www.b.test",
                         "--api", "http://127.0.0.1:1/dns", check=False)
    assert "a store cannot be asked" in done.stdout


# Fields of a zone in Redis, and the text of www/TXT that is served of each.
ODD_FIELDS = {
    "nul": (r'{"txt":[{"ttl":60,"text":"a\u0000b"}]}', [r'"a\000b"']),
    "twice": ('{"txt":[{"text":"a"}],"txt":[{"text":"b"}]}', []),
    "inside": ('{"txt":[{"text":"a","text":"b"}]}', []),
    "UPPER": ('{"txt":[{"ttl":60,"text":"a"}]}', []),
    "abs.b.test.": ('{"txt":[{"ttl":60,"text":"a"}]}', []),
    "x" * 2000: ('{"txt":[{"ttl":60,"text":"a"}]}', []),
}


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    one = open_zones("redis", tmp_path_factory.mktemp("fields"))
    yield one
    one.db.stop()


def test_fields_in_redis_that_others_write_otherwise(redis, start):
    """What is shown is what look-ups find; an edit loses none of the rest."""
    redis.clear()
    redis.make("b.test", [("www", "A", 60, "192.0.2.80")])
    for field, (text, _) in ODD_FIELDS.items():
        redis.db.run("HSET", "b.test.", field, text)
    server = start(STORE_CONF % redis.url())
    wait_for_answer(server, "www.b.test", "A", ["192.0.2.80"])

    shown = server.http(ZONE).json()["records"]
    for field, (_, expected) in ODD_FIELDS.items():
        name = field.lower().removesuffix(".b.test.") + ".b.test"
        assert [r["record"] for r in shown if r["name"] == name] == expected
        if len(field) < 64:
            answer = server.query(name, "TXT").answer
            assert [str(r) for s in answer for r in s] == expected, field

    def unread():
        return {field: redis.db.run("HGET", "b.test.", field)
                for field, (_, expected) in ODD_FIELDS.items()
                if not expected}

    before = unread()
    text = server.http(ZONE, headers={"Accept": "text/dns"}).text
    reply = server.http(ZONE, "PUT", text)
    assert reply.status == 200, reply.text
    assert unread() == before
    assert server.http(ZONE).json()["records"] == shown
    for name in ("nul", "upper", "abs"):
        patch(server, {"name": name, "type": "A", "records": ["192.0.2.1"]})
    for name in ("twice", "inside"):
        reply = server.http(f"{ZONE}/{name}/A", "PUT",
                            json.dumps({"records": ["192.0.2.1"]}))
        assert reply.status == 409 and name in reply.text
    assert unread() == before
    assert server.http(ZONE + "/nul/TXT").json()["records"] == [r'"a\000b"']


TWO = """
%s
stream { server { listen 127.0.0.1:@DNS@ udp; dns_serve on; } }
http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block { require("dns.api").serve() } }
        location /api {
            content_by_lua_block { require("dns.api.powerdns").serve() }
        }
    }
}
"""
NEW = "@ 60 SOA ns1 h 1 1 1 1 1\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n"


def has_zone(zones, zone):
    if zones.kind == "mysql":
        return zones.db.run("SELECT COUNT(*) FROM domains WHERE name="
                            f"'{zone}'").strip() == "1"
    return zones.db.run("EXISTS", f"{zone}.") == "1"


@pytest.mark.parametrize("first", ["networked", "embedded", "mirrored"])
def test_a_new_zone_is_made_in_the_store_that_is_listed_first(zones, start,
                                                              first):
    zones.clear()
    lines = [f"dns_store {zones.url()};", "dns_store lmdb path=@FOLDER@/data;"]
    if first == "embedded":
        lines.reverse()
    if first == "mirrored":
        lines = [f"dns_store {zones.url()} mirror=@FOLDER@/data;"]
    server = start(TWO % "\n".join(lines))
    assert server.http("/dns/zones/new.test", "PUT", NEW).status == 201
    assert server.http("/api/v1/servers/localhost/zones", "POST", json.dumps({
        "name": "api.test.", "nameservers": ["ns1.new.test."]})).status == 201
    wait_for_answer(server, "ns1.new.test", "A", ["192.0.2.1"])
    for zone in ("new.test", "api.test"):
        assert has_zone(zones, zone) == (first != "embedded")
    assert server.http("/dns/zones/new.test/a/A", "PUT",
                       '{"records": ["192.0.2.2"]}').status == 201


API = "/api/v1/servers/localhost/zones"


@pytest.fixture
def pdns_tables(zones, start):
    """A zone of PowerDNS's with all that lies beside its records."""
    zones.clear()
    zones.db.run("DELETE FROM comments; DELETE FROM domainmetadata")
    zones.make("b.test", [("www", "A", 60, "192.0.2.80")])
    zones.db.run(
        "UPDATE domains SET type='MASTER', account='acme' WHERE name='b.test';"
        "INSERT INTO comments (domain_id,name,type,modified_at,account,comment)"
        " SELECT id,'www.b.test','A',1,'me','from the table' FROM domains;"
        "INSERT INTO domainmetadata (domain_id,kind,content) SELECT id,"
        "'SOA-EDIT-API','INCEPTION-INCREMENT' FROM domains;"
        "INSERT INTO domainmetadata (domain_id,kind,content) SELECT id,"
        "'ALLOW-AXFR-FROM','192.0.2.9' FROM domains")
    return start(TWO % f"dns_store {zones.url()};"
                 "dns_store lmdb path=@FOLDER@/data;")


def beside(zones):
    return zones.db.run(
        "SELECT name,type,account FROM domains ORDER BY name;"
        "SELECT kind,content FROM domainmetadata ORDER BY kind,content;"
        "SELECT name,type,account,comment FROM comments ORDER BY name,comment"
    ).splitlines()


@pytest.mark.parametrize("zones", ["mysql"], indirect=True)
def test_what_lies_beside_records_is_shown_and_kept(zones, pdns_tables):
    """Kind, account, comments and metadata of PowerDNS's tables."""
    server = pdns_tables
    before = beside(zones)
    zone = server.http(f"{API}/b.test.").json()
    assert (zone["kind"], zone["account"]) == ("Master", "acme")
    assert zone["soa_edit_api"] == "INCEPTION-INCREMENT"
    [www] = [r for r in zone["rrsets"] if r["name"] == "www.b.test."]
    assert [(c["account"], c["content"], c["modified_at"])
            for c in www["comments"]] == [("me", "from the table", 1)]
    [listed] = server.http(API).json()
    assert (listed["kind"], listed["account"]) == ("Master", "acme")
    axfr = server.http(f"{API}/b.test./metadata/ALLOW-AXFR-FROM").json()
    assert axfr["metadata"] == ["192.0.2.9"]
    zone = server.http(ZONE).json()
    assert (zone["kind"], zone["account"]) == ("Master", "acme")
    assert zone["metadata"] == {"ALLOW-AXFR-FROM": ["192.0.2.9"]}
    assert zone["comments"] == [{
        "name": "www.b.test", "type": 1, "account": "me",
        "comment": "from the table", "modified_at": 1}]

    text = server.http(ZONE, headers={"Accept": "text/dns"}).text
    assert server.http(ZONE, "PUT", text).status == 200
    patch(server, {"name": "www", "type": "A", "records": ["192.0.2.81"]})
    assert server.http(f"{API}/b.test.", "PATCH", json.dumps({"rrsets": [{
        "name": "www.b.test.", "type": "A", "ttl": 60, "changetype": "REPLACE",
        "records": [{"content": "192.0.2.82"}]}]})).status == 204
    assert beside(zones) == before


@pytest.mark.parametrize("zones", ["mysql"], indirect=True)
def test_what_lies_beside_records_is_written(zones, pdns_tables):
    server = pdns_tables
    assert server.http(f"{API}/b.test.", "PUT", json.dumps({
        "kind": "Native", "account": "bob's", "api_rectify": True,
        "soa_edit_api": "INCREASE"})).status == 204
    assert server.http(f"{API}/b.test.", "PATCH", json.dumps({"rrsets": [{
        "name": "www.b.test.", "type": "A", "changetype": "REPLACE",
        "comments": [{"content": "it's new", "account": "me"}]}]})).status == 204
    assert server.http(f"{API}/b.test./metadata/ALLOW-AXFR-FROM", "PUT",
                       '{"metadata": ["192.0.2.7", "192.0.2.8"]}').status == 200
    assert server.http(f"{API}/b.test./metadata/X-MINE", "PUT",
                       '{"metadata": ["a"]}').status == 200
    assert server.http(API, "POST", json.dumps({
        "name": "c.test.", "kind": "Master", "account": "carol",
        "nameservers": ["ns1.b.test."]})).status == 201
    found = beside(zones)
    for row in ("b.test\tNATIVE\tbob's", "c.test\tMASTER\tcarol",
                "API-RECTIFY\t1", "SOA-EDIT-API\tINCREASE", "X-MINE\ta",
                "ALLOW-AXFR-FROM\t192.0.2.7", "ALLOW-AXFR-FROM\t192.0.2.8",
                "www.b.test\tA\tme\tit's new"):
        assert row in found, found
    assert "192.0.2.9" not in str(found)
    assert "from the table" not in str(found)
    zone = server.http(f"{API}/c.test.").json()
    assert (zone["kind"], zone["account"]) == ("Master", "carol")
    assert server.http(f"{API}/b.test./metadata/X-MINE", "DELETE").status == 204
    assert "X-MINE\ta" not in beside(zones)
    assert server.http(f"{API}/b.test.", "DELETE").status == 204
    assert not [row for row in beside(zones) if "b.test" in row]
