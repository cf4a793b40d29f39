"""Faults: what can be wrong with a simulated node, from when to when.

A fault is named after the check that should find it. What it does is a row of `EFFECTS`; everything else in this room
asks `effect_at(faults, t)` and never looks at names. A new fault is a new row, and a new field of `Effect` only where
no part of the proxy can be hurt that way yet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kpwatch.base.durations import parse_go
from kpwatch.base.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

Ports = Literal["open", "metrics-closed", "silent", "closed"]
"""Both answer; only the health port does; both accept and never answer; both refuse."""

_WORSE: tuple[Ports, ...] = ("open", "metrics-closed", "silent", "closed")


@dataclass(frozen=True, slots=True)
class Effect:
    """What is wrong at one instant; the defaults are health."""

    sync_fails: bool = False
    """The program that writes the rules exits with an error."""
    ports: Ports = "open"


HEALTHY = Effect()

EFFECTS: dict[str, Effect] = {
    "sync-failing": Effect(sync_fails=True),
    "unreachable": Effect(ports="closed"),
    "frozen": Effect(ports="silent"),
    "metrics-refused": Effect(ports="metrics-closed"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`name` is a row of EFFECTS; active from `start` up to, not including, `end` (unix seconds)."""

    name: str
    start: float = -math.inf
    end: float = math.inf

    def __post_init__(self) -> None:
        if self.name not in EFFECTS:
            raise UsageError(f"unknown fault {self.name!r}; there are {', '.join(sorted(EFFECTS))}")


def effect_at(faults: Iterable[Fault], at: float) -> Effect:
    """All faults active at `at` together: of each field, the worst."""
    active = [EFFECTS[fault.name] for fault in faults if fault.start <= at < fault.end]
    if not active:
        return HEALTHY
    return Effect(
        sync_fails=any(effect.sync_fails for effect in active),
        ports=max((effect.ports for effect in active), key=_WORSE.index),
    )


def parse_fault(text: str, now: float) -> tuple[str, Fault]:
    """`NAME@NODE[:START[:END]]` -> (node, fault); START and END are Go durations after `now`.

    Raises UsageError naming the part that is wrong.
    """
    name, at, rest = text.partition("@")
    node, *times = rest.split(":")
    if not at or not node or len(times) > 2:
        raise UsageError(f'fault {text!r}: expected NAME@NODE[:START[:END]], such as "sync-failing@10.206.0.7:30s:5m"')
    try:
        moments = [now + parse_go(time) for time in times]
    except ValueError as error:
        raise UsageError(f"fault {text!r}: START or END: {error}") from error
    return node, Fault(name, *(moments or [-math.inf]))
