"""A small HTTP/1.1 server for the other side of a measured program: keep-alive, no threads, next to no work.

Answers are bytes made beforehand. It reads requests with a known length only, which is what agents send.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_RECEIVE_BYTES = 1 << 20
_SEND_BUFFER_BYTES = 1 << 20


class Request(NamedTuple):
    """One request; `head` is lower-case."""

    head: bytes
    body: bytes


class Server:
    """Serves any number of listening sockets, each with an answerer of its own, until told to stop."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self._running = True

    def listen(self, answer: Callable[[Request], bytes]) -> int:
        """Listen on a free port of 127.0.0.1; gives the port."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener, answer))
        port: int = listener.getsockname()[1]
        return port

    def run(self) -> None:
        """Serve until `stop`."""
        while self._running:
            for key, _ in self.selector.select():
                key.data()

    def stop(self) -> None:
        """Make `run` return."""
        self._running = False

    def _accept(self, listener: socket.socket, answer: Callable[[Request], bytes]) -> None:
        sock, _ = listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        client = _Client(self.selector, sock, answer)
        self.selector.register(sock, selectors.EVENT_READ, client.ready)


class _Client:
    def __init__(
        self, selector: selectors.BaseSelector, sock: socket.socket, answer: Callable[[Request], bytes]
    ) -> None:
        self._selector = selector
        self._sock = sock
        self._answer = answer
        self._received = bytearray()
        self._unsent = memoryview(b"")

    def ready(self) -> None:
        """Something can be read or written."""
        try:
            if self._unsent:
                self._send()
                return
            piece = self._sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""  # the program was killed, or ended: the same as a closed connection
        if not piece:
            self._selector.unregister(self._sock)
            self._sock.close()
            return
        self._received += piece
        request = self._take()
        if request is not None:
            self._unsent = memoryview(self._answer(request))
            self._send()

    def _take(self) -> Request | None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self._received[:end]).lower()
        _, found, rest = head.partition(b"content-length:")
        after = end + 4 + (int(rest.partition(b"\r\n")[0]) if found else 0)
        if len(self._received) < after:
            return None
        body = bytes(self._received[end + 4 : after])
        del self._received[:after]
        return Request(head, body)

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the buffer is full: go on when it can be written
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
        events = selectors.EVENT_WRITE if self._unsent else selectors.EVENT_READ
        if self._selector.get_key(self._sock).events != events:
            self._selector.modify(self._sock, events, self.ready)
