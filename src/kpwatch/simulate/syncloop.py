"""The sync loop of one kube-proxy, as a sequence of events.

    change --> pending, queued --> (minSyncPeriod) --> sync starts: pending = 0 --> success: last = now, conntrack
                                                                                --> failure: retry in syncPeriod, full

(kube-proxy's pkg/proxy, as read in 1.20 to 1.36; one address family.) The loop is deterministic: advancing it to an
instant in one step or in many gives the same state, because chance comes from a generator that only events draw from.
It cannot go back; whoever wants the past makes a new one.

A loop begins either as captured or fresh: then it waits for the API server as a new process does, and its ports are
shut until `State.ready_at`. What is wrong (faults.py) changes at instants known beforehand; those are events too.

The process around the loop lives on the same events: each sync and each 5 s tick allocates, the heap is collected when
it is full, probes ask for health every 10 s; the API client (apiclient.py) renews its watches.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kpwatch.simulate.apiclient import ApiClient, starts_with
from kpwatch.simulate.changes import changes_after
from kpwatch.simulate.faults import HEALTHY, effect_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kpwatch.simulate.changes import Change
    from kpwatch.simulate.faults import Effect, Fault

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
_START_SECONDS = 0.3
"""From the start of the process to the first list [captured: 0.2 to 0.6 s]."""
_GIVES_UP_WAITING_SECONDS = 31.0
"""Up to 1.33 a process that gets no answer to its first questions opens its ports all the same."""
_WAITS_FOR_EVER_SINCE = 34
_KILLED_SECONDS = 0.2


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
    first_changes: int = 201
    """EndpointSlices that the first list brings."""
    quiet: bool = False
    """Hardly anything changes in its cluster."""


class Tally:
    """Observations counted into buckets: `counts[i]` of those <= `bounds[i]`, the last of those beyond all."""

    __slots__ = ("bounds", "count", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.count = 0
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count `value` into the first bucket it fits."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.count += 1
        self.total += value


@dataclass(slots=True)
class State:
    """Everything that moves, since the loop began. Counters are increases, times unix seconds on the node's clock."""

    queued: float
    last: float
    """0 = no sync has succeeded yet."""
    queued_at: float = 0.0
    last_at: float = 0.0
    """The same two in true time."""
    idle_last: float = 0.0
    """Last sync of the address family that nothing happens to."""
    idle_last_at: float = 0.0
    ready_at: float = -_NEVER
    """When the ports open, in true time."""
    listed: bool = True
    """Whether EndpointSlices have come, and with them the first sync."""
    services_seen: bool = True
    oldest_waiting: float | None = None
    """When the first change came that no sync has applied yet, in true time."""
    changes: int = 0
    pending: int = 0
    syncs: int = 0
    sync_failures: int = 0
    partial_failures: int = 0
    cleanup_failures: int = 0
    rules_last: int = 0
    """Rules the last sync wrote; 0 until there was one."""
    ticks: int = 0
    healthz: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    """Probes answered, by whether the answer was 200."""
    livez: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    allocated: int = 0
    collections: int = 0
    collected_at: float = 0.0
    """In true time; 0 = as captured."""


