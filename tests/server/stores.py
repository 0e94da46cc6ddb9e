"""Zones in MariaDB and Redis, written as other programs write them.

    zones = MySqlZones(MariaDb(folder))
    zones.make("a.test", [("www", "A", 60, "192.0.2.1")])
    zones.set("a.test", "www", "A", 60, "192.0.2.2")     # no serial raised
    zones.raise_serial("a.test")
    conf = f"dns_store {zones.url()};"
"""

import json
import subprocess
import time

import dns.edns
import dns.rcode

from databases import MariaDb, Redis
from resolua_server import BUILD, HOST, ROOT, environment, wait_for

SOA = "ns1.{zone}. hostmaster.{zone}. {serial} 3600 600 86400 60"


def owner_name(zone, owner):
    return zone if owner == "@" else f"{owner}.{zone}"


class MySqlZones:
    """PowerDNS's layout."""

    kind = "mysql"

    def __init__(self, database):
        self.db = database
        self.serials = {}

    def url(self, port=None, account="resolua:secret", name="dns"):
        return f"mysql://{account}@{HOST}:{port or self.db.port}/{name}"

    @property
    def port(self):
        return self.db.port

    @staticmethod
    def _row(zone, owner, rtype, ttl, text):
        prio = "NULL"
        if rtype in ("MX", "SRV"):
            prio, text = text.split(" ", 1)
        if rtype in ("CNAME", "NS", "MX", "SRV"):
            text = text.removesuffix(".")
        return (f"((SELECT id FROM domains WHERE name='{zone}'),"
                f"'{owner_name(zone, owner)}','{rtype}',{ttl},{prio},"
                f"'{text}')")

    def insert(self, zone, records):
        return ("INSERT INTO records (domain_id,name,type,ttl,prio,content)"
                " VALUES " + ",".join(self._row(zone, *r) for r in records)
                + ";")

    def make(self, zone, records=(), serial=1):
        """The zone with SOA and NS, in one transaction."""
        self.serials[zone] = serial
        soa = SOA.format(zone=zone, serial=serial)
        self.db.run(
            f"BEGIN; INSERT INTO domains (name,type) VALUES ('{zone}','NATIVE');"
            + self.insert(zone, [("@", "SOA", 60, soa),
                                  ("@", "NS", 60, f"ns1.{zone}."), *records])
            + "COMMIT;")

    def set(self, zone, owner, rtype, ttl, *texts):
        name = owner_name(zone, owner)
        self.db.run(
            f"BEGIN; DELETE FROM records WHERE name='{name}' AND type='{rtype}';"
            + (self.insert(zone, [(owner, rtype, ttl, t) for t in texts])
               if texts else "") + "COMMIT;")

    def set_raw(self, zone, owner, rtype, text):
        """A row as it is; text: a bad one."""
        self.db.run(self.insert(zone, [(owner, rtype, 60, text)]))

    def raise_serial(self, zone):
        self.serials[zone] += 1
        self.set(zone, "@", "SOA", 60,
                 SOA.format(zone=zone, serial=self.serials[zone]))

    def drop(self, zone):
        self.db.run(
            f"BEGIN; DELETE r FROM records r JOIN domains d ON d.id=r.domain_id"
            f" WHERE d.name='{zone}'; DELETE FROM domains WHERE name='{zone}';"
            "COMMIT;")

    def fill(self, zone, owner, count):
        """That many names below the owner, each with an address."""
        self.db.run(
            "INSERT INTO records (domain_id,name,type,ttl,content) SELECT id,"
            f" CONCAT('n',seq,'.{owner_name(zone, owner)}'),'A',60,'192.0.2.1'"
            f" FROM domains, seq_1_to_{count} WHERE domains.name='{zone}'")

    def clear(self):
        self.db.run("DELETE FROM records; DELETE FROM domains;")

    def kill_connections(self):
        """Ends the server's connections from within the database."""
        for line in self.db.run("SHOW PROCESSLIST").splitlines():
            number, user = line.split("\t")[:2]
            if user == "resolua":
                self.db.client(None, f"KILL {number}")

    def connections(self):
        return sum(line.split("\t")[1] == "resolua"
                   for line in self.db.run("SHOW PROCESSLIST").splitlines())


