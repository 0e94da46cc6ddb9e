"""/dns: lists of changes in one transaction, conditions, pages."""

import json
import re
import threading

import pytest

from service_conf import start_service

ZONE = "/dns/zones/example.test"
SET = ZONE + "/www.example.test/A"


@pytest.fixture
def server(start):
    return start_service(start)


def send(server, method, path, value, **headers):
    body = value if isinstance(value, str) else json.dumps(value)
    return server.http(path, method, body, headers={
        name.replace("_", "-"): text for name, text in headers.items()})


def patch(server, *rrsets, **headers):
    return send(server, "PATCH", ZONE, {"rrsets": rrsets}, **headers)


def records(server, name, qtype="A"):
    reply = server.http(f"{ZONE}/{name}/{qtype}")
    return sorted(reply.json()["records"]) if reply.status == 200 else []


def serial(server):
    return server.query("example.test", "SOA").answer[0][0].serial


def test_a_list_is_one_transaction(server):
    before = serial(server)
    reply = patch(
        server,
        {"name": "a.example.test", "type": "A", "ttl": 60,
         "records": ["192.0.2.1", "192.0.2.2"]},
        {"name": "b", "type": "TXT", "records": ['"text"']},
        {"name": "www.example.test", "type": "AAAA", "change": "delete"},
        {"name": "www", "type": "A", "change": "add",
         "records": ["192.0.2.99"]},
        {"name": "@", "type": 15, "records": ["10 mail"]})

    assert reply.status == 200
    assert reply.json() == {"name": "example.test", "serial": before + 1}
    assert serial(server) == before + 1
    assert records(server, "a") == ["192.0.2.1", "192.0.2.2"]
    assert records(server, "b", "TXT") == ['"text"']
    assert records(server, "www", "AAAA") == []
    assert records(server, "www") == ["192.0.2.80", "192.0.2.81",
                                      "192.0.2.99"]
    assert server.http(ZONE + "/www/A").json()["ttl"] == 300
    assert records(server, "@", "MX") == ["10 mail.example.test."]


def test_what_drops_take_away(server):
    assert patch(server, {"name": "www", "type": "A", "change": "drop",
                          "records": ["192.0.2.80", "192.0.2.7"]}).status == 200
    assert records(server, "www") == ["192.0.2.81"]
    before = serial(server)
    assert patch(server, {"name": "none", "type": "A", "change": "drop",
                          "records": ["192.0.2.7"]}).status == 200
    assert serial(server) == before


@pytest.mark.parametrize("rrset, status, error", [
    ({"name": "x", "type": "A", "records": ["192.0.2"]}, 400,
     r"rrsets\[1\]\.records\[0\]: "),
    ({"name": "x", "type": "A", "records": []}, 400,
     r"rrsets\[1\]\.records: "),
    ({"name": "x", "type": "A"}, 400, r"rrsets\[1\]\.records: "),
    ({"name": "x", "type": "ANY", "records": ["x"]}, 400,
     r"rrsets\[1\]\.type: "),
    ({"name": "x", "records": ["x"]}, 400, r"rrsets\[1\]\.type: "),
    ({"type": "A", "records": ["x"]}, 400, r"rrsets\[1\]\.name: "),
    ({"name": "x.other.", "type": "A", "records": ["192.0.2.1"]}, 400,
     r"rrsets\[1\]\.name: "),
    ({"name": "x", "type": "A", "change": "no", "records": ["192.0.2.1"]},
     400, r"rrsets\[1\]\.change: "),
    ({"name": "x", "type": "A", "ttl": -1, "records": ["192.0.2.1"]}, 400,
     r"rrsets\[1\]\.ttl: "),
    (7, 400, r"rrsets\[1\]\.not an object"),
    ({"name": "www", "type": "CNAME", "records": ["mail"]}, 409, "CNAME"),
    ({"name": "@", "type": "NS", "change": "delete"}, 409, "NS"),
])
def test_one_wrong_change_undoes_all(server, rrset, status, error):
    before = server.http(ZONE).text
    reply = patch(server, {"name": "a", "type": "A",
                           "records": ["192.0.2.1"]}, rrset)
    assert reply.status == status
    assert re.search(error, reply.json()["error"])
    assert server.http(ZONE).text == before


@pytest.mark.parametrize("body, status", [
    ("", 400), ("[]", 400), ("{}", 400), ('{"rrsets":[]}', 400),
    ('{"rrsets":{}}', 400), ('{"rrsets":7}', 400)])
def test_bodies_that_are_no_lists(server, body, status):
    assert send(server, "PATCH", ZONE, body).status == status


def test_patch_of_no_zone(server):
    reply = send(server, "PATCH", "/dns/zones/no.test", {"rrsets": [
        {"name": "a.no.test", "type": "A", "records": ["192.0.2.1"]}]})
    assert reply.status == 404


# Conditions.

