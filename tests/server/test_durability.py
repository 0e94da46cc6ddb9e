"""What was acknowledged is there after a kill of everything."""

import concurrent.futures
import json
import signal
import subprocess
import time

from resolua_server import BUILD, ROOT, environment
from service_conf import resolua, start_service


def put(server, i):
    reply = server.http(
        f"/dns/zones/example.test/n{i}.example.test/A", "PUT",
        json.dumps({"ttl": 60, "records": [f"10.0.{i >> 8}.{i & 255}"]}))
    return reply.status


def names_of(server):
    text = resolua(server, "zone", "show", "example.test")
    return {line.split(".")[0] for line in text.splitlines()}


def test_a_thousand_edits_survive_kill_9(start):
    server = start_service(start, workers=2)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda i: put(server, i), range(1000)))
    server.kill()

    assert set(statuses) == {201}
    assert names_of(server) >= {f"n{i}" for i in range(1000)}
    server.start()
    assert server.query("n999.example.test").answer[0][0].to_text() \
        == "10.0.3.231"
    zone = server.http("/dns/zones/example.test").json()
    assert zone["serial"] == 2024010101 + 1000


def test_each_edit_is_in_the_next_answer(start):
    server = start_service(start, workers=2)

    for i in range(200):
        reply = server.http(
            "/dns/zones/example.test/www.example.test/A", "PUT",
            json.dumps({"ttl": 60, "records": [f"10.1.0.{i}"]}))
        assert reply.status == 200
        for tcp in (False, True):
            answer = server.query("www.example.test", tcp=tcp).answer
            assert [str(r) for r in answer[0]] == [f"10.1.0.{i}"]


def test_kill_9_in_the_middle_of_edits(start):
    """Every edit that was acknowledged before the kill is there."""
    server = start_service(start, workers=1)
    done = []

    def edit_until_killed():
        for i in range(100_000):
            try:
                if put(server, i) == 201:
                    done.append(i)
            except OSError:
                return

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(edit_until_killed)
        time.sleep(0.7)
        server.kill()
        running.result()

    assert done
    assert names_of(server) >= {f"n{i}" for i in done}
    server.start()


def test_kill_9_in_the_middle_of_a_load(tmp_path):
    """The zone is the old one or the new one, whole."""
    zone = tmp_path / "big.test.zone"
    head = "@ 60 SOA ns1 h {} 1 1 1 1\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n"
    environ = {**environment(), "RESOLUA_BUILD": str(BUILD)}
    command = [ROOT / "tools/resolua", "--data", tmp_path / "data", "zone"]

    def write(serial):
        zone.write_text(head.format(serial) + "".join(
            f"h{i} 60 TXT {serial}\n" for i in range(30_000)))

    write(1)
    subprocess.run([*command, "load", zone], check=True, env=environ,
                   capture_output=True)
    loaded = 1
    for round_ in range(20):
        write(loaded + 1)
        load = subprocess.Popen([*command, "load", zone], env=environ,
                                stdout=subprocess.PIPE, text=True)
        time.sleep(0.004 * round_)
        load.send_signal(signal.SIGKILL)
        acknowledged = "1 zone loaded" in load.communicate()[0]

        text = subprocess.run([*command, "show", "big.test"], check=True,
                              env=environ, capture_output=True,
                              text=True).stdout
        values = {line.split("\t")[-1] for line in text.splitlines()
                  if "\tTXT\t" in line}
        assert len(text.splitlines()) == 30_003
        assert len(values) == 1
        serial = int(values.pop().strip('"'))
        assert serial in (loaded, loaded + 1)
        assert serial == loaded + 1 or not acknowledged
        loaded = serial
