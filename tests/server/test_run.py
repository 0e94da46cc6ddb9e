"""resolua run and resolua doc."""

import re
import signal
import socket
import subprocess
import time

import pytest

from lua_conf import Peer, echo
from resolua_server import BUILD, HOST, ROOT, environment, wait_for


def spawn(tmp_path, *words, **options):
    return subprocess.Popen(
        [ROOT / "tools/resolua", *map(str, words)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**environment(), "RESOLUA_BUILD": str(BUILD),
             "TMPDIR": str(tmp_path), "RESOLUA_TEST": "from outside"},
        **options)


@pytest.fixture
def run(tmp_path):
    """run("-e", code) gives exit code, output, errors; nothing is left."""
    def go(*words, stdin=""):
        process = spawn(tmp_path, "run", *words, stdin=subprocess.PIPE)
        out, errors = process.communicate(stdin, timeout=60)
        return process.returncode, out, errors

    yield go
    wait_for(lambda: not list(tmp_path.glob("resolua-run-*")),
             what="the folder's removal")


def test_code_prints(run):
    assert run("-e", 'ngx.say("a", {1, {true}}, nil) ngx.print("b", 2) '
               'print("c", nil, 3)') == (0, "a1truenil\nb2c\tnil\t3\n", "")


def test_a_file_has_arguments_and_input(run, tmp_path):
    path = tmp_path / "script.lua"
    path.write_text("#!/usr/bin/env resolua\n"
                    "print(arg[0], #arg, arg[1], table.concat({...}, ' '), io.read('*a'))\n")
    assert run(path, "--x", "a b", stdin="in\nput") == (
        0, f"{path}\t2\t--x\t--x a b\tin\nput\n", "")


def test_input_may_be_the_script(run):
    assert run("-", "x", stdin="print('read', ...)") == (0, "read\tx\n", "")


def test_codes_and_file_in_order(run, tmp_path):
    path = tmp_path / "s.lua"
    path.write_text("print('file', x)")
    (tmp_path / "m.lua").write_text("x = 'library' return {}")
    assert run("-I", tmp_path, "-l", "m", "-e", "print(x) x = 1", "-e",
               "x = x + 1", path)[:2] == (0, "library\nfile\t2\n")


@pytest.mark.parametrize("code, expected", [
    ("os.exit(7)", 7), ("ngx.exit(3)", 3), ("ngx.sleep(0) ngx.exit(0)", 0),
    ("ngx.exit(ngx.ERROR)", 1), ("return 5", 0)])
def test_exit_codes(run, code, expected):
    assert run("-e", code + ' print("not seen")' if "exit" in code else code)[
        :2] == (expected, "")


def test_errors_name_the_place(run, tmp_path):
    code, out, errors = run("-e", 'print("x")\nlocal function f() '
                            'error("no luck") end\nngx.sleep(0) f()')
    assert (code, out) == (1, "x\n")
    assert "(command line -e):2: no luck" in errors
    assert "stack traceback" in errors
    path = tmp_path / "bad.lua"
    path.write_text("\nlocal = 1")
    code, _, errors = run(path)
    assert code == 1 and "bad.lua:2:" in errors
    assert run(tmp_path / "absent.lua")[0] == 1


@pytest.mark.parametrize("words, text", [
    ([], "neither a file nor"), (["-x"], "unknown option -x"),
    (["-e"], "-e needs a value"), (["-c", "0", "-e", ""], "-c 0"),
    (["--shdict", "a b c", "-e", ""], "--shdict a b c"),
    (["--errlog-level", "loud", "-e", ""], "--errlog-level loud")])
def test_wrong_options(run, words, text):
    code, out, errors = run(*words)
    assert (code, out) == (1, "")
    assert text in errors


def test_all_of_the_api(run):
    peer = Peer(echo)
    code, out, errors = run("--shdict", "d 1m", "-e", """
        ngx.shared.d:set("a", 1)
        ngx.say(ngx.shared.d:incr("a", 1))
        local t = ngx.thread.spawn(function() ngx.sleep(0.01) return "t" end)
        ngx.say(ngx.thread.wait(t))
        local s = ngx.socket.tcp()
        assert(s:connect("127.0.0.1", arg[1]))
        s:send("echo\\n")
        ngx.say(s:receive())
        ngx.say(ngx.re.match("ab12", "[0-9]+", "jo")[0])
        ngx.timer.at(0, function() ngx.say("timer") end)
        ngx.sleep(0.01)
        ngx.say(os.getenv("RESOLUA_TEST"))
        ngx.say(ngx.run_worker_thread("default", "table.new", "x"))
    """, "/dev/null", peer.port)
    peer.close()
    assert (code, errors) == (0, "")
    assert out.startswith("2\ntruet\necho\n12\ntimer\nfrom outside\nfalse")


