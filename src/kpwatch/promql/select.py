"""From slices to steps: the newest sample at each step, or the window of samples before each step.

Prometheus 3's rules: an instant selector sees the newest sample in (t - lookback, t], and nothing if that sample is a
staleness marker; a range selector sees all samples in (t - range, t] but staleness markers. A slice has one timestamp
column for all its series, so the rows for all steps are found once per slice with two binary searches.

Windows are free of staleness markers: a slice in which some columns have them is split into slices whose columns have
them in the same rows (a target that went away has them in one row, so there are few).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.model.source import Slice
from kpwatch.promql.reduce import take_rows
from kpwatch.promql.values import Floats, Grid, Integers, Mask, is_stale, stack, without_absent_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kpwatch.model.labels import Labels


class Window(NamedTuple):
    """Dense samples of some series and, for every step, which rows are in the step's window.

    `timestamps_ms` (rows,), `values` (rows, series); step i sees rows [lo[i], hi[i]), which lie in
    (ends_ms[i] - range_ms, ends_ms[i]]. `times_ms` (steps,) are the steps' own times, which offset and @ move away
    from `ends_ms`.
    """

    series: Sequence[Labels]
    drop_name: Mask
    timestamps_ms: Integers
    values: Floats
    lo: Integers
    hi: Integers
    ends_ms: Integers
    range_ms: int
    times_ms: Integers
    check_time: Callable[[], None] = lambda: None
    """Raises when the query's time is over."""

    @property
    def counts(self) -> Integers:
        """Samples in each step's window, shape (steps,)."""
        return self.hi - self.lo


def newest(slices: Iterable[Slice], ends_ms: Integers, lookback_ms: int, *, timestamps: bool = False) -> Grid:
    """The newest samples in (end - lookback_ms, end], one column per end; their times in seconds if `timestamps`."""
    grids: list[Grid] = []
    for part in slices:
        rows = np.searchsorted(part.timestamps_ms, ends_ms, side="right") - 1
        found = rows >= 0
        rows = np.maximum(rows, 0)
        times_ms = part.timestamps_ms[rows]
        found &= times_ms > ends_ms - lookback_ms
        values = take_rows(part.values, rows).T
        present = np.broadcast_to(found, values.shape)
        if math.isnan(values.sum()):
            present = present & ~is_stale(values)
        if timestamps:
            values = np.broadcast_to(times_ms / 1000.0, values.shape)
        grid = Grid(part.series, values, present, np.zeros(len(part.series), np.bool_))
        grids.append(without_absent_rows(grid))
    return stack(grids, len(ends_ms))


def windows(slices: Iterable[Slice], times_ms: Integers, ends_ms: Integers, range_ms: int) -> Iterator[Window]:
    """Windows (end - range_ms, end] over what was scraped."""
    for part in slices:
        for dense in without_stale(part):
            yield _window(dense, np.zeros(len(dense.series), np.bool_), times_ms, ends_ms, range_ms)


def grid_windows(
    grid: Grid, grid_times_ms: Integers, times_ms: Integers, ends_ms: Integers, range_ms: int
) -> Iterator[Window]:
    """Windows over the answers of a subquery, which were evaluated at `grid_times_ms`."""
    for rows, kept in _rows_by_mask(grid.present):
        values = grid.values[rows][:, kept].T
        labels = [grid.labels[row] for row in rows.tolist()]
        dense = Slice(labels, grid_times_ms[kept], values)
        yield _window(dense, grid.drop_name[rows], times_ms, ends_ms, range_ms)


def without_stale(part: Slice) -> Iterator[Slice]:
    """The samples of a slice without staleness markers, as one or several dense slices."""
    if not math.isnan(part.values.sum()):
        yield part
        return
    stale = is_stale(part.values)
    if not stale.any():
        yield part
        return
    for columns, kept in _rows_by_mask(~stale.T):
        labels = [part.series[column] for column in columns.tolist()]
        yield Slice(labels, part.timestamps_ms[kept], part.values[np.ix_(kept, columns)])


def _rows_by_mask(mask: Mask) -> Iterator[tuple[Integers, Mask]]:
    """Rows of a boolean matrix grouped by equal content, with that content; rows without any True are left out."""
    if mask.all():
        if mask.size:
            yield np.arange(len(mask)), mask[0]
        return
    groups: dict[bytes, list[int]] = {}
    for row, key in enumerate(np.packbits(mask, axis=1)):
        groups.setdefault(key.tobytes(), []).append(row)
    for rows in groups.values():
        kept = mask[rows[0]]
        if kept.any():
            yield np.asarray(rows), kept


def _window(part: Slice, drop_name: Mask, times_ms: Integers, ends_ms: Integers, range_ms: int) -> Window:
    lo = np.searchsorted(part.timestamps_ms, ends_ms - range_ms, side="right")
    hi = np.searchsorted(part.timestamps_ms, ends_ms, side="right")
    return Window(part.series, drop_name, part.timestamps_ms, part.values, lo, hi, ends_ms, range_ms, times_ms)
