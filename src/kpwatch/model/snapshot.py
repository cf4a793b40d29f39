"""Slices in memory as a SeriesSource: what many queries look at, read or made once.

Metrics are found by name through a dict for each slice; everything else is a walk over the slice's series. Whoever puts
slices in does not change them after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.named import NamedTuple
from kpwatch.model.labels import METRIC_NAME, metric_name
from kpwatch.model.matchers import matches_all
from kpwatch.model.source import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher


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
