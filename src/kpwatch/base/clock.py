"""The only reader of time.

Rooms that need the time take a `Clock`; tests hand in one they can move. `unix_*` is the wall clock (it may jump),
`monotonic_seconds` never goes back and has no meaning but differences.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def unix_seconds(self) -> float:
        """Seconds since 1970 by the wall clock."""
        ...

    def unix_ms(self) -> int:
        """Whole milliseconds since 1970 by the wall clock."""
        ...

    def monotonic_seconds(self) -> float:
        """Seconds that never go back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def unix_seconds(self) -> float:
        """Seconds since 1970 by the wall clock."""
        return time.time()

    def unix_ms(self) -> int:
        """Whole milliseconds since 1970 by the wall clock."""
        return time.time_ns() // 1_000_000

    def monotonic_seconds(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


SYSTEM_CLOCK = SystemClock()


def local_text(unix_seconds: float, form: str) -> str:
    """A wall-clock time in the machine's own zone (`TZ`), in strftime's `form`."""
    return time.strftime(form, time.localtime(unix_seconds))


def utc_text(unix_seconds: float) -> str:
    """A wall-clock time as RFC 3339 has it: `2022-11-09T05:30:17.123Z`."""
    whole_ms = round(unix_seconds * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole_ms // 1000)) + f".{whole_ms % 1000:03}Z"
