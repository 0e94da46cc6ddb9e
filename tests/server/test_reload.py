"""nginx -s reload loses no query."""

import threading
import time

import pytest

from resolua_server import Failed, is_running, wait_for
from service_conf import start_service
from upstream import Upstream


def ask_until(server, stop, failures, counts, tcp):
    while not stop.is_set():
        try:
            response = server.query("www.example.test", tcp=tcp, timeout=3)
            if len(response.answer) != 1:
                failures.append(response.to_text())
        except Exception as error:
            failures.append(repr(error))
        counts[tcp] += 1


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_keep_coming(start, workers):
    server = start_service(start, workers=workers)
    stop, failures, counts = threading.Event(), [], {False: 0, True: 0}
    threads = [threading.Thread(target=ask_until,
                                args=(server, stop, failures, counts, tcp))
               for tcp in (False, True)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        server.reload()
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert counts[False] > 50 and counts[True] > 20


@pytest.mark.parametrize("tcp", [False, True])
def test_a_query_that_waits_for_its_upstream_is_answered(start, tcp):
    upstream = Upstream(4, delay=0.8)
    server = start_service(start, f"dns_forward {upstream.address};")
    answers = []

    def ask():
        answers.append(server.query("www.elsewhere.test", rd=True, tcp=tcp))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: upstream.asked)
    server.reload()
    thread.join()
    upstream.stop()

    assert [str(r) for r in answers[0].answer[0]] == ["192.0.0.4"]


def test_old_workers_end(start):
    server = start_service(start)
    old = server.worker_pids()
    for _ in range(5):
        server.reload()
    wait_for(lambda: not any(is_running(pid) for pid in old))
    assert len(server.query("www.example.test").answer) == 1


def test_a_bad_configuration_leaves_the_old_one_running(start):
    server = start_service(start)
    good = (server.folder / "nginx.conf").read_text()
    (server.folder / "nginx.conf").write_text(good + "\nno_such_thing;\n")
    server.allow_log("no_such_thing")
    with pytest.raises(Failed):
        server.reload(seconds=0.5)

    assert len(server.query("www.example.test").answer) == 1
