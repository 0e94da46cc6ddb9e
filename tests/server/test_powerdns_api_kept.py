"""/api/v1: what is kept beside the records that are served: disabled records,
aliases, comments, and contents as they were written."""

import json

import pytest

from powerdns_api import api_server  # noqa: F401 (the fixture)
from powerdns_api import (ZONE, ZONES, contents, find, off, patch, records,
                          rrset, send, with_records)
from service_conf import SAMPLE, resolua


def test_disabled_records(server):
    name = "d.example.test."
    assert patch(server, with_records(
        rrset(name, "A", "REPLACE", "192.0.2.1", ttl=77), off("192.0.2.2")),
        with_records(rrset("e.d.example.test.", "MX", "REPLACE", ttl=60),
                     off("10 mx.example.test."))).status == 204
    assert records(server, name, "A") == [
        ("192.0.2.1", False), ("192.0.2.2", True)]
    assert records(server, "e.d.example.test.", "MX") == [
        ("10 mx.example.test.", True)]
    assert find(server, "e.d.example.test.", "MX")["ttl"] == 60
    only = server.http(ZONE + "?rrset_name=d.example.test.&rrset_type=A")
    assert len(only.json()["rrsets"]) == 1
    assert len(only.json()["rrsets"][0]["records"]) == 2
    assert len(server.http(ZONE + "?rrset_name=e.d.example.test.").json()[
        "rrsets"]) == 1
    assert [str(a) for a in server.query(name, "A").answer[0]] == ["192.0.2.1"]
    assert server.query("e.d.example.test.", "MX").rcode() == 3  # no such name
    assert "\nd.example.test.\t77\tIN\tA\t192.0.2.2\n" not in server.http(
        ZONE + "/export").text
    assert server.http("/dns/zones/example.test/d/A").json()["records"] == [
        "192.0.2.1"]

    # Other sets of the name, and a name that has nothing else, are free.
    assert patch(server, rrset("e.d.example.test.", "CNAME", "REPLACE",
                               "x.test.")).status == 204
    assert records(server, "e.d.example.test.", "MX")

    # One record is served or disabled, never both.
    assert patch(server, rrset(name, "A", "EXTEND", "192.0.2.2")).status == 204
    assert records(server, name, "A") == [
        ("192.0.2.1", False), ("192.0.2.2", False)]
    assert patch(server, with_records(rrset(name, "A", "EXTEND"),
                                      off("192.0.2.1"))).status == 204
    assert records(server, name, "A") == [
        ("192.0.2.1", True), ("192.0.2.2", False)]
    assert patch(server, rrset(name, "A", "PRUNE", "192.0.2.1")).status == 204
    assert records(server, name, "A") == [("192.0.2.2", False)]
    assert patch(server, with_records(rrset(name, "A", "REPLACE"),
                                      off("192.0.2.2"))).status == 204
    assert records(server, name, "A") == [("192.0.2.2", True)]
    assert server.query(name, "A").rcode() == 0  # e.d is below
    assert not server.query(name, "A").answer
    assert patch(server, rrset(name, "A", "DELETE")).status == 204
    assert find(server, name, "A") is None


def test_a_disabled_record_that_another_way_serves(server):
    """It is shown once, so that a tool can put back what it was shown."""
    name = "d.example.test."
    change = with_records(rrset(name, "A", "REPLACE", "192.0.2.1"),
                          off("192.0.2.2"), off("192.0.2.3"))
    for value in ({"change": "add", "records": ["192.0.2.2"]},
                  {"ttl": 60, "records": ["192.0.2.1", "192.0.2.2"]}):
        assert patch(server, change).status == 204
        assert send(server, "PATCH", "/dns/zones/example.test", {"rrsets": [
            {"name": name, "type": "A", **value}]}).status == 200
        found = find(server, name, "A")
        assert sorted((r["content"], r["disabled"])
                      for r in found["records"]) == [
            ("192.0.2.1", False), ("192.0.2.2", False), ("192.0.2.3", True)]
        assert patch(server, {**found, "changetype": "REPLACE"}).status == 204
        assert find(server, name, "A") == found


