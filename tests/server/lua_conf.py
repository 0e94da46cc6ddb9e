"""Lua over HTTP, and peers for its sockets to talk to."""

import contextlib
import socket
import threading

from resolua_server import HOST


def http_lua(code, location="", server="", http="", main=""):
    """A configuration whose location /t runs code."""
    return ("%s http { %s server { listen 127.0.0.1:@HTTP@; %s "
            "location /t { %s content_by_lua_block { %s } } } }"
            % (main, http, server, location, code))


class Peer:
    """A TCP or Unix server: serve(connection) runs for each client."""

    def __init__(self, serve, path=None):
        self.count = 0
        self.errors = []
        self.serve = serve
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            path.chmod(0o666)
        else:
            self.listener = socket.socket()
            self.listener.bind((HOST, 0))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(64)
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            self.connections.append(connection)
            threading.Thread(target=self._run, args=(connection,),
                             daemon=True).start()

    def _run(self, connection):
        # close() may have come between two calls: ValueError of poll().
        with contextlib.suppress(OSError, ValueError), connection:
            connection.settimeout(10)
            self.serve(connection)

    def close(self):
        # A thread in accept() holds the socket: shutdown() wakes it.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()


def echo(connection):
    while True:
        data = connection.recv(65536)
        if not data:
            return
        connection.sendall(data)


def sends(*pieces):
    """A server that sends these and ends."""
    def serve(connection):
        for piece in pieces:
            connection.sendall(piece)
    return serve
