"""One keep-alive connection, without blocking.

`Connection.ask` sends one request and calls back exactly once, with an Answer or a Failure, whatever the other side
does: refuses, hangs, cuts the body, sends too much, sends something that is not HTTP. A kept connection that has died
since the last request is replaced once, silently: that is what keep-alive means. TLS is imported for https only. With
a proxy the connection goes there; for https it asks for a tunnel, and TLS is spoken with whoever is behind it.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.base.http import HEAD_LIMIT_BYTES, Answer, Exchange, Failure, Proxy, Url, format_connect
from kpwatch.base.loop import READ, WRITE
from kpwatch.base.resolve import Address, resolve

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from kpwatch.base.loop import Loop, Timer
    from kpwatch.base.tls import TlsOptions

_RECEIVES_PER_TURN = 16


class Connection:
    """One connection to one server, kept alive between requests; one request at a time."""

    def __init__(
        self,
        loop: Loop,
        url: Url,
        *,
        tls: TlsOptions | None = None,
        proxy: Proxy | None = None,
        dial_timeout_seconds: float = 10.0,
    ) -> None:
        self._loop = loop
        self.url = url
        """Where it goes; of its target only the host, the port and the scheme matter."""
        self._tls = tls
        self._proxy = proxy
        self._tls_context: ssl.SSLContext | None = None
        self._dial_timeout_seconds = dial_timeout_seconds
        self._sock: socket.socket | None = None
        self._watched_events = 0
        """For which the loop calls `_ready`; 0 before a connection stands."""
        self._addresses: list[Address] = []
        self._exchange: Exchange | None = None
        self._timers: list[Timer] = []
        self._timeout_seconds = 0.0
        self._dial_apart = False
        self._reused = False
        self._last_failure = Failure("dns", "no address")

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._exchange is not None

    def ask(
        self,
        request: bytes,
        done: Callable[[Answer | Failure], None],
        *,
        timeout_seconds: float,
        body_limit_bytes: int,
        dial_apart: bool = False,
        stream: Callable[[bytes], Failure | None] | None = None,
    ) -> None:
        """Send `request` and call `done` once.

        `timeout_seconds` bounds the whole exchange or, with `dial_apart`, what comes when the connection stands.
        `stream` gets the pieces of a good answer's body as they come; what it gives ends the exchange.
        """
        assert self._exchange is None, "one request at a time"
        self._exchange = Exchange(request, body_limit_bytes, done, stream)
        self._timeout_seconds = timeout_seconds
        self._dial_apart = dial_apart
        if not dial_apart:
            self._limit_exchange()
        if self._sock is not None:
            self._reused = True
            self._begin_transfer()
        else:
            self._dial()

    def close(self) -> None:
        """Drop the connection; a request under way is never answered."""
        self._cancel_timers()
        self._exchange = None
        self._drop_socket()

    def _limit_exchange(self) -> None:
        slow = Failure("timeout", f"no complete answer within {self._timeout_seconds:g} s")
        self._timers.append(self._loop.call_later(self._timeout_seconds, lambda: self._fail(slow)))

    # Dialling: every address in turn, then TLS.

    def _dial(self) -> None:
        self._reused = False
        slow = Failure("timeout", f"no connection within {self._dial_timeout_seconds:g} s")
        self._timers.append(self._loop.call_later(self._dial_timeout_seconds, lambda: self._fail(slow)))
        exchange = self._exchange
        resolve(
            self._loop,
            self._proxy.host if self._proxy else self.url.host,
            self._proxy.port if self._proxy else self.url.port,
            lambda found: self._resolved(found) if self._exchange is exchange else None,
        )

    def _resolved(self, found: list[Address] | str) -> None:
        if isinstance(found, str):
            self._fail(Failure("dns", found))
            return
        self._addresses = found
        self._dial_next()

    def _dial_next(self) -> None:
        self._drop_socket()
        if not self._addresses:
            self._fail(self._last_failure)
            return
        family, address = self._addresses.pop(0)
        try:
            self._sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no file descriptor left, or a machine without IPv6
            self._dial_failed(error.errno or 0)
            return
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self._sock.connect_ex(address)
        if code in (0, errno.EINPROGRESS):
            self._loop.watch(self._sock, WRITE, self._connected)
        else:
            self._dial_failed(code)

    def _dial_failed(self, code: int) -> None:
        reason = "refused" if code == errno.ECONNREFUSED else "timeout" if code == errno.ETIMEDOUT else "unreachable"
        self._last_failure = Failure(reason, f"{self._peer}: {errno.errorcode.get(code, str(code))}")
        self._dial_next()

    def _connected(self) -> None:
        assert self._sock is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._dial_failed(code)
        elif self.url.scheme == "https" and self._proxy is not None:
            self._begin_tunnel(self._proxy)
        elif self.url.scheme == "https":
            self._begin_tls()
        else:
            self._dialled()

    @property
    def _peer(self) -> str:
        """Who is dialled, for messages."""
        return f"proxy {self._proxy.host}:{self._proxy.port}" if self._proxy else self.url.authority

    def _begin_tunnel(self, proxy: Proxy) -> None:
        """Ask for a tunnel; a request of some hundred bytes fits into an empty socket's buffer."""
        assert self._sock is not None
        sock = self._sock
        try:
            sock.sendall(format_connect(self.url, proxy))
        except OSError as error:
            self._fail(Failure("proxy", f"{self._peer}: {error}"))
            return
        head = bytearray()
        self._loop.watch(sock, READ, lambda: self._read_tunnel(sock, head))

    def _read_tunnel(self, sock: socket.socket, head: bytearray) -> None:
        """Read the proxy's answer, and of what follows it nothing: nothing may follow before we speak."""
        try:
            received = sock.recv(4096)
        except OSError as error:
            if not _would_block(error):
                self._fail(Failure("proxy", f"{self._peer}: {error}"))
            return
        head += received
        first = bytes(head.partition(b"\r\n")[0])
        if b"\r\n\r\n" in head and first.startswith(b"HTTP/1.") and first[9:10] == b"2":
            self._begin_tls()
        elif not received or b"\r\n\r\n" in head or len(head) > HEAD_LIMIT_BYTES:
            said = first[:100].decode("latin-1") or "it closed the connection"
            self._fail(Failure("proxy", f"{self._peer} opens no tunnel to {self.url.authority}: {said}"))

    def _begin_tls(self) -> None:
        from kpwatch.base.tls import TlsOptions, make_context  # noqa: PLC0415 - ssl costs 6 MB; http pays nothing

        assert self._sock is not None
        options = self._tls or TlsOptions()
        try:
            if self._tls_context is None:
                self._tls_context = make_context(options)
            self._loop.unwatch(self._sock)
            self._sock = self._tls_context.wrap_socket(
                self._sock, server_hostname=options.server_name or self.url.host, do_handshake_on_connect=False
            )
        except (ConfigError, OSError, ValueError) as error:
            self._fail(Failure("tls", str(error)))
            return
        self._handshake()

    def _handshake(self) -> None:
        import ssl  # noqa: PLC0415 - loaded already by the context

        assert isinstance(self._sock, ssl.SSLSocket)
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.watch(self._sock, READ, self._handshake)
        except ssl.SSLWantWriteError:
            self._loop.watch(self._sock, WRITE, self._handshake)
        except OSError as error:
            self._fail(Failure("tls", f"{self.url.authority}: {error}"))
        else:
            self._dialled()

    def _dialled(self) -> None:
        self._timers.pop().cancel()  # the dial's own
        self._begin_transfer()

    # Transfer: send what is unsent, read what has come, until the answer is complete.

    def _begin_transfer(self) -> None:
        assert self._sock is not None
        assert self._exchange is not None
        if self._dial_apart:
            self._cancel_timers()  # of the connection that this one replaces
            self._limit_exchange()
        self._send()

    def _send(self) -> None:
        """As much as goes now; most requests go at once, so that nothing need be told to the loop."""
        exchange, sock = self._exchange, self._sock
        assert exchange is not None
        assert sock is not None
        try:
            exchange.unsent = exchange.unsent[sock.send(exchange.unsent) :]
        except OSError as error:
            if not _would_block(error):
                # A server may answer and close before it has read the whole body (413): what it said counts.
                exchange.unsent = memoryview(b"")
        events = READ | WRITE if exchange.unsent else READ
        if events != self._watched_events:
            self._watched_events = events
            self._loop.watch(sock, events, self._ready)

    def _ready(self) -> None:
        if self._exchange is None:
            self._look_at_idle()
            return
        if self._exchange.unsent:
            self._send()
        self._receive()

    def _look_at_idle(self) -> None:
        """A kept connection is ready: unless that is TLS' own affair it was closed, or says what nobody asked for."""
        assert self._sock is not None
        try:
            self._sock.recv(1)
        except OSError as error:
            if _would_block(error):
                return
        self._drop_socket()

    def _receive(self) -> None:
        exchange, sock = self._exchange, self._sock
        assert exchange is not None
        assert sock is not None
        for _ in range(_RECEIVES_PER_TURN):
            try:
                size = sock.recv_into(self._loop.receive_buffer)
            except OSError as error:
                if not _would_block(error):
                    self._interrupted("reset", str(error))
                return
            if size == 0:
                self._ended_by_peer(exchange)
                return
            exchange.feed(self._loop.receive_buffer[:size])
            if exchange.over:
                self._finish(keep=exchange.keep_alive)
                return

    def _ended_by_peer(self, exchange: Exchange) -> None:
        if exchange.ends_with_connection():
            self._finish(keep=False)
        else:
            self._interrupted("cut", "the connection was closed before the answer was complete")

    def _interrupted(self, reason: str, detail: str) -> None:
        """A kept connection may have died since the last request: then this one deserves a fresh connection."""
        exchange = self._exchange
        if exchange is not None and self._reused and not exchange.received:
            exchange.restart()
            self._drop_socket()
            self._dial()
        else:
            self._fail(Failure(reason, f"{self._peer}: {detail}"))

    def _finish(self, *, keep: bool) -> None:
        exchange = self._exchange
        assert exchange is not None
        if not keep or exchange.unsent:
            self._drop_socket()
        self._done(exchange.outcome())

    def _fail(self, failure: Failure) -> None:
        if self._exchange is not None:
            self._drop_socket()
            self._done(failure)

    def _done(self, outcome: Answer | Failure) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._cancel_timers()
        self._exchange = None
        exchange.let_go()
        exchange.done(outcome)

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def _drop_socket(self) -> None:
        if self._sock is not None:
            self._loop.unwatch(self._sock)
            self._sock.close()
            self._sock = None
            self._watched_events = 0


def _would_block(error: OSError) -> bool:
    """Whether the socket is merely not ready; TLS says so with errors of its own (SSLWantRead, SSLWantWrite)."""
    return isinstance(error, BlockingIOError | InterruptedError) or type(error).__name__.startswith("SSLWant")
