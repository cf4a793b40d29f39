r"""HTTP/1.1 as a server on the agent's own loop: answers for probes and scrapers, and no harm from anybody else.

    accept -> (TLS handshake) -> read a head -> answer -> write -> idle -> read a head ...
                                                             \-> said to close: shut, drain a little, close

Bounds: connections (the one that has waited longest makes room for a new one, so a probe always gets in), bytes of a
head, seconds to read, to write, to be idle, accepts a turn. An answer that took t seconds to make is given again for
REUSE times as long, and is shared by all who read it, so that askers cost neither the loop's time nor memory. Bodies
of requests are not read: they are answered and drained. httptools (llhttp) reads heads; TLS is imported when asked for.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Protocol

import httptools

from kpwatch.base.errors import ConfigError
from kpwatch.base.loop import READ, WRITE
from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.server_options import ServerOptions

HEAD_LIMIT_BYTES = 8 << 10
"""Of a request line and its headers together."""

DRAIN_LIMIT_BYTES = 256 << 10
"""What is read and forgotten of a request's body, so that its sender lives to see the answer."""
DRAIN_SECONDS = 1.0

REUSE = 10
"""An answer is given again for so many times the time it took to make."""

_ACCEPTS_PER_TURN = 16
_SWEEP_SECONDS = 0.5
_PAUSE_SECONDS = 0.2
"""After an accept that failed for want of file descriptors."""
_BACKLOG = 128

PHRASES = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
}  # fmt: skip


class Asked(NamedTuple):
    """A request's head, as far as anybody cares."""

    method: str
    path: str
    """Without the query."""


