"""Aggregation operators: many series to one per group, at every step.

`OPERATORS` is the table. An operator is a *fold* (one value per group and step), a *choice* (some of the series stay
as they are: topk, limitk …), or count_values, which makes series of values. Folds with a numpy operation run over all
groups at once; the others walk group by group, never sample by sample. Rules: promql/engine.go, `aggregation`.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import QueryFailed
from kpwatch.model.gofloat import format_g
from kpwatch.model.labels import make_labels
from kpwatch.promql.grouping import Groups, fold_groups, group_rows
from kpwatch.promql.over_time import SCALED_DOWN, quantile_of_sorted, sort_nan_first
from kpwatch.promql.reduce import cancelled_cells, compensated_sum
from kpwatch.promql.relabel import is_label_name, show_bytes
from kpwatch.promql.series_hash import hash_labels
from kpwatch.promql.values import Floats, Grid, all_true, falses, trues, without_absent_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.promql.notes import Notes
    from kpwatch.promql.values import Integers, Mask

INT64_LIMIT = 2.0**63
UINT64_MOST = 2.0**64 - 1


class Request(NamedTuple):
    """One aggregation: what it is over, how it groups, and its parameter at every step."""

    grid: Grid
    names: Sequence[str]
    without: bool
    parameter: Floats | None
    notes: Notes
    places: Sequence[str] = ()


def aggregate(operator: str, request: Request) -> Grid:
    """The answer of a fold or a choice; raises QueryFailed where the parameter makes no sense."""
    return OPERATORS[operator](request)


# --- folds ------------------------------------------------------------------------------------------------------------


def _filled(grid: Grid, absent: float) -> Floats:
    return grid.values if all_true(grid.present) else np.where(grid.present, grid.values, absent)


def _counts(grid: Grid, groups: Groups) -> Floats:
    return fold_groups(grid.present.astype(np.float64), groups, np.add)


def _sums(values: Floats, groups: Groups) -> Floats:
    sums = fold_groups(values, groups, np.add)
    members: list[Integers] = []
    for group, step in cancelled_cells(values, sums, lambda sizes: fold_groups(sizes, groups, np.add)):
        if not members:
            members, sums = list(groups.members()), sums.copy()
        sums[group, step] = compensated_sum(values[members[group], step])
    return sums


def _sum(grid: Grid, groups: Groups) -> Floats:
    return _sums(_filled(grid, 0.0), groups)


def _avg(grid: Grid, groups: Groups) -> Floats:
    values, counts = _filled(grid, 0.0), np.maximum(_counts(grid, groups), 1)
    means = _sums(values, groups) / counts
    if not np.isinf(means).any():
        return means
    return np.where(np.isinf(means), _sums(values * SCALED_DOWN, groups) / counts / SCALED_DOWN, means)


def _min(grid: Grid, groups: Groups) -> Floats:
    return fold_groups(_filled(grid, np.nan), groups, np.fmin)


def _max(grid: Grid, groups: Groups) -> Floats:
    return fold_groups(_filled(grid, np.nan), groups, np.fmax)


def _group(grid: Grid, groups: Groups) -> Floats:
    return np.ones((len(groups.labels), grid.values.shape[1]))


def _stdvar(grid: Grid, groups: Groups) -> Floats:
    """Around a value of the group first: equal values give exactly 0."""
    result = np.empty((len(groups.labels), grid.values.shape[1]))
    for group, rows in enumerate(groups.members()):
        values, present = grid.values[rows], grid.present[rows]
        first = np.take_along_axis(values, present.argmax(axis=0)[None], axis=0)
        count = np.maximum(present.sum(axis=0), 1)
        off = np.where(present, values - first, 0.0)
        off = np.where(present, off - off.sum(axis=0) / count, 0.0)
        result[group] = (off * off).sum(axis=0) / count
    return result


def _stddev(grid: Grid, groups: Groups) -> Floats:
    return np.sqrt(_stdvar(grid, groups))


def _folding(fold: Callable[[Grid, Groups], Floats]) -> Callable[[Request], Grid]:
    def run(request: Request) -> Grid:
        if not request.grid.labels:
            return request.grid
        groups = group_rows(request.grid.labels, request.names, without=request.without)
        return _per_group(request.grid, groups, fold(request.grid, groups))

    return run


def _per_group(grid: Grid, groups: Groups, values: Floats) -> Grid:
    """A group exists where a member does, and forgets its name if a member does."""
    drop = np.bincount(groups.of_row, weights=grid.drop_name, minlength=len(groups.labels)) > 0
    if all_true(grid.present):
        return Grid(groups.labels, values, trues(values.size).reshape(values.shape), drop)
    return without_absent_rows(Grid(groups.labels, values, fold_groups(grid.present, groups, np.logical_or), drop))


def _quantile(request: Request) -> Grid:
    q, grid = _parameter(request), request.grid
    for wrong in (
        q[np.isnan(q)][:1],
        q[q > 1].max(initial=-np.inf, keepdims=True),
        q[q < 0].min(initial=np.inf, keepdims=True),
    ):
        for value in [each for each in wrong.tolist() if not math.isinf(each) or each in q]:
            request.notes.warn(f"quantile value should be between 0 and 1, got {format_g(value)}", request.places, 1)
    groups = group_rows(grid.labels, request.names, without=request.without)
    if not groups.labels:
        return grid
    result = np.empty((len(groups.labels), grid.values.shape[1]))
    for group, rows in enumerate(groups.members()):
        values, present = grid.values[rows], grid.present[rows]
        # Absent cells sort to the end, where the count leaves them out.
        ordered = sort_nan_first(np.where(present, values, np.inf), axis=0)
        result[group] = quantile_of_sorted(ordered, q, present.sum(axis=0).astype(np.float64))
    return _per_group(grid, groups, result)


# --- choices ----------------------------------------------------------------------------------------------------------


def _parameter(request: Request) -> Floats:
    assert request.parameter is not None, "the parser gives this operator a parameter"
    return request.parameter


def _check_k(k: Floats) -> None:
    if not (k >= 1).any() and not np.isnan(k).any():
        return
    if np.isnan(k).any():
        raise QueryFailed("Parameter value is NaN")
    if k.min() <= -INT64_LIMIT:
        raise QueryFailed(f"Scalar value {format_g(float(k.min()))} underflows int64")
    if k.max() >= INT64_LIMIT:
        raise QueryFailed(f"Scalar value {format_g(float(k.max()))} overflows int64")


def _ranked(*, largest: bool) -> Callable[[Request], Grid]:
    """The k best; NaN is the last choice; of equal values the series that comes first."""

    def run(request: Request) -> Grid:
        k, grid = _parameter(request), request.grid
        _check_k(k)
        groups = group_rows(grid.labels, request.names, without=request.without)
        chosen = np.zeros_like(grid.present)
        in_order: list[Integers] = []
        for rows in groups.members() if groups.labels else ():
            values, present = grid.values[rows], grid.present[rows]
            class_of = np.where(present, np.isnan(values), 2)
            order = np.lexsort((-values if largest else values, class_of), axis=0)
            places = np.empty_like(order)
            np.put_along_axis(places, order, np.arange(len(rows))[:, None], axis=0)
            chosen[rows] = present & (places < np.trunc(k))
            in_order.append(rows[order[:, 0]])
        if grid.values.shape[1] == 1 and in_order:  # an instant query answers in this order
            best_first = np.concatenate(in_order)
            grid, chosen = grid.take(best_first), chosen[best_first]
        return _chosen(grid, chosen)

    return run


def _limitk(request: Request) -> Grid:
    k, grid = _parameter(request), request.grid
    _check_k(k)
    groups = group_rows(grid.labels, request.names, without=request.without)
    chosen = np.zeros_like(grid.present)
    for rows in groups.members() if groups.labels else ():
        present = grid.present[rows]
        chosen[rows] = present & (np.cumsum(present, axis=0) <= np.trunc(k))
    return _chosen(grid, chosen)


def _limit_ratio(request: Request) -> Grid:
    """A reproducible sample: a series is in by the hash of its labels; the complement of r is r - 1."""
    ratio, grid = _parameter(request), request.grid
    if np.isnan(ratio).any():
        raise QueryFailed("Ratio value is NaN")
    for value, limit in ((ratio.max(), 1), (ratio.min(), -1)):
        if abs(value) > 1 and value * limit > 0:
            request.notes.warn(
                f"ratio value should be between -1 and 1, got {format_g(float(value))}, capping to {limit}",
                request.places,
                1,
            )
    ratio = np.clip(ratio, -1.0, 1.0)
    place = np.asarray([hash_labels(labels) / UINT64_MOST for labels in grid.labels])[:, None]
    return _chosen(grid, grid.present & np.where(ratio >= 0, place < ratio, place >= 1.0 + ratio))


def _chosen(grid: Grid, chosen: Mask) -> Grid:
    return without_absent_rows(Grid(grid.labels, grid.values, chosen, grid.drop_name))


def count_values(request: Request, label: str, hold: Callable[[int], None]) -> Grid:
    """How often each value occurs in a group, as one series per value with the value in `label`.

    `hold` is told how many cells the answer has before it is made, and may raise.
    """
    if not is_label_name(label):
        raise QueryFailed(f'invalid label name "{show_bytes(label)}"')
    grid = request.grid
    steps = grid.values.shape[1]
    rows, columns = np.nonzero(grid.present)
    values = grid.values[rows, columns]
    # By bits, as -0 and 0 are two values; all NaN are one.
    distinct, value_of = np.unique(np.where(np.isnan(values), np.nan, values).view(np.int64), return_inverse=True)
    is_dropped = request.without and label in request.names
    if is_dropped:
        value_of = np.zeros_like(value_of)
    bare = [tuple(pair for pair in labels if pair[0] != label) for labels in grid.labels]
    groups = group_rows(bare, request.names, without=request.without)
    series, series_of = np.unique(groups.of_row[rows] * len(distinct) + value_of, return_inverse=True)
    hold(len(series) * steps)
    counted = np.bincount(series_of * steps + columns, minlength=len(series) * steps).reshape(-1, steps)
    texts = [_plain_number(value) for value in distinct.view(np.float64).tolist()]
    labels = []
    for number in series.tolist():
        group, value = divmod(number, len(distinct))
        named = {} if is_dropped else {label: texts[value]}
        labels.append(make_labels({**dict(groups.labels[group]), **named}))
    return Grid(labels, counted.astype(np.float64), counted > 0, falses(len(labels)))


def _plain_number(value: float) -> str:
    """As Go's FormatFloat(value, 'f', -1, 64): shortest digits, never an exponent."""
    if not np.isfinite(value):
        return format_g(value)
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


OPERATORS: dict[str, Callable[[Request], Grid]] = {
    "sum": _folding(_sum),
    "avg": _folding(_avg),
    "count": _folding(_counts),
    "min": _folding(_min),
    "max": _folding(_max),
    "group": _folding(_group),
    "stddev": _folding(_stddev),
    "stdvar": _folding(_stdvar),
    "quantile": _quantile,
    "topk": _ranked(largest=True),
    "bottomk": _ranked(largest=False),
    "limitk": _limitk,
    "limit_ratio": _limit_ratio,
}
"""All aggregation operators but count_values, whose parameter is a label."""
