"""/dns/explain and resolua explain: a dry run says what a query is answered,
and why."""

import subprocess
import urllib.parse

import dns.rcode
import dns.rdatatype
import pytest

from resolua_server import BUILD, HOST, ROOT, environment
from service_conf import SAMPLE, SERVICE, resolua
from upstream import Upstream

HOOK = """
    dns_query_by_lua_block {
        local q = ...
        if q.name == "hook.example.test" and q:client_in("10.0.0.0/8") then
            q:answer("A", 60, "10.1.2.3")
        elseif q.name == "drop.example.test" then
            q:drop()
        elseif q.name == "renamed.example.test" then
            q:rewrite("www.example.test")
        elseif q.name == "forward.example.test" then
            q:forward("%s")
        elseif q.name == "slow.example.test" then
            ngx.sleep(0.01)
            q:nxdomain()
        elseif q.name == "bad.example.test" then
            error("oh")
        elseif q.name == "kept.example.test" then
            q:answer("A", 60, "192.0.2.77")
            q:cache(60)
        elseif q.name == "near.example.test" then
            local address, bits = q:subnet()
            q:answer("TXT", 60, ('"%%s/%%d"'):format(address and
                table.concat({ address:byte(1, -1) }, ".") or "none", bits or 0))
        elseif q.name == "module.example.test" then
            require("rules").refuse(q)
        elseif q.name == "exit-ok.example.test" then
            q:nxdomain()
            ngx.exit(ngx.OK)
        elseif q.name == "exit-error.example.test" then
            q:nxdomain()
            ngx.exit(ngx.ERROR)
        elseif q.name == "exit-status.example.test" then
            ngx.exit(403)
        elseif q.name == "say.example.test" then
            ngx.say("into another's response")
        elseif q.name == "variable.example.test" then
            q:answer("TXT", 60, ngx.var.request_uri)
        elseif q.name == "capture.example.test" then
            ngx.location.capture("/dns")
        elseif q.name == "thread.example.test" then
            ngx.thread.spawn(function()
                ngx.sleep(0.01)
                q:nxdomain()
            end)
        elseif q.name == "no-error-text.example.test" then
            error()
        elseif q.name == "nowhere.example.test" then
            q:forward("nowhere")
        end
    }
"""

RULES = """
local rules = {}
function rules.refuse(q)
    q:refuse()
end
return rules
"""

ANSWER_HOOK = """
    dns_answer_by_lua_block {
        local q = ...
        if q.name == "changed.example.test" then
            local r = q:response()
            r.rcode = 5
            q:set_response(r)
        elseif q.name == "unfinished.example.test" then
            error("not done")
        elseif q.name == "nap.example.test" then
            ngx.sleep(0)
        elseif q.name == "leave.example.test" then
            ngx.exit(ngx.ERROR)
        elseif q.name == "leave-well.example.test" then
            ngx.exit(ngx.OK)
        end
    }
"""

MORE = """
delegated 60 NS ns.elsewhere.test.
renamed-tree 60 DNAME other.test.
a.b.c.deep 60 A 192.0.2.5
"""


@pytest.fixture
def upstream():
    one = Upstream(9)
    yield one
    one.stop()


@pytest.fixture
def server(start, upstream, tmp_path):
    conf = "dns_cache 1m;" + SERVICE % (
        f"dns_forward {upstream.address};" + HOOK % upstream.address
        + ANSWER_HOOK)
    server = start(conf.replace("stream {", "stream { lua_package_path "
                                '"@FOLDER@/?.lua;;";', 1), run=False)
    server.file("rules.lua", RULES)
    zone = tmp_path / "example.test.zone"
    zone.write_text(SAMPLE.read_text() + MORE)
    resolua(server, "zone", "load", zone)
    return server.start()


def explain(server, name, qtype="A", **more):
    reply = server.http("/dns/explain?" + urllib.parse.urlencode(
        {"name": name, "type": qtype, **more}))
    assert reply.status == 200, reply.text
    return reply.json()


def steps(found):
    return [step["step"] for step in found["steps"]]


def text_of(found, step):
    [text] = [s["text"] for s in found["steps"] if s["step"] == step]
    return text


def line_of(server, code):
    lines = (server.folder / "nginx.conf").read_text().splitlines()
    [number] = [i for i, line in enumerate(lines, 1) if code in line]
    return f"nginx.conf:{number}"


# What it says is what a query gets.

@pytest.mark.parametrize("name, qtype", [
    ("www.example.test", "A"), ("WWW.example.TEST.", "AAAA"),
    ("www.example.test", "MX"), ("ftp.example.test", "A"),
    ("x.any.example.test", "A"), ("x.any.example.test", "MX"),
    ("none.example.test", "A"), ("deep.example.test", "A"),
    ("x.delegated.example.test", "A"), ("a.renamed-tree.example.test", "A"),
    ("example.test", "SOA"), ("other.test", "A"),
    ("hook.example.test", "A"), ("renamed.example.test", "A"),
    ("forward.example.test", "A"), ("slow.example.test", "A"),
    ("bad.example.test", "A"), ("module.example.test", "A"),
    ("changed.example.test", "A"), ("kept.example.test", "A")])
