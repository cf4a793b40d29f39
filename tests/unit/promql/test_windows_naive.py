"""Every function over a window, held against the same function written sample by sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.model.numbers import STALE_NAN, is_stale
from kpwatch.model.source import Slice
from kpwatch.model.stack import stacks_of
from kpwatch.promql.counters import predict_linear
from kpwatch.promql.functions import FUNCTIONS, OverTime
from kpwatch.promql.over_time import quantile_over_time
from kpwatch.promql.select import windows
from tests.unit.promql import naive
from tests.unit.promql.build import labelled

COUNTERS = st.lists(st.integers(0, 50).map(float), min_size=1, max_size=25)
GAUGES = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
ODD = st.one_of(GAUGES, st.sampled_from([math.nan, math.inf, -math.inf]))
MARKED = st.one_of(GAUGES, st.just(STALE_NAN))


@st.composite
def slices(draw: st.DrawFn, values: st.SearchStrategy[float]) -> Slice:
    """Up to 30 rows at irregular times, up to 4 series."""
    gaps = draw(st.lists(st.integers(1, 40_000), min_size=1, max_size=30))
    columns = draw(st.integers(1, 4))
    cells = draw(st.lists(values, min_size=len(gaps) * columns, max_size=len(gaps) * columns))
    names = [labelled(name="m", i=str(number)) for number in range(columns)]
    return Slice(names, np.cumsum(gaps), np.asarray(cells).reshape(-1, columns))


STEPS = st.lists(st.integers(-10_000, 900_000), min_size=1, max_size=8).map(sorted)
RANGES = st.integers(1, 400_000)


def check(name: str, part: Slice, steps_ms: list[int], range_ms: int, tolerance: float = 1e-9) -> None:
    """Compare a function on all windows."""
    function = FUNCTIONS[name]
    assert isinstance(function, OverTime)
    ends_ms = np.asarray(steps_ms)
    found: dict[tuple[object, int], float] = {}
    with np.errstate(all="ignore"):
        for window in windows(stacks_of([part]), ends_ms, ends_ms, range_ms):
            values, present = function.body(window)
            present = np.broadcast_to(present if present.ndim == 2 else present[:, None], values.shape)
            found |= {
                (window.series[column], step): float(values[step, column]) for step, column in np.argwhere(present)
            }
    for column, labels in enumerate(part.series):
        for step, end_ms in enumerate(steps_ms):
            samples = [
                (time_ms, value)
                for time_ms, value in zip(part.timestamps_ms.tolist(), part.values[:, column].tolist(), strict=True)
                if end_ms - range_ms < time_ms <= end_ms and not is_stale(value)
            ]
            expected = naive.FUNCTIONS[name](samples, end_ms - range_ms, end_ms) if samples else None
            got = found.pop((labels, step), None)
            if expected is None or got is None:
                assert got == expected, (name, samples)
            else:
                assert got == pytest.approx(expected, rel=tolerance, abs=1e-6, nan_ok=True), (name, samples)
    assert not found


@pytest.mark.parametrize("name", sorted(naive.FUNCTIONS))
@given(part=slices(MARKED), steps_ms=STEPS, range_ms=RANGES)
@settings(max_examples=40, deadline=None)
def test_a_function_agrees_with_its_plain_version(name: str, part: Slice, steps_ms: list[int], range_ms: int) -> None:
    """Gauges with staleness markers at irregular times; windows that overlap, miss and exceed the data."""
    check(
        name,
        part,
        steps_ms,
        range_ms,
        tolerance=1e-6 if name in ("stdvar_over_time", "stddev_over_time", "deriv") else 1e-9,
    )


@pytest.mark.parametrize("name", ["rate", "increase", "irate", "resets", "changes"])
@given(part=slices(st.integers(0, 30).map(float)), steps_ms=STEPS, range_ms=RANGES)
@settings(max_examples=60, deadline=None)
def test_counters_that_reset_often(name: str, part: Slice, steps_ms: list[int], range_ms: int) -> None:
    """Small whole numbers: every other sample is a reset, and zero is near."""
    check(name, part, steps_ms, range_ms)


@pytest.mark.parametrize(
    "name", ["min_over_time", "max_over_time", "changes", "resets", "first_over_time", "last_over_time", "idelta"]
)
@given(part=slices(ODD), steps_ms=STEPS, range_ms=RANGES)
@settings(max_examples=60, deadline=None)
def test_nan_and_infinities(name: str, part: Slice, steps_ms: list[int], range_ms: int) -> None:
    """NaN is a value: extremes pass over it, changes counts it once."""
    check(name, part, steps_ms, range_ms)


@given(part=slices(ODD), steps_ms=STEPS, range_ms=RANGES, q=st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_quantiles(part: Slice, steps_ms: list[int], range_ms: int, q: float) -> None:
    """NaN sorts below everything."""
    ends_ms = np.asarray(steps_ms)
    (window,) = windows(stacks_of([part]), ends_ms, ends_ms, range_ms)
    with np.errstate(all="ignore"):
        values, present = quantile_over_time(window, np.full(len(steps_ms), q))
    for step in np.flatnonzero(present).tolist():
        for column in range(len(part.series)):
            samples = part.values[window.lo[step] : window.hi[step], column].tolist()
            expected = naive.quantile(samples, q)
            assert values[step, column] == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_predict_linear_counts_from_the_evaluation_time_and_not_from_the_window() -> None:
    """With an offset the two differ: y = t/2 seen until 60 s, evaluated at 100 s, 10 s ahead."""
    part = Slice([labelled(name="m")], np.arange(0, 61_000, 10_000), np.arange(0.0, 31.0, 5.0)[:, None])
    (window,) = windows(stacks_of([part]), np.asarray([100_000]), np.asarray([60_000]), 60_001)
    values, _ = predict_linear(window, np.asarray([10.0]))
    assert values[0, 0] == pytest.approx(55.0)
