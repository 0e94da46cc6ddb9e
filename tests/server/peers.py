"""NSD, Knot and BIND on loopback, serving master files: what other name
servers answer is the measure of our own answers.

    peers = start_peers(folder, {"example.test.": "text of the zone"})
    wire = peers[0].ask(query_wire, tcp=False)
"""

import os
import socket
import struct

import dns.message
import dns.rcode

from resolua_server import HOST, Failed, Program, accepts_tcp, free_port


class Peer:
    """A server, and the sockets that ask it."""

    def __init__(self, name, port, program=None):
        self.name = name
        self.port = port
        self.program = program
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.settimeout(0.5)
        self.udp.connect((HOST, port))
        self.tcp = None

    def ask(self, wire, tcp=False):
        return self._ask_tcp(wire) if tcp else self._ask_udp(wire)

    def _ask_udp(self, wire):
        self.udp.send(wire)
        while True:
            try:
                answer = self.udp.recv(65535)
            except TimeoutError:
                return None
            if answer[:2] == wire[:2]:
                return answer

    def _ask_tcp(self, wire):
        for _ in range(2):  # the server may have closed an idle connection
            try:
                return self._exchange(wire)
            except OSError:
                self.tcp = None
        return None

    def _exchange(self, wire):
        if self.tcp is None:
            self.tcp = socket.create_connection((HOST, self.port), 1)
        self.tcp.sendall(struct.pack("!H", len(wire)) + wire)
        size, = struct.unpack("!H", self._read(2))
        return self._read(size)

    def _read(self, size):
        octets = b""
        while len(octets) < size:
            more = self.tcp.recv(size - len(octets))
            if not more:
                raise ConnectionError("closed")
            octets += more
        return octets

    def stop(self):
        self.udp.close()
        if self.tcp is not None:
            self.tcp.close()
        if self.program is not None:
            self.program.stop()


def _file(zone):
    return (zone.rstrip(".") or "root") + ".zone"


def _start(name, folder, command, conf_name, conf):
    port = free_port()
    (folder / conf_name).write_text(conf.replace("@PORT@", str(port)))
    program = Program(command, folder, lambda: accepts_tcp(port))
    return Peer(name, port, program)


def start_nsd(folder, zones):
    user = "root" if os.geteuid() == 0 else ""
    conf = f"""
server:
  ip-address: {HOST}@@PORT@
  username: "{user}"
  chroot: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  database: ""
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  hide-version: yes
  server-count: 1
  rrl-ratelimit: 0
  tcp-query-count: 0
remote-control:
  control-enable: no
"""
    for zone in zones:
        conf += f'zone:\n  name: "{zone}"\n  zonefile: "{_file(zone)}"\n'
    return _start("nsd", folder, ["nsd", "-d", "-c", folder / "nsd.conf"],
                  "nsd.conf", conf)


def start_knot(folder, zones):
    conf = f"""
server:
  listen: {HOST}@@PORT@
  rundir: "{folder}"
  background-workers: 1
  udp-workers: 1
  tcp-workers: 1
log:
  - target: stderr
    any: warning
database:
  storage: "{folder}/database"
template:
  - id: default
    storage: "{folder}"
    journal-content: none
    zonefile-load: whole
    semantic-checks: off
zone:
"""
    for zone in zones:
        conf += f'  - domain: "{zone}"\n    file: "{_file(zone)}"\n'
    return _start("knot", folder, ["knotd", "-c", folder / "knot.conf"],
                  "knot.conf", conf)


def start_bind(folder, zones, transfers="none"):
    """transfers: who may have a zone as a whole."""
    conf = f"""
options {{
  directory "{folder}";
  listen-on port @PORT@ {{ {HOST}; }};
  listen-on-v6 {{ none; }};
  pid-file "{folder}/named.pid";
  session-keyfile "{folder}/session.key";
  recursion no;
  allow-transfer {{ {transfers}; }};
  notify no;
  dnssec-validation no;
  empty-zones-enable no;
  version none;
  edns-udp-size 1232;
  max-udp-size 1232;
}};
controls {{ }};
"""
    for zone in zones:
        conf += (f'zone "{zone}" {{ type primary; file "{_file(zone)}"; '
                 "check-names ignore; check-integrity no; "
                 "check-sibling no; check-wildcard no; };\n")
    return _start("bind", folder,
                  ["named", "-g", "-n", "1", "-c", folder / "named.conf"],
                  "named.conf", conf)


def start_peers(folder, zones):
    """zones: apex to text.  Gives the three, or fewer where one is not
    installed."""
    peers = []
    for name, start in (("nsd", start_nsd), ("knot", start_knot),
                        ("bind", start_bind)):
        own = folder / name
        own.mkdir(parents=True)
        for zone, text in zones.items():
            (own / _file(zone)).write_text(text)
        peers.append(start(own, zones))
        check_serves(peers[-1], zones)
    return peers


def check_serves(peer, zones):
    """A zone that a peer refuses would hide every difference in it."""
    missing = []
    for zone in zones:
        wire = dns.message.make_query(zone, "SOA").to_wire()
        answer = dns.message.from_wire(peer.ask(wire, True))
        if answer.rcode() != dns.rcode.NOERROR:
            missing.append(zone)
    if missing:
        log = (peer.program.folder / "output.log").read_text()
        raise Failed(f"{peer.name} does not serve {missing}:\n{log[-3000:]}")
