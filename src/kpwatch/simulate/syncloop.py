"""The sync loop of one kube-proxy, as a sequence of events.

    change --> pending, queued --> (minSyncPeriod) --> sync starts: pending = 0 --> success: last = now
                                                                                --> failure: retry in syncPeriod, full

(kube-proxy's pkg/proxy, as read in 1.20 to 1.36; one address family.) The loop is deterministic: advancing it to an
instant in one step or in many gives the same state, because chance comes from a generator that only events draw from.
It cannot go back; whoever wants the past makes a new one.

The process around the loop lives on the same events: each sync and each 5 s tick allocates, the heap is collected when
it is full, probes ask for health every 10 s.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpwatch.simulate.changes import changes_after
from kpwatch.simulate.faults import effect_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpwatch.simulate.changes import Change
    from kpwatch.simulate.faults import Fault

MIN_SYNC_SECONDS = 1.0
RETRY_SECONDS = 30.0
"""syncPeriod: a failed sync is tried again after it."""
UNHEALTHY_SECONDS = 60.0
"""2 x syncPeriod: a change that waits longer makes /healthz answer 503."""
TICK_SECONDS = 5.0
_TICKS_PER_PROBE = 2
_TICK_BYTES = 60_000
_SYNC_BYTES = 1_200_000
_NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Traits:
    """What one proxy is like. Durations in seconds, sizes in bytes."""

    seed: str
    cluster: str
    minor: int
    partial_syncs: bool
    """Whether this version and mode writes only what changed."""
    rules: int
    """Rules a full sync writes to the nat table."""
    sync_seconds: float
    """Median of a partial sync."""
    heap_room_bytes: int
    """What may be allocated before the first collection."""
    heap_step_bytes: int
    """What one collection frees."""


class Tally:
    """Observations counted into buckets: `counts[i]` of those <= `bounds[i]`, the last of those beyond all."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count `value` into the first bucket it fits."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class State:
    """Everything that moves, since the loop began. Counters are increases, times unix seconds."""

    queued: float
    last: float
    oldest_waiting: float | None = None
    """When the first change came that no sync has applied yet."""
    changes: int = 0
    pending: int = 0
    syncs: int = 0
    sync_failures: int = 0
    partial_failures: int = 0
    rules_last: int = 0
    """Rules the last sync wrote; 0 until there was one."""
    ticks: int = 0
    healthz: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    """Probes answered, by whether the answer was 200."""
    allocated: int = 0
    collections: int = 0
    collected_at: float = 0.0


class SyncLoop:
    """One proxy's loop from `born` (unix seconds) on. `tallies`: name -> histogram its observations go to."""

    def __init__(
        self, traits: Traits, born: float, state: State, tallies: Mapping[str, Tally], faults: Sequence[Fault]
    ) -> None:
        self.state = state
        self.tallies = tallies
        self._traits = traits
        self._faults = faults
        self._random = random.Random(traits.seed)  # noqa: S311 - chance that must repeat, not secrecy
        self._coming = changes_after(traits.cluster, born)
        self._change = next(self._coming)
        self._taken: list[Change] = []
        self._waiting: list[Change] = []
        self._start_at = _NEVER
        self._end_at = _NEVER
        self._seconds = 0.0
        self._full = False
        self._full_next = False
        self._ended_at = born
        self._tick_at = born + TICK_SECONDS * self._random.random()

    def advance(self, until: float) -> None:
        """Let everything happen that happens up to and including `until`."""
        while True:
            at = min(self._change.at, self._start_at, self._end_at, self._tick_at)
            if at > until:
                return
            if at == self._tick_at:
                self._tick()
            elif at == self._end_at:
                self._end(at)
            elif at == self._start_at:
                self._start(at)
            else:
                self._arrive(self._change)
                self._change = next(self._coming)

    def unhealthy_since(self) -> float:
        """When /healthz turns or turned 503, unless a sync succeeds first; inf = nothing waits.

        Up to 1.24 the newest waiting change counts, so steady change hides a failure (k/k#105742); since, the oldest.
        """
        if self.state.oldest_waiting is None:
            return _NEVER
        waiting_since = self.state.queued if self._traits.minor < 25 else self.state.oldest_waiting
        return waiting_since + UNHEALTHY_SECONDS

    def _tick(self) -> None:
        at, state = self._tick_at, self.state
        state.ticks += 1
        if state.ticks % _TICKS_PER_PROBE == 0:
            state.healthz[at < self.unhealthy_since()] += 1
        self._allocate(_TICK_BYTES, at)
        self._tick_at = at + TICK_SECONDS

    def _arrive(self, change: Change) -> None:
        state = self.state
        state.changes += change.objects
        state.pending += change.objects
        state.queued = change.at
        if state.oldest_waiting is None:
            state.oldest_waiting = change.at
        self._waiting.append(change)
        if self._end_at == _NEVER:
            self._start_at = min(self._start_at, max(change.at + 0.02, self._ended_at + MIN_SYNC_SECONDS))

    def _start(self, at: float) -> None:
        self.state.pending = 0
        self._taken, self._waiting = self._waiting, []
        self._full = self._full_next or not self._traits.partial_syncs
        self._seconds = (
            self._traits.sync_seconds * (2.0 if self._full else 1.0) * self._random.lognormvariate(0.0, 0.35)
        )
        self._start_at = _NEVER
        self._end_at = at + self._seconds

    def _end(self, at: float) -> None:
        state = self.state
        state.syncs += 1
        self._end_at = _NEVER
        self._ended_at = at
        if self._waiting:
            self._start_at = at + MIN_SYNC_SECONDS
        if effect_at(self._faults, at).sync_fails:
            self._fail(at)
        else:
            self._succeed(at)
        self._observe("sync", self._seconds)
        self._observe("full" if self._full else "partial", self._seconds)
        self._allocate(_SYNC_BYTES, at)

    def _fail(self, at: float) -> None:
        state = self.state
        state.sync_failures += 1
        state.partial_failures += not self._full
        state.rules_last = self._traits.rules if self._full else self._partial_rules()
        self._full_next = True
        self._start_at = min(self._start_at, at + RETRY_SECONDS)

    def _succeed(self, at: float) -> None:
        state = self.state
        for change in self._taken:
            for _ in range(change.objects):
                self._observe("programming", at - change.at + self._random.uniform(0.02, 0.6))
        if self._random.random() < 0.4:
            self._observe("conntrack", 0.011 * self._random.lognormvariate(0.0, 0.2))
        state.last = at
        state.oldest_waiting = self._waiting[0].at if self._waiting else None
        state.rules_last = self._traits.rules if self._full else self._partial_rules()
        self._full_next = False

    def _partial_rules(self) -> int:
        return int(self._traits.rules * self._random.uniform(0.09, 0.14))

    def _observe(self, name: str, seconds: float) -> None:
        tally = self.tallies.get(name)
        if tally is not None:
            tally.observe(seconds)

    def _allocate(self, size: int, at: float) -> None:
        state, traits = self.state, self._traits
        state.allocated += size
        if state.allocated >= traits.heap_room_bytes + state.collections * traits.heap_step_bytes:
            state.collections += 1
            state.collected_at = at
