"""/api/v1: what tools made for PowerDNS ask for."""

import json

import pytest

from powerdns_api import api_server  # noqa: F401 (the fixture)
from powerdns_api import (BASE, ZONE, ZONES, contents, find, patch, rrset,
                          send)


def test_a_name_twice_in_a_body(server):
    reply = server.http(ZONE, "PATCH", '{"rrsets":[{"name":"a.example.test.",'
                        '"type":"A","ttl":60,"changetype":"DELETE",'
                        '"changetype":"REPLACE","records":[]}]}')
    assert reply.status == 400
    assert '"changetype" stands twice' in reply.json()["error"]


def test_servers(server):
    assert server.http("/api").json() == [{"version": 1, "url": "/api/v1"}]
    one = server.http(BASE).json()
    assert one["id"] == "localhost"
    assert one["type"] == "Server"
    assert one["daemon_type"] == "authoritative"
    assert server.http("/api/v1/servers").json() == [one]
    for path in ("/api/v2", BASE + "x", BASE + "/no", "/api/v1/other"):
        assert server.http(path).status == 404, path


def test_zones(server):
    [zone] = server.http(ZONES).json()
    assert zone["id"] == zone["name"] == "example.test."
    assert zone["url"] == ZONE
    assert zone["kind"] == "Native"
    assert zone["serial"] == 2024010101
    assert zone["masters"] == []
    assert "rrsets" not in zone
    assert server.http(ZONES + "?zone=example.test.").json() == [zone]
    assert server.http(ZONES + "?zone=other.test.").text.strip() == "[]"
    whole = server.http(ZONE).json()
    assert whole["serial"] == zone["serial"]
    assert "rrsets" not in server.http(ZONE + "?rrsets=false").json()
    assert server.http(ZONES + "/no.test.").status == 404
    assert "error" in server.http(ZONES + "/no.test.").json()


def test_rrsets_of_a_zone(server):
    www = find(server, "www.example.test.", "A")
    assert www == {
        "name": "www.example.test.", "type": "A", "ttl": 300, "comments": [],
        "records": [{"content": "192.0.2.80", "disabled": False},
                    {"content": "192.0.2.81", "disabled": False}]}
    only = server.http(ZONE + "?rrset_name=www.example.test.&rrset_type=A")
    assert only.json()["rrsets"] == [www]
    none = server.http(ZONE + "?rrset_name=none.example.test.&rrset_type=A")
    assert none.json()["rrsets"] == []


def test_changes(server):
    before = server.http(ZONE).json()["serial"]
    reply = patch(server,
                  rrset("new.example.test.", "A", "REPLACE", "192.0.2.1",
                        "192.0.2.2", ttl=60),
                  rrset("www.example.test.", "AAAA", "DELETE"),
                  rrset("none.example.test.", "TXT", "DELETE"),
                  rrset("www.example.test.", "A", "EXTEND", "192.0.2.82"))
    assert (reply.status, reply.body) == (204, b"")
    assert contents(server, "new.example.test.", "A") == [
        "192.0.2.1", "192.0.2.2"]
    assert find(server, "www.example.test.", "AAAA") is None
    assert server.http(ZONE).json()["serial"] == before + 1
    answer = server.query("www.example.test", "A").answer[0]
    assert sorted(map(str, answer)) == ["192.0.2.80", "192.0.2.81",
                                        "192.0.2.82"]

    for _ in range(2):  # pruning twice is no error
        assert patch(server, rrset("www.example.test.", "A", "PRUNE",
                                   "192.0.2.80")).status == 204
    assert contents(server, "www.example.test.", "A") == [
        "192.0.2.81", "192.0.2.82"]
    assert patch(server, rrset("new.example.test.", "A",
                               "REPLACE")).status == 204
    assert find(server, "new.example.test.", "A") is None


def test_extending_keeps_the_ttl(server):
    for value, ttl in (({}, 300), ({"ttl": 77}, 77)):
        change = rrset("www.example.test.", "A", "EXTEND", f"192.0.2.{ttl % 256}")
        del change["ttl"]
        assert patch(server, {**change, **value}).status == 204
        assert find(server, "www.example.test.", "A")["ttl"] == ttl
    change = rrset("new.example.test.", "A", "EXTEND", "192.0.2.1")
    del change["ttl"]
    assert patch(server, change).status == 204
    assert find(server, "new.example.test.", "A")["ttl"] == 3600


