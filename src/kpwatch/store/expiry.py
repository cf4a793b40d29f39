"""What is too old or too much, and what is left once it is deleted.

Blocks are the unit: a block goes when all of it is too old, or when it is among the oldest and the store is over its
size. So many at once that freeing their pages takes some milliseconds. What is left of a target (its columns, its
first and last time) stands in the blocks that stay; they are read a few at a time, between commits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.store import blocks
from kpwatch.store.blocks import BlockRow
from kpwatch.store.catalog import NEVER_MS, NO_COLUMNS
from kpwatch.store.packing import Damaged
from kpwatch.store.schema import PAGE_BYTES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from kpwatch.store.catalog import Catalog, ColumnSet
    from kpwatch.store.parts import Ids
    from kpwatch.store.state import State

BLOCKS_AT_ONCE = 64
BYTES_AT_ONCE = 4 << 20
"""Freeing a thousand pages takes some milliseconds."""

OLDEST = """
    SELECT id, target, start_ms, end_ms, row_count, sample_count, length(body)
    FROM blocks WHERE end_ms < ? ORDER BY end_ms LIMIT ?"""


def expired(connection: sqlite3.Connection, oldest_ms: int) -> list[BlockRow]:
    """Some blocks that end before `oldest_ms`."""
    return _some(connection, oldest_ms, BYTES_AT_ONCE)


def over_the_size(state: State) -> list[BlockRow]:
    """The oldest blocks, some, where blocks hold more bytes than the options allow.

    Journal, names and SQLite's log come on top: they do not grow with time, and deleting blocks makes them no smaller.
    """
    limit = state.options.retention_bytes
    if not limit or _used_bytes(state) <= limit:  # blocks are no more than all there is, which is known at no cost
        return []
    over = block_bytes(state.connection) - limit
    return _some(state.connection, NEVER_MS, min(over, BYTES_AT_ONCE)) if over > 0 else []


def block_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of all blocks."""
    return int(connection.execute("SELECT total(length(body)) FROM blocks").fetchone()[0])


def _used_bytes(state: State) -> int:
    pages, free = (state.connection.execute(f"PRAGMA {of}").fetchone()[0] for of in ("page_count", "freelist_count"))
    return int(pages - free) * PAGE_BYTES


def _some(connection: sqlite3.Connection, before_ms: int, size: int) -> list[BlockRow]:
    """Blocks that end before `before_ms`, oldest first, until they have `size` bytes: one at least."""
    found: list[BlockRow] = []
    for *row, body_bytes in connection.execute(OLDEST, (before_ms, BLOCKS_AT_ONCE)):
        if found and size <= 0:
            break
        found.append(BlockRow(*row))
        size -= body_bytes
    return found


class LookAgain:
    """What is left of a target; as many steps as it needs, while samples come and blocks are made."""

    def __init__(self, number: int) -> None:
        self.complete = False
        self._number = number
        self._last_block = 0
        self._sets: dict[bytes, Ids] = {}
        self._found: dict[int, Ids] = {}
        """Column sets by identity: `_sets` makes equal ones one."""
        self._first_ms, self._last_ms = NEVER_MS, -NEVER_MS

    def step(self, state: State, until: float) -> dict[int, str]:
        """Look at blocks until `until` (monotonic), one at least; gives the damaged ones, with the reason."""
        damaged: dict[int, str] = {}
        for number in blocks.numbers_after(state.connection, self._number, -NEVER_MS, NEVER_MS, self._last_block):
            self._last_block = number  # a merged block has the number of its youngest part: none is passed over
            _, block = blocks.opened(state.connection, number, self._sets)
            if isinstance(block, Damaged):
                damaged[number] = str(block)
            else:
                for part in block.parts:
                    self._found[id(part.columns)] = part.columns
                    self._first_ms = min(self._first_ms, int(part.timestamps_ms[0]))
                    self._last_ms = max(self._last_ms, int(part.timestamps_ms[-1]))
            if state.clock.monotonic_seconds() >= until:
                return damaged
        self._note(state)
        self.complete = True
        return damaged

    def _note(self, state: State) -> None:
        target = state.catalog.targets.get(self._number)
        if target is None:
            return  # forgotten meanwhile
        rows = state.head.rows(self._number)
        covered = {row.layout for row in rows}
        columns = [*self._found.values(), *(layout.columns for layout in covered)]
        times = [row.timestamp_ms for row in rows]
        target.columns = np.unique(np.concatenate(columns)) if columns else NO_COLUMNS
        target.version.number += 1
        target.covered = covered
        target.first_ms = min(self._first_ms, *times, NEVER_MS)
        target.last_ms = max(self._last_ms, *times, -NEVER_MS)
        target.sealed_ms = self._last_ms
        state.unsynced(lambda: state.catalog.save_state(state.connection, target, target.sealed_row))


def unused_columns(catalog: Catalog, layouts: Iterable[ColumnSet]) -> Ids:
    """Columns that neither a target nor a layout of the head has."""
    used = np.zeros(len(catalog.columns), np.bool_)
    sets = {id(target.columns): target.columns for target in catalog.targets.values()}
    for columns in (*sets.values(), *(layout.columns for layout in layouts)):
        used[columns] = True
    named = np.array([labels is not None for labels in catalog.columns], np.bool_)
    return np.flatnonzero(named & ~used).astype(np.uint32)
