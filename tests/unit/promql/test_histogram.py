"""Quantiles and fractions of classic histograms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.promql import histogram
from kpwatch.promql.histogram import bucket_fraction, bucket_quantile, histogram_quantile
from kpwatch.promql.notes import Notes
from kpwatch.promql.values import Grid
from tests.unit.promql import naive
from tests.unit.promql.build import at, labelled

INF = math.inf

# q, then (bound, cumulative count) …, then the quantile
QUANTILES = [
    ("linear within a bucket", 0.5, [(1, 0), (2, 10), (INF, 10)], 1.5),
    ("the first bucket starts at 0", 0.5, [(1, 10), (2, 10), (INF, 10)], 0.5),
    ("unless its bound is not positive", 0.5, [(-1, 10), (2, 10), (INF, 10)], -1),
    ("the last bucket stands for its lower bound", 1.0, [(1, 1), (2, 2), (INF, 10)], 2),
    ("an exact rank is the bucket's bound", 0.5, [(1, 5), (2, 10), (INF, 10)], 1),
    ("q = 0 is the start of the first bucket", 0.0, [(1, 5), (INF, 10)], 0),
    ("q below 0", -0.1, [(1, 5), (INF, 10)], -INF),
    ("q above 1", 1.1, [(1, 5), (INF, 10)], INF),
    ("q is NaN", math.nan, [(1, 5), (INF, 10)], math.nan),
    ("no observations", 0.5, [(1, 0), (INF, 0)], math.nan),
    ("no +Inf bucket", 0.5, [(1, 5), (2, 10)], math.nan),
    ("one bucket only", 0.5, [(INF, 10)], math.nan),
    ("a count that falls is lifted", 0.5, [(1, 10), (2, 4), (4, 20), (INF, 20)], 1),
    ("a count that falls by rounding is level", 1.0, [(1, 10), (2, 10 - 1e-12), (INF, 10 - 2e-12)], 1),
    ("a count that rises by rounding is level", 1.0, [(1, 10), (2, 10 + 1e-12), (INF, 10 + 2e-12)], 1),
]


@pytest.mark.parametrize(("fact", "q", "buckets", "expected"), QUANTILES, ids=[row[0] for row in QUANTILES])
def test_a_quantile(fact: str, q: float, buckets: list[tuple[float, float]], expected: float) -> None:
    """By the rules of Prometheus' BucketQuantile."""
    bounds, counts = (np.asarray(column, float) for column in zip(*buckets, strict=True))
    values, fixed = bucket_quantile(np.asarray([q]), bounds, counts[:, None])
    assert values[0] == pytest.approx(expected, nan_ok=True)
    assert (fixed is not None) == (fact == "a count that falls is lifted")


@given(
    bounds=st.lists(st.floats(-10, 10), min_size=1, max_size=6, unique=True).map(sorted),
    rises=st.lists(st.lists(st.integers(0, 5), min_size=7, max_size=7), min_size=1, max_size=4),
    q=st.floats(0, 1),
)
@settings(deadline=None)
def test_columns_agree_with_one_histogram_at_a_time(bounds: list[float], rises: list[list[int]], q: float) -> None:
    """Many histograms at once, against the plain version."""
    all_bounds = np.asarray([*bounds, INF])
    counts = np.cumsum(np.asarray(rises, float)[:, : len(all_bounds)], axis=1).T
    values, _ = bucket_quantile(np.full(counts.shape[1], q), all_bounds, counts)
    for column in range(counts.shape[1]):
        expected = naive.bucket_quantile(q, list(zip(all_bounds.tolist(), counts[:, column].tolist(), strict=True)))
        assert values[column] == pytest.approx(expected, nan_ok=True)


FRACTIONS = [
    ("a whole bucket", 1, 2, [(1, 2), (2, 8), (INF, 10)], 0.6),
    ("half of one", 1, 1.5, [(1, 2), (2, 8), (INF, 10)], 0.3),
    ("the first bucket starts at 0", -5, 0.5, [(1, 2), (2, 8), (INF, 10)], 0.1),
    ("everything", -INF, INF, [(1, 2), (2, 8), (INF, 10)], 1.0),
    ("the last bucket is not divided", 0, 1e9, [(1, 2), (2, 8), (INF, 10)], 0.8),
    ("a first bucket without a start neither", -5, 2, [(-1, 2), (2, 8), (INF, 10)], 0.6),
    ("nothing between", 2, 1, [(1, 2), (2, 8), (INF, 10)], 0.0),
    ("an edge is NaN", math.nan, 1, [(1, 2), (INF, 10)], math.nan),
    ("no observations", 0, 1, [(1, 0), (INF, 0)], math.nan),
    ("no +Inf bucket", 0, 1, [(1, 2), (2, 8)], math.nan),
]