def test_disabled_records_outlast_reload_text_and_restart(server):
    name = "d.example.test."
    assert patch(server, with_records(rrset(name, "A", "REPLACE"),
                                      off("192.0.2.2"))).status == 204
    text = server.http(ZONE + "/export").text
    server.reload()
    assert server.http("/dns/zones/example.test", "PUT", text).status == 200
    resolua(server, "zone", "load", SAMPLE)
    server.stop()
    server.start()
    assert records(server, name, "A") == [("192.0.2.2", True)]
    zone = server.http(ZONE).json()
    assert send(server, "PUT", ZONE, zone).status == 204
    assert records(server, name, "A") == [("192.0.2.2", True)]
    zone["rrsets"] = [r for r in zone["rrsets"] if r["name"] != name]
    assert send(server, "PUT", ZONE, zone).status == 204
    assert records(server, name, "A") == []
    assert patch(server, with_records(rrset(name, "A", "REPLACE"),
                                      off("192.0.2.2"))).status == 204
    assert send(server, "DELETE", ZONE).status == 204
    resolua(server, "zone", "load", SAMPLE)
    assert records(server, name, "A") == []


def test_a_new_zone_with_disabled_records(server):
    reply = send(server, "POST", ZONES, {
        "name": "off.test.", "nameservers": ["ns1.a.test."], "rrsets": [
            with_records(rrset("www.off.test.", "A", "REPLACE", "192.0.2.1"),
                         off("192.0.2.2")),
            with_records(rrset("x.off.test.", "TXT", "REPLACE"),
                         off('"text"')),
            rrset("al.off.test.", "ALIAS", "REPLACE", "a.test.")]})
    assert reply.status == 201
    got = {(r["name"], r["type"]): [x["disabled"] for x in r["records"]]
           for r in reply.json()["rrsets"]}
    assert got[("www.off.test.", "A")] == [False, True]
    assert got[("x.off.test.", "TXT")] == [True]
    assert got[("al.off.test.", "ALIAS")] == [False]
    again = server.http(ZONES + "/off.test.").json()["rrsets"]
    assert {(r["name"], r["type"]): [x["disabled"] for x in r["records"]]
            for r in again} == got


def test_an_alias_stays_an_alias(server):
    name = "al.example.test."

    def kinds():
        return [r["type"] for r in server.http(ZONE).json()["rrsets"]
                if r["name"] == name]

    comment = {"content": "c", "account": "a", "modified_at": 1}
    assert patch(server, rrset(name, "ALIAS", "REPLACE", "Lb.Cloud.test.",
                               comments=[comment])).status == 204
    alias = find(server, name, "ALIAS")
    assert (alias["records"][0]["content"], alias["comments"]) == (
        "Lb.Cloud.test.", [comment])
    assert server.http(ZONE + "?rrset_name=al.example.test.&rrset_type=ALIAS"
                       ).json()["rrsets"] == [alias]
    assert server.http(ZONE + "?rrset_name=al.example.test.&rrset_type=CNAME"
                       ).json()["rrsets"] == []
    assert patch(server, rrset(name, "CNAME", "DELETE")).status == 204
    assert kinds() == ["ALIAS"]
    assert patch(server, rrset(name, "ALIAS", "DELETE"),
                 rrset(name, "CNAME", "REPLACE", "b.test.")).status == 204
    assert kinds() == ["CNAME"]
    assert patch(server, rrset(name, "ALIAS", "DELETE")).status == 204
    assert kinds() == ["CNAME"]
    assert patch(server, rrset(name, "ALIAS", "REPLACE", "c.test."),
                 rrset(name, "CNAME", "DELETE")).status == 204
    assert kinds() == ["ALIAS"]
    assert str(server.query(name, "A").answer[0][0]) == "c.test."
    assert patch(server, rrset(name, "ALIAS", "PRUNE", "c.test.")).status == 204
    assert kinds() == []
    assert patch(server, rrset(name, "ALIAS", "EXTEND", "c.test.")).status == 204
    assert kinds() == ["ALIAS"]

    # Both at once: neither is done, for one would be lost.
    both = (rrset(name, "ALIAS", "REPLACE", "a.test."),
            rrset(name, "CNAME", "REPLACE", "b.test."))
    for changes in (both, both[::-1], (
            rrset(name, "ALIAS", "EXTEND", "a.test."), both[1])):
        reply = patch(server, *changes)
        assert reply.status == 422 and "rrsets[1].type: " in reply.text
        assert records(server, name, "ALIAS") == [("c.test.", False)]
    for number, method in ((1, "PUT"), (2, "POST")):
        zone = server.http(ZONE).json()
        zone["rrsets"] += both
        zone["name"] = ("example.test.", "new.test.")[number - 1]
        if method == "POST":
            zone = json.loads(json.dumps(zone).replace("example.test.",
                                                       "new.test."))
        path = ZONE if method == "PUT" else ZONES
        assert send(server, method, path, zone).status == 422

    # An edit of the CNAME by another way ends it.
    assert server.http("/dns/zones/example.test/al/CNAME", "PUT", json.dumps(
        {"records": ["d.test."]})).status == 200
    assert kinds() == ["CNAME"]
    assert patch(server, with_records(rrset(name, "ALIAS", "REPLACE"),
                                      off("e.test."))).status == 204
    assert sorted(kinds()) == ["ALIAS", "CNAME"]
    assert records(server, name, "ALIAS") == [("e.test.", True)]
    assert patch(server, with_records(rrset("example.test.", "ALIAS",
                                            "REPLACE"),
                                      off("e.test."))).status == 204


