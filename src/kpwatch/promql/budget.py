"""What one query may use: cells held at a time, and seconds.

The evaluator holds cells when it loads a slice or makes a result, and lets them go when it is done with them; so what
is bounded is memory at a time, not work. Work is bounded by the deadline, which is looked at whenever cells are held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.errors import QueryTimeout, QueryTooLarge

if TYPE_CHECKING:
    from kpwatch.base.clock import Clock


class Budget:
    """Bounds one query: cells held at a time, and seconds."""

    def __init__(self, max_samples: int, timeout_seconds: float, clock: Clock) -> None:
        self._max_samples = max_samples
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._deadline = clock.monotonic_seconds() + timeout_seconds
        self.held = self.peak = self.total = 0

    def hold(self, cells: int) -> None:
        """Count `cells` more; raises QueryTooLarge over the limit, QueryTimeout after the deadline."""
        self.held += cells
        if cells > 0:
            self.total += cells
        self.peak = max(self.peak, self.held)
        if self.held > self._max_samples:
            raise QueryTooLarge(
                "query processing would load too many samples into memory in expression evaluation: more than "
                f"{self._max_samples} (--query-max-samples); select fewer series, a shorter range or a longer step"
            )
        self.check_time()

    def check_time(self) -> None:
        """Raises QueryTimeout after the deadline."""
        if self._clock.monotonic_seconds() > self._deadline:
            raise QueryTimeout(
                f"query timed out in expression evaluation after {self._timeout_seconds:g} s (--query-timeout)"
            )
