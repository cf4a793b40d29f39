"""What queries decoded, for the next: dashboards ask the same again and again.

A bounded memory of four kinds of things: heads of blocks, columns of a target's blocks, columns of the head's rows, and
names of columns. Blocks never change under their key (what the row says and its checksum), a target counts how often
its blocks change, rows of the head have numbers, a number is one name for ever; so an entry is right or it is not used.
Values are shared, and nobody may write to them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kpwatch.store.head import make_parts
from kpwatch.store.parts import Part

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from kpwatch.store.blocks import Listed
    from kpwatch.store.head import HeadRow
    from kpwatch.store.parts import Ids, Wanted

ENTRY_BYTES = 600
"""What an entry costs beside its arrays: key, tuple, objects around arrays."""
COLUMNS_MAX = 256
"""Questions for more columns of a target are not remembered: nobody asks them every few seconds."""
COLUMN_SETS_MAX = 4096


class Cache:
    """Least recently used goes first. Thread-safe."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.bytes = 0
        self.found = 0
        self.missed = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._column_sets: dict[bytes, Ids] = {}

    def get(self, key: Hashable) -> Any:
        """What was put under `key`, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self.missed += 1
                return None
            self.found += 1
            self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: object, size: int) -> None:
        """Remember `value`, which has arrays of `size` bytes."""
        size += ENTRY_BYTES
        if size > self.bytes_max:
            return
        with self._lock:
            before = self._entries.pop(key, None)
            self._entries[key] = (value, size)
            self.bytes += size - (before[1] if before else 0)
            while self.bytes > self.bytes_max:
                _, (_, gone) = self._entries.popitem(last=False)
                self.bytes -= gone

    def column_sets(self) -> dict[bytes, Ids]:
        """Sets of columns seen in blocks, see BlockReader; one for all queries, so that equal sets are one array."""
        if len(self._column_sets) > COLUMN_SETS_MAX:
            self._column_sets = {}
        return self._column_sets


class Budget:
    """What one query may put: one that needs more than the cache holds would only push out everything else."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._left = cache.bytes_max // 4

    def put(self, key: Hashable, value: object, size: int) -> None:
        """See Cache."""
        if self._left > 0:
            self._left -= size
            self._cache.put(key, value, size)


class Sealed(NamedTuple):
    """Columns of a target's blocks, merged: all samples in a stretch of time, and some around it."""

    blocks_changed: int
    """The target's, when the blocks were looked for."""
    start_ms: int
    end_ms: int
    parts: list[Part]
    by_block: dict[Listed, list[Part]]
    """The same as each block has it, for who has to look again: most blocks will be there still."""

    @property
    def size(self) -> int:
        """Bytes of its arrays; those of blocks are nearly always views of what they are together."""
        every = [*self.parts, *(part for some in self.by_block.values() for part in some)]
        owners = (part.bits if part.bits.base is None else part.bits.base for part in every)
        matrices = {id(owner): owner.nbytes for owner in owners}
        return sum(matrices.values()) + sum(part.timestamps_ms.nbytes for part in every)

    def answers(self, blocks_changed: int, start_ms: int, end_ms: int) -> bool:
        """Whether all samples of another stretch are here."""
        return self.blocks_changed == blocks_changed and self.start_ms <= start_ms and end_ms <= self.end_ms


class _Unsealed(NamedTuple):
    """Columns of a target's rows in the head, from the row `first` to the row `last`."""

    first: int
    last: int
    parts: tuple[Part, ...]


def unsealed_parts(
    cache: Cache, budget: Budget, target: int, rows: Sequence[HeadRow], wanted: Wanted
) -> Sequence[Part]:
    """`make_parts` of a target's rows of the head, which opens only those that are new since somebody asked."""
    if len(wanted.columns) > COLUMNS_MAX:
        return make_parts(rows, wanted)
    key = ("head", target, wanted.key)
    first, last = rows[0].number, rows[-1].number
    known: _Unsealed | None = cache.get(key)
    if known is not None and known.first > first:
        return make_parts(rows, wanted)  # somebody who took the rows later remembered fewer
    parts: list[Part] = []
    since = 0
    if known is not None:
        since = known.last
        is_whole = first == known.first and since <= last
        parts = [*known.parts] if is_whole else [cut for part in known.parts if (cut := _cut(part, first, last))]
    if since < last:
        parts += make_parts(newer(rows, since), wanted)
        if len(parts) > 1:
            parts = _together(parts)
        for part in parts:
            part.bits.flags.writeable = False
        size = sum(part.bits.nbytes + 2 * part.timestamps_ms.nbytes + ENTRY_BYTES for part in parts)
        budget.put(key, _Unsealed(first, last, tuple(parts)), size)
    return parts


def newer(rows: Sequence[HeadRow], number: int) -> Sequence[HeadRow]:
    """The rows after that number; nearly always they are few."""
    count = len(rows)
    while count and rows[count - 1].number > number:
        count -= 1
    return rows[count:]


def _cut(part: Part, first: int, last: int) -> Part | None:
    """The rows from `first` (those before are in blocks) to `last` (somebody may have seen more)."""
    assert part.ranks is not None, "parts of the head have ranks"
    low, high = part.ranks.searchsorted((first, last + 1)).tolist()
    if low == 0 and high == part.rows:
        return part
    if low == high:
        return None
    chosen = slice(low, high)
    return Part(part.columns, part.timestamps_ms[chosen], part.bits[:, chosen], part.ranks[chosen])


def _together(parts: Iterable[Part]) -> list[Part]:
    """Parts of the same columns as one."""
    by_columns: dict[bytes, list[Part]] = {}
    for part in parts:
        by_columns.setdefault(part.columns.tobytes(), []).append(part)
    return [
        Part(
            same[0].columns,
            np.concatenate([part.timestamps_ms for part in same]),
            np.concatenate([part.bits for part in same], axis=1),
            np.concatenate([part.ranks for part in same if part.ranks is not None]),
        )
        for same in by_columns.values()
    ]
