"""How a verb that runs until it is told ends: SIGINT and SIGTERM set an event, and nothing is cut off in the middle."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def until_told_to_end() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second signal acts as it did before."""
    told = threading.Event()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

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
