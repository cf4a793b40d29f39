"""What expressions evaluate to: matrices, one row per series and one column per step.

A query is evaluated at all its steps at once. An instant vector at every step is a `Grid`; NaN is a legal value, so
which cells exist is a mask of its own. A scalar at every step is an array, a string is a string.

Names are dropped at the end: a function that makes a series forget its metric's name marks the row (`drop_name`) and
the name goes when the query is answered, so that label_replace, `by (__name__)` and matching still see it (what
Prometheus 3 calls delayed name removal).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kpwatch.base.errors import QueryFailed
from kpwatch.model.labels import OF_METRIC
from kpwatch.model.numbers import STALE_NAN_BITS
from kpwatch.promql.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.labels import Labels

FEW_CELLS = 4096
_YES, _NO = np.ones(FEW_CELLS, np.bool_), np.zeros(FEW_CELLS, np.bool_)
for _mask in (_YES, _NO):
    _mask.flags.writeable = False

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Grid:
    """Instant vectors at every step.

    `values` and `present` have shape (len(labels), steps); a value counts only where present. `drop_name` has shape
    (len(labels),). Arrays may be read-only views; nobody writes into a Grid.
    """

    labels: Sequence[Labels]
    values: Floats
    present: Mask
    drop_name: Mask

    def take(self, rows: Integers | Sequence[int]) -> Grid:
        """The given rows, in the given order."""
        index = np.asarray(rows, np.intp)
        labels = [self.labels[row] for row in index.tolist()]
        return Grid(labels, self.values[index], self.present[index], self.drop_name[index])

    def with_values(self, values: Floats, present: Mask | None = None) -> Grid:
        """Other values for the same series, which forget their names."""
        return Grid(self.labels, values, self.present if present is None else present, trues(len(self.labels)))

    @property
    def cells(self) -> int:
        """How many values this holds."""
        return self.values.size


RowsOf = dict[tuple["Labels", int], list[int]]
Value = Grid | Floats | str
"""A Grid; a scalar at every step, shape (steps,); a string."""


def all_true(mask: Mask) -> bool:
    """Whether all is true; a small array's bytes are looked through sooner than numpy begins to."""
    return b"\0" not in mask.tobytes() if mask.size <= FEW_CELLS else bool(mask.all())


def trues(count: int) -> Mask:
    """So many; few of them are a view of what is there already. Nobody writes into it."""
    return _YES[:count] if count <= FEW_CELLS else np.ones(count, np.bool_)


def falses(count: int) -> Mask:
    """See `trues`."""
    return _NO[:count] if count <= FEW_CELLS else np.zeros(count, np.bool_)


def empty_grid(steps: int) -> Grid:
    """No series."""
    return Grid([], np.empty((0, steps)), np.empty((0, steps), np.bool_), np.empty(0, np.bool_))


def single_row(labels: Labels, values: Floats, present: Mask | None = None) -> Grid:
    """One series; present everywhere unless told."""
    mask = trues(len(values)) if present is None else present
    return Grid([labels], values[None, :], mask[None, :], falses(1))


def stack(grids: Sequence[Grid], steps: int) -> Grid:
    """All rows of all grids, in order."""
    grids = [grid for grid in grids if len(grid.labels)]
    if not grids:
        return empty_grid(steps)
    if len(grids) == 1:
        return grids[0]
    return Grid(
        [labels for grid in grids for labels in grid.labels],
        np.concatenate([grid.values for grid in grids]),
        np.concatenate([grid.present for grid in grids]),
        np.concatenate([grid.drop_name for grid in grids]),
    )


def without_absent_rows(grid: Grid) -> Grid:
    """Only the series that exist at some step."""
    if all_true(grid.present):
        return grid
    (some,) = np.nonzero(grid.present.any(axis=1))
    return grid if len(some) == len(grid.labels) else grid.take(some)


def drop_names(grid: Grid) -> Grid:
    """Take the names of the rows marked so; series that become the same are merged."""
    if not grid.labels:
        return grid
    labels, rows_of = _without_names(grid.labels, grid.drop_name.tobytes())
    nameless = Grid(labels, grid.values, grid.present, falses(len(labels)))
    return nameless if rows_of is None else _merged(nameless, rows_of)


@remembered
def _without_names(labels: Sequence[Labels], drops: bytes) -> tuple[Sequence[Labels], RowsOf | None]:
    """The labels that are left, and what `_rows_of` says of these."""
    if 1 in drops:
        labels = tuple(
            tuple(pair for pair in row if pair[0] not in OF_METRIC) if drop else row
            for row, drop in zip(labels, drops, strict=True)
        )
    return labels, _rows_of(labels, bytes(len(labels)))


def merge_same_labels(grid: Grid) -> Grid:
    """Join rows with the same labels and the same fate of the name.

    Raises QueryFailed where two of them have a value at the same step (promql/engine.go, mergeSeriesWithSameLabelset).
    """
    rows_of = _rows_of(grid.labels, grid.drop_name.tobytes())
    return grid if rows_of is None else _merged(grid, rows_of)


def _merged(grid: Grid, rows_of: RowsOf) -> Grid:
    values, present = grid.values.copy(), grid.present.copy()
    for (labels, _), rows in rows_of.items():
        first = rows[0]
        for other in rows[1:]:
            if (present[first] & present[other]).any():
                raise QueryFailed(
                    f"vector cannot contain metrics with the same labelset: {show_labels(labels)} comes twice; "
                    "keep a label that tells them apart, or aggregate them"
                )
            values[first] = np.where(present[other], values[other], values[first])
            present[first] |= present[other]
    kept = [rows[0] for rows in rows_of.values()]
    return Grid(grid.labels, values, present, grid.drop_name).take(kept)


@remembered
def _rows_of(labels: Sequence[Labels], drops: bytes) -> RowsOf | None:
    """The rows of each label set with each fate of its name; None where each has but one."""
    rows_of: RowsOf = {}
    for row, key in enumerate(zip(labels, drops, strict=True)):
        rows_of.setdefault(key, []).append(row)
    return None if len(rows_of) == len(labels) else rows_of


def is_stale(values: Floats) -> Mask:
    """Where `values` are staleness markers."""
    bits: Integers = np.ascontiguousarray(values).view(np.int64)
    stale: Mask = bits == STALE_NAN_BITS
    return stale


def show_labels(labels: Labels) -> str:
    """A label set as messages show it: `{__name__="name", label="value"}`."""
    return "{" + ", ".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
