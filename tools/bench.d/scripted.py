"""Answers that a script decides about, and what they are measured by."""

from servers import HOST, Resolua, Server

TABLE = """
    local addresses = {}
    for i = 0, 9999 do
        addresses["h" .. i .. ".bench.test"] =
            "10.0." .. math.floor(i / 256) % 256 .. "." .. i % 256
    end
    package.loaded.addresses = addresses
"""


class Hook(Resolua):
    """A Resolua whose query hook is `code`."""

    code = ""

    def stream_lines(self):
        return "init_by_lua_block { %s }" % TABLE

    def server_lines(self):
        return "dns_query_by_lua_block { local q = ... %s }" % self.code


class HookTable(Hook):
    name = "Resolua (hook: a table)"
    code = """
        local address = require("addresses")[q.name]
        if address then q:answer("A", 3600, address) end
    """


class HookClient(Hook):
    name = "Resolua (hook: by client)"
    code = """
        q:answer("A", 3600, q:client_in("127.0.0.0/8") and "10.0.0.1"
            or "10.0.0.2")
    """


class HookNothing(Hook):
    name = "Resolua (hook: nothing)"
    code = "return"


class HookSleeps(Hook):
    name = "Resolua (hook: sleeps 0)"
    code = """
        ngx.sleep(0)
        q:answer("A", 3600, "10.0.0.1")
    """


class NginxReturn(Server):
    """Stock nginx with a fixed text over UDP: what a session costs."""

    name = "nginx return (UDP)"
    program = "nginx"
    is_dns = False

    def prepare(self):
        (self.folder / "nginx.conf").write_text(f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
user root;
daemon off;
worker_processes 1;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log crit;
events {{ worker_connections 4096; multi_accept on; }}
stream {{
    server {{ listen {HOST}:{self.port} udp; return xxxxxxxxxxxxxxxxxxxx; }}
}}
""")

    def command(self):
        return ["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf",
                "-e", self.folder / "error.log"]


SCRIPTED = [HookTable, HookClient, HookNothing, HookSleeps, NginxReturn]
