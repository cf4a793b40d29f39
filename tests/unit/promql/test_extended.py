"""Selectors with `anchored` and `smoothed`, held against the same rules written sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.base.errors import QueryFailed
from kpwatch.model.memory_source import MemorySource
from kpwatch.model.results import Matrix
from kpwatch.promql.engine import Engine
from tests.unit.promql import naive
from tests.unit.promql.build import labelled

LOOKBACK_MS = 60_000
SERIES = st.lists(st.integers(1, 50), min_size=1, max_size=25).flatmap(
    lambda gaps_s: st.tuples(
        st.just((np.cumsum(gaps_s) * 1000).tolist()),
        st.lists(st.integers(0, 20).map(float), min_size=len(gaps_s), max_size=len(gaps_s)),
    )
)
ENDS_S = st.integers(1, 700)
RANGES_S = st.integers(1, 300)


def answer(samples: tuple[list[int], list[float]], query: str, at_ms: int) -> float | None:
    """Of one series; the same at an instant and as one step of several."""
    source = MemorySource()
    source.add(labelled(name="m"), *samples)
    engine = Engine(source)
    ranged = engine.range(query, at_ms - 7000, at_ms + 7000, 7000, lookback_ms=LOOKBACK_MS).value
    assert isinstance(ranged, Matrix)
    found = {
        time_ms: value
        for one in ranged.series
        for time_ms, value in zip(one.timestamps_ms.tolist(), one.values.tolist(), strict=True)
    }
    instant = engine.instant(query, at_ms, lookback_ms=LOOKBACK_MS).value.samples  # type: ignore[union-attr]
    assert [value for _, value in instant] == pytest.approx([found[at_ms]] if at_ms in found else [])
    return found.get(at_ms)


def expected(
    samples: tuple[list[int], list[float]], at_ms: int, range_s: int, *, is_smoothed: bool, is_counter: bool
) -> float | None:
    start_ms, behind_ms = at_ms - range_s * 1000, LOOKBACK_MS if is_smoothed else 0
    seen = [one for one in zip(*samples, strict=True) if start_ms - LOOKBACK_MS < one[0] <= at_ms + behind_ms]
    return naive.extended(seen, start_ms, at_ms, is_smoothed=is_smoothed, is_counter=is_counter) if seen else None


@pytest.mark.parametrize("extension", ["anchored", "smoothed"])
@pytest.mark.parametrize("function", ["increase", "delta", "rate"])
@given(samples=SERIES, end_s=ENDS_S, range_s=RANGES_S)
@settings(max_examples=40, deadline=None)
def test_how_much_a_value_changed(
    extension: str, function: str, samples: tuple[list[int], list[float]], end_s: int, range_s: int
) -> None:
    """At irregular times, with a reset at every other sample, on and off the edges."""
    wanted = expected(
        samples, end_s * 1000, range_s, is_smoothed=extension == "smoothed", is_counter=function != "delta"
    )
    if function == "rate" and wanted is not None:
        wanted /= range_s
    assert answer(samples, f"{function}(m[{range_s}s] {extension})", end_s * 1000) == pytest.approx(wanted)


@given(samples=SERIES, end_s=ENDS_S)
@settings(max_examples=60, deadline=None)
def test_a_value_between_two_samples(samples: tuple[list[int], list[float]], end_s: int) -> None:
    """On the line between them; the one before where none is behind."""
    at_ms = end_s * 1000
    seen = [one for one in zip(*samples, strict=True) if abs(one[0] - at_ms) <= LOOKBACK_MS]
    seen = [one for one in seen if one[0] > at_ms - LOOKBACK_MS]
    assert answer(samples, "m smoothed", at_ms) == pytest.approx(naive.smoothed(seen, at_ms))


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("irate(m[5m] anchored)", "anchored modifier can only be used with: changes, delta, increase, rate, resets"),
        ("absent_over_time(m[5m] smoothed)", "smoothed modifier can only be used with: delta, increase, rate"),
    ],
)
def test_a_function_that_takes_no_extended_range(query: str, says: str) -> None:
    """In Prometheus' words, whatever there is to select."""
    with pytest.raises(QueryFailed, match=f"{says} - not with {query[: query.index('(')]}"):
        Engine(MemorySource()).instant(query, 0)


@pytest.mark.parametrize(
    ("query", "times_s", "values"),
    [
        ("m[20s] anchored", [10, 20, 30], [1.0, 2.0, 3.0]),
        ("m[15s] anchored", [15, 20, 30], [1.0, 2.0, 3.0]),
        ("m[15s] smoothed", [15, 20, 30], [1.5, 2.0, 3.0]),
        ("m[10s] smoothed offset -5s", [25, 30, 35], [2.5, 3.0, 3.5]),
    ],
)
def test_a_range_by_itself(query: str, times_s: list[int], values: list[float]) -> None:
    """The samples inside, between values at the range's edges."""
    source = MemorySource()
    source.add(labelled(name="m"), [10_000, 20_000, 30_000, 40_000], [1.0, 2.0, 3.0, 4.0])
    found = Engine(source).instant(query, 30_000).value
    assert isinstance(found, Matrix)
    (series,) = found.series
    assert series.timestamps_ms.tolist() == [second * 1000 for second in times_s]
    assert series.values.tolist() == values