def test_what_external_dns_sends(server):
    """It patches whole zones, and says ALIAS for names outside the zone."""
    zone = server.http(ZONE + "?rrsets=false").json()
    zone["rrsets"] = [
        {"name": "app.example.test.", "type": "ALIAS", "ttl": 300,
         "changetype": "REPLACE", "records": [{"content": "lb.cloud.test."}]},
        {"name": "x-app.example.test.", "type": "TXT", "ttl": 300,
         "changetype": "REPLACE", "records": [{
             "content": '"heritage=external-dns,external-dns/owner=a"'}]}]
    assert send(server, "PATCH", ZONE, zone).status == 204
    assert contents(server, "app.example.test.", "ALIAS") == [
        "lb.cloud.test."]
    assert contents(server, "app.example.test.", "CNAME") is None
    answer = server.query("app.example.test", "A").answer[0]
    assert str(answer[0]) == "lb.cloud.test."
    zone["rrsets"] = [{"name": "app.example.test.", "type": "ALIAS",
                       "changetype": "DELETE", "records": [
                           {"content": "lb.cloud.test."}]}]
    assert send(server, "PATCH", ZONE, zone).status == 204
    assert find(server, "app.example.test.", "ALIAS") is None
    assert find(server, "app.example.test.", "CNAME") is None
    assert server.query("app.example.test", "A").rcode() == 3


def test_what_octodns_sends(server):
    """A patch first; the zone is made with the same list after a 404."""
    mods = [rrset("www.made.test.", "CNAME", "REPLACE", "made.test."),
            rrset("made.test.", "TXT", "REPLACE", '"v=DKIM1\\; k=rsa"'),
            rrset("made.test.", "LOC", "REPLACE",
                  "31 58 52.100 S 115 49 11.700 E 20.00m 10.00m 10.00m 2.00m"),
            rrset("made.test.", "NAPTR", "REPLACE",
                  '10 100 "S" "SIP+D2U" "!^.*$!sip:a@made.test!" .')]
    path = ZONES + "/made.test."
    assert send(server, "PATCH", path, {"rrsets": mods}).status == 404
    assert send(server, "POST", ZONES, {
        "name": "made.test.", "kind": "Master", "masters": [],
        "nameservers": [], "rrsets": mods, "soa_edit_api": "INCEPTION-INCREMENT",
        "serial": 0}).status == 201
    found = server.http(path).json()
    assert found["kind"] == "Master"
    assert found["soa_edit_api"] == "INCEPTION-INCREMENT"
    [txt] = [r for r in found["rrsets"] if r["type"] == "TXT"]
    assert txt["records"][0]["content"] in ('"v=DKIM1; k=rsa"',
                                            '"v=DKIM1\\; k=rsa"')


def test_what_terraform_sends(server):
    assert send(server, "POST", ZONES, {
        "id": "", "name": "tf.test.", "url": "", "kind": "Native",
        "dnsssec": False, "serial": 0,
        "nameservers": ["ns1.tf.test.", "ns2.tf.test."]}).status == 201
    path = ZONES + "/tf.test."
    assert send(server, "PATCH", path, {"rrsets": [{
        "name": "www.tf.test.", "type": "A", "changetype": "REPLACE",
        "ttl": 300, "records": [{
            "name": "www.tf.test.", "type": "A", "content": "192.0.2.1",
            "ttl": 300, "disabled": False, "set-ptr": False}]}]}).status == 204
    assert send(server, "PATCH", path, {"rrsets": [{
        "name": "www.tf.test.", "type": "A", "changetype": "DELETE",
        "ttl": 0}]}).status == 204


@pytest.mark.parametrize("text, strings", [
    ("x" * 255, [b"x" * 255]), ("x" * 256, [b"x" * 255, b"x"]),
    ("x" * 700, [b"x" * 255, b"x" * 255, b"x" * 190]),
    ("\\120" * 300, [b"x" * 255, b"x" * 45]),
    ('a\\"b' + "x" * 253, [b'a"b' + b"x" * 252, b"x"]),
    ('a" "' + "x" * 256, [b"a", b"x" * 255, b"x"]), ("", [b""])])
