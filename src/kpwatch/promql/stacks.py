"""Slices one below the other, so that numpy is called once for many of them.

A numpy operation costs microseconds however little it has to do, and an instant query over a fleet has little to do for
each of many targets. So slices of equally many columns are stacked: the rows of one follow those of the other, and each
has steps of its own. No window reaches from one slice into the next; so what is done for the steps of one slice is done
for the steps of all, which is right whatever their columns are called. Long slices are left alone: copying them would
cost more than it saves.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import numpy as np

from kpwatch.promql.values import Floats, Integers, Mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.model.source import Slice

Numbers = TypeVar("Numbers", Integers, Floats)
Cells = TypeVar("Cells", Floats, Mask)

SLICE_CELLS = 1 << 14
"""Slices with more cells, samples or answers, stay alone."""
BATCH_CELLS = 1 << 17
"""So many cells are evaluated together at most: 1 MB, which stays in the processor's cache."""
TIME_LIMIT = 1 << 62


class Stack(NamedTuple):
    """Dense samples of one or several slices of equally many columns.

    `timestamps_ms` (rows,), `values` (rows, columns); slice i begins with the row begins[i]. `series`: the columns of
    the first slice, then those of the second, …
    """

    series: Sequence[Labels]
    timestamps_ms: Integers
    values: Floats
    begins: Integers


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


def alike(slices: Iterable[Slice]) -> Iterable[list[Slice]]:
    """The slices, those of equally many columns together."""
    by_width: defaultdict[int, list[Slice]] = defaultdict(list)
    for part in slices:
        by_width[len(part.series)].append(part)
    return by_width.values()


def stack_of(parts: Sequence[Slice]) -> Stack:
    """Slices of equally many columns, at least one, as a stack; of one nothing is copied."""
    if len(parts) == 1:
        return Stack(parts[0].series, parts[0].timestamps_ms, parts[0].values, np.zeros(1, np.intp))
    heights = np.asarray([len(part.timestamps_ms) for part in parts])
    return Stack(
        [labels for part in parts for labels in part.series],
        np.concatenate([part.timestamps_ms for part in parts]),
        np.concatenate(
            [part.values.T for part in parts], axis=1
        ).T,  # a series' samples side by side, as a store has them
        np.cumsum(heights) - heights,
    )


def rows_until(stack: Stack, *ends_ms: Integers) -> list[Integers]:
    """For each of `ends_ms` (steps,) and each slice: the row after those up to that time.

    Arrays (slices * steps,), slice by slice.
    """
    times_ms, count = stack.timestamps_ms, len(stack.begins)
    if count == 1:
        return [times_ms.searchsorted(ends, side="right") for ends in ends_ms]
    first_ms = min(int(one.min()) for one in (times_ms, *ends_ms))
    epoch_ms = max(int(one.max()) for one in (times_ms, *ends_ms)) - first_ms + 1
    if epoch_ms * count > TIME_LIMIT:
        return [_slice_by_slice(stack, ends) for ends in ends_ms]
    # Each slice in an epoch of its own: then all times ascend, and one search finds everything.
    epochs_ms = np.arange(count) * epoch_ms - first_ms
    moved_ms = times_ms + epochs_ms.repeat(np.diff(stack.begins, append=len(times_ms)))
    return [moved_ms.searchsorted((ends + epochs_ms[:, None]).ravel(), side="right") for ends in ends_ms]


def _slice_by_slice(stack: Stack, ends_ms: Integers) -> Integers:
    parts = np.split(stack.timestamps_ms, stack.begins[1:])
    found = [np.searchsorted(part, ends_ms, side="right") for part in parts]
    return (np.stack(found) + stack.begins[:, None]).ravel()


def for_each(values: Numbers, count: int) -> Numbers:
    """What is given per step, for the steps of each of `count` slices."""
    return values if count == 1 else np.tile(values, count)


def unstacked(cells: Cells, count: int) -> Cells:
    """(slices * steps, columns) as a Grid has it: (slices * columns, steps); `count` slices."""
    across = cells.T
    columns = len(across)
    if count == 1:
        return across
    return cast("Cells", across.reshape(columns, count, -1).swapaxes(0, 1).reshape(count * columns, -1))
