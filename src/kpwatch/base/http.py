"""HTTP/1.1 as a client, in words and bytes: URLs, requests, answers, failures. `connection` moves the bytes.

What a status means is left to whoever asked. httptools (llhttp) reads answers.
"""

from __future__ import annotations

import re
import zlib
from binascii import b2a_base64
from typing import TYPE_CHECKING

import httptools

from kpwatch.base.errors import ConfigError
from kpwatch.base.named import NamedTuple

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
    shown = redact_url(text) if separator else text.partition("?")[0].rpartition("@")[2]
    if not separator or scheme not in _DEFAULT_PORTS:
        raise ConfigError(f"url {shown!r}: expected http://HOST[:PORT]/PATH or https://…")
    cut = min((index for index in (rest.find("/"), rest.find("?"), rest.find("#")) if index >= 0), default=len(rest))
    authority, target = rest[:cut].rpartition("@")[2], rest[cut:].partition("#")[0]
    if authority.startswith("["):
        host, bracket, port_text = authority[1:].partition("]")
        port_text = port_text.removeprefix(":")
        if not bracket:
            raise ConfigError(f"url {shown!r}: the bracket before the address is not closed")
    else:
        host, _, port_text = authority.partition(":")
    if not host:
        raise ConfigError(f"url {shown!r}: it names no host")
    if port_text and not (port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < 65536):
        raise ConfigError(f"url {shown!r}: port {port_text!r} is no number from 1 to 65535")
    port = int(port_text) if port_text else _DEFAULT_PORTS[scheme]
    return Url(scheme, host, port, _percent_encode(target if target.startswith("/") else "/" + target))


class Proxy(NamedTuple):
    """A plain HTTP proxy: asked with whole URLs for http, for a tunnel (CONNECT) for https."""

    host: str
    port: int
    authorization: str = ""
    """The value of Proxy-Authorization, or ""."""


def parse_proxy(text: str) -> Proxy:
    """Take the URL of a proxy apart, user and password included; raises ConfigError naming what is wrong with it."""
    from kpwatch.base.urls import take_apart  # noqa: PLC0415 - few have a proxy

    parts = take_apart(text)
    if parts.scheme != "http" or parts.path not in ("", "/") or parts.query:
        raise ConfigError(f"{redact_url(text)!r}: expected http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")
    url = parse_url(f"http://{parts.host}")
    return Proxy(url.host, url.port, basic_auth(f"{parts.username}:{parts.password}") if parts.username else "")


def basic_auth(credentials: str) -> str:
    """The value of a header with `user:password`."""
    return f"Basic {basic_credentials(credentials)}"


def basic_credentials(credentials: str) -> str:
    """`user:password` as it is sent."""
    return b2a_base64(credentials.encode(), newline=False).decode()


def _percent_encode(target: str) -> str:
    """Percents for what may not stand in a request line: blanks, control characters, all but ASCII."""
    return "".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}" for byte in target.encode())


def redact_url(text: str) -> str:
    """A URL as it may be logged: without user, password and query, where tokens like to stand."""
    scheme, separator, rest = text.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}" if separator else "(not a URL)"


_TOKEN_AT_THE_END = re.compile(r"[^\s\"'<>:,;]*$")


def excerpt(body: bytes, most_characters: int = 200) -> str:
    """The beginning of an error page on one line, for a log: cut where a word ends, never within a token.

    A page may repeat what it was sent; half a secret would not be known for one.
    """
    head = body[: 4 * most_characters].decode(errors="replace")
    words = " ".join(head.split())
    if len(words) <= most_characters and len(body) <= 4 * most_characters:
        return words
    return _TOKEN_AT_THE_END.sub("", words[:most_characters]).rstrip()


class Answer(NamedTuple):
    """A complete HTTP answer; `headers` by lower-case name, `body` decoded from gzip."""

    status: int
    headers: dict[str, str]
    body: bytes


class Failure(NamedTuple):
    """No complete answer. `reason` is one of REASONS."""

    reason: str
    detail: str


REASONS = ("dns", "refused", "unreachable", "timeout", "proxy", "tls", "reset", "cut", "too_large", "bad_http")


HEAD_LIMIT_BYTES = 64 << 10
"""How much of an answer may come before its body does."""


