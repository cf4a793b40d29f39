"""The engine: PromQL in, answers out, over any SeriesSource.

`instant` evaluates at one time, `range` at start, start + step, … up to end, all steps at once. A query is text, or the
tree that `parse` made of it. Only BadQuery, QueryFailed, QueryTooLarge and QueryTimeout come from this room (what the
source raises passes through). An Engine has no state of its own and may be used by several threads; a query is bounded
by `EngineOptions`: cells held at a time, and seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import BadQuery, QueryFailed, QueryTooLarge
from kpwatch.model.results import Matrix, MatrixSeries, QueryResult, String, Vector
from kpwatch.model.results import Scalar as ScalarResult
from kpwatch.promql.budget import Budget
from kpwatch.promql.durations import Span
from kpwatch.promql.evaluate import Evaluation, Scope
from kpwatch.promql.extended import framed
from kpwatch.promql.lexer import LATEST_SECONDS
from kpwatch.promql.notes import Notes
from kpwatch.promql.parse import parse
from kpwatch.promql.tree import Range, Subquery, Text
from kpwatch.promql.values import Grid, Integers, Value, all_true, drop_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.base.clock import Clock
    from kpwatch.model.source import SeriesSource
    from kpwatch.promql.tree import Node


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Bounds and defaults of every query."""

    lookback_ms: int = 300_000
    max_samples: int = 50_000_000
    timeout_seconds: float = 120.0
    default_subquery_step_ms: int = 60_000
    extrapolates: bool = True
    """False: rate, increase and delta are of the samples alone, not stretched to the window's edges."""


