"""A push service on loopback that does what a browser does: it decrypts (RFC 8291) and judges who
sends (RFC 8292)."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

from gateway.push.subscriptions import Subscription

UNCOMPRESSED = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint


def text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Browser:
    """The keys of one device."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    auth: bytes = b"sixteen bytes ok"

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes(*UNCOMPRESSED)

    def decrypt(self, body: bytes) -> bytes:
        """As RFC 8291 says, from the header to the last record. Raises for anything wrong."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender = body[21 : 21 + length]
        assert size >= len(body) - 21 - length
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self.private.exchange(ec.ECDH(), theirs)

        def derive(salt: bytes, info: bytes, length: int, of: bytes) -> bytes:
            return HKDF(hashes.SHA256(), length, salt, info).derive(of)

        secret = derive(self.auth, b"WebPush: info\0" + self.public + sender, 32, shared)
        key = derive(salt, b"Content-Encoding: aes128gcm\0", 16, secret)
        nonce = derive(salt, b"Content-Encoding: nonce\0", 12, secret)
        plain = AESGCM(key).decrypt(nonce, body[21 + length :], None).rstrip(b"\0")
        assert plain.endswith(b"\x02")
        return plain[:-1]


@dataclass
class PushService:
    """``status``: what it answers, by the path; ``heard``: (path, what was decrypted)."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    browsers: dict[str, Browser] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    location: str = ""
    hangs: threading.Event | None = None
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def device(self, name: str, **whose: Any) -> Subscription:
        """A device that is registered here."""
        browser = self.browsers.setdefault(f"/push/{name}", Browser())
        of: dict[str, Any] = {
            "user_id": 1, "user": "anna", "role": "staff", "session": "s",
            "browser": "Chrome, Android", "created": 1.0, **whose,
        }  # fmt: skip
        return Subscription(
            **of,
            endpoint=f"https://{self.host}:{self.port}/push/{name}",
            p256dh=text_of(browser.public),
            auth=text_of(browser.auth),
        )

    @property
    def ca(self) -> Path:
        return self.folder / "push-ca.pem"

    @property
    def own_host(self) -> str:
        return f"{self.host}:{self.port}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        self.headers.append(headers)
        status = self.status.get(path, 201)
        if status != 201:
            return status
        scheme, _, rest = headers["authorization"].partition(" ")
        parts = dict(one.strip().split("=", 1) for one in rest.split(","))
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes_of(parts["k"]))
        audience = f"https://{self.host}"
        claims = jwt.decode(parts["t"], public, algorithms=["ES256"], audience=audience)
        assert scheme == "vapid"
        assert claims["sub"].startswith("mailto:")
        assert headers["content-encoding"] == "aes128gcm"
        assert int(headers["ttl"]) > 0
        self.heard.append((path, json.loads(self.browsers[path].decrypt(body))))
        return 201


def _certificate(service: PushService) -> Path:
    """Of an authority of its own, for loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "push.example")])
    names: list[x509.GeneralName] = [x509.DNSName("push.example"), x509.DNSName("localhost")]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate = made.public_bytes(serialization.Encoding.PEM)
    service.ca.write_bytes(certificate)
    both = service.folder / "push-both.pem"
    both.write_bytes(private + certificate)
    return both


@contextmanager
def serving(folder: Path) -> Iterator[PushService]:
    service = PushService(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if service.hangs is not None:
                service.hangs.wait()
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(service.take(self.path, headers, body))
            if service.location:
                self.send_header("Location", service.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((service.host, 0), Handler)
    service.port = server.server_address[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(service))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        if service.hangs is not None:
            service.hangs.set()
        server.shutdown()
        server.server_close()
