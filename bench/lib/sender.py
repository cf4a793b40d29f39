"""Sends requests made beforehand over some keep-alive connections, each in its order, as fast as they are answered."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import deque
from typing import TYPE_CHECKING

from bench.lib.process import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.encoded import Protocol

_SAYS = {
    "1.0": "Content-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0",
    "2.0": "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"
    "X-Prometheus-Remote-Write-Version: 2.0.0",
}
_RECEIVE_BYTES = 64 << 10
_AGAIN = {429, 503}
_PAUSE_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0


class Sender:
    """Connections to one store."""

    def __init__(self, port: int, path: str, connections: int, protocol: Protocol = "1.0") -> None:
        self._port = port
        self._path = path
        self._protocol = protocol
        self._selector = selectors.DefaultSelector()
        self._lanes = [_Lane(port, self._selector) for _ in range(connections)]
        self.put_off = 0
        """Requests answered 429 or 503 and sent again."""
        self.longest_seconds = 0.0
        """The longest that one request waited for its answer, those sent again included."""

    def frame(self, body: bytes) -> bytes:
        """A whole request."""
        return (
            f"POST {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUser-Agent: kpwatch-bench\r\n"
            f"{_SAYS[self._protocol]}\r\nContent-Encoding: snappy\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def send(self, requests: Sequence[tuple[int, bytes]]) -> float:
        """Send framed requests, each on its lane (modulo their number); gives seconds until all are answered."""
        for lane_number, request in requests:
            self._lanes[lane_number % len(self._lanes)].waiting.append(request)
        began = time.monotonic()
        busy = [lane for lane in self._lanes if lane.waiting]
        for lane in busy:
            lane.began = time.monotonic()
            lane.begin()
        left = len(busy)
        while left:
            events = self._selector.select(_PATIENCE_SECONDS)
            if not events:
                raise BenchError(f"no answer on port {self._port} for {_PATIENCE_SECONDS:g} s")
            for key, _ in events:
                left -= self._turn(key.data)
        return time.monotonic() - began

    def close(self) -> None:
        """Close all connections."""
        for lane in self._lanes:
            lane.close()
        self._selector.close()

    def _turn(self, lane: _Lane) -> bool:
        """Move one lane on; whether it has nothing left."""
        if lane.unsent:
            lane.push()
            return False
        status = lane.receive()
        if status is None:
            return False
        if status in _AGAIN:
            self.put_off += 1
            time.sleep(_PAUSE_SECONDS)
        else:
            lane.waiting.popleft()
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - lane.began)
            lane.began = time.monotonic()
        if lane.waiting:
            lane.begin()
        return not lane.waiting


class _Lane:
    """One connection; a new one takes its place when the server ends it, as servers do from time to time."""

    def __init__(self, port: int, selector: selectors.BaseSelector) -> None:
        self._port = port
        self._selector = selector
        self._received = b""
        self.waiting: deque[bytes] = deque()
        self.unsent = memoryview(b"")
        self.began = 0.0
        """When the request that is on its way was sent first."""
        self._connect()

    def close(self) -> None:
        """Close the connection."""
        self._selector.unregister(self._sock)
        self._sock.close()

    def begin(self) -> None:
        """Send the first that waits."""
        self.unsent = memoryview(self.waiting[0])
        self.push()

    def push(self) -> None:
        """Send what the connection takes now."""
        with contextlib.suppress(BlockingIOError):  # the buffer is full: go on when it can be written
            self.unsent = self.unsent[self._sock.send(self.unsent) :]
        self._selector.modify(self._sock, selectors.EVENT_WRITE if self.unsent else selectors.EVENT_READ, self)

    def receive(self) -> int | None:
        """The status, once the answer is complete; raises BenchError for what must not come."""
        piece = self._sock.recv(_RECEIVE_BYTES)
        if not piece:
            if self._received:
                raise BenchError(f"the connection was closed after {self._received!r}")
            self._reconnect()
            if self.waiting:
                self.begin()
            return None
        self._received += piece
        head, end, body = self._received.partition(b"\r\n\r\n")
        fields = head.lower()
        _, found, length = fields.partition(b"content-length:")
        if not end or (found and len(body) < int(length.partition(b"\r\n")[0])):
            return None
        status = int(head.split(b" ", 2)[1])
        if status // 100 != 2 and status not in _AGAIN:
            raise BenchError(f"answered {status}: {body[:500].decode(errors='replace')}")
        self._received = b""
        if b"connection: close" in fields:
            self._reconnect()
        return status

    def _connect(self) -> None:
        self._sock = socket.create_connection(("127.0.0.1", self._port))
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._sock, selectors.EVENT_READ, self)
        self._received = b""
        self.unsent = memoryview(b"")

    def _reconnect(self) -> None:
        self.close()
        self._connect()