def test_texts_of_any_size(server, text, strings):
    assert patch(server, rrset("long.example.test.", "TXT", "REPLACE",
                               f'"{text}"')).status == 204
    answer = server.query("long.example.test", "TXT", tcp=True).answer[0]
    assert list(answer[0].strings) == strings


def test_nulls_are_no_values(server):
    assert send(server, "PATCH", ZONE, {"rrsets": [{
        "name": "www.example.test.", "type": "A", "changetype": "DELETE",
        "ttl": None, "records": None, "comments": None}]}).status == 204
    assert find(server, "www.example.test.", "A") is None


@pytest.mark.parametrize("bad, text", [
    (rrset("www.example.test", "A", "REPLACE", "192.0.2.1"), "canonical"),
    (rrset("www.other.test.", "A", "REPLACE", "192.0.2.1"), "out of zone"),
    (rrset("a..example.test.", "A", "REPLACE", "192.0.2.1"), "name"),
    (rrset("www.example.test.", "NO", "REPLACE", "x"), "type"),
    (rrset("www.example.test.", "ANY", "REPLACE", "x"), "type"),
    (rrset("www.example.test.", "A", "CHANGE", "192.0.2.1"), "changetype"),
    (rrset("www.example.test.", "A", None, "192.0.2.1"), "changetype"),
    (rrset("www.example.test.", "A", "REPLACE", "192.0.2"), "rrsets[1].records[0]"),
    (rrset("www.example.test.", "A", "REPLACE", "192.0.2.1", "x"),
     "rrsets[1].records[1]"),
    (rrset("www.example.test.", "A", "REPLACE", "192.0.2.1", "192.0.2.1"),
     "duplicate"),
    (rrset("www.example.test.", "A", "REPLACE", "192.0.2.1", ttl=None),
     "ttl"),
    (rrset("www.example.test.", "A", "REPLACE", "192.0.2.1", ttl=-1), "ttl"),
    (rrset("x.example.test.", "CNAME", "REPLACE", "mail"), "canonical form"),
    (rrset("www.example.test.", "CNAME", "REPLACE", "mail.example.test."),
     "CNAME"),
    (rrset("www.example.test.", "A", "EXTEND", "192.0.2.1", "192.0.2.2"),
     "exactly one"),
    (rrset("www.example.test.", "A", "PRUNE"), "exactly one"),
    (rrset("example.test.", "NS", "DELETE"), "NS"),
    ({**rrset("www.example.test.", "A", "REPLACE"),
      "records": [{"content": "192.0.2.1", "disabled": "yes"}]}, "disabled"),
    (rrset("example.test.", "ALIAS", "REPLACE", "a.test."), "RFC 1034"),
    (rrset("www.example.test.", "ALIAS", "REPLACE", "a.test."), "CNAME"),
    ({**rrset("www.example.test.", "A", "REPLACE"), "records": "x"},
     "records"),
    ({**rrset("www.example.test.", "A", "REPLACE"), "records": [7]},
     "content"),
    (rrset("www.example.test.", "TXT", "REPLACE", "unquoted"), "quotes"),
    (7, "rrsets[1]: not an object"),
    (rrset("bücher.example.test.", "A", "REPLACE", "192.0.2.1"), "xn--"),
    (rrset("b\\195.example.test.", "A", "REPLACE", "192.0.2.1"), "xn--"),
    (rrset("www.example.test.", "A", "REPLACE", "192.0.2.1", ttl="3x"),
     "ttl"),
    (rrset("www.example.test.", "A", "REPLACE", "192.0.2.1",
           ttl="2147483648"), "ttl"),
])
def test_bad_changes_change_nothing(server, bad, text):
    before = server.http(ZONE).text
    reply = patch(server, rrset("new.example.test.", "A", "REPLACE",
                                "192.0.2.1"), bad)
    assert reply.status == 422
    assert text in reply.json()["error"]
    assert server.http(ZONE).text == before


