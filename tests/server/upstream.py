"""A resolver for the forwarder to ask, with faults on demand."""

import socket
import threading
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from resolua_server import HOST, free_port


class Upstream:
    """Answers 192.0.2.N to every A question, over UDP and TCP.

    `faults` names what it does wrong over UDP: "silent", "wrong id",
    "wrong name", "no case", "truncated", "servfail", "nxdomain", "garbage",
    "late" (answers after `delay` seconds).  `no_edns` names how it refuses
    queries with an OPT, over UDP and TCP: "formerr", "formerr with opt",
    "header" (FORMERR and nothing else), "notimp", "badvers".  `asked` keeps
    the queries as (transport, message, source port)."""

    def __init__(self, number=1, fault=None, delay=0.0, records=1,
                 no_edns=None):
        self.number = number
        self.no_edns = no_edns
        self.fault = fault
        self.delay = delay
        self.records = records
        self.asked = []
        self.port = free_port()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((HOST, self.port))
        self.tcp = socket.create_server((HOST, self.port))
        for run in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=run, daemon=True).start()

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    def stop(self):
        self.udp.close()
        self.tcp.close()

    def count(self, transport="udp"):
        return sum(1 for asked in self.asked if asked[0] == transport)

    def _refuse_edns(self, query):
        if self.no_edns == "header":
            return (query.id.to_bytes(2, "big") + b"\x80\x01" + bytes(8))
        response = dns.message.make_response(query)
        if self.no_edns == "badvers":
            response.set_rcode(dns.rcode.BADVERS)
            return response.to_wire()
        if self.no_edns != "formerr with opt":
            response.use_edns(-1)
        response.set_rcode(dns.rcode.NOTIMP if self.no_edns == "notimp"
                           else dns.rcode.FORMERR)
        return response.to_wire()

    def _answer(self, query):
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if self.fault == "servfail":
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        if self.fault in ("badvers", "formerr", "notimp"):
            if self.fault == "badvers":
                response.use_edns(0)
            response.set_rcode(dns.rcode.from_text(self.fault.upper()))
            return response
        if self.fault == "nxdomain":
            response.set_rcode(dns.rcode.NXDOMAIN)
            return response
        question = query.question[0]
        if question.rdtype == 1:
            response.answer.append(dns.rrset.from_text(
                question.name, 60, "IN", "A",
                *(f"192.{i >> 8}.{i & 255}.{self.number}" for i in range(self.records))))
        return response

    def _serve_udp(self):
        while True:
            try:
                packet, client = self.udp.recvfrom(65535)
            except OSError:
                return
            query = dns.message.from_wire(packet)
            self.asked.append(("udp", query, client[1]))
            threading.Thread(target=self._reply_udp, args=(query, client),
                             daemon=True).start()

    def _reply_udp(self, query, client):
        time.sleep(self.delay)
        for wire in self._datagrams(query):
            try:
                self.udp.sendto(wire, client)
            except OSError:
                return

    def _datagrams(self, query):
        if self.no_edns and query.edns >= 0:
            return [self._refuse_edns(query)]
        response = self._answer(query)
        if self.fault == "silent":
            return []
        if self.fault == "garbage":
            return [b"\0" * 3, response.to_wire()[:20]]
        if self.fault == "truncated":
            response.flags |= dns.flags.TC
            response.answer.clear()
        wire = bytearray(response.to_wire(max_size=65535))
        if self.fault == "wrong id":
            wire[0] ^= 0xff
        if self.fault == "wrong name":
            wire[13] ^= 0x01
        if self.fault == "no case":
            size = len(query.question[0].name.to_wire())
            wire[12:12 + size] = bytes(wire[12:12 + size]).lower()
        return [bytes(wire)]

    def _serve_tcp(self):
        while True:
            try:
                connection, client = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection,
                             args=(connection, client), daemon=True).start()

    def _serve_connection(self, connection, client):
        with connection, connection.makefile("rwb") as stream:
            prefix = stream.read(2)
            if len(prefix) < 2:
                return
            query = dns.message.from_wire(
                stream.read(int.from_bytes(prefix, "big")))
            self.asked.append(("tcp", query, client[1]))
            wire = (self._refuse_edns(query)
                    if self.no_edns and query.edns >= 0
                    else self._answer(query).to_wire(max_size=65535))
            stream.write(len(wire).to_bytes(2, "big") + wire)
            stream.flush()
