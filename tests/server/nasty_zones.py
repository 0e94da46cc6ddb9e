"""Small zones with everything in them that name servers get wrong, made from
a seed: nested zones, wildcards beside and above names, empty non-terminals,
delegations with and without glue, CNAME and DNAME chains, loops and dangling
ends."""

import random

LABELS = ["a", "b", "c", "WWW", "*", "_tcp", "mail", r"\000", r"a\.b", r"\255"]
CHILD = "kid"


class Zone:
    def __init__(self, rng, apex, others):
        self.rng = rng
        self.apex = apex
        self.others = others  # apexes of all zones
        self.records = {}     # owner relative to the apex -> [(type, rdata)]
        self.closed = set()   # names with a CNAME or DNAME
        self._fill()

    def absolute(self, relative):
        return f"{relative}.{self.apex}" if relative else self.apex

    def add(self, owner, kind, rdata):
        entry = (kind, rdata)
        records = self.records.setdefault(owner, [])
        if entry not in records:
            records.append(entry)

    def _owner(self, depth=None):
        depth = depth or self.rng.choice([1, 1, 1, 2, 2, 3, 4])
        return ".".join(self.rng.choice(LABELS) for _ in range(depth))

    def _is_below(self, owner, tops):
        return any(owner.endswith("." + top) for top in tops)

    def _target(self):
        choice = self.rng.random()
        if choice < 0.6:
            return self.absolute(self.rng.choice(
                [self._owner(), *self.records, self._owner()]))
        if choice < 0.8:
            return f"{self._owner()}.{self.rng.choice(self.others)}"
        if choice < 0.9:
            return f"{self._owner()}.outside.invalid."
        return self.absolute("")

    def _address(self):
        return f"192.0.2.{self.rng.randrange(1, 255)}"

    def _address6(self):
        return f"2001:db8::{self.rng.randrange(1, 0xffff):x}"

    def _data(self, owner):
        kind = self.rng.choice(
            ["A", "A", "A", "AAAA", "TXT", "MX", "SRV", "CAA", "PTR",
             "NAPTR", "TYPE65280", "HINFO"])
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            self.add(owner, kind, {
                "A": self._address, "AAAA": self._address6,
                "TXT": lambda: f'"text {self.rng.randrange(9)}"',
                "MX": lambda: f"{self.rng.randrange(50)} {self._target()}",
                "SRV": lambda: f"0 {self.rng.randrange(9)} 53 "
                               f"{self._target()}",
                "CAA": lambda: f'0 issue "ca{self.rng.randrange(9)}.test"',
                "PTR": self._target,
                "NAPTR": lambda: '10 10 "S" "SIP+D2U" "" ' + self._target(),
                "TYPE65280": lambda: r"\# 2 0102",
                "HINFO": lambda: '"cpu" "os"',
            }[kind]())

    def _delegate(self, owner, served=False):
        hosts = [f"ns.{owner}", f"ns1.{self._owner(1).replace('*', 'q')}",
                 None]
        for host in self.rng.sample(hosts, self.rng.choice([1, 2, 3])):
            if host is None:
                self.add(owner, "NS", "ns.outside.invalid.")
                continue
            self.add(owner, "NS", self.absolute(host))
            if self.rng.random() < 0.8 and not self._is_closed(host):
                self.add(host, "A", self._address())
                if self.rng.random() < 0.5:
                    self.add(host, "AAAA", self._address6())
        if self.rng.random() < 0.4:
            self.add(owner, "DS", "12345 13 2 " + "ab" * 32)
        if self.rng.random() < 0.5 and not served:
            self.add(f"below.{owner}", "A", self._address())

    def _is_closed(self, owner):
        return owner in self.closed or self._is_below(owner, self.dnames)

    def _fill(self):
        rng = self.rng
        self.dnames = set()
        self.add("", "SOA", f"ns.{self.apex} host.{self.apex} 1 7200 900 "
                            f"86400 {rng.choice([60, 300, 7200])}")
        self.add("", "NS", f"ns.{self.apex}")
        self.add("ns", "A", self._address())
        for _ in range(2):
            self._data("")
        for _ in range(rng.randrange(5, 25)):
            self._data(self._owner())
        self._delegations()
        self._aliases()
        self._redirections()

    def _delegations(self):
        for other in self.others:
            if other != self.apex and other.endswith("." + self.apex):
                relative = other[:-len(self.apex) - 1]
                if self.rng.random() < 0.8:
                    self._delegate(relative, served=True)
        for _ in range(self.rng.randrange(0, 3)):
            owner = self._owner(self.rng.choice([1, 2])) .replace("*", "cut")
            if owner not in self.records:
                self._delegate(owner)

    def _aliases(self):
        for _ in range(self.rng.randrange(2, 10)):
            owner = self._owner()
            if owner in self.records:
                continue
            self.closed.add(owner)
            self.add(owner, "CNAME", self._target())
        if self.rng.random() < 0.5 and "l1" not in self.records:
            for i in range(3):  # a loop
                self.add(f"l{i}", "CNAME", self.absolute(f"l{(i + 1) % 3}"))

    def _redirections(self):
        for _ in range(self.rng.randrange(0, 3)):
            owner = self._owner(self.rng.choice([1, 2])).replace("*", "dn")
            if owner in self.records or any(
                    name.endswith("." + owner) for name in self.records):
                continue
            if self._is_below(owner, self.dnames):
                continue
            self.dnames.add(owner)
            self.add(owner, "DNAME", self._target())
            if self.rng.random() < 0.5:
                self._data(owner)

    def text(self):
        lines = [f"$ORIGIN {self.apex}"]
        for owner, records in self.records.items():
            ttls = {}
            for kind, rdata in records:
                ttl = ttls.setdefault(kind, self.rng.choice([60, 300, 3600]))
                lines.append(f"{owner or '@'} {ttl} IN {kind} {rdata}")
        return "\n".join(lines) + "\n"


def make_zones(seed):
    """apex -> Zone: five zones, one below another, one two labels below."""
    rng = random.Random(seed)
    tops = [f"z{seed}one.test.", f"z{seed}two.test."]
    apexes = tops + [f"{CHILD}.{tops[0]}", f"deep.er.{tops[0]}",
                     f"{CHILD}.{CHILD}.{tops[0]}"]
    return {apex: Zone(rng, apex, apexes) for apex in apexes}


def names_to_ask(zones, rng):
    """Every owner, its parents, children, siblings, wildcards."""
    names = set()
    for apex, zone in zones.items():
        for owner in zone.records:
            full = zone.absolute(owner)
            names.add(full)
            names.add(f"child.{full}")
            names.add(f"*.{full}")
            names.add(f"x.y.{full}")
            labels = full.split(".")
            names.add(".".join(["sibling", *labels[1:]]))
            names.add(".".join(["*", *labels[1:]]))
            for i in range(1, len(labels) - 2):
                names.add(".".join(labels[i:]))
    names.add("nowhere.invalid.")
    names.add(".")
    names = sorted(names)
    rng.shuffle(names)
    return names
