"""The functions of PromQL, in one table: `FUNCTIONS`.

A row says what kind of function it is, which is how the evaluator calls it, and where its rule stands:

`OverTime`   a range vector (and scalars) to a vector: called once per dense matrix of samples;
`Pointwise`  a vector (and scalars) to a vector: values in, values out, the name goes;
`General`    anything else: called with its evaluated arguments and what is around it.

The parser has checked number and types of the arguments. Not here, hence "not supported": native histograms'
functions, info(), and what Prometheus 3 has behind a feature flag without use for floats we keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from kpwatch.model.labels import OF_METRIC
from kpwatch.promql import counters, over_time, pointwise
from kpwatch.promql.histogram import histogram_fraction, histogram_quantile
from kpwatch.promql.relabel import label_join, label_replace, order_by_labels, order_by_value
from kpwatch.promql.tree import Range, Selector, is_fixed
from kpwatch.promql.values import Floats, Grid, Integers, Value, empty_grid, single_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.promql.counters import Cells
    from kpwatch.promql.notes import Notes
    from kpwatch.promql.tree import Node


@dataclass(frozen=True, slots=True)
class Around:
    """What a General function may want beside its arguments' values."""

    times_ms: Integers
    nodes: Sequence[Node]
    places: Sequence[str]
    notes: Notes
    is_range_query: bool
    hold: Callable[[int], None]
    """Told of cells (8 bytes) before they are made; may raise."""


@dataclass(frozen=True, slots=True)
class OverTime:
    """body(window, *scalars) -> values and where they are; scalars have shape (steps,)."""

    body: Callable[..., Cells]
    keeps_name: bool = False
    wants_counter: bool = False


@dataclass(frozen=True, slots=True)
class Pointwise:
    """body(values, *scalars) -> values; without an argument, a calendar function is of the evaluation time."""

    body: Callable[..., Floats]


@dataclass(frozen=True, slots=True)
class General:
    """body(around, *arguments) -> value; range vectors come as the Grid that `over` makes of them."""

    body: Callable[..., Value]
    over: OverTime | None = None


Function = OverTime | Pointwise | General


def _time(around: Around) -> Floats:
    return around.times_ms / 1000.0


def _pi(around: Around) -> Floats:
    return np.full(len(around.times_ms), np.pi)


def _vector(_: Around, scalar: Floats) -> Grid:
    return single_row((), scalar)


def _scalar(_: Around, grid: Grid) -> Floats:
    """The value where exactly one series exists, else NaN."""
    values = np.where(grid.present, grid.values, 0.0).sum(axis=0)
    # A sum of one term; the sum of an infinity and zeros is that infinity.
    return np.where(grid.present.sum(axis=0) == 1, values, np.nan)


def _timestamp(around: Around, grid: Grid) -> Grid:
    """Of anything but a selector (which the evaluator sees to): the evaluation time."""
    return grid.with_values(np.broadcast_to(around.times_ms / 1000.0, grid.values.shape))


def _absent(around: Around, grid: Grid) -> Grid:
    """One series, named by the selector's equalities, where no series exists."""
    missing = np.logical_not(grid.present.any(axis=0), dtype=np.bool_)
    steps = len(around.times_ms)
    if not missing.any():
        return empty_grid(steps)
    return single_row(_labels_of_selector(around.nodes[0]), np.ones(steps), missing)


