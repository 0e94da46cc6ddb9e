"""Configurations that several server tests use."""

import subprocess

from resolua_server import BUILD, ROOT, environment

# DNS and /dns over one store.
SERVICE = """
dns_store lmdb path=@FOLDER@/data;

stream {
    server {
        listen 127.0.0.1:@DNS@ udp;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        %s
    }
}

http {
    client_max_body_size 70m;

    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block { require("dns.api").serve() } }
    }
}
"""

# A store, the cache, DNS and /dns.
STORE_CONF = """
dns_store %s;
dns_cache 4m;

stream {
    server {
        listen 127.0.0.1:@DNS@ udp;
        dns_serve on;
    }
}

http {
    server {
        listen 127.0.0.1:@HTTP@;
        location /dns { content_by_lua_block { require("dns.api").serve() } }
    }
}
"""

SAMPLE = ROOT / "conf/zones/example.test.zone"


def service(directives=""):
    return SERVICE % directives


def resolua(server, *words):
    """Runs tools/resolua on the server's store; gives its output."""
    done = subprocess.run(
        [ROOT / "tools/resolua", "--data", server.folder / "data",
         *map(str, words)],
        capture_output=True, text=True, timeout=60,
        env={**environment(), "RESOLUA_BUILD": str(BUILD)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_service(start, directives="", zones=(SAMPLE,), **options):
    """A running server of that configuration with zones loaded."""
    server = start(service(directives), run=False, **options)
    for zone in zones:
        resolua(server, "zone", "load", zone)
    return server.start()
