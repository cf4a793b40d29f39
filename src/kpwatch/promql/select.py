"""From slices to steps: the newest sample at each step, or the window of samples before each step.

Prometheus 3's rules: an instant selector sees the newest sample in (t - lookback, t], and nothing if that sample is a
staleness marker; a range selector sees all samples in (t - range, t] but staleness markers. A slice has one timestamp
column for all its series, so the rows for all steps are found once per slice, or for several at once (stacks.py).

Windows are free of staleness markers: a slice in which some columns have them is split into slices whose columns have
them in the same rows (a target that went away has them in one row, so there are few).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.model.source import Slice
from kpwatch.model.stack import stack_of
from kpwatch.promql.reduce import take_rows
from kpwatch.promql.stacks import for_each, in_all_columns, unstacked
from kpwatch.promql.values import Floats, Grid, Integers, Mask, falses, is_stale, stack, without_absent_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.model.stack import Stack


class Window(NamedTuple):
    """A stack of samples and, for every step, which rows are in the step's window.

    Step i sees rows [lo[i], hi[i]), which lie in (ends_ms[i] - range_ms, ends_ms[i]]. `times_ms` (steps,) are the
    steps' own times, which offset and @ move away from `ends_ms`. Of several slices each has its own steps, those of
    the first slice first; `drop_name` is of all columns of the first slice, then of the second, …
    """

    stack: Stack
    drop_name: Mask
    lo: Integers
    hi: Integers
    ends_ms: Integers
    range_ms: int
    times_ms: Integers
    check_time: Callable[[], None] = lambda: None
    """Raises when the query's time is over."""

    @property
    def series(self) -> Sequence[Labels]:
        """See Stack."""
        return self.stack.series

    @property
    def timestamps_ms(self) -> Integers:
        """See Stack."""
        return self.stack.timestamps_ms

    @property
    def values(self) -> Floats:
        """See Stack."""
        return self.stack.values

    @property
    def begins(self) -> Integers:
        """See Stack."""
        return self.stack.begins

    @property
    def counts(self) -> Integers:
        """Samples in each step's window, shape (steps,)."""
        return self.hi - self.lo


def newest(stacks: Iterable[Stack], ends_ms: Integers, lookback_ms: int, *, timestamps: bool = False) -> Grid:
    """The newest samples in (end - lookback_ms, end], one column per end; their times in seconds if `timestamps`."""
    grids: list[Grid] = []
    for one in stacks:
        count = len(one.begins)
        (until,) = one.rows_until(ends_ms)
        rows = np.maximum(until - 1, 0)
        times_ms = one.timestamps_ms[rows]
        found = (until > one.begins.repeat(len(ends_ms))) & (times_ms > for_each(ends_ms - lookback_ms, count))
        values = unstacked(take_rows(one.values, rows), count)
        present = in_all_columns(found, one.values.shape[1], count)
        if one.has_nan:
            present = present & ~is_stale(values)
        if timestamps:
            values = in_all_columns(times_ms / 1000.0, one.values.shape[1], count)
        grid = Grid(one.series, values, present, falses(len(one.series)))
        grids.append(without_absent_rows(grid))
    return stack(grids, len(ends_ms))


def windows(stacks: Iterable[Stack], times_ms: Integers, ends_ms: Integers, range_ms: int) -> Iterator[Window]:
    """Windows (end - range_ms, end] over what was scraped."""
    for whole in stacks:
        for one in _without_stale(whole):
            yield _window(one, falses(len(one.series)), times_ms, ends_ms, range_ms)


def _without_stale(one: Stack) -> Iterator[Stack]:
    """The stack without staleness markers, as one or several; nearly always there are none."""
    if not one.has_nan or not is_stale(one.values).any():
        yield one
        return
    clean = []
    for part in _slices(one):
        pieces = list(without_stale(part))
        if len(pieces) == 1 and pieces[0] is part:
            clean.append(part)
        else:
            yield from (stack_of([piece]) for piece in pieces)
    if clean:
        yield stack_of(clean)


def _slices(one: Stack) -> Iterator[Slice]:
    width = one.values.shape[1]
    ends = [*one.begins[1:].tolist(), len(one.timestamps_ms)]
    for number, (begin, end) in enumerate(zip(one.begins.tolist(), ends, strict=True)):
        series = one.series[number * width : (number + 1) * width]
        yield Slice(series, one.timestamps_ms[begin:end], one.values[begin:end])


def grid_windows(
    grid: Grid, grid_times_ms: Integers, times_ms: Integers, ends_ms: Integers, range_ms: int
) -> Iterator[Window]:
    """Windows over the answers of a subquery, which were evaluated at `grid_times_ms`."""
    for rows, kept in _rows_by_mask(grid.present):
        values = grid.values[rows][:, kept].T
        labels = [grid.labels[row] for row in rows.tolist()]
        dense = Slice(labels, grid_times_ms[kept], values)
        yield _window(stack_of([dense]), grid.drop_name[rows], times_ms, ends_ms, range_ms)


def without_stale(part: Slice) -> Iterator[Slice]:
    """The samples of a slice without staleness markers, as one or several dense slices."""
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


def _window(one: Stack, drop_name: Mask, times_ms: Integers, ends_ms: Integers, range_ms: int) -> Window:
    count = len(one.begins)
    lo, hi = one.rows_until(ends_ms - range_ms, ends_ms)
    return Window(one, drop_name, lo, hi, for_each(ends_ms, count), range_ms, for_each(times_ms, count))
