"""What a kube-proxy's two ports answer to a request: status, headers and body, as bytes. Pure.

    metrics port (10249)   /metrics  /healthz ("ok")  /proxyMode     anything else: Go's 404 text
    health port  (10256)   /healthz  /livez (from 1.28)

A process without a free descriptor takes its time to accept a connection, as Go does [seen with a limit of 16 files].
As Go's net/http: a body of unknown length goes out in chunks, /metrics is gzipped when asked.
"""

from __future__ import annotations

import gzip
import math
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpwatch.simulate.node import SimulatedNode

_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPING_SINCE = 34
"""From about here the Content-Type of /metrics names the escaping of names [seen in 1.36]."""
_PROCESS_START_SINCE = 36
_GZIP_LEVEL = 4
_CHUNK_BYTES = 32 << 10
_ACCEPT_AGAIN_SECONDS = 1.0
"""Go's longest pause after an accept that failed."""


class Request(NamedTuple):
    """The head of a request; header names in lower case."""

    method: str
    path: str
    version: str
    headers: Mapping[str, str]

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after the answer."""
        connection = self.headers.get("connection", "").lower()
        has_body = self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers
        return not has_body and (connection == "keep-alive" if self.version == "HTTP/1.0" else connection != "close")


class Answer(NamedTuple):
    """What goes back, before it is framed."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False
    delay_seconds: float = 0.0
    """How long the client waits for it; inf = for ever."""


def parse_request(head: bytes) -> Request:
    """The request whose head (without the empty line) is `head`; raises BadInput."""
    request_line, *lines = head.decode("latin-1").split("\r\n")
    words = request_line.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
        raise BadInput(f"request line {request_line[:80]!r}: expected METHOD PATH HTTP/1.1")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadInput(f"header line {line[:80]!r}: expected NAME: VALUE")
        headers[name.strip().lower()] = value.strip()
    return Request(words[0], words[1].partition("?")[0], words[2], headers)


def answer_metrics_port(node: SimulatedNode, request: Request, now: float) -> Answer:
    """What :10249 answers at `now` (unix seconds)."""
    return _METRICS_PORT.get(request.path, _not_found)(node, request, now)


def answer_health_port(node: SimulatedNode, request: Request, now: float) -> Answer:
    """What :10256 answers at `now` (unix seconds)."""
    return _HEALTH_PORT.get(request.path, _not_found)(node, request, now)


def _metrics(node: SimulatedNode, request: Request, now: float) -> Answer:
    content_type = _METRICS + ("; escaping=underscores" if node.minor >= _ESCAPING_SINCE else "")
    headers: list[tuple[str, str]] = []
    if node.minor >= _PROCESS_START_SINCE and not node.effect(now).other_component:
        headers.append(("Process-Start-Time-Unix", str(int(node.process_started(now)))))
    body = node.metrics(now)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers.append(("Content-Encoding", "gzip"))
        body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
    return Answer(200, content_type, body, tuple(headers), chunked=True)


def _ok(_node: SimulatedNode, _request: Request, _now: float) -> Answer:
    return Answer(200, _TEXT, b"ok")


def _proxy_mode(node: SimulatedNode, request: Request, now: float) -> Answer:
    if node.effect(now).other_component:
        return _not_found(node, request, now)
    return Answer(200, _TEXT, node.proxy_mode.encode())


def _healthz(node: SimulatedNode, _request: Request, now: float) -> Answer:
    status, body = node.healthz(now)
    delay_seconds = _ACCEPT_AGAIN_SECONDS if node.effect(now).descriptors_gone else 0.0
    return Answer(status, "application/json", body.encode(), delay_seconds=delay_seconds)


def _livez(node: SimulatedNode, request: Request, now: float) -> Answer:
    document = node.livez(now)
    if document is None:
        return _not_found(node, request, now)
    status, body = document
    delay_seconds = math.inf if node.effect(now).descriptors_gone else 0.0
    return Answer(status, "application/json", body.encode(), delay_seconds=delay_seconds)


def _not_found(_node: SimulatedNode, _request: Request, _now: float) -> Answer:
    return Answer(404, _TEXT, b"404 page not found\n")


_METRICS_PORT = {"/metrics": _metrics, "/healthz": _ok, "/proxyMode": _proxy_mode}
_HEALTH_PORT = {"/healthz": _healthz, "/livez": _livez}


def bad_request(reason: str) -> Answer:
    """The answer to bytes that are no request."""
    return Answer(400, _TEXT, f"400 Bad Request: {reason}".encode())


def frame(answer: Answer, request: Request | None, now: float) -> bytes:
    """`answer` as it goes over the wire to `request` (None = to one that could not be read); `now` by its own clock."""
    chunked = answer.chunked and request is not None and request.version == "HTTP/1.1"
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.content_type}",
        *(f"{name}: {value}" for name, value in answer.headers),
        "X-Content-Type-Options: nosniff",
        f"Date: {formatdate(now, usegmt=True)}",
        "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(answer.body)}",
    ]
    if request is None or not request.keep_alive:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    if request is not None and request.method == "HEAD":
        return head
    return head + (_chunks(answer.body) if chunked else answer.body)


def _chunks(body: bytes) -> bytes:
    parts = []
    for start in range(0, len(body), _CHUNK_BYTES):
        chunk = body[start : start + _CHUNK_BYTES]
        parts.append(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    return b"".join(parts) + b"0\r\n\r\n"
