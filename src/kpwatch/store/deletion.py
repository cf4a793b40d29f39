"""Deleting series: because somebody asks for it, not because of their age.

Target by target: what waits in the journal is sealed, then every block with samples in the range is written again
without them, or goes. Each block is one transaction and keeps its number, so its rank; it is read and made anew some
columns at a time (rewriting.py). A name nobody has any more goes as it does when samples expire, and the freed pages
go back to the disk.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.model.source import Deleted
from kpwatch.store import blocks
from kpwatch.store.catalog import NO_COLUMNS
from kpwatch.store.expiry import LookAgain
from kpwatch.store.index import find
from kpwatch.store.parts import Part, merge
from kpwatch.store.rewriting import Rewriting, Unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.matchers import Matcher
    from kpwatch.store.maintenance import Maintenance
    from kpwatch.store.parts import Ids
    from kpwatch.store.state import State

LOOK_SECONDS = 0.01


class Deletion:
    """One request on its way."""

    def __init__(self, selections: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> None:
        self.future: Future[Deleted] = Future()
        self.complete = False
        self.result = Deleted(0, 0)
        self._selections = selections
        self._start_ms, self._end_ms = start_ms, end_ms
        self._waiting: list[_OfTarget] | None = None

    def step(self, state: State, maintenance: Maintenance) -> dict[int, str]:
        """Do a little; gives blocks that turned out to be damaged. Raises StoreError."""
        if self._waiting is None:
            self._waiting = self._find(state)
        if not self._waiting:
            maintenance.forget_names()
            self.complete = True
            return {}
        target = self._waiting[-1]
        damaged = target.step(state, maintenance, self._start_ms, self._end_ms)
        if target.complete:
            self._waiting.pop()
            self.result = Deleted(self.result.series + len(target.series), self.result.samples + target.samples)
        return damaged

    def _find(self, state: State) -> list[_OfTarget]:
        columns: dict[int, list[Ids]] = {}
        for matchers in self._selections:
            for target, matching in find(state.catalog, matchers, self._start_ms, self._end_ms):
                columns.setdefault(target.number, []).append(matching)
        return [_OfTarget(n, np.unique(np.concatenate(sets)), state.next_row) for n, sets in columns.items()]


class _OfTarget:
    """What is to be deleted of one target."""

    def __init__(self, number: int, columns: Ids, next_row: int) -> None:
        self.complete = False
        self.series: Ids = NO_COLUMNS
        self.samples = 0
        self._number = number
        self._columns = columns
        self._next_row = next_row
        self._last_block = 0
        self._look: LookAgain | None = None
        self._rewriting: Rewriting | None = None

    def step(self, state: State, maintenance: Maintenance, start_ms: int, end_ms: int) -> dict[int, str]:
        """Seal some rows, or rewrite one block, or find out what is left."""
        if self._look is not None:
            damaged = self._look.step(state, state.clock.monotonic_seconds() + LOOK_SECONDS)
            self.complete = self._look.complete
            return damaged
        try:
            if self._rewriting is not None:
                self._rewrite(state, self._rewriting)
                return {}
            return self._next(state, maintenance, start_ms, end_ms)
        except Unreadable as error:
            self._rewriting = None
            return {error.number: str(error)}

    def _next(self, state: State, maintenance: Maintenance, start_ms: int, end_ms: int) -> dict[int, str]:
        rows = state.head.rows(self._number)
        if rows and rows[0].number < self._next_row:
            maintenance.seal(self._number)
            return {}
        numbers = blocks.numbers_after(state.connection, self._number, start_ms, end_ms, self._last_block)
        numbers = [number for number in numbers if number not in state.set_aside]
        if not numbers:
            self._look = LookAgain(self._number)
            return {}
        self._last_block = numbers[0]
        (row,) = [row for row in blocks.of_target(state.connection, self._number) if row.number == numbers[0]]
        self._rewriting = Rewriting(state, [row], lambda parts: self._left_of(parts, start_ms, end_ms))
        return {}

    def _left_of(self, parts: list[Part], start_ms: int, end_ms: int) -> list[Part]:
        kept: list[Part] = []
        for part in parts:
            rest, gone = without(part, self._columns, start_ms, end_ms)
            kept += rest
            self.series = np.union1d(self.series, gone)
        return merge(kept)

    def _rewrite(self, state: State, rewriting: Rewriting) -> None:
        if not rewriting.step():
            return
        self._rewriting = None
        samples = rewriting.samples_before - rewriting.samples_after
        if samples and not rewriting.commit(state):
            self._last_block -= 1  # it was merged or expired meanwhile: look at what stands there now
        elif samples:
            self.samples += samples
            state.counters.deleted_samples.add(samples)


def without(part: Part, columns: Ids, start_ms: int, end_ms: int) -> tuple[list[Part], Ids]:
    """(`part` without the samples of `columns` in [start_ms, end_ms], the columns that had some)."""
    hit = np.isin(part.columns, columns)
    low = int(np.searchsorted(part.timestamps_ms, start_ms, "left"))
    high = int(np.searchsorted(part.timestamps_ms, end_ms, "right"))
    if low >= high or not bool(hit.any()):
        return [part], NO_COLUMNS
    rest: list[Part] = []
    if not bool(hit.all()):
        rest.append(Part(part.columns[~hit], part.timestamps_ms, part.bits[~hit]))
    if low > 0 or high < part.rows:
        times = np.delete(part.timestamps_ms, slice(low, high))
        rest.append(Part(part.columns[hit], times, np.delete(part.bits[hit], slice(low, high), axis=1)))
    return rest, part.columns[hit]