def format_request(
    method: str, url: Url, headers: dict[str, str], body: bytes = b"", *, proxy: Proxy | None = None
) -> bytes:
    """A request's bytes, Host and Content-Length added; raises ConfigError where a header holds a line break.

    A header given twice in different case is sent once: the last one counts. Through a tunnel (`proxy` and https) a
    request is as it would be without.
    """
    by_proxy = proxy is not None and url.scheme == "http"
    merged = {"host": ("Host", url.authority)}
    merged.update((name.lower(), (name, value)) for name, value in headers.items())
    if body or method == "POST":
        merged["content-length"] = ("Content-Length", str(len(body)))
    if by_proxy and proxy is not None and proxy.authorization:
        merged["proxy-authorization"] = ("Proxy-Authorization", proxy.authorization)
    target = f"{url.scheme}://{url.authority}{url.target}" if by_proxy else url.target
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in merged.values())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ConfigError("a header or URL with a line break cannot be sent")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def format_connect(url: Url, proxy: Proxy) -> bytes:
    """What opens a tunnel through a proxy to where `url` is (RFC 9110, 9.3.6)."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    lines = [f"CONNECT {host}:{url.port} HTTP/1.1", f"Host: {host}:{url.port}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


class Exchange:
    """One request and the answer as far as it has come; llhttp calls the `on_*` methods.

    1xx answers come before the answer proper and are forgotten. Whatever stands behind the answer proper is nobody's:
    it changes nothing but that the connection is no good for another request.
    """

    def __init__(
        self,
        request: bytes,
        body_limit_bytes: int,
        done: Callable[[Answer | Failure], None],
        stream: Callable[[bytes], Failure | None] | None = None,
    ) -> None:
        """`stream` gets the pieces of a 200's body as they come, which then is kept nowhere; what it gives ends it."""
        self.request = request
        self.body_limit_bytes = body_limit_bytes
        self.done = done
        self._stream = stream
        self.restart()

    def restart(self) -> None:
        """Begin again, on another connection."""
        self.unsent = memoryview(self.request)
        self.received = False
        self.complete = False
        self.keep_alive = False
        self.failure: Failure | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        self._headers: dict[str, str] = {}
        self._headers_complete = False
        self._head_bytes = 0
        self._chunks: list[bytes] = []
        self._size_bytes = 0

    def let_go(self) -> None:
        """Forget the answer's bytes and the parser, which knows us as we know it: nobody need look for that circle."""
        self._chunks = []
        del self._parser

    @property
    def over(self) -> bool:
        """Whether nothing that may still come matters."""
        return self.complete or self.failure is not None

    def feed(self, received: memoryview) -> None:
        """Take in what has come."""
        self.received = True
        try:
            self._parser.feed_data(received)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.keep_alive = False
            if not self.over:
                self.failure = Failure("bad_http", f"the answer is not HTTP/1.1: {error}")
        if not self._headers_complete:
            self._head_bytes += len(received)
            if self._head_bytes > HEAD_LIMIT_BYTES:
                self.failure = Failure("too_large", f"the answer's headers exceed {HEAD_LIMIT_BYTES} bytes")

    def on_message_begin(self) -> None:
        """An answer begins: the first, the one after a 1xx, or one nobody asked for."""
        if self.complete:
            self.keep_alive = False
            return
        self._headers = {}
        self._headers_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; those behind the body do not count."""
        if not self._headers_complete:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """The status is known."""
        if not self.complete:
            self._headers_complete = True
            self._status = self._parser.get_status_code()

    def on_body(self, chunk: bytes) -> None:
        """A piece of the body, kept up to the limit."""
        if self.complete:
            return
        if self._stream is not None and self._status == 200 and "content-encoding" not in self._headers:
            self.failure = self.failure or self._stream(chunk)
            return
        self._size_bytes += len(chunk)
        if self._size_bytes > self.body_limit_bytes:
            self.failure = Failure("too_large", f"the body exceeds {self.body_limit_bytes} bytes")
            self._chunks.clear()
        else:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """An answer is complete; what matters is the one after all 1xx."""
        if not self.complete and self._status >= 200:
            self.complete = True
            self.keep_alive = bool(self._parser.should_keep_alive())

    def ends_with_connection(self) -> bool:
        """Whether the body's end is the connection's end."""
        measured = {"content-length", "transfer-encoding"} & self._headers.keys()
        return self._headers_complete and self._status >= 200 and not measured

    def outcome(self) -> Answer | Failure:
        """What the caller gets in the end."""
        if self.failure is not None:
            return self.failure
        body = b"".join(self._chunks)
        if self._headers.get("content-encoding", "").lower() == "gzip" and body:
            inflated = gunzip(body, self.body_limit_bytes)
            if isinstance(inflated, Failure):
                return inflated
            body = inflated
        return Answer(self._status, self._headers, body)


def gunzip(body: bytes, limit_bytes: int) -> bytes | Failure:
    """The content of a gzip file of one or more members (RFC 1952), never more than `limit_bytes` of it."""
    members: list[bytes] = []
    room_bytes = limit_bytes
    while body:
        inflater = zlib.decompressobj(31)
        try:
            members.append(inflater.decompress(body, room_bytes + 1))
        except zlib.error as error:
            return Failure("bad_http", f"the body is not the gzip it claims to be: {error}")
        room_bytes -= len(members[-1])
        if room_bytes < 0:
            return Failure("too_large", f"the decompressed body exceeds {limit_bytes} bytes")
        if not inflater.eof:
            return Failure("cut", "the gzip body ends early")
        body = inflater.unused_data
    return b"".join(members)
