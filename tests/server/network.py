"""A network of a test's own: one interface that no host answers behind, whose
frames the test writes."""

import ctypes
import fcntl
import os
import socket
import struct
import threading

CLONE_NEWNET = 0x40000000
IFF_UP, IFF_TAP, IFF_NO_PI = 1, 2, 0x1000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
SIOCGIFHWADDR, TUNSETIFF = 0x8927, 0x400454CA

CAN_MAKE_NETWORKS = os.geteuid() == 0 and os.access("/dev/net/tun", os.W_OK)


def in_own_network(function, *arguments):
    """Calls function in a thread that has a network apart, as have the
    programs that it starts.  Only root may make one."""
    outcome = []

    def run():
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "unshare()")
            function(*arguments)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if outcome:
        raise outcome[0]


def checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def set_up(name, address=None, mask=None):
    """Gives an interface its address and switches it on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for request, value in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, mask)):
            if value is not None:
                fcntl.ioctl(s, request, struct.pack(
                    "16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(value)))
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH22x", name, IFF_UP))
        return fcntl.ioctl(s, SIOCGIFHWADDR, struct.pack("16s24x", name))[18:24]


class Ethernet:
    """Of 10.9.0.1/16: datagrams come in from anybody, and nothing that goes out
    is ever answered, ARP neither."""

    ADDRESS = "10.9.0.1"

    def __init__(self):
        set_up(b"lo")
        self.tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH22x", b"t0", IFF_TAP | IFF_NO_PI))
        self.mac = set_up(b"t0", self.ADDRESS, "255.255.0.0")

    def send(self, source, port, octets):
        """source: (address, port)."""
        ends = socket.inet_aton(source[0]) + socket.inet_aton(self.ADDRESS)
        head = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(octets), 0, 0, 64, 17, 0)
        head = head[:10] + struct.pack("!H", checksum(head + ends)) + ends
        os.write(self.tap, self.mac + b"\2\0\0\0\0\1\x08\0" + head
                 + struct.pack("!HHHH", source[1], port, 8 + len(octets), 0) + octets)

    def close(self):
        os.close(self.tap)