class Engine:
    """Evaluates PromQL over a source."""

    def __init__(
        self, source: SeriesSource, options: EngineOptions = EngineOptions(), clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._source = source
        self._options = options
        self._clock = clock

    def instant(self, query: str | Node, at_ms: int, *, lookback_ms: int | None = None) -> QueryResult:
        """The value of `query` at one time: Scalar, String, Vector, or the Matrix of a range selector."""
        node = parse(query) if isinstance(query, str) else query
        _check_times(at_ms)
        times_ms = np.asarray([at_ms], np.int64)

        def answer(evaluation: Evaluation) -> ScalarResult | String | Vector | Matrix:
            if isinstance(node, Range | Subquery):
                return _raw_matrix(evaluation, node, times_ms)
            return _instant_answer(evaluation.value(node, times_ms), at_ms)

        return self._run(answer, at_ms, at_ms, lookback_ms, is_range_query=False)

    def range(
        self, query: str | Node, start_ms: int, end_ms: int, step_ms: int, *, lookback_ms: int | None = None
    ) -> QueryResult:
        """The value of `query` at start, start + step, …, not after end: a Matrix sorted by labels."""
        span = Span(max(step_ms, 0), max(end_ms - start_ms, 0))
        node = parse(query, span) if isinstance(query, str) else query
        _check_times(start_ms, end_ms)
        if step_ms <= 0 or end_ms < start_ms:
            raise BadQuery(
                f"start {start_ms}, end {end_ms}, step {step_ms} ms: end must not be before start, step positive"
            )
        if isinstance(node, Range | Subquery | Text):
            kind = "string" if isinstance(node, Text) else "range vector"
            raise BadQuery(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')
        count = (end_ms - start_ms) // step_ms + 1
        if count > self._options.max_samples:
            raise QueryTooLarge(f"{count} steps are more than --query-max-samples {self._options.max_samples}")
        times_ms = start_ms + step_ms * np.arange(count, dtype=np.int64)

        def answer(evaluation: Evaluation) -> Matrix:
            return _range_answer(evaluation.value(node, times_ms), times_ms)

        return self._run(answer, start_ms, end_ms, lookback_ms, is_range_query=True)

    def _run(
        self,
        answer: Callable[[Evaluation], ScalarResult | String | Vector | Matrix],
        start_ms: int,
        end_ms: int,
        lookback_ms: int | None,
        *,
        is_range_query: bool,
    ) -> QueryResult:
        options, notes = self._options, Notes()
        scope = Scope(
            source=self._source,
            lookback_ms=options.lookback_ms if lookback_ms is None else lookback_ms,
            default_subquery_step_ms=options.default_subquery_step_ms,
            start_ms=start_ms,
            end_ms=end_ms,
            is_range_query=is_range_query,
            notes=notes,
            extrapolates=options.extrapolates,
        )
        budget = Budget(options.max_samples, options.timeout_seconds, self._clock)
        try:
            with np.errstate(all="ignore"):  # 0/0 is NaN in PromQL, and no warning
                evaluation = Evaluation(scope, budget)
                value = answer(evaluation)
        except MemoryError as error:
            raise QueryTooLarge("the query does not fit into memory; select fewer series or steps") from error
        except RecursionError as error:
            raise QueryFailed("the query nests too deep to evaluate; record a part of it first") from error
        return QueryResult(value, notes.warnings, notes.infos, budget.total, budget.peak, evaluation.stretch_ms)


def _check_times(*times_ms: int) -> None:
    for time_ms in times_ms:
        if abs(time_ms) > LATEST_SECONDS * 1000:
            raise BadQuery(f"the time {time_ms} ms is too far from 1970")


def _instant_answer(value: Value, at_ms: int) -> ScalarResult | String | Vector:
    if isinstance(value, str):
        return String(at_ms, value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    if isinstance(value, Grid):
        grid = drop_names(value)
        values = grid.values.ravel().tolist()
        if all_true(grid.present):
            return Vector(at_ms, list(zip(grid.labels, values, strict=True)))
        rows = grid.present[:, 0].nonzero()[0].tolist()
        return Vector(at_ms, [(grid.labels[row], values[row]) for row in rows])
    return ScalarResult(at_ms, float(value[0]))


def _range_answer(value: Value, times_ms: Integers) -> Matrix:
    if isinstance(value, np.ndarray):
        return Matrix([MatrixSeries((), times_ms, value)])
    assert isinstance(value, Grid), "strings are refused before"
    return _matrix(drop_names(value), times_ms)


def _raw_matrix(evaluation: Evaluation, node: Range | Subquery, times_ms: Integers) -> Matrix:
    """The samples of a range vector themselves."""
    series: list[MatrixSeries] = []
    when = node.selector.when if isinstance(node, Range) else node.when
    ends_ms, _ = evaluation.ends(when, times_ms)
    found = evaluation.range_windows(node, times_ms, ends_ms)
    if isinstance(node, Range) and (extension := node.selector.extension):
        found = (one for window in found for one in framed(window, extension))
    for window in found:
        width = window.values.shape[1]
        for number, (begin, end) in enumerate(zip(window.lo.tolist(), window.hi.tolist(), strict=True)):
            if begin >= end:
                continue  # no sample in the window: the series is not in the answer
            evaluation.hold((end - begin) * width)
            values = window.values[begin:end].T
            columns = slice(number * width, (number + 1) * width)
            grid = Grid(window.series[columns], values, np.ones(values.shape, np.bool_), window.drop_name[columns])
            series.extend(_matrix(drop_names(grid), window.timestamps_ms[begin:end]).series)
    series.sort(key=lambda one: one.labels)
    return Matrix(series)


def _matrix(grid: Grid, times_ms: Integers) -> Matrix:
    if not grid.labels:
        return Matrix([])
    order = sorted(range(len(grid.labels)), key=grid.labels.__getitem__)
    counts = np.count_nonzero(grid.present, axis=1)
    series = []
    for row in order:
        if counts[row] == len(times_ms):
            series.append(MatrixSeries(grid.labels[row], times_ms, grid.values[row]))
        elif counts[row]:
            here = grid.present[row]
            series.append(MatrixSeries(grid.labels[row], times_ms[here], grid.values[row][here]))
    return Matrix(series)
