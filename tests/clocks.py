"""A clock that stands still until a test moves it."""

from __future__ import annotations


class MovedClock:
    """Both clocks of `base.clock.Clock`; `advance` moves them together."""

    def __init__(self, unix_seconds: float = 1_700_000_000.0) -> None:
        self._unix_seconds = unix_seconds
        self._monotonic_seconds = 1000.0

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._unix_seconds += seconds
        self._monotonic_seconds += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock; no time passes."""
        self._unix_seconds += seconds

    def unix_seconds(self) -> float:
        """Seconds since 1970."""
        return self._unix_seconds

    def unix_ms(self) -> int:
        """Whole milliseconds since 1970."""
        return round(self._unix_seconds * 1000)

    def monotonic_seconds(self) -> float:
        """Seconds that never go back."""
        return self._monotonic_seconds
