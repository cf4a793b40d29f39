"""Some blocks of a target become one, a run of columns at a time.

For merging neighbours and for deleting samples alike. The blocks are read once; then each step decodes some columns of
all of them, changes them and encodes them, in milliseconds however large the block becomes. Appends, seals and
deletions go on between the steps: what was read may be gone or changed at the end, and then nothing is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.store import blocks
from kpwatch.store.block import BlockReader, BlockWriter
from kpwatch.store.packing import Damaged
from kpwatch.store.parts import Part, Wanted, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.store.blocks import BlockRow
    from kpwatch.store.parts import Ids
    from kpwatch.store.state import State

STEP_SAMPLES = 1 << 17
"""Samples of a step, about: 1 MB as numbers, up to twenty milliseconds of CPU."""
LEVELS = ((1024, 6), (0, 3))
"""zstd's level by the least rows of the new block: the larger it is, the longer it stays."""


class Unreadable(Exception):
    """A block is damaged."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number


class Rewriting:
    """One piece of work; `step` until it says that all is encoded, then `commit`."""

    def __init__(
        self, state: State, rows: Sequence[BlockRow], change: Callable[[list[Part]], list[Part]] = merge
    ) -> None:
        """Read the blocks `rows`, neighbours, oldest first; raises Unreadable.

        `change` gets all parts of some columns and gives what is to be kept of them, merged.
        """
        self.target = rows[0].target
        self._rows = rows
        self._change = change
        self._found = blocks.checksums(state.connection, [row.number for row in rows])
        self._readers = [_read(state, row) for row in rows]
        sets = {id(part.columns): part.columns for reader in self._readers for part in reader.parts}
        self._columns: Ids = np.unique(np.concatenate(list(sets.values())))
        height = sum(row.rows for row in rows)
        self._width = max(1, STEP_SAMPLES // max(1, height))
        self._next = 0
        self._writer = BlockWriter(next(level for least, level in LEVELS if height >= least))
        self._made: list[BlockRow] = []

    def step(self) -> bool:
        """Do some columns; True when these were the last. Raises Unreadable."""
        wanted = Wanted(self._columns[self._next : self._next + self._width])
        self._next += self._width
        read: list[Part] = []
        for row, reader in zip(self._rows, self._readers, strict=True):
            try:
                read += _some(reader, wanted)
            except Damaged as error:
                raise Unreadable(row.number, str(error)) from error
        parts = self._change(read)
        if parts:
            self._writer.add(parts)
            self._made.append(blocks.make_row(self._rows[-1].number, self.target, parts))
        return self.complete

    @property
    def complete(self) -> bool:
        """Whether all columns are encoded."""
        return self._next >= len(self._columns)

    @property
    def blocks(self) -> int:
        """Blocks that were read."""
        return len(self._rows)

    @property
    def samples_before(self) -> int:
        """Samples of the blocks that were read."""
        return sum(row.samples for row in self._rows)

    @property
    def samples_after(self) -> int:
        """Samples of what was made of them so far."""
        return sum(row.samples for row in self._made)

    def commit(self, state: State, *, same_samples: bool = False) -> bool:
        """Put what was made in place of what was read: one transaction. False where that is not there as it was."""
        numbers = [row.number for row in self._rows]
        if blocks.checksums(state.connection, numbers) != self._found:
            return False
        whole = _covered(self._made)
        body = self._writer.finish()

        def work() -> None:
            blocks.delete(state.connection, numbers)
            if whole:
                blocks.insert(state.connection, whole, body)

        state.unsynced(work, len(body))
        state.blocks_changed([self.target], same_samples=same_samples)
        return True


def _read(state: State, row: BlockRow) -> BlockReader:
    try:
        return blocks.load(state.connection, row, keep=True)
    except Damaged as error:
        raise Unreadable(row.number, str(error)) from error


def _some(reader: BlockReader, wanted: Wanted) -> list[Part]:
    parts: list[Part] = []
    for stored in reader.parts:
        columns, places = wanted.choose(stored.columns)
        if len(columns):
            parts.append(Part(columns, stored.timestamps_ms, reader.select(stored, places)))
    return parts


def _covered(made: Sequence[BlockRow]) -> BlockRow | None:
    """What the runs of columns cover together, or None where nothing is left."""
    if not made:
        return None
    return made[0]._replace(
        start_ms=min(row.start_ms for row in made),
        end_ms=max(row.end_ms for row in made),
        rows=max(row.rows for row in made),
        samples=sum(row.samples for row in made),
    )