class SyncLoop:
    """One proxy's loop from `born` (unix seconds) on. `tallies`: name -> histogram its observations go to.

    `state` None = a process that has just started, at `born`.
    """

    def __init__(
        self, traits: Traits, born: float, state: State | None, tallies: Mapping[str, Tally], faults: Sequence[Fault]
    ) -> None:
        self.tallies = tallies
        self._traits = traits
        self._faults = faults
        self._random = random.Random(traits.seed)  # noqa: S311 - chance that must repeat, not secrecy
        self._coming = changes_after(traits.cluster, born, quiet=traits.quiet)
        self._change = next(self._coming)
        self._taken: list[Change] = []
        self._waiting: list[Change] = []
        self._waiting_since = 0.0
        self._start_at = _NEVER
        self._end_at = _NEVER
        self._finish_at = _NEVER
        self._list_at = _NEVER
        self._busy = False
        self._stuck = False
        self._killed = False
        self._seconds = 0.0
        self._full = False
        self._full_next = False
        self._good_in_a_row = 0
        self._bad_in_a_row = 0
        self._started_at = born
        self._ended_at = born
        self._other_hangs_since = _NEVER
        self._tick_at = born + TICK_SECONDS * self._random.random()
        self._turns = sorted({moment for fault in faults for moment in (fault.start, fault.end) if moment > born})
        self._turns.append(_NEVER)
        self._turn_number = 0
        effect = effect_at(faults, born)
        gets_node, gets_slices = (True, True) if state else starts_with(effect.api)
        self.alone = not gets_node
        """Whether the process began without any answer from the API server."""
        self.bare = not (gets_node and gets_slices)
        """Whether it began without EndpointSlices."""
        self._effect: Effect = HEALTHY if state else replace(HEALTHY, api=effect.api)
        self.state = state or self._fresh_state(born, effect.clock_seconds, gets_node, gets_slices)
        at_work = gets_node and gets_slices
        others_at = born if at_work or self.state.ready_at == _NEVER else self.state.ready_at
        self.api = ApiClient(traits.minor, born, others_at, self._random, self._observe, connected=at_work)
        self._take_up(effect, born)

    def _fresh_state(self, born: float, clock_seconds: float, gets_node: bool, gets_slices: bool) -> State:
        if gets_node and gets_slices:
            self._list_at = born + _START_SECONDS
        patience = 0.0 if gets_node else _GIVES_UP_WAITING_SECONDS
        waits = self._traits.minor >= _WAITS_FOR_EVER_SINCE and not gets_node
        ready_at = _NEVER if waits else born + patience + _START_SECONDS
        return State(
            queued=ready_at + clock_seconds,
            last=0.0,
            queued_at=ready_at,
            ready_at=ready_at,
            listed=False,
            services_seen=gets_node,
        )

    def advance(self, until: float) -> None:
        """Let everything happen that happens up to and including `until`."""
        while True:
            at = min(
                self._change.at,
                self._start_at,
                self._end_at,
                self._finish_at,
                self._list_at,
                self._tick_at,
                self.api.next_at,
                self._turns[self._turn_number],
            )
            if at > until:
                return
            if at == self._turns[self._turn_number]:
                self._turn_number += 1
                self._take_up(effect_at(self._faults, at), at)
            elif at == self._tick_at:
                self._tick()
            elif at == self._finish_at:
                self._finish(at)
            elif at == self._end_at:
                self._end(at)
            elif at == self._start_at:
                self._start(at)
            elif at == self._list_at:
                self._list(at)
            elif at == self.api.next_at:
                self._ask(at)
            else:
                self._happen()

    @property
    def effect(self) -> Effect:
        """What is wrong at the instant advanced to."""
        return self._effect

    def unhealthy_since(self) -> float:
        """When /livez turns or turned 503, unless a sync succeeds first; inf = nothing waits.

        Up to 1.24 the newest waiting change counts, so steady change hides a failure (k/k#105742); since, the oldest.
        """
        other = self._other_hangs_since + UNHEALTHY_SECONDS
        if self.state.oldest_waiting is None:
            return other
        waiting_since = self.state.queued_at if self._traits.minor < 25 else self.state.oldest_waiting
        return min(other, waiting_since + UNHEALTHY_SECONDS)

    def _take_up(self, effect: Effect, at: float) -> None:
        """From `at` on, `effect` is what is wrong."""
        before, self._effect = self._effect, effect
        if effect.api != before.api:
            self._arrive(self.api.turn(at, effect.api), at)
        if before.sync_hangs and not effect.sync_hangs and self._busy and self._end_at == _NEVER:
            self._killed = True
            self._end_at = at + _KILLED_SECONDS
            self._seconds = self._end_at - self._started_at
        if self._stuck and not effect.loop_stuck:
            self._stuck = False
            self._request(at)
        if effect.other_family_hangs != before.other_family_hangs:
            self._other_hangs_since = at if effect.other_family_hangs else _NEVER

    def _tick(self) -> None:
        at, state = self._tick_at, self.state
        state.ticks += 1
        if state.ticks % _TICKS_PER_PROBE == 0 and at >= state.ready_at:
            alive = at < self.unhealthy_since()
            state.livez[alive] += 1
            state.healthz[alive and not self._effect.ineligible] += 1
        self._allocate(_TICK_BYTES, at)
        self._tick_at = at + TICK_SECONDS

    def _ask(self, at: float) -> None:
        brought = self.api.step(at, self._effect.api)
        if self.state.listed:
            self._arrive(brought, at)
        elif self.api.connected:
            self._list_at = at + 0.01

    def _list(self, at: float) -> None:
        """The first list has come: everything there is, to be written in one sync."""
        state = self.state
        self._list_at = _NEVER
        state.listed = state.services_seen = True
        state.ready_at = min(state.ready_at, at)
        state.changes += self._traits.first_changes
        state.pending += self._traits.first_changes
        self._request(at)

    def _happen(self) -> None:
        """Something changes in the cluster, whether this node hears of it or not."""
        change = self._change
        self._change = next(self._coming)
        if self.api.delivers and self.state.listed:
            self._arrive([change], change.at)
        else:
            self.api.miss(change)

    def _arrive(self, changes: Iterable[Change], at: float) -> None:
        state = self.state
        for change in changes:
            state.changes += change.objects
            state.pending += change.objects
            if not self._waiting:
                self._waiting_since = at
            self._waiting.append(change)
            self._request(at)

    def _request(self, at: float) -> None:
        state = self.state
        if self._effect.loop_stuck:
            self._stuck = True
            return
        state.queued = at + self._effect.clock_seconds
        state.queued_at = at
        if state.oldest_waiting is None:
            state.oldest_waiting = at
        if not self._busy:
            self._start_at = min(self._start_at, max(at + 0.02, self._ended_at + MIN_SYNC_SECONDS))

    def _start(self, at: float) -> None:
        self._start_at = _NEVER
        effect = self._effect
        state = self.state
        state.pending = 0
        self._taken, self._waiting = self._waiting, []
        flushed = effect.full_one_in > 0 and state.syncs % effect.full_one_in == 0
        self._full = self._full_next or flushed or not self._traits.partial_syncs or not self._written
        self._seconds = (
            self._traits.sync_seconds * (2.0 if self._full else 1.0) * self._random.lognormvariate(0.0, 0.35)
        )
        self._seconds += effect.sync_seconds + (effect.full_seconds if self._full else 0.0)
        self._busy = True
        self._killed = False
        self._started_at = at
        self._end_at = _NEVER if effect.sync_hangs else at + self._seconds

    @property
    def _written(self) -> bool:
        """Whether this process has written the rules before."""
        return self.state.last > 0

    def _end(self, at: float) -> None:
        self._end_at = _NEVER
        conntrack_seconds = 0.0
        if self._fails():
            self._fail(at)
        else:
            conntrack_seconds = self._succeed(at)
        if conntrack_seconds > MIN_SYNC_SECONDS:
            self._seconds += conntrack_seconds
            self._finish_at = at + conntrack_seconds
        else:
            self._finish(at)

    def _finish(self, at: float) -> None:
        """The sync gives its lock back."""
        state = self.state
        self._finish_at = _NEVER
        self._busy = False
        state.syncs += 1
        self._ended_at = at
        if not state.idle_last_at:
            state.idle_last, state.idle_last_at = at + self._effect.clock_seconds, at
        if self._waiting:
            self._start_at = min(self._start_at, at + MIN_SYNC_SECONDS)
        self._observe("sync", self._seconds)
        self._observe("full" if self._full else "partial", self._seconds)
        self._allocate(_SYNC_BYTES, at)

    def _fails(self) -> bool:
        effect = self._effect
        after = effect.sync_fails_after
        return (
            effect.sync_fails
            or effect.descriptors_gone
            or self._killed
            or (effect.partial_fails and not self._full)
            or (after > 0 and (self._good_in_a_row >= after or self._bad_in_a_row == 1))
        )

    def _fail(self, at: float) -> None:
        state = self.state
        self._good_in_a_row = 0
        self._bad_in_a_row += 1
        if not self._effect.descriptors_gone:  # else nothing got as far as the program that is counted
            state.sync_failures += 1
            state.partial_failures += not self._full
            state.rules_last = self._traits.rules if self._full else self._partial_rules()
        self._full_next = True
        self._start_at = min(self._start_at, at + RETRY_SECONDS)

    def _succeed(self, at: float) -> float:
        """Everything taken is in the kernel; what clearing conntrack will take, in seconds."""
        state, effect = self.state, self._effect
        late = effect.upstream_seconds + effect.clock_seconds
        for change in self._taken:
            for _ in range(change.objects):
                self._observe("programming", at - change.at + late + self._random.uniform(0.02, 0.6))
        conntrack_seconds = 0.0
        if self._random.random() < 0.4 or effect.conntrack_seconds:
            conntrack_seconds = 0.011 * self._random.lognormvariate(0.0, 0.2) + effect.conntrack_seconds
            self._observe("conntrack", conntrack_seconds)
        self._good_in_a_row += 1
        self._bad_in_a_row = 0
        state.cleanup_failures += effect.cleanup_fails
        state.last, state.last_at = at + effect.clock_seconds, at
        state.oldest_waiting = self._waiting_since if self._waiting else None
        state.rules_last = self._traits.rules if self._full else self._partial_rules()
        self._full_next = False
        return conntrack_seconds

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
