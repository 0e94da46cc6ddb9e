"""libresolua.so through ctypes: the engine over the embedded store, without
a server between, so that a difference is the engine's own."""

import ctypes
import os

from resolua_server import BUILD

OVER_UDP, OVER_TCP = 0, 1
OK, ENOTFOUND = 0, -3
REFUSED = 5


class Record(ctypes.Structure):  # dns_record_t
    _fields_ = [("owner", ctypes.c_void_p), ("type", ctypes.c_uint16),
                ("class_", ctypes.c_uint16), ("ttl", ctypes.c_uint32),
                ("rdata_size", ctypes.c_uint16), ("rdata", ctypes.c_void_p)]


class ZonefileOptions(ctypes.Structure):  # dns_zonefile_options_t
    _fields_ = [("path", ctypes.c_char_p), ("name", ctypes.c_char_p),
                ("text", ctypes.c_char_p), ("size", ctypes.c_size_t),
                ("origin", ctypes.c_char_p), ("ttl", ctypes.c_uint32),
                ("allows_include", ctypes.c_bool)]


class AnswerOptions(ctypes.Structure):  # dns_answer_options_t
    _fields_ = [("udp_size", ctypes.c_uint16),
                ("recursion_available", ctypes.c_bool),
                ("nsid", ctypes.c_char_p), ("nsid_size", ctypes.c_uint16),
                ("edns_options_size", ctypes.c_uint16),
                ("edns_options", ctypes.c_char_p),
                ("version", ctypes.c_char_p), ("hostname", ctypes.c_char_p)]


class Engine:
    name = "resolua"

    def __init__(self, folder):
        # Below a sanitized build the run-time has to be preloaded.
        self.lib = ctypes.CDLL(os.environ.get(
            "RESOLUA_LIBRARY", str(BUILD / "lib/libresolua.so")))
        self.lib.dns_zonefile_error.restype = ctypes.c_char_p
        self.lib.dns_query_response_limit.restype = ctypes.c_size_t
        self.lib.dns_query_error.restype = ctypes.c_size_t
        self.error = ctypes.create_string_buffer(512)
        self.store = ctypes.c_void_p()
        self.reader = ctypes.c_void_p()
        self._check(self.lib.store_lmdb_open(
            ctypes.byref(self.store), str(folder).encode(), False,
            self.error))
        self._check(self.lib.store_lmdb_reader_new(
            self.store, ctypes.byref(self.reader)))
        self.options = AnswerOptions(udp_size=1232)
        self.query = ctypes.create_string_buffer(4096)  # dns_query_t
        self.answer = ctypes.create_string_buffer(1 << 17)  # dns_answer_t
        self.source = ctypes.create_string_buffer(16)  # dns_source_t
        self.out = ctypes.create_string_buffer(1 << 16)

    def _check(self, status):
        if status != OK:
            raise RuntimeError(f"{status}: {self.error.value.decode()}")

    def _name(self, text):
        wire = ctypes.create_string_buffer(255)
        self._check(self.lib.dns_name_from_text(
            wire, text.encode(), ctypes.c_size_t(len(text)), None, None))
        return wire

    def load(self, apex, text):
        """Replaces a zone by that of a master file."""
        origin = self._name(apex)
        text = text.encode()
        options = ZonefileOptions(
            text=text, size=len(text),
            origin=ctypes.cast(origin, ctypes.c_char_p))
        file, edit = ctypes.c_void_p(), ctypes.c_void_p()
        record = Record()
        self._check(self.lib.dns_zonefile_open(ctypes.byref(file),
                                               ctypes.byref(options)))
        self._check(self.lib.store_lmdb_edit_new(self.store, origin,
                                                 ctypes.byref(edit)))
        self.lib.store_lmdb_edit_replace_zone(edit)
        while True:
            status = self.lib.dns_zonefile_next(file, ctypes.byref(record))
            if status != OK:
                break
            self.lib.store_lmdb_edit_add(
                edit, ctypes.c_void_p(record.owner), record.type,
                ctypes.c_uint32(record.ttl), ctypes.c_void_p(record.rdata),
                record.rdata_size)
        if status != ENOTFOUND:
            raise RuntimeError(self.lib.dns_zonefile_error(file).decode())
        self._check(self.lib.store_lmdb_edit_commit(edit, self.error))
        self.lib.store_lmdb_edit_free(edit)
        self.lib.dns_zonefile_free(file)

    def ask(self, wire, tcp=False):
        rcode = ctypes.c_int()
        status = self.lib.dns_query_parse(
            self.query, wire, ctypes.c_size_t(len(wire)),
            OVER_TCP if tcp else OVER_UDP, ctypes.byref(rcode))
        if status != OK:
            return None if rcode.value < 0 else self._error(rcode.value)
        limit = self.lib.dns_query_response_limit(self.query,
                                                  ctypes.c_size_t(1232))
        self._check(self.lib.store_lmdb_read_begin(self.reader, self.source))
        status = self.lib.dns_answer(
            self.query, self.source, ctypes.byref(self.options), self.out,
            ctypes.c_size_t(limit), self.answer)
        self.lib.store_lmdb_read_end(self.reader)
        if status == ENOTFOUND:
            return self._error(REFUSED)
        if status != OK:
            return self._error(2)
        size = int.from_bytes(self.answer[:8], "little")
        return self.out[:size]

    def _error(self, rcode):
        size = self.lib.dns_query_error(self.query, rcode, self.out)
        return self.out[:size]

    def stop(self):
        self.lib.store_lmdb_reader_free(self.reader)
        self.lib.store_lmdb_close(self.store)
