"""Certificates for tests, and clients that speak TLS."""

import contextlib
import os
import socket
import ssl
import subprocess

from resolua_server import HOST


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], check=True,
                          capture_output=True, timeout=30, **options)


class Authority:
    """A certificate authority in a folder; issue(name) makes NAME.pem,
    NAME.key and NAME-chain.pem."""

    def __init__(self, folder):
        self.folder = folder
        for path in (folder, folder.parent):
            path.chmod(0o755)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                folder / "ca.key", "-out", folder / "ca.pem", "-days", "2",
                "-subj", "/CN=Test CA")
        self.serial = 0

    def path(self, name):
        return self.folder / name

    def text(self, name):
        return self.path(name).read_text()

    def issue(self, name, ocsp="http://127.0.0.1:1/ocsp",
              usage="serverAuth,clientAuth"):
        folder = self.folder
        extensions = folder / f"{name}.ext"
        extensions.write_text(
            f"subjectAltName=DNS:{name}\nauthorityInfoAccess=OCSP;URI:{ocsp}"
            f"\nextendedKeyUsage={usage}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", folder / f"{name}.key", "-out",
                folder / f"{name}.csr", "-subj", f"/CN={name}")
        self.serial += 1
        openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA",
                folder / "ca.pem", "-CAkey", folder / "ca.key",
                "-set_serial", 1000 + self.serial, "-days", "2", "-extfile",
                extensions, "-out", folder / f"{name}.pem")
        (folder / f"{name}-chain.pem").write_text(
            self.text(f"{name}.pem") + self.text("ca.pem"))
        for key in folder.glob("*.key"):
            os.chmod(key, 0o644)
        return name


def common_name(certificate):
    return dict(pair[0] for pair in certificate["subject"])["commonName"]


@contextlib.contextmanager
def connect(server, authority, name="one.test", port="TLS", session=None,
            versions=None, client=None):
    """A TLS connection that trusts the authority."""
    context = ssl.create_default_context(cafile=authority.path("ca.pem"))
    if versions:
        context.minimum_version, context.maximum_version = versions
    if client:
        context.load_cert_chain(authority.path(f"{client}.pem"),
                                authority.path(f"{client}.key"))
    if name is None:
        context.check_hostname = False
    context = getattr(session, "context", context)
    with socket.create_connection((HOST, server.port(port)), 10) as plain:
        with context.wrap_socket(plain, server_hostname=name,
                                 session=session) as secure:
            yield secure


def get(secure, path="/", host="one.test"):
    """One HTTP exchange; the body."""
    secure.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
    data = b""
    while True:
        piece = secure.recv(65536)
        if not piece:
            return data.split(b"\r\n\r\n", 1)[1].decode()
        data += piece
