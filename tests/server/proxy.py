"""A TCP proxy with faults, before a database server.

    proxy = Proxy(port)
    ... the client connects to proxy.port ...
    proxy.mode = "hole"
    proxy.cut()          # ends the connections that are there

`mode`, at any time, for what moves from then on:

    pass      as it is
    delay     each piece of a reply waits `delay` seconds
    half      of the next reply only the first `size` octets, then the end
    garbage   random octets in the place of replies
    hole      nothing comes back, and connections stay open
    refuse    nobody listens (connections that are there stay as they are)

The next `skip` pieces of replies pass first; with `after`, all replies pass up
to a request that contains these octets.
"""

import os
import socket
import struct
import threading
import time

from resolua_server import HOST, free_port, readable

PIECE = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no farewell


class Proxy:
    def __init__(self, target, mode="pass"):
        self.target = target
        self.port = free_port()
        self.delay = 0.0
        self.size = 10
        self.skip = 0
        self.after = None
        self.accepted = 0
        self.pairs = set()
        self.lock = threading.Lock()
        self.listener = None
        self._mode = None
        self.mode = mode

    @property
    def mode(self):
        return self._mode

    @mode.setter
    def mode(self, mode):
        assert mode in ("pass", "delay", "half", "garbage", "hole", "refuse")
        self._mode = mode
        if mode == "refuse":
            self._unlisten()
        elif self.listener is None:
            self._listen()

    def _listen(self):
        self.listener = socket.create_server((HOST, self.port), backlog=512)
        threading.Thread(target=self._accept, args=(self.listener,),
                         daemon=True).start()

    def _unlisten(self):
        if self.listener is not None:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                server = socket.create_connection((HOST, self.target), 5)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            with self.lock:
                self.pairs.add(pair)
            threading.Thread(target=self._move, args=(pair,),
                             daemon=True).start()

    def _move(self, pair):
        client, server = pair
        try:
            while True:
                for end in readable(pair):
                    octets = end.recv(PIECE)
                    if not octets:
                        return
                    if end is client:
                        self._request(octets)
                        server.sendall(octets)
                    elif not self._reply(client, octets):
                        return
        except (OSError, ValueError):
            pass
        finally:
            self._end(pair)

    def _request(self, octets):
        if self.after is not None and self.after in octets:
            self.after = None

    def _reply(self, client, octets):
        """Moves a piece of a reply; False: the connection ends."""
        mode = self._mode if self.after is None else "pass"
        if self.skip > 0 and mode != "pass":
            self.skip -= 1
            mode = "pass"
        if mode == "half":
            client.sendall(octets[:self.size])
            return False
        if mode == "delay":
            time.sleep(self.delay)
        if mode == "garbage":
            octets = os.urandom(len(octets))
        if mode != "hole":
            client.sendall(octets)
        return True

    def _end(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for end in pair:
            end.close()

    def cut(self):
        """Resets all connections, but for the listening one."""
        with self.lock:
            pairs = list(self.pairs)
        for client, server in pairs:
            try:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.shutdown(socket.SHUT_RDWR)
                server.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self._unlisten()
        self.cut()