class RedisZones:
    """The CoreDNS plugin's layout; a field's sets are written as "rr"."""

    kind = "redis"

    def __init__(self, database):
        self.db = database
        self.serials = {}

    def url(self, port=None, account=":secret", name="3"):
        return f"redis://{account}@{HOST}:{port or self.db.port}/{name}"

    @property
    def port(self):
        return self.db.port

    @staticmethod
    def _soa(zone, serial):
        return {"ttl": 60, "ns": f"ns1.{zone}.", "mbox": f"hostmaster.{zone}.",
                "serial": serial, "refresh": 3600, "retry": 600,
                "expire": 86400, "minttl": 60}

    def make(self, zone, records=(), serial=1):
        self.serials[zone] = serial
        fields = {"@": {"soa": self._soa(zone, serial),
                        "ns": [{"ttl": 60, "host": f"ns1.{zone}."}]}}
        for owner, rtype, ttl, text in records:
            fields.setdefault(owner, {}).setdefault("rr", []).append(
                {"type": rtype, "ttl": ttl, "data": text})
        self.db.run("HSET", f"{zone}.",
                    *(word for owner, value in fields.items()
                      for word in (owner, json.dumps(value))))

    def _change(self, zone, owner, change):
        field = json.loads(self.db.run("HGET", f"{zone}.", owner) or "{}")
        change(field)
        if field:
            self.db.run("HSET", f"{zone}.", owner, json.dumps(field))
        else:
            self.db.run("HDEL", f"{zone}.", owner)

    def set(self, zone, owner, rtype, ttl, *texts):
        def change(field):
            field.pop(rtype.lower(), None)
            field["rr"] = [r for r in field.get("rr", []) if r["type"] != rtype]
            field["rr"] += [{"type": rtype, "ttl": ttl, "data": text}
                            for text in texts]
            if not field["rr"]:
                del field["rr"]

        self._change(zone, owner, change)

    def set_raw(self, zone, owner, rtype, text):
        def change(field):
            field.setdefault("rr", []).append(
                {"type": rtype, "ttl": 60, "data": text})

        self._change(zone, owner, change)

    def raise_serial(self, zone):
        self.serials[zone] += 1
        self._change(zone, "@", lambda field: field.update(
            soa=self._soa(zone, self.serials[zone])))

    def drop(self, zone):
        self.db.run("DEL", f"{zone}.")

    def fill(self, zone, owner, count):
        self.db.run(
            "EVAL", f"for i = 1, {count} do redis.call('HSET', KEYS[1],"
            f" 'n' .. i .. '.{owner}', '{{\"a\":[{{\"ip\":\"192.0.2.1\"}}]}}')"
            " end", "1", f"{zone}.")

    def clear(self):
        self.db.run("FLUSHDB")

    def kill_connections(self):
        self.db.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def connections(self):
        return sum("cmd=client" not in line
                   for line in self.db.run("CLIENT", "LIST").splitlines())


def open_zones(kind, folder):
    """Of a database server of its own; stop it by .db.stop()."""
    if kind == "redis":
        return RedisZones(Redis(folder))
    database = MariaDb(folder)
    database.run_file("sql/mysql/schema.sql")
    return MySqlZones(database)


# What answers are.

def texts(response):
    """The answer section's records as sorted texts without owner and TTL."""
    return sorted(str(rdata) for rrset in response.answer for rdata in rrset)


def ede(response):
    """The codes of extended errors."""
    return [int(o.code) for o in response.options
            if isinstance(o, dns.edns.EDEOption)]


def is_failure(response):
    """SERVFAIL because the store cannot be asked."""
    return response.rcode() == dns.rcode.SERVFAIL and (
        response.edns < 0 or ede(response)[0] in (22, 23))


def wait_for_answer(server, name, qtype, expected, seconds=10.0, **options):
    """Asks until these texts come; gives how long it took."""
    began = time.monotonic()
    wait_for(lambda: texts(server.query(name, qtype, **options))
             == sorted(expected), seconds, f"{name} {qtype} {expected}")
    return time.monotonic() - began


def resolua_store(url, *words, check=True):
    """tools/resolua --store URL ...; gives its output."""
    done = subprocess.run(
        [ROOT / "tools/resolua", "--store", url, *map(str, words)],
        capture_output=True, text=True, timeout=60,
        env={**environment(), "RESOLUA_BUILD": str(BUILD)})
    assert not check or done.returncode == 0, done.stderr
    return done.stdout if check else done