def test_letters_and_quotes_as_powerdns_takes_them(server):
    for kind, ttl in (("replace", 60), ("Replace", "300"), ("REPLACE", "0")):
        assert patch(server, rrset("x.example.test.", "A", kind, "192.0.2.1",
                                   ttl=ttl)).status == 204
        assert find(server, "x.example.test.", "A")["ttl"] == int(ttl)
    assert patch(server, rrset("x.example.test.", "A", "extend",
                               "192.0.2.2")).status == 204
    assert patch(server, rrset("x.example.test.", "A", "prune",
                               "192.0.2.1")).status == 204
    assert contents(server, "x.example.test.", "A") == ["192.0.2.2"]
    assert patch(server, rrset("x.example.test.", "A",
                               "delete")).status == 204
    assert find(server, "x.example.test.", "A") is None


def test_the_root_zone(server):
    reply = send(server, "POST", ZONES, {
        "name": ".", "kind": "Native", "nameservers": ["ns1.a.test."]})
    assert reply.status == 201, reply.text
    assert reply.json()["id"] == "=2E"
    soa = server.query(".", "SOA").answer[0][0]
    assert str(soa.rname) == "hostmaster."
    path = ZONES + "/=2E"
    assert send(server, "PATCH", path, {"rrsets": [
        rrset("test.", "A", "REPLACE", "192.0.2.1")]}).status == 204
    zone = server.http(path).json()
    assert (zone["name"], zone["id"]) == (".", "=2E")
    assert [r["name"] for r in zone["rrsets"] if r["type"] == "A"] == ["test."]
    assert zone["url"].endswith("/=2E")
    assert server.http(ZONES + "?zone=.").json()[0]["id"] == "=2E"
    assert send(server, "DELETE", path).status == 204


def test_names_are_ascii(server):
    assert send(server, "POST", ZONES,
                {"name": "bücher.test."}).status == 422
    for path in ("/dns/zones/b%C3%BCcher.test",
                 "/dns/zones/example.test/b%C3%BC/A"):
        reply = server.http(path, "PUT", json.dumps(
            {"records": ["192.0.2.1"]}))
        assert reply.status == 400 and "xn--" in reply.text
    assert server.http("/dns/zones/example.test/b%5C195%5C188/A", "PUT",
                       json.dumps({"records": ["192.0.2.1"]})).status == 201


def test_the_same_set_twice(server):
    one = rrset("www.example.test.", "A", "REPLACE", "192.0.2.1")
    assert patch(server, one, one).status == 422


@pytest.mark.parametrize("body, status", [
    ("{", 400), ("7", 400), ("{}", 422), ('{"rrsets":7}', 422),
    ('{"rrsets":{"a":1}}', 422)])
def test_bodies_that_are_no_changes(server, body, status):
    assert server.http(ZONE, "PATCH", body).status == status


def test_making_a_zone(server):
    reply = send(server, "POST", ZONES, {
        "name": "new.test.", "kind": "Master", "account": "ops",
        "masters": [], "nameservers": ["ns1.new.test.", "ns2.other.test."],
        "rrsets": [
            {"name": "ns1.new.test.", "type": "A", "ttl": 60,
             "records": [{"content": "192.0.2.53", "disabled": False}]}]})
    assert reply.status == 201
    zone = reply.json()
    assert zone["id"] == "new.test." and zone["kind"] == "Master"
    assert zone["account"] == "ops" and zone["masters"] == []
    assert {r["type"] for r in zone["rrsets"]} == {"SOA", "NS", "A"}
    assert len(str(zone["serial"])) == 10
    assert str(server.query("ns1.new.test").answer[0][0]) == "192.0.2.53"
    assert send(server, "POST", ZONES, {"name": "new.test."}).status == 409

    assert send(server, "PUT", ZONES + "/new.test.",
                {"kind": "Slave", "account": ""}).status == 204
    zone = server.http(ZONES + "/new.test.").json()
    assert (zone["kind"], zone["account"]) == ("Slave", "")
    assert send(server, "DELETE", ZONES + "/new.test.").status == 204
    assert server.http(ZONES + "/new.test.").status == 404
    assert send(server, "DELETE", ZONES + "/new.test.").status == 404

    assert send(server, "POST", ZONES, {"name": "new.test."}).status == 201
    assert server.http(ZONES + "/new.test.").json()["kind"] == "Native"


