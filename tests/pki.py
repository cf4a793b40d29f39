"""A certificate authority for a test: servers that show a certificate, clients that have one, and the files of both."""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING, NamedTuple

import trustme
from cryptography.hazmat.primitives import serialization

from tests.servers import Server, response, serves

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Request

KEY_PASSWORD = "password"
_KEPT_HEADERS = ("content-type", "retry-after")


class Pki(NamedTuple):
    """A CA and files of what it issued to a client."""

    ca: trustme.CA
    ca_file: str
    cert_file: str
    key_file: str
    locked_key_file: str
    folder: Path

    def server(self, *names: str, client_certs: bool = False) -> ssl.SSLContext:
        """A server's context with a certificate for `names`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        if client_certs:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def server_files(self, *names: str) -> tuple[str, str]:
        """Paths of a server's certificate and key."""
        issued = self.ca.issue_cert(*names)
        cert, key = self.folder / "server-cert.pem", self.folder / "server-key.pem"
        cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return str(cert), str(key)

    def client(self) -> ssl.SSLContext:
        """The context of a client that trusts the CA and shows its certificate."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context


def make_pki(folder: Path) -> Pki:
    """A new authority with its files in `folder`."""
    ca = trustme.CA()
    client = ca.issue_cert("agent@example.org")
    key = client.private_key_pem.bytes()
    locked = serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(KEY_PASSWORD.encode()),
    )
    files = {"ca": ca.cert_pem.bytes(), "cert": client.cert_chain_pems[0].bytes(), "key": key, "locked": locked}
    for name, content in files.items():
        (folder / f"{name}.pem").write_bytes(content)
    return Pki(ca, *(str(folder / f"{name}.pem") for name in files), folder)


def terminator(port: int, context: ssl.SSLContext) -> Server:
    """TLS before a server that has none: every request is handed on to `port` of 127.0.0.1, every answer back."""
    return Server(serves(_hands_on(port)), tls=context)


def _hands_on(port: int) -> Callable[[Request], bytes]:
    def hand_on(request: Request) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            headers = {name: value for name, value in request.headers.items() if name not in ("host", "connection")}
            connection.request(request.method, request.target, request.body or None, headers)
            answer = connection.getresponse()
            kept = {
                name.replace("-", "_"): value
                for name, value in answer.getheaders()
                if name.lower() in _KEPT_HEADERS or name.lower().startswith("x-")
            }
            return response(answer.read(), answer.status, **kept)
        finally:
            connection.close()

    return hand_on
