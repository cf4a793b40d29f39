"""Slices one below the other, so that numpy is called once for many of them.

A numpy operation costs microseconds however little it has to do, and an instant query over a fleet has little to do for
each of many targets. So slices of equally many columns are stacked: the rows of one follow those of the other, and each
has steps of its own. No window reaches from one slice into the next; so what is done for the steps of one slice is done
for the steps of all, which is right whatever their columns are called. Long slices are left alone: copying them would
cost more than it saves.

A source may keep a stack for whoever asks the same next; so what was found out about it is found out once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels
    from kpwatch.model.source import Slice

    Integers = NDArray[np.int64]

SLICE_CELLS = 1 << 14
"""Slices with more cells, samples or answers, stay alone."""
BATCH_CELLS = 1 << 17
"""So many cells are evaluated together at most: 1 MB, which stays in the processor's cache."""
TIME_LIMIT = 1 << 62
ALONE: NDArray[np.int64] = np.zeros(1, np.int64)
"""Where one slice begins."""


class _Epochs(NamedTuple):
    """Each slice in an epoch of its own: then all times ascend, and one search finds everything."""

    first_ms: int
    last_ms: int
    """Of all slices."""
    offsets_ms: Integers
    """(slices, 1): what moves a time into its slice's epoch."""
    moved_ms: Integers
    """All times, moved."""


class Stack:
    """Dense samples of one or several slices of equally many columns. Nobody writes into its arrays.

    `timestamps_ms` (rows,), `values` (rows, columns); slice i begins with the row begins[i]. `series`: the columns of
    the first slice, then those of the second, …
    """

    __slots__ = ("_epochs", "_falling", "_has_nan", "begins", "series", "timestamps_ms", "values")

    def __init__(
        self, series: Sequence[Labels], timestamps_ms: Integers, values: NDArray[np.float64], begins: Integers
    ) -> None:
        self.series = series
        self.timestamps_ms = timestamps_ms
        self.values = values
        self.begins = begins
        self._epochs: _Epochs | None = None
        self._falling: Integers | None = None
        self._has_nan: bool | None = None

    @property
    def has_nan(self) -> bool:
        """Whether there may be a NaN, and so a staleness marker."""
        if self._has_nan is None:
            self._has_nan = math.isnan(self.values.sum())
        return self._has_nan

    @property
    def falling(self) -> Integers:
        """The columns in which some value is less than the one before."""
        if self._falling is None:
            fell = self.values[1:] < self.values[:-1]
            fell[self.begins[1:] - 1] = False  # from one slice to the next
            self._falling = np.flatnonzero(fell.any(axis=0))
        return self._falling

    def rows_until(self, *ends_ms: Integers) -> list[Integers]:
        """For each of `ends_ms` (steps,) and each slice: the row after those up to that time.

        Arrays (slices * steps,), slice by slice.
        """
        if len(self.begins) == 1:
            return [self.timestamps_ms.searchsorted(ends, side="right") for ends in ends_ms]
        epochs = self._epochs or self._made_epochs()
        if epochs is None:
            return [self._slice_by_slice(ends) for ends in ends_ms]
        first_ms, last_ms, offsets_ms, moved_ms = epochs
        found = []
        for ends in ends_ms:
            inside = np.minimum(np.maximum(ends, first_ms - 1), last_ms)  # what is beyond all times is in no epoch
            found.append(moved_ms.searchsorted((inside + offsets_ms).ravel(), side="right"))
        return found

    def _made_epochs(self) -> _Epochs | None:
        """None where times are so far apart that epochs do not fit into a number."""
        first_ms, last_ms = int(self.timestamps_ms.min()), int(self.timestamps_ms.max())
        count, length_ms = len(self.begins), last_ms - first_ms + 2
        if length_ms * count > TIME_LIMIT:
            return None
        offsets_ms = np.arange(count) * length_ms - (first_ms - 1)
        heights = np.diff(self.begins, append=len(self.timestamps_ms))
        moved_ms = self.timestamps_ms + offsets_ms.repeat(heights)
        self._epochs = _Epochs(first_ms, last_ms, offsets_ms[:, None], moved_ms)
        return self._epochs

    def _slice_by_slice(self, ends_ms: Integers) -> Integers:
        parts = np.split(self.timestamps_ms, self.begins[1:])
        found = [np.searchsorted(part, ends_ms, side="right") for part in parts]
        return (np.stack(found) + self.begins[:, None]).ravel()


def batches(slices: Iterable[Slice], steps: int) -> Iterator[list[Slice]]:
    """Slices that are worth evaluating together."""
    batch: list[Slice] = []
    held = 0
    for part in slices:
        cells = max(len(part.timestamps_ms), steps) * len(part.series)
        if cells > SLICE_CELLS:
            yield [part]
            continue
        if held + cells > BATCH_CELLS:
            yield batch
            batch, held = [], 0
        batch.append(part)
        held += cells
    if batch:
        yield batch


def stacks_of(slices: Iterable[Slice]) -> list[Stack]:
    """The slices, those of equally many columns as one stack."""
    by_width: defaultdict[int, list[Slice]] = defaultdict(list)
    for part in slices:
        by_width[len(part.series)].append(part)
    return [stack_of(parts) for parts in by_width.values()]


def stack_of(parts: Sequence[Slice]) -> Stack:
    """Slices of equally many columns, at least one, as a stack; of one nothing is copied."""
    if len(parts) == 1:
        return Stack(parts[0].series, parts[0].timestamps_ms, parts[0].values, ALONE)
    heights = np.asarray([len(part.timestamps_ms) for part in parts])
    return Stack(
        tuple(labels for part in parts for labels in part.series),
        np.concatenate([part.timestamps_ms for part in parts]),
        np.concatenate(
            [part.values.T for part in parts], axis=1
        ).T,  # a series' samples side by side, as a store has them
        np.cumsum(heights) - heights,
    )
