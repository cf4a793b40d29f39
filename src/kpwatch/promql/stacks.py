"""Stacks (`model/stack.py`): where they come from, and from the steps of each slice to the rows of a Grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from kpwatch.model.stack import batches, stacks_of
from kpwatch.promql.values import FEW_CELLS, Floats, Integers, Mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpwatch.model.matchers import Matcher
    from kpwatch.model.source import SeriesSource
    from kpwatch.model.stack import Stack

Numbers = TypeVar("Numbers", Integers, Floats)
Cells = TypeVar("Cells", Floats, Mask)


def selected(
    source: SeriesSource, matchers: Sequence[Matcher], start_ms: int, end_ms: int, steps: int
) -> Iterator[list[Stack]]:
    """What the source selects, in batches that are worth evaluating together; from one that keeps stacks, those."""
    keeper: Any = getattr(source, "stacks", None)  # see model.source.StackSource
    if keeper is not None:
        return cast("Iterator[list[Stack]]", keeper(matchers, start_ms, end_ms, steps))
    return map(stacks_of, batches(source.select(matchers, start_ms, end_ms), steps))


def for_each(values: Numbers, count: int) -> Numbers:
    """What is given per step, for the steps of each of `count` slices."""
    return values if count == 1 else values[None].repeat(count, axis=0).ravel()


def unstacked(cells: Cells, count: int) -> Cells:
    """(slices * steps, columns) as a Grid has it: (slices * columns, steps); `count` slices."""
    across = cells.T
    columns = len(across)
    if count == 1:
        return across
    if columns == 1:
        return cast("Cells", across.reshape(count, -1))
    return cast("Cells", across.reshape(columns, count, -1).swapaxes(0, 1).reshape(count * columns, -1))


def in_all_columns(by_step: Cells, columns: int, count: int) -> Cells:
    """What is the same in all columns of a slice, (slices * steps,), as a Grid has it: (slices * columns, steps)."""
    across = by_step.reshape(count, -1)
    if columns == 1:
        return across
    if count == 1 and columns * across.size > FEW_CELLS:
        return np.broadcast_to(across, (columns, across.shape[1]))
    return across.repeat(columns, axis=0)
