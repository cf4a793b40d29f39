"""Rows of numbers are written as each number alone is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.api.answers import _starts_of, seconds_text
from kpwatch.api.points import Writer, value_text
from kpwatch.model.gofloat import format_json

ODD = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    math.nan,
    math.inf,
    -math.inf,
    1e15,
    1e16,
    1e21,
    1e-4,
    9.9e-5,
    1e-6,
    1e-7,
    0.1,
    5e-324,
    -2.5,
]
numbers = st.one_of(st.floats(), st.sampled_from(ODD), st.integers(-(2**53), 2**53).map(float))


@given(st.lists(st.lists(numbers, max_size=30), max_size=3))
def test_a_row_is_written_as_its_numbers_are(rows: list[list[float]]) -> None:
    """Whatever stands beside them and came before them."""
    writer = Writer()
    for values in rows:
        assert writer.texts(np.asarray(values, np.float64)) == [format_json(value) for value in values]


@given(st.lists(st.tuples(numbers, st.integers(1, 20)), min_size=1, max_size=5))
def test_a_row_of_runs_is_written_as_its_numbers_are(runs: list[tuple[float, int]]) -> None:
    """A counter that rests, a gauge in steps."""
    values = [value for value, length in runs for _ in range(length)]
    assert Writer().texts(np.asarray(values, np.float64)) == [format_json(value) for value in values]


@pytest.mark.parametrize("value", ODD)
def test_one_number_is_written_as_prometheus_writes_it(value: float) -> None:
    """By the printer that was compared with Go's."""
    assert value_text(value) == format_json(value)


def test_points_are_pairs_of_a_time_and_a_text() -> None:
    """The piece of JSON between the brackets of a series."""
    assert Writer().points(['[1,"', '[2.5,"'], np.asarray([1.0, 0.5])) == '[1,"1"],[2.5,"0.5"]'


@pytest.mark.parametrize(
    "times_ms", [[], [0], [1000, 2000], [1500, 2500], [1005, 2005], [1000, 2500], [-1000, 0], [-1500, -500]]
)
def test_times_of_steps_are_written_as_each_alone_is(times_ms: list[int]) -> None:
    """Seconds, with three decimals where they are not all zero."""
    assert _starts_of(np.asarray(times_ms, np.int64)) == [f'[{seconds_text(time_ms)},"' for time_ms in times_ms]
