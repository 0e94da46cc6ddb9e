"""The test server itself: the module loads, reloads and ends."""

import pytest

from resolua_server import Failed, is_running, wait_for

CONF = "stream { server { listen 127.0.0.1:@DNS@ udp; return x; } }"


def test_starts_answers_and_stops(start):
    server = start(CONF, workers=2)

    assert len(server.worker_pids()) == 2
    assert server.send_raw(b"hello") == b"x"
    assert server.workers_memory() > 0


def test_reload_gives_new_workers(start):
    server = start(CONF)
    old = server.worker_pids()

    server.reload()
    wait_for(lambda: not any(is_running(pid) for pid in old))

    assert server.send_raw(b"hello") == b"x"


def test_kill_leaves_nothing_behind(start):
    server = start(CONF)
    pids = [server.pid, *server.worker_pids()]

    server.kill()

    assert not any(is_running(pid) for pid in pids)


def test_bad_configuration_is_reported(start):
    server = start("no_such_directive on;", run=False)

    with pytest.raises(Failed, match="no_such_directive"):
        server.start()
    server.allow_log("no_such_directive")


def test_nginx_t(start):
    server = start(CONF, run=False)

    code, text = server.test_configuration()

    assert code == 0, text
