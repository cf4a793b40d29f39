"""What a store holds, counted by name: for `/api/v1/status/tsdb`. Reads memory only; some milliseconds for a fleet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from kpwatch.model.labels import METRIC_NAME, label_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels
    from kpwatch.store.catalog import Catalog, Target

Tops = dict[str, list[dict[str, Any]]]


def tops(catalog: Catalog, limit: int) -> Tops:
    """The `limit` largest of each kind, largest first, as Prometheus' status has them, and targets by series."""
    targets = list(catalog.targets.copy().values())
    columns = list(catalog.columns)
    series = _series_of_columns(targets, len(columns))
    named = [(labels, int(series[number])) for number, labels in enumerate(columns) if labels and series[number]]
    by_metric: Counter[str] = Counter()
    for labels, count in named:
        by_metric[label_value(labels, METRIC_NAME)] += count
    pairs = _pairs([*named, *((target.labels, len(target.columns)) for target in targets)])
    values: Counter[str] = Counter(name for name, _ in pairs)
    size: Counter[str] = Counter()
    for name, value in pairs:
        size[name] += len(value.encode())
    return {
        "seriesCountByMetricName": _top(by_metric, limit),
        "labelValueCountByLabelName": _top(values, limit),
        "memoryInBytesByLabelName": _top(size, limit),
        "seriesCountByLabelValuePair": _top({f"{name}={value}": n for (name, value), n in pairs.items()}, limit),
        "seriesCountByTarget": _top({_text(target.labels): len(target.columns) for target in targets}, limit),
    }


def _series_of_columns(targets: Iterable[Target], count: int) -> NDArray[np.int64]:
    """How many targets have each column; targets with one set of columns are counted together."""
    shared: dict[int, tuple[NDArray[np.uint32], int]] = {}
    for target in targets:
        own = target.columns
        shared[id(own)] = (own, shared.get(id(own), (own, 0))[1] + 1)
    series = np.zeros(count, np.int64)
    for own, times in shared.values():
        series[own[own < count]] += times  # a column made since then is not among `count`
    return series


def _pairs(sets: Iterable[tuple[Labels, int]]) -> Counter[tuple[str, str]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for labels, count in sets:
        for pair in labels:
            pairs[pair] += count
    return pairs


def _top(counts: Mapping[str, int], limit: int) -> list[dict[str, Any]]:
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return [{"name": name, "value": count} for name, count in largest]


def _text(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