LONG = "L" * 300


@pytest.mark.parametrize("qtype, content", [
    ("HTTPS", "1 . alpn=h2,h3"), ("HTTPS", '1 . alpn="h2,h3"'),
    ("SVCB", '1 foo.test. mandatory=alpn alpn=h2 no-default-alpn port=53 '
     'ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1 key65333="abc"'),
    ("HTTPS", '1 foo.test. ech="AAAA"'), ("HTTPS", "0 foo.test."),
    ("LOC", "31 58 52.100 S 115 49 11.700 E 20.00m 10.00m 10.00m 2.00m"),
    ("LOC", "31 58 52.1 S 115 49 11.7 E 20m 10m 10m 2m"),
    ("LOC", "51 30 12.748 N 0 7 39.612 W 0.00m 0.00m 0.00m 0.00m"),
    ("TXT", f'"{LONG}"'), ("TXT", f'"{"L" * 255}" "rest"'),
    ("TXT", f'"{"L" * 255}"'), ("TXT", '"a" "b"'), ("TXT", '"a"   "b"'),
    ("TXT", '"bücher ☃ 🦊"'), ("TXT", '"b\\195\\188cher"'),
    ("TXT", '"\\200\\"\\001"'), ("TXT", '"\\097"'), ("TXT", '"v=DKIM1\\; k"'),
    ("TXT", '"v=DKIM1; k"'), ("TXT", '""'), ("TXT", '"tab\there"'),
    ("TXT", '"' + "ü" * 200 + '"'), ("TXT", '"a\\\\b"'), ("TXT", '"é\\200é"'),
    ("MX", "10 Mail.A.test."), ("MX", "010  Mail.A.test."),
    ("CAA", '0 issue "ca.test; x=y"'), ("SRV", "0 5 5060 sip.a.test."),
    ("NAPTR", '10 100 "S" "SIP+D2U" "!^.*$!sip:a@made.test!" .'),
    ("TLSA", "3 1 1 " + "abcdef00" * 8), ("RP", "a\\.b.a.test. txt.a.test."),
    ("TYPE65280", "\\# 4 0a0b0c0d"), ("AAAA", "2001:db8::1"),
    ("SPF", '"v=spf1 -all"'), ("PTR", "x.a.test."),
    ("SSHFP", "1 1 " + "abcdef01" * 5),
    ("DS", "1 8 2 " + "abcdef00" * 8)])
def test_contents_are_read_back_as_they_were_written(server, qtype, content):
    name = "w.example.test."
    assert patch(server, rrset(name, qtype, "REPLACE", content)).status == 204
    assert contents(server, name, qtype) == [content]
    assert patch(server, rrset(name, qtype, "EXTEND", content)).status == 204
    assert contents(server, name, qtype) == [content]
    assert patch(server, with_records(rrset(name, qtype, "REPLACE"),
                                      off(content))).status == 204
    assert records(server, name, qtype) == [(content, True)]
    assert patch(server, rrset(name, qtype, "DELETE")).status == 204


def test_another_record_has_another_content(server):
    name = "w.example.test."
    assert patch(server, rrset(name, "TXT", "REPLACE", '"\\097"', '"\\098"'
                               )).status == 204
    assert patch(server, rrset(name, "TXT", "EXTEND", '"\\099"')).status == 204
    assert sorted(contents(server, name, "TXT")) == [
        '"\\097"', '"\\098"', '"\\099"']
    assert server.http("/dns/zones/example.test/w/TXT", "PUT", json.dumps(
        {"records": ["d"]})).status == 200
    assert contents(server, name, "TXT") == ['"d"']


def test_comments(server):
    comment = {"content": "moved", "account": "ops", "modified_at": 1}
    name = "www.example.test."
    patch(server, rrset(name, "A", "REPLACE", "192.0.2.9",
                        comments=[comment]))
    assert find(server, name, "A")["comments"] == [comment]
    patch(server, rrset(name, "A", "REPLACE", "192.0.2.10"))
    assert find(server, name, "A")["comments"] == [comment]
    send(server, "PATCH", ZONE, {"rrsets": [
        {"name": name, "type": "A", "changetype": "REPLACE",
         "comments": []}]})
    assert find(server, name, "A")["comments"] == []
    assert contents(server, name, "A") == ["192.0.2.10"]
