"""Parts: dense matrices of samples, and how several become one.

A *part* is some columns of one target over some timestamps where every column has a sample at every timestamp. There is
no such thing as a missing cell: columns that were not seen at the same times stand in different parts. So no value of
the float space has to mean "nothing here", and a part is exactly what a `Slice` of `model.source` is.

Parts overlap: a frame sent again, a late sample, a block not yet merged with its neighbour. `merge` settles it for
sealing, for compaction and for queries alike. Of two samples of one column and time the one with the higher rank wins;
parts without ranks (blocks) are older than those with (the head), and among themselves later in the list is younger.

Samples are int64 bit patterns here, never floats: nothing may quieten a signalling NaN on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ids = NDArray[np.uint32]
    Times = NDArray[np.int64]
    Bits = NDArray[np.int64]

CLASSES_AT_ONCE = 62
"""Bits of a signed mask that can be spent on membership."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Samples of `columns` at `timestamps_ms`.

    `columns`: uint32 (c,), strictly increasing. `timestamps_ms`: int64 (r,); strictly increasing in what `merge`
    returns. `bits`: int64 (c, r), the float64 bit patterns, one line per column. `ranks`: int64 (r,), > 0, or None.
    """

    columns: Ids
    timestamps_ms: Times
    bits: Bits
    ranks: Times | None = None

    @property
    def rows(self) -> int:
        """Number of timestamps."""
        return len(self.timestamps_ms)


def merge(parts: Sequence[Part]) -> list[Part]:
    """The same samples, each once, in as few parts as their times allow; each column is in exactly one part."""
    parts = [part for part in parts if part.rows and len(part.columns)]
    if len(parts) == 1 and _ascends(parts[0].timestamps_ms):
        return [Part(parts[0].columns, parts[0].timestamps_ms, parts[0].bits)]
    stacked = [_stack(parts, members, columns) for columns, members in _by_membership(parts)]
    return stacked if len(stacked) == 1 else _unite(stacked)


def clip(part: Part, start_ms: int, end_ms: int) -> Part:
    """The rows of a merged part within [start_ms, end_ms]."""
    low, high = part.timestamps_ms.searchsorted((start_ms, end_ms + 1)).tolist()
    if low == 0 and high == part.rows:
        return part
    return Part(part.columns, part.timestamps_ms[low:high], part.bits[:, low:high])


def between(part: Part, start_ms: int, end_ms: int) -> Part | None:
    """The rows of any part within [start_ms, end_ms], or None where there are none."""
    times = part.timestamps_ms
    if _ascends(times):
        low, high = times.searchsorted((start_ms, end_ms + 1)).tolist()
        if low == 0 and high == len(times):
            return part
        chosen: slice | NDArray[np.bool_] = slice(low, high)
        some = low < high
    else:
        chosen = (times >= start_ms) & (times <= end_ms)
        some = bool(chosen.any())
    if not some:
        return None
    ranks = part.ranks[chosen] if part.ranks is not None else None
    return Part(part.columns, times[chosen], part.bits[:, chosen], ranks)


def _ascends(times: Times) -> bool:
    return bool((times[1:] > times[:-1]).all())


class Wanted:
    """Which columns a query wants, and where they stand in each set of columns it meets.

    Sets are recognised by identity: a fleet shares few of them, so each is searched once.
    """

    def __init__(self, columns: Ids) -> None:
        self.columns = columns
        self.key = columns.tobytes()
        """Equal for equal columns."""
        self._known: dict[int, tuple[Ids, Ids, NDArray[np.int64]]] = {}

    def choose(self, columns: Ids) -> tuple[Ids, NDArray[np.int64]]:
        """(those of `columns` that are wanted, their places)."""
        known = self._known.get(id(columns))
        if known is None:
            places = np.searchsorted(columns, self.columns)
            places[places == len(columns)] = 0
            places = places[columns[places] == self.columns]
            known = self._known[id(columns)] = (columns, columns[places], places)
        return known[1:]


def count_common(some: Ids, others: Ids) -> int:
    """How many of `some` are among `others`."""
    if not len(others):
        return 0
    places = np.searchsorted(others, some)
    places[places == len(others)] = 0
    return int(np.count_nonzero(others[places] == some))


def sample_count(parts: Sequence[Part]) -> int:
    """Samples in `parts`."""
    return sum(part.bits.size for part in parts)


def row_count(parts: Sequence[Part]) -> int:
    """Rows of the longest part: about the number of scrapes they cover."""
    return max((part.rows for part in parts), default=0)


def _by_membership(parts: Sequence[Part]) -> list[tuple[Ids, list[int]]]:
    """Columns that occur in the same parts, with the indices of these parts."""
    if parts and all(part.columns is parts[0].columns for part in parts):
        return [(parts[0].columns, list(range(len(parts))))]
    classes: dict[bytes, list[int]] = {}
    for index, part in enumerate(parts):
        classes.setdefault(part.columns.tobytes(), []).append(index)
    if len(classes) <= 1:
        return [(parts[members[0]].columns, members) for members in classes.values()]
    columns_of = [parts[members[0]].columns for members in classes.values()]
    members_of = list(classes.values())
    union = np.unique(np.concatenate(columns_of))
    group = _group_columns(union, columns_of)
    members_in: list[list[int]] = [[] for _ in range(int(group.max()) + 1)]
    for columns, members in zip(columns_of, members_of, strict=True):
        for number in set(group[np.searchsorted(union, columns)].tolist()):
            members_in[number] += members
    return [(union[group == number], sorted(members)) for number, members in enumerate(members_in)]


def _group_columns(union: Ids, classes: Sequence[Ids]) -> NDArray[np.int64]:
    """For each column of `union` the number of its group: columns that are in the same `classes` share one."""
    group = np.zeros(len(union), np.int64)
    for first in range(0, len(classes), CLASSES_AT_ONCE):
        mask = np.zeros(len(union), np.int64)
        for bit, columns in enumerate(classes[first : first + CLASSES_AT_ONCE]):
            mask[np.searchsorted(union, columns)] |= 1 << bit
        order = np.lexsort((mask, group))
        fresh = np.ones(len(union), np.bool_)
        fresh[1:] = (mask[order[1:]] != mask[order[:-1]]) | (group[order[1:]] != group[order[:-1]])
        group[order] = np.cumsum(fresh) - 1
    return group


def _lines(part: Part, columns: Ids) -> Bits:
    if len(columns) == len(part.columns):
        return part.bits
    return part.bits[np.searchsorted(part.columns, columns)]


def _stack(parts: Sequence[Part], members: Sequence[int], columns: Ids) -> Part:
    """One part of `columns` from `members`, all of which contain them; strictly increasing, highest rank wins."""
    chosen = [parts[index] for index in members]
    if len(chosen) == 1:
        times, bits = chosen[0].timestamps_ms, _lines(chosen[0], columns)
    else:
        times = np.concatenate([part.timestamps_ms for part in chosen])
        bits = np.concatenate([_lines(part, columns) for part in chosen], axis=1)
    if _ascends(times):
        return Part(columns, times, bits)
    order = np.lexsort((_ranks(chosen), times))
    times = times[order]
    last = np.append(times[1:] != times[:-1], np.True_)
    return Part(columns, times[last], bits[:, order[last]])


def _ranks(parts: Sequence[Part]) -> Times:
    return np.concatenate(
        [
            part.ranks if part.ranks is not None else np.full(part.rows, index - len(parts), np.int64)
            for index, part in enumerate(parts)
        ]
    )


def _unite(parts: Sequence[Part]) -> list[Part]:
    """Parts with the same timestamps side by side in one."""
    by_times: dict[bytes, list[Part]] = {}
    for part in parts:
        by_times.setdefault(part.timestamps_ms.tobytes(), []).append(part)
    return [same[0] if len(same) == 1 else _beside(same) for same in by_times.values()]


def _beside(parts: Sequence[Part]) -> Part:
    columns = np.concatenate([part.columns for part in parts])
    order = np.argsort(columns)
    bits = np.concatenate([part.bits for part in parts])
    return Part(columns[order], parts[0].timestamps_ms, bits[order])
