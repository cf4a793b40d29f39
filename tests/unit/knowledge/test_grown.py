"""How much a counter has grown in a cluster, where one that has not counted yet is not served."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from kpwatch.knowledge.expressions import Words, expand
from kpwatch.model.labels import make_labels
from kpwatch.model.results import Vector
from kpwatch.model.snapshot import Snapshot
from kpwatch.model.source import Slice
from kpwatch.promql.engine import Engine

AT_MS = 1_800_000_000_000
STEP_SECONDS = 30
CASES = {
    "appeared and rests": ([nan, nan, nan, 3, 3, 3], [1] * 6, 9000, 3),
    "appeared in the last scrape": ([nan, nan, nan, nan, nan, 3], [1] * 6, 9000, 3),
    "appeared and grows": ([nan, nan, nan, 1, 2, 3], [1] * 6, 9000, 3),
    "was there and rests": ([7] * 6, [1] * 6, 9000, 0),
    "was there, nobody answered, rests": ([7, nan, nan, nan, 7, 7], [1, 0, 0, 0, 1, 1], 9000, 0),
    "first seen by us, an old process": ([nan, nan, nan, nan, 7, 7], [nan] * 4 + [1, 1], 9000, 0),
    "first seen by us, a young process": ([nan, nan, nan, nan, 7, 7], [nan] * 4 + [1, 1], 60, 7),
}
"""The counter, `up`, the process's age, and by how much the counter has grown in two minutes."""


@pytest.mark.parametrize(("counter", "up", "age_seconds", "grown"), CASES.values(), ids=CASES.keys())
def test_a_counter_that_appears_has_grown_by_its_whole(
    counter: list[float], up: list[float], age_seconds: float, grown: float
) -> None:
    """If the node was seen without it, or the process is younger than that; what we did not see has not grown."""
    rows = [
        ("failures_total", counter),
        ("up", up),
        ("process_start_time_seconds", [AT_MS / 1000 - age_seconds if one == 1 else nan for one in up]),
    ]
    slices = []
    for name, values in rows:
        kept = [(number, value) for number, value in enumerate(values) if value == value]  # noqa: PLR0124
        times = np.asarray([AT_MS - 1000 * STEP_SECONDS * (5 - number) for number, _ in kept], np.int64)
        labels = [make_labels({"__name__": name, "ident": "n", "instance": "i", "job": "kube-proxy"})]
        slices.append(Slice(labels, times, np.asarray([[value] for _, value in kept], float)))
    query = expand("sum($grown(failures_total))", {}, Words("2m", "2m", "2m"))
    answer = Engine(Snapshot(slices)).instant(query, AT_MS, lookback_ms=40_000).value
    assert isinstance(answer, Vector)
    assert [value for _, value in answer.samples] == ([] if grown is None else [pytest.approx(grown)])