def test_configuration_of_its_own(run):
    with socket.socket() as s:
        s.bind((HOST, 0))
        port = s.getsockname()[1]
    code, out, errors = run(
        "--http-conf", "server { listen 127.0.0.1:%d; location / { "
        "content_by_lua_block { ngx.say('served') } } }" % port,
        "--main-conf", "thread_pool p threads=1;",
        "--stream-conf", "lua_add_variable $x;", "-e", """
        local s = ngx.socket.tcp()
        assert(s:connect("127.0.0.1", %d))
        s:send("GET / HTTP/1.0\\r\\n\\r\\n")
        ngx.say((s:receive("*a"):match("served")))
    """ % port)
    assert (code, out, errors) == (0, "served\n", "")


def test_host_names(run, start):
    server = start("""stream { server { listen 127.0.0.1:@DNS@ udp;
        dns_serve on; dns_query_by_lua_block { local q = ...
            if q.type_name == "A" then q:answer("A", 60, "127.0.0.1")
            else q:respond("NOERROR") end } } }""")
    peer = Peer(echo)
    code, out, errors = run("--ns", f"{HOST}:{server.port('DNS')}", "-e", """
        local s = ngx.socket.tcp()
        ngx.say(s:connect("some.example.test", %d))
    """ % peer.port)
    peer.close()
    assert (code, out, errors) == (0, "1\n", "")


def test_the_jits_log(run):
    code = "local x = 0 for i = 1, 1e4 do x = x + i end"
    assert "[TRACE" in run("--jv", "-e", code)[2]
    assert "[TRACE" in run("-j", "v", "-e", code)[2]
    assert run("-j", "off", "-e", "print((jit.status()))")[1] == "false\n"
    assert re.search(r"TRACE \d+ start", run("-j", "dump", "-e", code)[1])
    assert run("-j", "x", "-e", code)[0] == 1
    out = run("--jdump", "-e", code)[1]
    assert "---- TRACE" in out and "mcode" in out


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM,
                                 signal.SIGKILL])
def test_signals_end_it(tmp_path, run, sig):
    process = spawn(tmp_path, "run", "-e",
                    'ngx.say("up") ngx.flush() ngx.sleep(60)')
    assert process.stdout.readline() == "up\n"
    process.send_signal(sig)
    assert process.wait(10) == -sig
    process.communicate()


def test_nobody_reads(tmp_path, run):
    process = spawn(tmp_path, "run", "-e",
                    'while true do ngx.say("line") ngx.sleep(0) end')
    assert process.stdout.readline() == "line\n"
    process.stdout.close()
    assert process.wait(10) == 1
    process.stderr.close()


def test_many_at_once(tmp_path, run):
    begin = time.monotonic()
    all_of_them = [spawn(tmp_path, "run", "-e", "ngx.say(ngx.worker.pid())")
                   for _ in range(8)]
    pids = {p.communicate(timeout=60)[0] for p in all_of_them}
    assert len(pids) == 8 and time.monotonic() - begin < 30


def doc(*words):
    done = subprocess.run([ROOT / "tools/resolua", "doc", *words],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_doc_shows_an_entry():
    code, out, _ = doc("dns_forward")
    assert code == 0 and out.startswith("dns_forward ADDR")
    assert "context: stream" in out and "docs/directives.md" in out
    assert doc("init_by_lua_block")[1].startswith("init_by_lua*")
    assert "zone load FILE" in doc("zone", "load")[1]


def test_doc_misses():
    code, out, errors = doc("no.such.thing")
    assert (code, out) == (1, "") and "no.such.thing" in errors


def test_doc_lists():
    names = doc()[1].splitlines()
    assert "dns_serve" in names and names == sorted(names)


def documented():
    return {name.lower() for name in doc()[1].splitlines()}


def test_doc_takes_other_names():
    assert doc("ngx.shared.DICT.incr")[1].startswith("dict:incr(")
    assert doc("tcpsock:receiveany")[1].startswith("sock:receiveany(")
    assert all(len(line) < 80 for line in doc("ngx.pipe")[1].splitlines())


def test_every_function_is_documented(run):
    code, out, errors = run("-e", """
        local function walk(prefix, t)
            for name, value in pairs(t) do
                if type(value) == "function" and name:find("^%l") then
                    print(prefix .. name)
                elseif type(value) == "table" and type(name) == "string"
                        and name ~= "shared" and name ~= "arg" then
                    walk(prefix .. name .. ".", value)
                end
            end
        end
        walk("ngx.", ngx)
    """)
    assert code == 0, errors
    missing = set(out.split()) - documented()
    assert not missing


def test_every_directive_is_documented():
    names = documented()
    found = set()
    for folder in ("runtime", "http", "stream", "server"):
        for path in (ROOT / folder).rglob("*.[ch]"):
            found |= set(re.findall(
                r'"((?:lua|dns)_[a-z_0-9]+|[a-z_]+_by_lua(?:_[a-z]+)?)"',
                path.read_text()))
    # Hooks' names without their "_by_lua_block".
    found -= {"dns_answer", "dns_log", "dns_query"}
    missing = {n for n in found if n not in names and not any(
        known.endswith("*") and n.startswith(known[:-1]) for known in names)}
    assert not missing
