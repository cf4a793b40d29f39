"""The head: frames that are in the journal and not yet in a block, in memory.

Rows are kept as the bytes the journal has, compressed; a query makes matrices of them. Per target they are few
(`seal_rows` and a rest). The writer's thread adds after its commit and drops after the commit that sealed; a reader
takes `rows()` once and keeps what it got.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.store.packing import decompress_fast, decompress_fast_into
from kpwatch.store.parts import Part, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kpwatch.store.catalog import ColumnSet
    from kpwatch.store.parts import Bits, Wanted

ROW_BYTES = 250
"""What a row costs in memory beside its values: tuple, ints, bytes object, list slot."""


CELLS_PER_SAMPLE_MAX = 4
"""Samples so thin that a matrix of all would be this much larger than they are not put into one."""


class HeadRow(NamedTuple):
    """One journal row."""

    number: int
    """Row of `journal`, which is also its rank: of two samples of a series and time the higher number wins."""
    target: int
    layout: ColumnSet
    timestamp_ms: int
    packed: bytes
    """LZ4 of the values: float64, in the layout's order."""

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.packed) + ROW_BYTES

    def values(self) -> NDArray[np.uint8]:
        """The bytes of the values; raises Damaged."""
        return decompress_fast(self.packed, 8 * len(self.layout.columns))


class Head:
    """All unsealed rows."""

    def __init__(self) -> None:
        self._rows: dict[int, list[HeadRow]] = {}
        self._samples: dict[int, int] = {}
        """By target."""
        self.bytes = 0
        self.count = 0

    def add(self, rows: Iterable[HeadRow]) -> None:
        """Rows that were committed, in the order of their numbers."""
        for row in rows:
            self._rows.setdefault(row.target, []).append(row)
            self._samples[row.target] = self._samples.get(row.target, 0) + len(row.layout.columns)
            row.layout.rows += 1
            self.bytes += row.size
            self.count += 1

    def rows(self, target: int) -> Sequence[HeadRow]:
        """The rows of a target now: never changed behind the caller's back."""
        return tuple(self._rows.get(target, ()))

    def last_number(self, target: int) -> int:
        """The number of the target's newest row; 0 where it has none."""
        rows = self._rows.get(target)
        return rows[-1].number if rows else 0

    def size(self, target: int) -> tuple[int, int]:
        """(rows, samples) of a target."""
        return len(self._rows.get(target, ())), self._samples.get(target, 0)

    def drop(self, target: int, rows: Sequence[HeadRow]) -> None:
        """The target's first rows, which were sealed."""
        self.bytes -= sum(row.size for row in rows)
        self.count -= len(rows)
        for row in rows:
            row.layout.rows -= 1
        rest = self._rows[target][len(rows) :]
        if rest:
            self._rows[target] = rest
            self._samples[target] -= sum(len(row.layout.columns) for row in rows)
        else:
            del self._rows[target], self._samples[target]

    def targets(self) -> list[int]:
        """Targets that have rows."""
        return list(self._rows)

    def first_number(self) -> int | None:
        """The number of the oldest row, or None where there is none."""
        return min((rows[0].number for rows in self._rows.values()), default=None)

    def owners_before(self, number: int) -> list[int]:
        """Targets whose oldest row is below `number`."""
        return [target for target, rows in self._rows.items() if rows[0].number < number]


def join(rows: Sequence[HeadRow]) -> list[Part]:
    """All samples of rows of one target, which are in the order of their numbers: `merge(make_parts(rows))`.

    A scrape that came in pieces is put together row by row, as long as that leaves few cells empty.
    """
    layouts = list({row.layout: None for row in rows})
    columns = np.unique(np.concatenate([layout.columns for layout in layouts]))
    times = np.unique([row.timestamp_ms for row in rows])
    samples = sum(len(row.layout.columns) for row in rows)
    if len(layouts) == 1 or len(columns) * len(times) > CELLS_PER_SAMPLE_MAX * samples:
        return merge(make_parts(rows))
    places = {layout: np.searchsorted(columns, layout.columns) for layout in layouts}
    lines = {time: line for line, time in enumerate(times.tolist())}
    bits = np.empty((len(times), len(columns)), np.int64)
    there = np.zeros(bits.shape, np.bool_)
    for row in rows:
        line, at = lines[row.timestamp_ms], places[row.layout]
        bits[line, at] = row.values().view(np.int64)
        there[line, at] = True
    if there.all():
        return [Part(columns, times, bits.T)]
    packed = np.ascontiguousarray(np.packbits(there, axis=0).T)
    _, group = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_inverse=True)
    parts: list[Part] = []
    for number in range(int(group.max()) + 1):
        chosen = np.flatnonzero(group == number)
        here = np.flatnonzero(there[:, chosen[0]])
        parts.append(Part(columns[chosen], times[here], bits[np.ix_(here, chosen)].T))
    return parts


def make_parts(rows: Sequence[HeadRow], wanted: Wanted | None = None) -> list[Part]:
    """One part per layout, ranked, restricted to the columns `wanted`."""
    by_layout: dict[ColumnSet, list[HeadRow]] = {}
    for row in rows:
        by_layout.setdefault(row.layout, []).append(row)
    parts: list[Part] = []
    for layout, same in by_layout.items():
        columns, places = (layout.columns, None) if wanted is None else wanted.choose(layout.columns)
        if len(columns):
            times = np.array([row.timestamp_ms for row in same], np.int64)
            ranks = np.array([row.number for row in same], np.int64)
            parts.append(Part(columns, times, _lines(same, places), ranks))
    return parts


def _lines(rows: Sequence[HeadRow], places: NDArray[np.int64] | None) -> Bits:
    """Bit patterns (columns, rows) of rows of one layout, at `places` or everywhere."""
    if places is None:
        by_row = np.empty((len(rows), len(rows[0].layout.columns)), np.int64)
        for row, raw in zip(rows, by_row.view(np.uint8), strict=True):
            decompress_fast_into(row.packed, raw)
        return by_row.T
    bits = np.empty((len(places), len(rows)), np.int64)
    for number, row in enumerate(rows):
        bits[:, number] = row.values().view(np.int64)[places]
    return bits
