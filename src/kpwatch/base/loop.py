"""One thread that waits for sockets and timers: the agent's heart.

asyncio would do and costs 11 MB of memory; `selectors` and a heap of timers are what the agent needs of it. Callbacks
run one after the other on the thread that called `run`; only `call_from_thread` may be called from another. A callback
that raises is reported to `on_error` and costs nobody else their turn.

Waking up costs more than most callbacks do. So what is asked for at once is called at the end of the turn, and what has
patience waits until the loop is awake for something else.
"""

from __future__ import annotations

import heapq
import selectors
import socket
from collections import deque
from typing import TYPE_CHECKING

from kpwatch.base.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.clock import Clock

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

RECEIVE_BUFFER_BYTES = 128 << 10
"""Room for a kube-proxy's whole body."""


class Timer:
    """A callback that is due at a time; `cancel` makes it never happen."""

    __slots__ = ("callback", "due_seconds", "may_seconds")

    def __init__(self, may_seconds: float, due_seconds: float, callback: Callable[[], None]) -> None:
        self.may_seconds = may_seconds
        """From when on it may be called, where the loop is awake; at `due_seconds` the loop wakes up for it."""
        self.due_seconds = due_seconds
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Forget the callback; harmless when it has run already."""
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return self.due_seconds < other.due_seconds


class Loop:
    """Waits and calls back."""

    def __init__(self, on_error: Callable[[Exception], None], clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.receive_buffer = memoryview(bytearray(RECEIVE_BUFFER_BYTES))
        """Where whoever reads a socket puts its bytes for the length of one callback."""
        self._on_error = on_error
        self._selector = selectors.DefaultSelector()
        self._timers: list[Timer] = []
        self._patient: list[Timer] = []
        """Those of the timers that may be called before they are due."""
        self._soon: deque[Timer] = deque()
        """To be called at the end of this turn."""
        self._from_threads: deque[Callable[[], None]] = deque()
        self._running = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self.watch(self._wake_reader, READ, self._drain_wakes)

    def watch(self, sock: socket.socket, events: int, callback: Callable[[], None]) -> None:
        """Call back whenever `sock` is ready for one of `events`, until `unwatch`."""
        try:
            self._selector.modify(sock, events, callback)
        except KeyError:
            self._selector.register(sock, events, callback)

    def unwatch(self, sock: socket.socket) -> None:
        """Stop watching; harmless when it is not watched."""
        try:
            self._selector.unregister(sock)
        except (KeyError, ValueError):
            return  # it was not watched, or is closed and so watched no more: nothing to undo

    def call_later(self, seconds: float, callback: Callable[[], None], *, patience_seconds: float = 0.0) -> Timer:
        """Call back once in `seconds`; with patience up to so much later, when the loop is awake for something else."""
        may_seconds = self.clock.monotonic_seconds() + seconds
        timer = Timer(may_seconds, may_seconds + patience_seconds, callback)
        if not seconds and not patience_seconds:
            self._soon.append(timer)
            return timer
        heapq.heappush(self._timers, timer)
        if patience_seconds:
            self._patient.append(timer)
        return timer

    def call_from_thread(self, callback: Callable[[], None]) -> None:
        """Call back on the loop's thread as soon as it is free; also from a signal handler."""
        self._from_threads.append(callback)
        self.wake()

    def wake(self) -> None:
        """Make a waiting loop look again."""
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            return  # enough wake-ups are under way, or the loop is closed and nobody is left to wake

    def run(self) -> None:
        """Wait and call back until `stop`."""
        self._running = True
        while self._running:
            self._turn()

    def stop(self) -> None:
        """Make `run` return; on the loop's thread (else by `call_from_thread(loop.stop)`)."""
        self._running = False

    def close(self) -> None:
        """Release the selector; the loop is over."""
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _turn(self) -> None:
        watched = self._selector.get_map()
        ready = self._selector.select(self._wait_seconds())
        now = self.clock.monotonic_seconds()
        for key, _ in ready:
            if watched.get(key.fd) is key:  # a callback before this one may have unwatched it
                self._call(key.data)
        # Only what was due when the sockets were looked at: what arrived while others were served is no timeout.
        while self._timers and self._timers[0].due_seconds <= now:
            self._call_timer(heapq.heappop(self._timers))
        if self._patient:
            self._call_patient(now)
        for _ in range(len(self._soon)):  # what these ask for has its own turn, after the sockets
            self._call_timer(self._soon.popleft())

    def _call_patient(self, now_seconds: float) -> None:
        patient = [timer for timer in self._patient if timer.callback is not None]
        self._patient = [timer for timer in patient if timer.may_seconds > now_seconds]
        for timer in patient:
            if timer.may_seconds <= now_seconds:
                self._call_timer(timer)

    def _call_timer(self, timer: Timer) -> None:
        callback, timer.callback = timer.callback, None
        if callback is not None:
            self._call(callback)

    def _wait_seconds(self) -> float | None:
        if self._soon:
            return 0.0
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return max(0.0, self._timers[0].due_seconds - self.clock.monotonic_seconds())

    def _drain_wakes(self) -> None:
        try:
            while self._wake_reader.recv(4096):
                continue
        except BlockingIOError:
            pass  # drained; what was queued is called now
        while self._from_threads:
            self._call(self._from_threads.popleft())

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - one callback's bug may not stop the others; on_error counts and logs
            self._on_error(error)
