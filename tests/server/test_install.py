"""What cmake --install puts under a prefix needs neither the source nor the build."""

import json
import os
import shutil
import subprocess

import dns.message
import dns.query
import dns.rcode
import pytest

from resolua_server import (BUILD, HOST, MODULES, ROOT, environment, free_port,
                            wait_for)

CONF = """
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_stream_module.so;
load_module {prefix}/lib/nginx/modules/ngx_resolua_module.so;
pid nginx.pid;
error_log error.log;
worker_processes 1;
{user}
dns_store lmdb path={folder}/data;
events {{}}
stream {{
    server {{
        listen 127.0.0.1:{dns} udp;
        dns_serve on;
        dns_query_by_lua_block {{
            local q = ...
            if q.name == "script.test" then
                q:answer("TXT", 1, require("dns").name.normalize("A.b"))
            end
        }}
    }}
}}
http {{
    access_log off;
    client_body_temp_path body;
    server {{
        listen 127.0.0.1:{http};
        location /dns {{
            content_by_lua_block {{ require("dns.api").serve() }}
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", folder],
                   check=True, stdout=subprocess.DEVNULL)
    return folder


def hidden(command, **options):
    """Runs the command where the source tree and the build are empty folders."""
    script = "".join(f"mount -t tmpfs none '{folder}' && "
                     for folder in {str(ROOT), str(BUILD)}
                     if folder == str(ROOT) or str(ROOT) not in folder)
    known = {name: value for name, value in environment().items()
             if not name.startswith("RESOLUA_")}
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return subprocess.run(["unshare", "--mount", *root, "sh", "-c",
                           script + 'exec "$@"', "sh", *map(str, command)],
                          cwd="/", env=known, text=True, capture_output=True,
                          **options)


def ask(port, name, qtype="A"):
    return dns.query.udp(dns.message.make_query(name, qtype), HOST, port=port,
                         timeout=20)


def test_the_command_works_anywhere(prefix, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(prefix, moved, symlinks=True)
    command = moved / "bin/resolua"
    version = (ROOT / "VERSION").read_text().strip()
    assert hidden([command, "--version"]).stdout == f"resolua {version}\n"
    zone = tmp_path / "example.test.zone"
    zone.write_text("example.test. 60 IN SOA ns hm 1 2 3 4 5\n"
                    "example.test. 60 IN NS ns\nns 60 IN A 192.0.2.1\n")
    for words in (["zone", "load", zone], ["zone", "check", zone],
                  ["doc", "dns_store"], ["store", "options"],
                  ["run", "-e", "print(require('dns').type.A)"]):
        done = hidden([command, "--data", tmp_path / "data", *words]
                      if words[0] == "zone" else [command, *words], check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    shown = hidden([command, "--data", tmp_path / "data", "zone", "list"])
    assert "example.test" in shown.stdout


def test_the_server_works_without_the_source(prefix, tmp_path):
    ports = {"dns": free_port(), "http": free_port()}
    (tmp_path / "data").mkdir()
    (tmp_path / "nginx.conf").write_text(CONF.format(
        modules=MODULES, prefix=prefix, folder=tmp_path, **ports,
        user="user root;" if os.geteuid() == 0 else ""))
    log = tmp_path / "error.log"
    started = hidden(["nginx", "-p", tmp_path, "-c", "nginx.conf",
                      "-e", "error.log"])
    assert started.returncode == 0, started.stderr
    try:
        pid = int(wait_for(lambda: (tmp_path / "nginx.pid").exists()
                           and (tmp_path / "nginx.pid").read_text().strip()))
        answer = ask(ports["dns"], "script.test", "TXT")
        assert answer.answer[0][0].to_text() == '"a.b"'
        assert ask(ports["dns"], "x.test").rcode() == dns.rcode.REFUSED
        url = f"http://127.0.0.1:{ports['http']}/dns?domain=none.test"
        found = subprocess.run(["curl", "-s", url], capture_output=True,
                               text=True, check=True)
        assert json.loads(found.stdout) == []
    finally:
        subprocess.run(["kill", "-QUIT", str(pid)], check=True)
        wait_for(lambda: not (tmp_path / "nginx.pid").exists(), 60)
    assert "[error]" not in log.read_text() and "[emerg]" not in log.read_text()
