"""The structures of dns/zonefile.h for ctypes."""

import ctypes


class Record(ctypes.Structure):  # dns_record_t
    _fields_ = [("owner", ctypes.c_void_p), ("type", ctypes.c_uint16),
                ("class_", ctypes.c_uint16), ("ttl", ctypes.c_uint32),
                ("rdata_size", ctypes.c_uint16), ("rdata", ctypes.c_void_p)]


class ZonefileOptions(ctypes.Structure):  # dns_zonefile_options_t
    _fields_ = [("path", ctypes.c_char_p), ("name", ctypes.c_char_p),
                ("text", ctypes.c_char_p), ("size", ctypes.c_size_t),
                ("origin", ctypes.c_char_p), ("ttl", ctypes.c_uint32),
                ("allows_include", ctypes.c_bool),
                ("include_folder", ctypes.c_char_p)]
