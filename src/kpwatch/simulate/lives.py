"""The processes of one node, one after the other.

spec.started --> dies at a restart --> 1 s --> fresh --> dies … (crash loop: kubelet waits 10 s, 20 s, … 5 min)
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpwatch.simulate.faults import Fault

_SETTLED_SECONDS = 60.0
_DOWN_SECONDS = 1.0
_LOOP_LIFE_SECONDS = 90.0
_LOOP_FIRST_WAIT_SECONDS = 10.0
_LOOP_LAST_WAIT_SECONDS = 300.0


class Life(NamedTuple):
    """One process, from `started` until `ended` (unix seconds)."""

    number: int
    started: float
    ended: float


def lives(started: float, faults: Sequence[Fault]) -> Iterator[Life]:
    """All processes in time order; the last one, if there is one, ends at inf."""
    number = 0
    for died, restarted in heapq.merge(*(_deaths(fault, started) for fault in faults)):
        if died < started:
            continue  # it was not running
        yield Life(number, started, died)
        number, started = number + 1, restarted
    yield Life(number, started, math.inf)


def _deaths(fault: Fault, born: float) -> Iterator[tuple[float, float]]:
    """(death, next start) as `fault` brings them to a node that exists since `born`."""
    kind = fault.row.effect.restarts
    if kind == "once" and fault.start > born:
        yield fault.start, round(fault.start + _DOWN_SECONDS, 2)
    elif kind == "over and over":
        wait_seconds = _LOOP_FIRST_WAIT_SECONDS
        died = max(fault.start, born + _SETTLED_SECONDS)
        while died < fault.end:
            yield died, round(died + wait_seconds, 2)
            died += wait_seconds + _LOOP_LIFE_SECONDS
            wait_seconds = min(2 * wait_seconds, _LOOP_LAST_WAIT_SECONDS)
