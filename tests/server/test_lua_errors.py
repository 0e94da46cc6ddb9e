"""error() with a value that is no string: nil, a table, a boolean."""

import contextlib
import socket
import urllib.error

import pytest

from resolua_server import HOST, wait_for

VALUES = ["nil", "{}", "true", "setmetatable({}, {__tostring = error})"]

# Where a chunk runs and must not sleep; the status that a client gets, None:
# the connection is closed.
HTTP = {
    "set": ("set_by_lua_block $a { error(@@) } return 200 x;", 500),
    "header": ("header_filter_by_lua_block { error(@@) } return 200 x;", None),
    "body": ("body_filter_by_lua_block { error(@@) } return 200 x;", None),
    "log": ("log_by_lua_block { error(@@) } return 200 x;", 200),
    "rewrite": ("rewrite_by_lua_block { error(@@) }", 500),
    "access": ("access_by_lua_block { error(@@) }", 500),
    "content": ("content_by_lua_block { error(@@) }", 500),
    "sleep": ("content_by_lua_block { ngx.sleep(0) error(@@) }", 500),
    "thread": ("content_by_lua_block { ngx.thread.wait(ngx.thread.spawn("
               "function() ngx.sleep(0) error(@@) end)) ngx.say(1) }", 200),
    "timer": ("content_by_lua_block { ngx.timer.at(0, function() error(@@) "
              "end) ngx.say(1) }", 200),
    "balancer": ("proxy_pass http://bad@N@;", 500),
    "abort": ("content_by_lua_block { ngx.run_worker_thread('default', "
              "'failing', 'go') ngx.say(1) }", 200),
}


@pytest.fixture
def server(start):
    locations = upstreams = inits = ""
    for i, value in enumerate(VALUES):
        inits += f"pcall(function() error({value}) end) "
        upstreams += (f"upstream bad{i} {{ server 0.0.0.1; "
                      f"balancer_by_lua_block {{ error({value}) }} }}\n")
        for name, (text, _) in HTTP.items():
            locations += (f"location = /{name}{i} {{ "
                          f"{text.replace('@@', value).replace('@N@', str(i))}"
                          " }\n")
    one = start(f"""
        http {{
            {upstreams}
            init_by_lua_block {{ {inits} }}
            init_worker_by_lua_block {{ error(nil) }}
            exit_worker_by_lua_block {{ error({{}}) }}
            lua_package_path '@FOLDER@/?.lua;;';
            server {{ listen 127.0.0.1:@HTTP@; {locations}
                location = /alive {{ return 200 alive; }} }}
        }}
        stream {{
            server {{ listen 127.0.0.1:@LOG@; return x;
                      log_by_lua_block {{ error({{}}) }} }}
            server {{ listen 127.0.0.1:@CONTENT@;
                      content_by_lua_block {{ error(nil) }} }}
            server {{ listen 127.0.0.1:@PREREAD@; return x;
                      preread_by_lua_block {{ error({{}}) }} }}
            upstream bad {{ server 0.0.0.1:1;
                            balancer_by_lua_block {{ error(nil) }} }}
            server {{ listen 127.0.0.1:@BALANCER@; proxy_pass bad; }}
        }}
    """, run=False)
    one.file("failing.lua", "return { go = function() error({}) end }")
    return one.start()


def status_of(server, path):
    try:
        return server.http(path).status
    except (OSError, urllib.error.URLError, ConnectionError):
        return None


def test_errors_without_a_text_in_each_phase(server):
    server.allow_log("unknown reason")
    workers = server.worker_pids()
    for i in range(len(VALUES)):
        for name, (_, status) in HTTP.items():
            got = status_of(server, f"/{name}{i}")
            assert got == status, (name, VALUES[i])
            assert status_of(server, "/alive") == 200, (name, VALUES[i])
    for port in "LOG", "CONTENT", "PREREAD", "BALANCER":
        with socket.create_connection((HOST, server.port(port))) as s:
            s.settimeout(20)
            with contextlib.suppress(ConnectionError):
                assert s.recv(10) == (b"x" if port == "LOG" else b"")
        wait_for(lambda: status_of(server, "/alive") == 200)
    assert server.worker_pids() == workers
    log = server.log()
    for directive in ("set_by_lua", "header_filter_by_lua", "log_by_lua",
                      "body_filter_by_lua", "init_worker_by_lua",
                      "balancer_by_lua"):
        assert f"failed to run {directive}*: unknown reason" in log
