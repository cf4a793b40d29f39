"""Walks the tree: every node is evaluated once, at all steps together.

A query's times are an int64 array of milliseconds; a subquery is the same walk at other times. What `@` fixes is looked
up once and spread over the steps by numpy's broadcasting. After every node the deadline is checked and the cells held
are counted: what a node needed inside is let go when it returns, its result is held until its parent returns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kpwatch.base.errors import BadQuery, QueryFailed
from kpwatch.model.gofloat import format_g
from kpwatch.model.labels import metric_name
from kpwatch.promql import binary, extended
from kpwatch.promql.aggregate import Request, aggregate, count_values
from kpwatch.promql.counters import PLAIN
from kpwatch.promql.functions import FUNCTIONS, Around, General, OverTime, Pointwise
from kpwatch.promql.remembered import remembered
from kpwatch.promql.select import grid_windows, newest, windows
from kpwatch.promql.stacks import for_each, in_all_columns, selected, unstacked
from kpwatch.promql.tree import (
    Aggregation,
    Binary,
    Call,
    Negation,
    Number,
    Range,
    Selector,
    Subquery,
    Text,
)
from kpwatch.promql.values import (
    Floats,
    Grid,
    Integers,
    Value,
    empty_grid,
    single_row,
    stack,
    trues,
    without_absent_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.model.source import SeriesSource
    from kpwatch.model.stack import Stack
    from kpwatch.promql.budget import Budget
    from kpwatch.promql.notes import Notes
    from kpwatch.promql.select import Window
    from kpwatch.promql.tree import Extension, Node, When

NO_STRETCH_MS = 1 << 63, -(1 << 63)
COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")


class Scope(NamedTuple):
    """The same for the whole of one query."""

    source: SeriesSource
    lookback_ms: int
    default_subquery_step_ms: int
    start_ms: int
    end_ms: int
    is_range_query: bool
    notes: Notes
    extrapolates: bool = True


class Evaluation:
    """One query on its way."""

    def __init__(self, scope: Scope, budget: Budget) -> None:
        self._scope = scope
        self._budget = budget
        self.stretch_ms = NO_STRETCH_MS
        """First and last time at which samples were looked for."""

    def hold(self, cells: int) -> None:
        """Count cells that the answer is made of; raises over the limit."""
        self._budget.hold(cells)

    def value(self, node: Node, times_ms: Integers) -> Value:
        """What `node` is at the given times."""
        before = self._budget.held
        result = _EVALUATORS[type(node)](self, node, times_ms)
        self._budget.held = before
        self._budget.hold(result.size if isinstance(result, np.ndarray) else getattr(result, "cells", 0))
        return result

    def number(self, node: Number, times_ms: Integers) -> Floats:
        """The same at every step."""
        return np.full(len(times_ms), node.value)

    def text(self, node: Text, _: Integers) -> str:
        """Strings know no steps."""
        return node.value

    def negation(self, node: Negation, times_ms: Integers) -> Value:
        """Unary minus; names go."""
        value = self.value(node.expression, times_ms)
        if isinstance(value, Grid):
            return value.with_values(-value.values)
        assert isinstance(value, np.ndarray), "the parser negates only scalars and vectors"
        return -value

    def bare_range(self, _: Range | Subquery, __: Integers) -> Value:
        """The parser lets a range vector stand only in a call or alone; this is for what it overlooks."""
        raise BadQuery("a range vector cannot stand here; apply a function such as rate() or last_over_time() to it")

    # --- selectors and their windows ---------------------------------------------------------------------------------

    def ends(self, when: When, times_ms: Integers) -> tuple[Integers, bool]:
        """Where to look for each step; with `@` it is one place for all, and True."""
        if when.at is None:
            return times_ms - when.offset_ms, False
        edges = {"start": self._scope.start_ms, "end": self._scope.end_ms}
        at_ms = edges[when.at] if isinstance(when.at, str) else when.at
        return np.asarray([at_ms - when.offset_ms]), True

    def _load(self, selector: Selector, first_ms: int, last_ms: int, steps: int) -> Iterator[list[Stack]]:
        """What the source selects: samples are counted while stacks are in use, what is made of them from then on."""
        self.stretch_ms = min(self.stretch_ms[0], first_ms), max(self.stretch_ms[1], last_ms)
        for stacks in selected(self._scope.source, selector.matchers, first_ms, last_ms, steps):
            samples = answers = 0
            for one in stacks:
                samples += one.values.size
                answers += steps * len(one.series)
            self._budget.hold(samples + answers)
            yield stacks
            self._budget.held -= samples

    def instant(self, selector: Selector, times_ms: Integers, *, timestamps: bool = False) -> Grid:
        """The newest samples at every step, or their times in seconds."""
        ends_ms, is_fixed = self.ends(selector.when, times_ms)
        lookback_ms = self._scope.lookback_ms
        is_smoothed = selector.extension == "smoothed" and not timestamps
        last_ms = int(ends_ms[-1]) + (lookback_ms if is_smoothed else 0)
        loaded = self._load(selector, int(ends_ms[0]) - lookback_ms + 1, last_ms, len(ends_ms))
        if is_smoothed:
            around = (one for stacks in loaded for one in extended.moments(stacks, ends_ms, ends_ms, lookback_ms))
            grid = _over_windows(_SMOOTHED, around, [], len(ends_ms), self._budget.check_time)
        else:
            grids = [newest(stacks, ends_ms, lookback_ms, timestamps=timestamps) for stacks in loaded]
            grid = stack(grids, len(ends_ms))
        return _spread(grid, len(times_ms)) if is_fixed else grid

    def range_windows(self, node: Range | Subquery, times_ms: Integers, ends_ms: Integers) -> Iterator[Window]:
        """The windows of a range vector that end at `ends_ms`."""
        first_ms, last_ms = int(ends_ms[0]) - node.range_ms, int(ends_ms[-1])  # times ascend
        if isinstance(node, Range):
            extension, lookback_ms = node.selector.extension, self._scope.lookback_ms
            before_ms, behind_ms = extended.reach_ms(extension, lookback_ms)
            for stacks in self._load(node.selector, first_ms - before_ms + 1, last_ms + behind_ms, len(ends_ms)):
                if extension:
                    yield from extended.windows_of(stacks, times_ms, ends_ms, node.range_ms, extension, lookback_ms)
                else:
                    yield from windows(stacks, times_ms, ends_ms, node.range_ms)
            return
        step_ms = node.step_ms or self._scope.default_subquery_step_ms
        inner_times_ms = self._aligned_times(first_ms, last_ms, step_ms)
        if not len(inner_times_ms):
            return
        inner = self.value(node.expression, inner_times_ms)
        if isinstance(inner, np.ndarray):
            inner = single_row((), inner)
        assert isinstance(inner, Grid), "the parser lets only vectors and scalars into a subquery"
        self._budget.hold(len(inner.labels) * len(ends_ms))
        yield from grid_windows(inner, inner_times_ms, times_ms, ends_ms, node.range_ms)

    def _aligned_times(self, after_ms: int, last_ms: int, step_ms: int) -> Integers:
        """The multiples of the step in (after, last], as subqueries are evaluated, wherever the query starts."""
        first_ms = (after_ms // step_ms + 1) * step_ms
        count = max(0, (last_ms - first_ms) // step_ms + 1)
        before = self._budget.held
        self._budget.hold(count)
        self._budget.held = before
        return first_ms + step_ms * np.arange(count, dtype=np.int64)

    # --- functions ----------------------------------------------------------------------------------------------------

    def call(self, call: Call, times_ms: Integers) -> Value:
        """A function, called as its kind in FUNCTIONS wants it."""
        function = FUNCTIONS[call.function]
        if isinstance(function, OverTime):
            return self._over_time(function, call, times_ms)
        if call.function == "timestamp" and isinstance(call.arguments[0], Selector):
            grid = self.instant(call.arguments[0], times_ms, timestamps=True)
            return grid.with_values(grid.values)
        arguments = [self._argument(function, argument, call, times_ms) for argument in call.arguments]
        if isinstance(function, Pointwise):
            return _pointwise(function, arguments, times_ms)
        around = Around(
            times_ms, call.arguments, call.places, self._scope.notes, self._scope.is_range_query, self._budget.hold
        )
        return function.body(around, *arguments)

    def _argument(self, function: Pointwise | General, node: Node, call: Call, times_ms: Integers) -> Value:
        if isinstance(function, General) and function.over is not None and isinstance(node, Range | Subquery):
            return self._over_time(function.over, call, times_ms)
        return self.value(node, times_ms)

    def _over_time(self, function: OverTime, call: Call, times_ms: Integers) -> Grid:
        node = next(argument for argument in call.arguments if isinstance(argument, Range | Subquery))
        scalars = [self.value(argument, times_ms) for argument in call.arguments if argument is not node]
        when = node.selector.when if isinstance(node, Range) else node.when
        ends_ms, is_fixed = self.ends(when, times_ms)
        if is_fixed and scalars:  # one window, but an answer that differs by step
            ends_ms, is_fixed = np.broadcast_to(ends_ms, times_ms.shape), False
        window_times_ms = times_ms[: len(ends_ms)]
        if extension := node.selector.extension if isinstance(node, Range) else "":
            function = _extended(function, extension, call.function)
        elif not self._scope.extrapolates and function.body in PLAIN:
            function = replace(function, body=PLAIN[function.body])
        parts = self.range_windows(node, window_times_ms, ends_ms)
        grid = _over_windows(function, parts, scalars, len(ends_ms), self._budget.check_time)
        if call.function == "quantile_over_time":
            _warn_of_quantiles(scalars[0], grid, call, self._scope.notes)
        if function.wants_counter and grid.labels:
            self._note_possible_gauges(grid, call, node)
        return _spread(grid, len(times_ms)) if is_fixed else grid

    def _note_possible_gauges(self, grid: Grid, call: Call, node: Range | Subquery) -> None:
        places = call.places if isinstance(node, Range) else ("", "1:1")  # Prometheus loses a subquery's place
        for name in _names_of_no_counters(grid.labels):
            self._scope.notes.info(
                f'metric might not be a counter, name does not end in {"/".join(COUNTER_SUFFIXES)}: "{name}"',
                places,
                1,
            )

    # --- operators ----------------------------------------------------------------------------------------------------

    def aggregation(self, node: Aggregation, times_ms: Integers) -> Grid:
        """An aggregation operator over a vector."""
        parameter = None if node.parameter is None else self.value(node.parameter, times_ms)
        grid = self.value(node.expression, times_ms)
        assert isinstance(grid, Grid), "the parser lets only vectors into an aggregation"
        numbers = parameter if isinstance(parameter, np.ndarray) else None
        request = Request(grid, node.grouping, node.without, numbers, self._scope.notes, node.places)
        if isinstance(parameter, str):
            return count_values(request, parameter, self._budget.hold)
        return aggregate(node.operator, request)

    def binary(self, node: Binary, times_ms: Integers) -> Value:
        """Chains such as `a or b or c` lean to the left and may be long: no recursion along them."""
        chain = []
        leftmost: Node = node
        while isinstance(leftmost, Binary):
            chain.append(leftmost)
            leftmost = leftmost.left
        held = self._budget.held
        left = self.value(leftmost, times_ms)
        for link in reversed(chain):
            left = self._combine(link, left, self.value(link.right, times_ms))
            self._budget.held = held
            self._budget.hold(left.size if isinstance(left, np.ndarray) else left.cells)
        return left

    def _combine(self, node: Binary, left: Value, right: Value) -> Grid | Floats:
        match left, right:
            case Grid(), Grid():
                if node.operator in binary.SET_OPERATORS:
                    return binary.SET_OPERATORS[node.operator](left, right, node.matching)
                return binary.between_vectors(
                    node.operator, left, right, node.matching, self._budget.hold, returns_bool=node.returns_bool
                )
            case Grid(), np.ndarray():
                return binary.with_scalar(
                    node.operator, left, right, scalar_is_left=False, returns_bool=node.returns_bool
                )
            case np.ndarray(), Grid():
                return binary.with_scalar(
                    node.operator, right, left, scalar_is_left=True, returns_bool=node.returns_bool
                )
            case np.ndarray(), np.ndarray():
                return binary.between_scalars(node.operator, left, right)
        raise BadQuery("binary expression must contain only scalar and instant vector types")


_EVALUATORS: dict[type, Callable[[Evaluation, Any, Integers], Value]] = {
    Number: Evaluation.number,
    Text: Evaluation.text,
    Selector: Evaluation.instant,
    Negation: Evaluation.negation,
    Binary: Evaluation.binary,
    Call: Evaluation.call,
    Aggregation: Evaluation.aggregation,
    Range: Evaluation.bare_range,
    Subquery: Evaluation.bare_range,
}


def _pointwise(function: Pointwise, arguments: list[Value], times_ms: Integers) -> Grid:
    """Without arguments only calendar functions come here: they are of the evaluation time."""
    if not arguments:
        return single_row((), function.body(np.floor(times_ms / 1000.0)))
    grid, *scalars = arguments
    assert isinstance(grid, Grid), "the parser lets only vectors in"
    return grid.with_values(function.body(grid.values, *scalars))


_SMOOTHED = OverTime(extended.value_at_end, keeps_name=True)


def _extended(function: OverTime, extension: Extension, name: str) -> OverTime:
    bodies = extended.BODIES[extension]
    if name not in bodies:
        raise QueryFailed(f"{extension} modifier can only be used with: {', '.join(sorted(bodies))} - not with {name}")
    return replace(function, body=bodies[name])


def _over_windows(
    function: OverTime, parts: Iterable[Window], scalars: list[Value], steps: int, check_time: Callable[[], None]
) -> Grid:
    grids = []
    for window in parts:
        count = len(window.begins)
        values, present = function.body(
            window._replace(check_time=check_time),
            *(for_each(scalar, count) if isinstance(scalar, np.ndarray) else scalar for scalar in scalars),
        )
        columns = window.values.shape[1]
        if values.shape != (len(window.lo), columns):
            values = np.broadcast_to(values, (len(window.lo), columns))
        mask = unstacked(present, count) if present.ndim == 2 else in_all_columns(present, columns, count)
        drop = window.drop_name if function.keeps_name else trues(len(window.series))
        grids.append(without_absent_rows(Grid(window.series, unstacked(values, count), mask, drop)))
    return stack(grids, steps) if grids else empty_grid(steps)


def _spread(grid: Grid, steps: int) -> Grid:
    """One step's vector at every step."""
    shape = (len(grid.labels), steps)
    return Grid(grid.labels, np.broadcast_to(grid.values, shape), np.broadcast_to(grid.present, shape), grid.drop_name)


@remembered
def _names_of_no_counters(labels: Sequence[Labels]) -> list[str]:
    """The names that do not end as counters' do, each once."""
    names = dict.fromkeys(map(metric_name, labels))
    return [name for name in names if name and not name.endswith(COUNTER_SUFFIXES)]


def _warn_of_quantiles(q: Value, grid: Grid, call: Call, notes: Notes) -> None:
    """Of those that were asked of something: where a window is empty, Prometheus does not look at them."""
    assert isinstance(q, np.ndarray), "a quantile is a scalar"
    wrong = q[~((q >= 0) & (q <= 1)) & grid.present.any(axis=0)]
    if len(wrong):
        notes.warn(f"quantile value should be between 0 and 1, got {format_g(float(wrong[0]))}", call.places, 1)