def test_a_zone_of_its_own_text(server):
    text = ("@ 60 SOA ns1 h 42 3600 600 86400 300\n@ 60 NS ns1\n"
            "ns1 60 A 192.0.2.1\n")
    reply = send(server, "POST", ZONES + "?rrsets=false",
                 {"name": "text.test.", "kind": "Native", "zone": text,
                  "soa_edit_api": "INCREASE"})
    assert reply.status == 201 and reply.json()["serial"] == 43
    assert "rrsets" not in reply.json()
    exported = server.http(ZONES + "/text.test./export")
    assert "ns1.text.test.\t60\tIN\tA\t192.0.2.1\n" in exported.text
    assert exported.headers["Content-Type"] == "text/plain"


def soa_of(zone, serial):
    return rrset(zone, "SOA", "REPLACE",
                 f"ns1.a.test. h.a.test. {serial} 10800 3600 604800 3600")


def test_serials_by_soa_edit_api(server):
    """What each value does to a serial of 5, as PowerDNS 4.7 does it."""
    def serial(zone):
        return server.http(f"{ZONES}/{zone}?rrsets=false").json()["serial"]

    day = range(2020_01_01_01, 2100_01_01_01)
    seconds = range(1_600_000_000, 2_020_000_000)
    week = "INCEPTION-INCREMENT"
    for i, (api, edit, made, later, again) in enumerate([
            (None, None, day, day, 1), ("DEFAULT", None, day, day, 1),
            ("default", None, day, day, 1), ("INCREASE", None, [1], [6], 1),
            ("EPOCH", None, seconds, seconds, None), ("", None, [0], [5], 0),
            ("OFF", None, [0], [5], 0), ("SOA-EDIT", None, [0], [5], 0),
            ("SOA-EDIT", "NONE", [0], [5], 0), ("SOA-EDIT", week, day, day, 1),
            ("SOA-EDIT", "EPOCH", seconds, seconds, None),
            ("SOA-EDIT-INCREASE", None, [1], [6], 1),
            ("SOA-EDIT-INCREASE", week, day, day, 1),
            ("SOA-EDIT-INCREASE", "INCEPTION-EPOCH", seconds, seconds, None),
            ("INCEPTION-INCREMENT", None, [1], [6], 1)]):
        zone = f"z{i}.test."
        settings = {k: v for k, v in (("soa_edit_api", api),
                                      ("soa_edit", edit)) if v is not None}
        reply = send(server, "POST", ZONES, {
            "name": zone, "nameservers": ["ns1.a.test."], **settings})
        assert reply.status == 201
        assert reply.json()["soa_edit_api"] == (
            "DEFAULT" if api is None else api)
        assert reply.json()["serial"] in made, (api, edit, reply.json())
        assert serial(zone) == reply.json()["serial"]
        [soa] = [r["records"][0]["content"] for r in reply.json()["rrsets"]
                 if r["type"] == "SOA"]
        assert soa.split()[2] == str(reply.json()["serial"])
        path = ZONES + "/" + zone
        assert send(server, "PATCH", path,
                    {"rrsets": [soa_of(zone, 5)]}).status == 204
        assert serial(zone) in later, (api, edit, serial(zone))
        before = serial(zone)
        assert send(server, "PATCH", path, {"rrsets": [
            rrset("x." + zone, "A", "REPLACE", "192.0.2.1")]}).status == 204
        if again is not None:
            assert serial(zone) - before == again, (api, edit)
        assert send(server, "PUT", path,
                    {"soa_edit_api": "", "api_rectify": True}).status == 204
        found = server.http(path).json()
        assert (found["soa_edit_api"], found["api_rectify"]) == ("", True)
        before = serial(zone)
        assert send(server, "PATCH", path, {"rrsets": [
            rrset("x." + zone, "A", "REPLACE", "192.0.2.2")]}).status == 204
        assert serial(zone) == before
        assert str(server.query("x." + zone).answer[0][0]) == "192.0.2.2"


