"""Servers on 127.0.0.1 that do exactly what a test says, byte for byte.

A *script* is a function of one accepted connection (`Peer`); `Server(a, b)` serves its first connection by `a`, every
later one by `b`. What a script raises, beyond a broken connection, is raised again when the server is closed, so that
a failed check inside a script fails its test.
"""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType

WAIT_SECONDS = 20
"""How long a test waits for what must happen; nothing is fast or slow by this number."""


class Request(NamedTuple):
    """One request as it came; `headers` by lower-case name."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class ClientLeft(ConnectionError):
    """The client closed where a script wanted more of it; ends the script quietly."""


class Peer:
    """One accepted connection, as a script sees it."""

    def __init__(self, sock: socket.socket, server: Server) -> None:
        self.sock = sock
        self.server = server
        self._unread = bytearray()

    def head_arrived(self) -> None:
        """Wait for one request's head."""
        while b"\r\n\r\n" not in self._unread:
            self._read()

    def head(self) -> Request:
        """Read one request's head and leave its body unread."""
        self.head_arrived()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = [line.split(": ", 1) for line in lines]
        assert len({name.lower() for name, _ in pairs}) == len(pairs), f"a header twice in {lines}"
        return Request(method, target, {name.lower(): value for name, value in pairs}, b"")

    def request(self) -> Request:
        """Read one whole request."""
        request = self.head()
        length = int(request.headers.get("content-length", "0"))
        while len(self._unread) < length:
            self._read()
        request = request._replace(body=bytes(self._unread[:length]))
        del self._unread[:length]
        self.server.note(request)
        return request

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_until_gone(self) -> None:
        """Say nothing more and wait until the client leaves."""
        while self.sock.recv(65536):
            pass

    def _read(self) -> None:
        received = self.sock.recv(1 << 20)
        if not received:
            raise ClientLeft
        self._unread += received


class Server:
    """Listens until it is closed; `connections` and `requests` are what came so far."""

    def __init__(self, *scripts: Callable[[Peer], None], tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.connections = 0
        self.requests: list[Request] = []
        self._scripts = scripts
        self._tls = tls
        self._happened = threading.Condition()
        self._failures: list[BaseException] = []
        self._peers: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def url(self, path: str = "/metrics") -> str:
        """The URL of a path here."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{path}"

    def note(self, request: Request) -> None:
        """A request was read."""
        with self._happened:
            self.requests.append(request)
            self._happened.notify_all()

    def happened(self) -> None:
        """Something changed that somebody may wait for."""
        with self._happened:
            self._happened.notify_all()

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until `condition` holds; it is looked at whenever a connection or a request came."""
        with self._happened:
            assert self._happened.wait_for(condition, WAIT_SECONDS), f"waited {WAIT_SECONDS} s for {what}"

    def wait_for_requests(self, count: int) -> None:
        """Wait until `count` requests came since the start."""
        self.wait_for(lambda: len(self.requests) >= count, f"{count} requests, {len(self.requests)} came")

    def close(self) -> None:
        """Close everything; raises what a script raised."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(WAIT_SECONDS)
        self._listener.close()
        with self._happened:
            for sock in self._peers:
                _end(sock)
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive(), "a script does not end"
        if self._failures:
            raise self._failures[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self.close()
        except BaseException:
            if error is None:
                raise

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # the server is closed
            with self._happened:
                script = self._scripts[min(self.connections, len(self._scripts) - 1)]
                self.connections += 1
                self._peers.add(sock)
                self._happened.notify_all()
            thread = threading.Thread(target=self._serve, args=(script, sock))
            self._threads.append(thread)
            thread.start()

    def _serve(self, script: Callable[[Peer], None], raw: socket.socket) -> None:
        sock = raw
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(raw, server_side=True)
                with self._happened:
                    self._peers.discard(raw)
                    self._peers.add(sock)
            script(Peer(sock, self))
        except OSError:
            pass  # the connection broke: what the test is about, or the server's end
        except BaseException as failure:  # noqa: BLE001 - handed to whoever closes the server
            self._failures.append(failure)
        finally:
            with self._happened:
                self._peers.discard(sock)
                sock.close()


def _end(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it ended by itself


def response(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """An HTTP/1.1 answer with a length; `Retry_After="5"` becomes a header Retry-After."""
    lines = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def replies(*answers: bytes) -> Callable[[Peer], None]:
    """A script: one answer a request, as given; then it closes."""

    def script(peer: Peer) -> None:
        for answer in answers:
            peer.request()
            peer.send(answer)

    return script


def serves(handler: Callable[[Request], bytes]) -> Callable[[Peer], None]:
    """A script: every request gets what `handler` makes of it, until the client leaves."""

    def script(peer: Peer) -> None:
        while True:
            request = peer.request()
            peer.send(handler(request))

    return script


def hangs(peer: Peer) -> None:
    """A script: a request is read and never answered."""
    peer.request()
    peer.wait_until_gone()


def closes(peer: Peer) -> None:
    """A script: a request is read and the connection closed."""
    peer.request()


def resets(peer: Peer) -> None:
    """A script: a request is read and the connection reset."""
    peer.request()
    peer.reset()


def refused_port() -> int:
    """A port of 127.0.0.1 where nobody listens (one that was free a moment ago)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
