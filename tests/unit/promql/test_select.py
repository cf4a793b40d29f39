"""Which samples a step sees."""

from __future__ import annotations

import numpy as np
import pytest

from kpwatch.model.numbers import STALE_NAN
from kpwatch.model.source import Slice
from kpwatch.model.stack import stacks_of
from kpwatch.promql.select import grid_windows, newest, windows, without_stale
from kpwatch.promql.values import Grid
from tests.unit.promql.build import labelled

A, B, C = labelled(name="a"), labelled(name="b"), labelled(name="c")
NONE = float("nan")


def a_slice(times_ms: list[int], **columns: list[float]) -> Slice:
    """A slice from columns by metric name."""
    names = [labelled(name=name) for name in columns]
    return Slice(names, np.asarray(times_ms, np.int64), np.asarray(list(columns.values()), np.float64).T)


NEWEST = [
    ("a sample at the step itself counts", [1000], 1000, 1.0),
    ("the newest of several counts", [200, 700, 1300], 1000, 2.0),
    ("one millisecond inside the lookback counts", [701], 1000, 1.0),
    ("exactly the lookback ago does not", [700], 1000, None),
    ("a later one does not", [1001], 1000, None),
    ("nothing before the first", [1500], 1000, None),
]


@pytest.mark.parametrize(("fact", "times_ms", "at_ms", "expected"), NEWEST, ids=[row[0] for row in NEWEST])
def test_an_instant_selector_looks_back_over_a_left_open_window(
    fact: str, times_ms: list[int], at_ms: int, expected: float | None
) -> None:
    """(t - lookback, t] with a lookback of 300 ms; samples have the values 1, 2, …"""
    lookback_ms = 1000 if fact.startswith("the newest") else 300
    part = a_slice(times_ms, a=[float(number + 1) for number in range(len(times_ms))])
    grid = newest(stacks_of([part]), np.asarray([at_ms]), lookback_ms)
    assert grid.values.ravel().tolist() == ([] if expected is None else [expected])


def test_a_staleness_marker_ends_a_series_until_its_next_sample() -> None:
    """And only the marked series of the slice; an ordinary NaN is a value."""
    part = a_slice([0, 10, 20], a=[1.0, STALE_NAN, 3.0], b=[1.0, NONE, 3.0], c=[STALE_NAN] * 3)
    grid = newest(stacks_of([part]), np.asarray([0, 10, 19, 20]), 1000)
    assert list(grid.labels) == [A, B]
    assert grid.present.tolist() == [[True, False, False, True], [True] * 4]


def test_timestamps_are_those_of_the_samples() -> None:
    """For timestamp(): seconds."""
    grid = newest(stacks_of([a_slice([500, 1500], a=[7.0, 8.0])]), np.asarray([1000, 2000]), 10_000, timestamps=True)
    assert grid.values.tolist() == [[0.5, 1.5]]


def test_a_window_is_open_at_its_left_edge() -> None:
    """(t - range, t]."""
    part = a_slice([0, 10, 20, 30], a=[0.0, 1.0, 2.0, 3.0])
    (window,) = windows(stacks_of([part]), np.asarray([30, 29, 0]), np.asarray([30, 29, 0]), 20)
    assert [window.values[lo:hi, 0].tolist() for lo, hi in zip(window.lo, window.hi, strict=True)] == [
        [2.0, 3.0],
        [1.0, 2.0],
        [0.0],
    ]


def test_windows_have_no_staleness_markers_and_few_slices() -> None:
    """Columns marked in the same rows stay together; a column of nothing but markers is gone."""
    part = a_slice([0, 10, 20], a=[1.0, STALE_NAN, 3.0], b=[4.0, STALE_NAN, 6.0], c=[7.0, NONE, 9.0], d=[STALE_NAN] * 3)
    dense = {tuple(piece.series): piece for piece in without_stale(part)}
    assert set(dense) == {(A, B), (C,)}
    assert dense[A, B].timestamps_ms.tolist() == [0, 20]
    assert dense[A, B].values.tolist() == [[1.0, 4.0], [3.0, 6.0]]
    assert dense[(C,)].timestamps_ms.tolist() == [0, 10, 20]


def test_a_slice_without_markers_is_passed_on_as_it_is() -> None:
    """No copy, also where ordinary NaN or infinities make the quick look doubtful."""
    for values in ([1.0, 2.0], [NONE, 2.0], [float("inf"), -float("inf")]):
        part = a_slice([0, 10], a=values)
        assert list(without_stale(part)) == [part] or next(without_stale(part)).values is part.values


def test_a_subquery_gives_windows_over_the_steps_at_which_a_series_was_there() -> None:
    """Series that were there at the same steps share a window."""
    here = np.asarray([[True, True, True], [True, False, True], [False, False, False]])
    grid = Grid([A, B, C], np.arange(9.0).reshape(3, 3), here, np.asarray([False, True, False]))
    made = list(grid_windows(grid, np.asarray([0, 10, 20]), np.asarray([20]), np.asarray([20]), 100))
    assert [(list(w.series), w.timestamps_ms.tolist(), w.values.tolist(), w.drop_name.tolist()) for w in made] == [
        ([A], [0, 10, 20], [[0.0], [1.0], [2.0]], [False]),
        ([B], [0, 20], [[3.0], [5.0]], [True]),
    ]
