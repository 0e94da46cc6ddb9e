"""Fixtures of the server tests."""

import itertools

import pytest

pytest.register_assert_rewrite("lua_peer")

from resolua_server import Server  # noqa: E402  (its asserts are rewritten)


@pytest.fixture
def start(tmp_path):
    """start(conf, **options) gives a running Server; at the test's end all
    are stopped and their error logs must be clean."""
    servers = []
    numbers = itertools.count(1)

    def start_server(conf, run=True, folder=None, **options):
        server = Server(folder or tmp_path / f"server{next(numbers)}", conf,
                        **options)
        servers.append(server)
        return server.start() if run else server

    yield start_server

    for server in servers:
        server.stop()
    for server in servers:
        server.check_log()


@pytest.fixture
def programs():
    """A list of Programs that are stopped at the test's end."""
    started = []
    yield started
    for program in reversed(started):
        program.stop()