def test_the_response_is_that_of_a_query(server, name, qtype):
    server.allow_log("nginx.conf:.*: oh")
    found = explain(server, name, qtype)["response"]
    real = server.query(name, qtype, rd=True)
    assert found["rcode"] == dns.rcode.to_text(real.rcode())
    for section, records in (("answers", real.answer),
                             ("authorities", real.authority)):
        wanted = [(str(rrs.name).lower(), dns.rdatatype.to_text(rrs.rdtype),
                   rdata.to_text()) for rrs in records for rdata in rrs]
        given = [((r["name"] + ".").lower(), r["type"], r["record"])
                 for r in found[section]]
        assert sorted(given) == sorted(wanted)


# And why.

def test_the_hook_that_answers(server):
    found = explain(server, "hook.example.test", client="10.7.7.7")
    assert found["client"] == "10.7.7.7"
    assert found["response"]["answers"][0]["record"] == "10.1.2.3"
    assert found["steps"][0] == {
        "step": "hook", "text": 'q:answer("A", 60, "10.1.2.3")',
        "at": line_of(server, 'q:answer("A", 60, "10.1.2.3")')}
    assert line_of(server, "dns_serve on").split(":")[1] == (
        found["server"].rsplit(":", 1)[1])


def test_another_client(server):
    found = explain(server, "hook.example.test", client="2001:db8::1")
    assert steps(found) == ["hook", "zone", "node", "answer hook"]
    assert text_of(found, "hook") == "decided nothing"
    assert found["response"]["rcode"] == "NXDOMAIN"


def test_decisions_of_hooks(server):
    assert explain(server, "drop.example.test")["response"] is None
    found = explain(server, "renamed.example.test")
    assert steps(found) == ["hook", "zone", "node", "answer hook"]
    assert "www.example.test has A, AAAA" in text_of(found, "node")
    found = explain(server, "forward.example.test")
    assert steps(found) == ["hook", "upstream", "answer hook"]
    found = explain(server, "module.example.test")
    assert found["steps"][0]["at"].endswith("rules.lua:4")
    found = explain(server, "bad.example.test")
    assert "oh" in text_of(found, "hook")
    assert found["response"]["rcode"] == "SERVFAIL"
    found = explain(server, "changed.example.test")
    assert found["response"]["rcode"] == "REFUSED"
    assert found["steps"][-1]["at"] == line_of(server, "q:set_response(r)")
    found = explain(server, "unfinished.example.test")
    assert "not done" in text_of(found, "answer hook")
    assert found["response"]["rcode"] == "SERVFAIL"


@pytest.mark.parametrize("name", [
    "exit-ok", "exit-error", "exit-status", "say", "variable", "capture",
    "thread", "no-error-text", "nowhere", "nap", "leave", "leave-well"])
def test_a_hook_can_no_more_than_for_a_query(server, name):
    server.allow_log("entry thread aborted")
    answer = server.query(f"{name}.example.test", rd=True)
    found = explain(server, f"{name}.example.test")
    assert found["response"]["rcode"] == dns.rcode.to_text(answer.rcode())


@pytest.mark.parametrize("subnet, text", [
    ("192.0.2.255/24", "192.0.2.0/24"), ("192.0.2.255/27", "192.0.2.224/27"),
    ("192.0.2.1/32", "192.0.2.1/32"), ("0.0.0.0/0", "0.0.0.0/0"),
    ("2001:db8:ff::/41", "32.1.13.184.0.128.0.0.0.0.0.0.0.0.0.0/41"),
    (None, "none/0")])
def test_whom_a_resolver_asks_for(server, subnet, text):
    more = {"subnet": subnet} if subnet else {}
    found = explain(server, "near.example.test", "TXT", **more)
    assert found["response"]["answers"][0]["record"] == f'"{text}"'


def test_what_a_hook_said_to_keep(server):
    assert steps(explain(server, "kept.example.test"))[0] == "hook"
    server.query("kept.example.test", rd=True)
    assert steps(explain(server, "kept.example.test"))[0] == "cache"


@pytest.mark.parametrize("name, qtype, step, text", [
    ("www.example.test", "A", "node", "www.example.test has A, AAAA"),
    ("www.example.test", "MX", "node", "but no MX"),
    ("x.any.example.test", "A", "wildcard", "*.any.example.test has A"),
    ("none.example.test", "A", "node", "there is no *.example.test"),
    ("b.c.deep.example.test", "A", "node", "only names below it"),
    ("x.deep.example.test", "A", "node", "there is no *.deep.example.test"),
    ("x.y.delegated.example.test", "A", "delegation",
     "delegated.example.test is delegated"),
    ("a.renamed-tree.example.test", "A", "alias", "renamed by its DNAME"),
    ("delegated.example.test", "DS", "node", "but no DS")])