def test_put_replaces_all_record_sets(server):
    path = ZONES + "/put.test."
    assert send(server, "POST", ZONES, {
        "name": "put.test.", "nameservers": ["ns1.a.test."],
        "soa_edit_api": "INCREASE", "rrsets": [
            rrset("old.put.test.", "A", "REPLACE", "192.0.2.1",
                  comments=[{"content": "c", "account": "a"}])]}).status == 201
    base = [soa_of("put.test.", 7),
            rrset("put.test.", "NS", "REPLACE", "ns2.a.test.")]
    new = [*base, rrset("new.put.test.", "A", "REPLACE", "192.0.2.2",
                        comments=[{"content": "n", "account": "a"}])]
    before = server.http(path).text
    for bad, text in ((new[1:], "SOA"), (new[::2], "NS"), ([], "SOA"),
                      (7, "list"),
                      ([*new, rrset("x.other.", "A", "REPLACE", "192.0.2.1")],
                       "rrsets[3].name"),
                      ([*new, rrset("new.put.test.", "CNAME", "REPLACE",
                                    "a.test.")], "CNAME")):
        reply = send(server, "PUT", path, {"rrsets": bad, "account": "no"})
        assert reply.status == 422 and text in reply.json()["error"], bad
        assert server.http(path).text == before
    for value in new:
        del value["changetype"]
    assert send(server, "PUT", path, {"rrsets": new, "account": "ops",
                                      "kind": "Native"}).status == 204
    zone = server.http(path).json()
    assert (zone["serial"], zone["account"]) == (8, "ops")
    assert sorted((r["name"], r["type"]) for r in zone["rrsets"]) == [
        ("new.put.test.", "A"), ("put.test.", "NS"), ("put.test.", "SOA")]
    assert not server.query("old.put.test").answer
    assert str(server.query("new.put.test").answer[0][0]) == "192.0.2.2"
    again = rrset("old.put.test.", "A", "REPLACE", "192.0.2.1")
    assert send(server, "PATCH", path, {"rrsets": [again]}).status == 204
    comments = {r["name"]: r["comments"] for r in server.http(
        path).json()["rrsets"] if r["type"] == "A"}
    assert comments["old.put.test."] == []
    assert comments["new.put.test."][0]["content"] == "n"
    assert send(server, "PUT", path, zone).status == 204  # as it was fetched
    assert server.http(path).json()["serial"] == 9


def test_zones_with_odd_names(server):
    reply = send(server, "POST", ZONES, {
        "name": "0/25.2.0.192.in-addr.arpa.", "nameservers": ["ns.test."]})
    assert reply.status == 201
    zone = reply.json()
    assert zone["id"] == "0=2F25.2.0.192.in-addr.arpa."
    assert server.http(zone["url"]).json()["name"] == zone["name"]


@pytest.mark.parametrize("value", [
    {}, {"name": "x.test"}, {"name": "a..test."}, {"name": 7},
    {"name": "x.test.", "kind": "Odd"},
    {"name": "x.test.", "nameservers": ["ns1"]},
    {"name": "x.test.", "nameservers": "ns1."},
    {"name": "x.test.", "masters": 7},
    {"name": "x.test.", "zone": "nonsense"},
    {"name": "x.test.", "rrsets": [{"name": "y.other.", "type": "A",
                                    "ttl": 1, "records": []}]}])
def test_bad_new_zones(server, value):
    assert send(server, "POST", ZONES, value).status == 422
    assert len(server.http(ZONES).json()) == 1


def test_what_is_below_a_zone(server):
    assert send(server, "PUT", ZONE + "/notify").json()["result"]
    assert send(server, "PUT", ZONE + "/rectify").status == 200
    assert send(server, "PUT", ZONE + "/axfr-retrieve").status == 422
    assert server.http(ZONE + "/cryptokeys").json() == []
    assert server.http(ZONE + "/other").status == 404
    assert server.http(ZONE + "/notify").status == 405


def test_metadata(server):
    path = ZONE + "/metadata"
    assert server.http(path).json() == []
    assert send(server, "PUT", path + "/ALSO-NOTIFY", {
        "metadata": ["192.0.2.1"]}).status == 200
    entry = {"type": "Metadata", "kind": "ALSO-NOTIFY",
             "metadata": ["192.0.2.1"]}
    assert server.http(path).json() == [entry]
    assert server.http(path + "/ALSO-NOTIFY").json() == entry
    assert send(server, "POST", path, {
        "kind": "ALSO-NOTIFY", "metadata": ["192.0.2.2"]}).status == 201
    assert server.http(path + "/ALSO-NOTIFY").json()["metadata"] == [
        "192.0.2.1", "192.0.2.2"]
    assert send(server, "DELETE", path + "/ALSO-NOTIFY").status == 204
    assert server.http(path).json() == []


