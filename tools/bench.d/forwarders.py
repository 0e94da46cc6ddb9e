"""Servers that forward to an upstream and keep its answers."""

from servers import HOST, Nsd, Resolua, Server


class Forwarding:
    """Mixed into a server: its upstream is an NSD on the load's core."""

    @classmethod
    def make_upstream(cls, root, build, folder, zone, port):
        return Nsd(root, build, folder, zone, port)


class ResoluaForward(Forwarding, Resolua):
    name = "Resolua (forward, cache)"
    main = "dns_cache 64m;"

    def server_lines(self):
        return f"dns_forward {HOST}:{self.upstream_port};"

    def load_zone(self):
        pass


class Dnsdist(Forwarding, Server):
    name = "dnsdist (packet cache)"
    program = "dnsdist"

    def prepare(self):
        (self.folder / "dnsdist.conf").write_text(f"""
setLocal("{HOST}:{self.port}")
newServer({{address="{HOST}:{self.upstream_port}", healthCheckInterval=3600}})
cache = newPacketCache(100000, {{maxTTL=86400}})
getPool(""):setCache(cache)
setACL("127.0.0.0/8")
""")

    def command(self):
        return ["dnsdist", "--supervised", "--disable-syslog", "-C",
                self.folder / "dnsdist.conf"]


class Unbound(Forwarding, Server):
    name = "unbound (cache)"
    program = "unbound"

    def prepare(self):
        (self.folder / "unbound.conf").write_text(f"""
server:
    interface: {HOST}@{self.port}
    username: ""
    chroot: ""
    directory: "{self.folder}"
    pidfile: "{self.folder}/unbound.pid"
    use-syslog: no
    num-threads: 1
    do-not-query-localhost: no
    local-zone: "test." nodefault
    module-config: "iterator"
    rrset-cache-size: 64m
    msg-cache-size: 64m
    access-control: 127.0.0.0/8 allow_snoop
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: {HOST}@{self.upstream_port}
""")

    def command(self):
        return ["/usr/sbin/unbound", "-d", "-p", "-c",
                self.folder / "unbound.conf"]


class Dnsmasq(Forwarding, Server):
    name = "dnsmasq (cache)"
    program = "dnsmasq"

    def command(self):
        return ["/usr/sbin/dnsmasq", "--keep-in-foreground", "--no-resolv",
                "--no-hosts", "--conf-file=/dev/null", "--user=", "--group=",
                "--bind-interfaces", f"--listen-address={HOST}",
                f"--port={self.port}", "--cache-size=20000",
                "--pid-file=", "--dns-forward-max=2000",
                f"--server={HOST}#{self.upstream_port}"]


FORWARDERS = [ResoluaForward, Dnsdist, Unbound, Dnsmasq]