def test_etag_of_a_set(server):
    etag = server.http(SET).headers["ETag"]
    assert re.fullmatch('"[0-9a-f]+"', etag)
    assert server.http(SET).headers["ETag"] == etag
    assert server.http(SET, headers={"If-None-Match": etag}).status == 304

    patch(server, {"name": "other", "type": "A", "records": ["192.0.2.1"]})
    assert server.http(SET).headers["ETag"] == etag

    reply = send(server, "PUT", SET, {"records": ["192.0.2.9"]},
                 If_Match=etag)
    assert reply.status == 200
    new = reply.headers["ETag"]
    assert new != etag and new == server.http(SET).headers["ETag"]

    for method in ("PUT", "DELETE"):
        reply = send(server, method, SET, {"records": ["192.0.2.10"]},
                     If_Match=etag)
        assert reply.status == 412
    assert records(server, "www") == ["192.0.2.9"]
    assert send(server, "DELETE", SET, "", If_Match=new).status == 204


def test_making_a_set_once(server):
    path = ZONE + "/new/A"
    value = {"records": ["192.0.2.1"]}
    assert send(server, "PUT", path, value, If_Match="*").status == 412
    assert send(server, "PUT", path, value, If_None_Match="*").status == 201
    assert send(server, "PUT", path, value, If_None_Match="*").status == 412
    assert send(server, "PUT", path, value, If_Match="*").status == 200


def test_etag_of_a_zone(server):
    etag = server.http(ZONE).headers["ETag"]
    assert server.http(ZONE, headers={"If-None-Match": etag}).status == 304
    change = {"name": "a", "type": "A", "records": ["192.0.2.1"]}
    reply = patch(server, change, If_Match=etag)
    assert reply.status == 200
    assert patch(server, change, If_Match=etag).status == 412
    assert server.http(ZONE, "DELETE",
                       headers={"If-Match": etag}).status == 412
    text = server.http(ZONE, headers={"Accept": "text/dns"})
    assert text.headers["ETag"] == reply.headers["ETag"]
    assert send(server, "PUT", ZONE, text.text,
                If_None_Match="*").status == 412
    assert send(server, "PUT", ZONE, text.text,
                If_Match=text.headers["ETag"]).status == 200


def test_conditional_edits_at_once_lose_nothing(server):
    """Each thread counts up under If-Match: no count may be lost."""
    path = ZONE + "/count/TXT"
    send(server, "PUT", path, {"records": ['"0"']})
    wrong = []

    def count():
        for _ in range(10):
            for _ in range(1000):
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

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert records(server, "count", "TXT") == ['"40"']


# Pages.

def pages(server, path):
    while path:
        reply = server.http(path)
        assert reply.status == 200
        yield reply.json()
        link = reply.headers["Link"]
        match = link and re.fullmatch('<(.*)>; rel="next"', link)
        path = match and match[1]


def test_pages_of_records(server):
    whole = server.http(ZONE).json()["records"]
    found = []
    for page in pages(server, ZONE + "?limit=3"):
        assert page["name"] == "example.test"
        assert page["records"]
        if found:
            assert page["records"][0]["name"] != found[-1]["name"]
        found += page["records"]
    assert found == whole
    assert len(list(pages(server, ZONE + "?limit=3"))) > 3


def test_a_page_begins_behind_a_name_that_is_gone(server):
    path = f"{ZONE}?after=wwv.example.test"
    names = {r["name"] for r in server.http(path).json()["records"]}
    assert "www.example.test" in names and "example.test" not in names


def test_pages_of_zones(server):
    master = "@ 60 SOA ns h 7 3600 600 86400 300\n@ 60 NS ns.example.test.\n"
    names = ["example.test", "a.test", "z.a.test", "b.test", "a.example.test"]
    for name in names[1:]:
        assert send(server, "PUT", "/dns/zones/" + name, master).status == 201
    whole = server.http("/dns/zones").json()
    assert sorted(z["name"] for z in whole) == sorted(names)
    found = list(pages(server, "/dns/zones?limit=2"))
    assert [len(page) for page in found] == [2, 2, 1]
    assert sum(found, []) == whole
    assert server.http("/dns/zones?after=zz.test").text.strip() == "[]"


@pytest.mark.parametrize("query", [
    "limit=0", "limit=-1", "limit=x", "limit=10001", "after=a..b",
    "after=other.test", "limit=1&limit=2"])
def test_bad_pages(server, query):
    assert server.http(f"{ZONE}?{query}").status == 400


def test_a_large_zone_is_shown_as_it_was_at_one_time(server):
    """The first and the last set of 6000 change together, all the time."""
    head = "@ 60 SOA ns h 7 3600 600 86400 300\n@ 60 NS ns.example.test.\n"
    body = "".join(f"n{i:04} 60 A 192.0.2.1\n" for i in range(6000))
    ends = 'a 60 TXT "0"\nz 60 TXT "0"\n'
    path = "/dns/zones/large.test"
    assert send(server, "PUT", path, head + body + ends).status == 201
    stop = threading.Event()

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            send(server, "PATCH", path, {"rrsets": [
                {"name": name, "type": "TXT", "records": [f'"{number}"']}
                for name in "az"]})

    thread = threading.Thread(target=change)
    thread.start()
    seen = set()
    try:
        for _ in range(20):
            reply = server.http(path)
            assert reply.status == 200
            texts = [r["record"] for r in reply.json()["records"]
                     if r["type"] == 16]
            assert len(texts) == 2 and texts[0] == texts[1]
            assert len(reply.json()["records"]) == 6004
            seen.add(texts[0])
    finally:
        stop.set()
        thread.join()
    assert len(seen) > 1