def test_metadata_that_are_settings(server):
    path = ZONE + "/metadata"
    assert send(server, "PUT", path + "/SOA-EDIT",
                {"metadata": ["EPOCH"]}).status == 200
    assert server.http(ZONE).json()["soa_edit"] == "EPOCH"
    assert send(server, "PUT", ZONE, {"soa_edit_api": "SOA-EDIT"}).status == 204
    assert [(m["kind"], m["metadata"]) for m in server.http(path).json()] == [
        ("SOA-EDIT", ["EPOCH"]), ("SOA-EDIT-API", ["SOA-EDIT"])]
    assert patch(server, rrset("x.example.test.", "A", "REPLACE",
                               "192.0.2.1")).status == 204
    assert server.http(ZONE).json()["serial"] < 2_020_000_000  # seconds
    assert send(server, "DELETE", path + "/SOA-EDIT").status == 204
    assert server.http(ZONE).json()["soa_edit"] == ""
    for kind in ("SOA-EDIT-API", "API-RECTIFY", "ENABLE-LUA-RECORDS"):
        for method, where, value in (
                ("GET", "/" + kind, None), ("DELETE", "/" + kind, None),
                ("PUT", "/" + kind, {"metadata": ["1"]}),
                ("POST", "", {"kind": kind, "metadata": ["1"]})):
            reply = send(server, method, path + where, value)
            assert reply.status == 422, (kind, method)
            assert "Unsupported metadata kind" in reply.text
    assert send(server, "PUT", path + "/X-A", {"metadata": [7]}).status == 422


def test_what_cannot_be_kept_is_an_error(server):
    path = server.folder / "data/zone-attributes"
    path.mkdir()
    for method, where, value in (
            ("PUT", ZONE, {"account": "ops"}),
            ("PUT", ZONE + "/metadata/ALSO-NOTIFY", {"metadata": ["x"]}),
            ("PATCH", ZONE, {"rrsets": [rrset(
                "www.example.test.", "A", "REPLACE", "192.0.2.9",
                comments=[{"content": "c", "account": "a"}])]})):
        reply = send(server, method, where, value)
        assert reply.status == 500 and "could not be kept" in reply.text
    server.wait_for_log("zone-attributes: Is a directory")
    server.allow_log("zone-attributes: Is a directory")
    assert server.http(ZONE).json()["account"] == ""

    # A line that was cut takes nothing with it.
    path.rmdir()
    path.write_text('{"zone":"example.test","set":{"acc')
    assert send(server, "PUT", ZONE, {"account": "ops"}).status == 204
    assert server.http(ZONE).json()["account"] == "ops"
    assert send(server, "PUT", ZONE, {"kind": "Master"}).status == 204
    assert server.http(ZONE).json()["account"] == "ops"


def test_search(server):
    def search(query):
        return server.http(f"{BASE}/search-data?{query}").json()

    zones = search("q=*ample.te*&object_type=zone")
    assert zones == [{"object_type": "zone", "name": "example.test.",
                      "zone_id": "example.test."}]
    found = search("q=192.0.2.8?")
    assert {r["content"] for r in found} >= {"192.0.2.80", "192.0.2.81"}
    assert all(r["object_type"] == "record" for r in found)
    assert search("q=www.example.test&object_type=record")[0]["zone"] == (
        "example.test.")
    assert len(search("q=*&max=3")) == 3
    assert search("q=nothing-like-this") == []
    assert server.http(BASE + "/search-data?q=").status == 422
    assert server.http(BASE + "/search-data?q=a&max=x").status == 422
    assert search("q=" + "*a" * 200) == []


def test_statistics_and_cache(server):
    server.query("www.example.test")
    names = {s["name"]: s["value"]
             for s in server.http(BASE + "/statistics").json()}
    assert names["udp-queries"].isdigit()
    assert server.http(BASE + "/statistics?statistic=udp-queries").json()[0][
        "type"] == "StatisticItem"
    assert server.http(BASE + "/statistics?statistic=x").status == 422
    reply = send(server, "PUT", BASE + "/cache/flush?domain=example.test.")
    assert reply.json() == {"count": 1, "result": "Flushed cache."}
    assert send(server, "PUT", BASE + "/cache/flush").status == 422