def _labels_of_selector(node: Node) -> Labels:
    """A label that is matched twice, or otherwise than by `=`, is left out (createLabelsForAbsentFunction)."""
    selector = node.selector if isinstance(node, Range) else node
    if not isinstance(selector, Selector):
        return ()
    labels: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name in OF_METRIC:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            labels[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            labels.pop(matcher.name, None)
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def _clamp(_: Around, grid: Grid, lowest: Floats, highest: Floats) -> Grid:
    values = pointwise.at_least(pointwise.at_most(grid.values, highest), lowest)
    return grid.with_values(values, grid.present & ~(highest < lowest))


def _sort(*, descending: bool) -> Callable[..., Grid]:
    def body(around: Around, grid: Grid) -> Grid:
        if _is_ordered_by_labels_anyway(around):
            return grid
        return grid.take(order_by_value(grid.values[:, 0], descending=descending))

    return body


def _sort_by_label(*, descending: bool) -> Callable[..., Grid]:
    def body(around: Around, grid: Grid, *names: str) -> Grid:
        if _is_ordered_by_labels_anyway(around):
            return grid
        return grid.take(order_by_labels(grid.labels, names, descending=descending))

    return body


def _is_ordered_by_labels_anyway(around: Around) -> bool:
    if len(around.times_ms) > 1 and not is_fixed(around.nodes[0]):  # in a subquery too
        around.notes.warn(
            "sort is ineffective for range queries since results are always ordered by labels", around.places
        )
    return around.is_range_query


def _histogram_quantile(around: Around, q: Floats, grid: Grid) -> Grid:
    return histogram_quantile(q, grid, around.times_ms, around.notes, around.places)


def _histogram_fraction(around: Around, lower: Floats, upper: Floats, grid: Grid) -> Grid:
    return histogram_fraction(lower, upper, grid, around.notes, around.places)


def _label_replace(around: Around, grid: Grid, *texts: str) -> Grid:
    return label_replace(grid, *cast("tuple[str, str, str, str]", texts), hold=around.hold)


def _label_join(around: Around, grid: Grid, *texts: str) -> Grid:
    target, separator, *sources = texts
    return label_join(grid, target, separator, *sources, hold=around.hold)


def _ufunc(function: np.ufunc) -> Pointwise:
    return Pointwise(cast("Callable[..., Floats]", function))


FUNCTIONS: dict[str, Function] = {
    # Counters and gauges over a window.
    "rate": OverTime(counters.rate, wants_counter=True),
    "increase": OverTime(counters.increase, wants_counter=True),
    "delta": OverTime(counters.delta),
    "irate": OverTime(counters.irate),
    "idelta": OverTime(counters.idelta),
    "resets": OverTime(counters.resets),
    "changes": OverTime(counters.changes),
    "deriv": OverTime(counters.deriv),
    "predict_linear": OverTime(counters.predict_linear),
    # Whatever the order of the samples.
    "avg_over_time": OverTime(over_time.avg_over_time),
    "count_over_time": OverTime(over_time.count_over_time),
    "double_exponential_smoothing": OverTime(over_time.double_exponential_smoothing),
    "first_over_time": OverTime(over_time.first_over_time, keeps_name=True),
    "last_over_time": OverTime(over_time.last_over_time, keeps_name=True),
    "mad_over_time": OverTime(over_time.mad_over_time),
    "max_over_time": OverTime(over_time.max_over_time),
    "min_over_time": OverTime(over_time.min_over_time),
    "present_over_time": OverTime(over_time.present_over_time),
    "quantile_over_time": OverTime(over_time.quantile_over_time),
    "stddev_over_time": OverTime(over_time.stddev_over_time),
    "stdvar_over_time": OverTime(over_time.stdvar_over_time),
    "sum_over_time": OverTime(over_time.sum_over_time),
    "ts_of_first_over_time": OverTime(over_time.ts_of_first_over_time),
    "ts_of_last_over_time": OverTime(over_time.ts_of_last_over_time),
    "ts_of_max_over_time": OverTime(over_time.ts_of_max_over_time),
    "ts_of_min_over_time": OverTime(over_time.ts_of_min_over_time),
    # One value at a time.
    "abs": _ufunc(np.absolute),
    "ceil": _ufunc(np.ceil),
    "clamp_max": Pointwise(pointwise.at_most),
    "clamp_min": Pointwise(pointwise.at_least),
    "exp": _ufunc(np.exp),
    "floor": _ufunc(np.floor),
    "ln": _ufunc(np.log),
    "log10": _ufunc(np.log10),
    "log2": _ufunc(np.log2),
    "round": Pointwise(pointwise.round_to),
    "sgn": Pointwise(pointwise.sgn),
    "sqrt": _ufunc(np.sqrt),
    # Trigonometry.
    "acos": _ufunc(np.arccos),
    "acosh": _ufunc(np.arccosh),
    "asin": _ufunc(np.arcsin),
    "asinh": _ufunc(np.arcsinh),
    "atan": _ufunc(np.arctan),
    "atanh": _ufunc(np.arctanh),
    "cos": _ufunc(np.cos),
    "cosh": _ufunc(np.cosh),
    "deg": Pointwise(pointwise.degrees),
    "rad": Pointwise(pointwise.radians),
    "sin": _ufunc(np.sin),
    "sinh": _ufunc(np.sinh),
    "tan": _ufunc(np.tan),
    "tanh": _ufunc(np.tanh),
    # The calendar.
    "day_of_month": Pointwise(pointwise.day_of_month),
    "day_of_week": Pointwise(pointwise.day_of_week),
    "day_of_year": Pointwise(pointwise.day_of_year),
    "days_in_month": Pointwise(pointwise.days_in_month),
    "hour": Pointwise(pointwise.hour),
    "minute": Pointwise(pointwise.minute),
    "month": Pointwise(pointwise.month),
    "year": Pointwise(pointwise.year),
    # Times, scalars and vectors.
    "pi": General(_pi),
    "scalar": General(_scalar),
    "time": General(_time),
    "timestamp": General(_timestamp),
    "vector": General(_vector),
    # Presence, bounds, histograms.
    "absent": General(_absent),
    "absent_over_time": General(_absent, over=OverTime(over_time.present_over_time)),
    "clamp": General(_clamp),
    "histogram_fraction": General(_histogram_fraction),
    "histogram_quantile": General(_histogram_quantile),
    # Labels and order.
    "label_join": General(_label_join),
    "label_replace": General(_label_replace),
    "sort": General(_sort(descending=False)),
    "sort_desc": General(_sort(descending=True)),
    "sort_by_label": General(_sort_by_label(descending=False)),
    "sort_by_label_desc": General(_sort_by_label(descending=True)),
}
"""Every function there is; whatever the parser knows beyond is refused with "not supported"."""
