"""How a verb that runs until it is told ends: SIGINT and SIGTERM set an event, and nothing is cut off in the middle.

CPython notes a signal and calls its handler at the next instruction of the main thread. Where that is about to wait for
a lock there is none, and a signal that comes then is not heard until another one comes; while other threads hold the
interpreter "then" lasts for milliseconds. So who waits here waits for a socket, to which CPython writes each signal
(`signal.set_wakeup_fd`).
"""

from __future__ import annotations

import select
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_DRAINED_BYTES = 4096


class _Told(threading.Event):
    """An event whose `wait` is woken by signals."""

    def __init__(self) -> None:
        super().__init__()
        self.hearing, self.waking = socket.socketpair()
        self.hearing.setblocking(False)
        self.waking.setblocking(False)

    def set(self) -> None:
        """See Event."""
        super().set()
        with suppress(OSError):  # full: then there is enough to wake by; closed: then nobody waits
            self.waking.send(b"\0")

    def wait(self, timeout: float | None = None) -> bool:
        """See Event; with a `timeout` (seconds) it may return before, where another signal came."""
        while not self.is_set():
            select.select([self.hearing], [], [], timeout)
            with suppress(BlockingIOError):
                self.hearing.recv(_DRAINED_BYTES)
            if timeout is not None:
                break
        return self.is_set()

    def close(self) -> None:
        """Nobody waits any more."""
        self.hearing.close()
        self.waking.close()


@contextmanager
def until_told_to_end() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second signal acts as it did before."""
    told = _Told()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    woken_before = signal.set_wakeup_fd(told.waking.fileno(), warn_on_full_buffer=False)

    def tell(_number: int, _frame: object) -> None:
        told.set()
        _restore()

    def _restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in _SIGNALS:
        signal.signal(number, tell)
    try:
        yield told
    finally:
        _restore()
        signal.set_wakeup_fd(woken_before)
        told.close()
