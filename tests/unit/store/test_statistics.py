"""What is counted by name is what the series say, one by one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.unit.store.samples import FOREVER, T0, frame, layout, opened

if TYPE_CHECKING:
    from pathlib import Path


def test_the_largest(tmp_path: Path) -> None:
    """Metrics, labels, values, pairs and targets, counted over all series; largest first, then by name."""
    with opened(tmp_path) as store:
        store.append([frame(n, layout(*range(n, 3 * n)), T0, range(2 * n)) for n in range(1, 8)]).result(60)
        store.delete([[]], T0 + 1, T0 + 2).result(60)
        series = store.series([], *FOREVER)
        pairs = Counter(pair for labels in series for pair in labels)
        values = Counter(name for name, _ in pairs)
        sizes: Counter[str] = Counter()
        for name, value in pairs:
            sizes[name] += len(value)
        targets = Counter(dict(labels)["ident"] for labels in series)
        expected = {
            "seriesCountByMetricName": {value: n for (name, value), n in pairs.items() if name == "__name__"},
            "labelValueCountByLabelName": values,
            "memoryInBytesByLabelName": sizes,
            "seriesCountByLabelValuePair": {f"{name}={value}": n for (name, value), n in pairs.items()},
            "seriesCountByTarget": {f'{{ident="{node}", job="kube-proxy"}}': n for node, n in targets.items()},
        }
        for name, counts in expected.items():
            rows = [{"name": key, "value": n} for key, n in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
            assert store.tops(1000)[name] == rows
            assert store.tops(3)[name] == rows[:3]


def test_an_empty_store(tmp_path: Path) -> None:
    """Empty lists."""
    with opened(tmp_path) as store:
        assert set(map(len, store.tops(10).values())) == {0}