class Said(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class Counts(Protocol):
    """Counts what happens."""

    def answered(self, status: int) -> None:
        """A request was."""
        ...

    def dropped(self, reason: str) -> None:
        """A connection was closed on somebody; `reason` is one of DROPPED."""
        ...


DROPPED = ("full", "timeout", "bad_request", "tls", "no_descriptor")


class HttpServer:
    """Listens from its making to `close`."""

    def __init__(
        self,
        options: ServerOptions,
        answer: Callable[[Asked], Said],
        loop: Loop,
        counts: Counts,
        note_access: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Raises ConfigError where it cannot listen or the certificate cannot be used."""
        self.options = options
        self.loop = loop
        self.counts = counts
        self._answer = answer
        self._note_access = note_access
        self.tls = _server_context(options) if options.cert_file else None
        self._made: dict[Asked, tuple[float, Said]] = {}
        """Request -> (until when the answer counts, the answer)."""
        self._connections: dict[_Client, None] = {}
        """In the order in which they began to wait."""
        self._sweeper: Timer | None = None
        self._listener = _listen(options)
        self.port: int = self._listener.getsockname()[1]
        loop.watch(self._listener, READ, self._accept)

    def change(self, options: ServerOptions) -> None:
        """Serve by other options at the same address; raises ConfigError where the certificate cannot be used."""
        self.tls = _server_context(options) if options.cert_file else None
        self.options = options

    def close(self) -> None:
        """Listen no more and drop all connections."""
        self.loop.unwatch(self._listener)
        self._listener.close()
        for client in list(self._connections):
            client.close()
        if self._sweeper is not None:
            self._sweeper.cancel()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def answer(self, asked: Asked) -> Said:
        """What is said to a request, made now or a moment ago."""
        clock = self.loop.clock
        began = clock.monotonic_seconds()
        until, said = self._made.get(asked, (0.0, None))
        if said is None or began >= until:
            try:
                said = self._answer(asked)
            except Exception:
                self.counts.answered(500)
                raise
            ended = clock.monotonic_seconds()
            if said.status < 400:
                self._made[asked] = (ended + REUSE * (ended - began), said)
        self.counts.answered(said.status)
        return said

    def note_access(self, line: str) -> None:
        """One request was answered."""
        if self.options.print_access:
            self._note_access(line)

    def waits(self, client: _Client) -> None:
        """A connection begins to wait for its other side: it is the last to make room."""
        self._connections.pop(client, None)
        self._connections[client] = None

    def gone(self, client: _Client) -> None:
        """A connection was closed."""
        self._connections.pop(client, None)

    def drop(self, client: _Client, reason: str) -> None:
        """Close a connection on somebody."""
        self.counts.dropped(reason)
        client.close()

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError:
                self._out_of_descriptors()
                return
            if len(self._connections) >= self.options.max_connections:
                self.drop(next(iter(self._connections)), "full")
            sock.setblocking(False)
            self.waits(_Client(self, sock, str(address[0])))
            if self._sweeper is None:
                self._sweeper = self.loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _out_of_descriptors(self) -> None:
        """Waiting would be a busy loop: the listener stays ready."""
        self.counts.dropped("no_descriptor")
        for client in list(self._connections)[:1]:
            client.close()
        self.loop.unwatch(self._listener)
        self.loop.call_later(_PAUSE_SECONDS, self._listen_again)

    def _listen_again(self) -> None:
        if self._listener.fileno() >= 0:
            self.loop.watch(self._listener, READ, self._accept)

    def _sweep(self) -> None:
        now = self.loop.clock.monotonic_seconds()
        for client in [client for client in self._connections if client.deadline_seconds <= now]:
            if client.idle:
                client.close()
            else:
                self.drop(client, "timeout")
        self._sweeper = self.loop.call_later(_SWEEP_SECONDS, self._sweep) if self._connections else None


class _Client:
    """One connection; llhttp calls the `on_*` methods."""

    def __init__(self, server: HttpServer, sock: socket.socket, peer: str) -> None:
        self._server = server
        self._loop = server.loop
        self._sock = sock
        self._peer = peer
        self._unsent = memoryview(b"")
        self._closing = False
        self._drained_bytes = 0
        self._forget_request()
        self.deadline_seconds = self._in(server.options.read_seconds)
        self.idle = False
        """Whether nothing of a next request has come."""
        if server.tls is not None:
            self._sock = server.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self._loop.watch(self._sock, READ, self._handshake)
        else:
            self._loop.watch(self._sock, READ, self._read)

    def close(self) -> None:
        """Drop the connection."""
        self._loop.unwatch(self._sock)
        self._sock.close()
        self._server.gone(self)

    def _in(self, seconds: float) -> float:
        return self._loop.clock.monotonic_seconds() + seconds

    def _forget_request(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._head_bytes = 0
        self._url = b""
        self._answered = False
        self._has_body = False
        self._headers_complete = False
        self._keep_alive = False
        self._complete = False

    def _handshake(self) -> None:
        import ssl  # noqa: PLC0415 - loaded already by the context

        assert isinstance(self._sock, ssl.SSLSocket)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.watch(self._sock, READ, self._handshake)
        except ssl.SSLWantWriteError:
            self._loop.watch(self._sock, WRITE, self._handshake)
        except OSError:
            self._server.drop(self, "tls")
        else:
            self._loop.watch(self._sock, READ, self._read)
            self._read()

    # A request comes.

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        if self._complete:
            self._has_body = True  # another request behind this one: nobody waits for that answer here
        else:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        lower = name.lower()
        if lower == b"transfer-encoding" or (lower == b"content-length" and value.strip() != b"0"):
            self._has_body = True

    def on_headers_complete(self) -> None:
        """The head is there."""
        if not self._headers_complete:
            self._headers_complete = True
            self._keep_alive = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """So is the body."""
        self._complete = True

    def _read(self) -> None:
        data = self._receive()
        if data is None:
            return
        if not data:
            self.close()
            return
        if self.idle:
            self.idle = False
            self.deadline_seconds = self._in(self._server.options.read_seconds)
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._has_body = True  # nobody here speaks anything else: answered as what it is, and closed
        except httptools.HttpParserError:
            if not self._headers_complete:
                self._refuse(400, "this is no HTTP request")
                return
            self._has_body = True  # what stands behind a whole head is nobody's
        if self._headers_complete:
            self._say()
        elif self._head_bytes > HEAD_LIMIT_BYTES:
            self._refuse(431, f"the request's head is larger than {HEAD_LIMIT_BYTES} bytes")

    def _receive(self) -> bytes | None:
        """What has come: nothing at the end of the connection, None where there is nothing yet."""
        try:
            return self._sock.recv(HEAD_LIMIT_BYTES + 1)
        except OSError as error:
            if isinstance(error, BlockingIOError | InterruptedError) or type(error).__name__.startswith("SSLWant"):
                return None
            return b""

    def _say(self) -> None:
        path = self._url.partition(b"?")[0].decode("ascii", "replace")
        method = self._parser.get_method().decode("ascii", "replace")
        keep = self._keep_alive and not self._has_body
        try:
            said = self._server.answer(Asked(method, path))
        except Exception:
            self.close()
            raise  # the loop's owner counts and says it
        self._server.note_access(f'{self._peer} "{method} {path}" {said.status} {len(said.body)} bytes')
        self._begin_writing(said, keep=keep)

    def _refuse(self, status: int, why: str) -> None:
        self._server.counts.dropped("bad_request")
        self._begin_writing(Said(status, f"{why}\n".encode()), keep=False)

    # An answer goes.

    def _begin_writing(self, said: Said, *, keep: bool) -> None:
        self._closing = not keep
        lines = [
            f"HTTP/1.1 {said.status} {PHRASES.get(said.status, 'Other')}",
            f"Content-Type: {said.content_type}",
            f"Content-Length: {len(said.body)}",
            "X-Content-Type-Options: nosniff",
            f"Connection: {'keep-alive' if keep else 'close'}",
            *(f"{name}: {value}" for name, value in said.headers),
        ]
        self._unsent = memoryview("\r\n".join(lines).encode() + b"\r\n\r\n")
        self._body = memoryview(said.body)
        self.deadline_seconds = self._in(self._server.options.write_seconds)
        self._server.waits(self)
        self._loop.watch(self._sock, WRITE, self._write)
        self._write()

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
                if not self._unsent:
                    self._unsent, self._body = self._body, memoryview(b"")
        except OSError as error:
            if not (isinstance(error, BlockingIOError) or type(error).__name__.startswith("SSLWant")):
                self.close()
            return
        if self._closing:
            self._begin_draining()
            return
        self._forget_request()
        self.idle = True
        self.deadline_seconds = self._in(self._server.options.idle_seconds)
        self._server.waits(self)
        self._loop.watch(self._sock, READ, self._read)

    def _begin_draining(self) -> None:
        """Whoever still sends would be told of a reset before the answer is read: so it is read and forgotten."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self.idle = True
        self.deadline_seconds = self._in(DRAIN_SECONDS)
        self._loop.watch(self._sock, READ, self._drain)

    def _drain(self) -> None:
        data = self._receive()
        if data is None:
            return
        self._drained_bytes += len(data)
        if not data or self._drained_bytes > DRAIN_LIMIT_BYTES:
            self.close()


def _listen(options: ServerOptions) -> socket.socket:
    where = f"{options.host or '*'}:{options.port}"
    try:
        if not options.host and socket.has_dualstack_ipv6():
            listener = socket.create_server(
                ("", options.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
            )
        else:
            family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
            listener = socket.create_server((options.host, options.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(f"cannot listen on {where}: {_reason(error)}; choose another address") from error
    listener.setblocking(False)
    return listener


def _reason(error: OSError) -> str:
    """Without what `create_server` adds: it names the address again."""
    return (error.strerror or str(error)).partition(" (while")[0]


def _server_context(options: ServerOptions) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - 6 MB that plain HTTP does not pay

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.cert_file, options.key_file or None, password="")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cert_file {options.cert_file!r}, key_file {options.key_file!r}: {error}") from error
    return context
