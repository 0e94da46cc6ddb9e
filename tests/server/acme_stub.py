"""An ACME server (RFC 8555) of one order: it verifies the dns-01 challenge for
real, by asking a name server, and signs what it is asked to sign.

    with AcmeStub(check) as acme:      # check(name) gives the TXT texts
        lego --server acme.url ...
    acme.verified                      # the names that passed
"""

import base64
import datetime
import hashlib
import http.server
import json
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def unpad(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pad(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def token(number):
    """That of an authorization: each has its own."""
    return pad(hashlib.sha256(b"token %d" % number).digest())


def thumbprint(jwk):
    """RFC 7638 of an EC or RSA key."""
    members = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
    text = json.dumps({m: jwk[m] for m in members[jwk["kty"]]},
                      separators=(",", ":"), sort_keys=True)
    return pad(hashlib.sha256(text.encode()).digest())


def sign(csr_der):
    """A certificate for a request, and that of its authority, as PEM."""
    csr = x509.load_der_x509_csr(csr_der)
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(
        x509.NameOID.COMMON_NAME, "Stub CA")])
    names = csr.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value
    now = datetime.datetime(2024, 1, 1)

    def build(subject, public_key):
        return (x509.CertificateBuilder().subject_name(subject)
                .issuer_name(authority).public_key(public_key)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now)
                .not_valid_after(now + datetime.timedelta(days=36500)))

    leaf = build(csr.subject, csr.public_key()).add_extension(
        names, critical=False).sign(key, hashes.SHA256())
    root = build(authority, key.public_key()).sign(key, hashes.SHA256())
    return b"".join(c.public_bytes(serialization.Encoding.PEM)
                    for c in (leaf, root))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    @property
    def stub(self):
        return self.server.stub

    def answer(self, status, value=None, body=b"", **headers):
        if value is not None:
            body = json.dumps(value).encode()
            headers.setdefault("Content_Type", "application/json")
        self.send_response(status)
        self.send_header("Replay-Nonce", pad(hashlib.sha256(
            str(self.stub.next_number()).encode()).digest()))
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.answer(200)

    def do_GET(self):
        url = self.stub.base
        if self.path != "/directory":
            return self.answer(204)
        return self.answer(200, {
            "newNonce": url + "/nonce", "newAccount": url + "/account",
            "newOrder": url + "/order", "revokeCert": url + "/revoke",
            "keyChange": url + "/key", "meta": {}})

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        message = json.loads(self.rfile.read(size))
        protected = json.loads(unpad(message["protected"]))
        payload = unpad(message["payload"])
        value = json.loads(payload) if payload else {}
        getattr(self, "post_" + self.path[1:].split("/")[0])(protected, value)

    def post_account(self, protected, _):
        self.stub.thumbprint = thumbprint(protected["jwk"])
        self.answer(201, {"status": "valid"},
                    Location=self.stub.base + "/account/1")

    def post_order(self, _, value):
        if value:
            self.stub.identifiers = value["identifiers"]
        self.answer(201 if value else 200, self.stub.order(),
                    Location=self.stub.base + "/order/1")

    def post_authorization(self, _, value):
        number = int(self.path.rsplit("/", 1)[1])
        if value.get("status") == "deactivated":
            return self.answer(200, {"status": "deactivated"})
        return self.answer(200, self.stub.authorization(number))

    def post_challenge(self, _, __):
        number = int(self.path.rsplit("/", 1)[1])
        self.stub.verify(number)
        self.answer(200, self.stub.challenge(number),
                    Link=f'<{self.stub.base}/authorization/{number}>;rel="up"')

    def post_finalize(self, _, value):
        self.stub.certificate = sign(unpad(value["csr"]))
        self.answer(200, self.stub.order(),
                    Location=self.stub.base + "/order/1")

    def post_certificate(self, _, __):
        self.answer(200, body=self.stub.certificate,
                    Content_Type="application/pem-certificate-chain")


class AcmeStub:
    def __init__(self, check):
        self.check = check
        self.verified = []
        self.seen = []
        self.identifiers = []
        self.certificate = None
        self.thumbprint = None
        self.number = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.server.stub = self
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.url = self.base + "/directory"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def next_number(self):
        self.number += 1
        return self.number

    def order(self):
        names = [i["value"] for i in self.identifiers]
        status = "ready" if set(names) <= set(self.verified) else "pending"
        out = {"status": "valid" if self.certificate else status,
               "identifiers": self.identifiers,
               "authorizations": [f"{self.base}/authorization/{i}"
                                  for i in range(len(names))],
               "finalize": self.base + "/finalize"}
        if self.certificate:
            out["certificate"] = self.base + "/certificate"
        return out

    def status(self, number):
        name = self.identifiers[number]["value"]
        return "valid" if name in self.verified else "pending"

    def challenge(self, number):
        return {"type": "dns-01", "token": token(number),
                "url": f"{self.base}/challenge/{number}",
                "status": self.status(number)}

    def authorization(self, number):
        name = self.identifiers[number]["value"]
        return {"identifier": {"type": "dns",
                               "value": name.removeprefix("*.")},
                "wildcard": name.startswith("*."),
                "status": self.status(number),
                "challenges": [self.challenge(number)]}

    def verify(self, number):
        name = self.identifiers[number]["value"]
        wanted = pad(hashlib.sha256(
            f"{token(number)}.{self.thumbprint}".encode()).digest())
        self.seen = self.check("_acme-challenge." + name.removeprefix("*."))
        if wanted in self.seen:
            self.verified.append(name)
