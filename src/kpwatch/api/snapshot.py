"""Many queries at one time over one reading of the store.

A table of nodes asks some twenty instant queries of the same few metrics. Each select costs something per target, so
the samples that any of the queries may look at are read once into memory, and the engine evaluates over that. What is
needed follows from the queries themselves: the metric names of their selectors, and how far back they reach.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.model.labels import METRIC_NAME, metric_name
from kpwatch.model.matchers import Matcher, matches_all
from kpwatch.model.source import Slice
from kpwatch.promql.parse import parse
from kpwatch.promql.tree import Range, Selector, Subquery

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kpwatch.model.labels import Labels


class Needs(NamedTuple):
    """What a set of instant queries may look at."""

    names: Matcher
    """Of the metric."""
    reach_ms: int
    """How far before the evaluation time."""


def needs(queries: Iterable[str], lookback_ms: int) -> Needs:
    """What `queries` need; every selector in them must name its metric, with = or =~."""
    patterns: set[str] = set()
    reach_ms = 0
    for query in queries:
        for selector, back_ms in _selectors(parse(query), lookback_ms):
            patterns.add(_name_pattern(selector))
            reach_ms = max(reach_ms, back_ms)
    return Needs(Matcher(METRIC_NAME, "=~", "|".join(sorted(patterns))), reach_ms)


def _selectors(node: object, window_ms: int) -> Iterator[tuple[Selector, int]]:
    """Every selector below `node`, with how far it reaches back; `@` is not for tables of now."""
    match node:
        case Range(selector, range_ms):
            yield selector, range_ms + selector.when.offset_ms
        case Selector():
            yield node, window_ms + node.when.offset_ms
        case Subquery():
            yield from _selectors(node.expression, window_ms + node.range_ms + node.when.offset_ms)
        case tuple():
            for part in node:
                yield from _selectors(part, window_ms)
        case _ if is_dataclass(node):
            for field in fields(node):
                yield from _selectors(getattr(node, field.name), window_ms)


def _name_pattern(selector: Selector) -> str:
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME and matcher.op in ("=", "=~"):
            return re.escape(matcher.value) if matcher.op == "=" else f"(?:{matcher.value})"
    raise AssertionError(f"a selector without a metric name would read the whole store: {selector}")


class _Part(NamedTuple):
    """A slice and where in it each metric's columns are."""

    slice: Slice
    columns: dict[str, list[int]]


class Snapshot:
    """A SeriesSource over slices in memory; names are answered from the slices too."""

    def __init__(self, slices: Iterable[Slice]) -> None:
        self._parts = [_Part(part, _columns_by_metric(part.series)) for part in slices]

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Slice]:
        """See `model.source.SeriesSource`."""
        for part, by_metric in self._parts:
            times = part.timestamps_ms
            rows = slice(int(np.searchsorted(times, start_ms)), int(np.searchsorted(times, end_ms, "right")))
            if rows.start == rows.stop:
                continue  # no sample of this target in the range
            columns = _matching(part.series, by_metric, matchers)
            if columns:
                series = [part.series[column] for column in columns]
                yield Slice(series, times[rows], part.values[rows][:, columns])

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """See `model.source.SeriesSource`."""
        return sorted(labels for part in self.select(matchers, start_ms, end_ms) for labels in part.series)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """See `model.source.SeriesSource`."""
        return sorted({name for labels in self.series(matchers, start_ms, end_ms) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """See `model.source.SeriesSource`."""
        found = self.series(matchers, start_ms, end_ms)
        return sorted({value for labels in found for label, value in labels if label == name})


def _columns_by_metric(series: Sequence[Labels]) -> dict[str, list[int]]:
    by_metric: dict[str, list[int]] = {}
    for column, labels in enumerate(series):
        by_metric.setdefault(metric_name(labels), []).append(column)
    return by_metric


def _matching(series: Sequence[Labels], by_metric: dict[str, list[int]], matchers: Sequence[Matcher]) -> list[int]:
    """Columns whose labels satisfy all matchers; those on the metric's name are asked once per name."""
    of_name = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
    others = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
    if len(of_name) == 1 and of_name[0].op == "=":
        columns = by_metric.get(of_name[0].value, [])
    else:
        names = [name for name in by_metric if all(matcher.test(name) for matcher in of_name)]
        columns = [column for name in names for column in by_metric[name]]
    return [column for column in columns if matches_all(others, series[column])] if others else columns
