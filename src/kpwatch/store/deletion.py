"""Deleting series: because somebody asks for it, not because of their age.

Target by target: what waits in the journal is sealed, then every block with samples in the range is written again
without them, or goes. Each block is one transaction and keeps its number, so its rank; a step takes as long as merging
a block does. A name nobody has any more goes as it does when samples expire, and the freed pages go back to the disk.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.model.source import Deleted
from kpwatch.store import blocks
from kpwatch.store.block import encode_block
from kpwatch.store.catalog import NO_COLUMNS
from kpwatch.store.expiry import LookAgain
from kpwatch.store.index import find
from kpwatch.store.packing import Damaged
from kpwatch.store.parts import Part, merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.matchers import Matcher
    from kpwatch.store.maintenance import Maintenance
    from kpwatch.store.parts import Ids
    from kpwatch.store.state import State

LEVEL = 3
"""zstd's, as of merged blocks: what is left stays."""
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

    def step(self, state: State, maintenance: Maintenance, start_ms: int, end_ms: int) -> dict[int, str]:
        """Seal some rows, or rewrite one block, or find out what is left."""
        if self._look is not None:
            damaged = self._look.step(state, state.clock.monotonic_seconds() + LOOK_SECONDS)
            self.complete = self._look.complete
            return damaged
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
        try:
            self._rewrite(state, numbers[0], start_ms, end_ms)
        except Damaged as error:
            return {numbers[0]: str(error)}
        return {}

    def _rewrite(self, state: State, number: int, start_ms: int, end_ms: int) -> None:
        (row,) = [row for row in blocks.of_target(state.connection, self._number) if row.number == number]
        kept: list[Part] = []
        for part in blocks.load(state.connection, row).everything():
            rest, gone = without(part, self._columns, start_ms, end_ms)
            kept += rest
            self.series = np.union1d(self.series, gone)
        parts = merge(kept)
        left = blocks.make_row(number, row.target, parts) if parts else None
        samples = row.samples - (left.samples if left else 0)
        if not samples:
            return
        body = encode_block(parts, LEVEL)

        def work() -> None:
            blocks.delete(state.connection, [number])
            if left:
                blocks.insert(state.connection, left, body)

        state.unsynced(work)
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
