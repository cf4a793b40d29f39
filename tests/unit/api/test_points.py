"""Rows of numbers are written as each number alone is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.api.points import PointsWriter, seconds_text, times_text, value_text, value_texts
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


@given(st.lists(numbers, max_size=30))
def test_a_row_is_written_as_its_numbers_are(values: list[float]) -> None:
    """Whatever stands beside them."""
    assert value_texts(np.asarray(values, np.float64)) == [format_json(value) for value in values]


def test_a_row_may_lie_across_its_matrix() -> None:
    """A store keeps the samples of one time side by side."""
    matrix = np.asarray([[1.0, 2.5], [3.0, 1e-5]])
    assert value_texts(matrix[:, 1]) == ["2.5", "0.00001"]


@pytest.mark.parametrize("value", ODD)
def test_one_number_is_written_as_prometheus_writes_it(value: float) -> None:
    """By the printer that was compared with Go's."""
    assert value_text(value) == format_json(value)


def test_points_are_pairs_of_a_time_and_a_text() -> None:
    """The piece of JSON between the brackets of a series."""
    writer = PointsWriter("1,2.5")
    assert writer.points(np.asarray([1.0, 0.5])) == '[1,"1"],[2.5,"0.5"]'
    assert writer.points(np.asarray([2.0, np.nan])) == '[1,"2"],[2.5,"NaN"]'


def test_one_point_is_written_alone() -> None:
    """Without a comma."""
    assert PointsWriter("1").points(np.asarray([1.5])) == '[1,"1.5"]'


@pytest.mark.parametrize(
    "times_ms", [[], [0], [1000, 2000], [1500, 2500], [1005, 2005], [1000, 2500], [-1000, 0], [-1500, -500]]
)
def test_times_of_steps_are_written_as_each_alone_is(times_ms: list[int]) -> None:
    """Seconds, with three decimals where they are not all zero."""
    assert times_text(np.asarray(times_ms, np.int64)) == ",".join(map(seconds_text, times_ms))
