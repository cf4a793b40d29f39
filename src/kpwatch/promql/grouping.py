"""Groups of series, and folding all groups at all steps at once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import numpy as np

from kpwatch.model.labels import OF_METRIC
from kpwatch.promql.remembered import remembered
from kpwatch.promql.values import Floats, Integers, Mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpwatch.model.labels import Labels

Matrix = TypeVar("Matrix", Floats, Mask)

FEW_STEPS = 8
"""Up to so many steps, reduceat over all groups beats a loop over them."""


KEYS_KEPT = 1 << 14
"""Of so many label sets the group is remembered: dashboards ask the same again."""


class Groups(NamedTuple):
    """Which group each row belongs to, and what the groups are called; numbered by first appearance."""

    labels: Sequence[Labels]
    of_row: Integers
    order: Integers
    """The rows of the first group, then those of the second, …"""
    starts: Integers
    """Where in `order` each group begins."""
    sizes: Integers
    """How many rows each group has."""

    def members(self) -> Iterator[Integers]:
        """The rows of each group, in order."""
        yield from np.split(self.order, self.starts[1:])


def group_rows(rows: Sequence[Labels], names: Sequence[str], *, without: bool) -> Groups:
    """Group label sets by the named labels, or by all but the named and those of the metric."""
    return _grouped(rows, tuple(names), without)


@remembered
def _grouped(rows: Sequence[Labels], names: Sequence[str], without: bool) -> Groups:
    chosen = OF_METRIC.union(names) if without else frozenset(names)
    numbers: dict[Labels, int] = {}
    of_row = np.empty(len(rows), np.intp)
    for row, labels in enumerate(rows):
        of_row[row] = numbers.setdefault(_key(labels, chosen, without), len(numbers))
    return make_groups(tuple(numbers), of_row)


def make_groups(labels: Sequence[Labels], of_row: Integers) -> Groups:
    """Groups of rows, from each row's group; nobody may write into them."""
    sizes = np.bincount(of_row, minlength=len(labels))
    arrays = (of_row, of_row.argsort(kind="stable"), sizes.cumsum() - sizes, sizes)
    for array in arrays:
        array.flags.writeable = False
    return Groups(labels, *arrays)


@lru_cache(maxsize=KEYS_KEPT)
def _key(labels: Labels, chosen: frozenset[str], without: bool) -> Labels:
    """The labels that name a row's group."""
    return tuple(pair for pair in labels if (pair[0] in chosen) != without)


def fold_groups(values: Matrix, groups: Groups, combine: np.ufunc) -> Matrix:
    """`combine` over the rows of each group: (rows, steps) to (groups, steps)."""
    count = len(groups.labels)
    if count == len(values):
        return values  # as many groups as rows, numbered by appearance: nothing to combine
    order, starts, sizes = groups.order, groups.starts, groups.sizes
    if values.shape[1] <= FEW_STEPS:
        return cast("Matrix", combine.reduceat(values[order], starts, axis=0))
    if count <= sizes.max():
        return cast("Matrix", np.stack([combine.reduce(values[rows], axis=0) for rows in groups.members()]))
    result: Matrix = values[order[starts]]
    for place in range(1, int(sizes.max())):
        having = np.flatnonzero(sizes > place)
        result[having] = combine(result[having], values[order[starts[having] + place]])
    return result
