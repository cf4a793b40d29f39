"""HTTP/1.1 as a client, in words and bytes: URLs, requests, answers, failures. `connection` moves the bytes.

What a status means is left to whoever asked. httptools (llhttp) reads answers.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import httptools

from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Url(NamedTuple):
    """An http or https URL taken apart."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, beginning with a slash."""

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(text: str) -> Url:
    """Take a URL apart; raises ConfigError naming what is wrong with it."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        raise ConfigError(f"url {text!r}: expected http://HOST[:PORT]/PATH or https://…")
    cut = min((index for index in (rest.find("/"), rest.find("?"), rest.find("#")) if index >= 0), default=len(rest))
    authority, target = rest[:cut].rpartition("@")[2], rest[cut:].partition("#")[0]
    if authority.startswith("["):
        host, _, port_text = authority[1:].partition("]")
        port_text = port_text.removeprefix(":")
    else:
        host, _, port_text = authority.partition(":")
    if not host:
        raise ConfigError(f"url {text!r}: it names no host")
    if port_text and not (port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < 65536):
        raise ConfigError(f"url {text!r}: port {port_text!r} is no number from 1 to 65535")
    port = int(port_text) if port_text else _DEFAULT_PORTS[scheme]
    return Url(scheme, host, port, target if target.startswith("/") else "/" + target)


def redact_url(text: str) -> str:
    """A URL as it may be logged: without user, password and query, where tokens like to stand."""
    scheme, separator, rest = text.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}" if separator else "(not a URL)"


class Answer(NamedTuple):
    """A complete HTTP answer; `headers` by lower-case name, `body` decoded from gzip."""

    status: int
    headers: dict[str, str]
    body: bytes


class Failure(NamedTuple):
    """No complete answer. `reason` is one of REASONS."""

    reason: str
    detail: str


REASONS = ("dns", "refused", "unreachable", "timeout", "tls", "reset", "cut", "too_large", "bad_http")


def format_request(method: str, url: Url, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request's bytes, Host and Content-Length added; raises ConfigError where a header holds a line break."""
    lines = [f"{method} {url.target} HTTP/1.1"]
    merged = {"Host": url.authority, **headers}
    if body or method == "POST":
        merged["Content-Length"] = str(len(body))
    lines += [f"{name}: {value}" for name, value in merged.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise ConfigError("a header or URL with a line break cannot be sent")
    return "\r\n".join(lines).encode("latin-1", errors="replace") + b"\r\n\r\n" + body


class Exchange:
    """One request and the answer as far as it has come; llhttp calls the `on_*` methods."""

    def __init__(self, request: bytes, body_limit_bytes: int, done: Callable[[Answer | Failure], None]) -> None:
        self.request = request
        self.body_limit_bytes = body_limit_bytes
        self.done = done
        self.restart()

    def restart(self) -> None:
        """Begin again, on another connection."""
        self.unsent = memoryview(self.request)
        self.parser = httptools.HttpResponseParser(self)
        self.headers: dict[str, str] = {}
        self.headers_complete = False
        self.complete = False
        self.too_large = False
        self.received = False
        self._chunks: list[bytes] = []
        self._size_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The status is known."""
        self.headers_complete = True

    def on_body(self, chunk: bytes) -> None:
        """A piece of the body, kept up to the limit."""
        self._size_bytes += len(chunk)
        if self._size_bytes > self.body_limit_bytes:
            self.too_large = True
            self._chunks.clear()
        else:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """The answer is complete; 1xx comes before the answer proper."""
        self.complete = self.parser.get_status_code() >= 200

    def ends_with_connection(self) -> bool:
        """Whether the body's end is the connection's end."""
        return self.headers_complete and not {"content-length", "transfer-encoding"} & self.headers.keys()

    def outcome(self) -> Answer | Failure:
        """What the caller gets once the answer is complete."""
        if self.too_large:
            return Failure("too_large", f"the body exceeds {self.body_limit_bytes} bytes")
        body = b"".join(self._chunks)
        if self.headers.get("content-encoding", "").lower() == "gzip" and body:
            inflater = zlib.decompressobj(31)
            try:
                body = inflater.decompress(body, self.body_limit_bytes + 1)
            except zlib.error as error:
                return Failure("bad_http", f"the body is not the gzip it claims to be: {error}")
            if len(body) > self.body_limit_bytes:
                return Failure("too_large", f"the decompressed body exceeds {self.body_limit_bytes} bytes")
            if not inflater.eof:
                return Failure("cut", "the gzip body ends early")
        return Answer(self.parser.get_status_code(), self.headers, body)