@pytest.mark.parametrize(
    ("fact", "lower", "upper", "buckets", "expected"), FRACTIONS, ids=[row[0] for row in FRACTIONS]
)
def test_a_fraction(fact: str, lower: float, upper: float, buckets: list[tuple[float, float]], expected: float) -> None:
    """By the rules of Prometheus' BucketFraction."""
    bounds, counts = (np.asarray(column, float) for column in zip(*buckets, strict=True))
    values = bucket_fraction(np.asarray([lower], float), np.asarray([upper], float), bounds, counts[:, None])
    assert values[0] == pytest.approx(expected, nan_ok=True), fact


TWO = """
    b_bucket{i="1",le="1"} 1
    b_bucket{i="1",le="+Inf"} 2
    b_bucket{i="2",le="1"} 2
    b_bucket{i="2",le="+Inf"} 4
    b_bucket{i="3",le="1.0"} 1
    b_bucket{i="3",le="1"} 1
    b_bucket{i="3",le="Inf"} 4
    b_bucket{i="4",le="one"} 1
    b_bucket{i="5"} 1
"""


def test_histograms_are_told_apart_by_all_labels_but_le() -> None:
    """Buckets that are written twice are added; what is no bound is warned of."""
    assert at(TWO, "histogram_quantile(0.25, b_bucket)") == pytest.approx({"i=1": 0.5, "i=2": 0.5, "i=3": 0.5})


def grid_of(values: list[list[float]], present: list[list[bool]]) -> Grid:
    """Histograms 1 and 2 with bounds 1, 2, +Inf."""
    labels = [labelled(i=i, le=le) for i in "12" for le in ("1", "2", "+Inf")]
    return Grid(labels, np.asarray(values), np.asarray(present), np.zeros(6, np.bool_))


def test_a_histogram_is_computed_from_the_buckets_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by step: all three, without bound 1, without any, without +Inf (NaN); in portions of one histogram too."""
    values = [[2.0] * 4, [4.0] * 4, [8.0] * 4] * 2
    present = [[True, False, False, True], [True, True, False, True], [True, True, False, False]] * 2
    for cells in (1, 1 << 18):
        monkeypatch.setattr(histogram, "CELLS_AT_ONCE", cells)
        answer = histogram_quantile(np.full(4, 0.25), grid_of(values, present), np.arange(4), Notes())
        assert [dict(labels) for labels in answer.labels] == [{"i": "1"}, {"i": "2"}]
        assert answer.present.tolist() == [[True, True, False, True]] * 2
        np.testing.assert_allclose(answer.values[:, [0, 1, 3]], [[1.0, 1.0, np.nan]] * 2)


def test_notes_say_what_was_odd() -> None:
    """A bad bound, a bad quantile, a count that had to be lifted."""
    notes = Notes()
    grid = grid_of([[2.0], [1.0], [4.0]] * 2, [[True]] * 6)
    odd = Grid([*grid.labels[:-1], labelled(name="x_bucket", le="")], grid.values, grid.present, grid.drop_name)
    places = ("1:1", "1:20", "1:25")
    histogram_quantile(np.asarray([2.0]), odd, np.asarray([0]), notes, places)
    histogram_quantile(np.asarray([0.5]), grid, np.asarray([60_000]), notes, places)
    assert notes.warnings == [
        "PromQL warning: quantile value should be between 0 and 1, got 2 (1:20)",
        'PromQL warning: bucket label "le" is missing or has a malformed value of "" for metric name "x_bucket" (1:25)',
    ]
    (info,) = notes.infos
    assert info.startswith("PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://")
    assert info.endswith(
        ", from buckets 2 to 2, with a max diff of 1, over 2 samples from 1970-01-01T00:01:00Z to 1970-01-01T00:01:00Z"
        " (1:25)"
    )
