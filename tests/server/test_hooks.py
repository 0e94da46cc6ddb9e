"""dns_query_by_lua, dns_answer_by_lua, dns_log_by_lua."""

import socket
import time

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from resolua_server import HOST, wait_for
from service_conf import SAMPLE, resolua
from upstream import Upstream

CONF = """
dns_store lmdb path=@FOLDER@/data;
%(main)s

stream {
    %(stream)s
    server {
        listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        %(server)s
    }
}
%(more)s
"""


@pytest.fixture
def serve(start):
    def go(query="", answer="", log="", server="", express="on", main="",
           stream="", more="", zone=None, **options):
        text = f"dns_express {express};" + server
        for phase, code in (("query", query), ("answer", answer),
                            ("log", log)):
            if code:
                text += "dns_%s_by_lua_block { local q = ... %s }\n" % (
                    phase, code)
        one = start(CONF % {"server": text, "main": main, "stream": stream,
                            "more": more}, run=False, **options)
        resolua(one, "zone", "load", one.file("zone", zone) if zone else SAMPLE)
        return one.start()
    return go


@pytest.fixture
def upstream():
    made = []

    def make(*arguments, **options):
        made.append(Upstream(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def texts(response):
    return sorted(rdata.to_text() for r in response.answer for rdata in r)


WAYS = pytest.mark.parametrize("express, tcp", [
    ("on", False), ("off", False), ("on", True)], ids=["lane", "session", "tcp"])


@WAYS
def test_a_hook_that_does_nothing(serve, express, tcp):
    server = serve("local _ = q.name", express=express)
    assert texts(server.query("www.example.test", tcp=tcp)) == [
        "192.0.2.80", "192.0.2.81"]
    assert server.query("no.example.test", tcp=tcp).rcode() == 3


@WAYS
def test_answers_from_a_script(serve, express, tcp):
    server = serve("""
        if q.name == "www.script.test" then
            q:answer("A", 60, "10.1.2.3", "10.1.2.4")
        elseif q.name == "txt.script.test" then
            q:answer(16, 5, '"a b" c')
            q:add("authority", "script.test", "NS", 7, "ns.script.test.")
            q:add("additional", "ns.script.test", "AAAA", 7, "2001:db8::1")
        end
    """, express=express)
    response = server.query("wWw.Script.test", tcp=tcp, use_edns=0)
    assert texts(response) == ["10.1.2.3", "10.1.2.4"]
    assert response.question[0].name.to_text() == "wWw.Script.test."
    assert response.flags & dns.flags.AA and response.edns == 0
    response = server.query("txt.script.test", "TXT", tcp=tcp)
    assert texts(response) == ['"a b" "c"']
    assert response.edns == -1
    assert len(response.authority) == len(response.additional) == 1
    assert server.query("mail.example.test", tcp=tcp).answer


def test_ttls_of_a_script(serve):
    """RFC 2181 section 8.  dnspython hides what is on the wire."""
    server = serve('q:answer("A", tonumber(q.name:match("^[^.]+")), "10.1.2.3")')
    for ttl, sent in ((0, 0), (2**31 - 1, 2**31 - 1), (2**31, 0), (2**32 - 1, 0),
                      (-1, 0), (-300, 0)):
        query = dns.message.make_query(f"{ttl}.ttl.test", "A").to_wire()
        with socket.create_connection((HOST, server.port("DNS")), 60) as s:
            s.sendall(len(query).to_bytes(2, "big") + query)
            reply = s.makefile("rb")
            octets = reply.read(int.from_bytes(reply.read(2), "big"))
        # The end of it: TTL, size of the data, address.
        assert int.from_bytes(octets[-10:-6], "big") == sent, ttl


@WAYS
def test_decisions(serve, express, tcp):
    server = serve("""
        local first = q.name:match("^[^.]+")
        if first == "refused" then q:refuse()
        elseif first == "none" then q:nxdomain()
        elseif first == "notimp" then q:respond("NOTIMP")
        elseif first == "badvers" then q:respond(16)
        elseif first == "drop" then q:drop()
        elseif first == "tc" then q:truncate() end
    """, express=express)

    def rcode(name, **options):
        return dns.rcode.to_text(
            server.query(name, tcp=tcp, **options).rcode())

    assert rcode("refused.example.test") == "REFUSED"
    assert rcode("none.example.test") == "NXDOMAIN"
    assert rcode("notimp.example.test") == "NOTIMP"
    assert rcode("badvers.example.test", use_edns=0) == "BADVERS"
    response = server.query("tc.example.test", tcp=tcp)
    assert bool(response.flags & dns.flags.TC) == (not tcp)
    if not tcp:
        query = dns.message.make_query("drop.example.test", "A").to_wire()
        assert server.send_raw(query, timeout=0.2) is None


@WAYS
def test_what_a_hook_sees(serve, express, tcp):
    server = serve("""
        local subnet, bits = q:subnet()
        q:answer("TXT", 0, ('"%s|%s|%d|%s|%d|%d|%d|%s|%s"'):format(
            q.name, q.type_name, q.class_code, q.client, q.transport,
            q.dnssec_ok, q.udp_size, tostring(q.rd),
            subnet and #subnet .. "/" .. bits or "none"))
    """, express=express)
    response = server.query("A.b.Test", "TXT", tcp=tcp, rd=True, payload=1400,
                            want_dnssec=True)
    assert texts(response) == [
        f'"a.b.test|TXT|1|127.0.0.1|{1 if tcp else 0}|1|1400|true|none"']
    subnet = dns.edns.ECSOption("192.0.2.0", 24)
    response = server.query("x.test", "TXT", tcp=tcp, options=[subnet],
                            use_edns=0)
    assert texts(response)[0].endswith("|false|4/24\"")


def test_the_clients_address_decides(serve):
    server = serve("""
        q:answer("A", 1, q:client_in("127.0.0.0/8") and "10.0.0.1" or "10.0.0.2")
        assert(not q:client_in("10.0.0.0/8") and not q:client_in("::/0"))
        assert(q:client_in("127.0.0.1") and not q:client_in("127.0.0.2/32"))
        assert(q:client_in("0.0.0.0/0") and q:client_in("127.128.0.0/9") == false)
        assert(not pcall(q.client_in, q, "10.0.0.0/33"))
    """)
    assert texts(server.query("x.test")) == ["10.0.0.1"]


@WAYS
def test_a_hook_may_sleep(serve, express, tcp):
    server = serve("""
        ngx.sleep(0.02)
        if q.name == "slow.test" then q:answer("A", 60, "10.9.9.9") end
    """, express=express)
    assert texts(server.query("slow.test", tcp=tcp)) == ["10.9.9.9"]
    assert texts(server.query("mail.example.test", tcp=tcp)) == ["192.0.2.25"]
    assert server.query("else.test", tcp=tcp).rcode() == dns.rcode.REFUSED


@WAYS
def test_what_was_said_before_a_sleep_stays(serve, express, tcp):
    server = serve("""
        q:answer("A", 60, "10.0.0.1")
        ngx.sleep(0.01)
        q:answer("A", 60, "10.0.0.2")
    """, express=express)
    assert texts(server.query("x.test", tcp=tcp)) == ["10.0.0.1", "10.0.0.2"]


@WAYS
def test_forward_to_others(serve, upstream, express, tcp):
    one, two = upstream(1), upstream(2)
    server = serve("""
        if q.name:find("two") then q:forward("%s") end
    """ % two.address, server=f"dns_forward {one.address};", express=express)
    assert texts(server.query("one.test", rd=True, tcp=tcp)) == ["192.0.0.1"]
    assert texts(server.query("two.test", rd=True, tcp=tcp)) == ["192.0.0.2"]
    # Even what the zones hold.
    assert texts(server.query("two.example.test", rd=True, tcp=tcp)) == [
        "192.0.0.2"]


@WAYS
def test_rewrite(serve, express, tcp):
    server = serve("""
        if q.name == "alias.test" then q:rewrite("mail.example.test") end
    """, express=express)
    response = server.query("Alias.test", tcp=tcp)
    assert texts(response) == ["192.0.2.25"]
    assert response.answer[0].name.to_text().lower() == "alias.test."
    assert response.question[0].name.to_text() == "Alias.test."


@WAYS
def test_rewrite_finds_the_name_wherever_it_is(serve, upstream, express, tcp):
    """In a zone, denied by it, at the upstream, by a chain that leaves the zone;
    each with the client's own question, EDNS and limits."""
    one = upstream()
    server = serve("""
        local names = {
            ["zone.test"] = "mail.example.test",
            ["denied.test"] = "nothing.example.test",
            ["far.test"] = "elsewhere.example.net",
            ["chain.test"] = "blog.example.test",
        }
        local name = names[q.name]
        if name then q:rewrite(name) end
        if q.name == "told.test" then
            ngx.sleep(0.001)
            q:rewrite("mail.example.test")
            q:forward("%s")
        end
    """ % one.address, server=f"dns_forward {one.address};", express=express)
    for options in ({}, {"use_edns": 0}, {"want_dnssec": True}):
        found = server.query("Zone.test", tcp=tcp, **options)
        assert texts(found) == ["192.0.2.25"]
        assert found.answer[0].name.to_text() == "Zone.test."
        assert (found.edns == 0) == bool(options)
        found = server.query("denied.test", tcp=tcp, **options)
        assert found.rcode() == dns.rcode.NXDOMAIN
        assert found.question[0].name.to_text() == "denied.test."
        assert found.authority[0].name.to_text() == "example.test."
        found = server.query("far.test", tcp=tcp, rd=True, **options)
        assert found.answer[0].name.to_text() == "far.test."
        found = server.query("chain.test", tcp=tcp, rd=True, **options)
        assert [r.name.to_text() for r in found.answer] == [
            "chain.test.", "pages.example.net."]
    before = one.count()
    assert server.query("told.test", tcp=tcp).rcode() == 0
    assert one.count() == before + 1
    assert one.asked[-1][1].question[0].name.to_text().lower() == (
        "mail.example.test.")


@WAYS
def test_rewrite_says_why_there_is_no_answer(serve, express, tcp):
    server = serve('q:rewrite("elsewhere.example.net")', express=express)
    found = server.query("x.test", tcp=tcp, use_edns=0)
    assert found.rcode() == dns.rcode.REFUSED
    assert found.question[0].name.to_text() == "x.test."
    assert [o.code for o in found.options
            if isinstance(o, dns.edns.EDEOption)] == [20]


@WAYS
def test_an_error_is_a_servfail(serve, express, tcp):
    server = serve("error('oops ' .. q.name)", express=express)
    server.allow_log("oops x.test")
    assert server.query("x.test", tcp=tcp).rcode() == dns.rcode.SERVFAIL


def test_bad_calls(serve):
    server = serve("""
        local function check(pattern, f, ...)
            local ok, err = pcall(f, q, ...)
            assert(not ok and err:find(pattern), tostring(err))
        end
        check("unknown type", q.answer, "NOTYPE", 1, "x")
        check("not a rdata", q.answer, "A", 1, "1.2.3")
        check("not a owner", q.add, "answer", "a..b", "A", 1, "1.2.3.4")
        check("no such section", q.add, "x", "a", "A", 1, "1.2.3.4")
        check("unknown rcode", q.respond, "X")
        check("not a domain name", q.rewrite, "a..b")
        check("bad upstreams", q.forward, "")
        check("not a response", q.set_response, "xx")
        q:respond(0)
        q:add("authority", "a.test", "A", 1, "1.2.3.4")
        check("not a section", q.answer, "A", 1, "1.2.3.4")
        q:nxdomain()
    """)
    assert server.query("x.test").rcode() == 3


def test_too_much_is_cut(serve):
    server = serve("""
        for i = 1, 40 do
            q:answer("TXT", 1, '"' .. ("x"):rep(50) .. '"')
        end
    """)
    response = server.query("x.test", "TXT")
    assert response.flags & dns.flags.TC and not response.answer
    assert len(texts(server.query("x.test", "TXT", tcp=True))) >= 1


@WAYS
def test_the_answer_hook(serve, express, tcp):
    server = serve(answer="""
        local message = q:response()
        if q.rcode == 3 then
            message.rcode = 0
            message.authorities = {}
            message.answers = {
                { name = q.name, type = 1, ttl = 5, record = "10.0.0.9" } }
            q:set_response(message)
        elseif q.name == "mail.example.test" then
            for _, record in ipairs(message.answers) do record.ttl = 1 end
            q:set_response(message)
        elseif q.name == "ftp.example.test" then
            q:refuse()
        end
    """, express=express)
    assert texts(server.query("no.example.test", tcp=tcp, use_edns=0)) == [
        "10.0.0.9"]
    assert server.query("mail.example.test", tcp=tcp).answer[0].ttl == 1
    assert server.query("ftp.example.test", tcp=tcp).rcode() == 5
    assert server.query("www.example.test", tcp=tcp).answer[0].ttl == 300


@WAYS
def test_the_log_hook(serve, express, tcp):
    server = serve("if q.name == 'slow.test' then ngx.sleep(0.05) end", log="""
        ngx.log(ngx.WARN, "LOG ", q.name, " ", q.rcode, " ",
            q.out_size > 12 and "answered" or "nothing", " ",
            q.duration >= 40 and "slow" or "fast")
    """, express=express)
    server.query("no.example.test", tcp=tcp)
    server.query("slow.test", tcp=tcp)
    server.wait_for_log("LOG no.example.test 3 answered fast")
    server.wait_for_log("LOG slow.test 5 answered slow")


def test_answer_hooks_see_forwarded_answers(serve, upstream):
    one = upstream(3)
    server = serve(server=f"dns_forward {one.address};", answer="""
        local message = q:response()
        message.answers[1].ttl = 7
        q:set_response(message)
    """)
    assert server.query("x.else.test", rd=True).answer[0].ttl == 7


def test_kept_answers(serve):
    server = serve("""
        counter = (counter or 0) + 1
        q:answer("TXT", 100, tostring(counter))
        if q.name ~= "free.test" then q:cache(60, "mine") end
    """, main="dns_cache 2m;", more="""
        http { server { listen 127.0.0.1:@HTTP@; location / {
            content_by_lua_block { require("dns.cache").purge("mine") } } } }
    """)
    assert texts(server.query("free.test", "TXT")) == ['"1"']
    assert texts(server.query("free.test", "TXT")) == ['"2"']
    assert texts(server.query("kept.test", "TXT")) == ['"3"']
    assert texts(server.query("Kept.test", "TXT", use_edns=0)) == ['"3"']
    assert texts(server.query("kept.test", "TXT", tcp=True)) == ['"3"']
    server.http("/")
    assert texts(server.query("kept.test", "TXT")) == ['"4"']


SPLIT = """
dns_cache 2m;
stream {
    server { # for the office
        listen 127.0.0.1:@INSIDE@ udp;
        dns_serve on;
        dns_query_by_lua_block { local q = ...
            q:answer("A", 60, "%s") q:cache(60)
        }
    }
    server {
        listen 127.0.0.1:@DNS@ udp;
        dns_serve on;
        dns_query_by_lua_file %s;
    }
}
"""


def test_kept_answers_are_of_one_server_and_its_code(start, tmp_path):
    """Of two servers with hooks neither gives what the other's has kept, and a
    reload with other code, here or in a file, gives none of the old."""
    hook = tmp_path / "hook.lua"
    hook.write_text('local q = ... q:answer("A", 60, "192.0.2.1") q:cache(60)')
    server = start(SPLIT % ("10.0.0.1", hook))

    def addresses():
        """Each server's answers, once it has kept another one."""
        return [texts(server.query(name, port=port))
                for port in ("INSIDE", "DNS")
                for name in (f"first.{port}.test", "www.split.test")]

    assert addresses() == [["10.0.0.1"]] * 2 + [["192.0.2.1"]] * 2
    hook.write_text('local q = ... q:answer("A", 60, "192.0.2.2") q:cache(60)')
    old = server.worker_pids()
    server.write(SPLIT % ("10.0.0.2", hook))
    server.reload()
    wait_for(lambda: not set(old) & set(server.worker_pids()))
    assert addresses() == [["10.0.0.2"]] * 2 + [["192.0.2.2"]] * 2


USES = """
    local function uses(old)
        return {
            function() return old.name end, function() return old.id end,
            function() return old.client end, function() return old.rd end,
            function() return old.type_name end,
            function() return old.rcode end,
            function() return old:client_in("10.0.0.0/8") end,
            function() return old:subnet() end,
            function() return old:response() end,
            function() old:answer("A", 60, "192.0.2.66") end,
            function() old:add("answer", "x.test", "A", 60, "192.0.2.66") end,
            function() old:respond("NXDOMAIN") end, function() old:refuse() end,
            function() old:nxdomain() end, function() old:truncate() end,
            function() old:drop() end, function() old:forward("192.0.2.1") end,
            function() old:rewrite("mail.example.test") end,
            function() old:cache(60, "tag") end,
            function() old:set_response(("x"):rep(100)) end,
        }
    end
    local function wrong(old)
        local count = 0
        for _, use in ipairs(uses(old)) do
            local ok, err = pcall(use)
            if ok or not tostring(err):find("query is over", 1, true) then
                count = count + 1
            end
        end
        return count
    end
"""


@WAYS
def test_a_query_object_is_of_one_query(serve, express, tcp):
    """Kept by a hook, a timer, a light thread or a client's end, it never is
    another client's query, but an error."""
    server = serve(USES + """
        kept = kept or {}
        local name = q.name
        if name == "result.test" then
            return q:answer("TXT", 60, timer_says or "none")
        elseif name == "kept.test" then
            kept.query = q
        elseif name == "timer.test" then
            timer_says = nil
            ngx.timer.at(0, function()
                while not q_over do ngx.sleep(0.01) end
                timer_says = "wrong " .. wrong(q)
            end)
        elseif name == "other.test" then
            ngx.sleep(0.01)
            local count = wrong(kept.query) + wrong(kept.answer)
                + wrong(kept.log)
            q_over = true
            return q:answer("TXT", 60, "wrong " .. count)
        end
        q:answer("TXT", 60, "mine")
    """, answer="kept.answer = q.name == 'kept.test' and q or kept.answer",
         log="kept.log = q.name == 'kept.test' and q or kept.log",
         express=express)

    def ask(name):
        return texts(server.query(name, "TXT", tcp=tcp))

    assert ask("kept.test") == ['"mine"']
    assert ask("timer.test") == ['"mine"']
    for _ in range(3):
        assert ask("other.test") == ['"wrong 0"']
    wait_for(lambda: ask("result.test") == ['"wrong 0"'])


def test_a_query_that_waits_takes_no_other_answer(serve, upstream):
    """A hook has decided: what a timer says meanwhile reaches nobody."""
    one = upstream(4, delay=0.5)
    server = serve("""
        if q.name == "wait.test" then
            ngx.timer.at(0.1, function()
                pcall(q.answer, q, "A", 60, "192.0.2.66")
                pcall(q.nxdomain, q)
                q:drop()
                timer_was_here = true
            end)
        elseif q.name == "was.test" then
            q:answer("TXT", 60, tostring(timer_was_here))
        end
    """, server=f"dns_forward {one.address};", answer="local _ = q.name")
    assert texts(server.query("wait.test", rd=True)) == ["192.0.0.4"]
    assert texts(server.query("was.test", "TXT")) == ['"true"']


def test_fields_of_a_query_are_not_set(serve):
    server = serve("""
        local ok, err = pcall(function() q.type = 28 end)
        q:answer("TXT", 60, tostring(ok), err)
    """)
    assert any("no field to set" in text
               for text in texts(server.query("set.test", "TXT")))


def test_views_that_scripts_keep_do_no_harm(serve):
    """A query is over when it is answered: each use of what scripts have kept
    of it is an error then."""
    server = serve("""
        kept = kept or {}
        if q.name ~= "use.example.test" then
            kept[#kept + 1] = q
            while not is_over do ngx.sleep(0.05) end
            return q:answer("A", 60, "192.0.2.1")
        end
        is_over = true
        ngx.sleep(1)
        for _, old in ipairs(kept) do
            if old ~= q then
                assert(not pcall(function() return old.name end))
                assert(not pcall(function() return old.id end))
                assert(not pcall(old.refuse, old))
                assert(not pcall(old.answer, old, "A", 60, "192.0.2.9"))
            end
        end
        q:answer("TXT", 60, tostring(#kept))
    """, log="q:refuse() q:truncate() pcall(q.answer, q, 'A', 60, '192.0.2.3')")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.connect((HOST, server.port("DNS")))
        s.settimeout(20)
        # More at once than are recycled, and too large for what is.
        for number in range(1500):
            query = dns.message.make_query(f"n{number}.example.test", "A",
                                           pad=1500, use_edns=0)
            s.send(query.to_wire(max_size=4096))
            time.sleep(0.0002)
        response = server.query("use.example.test", "TXT", timeout=20)
        assert int(texts(response)[0].strip('"')) > 1100
        assert dns.message.from_wire(s.recv(4096)).answer
    assert texts(server.query("use.example.test", "TXT")) != []


def test_many_sleeping_hooks_and_memory(serve):
    import socket
    server = serve("ngx.sleep(0.05) q:answer('A', 1, '10.0.0.1')")

    def burst():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.connect(("127.0.0.1", server.port("DNS")))
            for i in range(200):
                s.send(dns.message.make_query(f"n{i}.test", "A",
                                              id=i).to_wire())
            return {int.from_bytes(s.recv(512)[:2], "big")
                    for _ in range(200)}

    for _ in range(3):
        assert burst() == set(range(200))
    before = server.workers_memory()
    for _ in range(5):
        burst()
    assert server.workers_memory() < before + 2_000_000


def test_a_reload_while_a_hook_sleeps(serve):
    import threading
    server = serve("ngx.sleep(0.5) q:answer('A', 1, '10.0.0.1')")
    got = []
    thread = threading.Thread(
        target=lambda: got.append(texts(server.query("x.test", timeout=5))))
    thread.start()
    wait_for(lambda: True)
    server.reload()
    thread.join()
    assert got == [["10.0.0.1"]]


BIG_ZONE = """\
$ORIGIN big.test.
@ 60 SOA ns1 hostmaster 1 3600 600 86400 60
@ 60 NS ns1
""" + "".join(f"many 60 A 10.1.{i // 256}.{i % 256}\n" for i in range(3000))


@WAYS
def test_an_answer_hook_that_fails_lets_nothing_through(serve, express, tcp):
    server = serve(answer="error('oops ' .. q.name)", express=express,
                   log="ngx.log(ngx.WARN, 'LOG ', q.rcode)")
    server.allow_log("oops")
    response = server.query("www.example.test", tcp=tcp)
    assert response.rcode() == dns.rcode.SERVFAIL
    assert response.answer == []
    server.wait_for_log("LOG 2")


def test_an_answer_hook_sees_and_changes_large_answers(serve, upstream):
    """As large as TCP has them, of zones and of upstreams."""
    one = upstream(records=3000)
    server = serve(server=f"dns_forward {one.address};", answer="""
        local message = q:response()
        for _, record in ipairs(message.answers) do record.ttl = 7 end
        q:set_response(message)
    """, zone=BIG_ZONE)
    for name in ("many.big.test", "many.else.test"):
        answer = server.query(name, rd=True, tcp=True).answer[0]
        assert len(answer) >= 3000 and answer.ttl == 7
        assert len(server.query(name, rd=True).to_wire()) <= 512


@WAYS
def test_response_codes_that_need_edns(serve, express, tcp):
    server = serve("""
        if q.name == "99.test" then q:respond(99)
        elseif q.name == "badcookie.test" then q:respond("BADCOOKIE")
        elseif q.name == "set.test" then
            q:set_response { id = 1, qr = true, rcode = 23, edns = {},
                questions = { { name = q.name, type = q.type } } }
        elseif q.name == "bare.test" then
            q:set_response { id = 1, qr = true, rcode = 23,
                questions = { { name = q.name, type = q.type } } }
        elseif q.name == "4096.test" then q:respond(4096)
        elseif q.name == "half.test" then q:respond(1.5)
        elseif q.name == "below.test" then q:respond(-1)
        else q:respond(15) end
    """, express=express)
    server.allow_log("cannot be sent")
    server.allow_log("unknown rcode")
    server.allow_log("rcode: above 15 it needs edns")

    def rcode(name, edns):
        return server.query(name, tcp=tcp, use_edns=edns).rcode()

    for name, wanted in (("99.test", 99), ("badcookie.test", 23),
                         ("set.test", 23), ("15.test", 15)):
        assert rcode(name, True) == wanted
        assert rcode(name, False) == (wanted if wanted < 16 else 2), name
    for name in ("4096.test", "half.test", "below.test", "bare.test"):
        assert rcode(name, True) == dns.rcode.SERVFAIL
    assert "rcode RCODE99 cannot be sent: the query has no EDNS" in server.log()
