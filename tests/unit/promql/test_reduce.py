"""Folds over many windows at once, against folds over one window after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.promql import reduce
from kpwatch.promql.reduce import blocks, compensated_sum, count_flags, fold_windows, sum_windows

WINDOWS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=10)


def matrix(rows: int, seed: int) -> np.ndarray:
    """Whole numbers, so that sums are exact in any order."""
    return np.random.default_rng(seed).integers(-9, 10, (rows, 3)).astype(float)


@given(bounds=WINDOWS, seed=st.integers(0, 1000))
def test_windows_are_folded_as_one_by_one(bounds: list[tuple[int, int]], seed: int) -> None:
    """Any windows, empty ones (lo >= hi) included."""
    values = matrix(20, seed)
    lo, hi = (np.asarray(edge) for edge in zip(*bounds, strict=True))
    for combine, empty, plain in (
        (np.add, 0.0, lambda part: part.sum(axis=0)),
        (np.fmax, math.nan, lambda part: part.max(axis=0)),
        (np.fmin, math.nan, lambda part: part.min(axis=0)),
    ):
        folded = fold_windows(values, lo, hi, combine, empty)
        for row, (first, last) in enumerate(bounds):
            expected = plain(values[first:last]) if first < last else np.full(3, empty)
            np.testing.assert_array_equal(folded[row], expected)


@given(bounds=WINDOWS, seed=st.integers(0, 1000))
def test_flags_are_counted(bounds: list[tuple[int, int]], seed: int) -> None:
    """How many True a window has."""
    flags = matrix(20, seed) > 0
    lo, hi = (np.asarray(edge) for edge in zip(*bounds, strict=True))
    expected = [flags[first : max(first, last)].sum(axis=0).tolist() for first, last in bounds]
    assert count_flags(flags, lo, hi).tolist() == expected


def test_blocks_are_the_windows_whatever_their_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every window that is not empty comes once, also when blocks hold one window at a time."""
    values = matrix(20, 1)
    lo, hi = np.asarray([0, 3, 5, 7, 1]), np.asarray([4, 7, 5, 8, 20])
    for cells in (1, 1 << 20):
        monkeypatch.setattr(reduce, "BLOCK_CELLS", cells)
        seen = {}
        for steps, rows, block in blocks(values, lo, hi):
            for number, step in enumerate(steps.tolist()):
                assert rows[number].tolist() == list(range(lo[step], hi[step]))
                seen[step] = block[number].tolist()
        assert seen == {step: values[lo[step] : hi[step]].tolist() for step in (0, 1, 3, 4)}


CANCELLING = [
    [1e100, 1.0, -1e100],
    [1e100, 3.0, -1e100, 4.0],
    [1.0, 1e16, -1e16],
    [5.0],
    [math.inf, 1.0],
    [math.inf, -math.inf],
    [1e308, 1e308, -1e308],
]


@pytest.mark.parametrize("terms", CANCELLING)
def test_terms_that_cancel_are_added_as_prometheus_adds(terms: list[float]) -> None:
    """Neumaier's sum, in order; an overflow on the way stays."""
    total = compensation = 0.0
    for term in terms:
        new = total + term
        if math.isinf(new):
            compensation = 0.0
        else:
            compensation += (total - new) + term if abs(total) >= abs(term) else (term - new) + total
        total = new
    expected = total if math.isinf(total) else total + compensation
    assert compensated_sum(np.asarray(terms)) == pytest.approx(expected, nan_ok=True)
    with np.errstate(all="ignore"):
        (summed,) = sum_windows(np.asarray(terms)[:, None], np.asarray([0]), np.asarray([len(terms)]))
    assert summed[0] == pytest.approx(expected, nan_ok=True)