def test_what_the_zone_says(server, name, qtype, step, text):
    found = explain(server, name, qtype)
    assert text_of(found, "zone") == "example.test"
    assert text in text_of(found, step)


def test_an_alias_and_where_it_ends(server):
    found = explain(server, "ftp.example.test")
    texts = [s["text"] for s in found["steps"] if s["step"] == "node"]
    assert texts == [
        "ftp.example.test is an alias: its CNAME www.example.test is followed",
        "www.example.test has A, AAAA"]


def test_upstream_and_cache(server, upstream):
    found = explain(server, "www.other.test")
    assert steps(found) == ["hook", "zone", "cache", "upstream",
                            "answer hook"]
    assert text_of(found, "cache") == "nothing is kept"
    assert upstream.address in text_of(found, "upstream")
    found = explain(server, "www.other.test")
    assert steps(found) == ["hook", "zone", "cache", "answer hook"]
    assert text_of(found, "cache") == "the answer is kept"
    assert upstream.count() == 1


@pytest.mark.parametrize("query, field", [
    ("", "name"), ("name=a..b", "name"), ("name=a.test&type=NO", "type"),
    ("name=a.test&client=x", "client"), ("name=a.test&client=1.2.3", "client"),
    ("name=a.test&transport=pigeon", "transport"),
    ("name=a.test&subnet=x", "subnet"), ("name=a.test&subnet=1.2.3.4/33",
                                         "subnet"),
    ("name=a.test&server=2", "server"), ("name=a.test&server=0", "server")])
def test_bad_questions(server, query, field):
    reply = server.http("/dns/explain?" + query)
    assert reply.status == 400
    assert reply.json()["error"].startswith(field + ":")


def test_clients_that_go_away_while_it_runs(server, upstream):
    import socket
    upstream.fault = "silent"
    for _ in range(5):
        with socket.create_connection((HOST, server.port("HTTP")), 5) as s:
            s.sendall(b"GET /dns/explain?name=gone.other.test HTTP/1.1\r\n"
                      b"Host: localhost\r\n\r\n")
    upstream.fault = None
    assert explain(server, "fine.other.test")["response"]["answers"]


def test_a_key_that_sees_one_zone(server):
    key = resolua(server, "key", "add", "--zone", "example.test").strip()
    for name, status in (("www.example.test", 200), ("other.test", 403)):
        assert server.http("/dns/explain?name=" + name, headers={
            "X-API-Key": key}).status == status


# The command line.

# curl hangs where AddressSanitizer is preloaded into it.
needs_curl = pytest.mark.skipif("LD_PRELOAD" in environment(),
                                reason="curl does not run here")


def command(server, *words, **env):
    return subprocess.run(
        [ROOT / "tools/resolua", "--data", server.folder / "data", "explain",
         *words], capture_output=True, text=True, timeout=60,
        env={**environment(), "RESOLUA_BUILD": str(BUILD), **env})


@needs_curl
def test_the_command(server):
    api = f"http://{HOST}:{server.port('HTTP')}/dns"
    done = command(server, "hook.example.test", "--client", "10.7.7.7",
                   "--api", api)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("hook.example.test A for 10.7.7.7, by ")
    assert lines[1].split() == [
        "hook", line_of(server, 'q:answer("A", 60, "10.1.2.3")') + ":",
        'q:answer("A",', "60,", '"10.1.2.3")']
    assert "hook.example.test.\t60\tIN\tA\t10.1.2.3" in lines

    done = command(server, "x y'$(z).test", "--api", api)
    assert done.returncode == 0, done.stderr
    key = resolua(server, "key", "add", "--zone", "other.test").strip()
    done = command(server, "www.example.test", "--api", api, RESOLUA_KEY=key)
    assert done.returncode == 1 and "key: " in done.stderr
    done = command(server, "drop.example.test", "--api", api)
    assert "no answer is sent" in done.stdout


@needs_curl
def test_the_command_without_a_server(server):
    done = command(server, "x.any.example.test", "--api",
                   f"http://{HOST}:1/dns")
    assert done.returncode == 1
    assert "no answer from" in done.stderr
    assert "wildcard" in done.stdout and "*.any.example.test" in done.stdout


def test_rules_of_the_server(start):
    server = start(SERVICE % "allow 192.0.2.0/24; deny 198.51.100.0/24;"
                   " dns_query_by_lua_block { (...):nxdomain() }")
    found = explain(server, "www.example.test", client="198.51.100.7")
    assert found["response"] is None
    assert steps(found) == ["access"]
    assert text_of(found, "access") == (
        "allow and deny of the server do not let the client in: it gets no "
        "answer")
    assert steps(explain(server, "www.example.test",
                         client="192.0.2.7")) == ["hook"]
    found = explain(server, "www.example.test", client="198.51.100.7",
                    transport="https")
    assert steps(found) == ["access", "hook"]
    assert "are not looked at" in text_of(found, "access")
