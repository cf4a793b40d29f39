"""Sums and extremes over many ranges of rows at once.

Two ways to see every window of a matrix without a loop over samples. `fold_windows` combines neighbours to blocks of
1, 2, 4, … rows and puts each window together from those (log2 of the longest window passes over the data). For what is
not a fold, such as a quantile, `blocks` gathers the windows of equal length into dense (windows, length, series)
arrays, a bounded number of cells at a time.

Sums: Prometheus adds with compensation (Neumaier). Plain adding is as good unless terms cancel, so cells whose terms
cancel are found and added again as Prometheus does, one by one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpwatch.promql.values import Floats, Integers, Mask

BLOCK_CELLS = 1 << 20
"""How many cells `blocks` gathers at once: 8 MB."""

CANCELLED = 1e-3
"""A sum smaller than this part of the sum of its terms' sizes is added again."""


def take_rows(values: Floats, rows: Integers) -> Floats:
    """`values[rows]`, in the order of memory that `values` has: a store keeps a series' samples side by side."""
    if values.flags.f_contiguous and values.shape[1] > 1:
        return values.T.take(rows, axis=1, mode="clip").T
    return values[rows]


def fold_windows(values: Floats, lo: Integers, hi: Integers, combine: np.ufunc, empty: float) -> Floats:
    """`combine` over rows [lo[i], hi[i]) for every i: shape (len(lo), columns); `empty` where lo[i] >= hi[i].

    `combine` is associative and has `empty` as its neutral element.
    """
    result = np.full((len(lo), values.shape[1]), empty)
    lengths = np.maximum(hi - lo, 0)
    position = lo.copy()
    folded = values
    for power in range(int(lengths.max(initial=0)).bit_length()):
        size = 1 << power
        if power:
            folded = combine(folded[: -(size >> 1)], folded[size >> 1 :])
        uses = (lengths & size) != 0
        if uses.all():
            result = combine(result, folded[position])
            position = position + size
        elif uses.any():
            at = position[uses]
            result[uses] = combine(result[uses], folded[at])
            position[uses] = at + size
    return result


def sum_windows(values: Floats, lo: Integers, hi: Integers) -> Floats:
    """Sums over rows [lo[i], hi[i]) of every column."""
    sums = fold_windows(values, lo, hi, np.add, 0.0)
    for step, column in cancelled_cells(values, sums, lambda sizes: fold_windows(sizes, lo, hi, np.add, 0.0)):
        sums[step, column] = compensated_sum(values[lo[step] : hi[step], column])
    return sums


def cancelled_cells(values: Floats, sums: Floats, add: object) -> Iterator[tuple[int, int]]:
    """Cells of `sums` whose terms cancel; `add` sums a matrix shaped like `values` the way `sums` was made."""
    assert callable(add)
    if not values.size or values.min() >= 0:  # as all counters are
        return
    if not (np.fmin.reduce(values, axis=None, initial=np.inf) < 0 < np.fmax.reduce(values, axis=None, initial=-np.inf)):
        return
    sizes = add(np.abs(values))
    suspects = np.abs(sums) < CANCELLED * sizes
    yield from ((int(row), int(column)) for row, column in zip(*np.nonzero(suspects), strict=True))


def compensated_sum(terms: Floats) -> float:
    """Neumaier's sum in order, as Prometheus adds (util/kahansum): the same digits where terms cancel."""
    total = compensation = 0.0
    for term in terms.tolist():
        new = total + term
        if math.isinf(new):
            compensation = 0.0
        elif abs(total) >= abs(term):
            compensation += (total - new) + term
        else:
            compensation += (term - new) + total
        total = new
    return total if math.isinf(total) else total + compensation


def count_flags(flags: Mask, lo: Integers, hi: Integers) -> Floats:
    """How many True are in rows [lo[i], hi[i]) of every column; windows may be empty (hi <= lo)."""
    totals = np.zeros((flags.shape[0] + 1, flags.shape[1]), np.int64)
    np.cumsum(flags, axis=0, out=totals[1:])
    counts: Integers = totals[np.maximum(hi, lo)] - totals[lo]
    return counts.astype(np.float64)


def blocks(
    values: Floats, lo: Integers, hi: Integers, check_time: Callable[[], None] = lambda: None
) -> Iterator[tuple[Integers, Integers, Floats]]:
    """All windows that are not empty, as (steps, rows, block): block[i, j] is the window of steps[i]'s j-th row.

    `rows` has shape (windows, length): the row numbers; `block` (windows, length, columns). `check_time` is called
    before each, and may raise: long windows of many series take long, however little memory they take at a time.
    """
    lengths = hi - lo
    how_many = np.bincount(lengths[lengths > 0])  # np.unique would load all of numpy.ma
    for length in np.flatnonzero(how_many).tolist():
        steps = np.flatnonzero(lengths == length)
        at_once = max(1, BLOCK_CELLS // max(1, length * values.shape[1]))
        for first in range(0, len(steps), at_once):
            check_time()
            chunk = steps[first : first + at_once]
            rows = lo[chunk][:, None] + np.arange(length)
            yield chunk, rows, values[rows]
