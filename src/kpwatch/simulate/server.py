"""A fleet on real sockets: two ports a node, one event loop in one thread for all of them.

A node whose ident is 10.A.B.C is served on its own loopback address 127.A.B.C and kube-proxy's true ports, so that
what works for a kube-proxy works for it, the health port beside the metrics port included. Where that address or its
ports cannot be had (macOS, taken), it gets free ports of 127.0.0.1. Bodies are made when they are asked for, so a
thousand idle nodes cost two sockets each.

A port that a fault closes stays bound without listening: it refuses connections and nobody else can take it.
"""

from __future__ import annotations

import asyncio
import math
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import BadInput, UsageError
from kpwatch.simulate.answers import (
    Answer,
    answer_health_port,
    answer_metrics_port,
    bad_request,
    frame,
    parse_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.base.clock import Clock
    from kpwatch.simulate.answers import Request
    from kpwatch.simulate.node import SimulatedNode

METRICS_PORT = 10249
HEALTH_PORT = 10256
_BACKLOG = 64
_TRIES = 20
_HEAD_LIMIT_BYTES = 16 << 10
_OPEN_FOR = {"metrics": ("open", "silent"), "health": ("open", "silent", "metrics-closed")}
"""Port -> states of a node (faults.Ports) in which it accepts connections."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where nodes are served. host "" = each on its own loopback address; port 0 = free ports, else counted up."""

    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class Served:
    """One node and where it answers."""

    node: SimulatedNode
    metrics_url: str
    """`http://HOST:PORT/metrics`."""
    health_url: str
    """`http://HOST:PORT`, the base of /healthz and /livez."""


class FleetServer:
    """Serves `nodes` from `start()` to `stop()`. Raises UsageError where an address in `place` cannot be bound."""

    def __init__(self, nodes: Sequence[SimulatedNode], place: Place | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="simulated-fleet", daemon=True)
        self._ports: list[_Port] = []
        self.served: list[Served] = []
        try:
            for number, node in enumerate(nodes):
                self._bind(node, number, place or Place())
        except BaseException:
            self._release()
            raise

    def start(self) -> None:
        """Listen; returns when every open port does."""
        for port in self._ports:
            self._loop.run_until_complete(port.follow())
        self._thread.start()

    def stop(self) -> None:
        """Close everything; returns when the thread has ended."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        elif not self._loop.is_closed():
            self._release()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._release()

    def _release(self) -> None:
        for port in self._ports:
            port.release()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _bind(self, node: SimulatedNode, number: int, place: Place) -> None:
        metrics_socket, health_socket = _bind_pair(node.ident, number, place)
        self._ports.append(_Port("metrics", metrics_socket, node, answer_metrics_port, self._loop, self._clock))
        self._ports.append(_Port("health", health_socket, node, answer_health_port, self._loop, self._clock))
        self.served.append(Served(node, f"{_base_url(metrics_socket)}/metrics", _base_url(health_socket)))


def _base_url(bound: socket.socket) -> str:
    host, port = bound.getsockname()
    return f"http://{host}:{port}"


def _bind_pair(ident: str, number: int, place: Place) -> tuple[socket.socket, socket.socket]:
    """The two sockets of a node, bound and not yet listening."""
    if place.host:
        port = place.port + 2 * number
        try:
            return _bind_both((place.host, port), (place.host, port + 1)) if place.port else _bind_beside(place.host)
        except OSError as error:
            where = f"{place.host}:{port}"
            raise UsageError(f"cannot listen on {where} for {ident}: {error}; choose another --listen") from error
    if ident.startswith("10."):
        own = "127" + ident[2:]
        with suppress(OSError):  # not ours to have: the free ports below are announced in the URL
            return _bind_both((own, METRICS_PORT), (own, HEALTH_PORT))
    return _bind_beside("127.0.0.1")


def _bind_beside(host: str) -> tuple[socket.socket, socket.socket]:
    """Two free ports, the second next to the first where it can be had: there the doctor looks for it."""
    for _ in range(_TRIES):
        first = _bound((host, 0))
        try:
            return first, _bound((host, first.getsockname()[1] + 1))
        except (OSError, OverflowError):
            first.close()
    return _bind_both((host, 0), (host, 0))


def _bind_both(metrics: tuple[str, int], health: tuple[str, int]) -> tuple[socket.socket, socket.socket]:
    first = _bound(metrics)
    try:
        return first, _bound(health)
    except OSError:
        first.close()
        raise


def _bound(address: tuple[str, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


class _Port:
    """One port of one node: listens or does not, as the node's faults say."""

    def __init__(
        self,
        name: str,
        bound: socket.socket,
        node: SimulatedNode,
        answer: Callable[[SimulatedNode, Request, float], Answer],
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        self.node = node
        self.answer = answer
        self.clock = clock
        self.connections: set[asyncio.Transport] = set()
        self._open_states = _OPEN_FOR[name]
        self._address: tuple[str, int] = bound.getsockname()
        self._reserved: socket.socket | None = bound
        self._server: asyncio.Server | None = None
        self.loop = loop
        self._task: asyncio.Task[None] | None = None

    @property
    def silent(self) -> bool:
        """Whether requests are taken and not answered now."""
        return self.node.ports(self.clock.unix_seconds()) == "silent"

    async def follow(self) -> None:
        """Open or close as it must be now, and again whenever that may change."""
        now = self.clock.unix_seconds()
        should_listen = self.node.ports(now) in self._open_states
        if should_listen and self._server is None:
            await self._listen()
        elif not should_listen and self._server is not None:
            self._refuse()
        turn = self.node.next_turn(now)
        if turn < math.inf:
            self.loop.call_later(turn - now + 0.001, self._follow_later)

    def _follow_later(self) -> None:
        self._task = self.loop.create_task(self.follow())

    async def _listen(self) -> None:
        assert self._reserved is not None
        self._server = await self.loop.create_server(lambda: _Connection(self), sock=self._reserved, backlog=_BACKLOG)
        self._reserved = None

    def _refuse(self) -> None:
        self._hang_up()
        self._reserved = _bound(self._address)

    def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self.connections):
            transport.abort()

    def release(self) -> None:
        """Give the port back."""
        self._hang_up()
        if self._reserved is not None:
            self._reserved.close()


class _Connection(asyncio.Protocol):
    """One client: requests in, answers out, in order."""

    def __init__(self, port: _Port) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._waits = False
        """Whether an answer is held back; requests behind it wait."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._port.connections.add(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        if self._transport is not None:
            self._port.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._port.silent:
            return
        self._received += data
        self._reply_all()

    def _reply_all(self) -> None:
        assert self._transport is not None
        while not self._waits and b"\r\n\r\n" in self._received and not self._transport.is_closing():
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._reply(head)
        if len(self._received) > _HEAD_LIMIT_BYTES:
            self._refuse(f"a request's head is at most {_HEAD_LIMIT_BYTES} bytes")

    def _reply(self, head: bytes) -> None:
        assert self._transport is not None
        try:
            request = parse_request(head)
        except BadInput as error:
            self._refuse(str(error))
            return
        node, now = self._port.node, self._port.clock.unix_seconds()
        answer = self._port.answer(node, request, now)
        framed = frame(answer, request, node.clock(now))
        if not answer.delay_seconds:
            self._send(framed, request)
            return
        self._waits = True
        if answer.delay_seconds < math.inf:
            self._port.loop.call_later(answer.delay_seconds, self._send, framed, request)

    def _send(self, framed: bytes, request: Request) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._transport.write(framed)
        if not request.keep_alive:
            self._transport.close()
        elif self._waits:
            self._waits = False
            self._reply_all()

    def _refuse(self, reason: str) -> None:
        assert self._transport is not None
        self._transport.write(frame(bad_request(reason), None, self._port.node.clock(self._port.clock.unix_seconds())))
        self._transport.close()
