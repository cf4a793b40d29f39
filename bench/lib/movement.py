"""Values that move as the recorded kube-proxy's do, for as many targets and scrapes as are wanted.

Each target walks through the recording in stretches that begin anywhere, its own way, STEPS recorded scrapes for each
one that it makes: then 21 % of the series move from one to the next. A column that never falls in the
recording (counters, histograms, times) grows by what it grew there; any other takes values between the recorded one and
its successor, in the same steps (whole numbers, pages, decimals). So the share of series that move, their steps and
what moves together are the recording's, and nothing repeats that a compressor could learn.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.lib import recording
from kpwatch.exposition.text import parse

STEPS = 2
JUMP_CHANCE = 0.05
"""That a target goes on elsewhere in the recording; stretches are 20 scrapes on average."""
_MOST_DECIMALS = 9
"""Above this a number is a sum of floats and as long as a float is; it is not rounded."""

Values = NDArray[np.float64]


class Matrix(NamedTuple):
    """The recording as numbers."""

    values: Values
    """(scrapes, series)"""
    grows: NDArray[np.intp]
    """Columns that never fall."""
    wanders: NDArray[np.intp]
    """Columns that fall and rise."""
    grain: Values
    """(series,) whole columns: what their values are multiples of; others 0."""
    decimals: NDArray[np.intp]
    """(series,) digits after the point, _MOST_DECIMALS + 1 = all there are."""


@lru_cache(maxsize=1)
def matrix() -> Matrix:
    """Parse the recording."""
    values = np.array([[sample.value for sample in parse(body).samples] for body in recording.load().bodies])
    differences = np.diff(np.nan_to_num(values), axis=0)
    moves = (differences != 0).any(axis=0)
    falls = (differences < 0).any(axis=0)
    grain = [_grain(column) for column in values.T]
    decimals = [_decimals(column) for column in values.T]
    return Matrix(values, np.flatnonzero(moves & ~falls), np.flatnonzero(falls), np.array(grain), np.array(decimals))


def _grain(column: Values) -> float:
    if not np.isfinite(column).all() or (column % 1).any():
        return 0.0
    return float(gcd(*map(int, column)) or 1)


def _decimals(column: Values) -> int:
    exponents = [Decimal(repr(value)).as_tuple().exponent for value in set(column.tolist()) if np.isfinite(value)]
    return min(_MOST_DECIMALS + 1, max((-exponent for exponent in exponents if isinstance(exponent, int)), default=0))


class Fleet:
    """Targets that move on; `seed` makes the same fleet again."""

    def __init__(self, targets: int, seed: int = 1) -> None:
        self._matrix = matrix()
        self._random = np.random.default_rng(seed)
        self._place = self._random.integers(0, len(self._matrix.values) - STEPS, targets)
        self._now = self._matrix.values[self._place]
        self._rounded = self._matrix.grows[self._matrix.decimals[self._matrix.grows] <= _MOST_DECIMALS]

    def advance(self) -> Values:
        """The next scrape of every target: (targets, series); the array is the caller's."""
        values, grows, wanders, _, decimals = self._matrix
        here, there = values[self._place], values[self._place + STEPS]
        self._now[:, grows] += there[:, grows] - here[:, grows]
        self._now[:, self._rounded] = _round(self._now[:, self._rounded], decimals[self._rounded])
        self._now[:, wanders] = self._between(here[:, wanders], there[:, wanders])
        self._move()
        return self._now.copy()

    def _between(self, before: Values, after: Values) -> Values:
        """Somewhere between the two, in the columns' own steps."""
        columns = self._matrix.wanders
        grain, decimals = self._matrix.grain[columns], self._matrix.decimals[columns]
        between = before + self._random.random(before.shape) * (after - before)
        in_steps = np.where(grain > 0, np.round(between / np.maximum(grain, 1)) * grain, _round(between, decimals))
        return np.where(before == after, before, in_steps)

    def _move(self) -> None:
        count, end = len(self._place), len(self._matrix.values) - STEPS
        anywhere = self._random.integers(0, end, count)
        onward = self._place + STEPS
        self._place = np.where((self._random.random(count) < JUMP_CHANCE) | (onward >= end), anywhere, onward)


def _round(values: Values, decimals: NDArray[np.intp]) -> Values:
    scale = 10.0 ** np.minimum(decimals, _MOST_DECIMALS)
    return np.round(values * scale) / scale
