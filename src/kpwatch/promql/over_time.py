"""Functions of what is in a window, whatever its order: the `*_over_time` family.

Each takes a Window and gives values (steps, series) and where they exist. NaN follows Prometheus' promql/functions.go:
an extreme ignores NaN unless there is nothing else, a quantile sorts NaN below everything, sums carry it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.errors import QueryFailed
from kpwatch.promql.reduce import blocks, fold_windows, sum_windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.promql.counters import Cells
    from kpwatch.promql.select import Window
    from kpwatch.promql.values import Floats, Mask

SCALED_DOWN = 2.0**-64
"""Values are multiplied by this before a sum that would overflow; a power of two loses no digit of large numbers."""


def _some(window: Window) -> Mask:
    return window.counts >= 1


def _everywhere(window: Window, values: Floats) -> Cells:
    """The same value, given per step, for all series."""
    return np.broadcast_to(values[:, None], (len(values), window.values.shape[1])), _some(window)


def count_over_time(window: Window) -> Cells:
    """How many samples."""
    return _everywhere(window, window.counts.astype(np.float64))


def present_over_time(window: Window) -> Cells:
    """1 where there is a sample."""
    return _everywhere(window, np.ones(len(window.lo)))


def first_over_time(window: Window) -> Cells:
    """The oldest sample."""
    return window.values[np.where(_some(window), window.lo, 0)], _some(window)


def last_over_time(window: Window) -> Cells:
    """The newest sample."""
    return window.values[np.where(_some(window), window.hi - 1, 0)], _some(window)


def ts_of_first_over_time(window: Window) -> Cells:
    """When the oldest sample was taken, Unix seconds."""
    return _everywhere(window, window.timestamps_ms[np.where(_some(window), window.lo, 0)] / 1000.0)


def ts_of_last_over_time(window: Window) -> Cells:
    """When the newest sample was taken, Unix seconds."""
    return _everywhere(window, window.timestamps_ms[np.where(_some(window), window.hi - 1, 0)] / 1000.0)


def sum_over_time(window: Window) -> Cells:
    """The sum."""
    return sum_windows(window.values, window.lo, window.hi), _some(window)


def avg_over_time(window: Window) -> Cells:
    """The mean; it overflows only if the result does."""
    counts = np.maximum(window.counts, 1)[:, None]
    means = sum_windows(window.values, window.lo, window.hi) / counts
    if not np.isinf(means).any():
        return means, _some(window)
    scaled = sum_windows(window.values * SCALED_DOWN, window.lo, window.hi) / counts / SCALED_DOWN
    return np.where(np.isinf(means), scaled, means), _some(window)


def max_over_time(window: Window) -> Cells:
    """The largest value."""
    return fold_windows(window.values, window.lo, window.hi, np.fmax, np.nan), _some(window)


def min_over_time(window: Window) -> Cells:
    """The smallest value."""
    return fold_windows(window.values, window.lo, window.hi, np.fmin, np.nan), _some(window)


def _by_blocks(window: Window, summarise: Callable[[Floats], Floats]) -> Cells:
    """`summarise` takes (windows, length, series) to (windows, series)."""
    result = np.full((len(window.lo), window.values.shape[1]), np.nan)
    for steps, _, block in blocks(window.values, window.lo, window.hi, window.check_time):
        result[steps] = summarise(block)
    return result, _some(window)


def stdvar_over_time(window: Window) -> Cells:
    """The population variance."""
    return _by_blocks(window, _variance)


def stddev_over_time(window: Window) -> Cells:
    """The population standard deviation."""
    return _by_blocks(window, lambda block: np.sqrt(_variance(block)))


def _variance(block: Floats) -> Floats:
    """Around the first value first: equal values give exactly 0."""
    off = block - block[:, :1, :]
    off = off - off.mean(axis=1, keepdims=True)
    variance: Floats = (off * off).mean(axis=1)
    return variance


def quantile_over_time(window: Window, q: Floats) -> Cells:
    """The q-quantile, interpolated between neighbours."""
    result = np.full((len(window.lo), window.values.shape[1]), np.nan)
    for steps, _, block in blocks(window.values, window.lo, window.hi, window.check_time):
        result[steps] = quantile_of_sorted(sort_nan_first(block, axis=1).swapaxes(0, 1), q[steps][:, None])
    return result, _some(window)


def mad_over_time(window: Window) -> Cells:
    """Median of the absolute deviations from the median; NaN if any value is."""

    def deviation(block: Floats) -> Floats:
        half = np.full((block.shape[0], 1), 0.5)
        median = quantile_of_sorted(np.sort(block, axis=1).swapaxes(0, 1), half)
        spread = np.abs(block - median[:, None, :])
        result = quantile_of_sorted(np.sort(spread, axis=1).swapaxes(0, 1), half)
        return np.where(np.isnan(block).any(axis=1), np.nan, result)

    return _by_blocks(window, deviation)


def sort_nan_first(values: Floats, axis: int) -> Floats:
    """Ascending along `axis`, NaN below everything, as Prometheus' vectorByValueHeap sorts."""
    nan = np.isnan(values)
    if not nan.any():
        return np.sort(values, axis=axis)
    ordered = np.sort(np.where(nan, -np.inf, values), axis=axis)
    shape = [1] * values.ndim
    shape[axis] = values.shape[axis]
    place = np.arange(values.shape[axis]).reshape(shape)
    return np.where(place < nan.sum(axis=axis, keepdims=True), np.nan, ordered)


def quantile_of_sorted(ordered: Floats, q: Floats, counts: Floats | None = None) -> Floats:
    """Quantiles of columns sorted along axis 0 (promql/quantile.go, `quantile`).

    `q` and `counts` broadcast to ordered.shape[1:]; `counts` says how many of a column's first values count (default:
    all, at least 1). q < 0 gives -Inf, q > 1 +Inf, NaN NaN.
    """
    shape = ordered.shape[1:]
    n = np.broadcast_to(float(ordered.shape[0]) if counts is None else counts, shape)
    q = np.broadcast_to(q, shape)
    rank = np.where((q >= 0) & (q <= 1), q, 0.0) * (n - 1)
    lower = np.clip(np.floor(rank), 0, None).astype(np.intp)
    upper = np.minimum(lower + 1, np.maximum(n - 1, 0).astype(np.intp))
    weight = rank - np.floor(rank)
    low = np.take_along_axis(ordered, lower[None], axis=0)[0]
    high = np.take_along_axis(ordered, upper[None], axis=0)[0]
    inside = np.where(weight == 0, low, low * (1 - weight) + high * weight)
    return np.where(np.isnan(q), np.nan, np.where(q < 0, -np.inf, np.where(q > 1, np.inf, inside)))


def ts_of_max_over_time(window: Window) -> Cells:
    """When the largest value was last seen, Unix seconds."""
    return _time_of(window, np.fmax)


def ts_of_min_over_time(window: Window) -> Cells:
    """When the smallest value was last seen, Unix seconds."""
    return _time_of(window, np.fmin)


def _time_of(window: Window, extreme: np.ufunc) -> Cells:
    """The last time of the extreme value; of nothing but NaN, the last time."""
    result = np.full((len(window.lo), window.values.shape[1]), np.nan)
    for steps, rows, block in blocks(window.values, window.lo, window.hi, window.check_time):
        most = extreme.reduce(block, axis=1, keepdims=True)
        is_most = (block == most) | np.isnan(most)
        last = block.shape[1] - 1 - np.argmax(is_most[:, ::-1, :], axis=1)
        result[steps] = window.timestamps_ms[np.take_along_axis(rows, last, axis=1)] / 1000.0
    return result, _some(window)


def double_exponential_smoothing(window: Window, smoothing: Floats, trend: Floats) -> Cells:
    """Holt's linear trend after the last sample; both factors strictly between 0 and 1."""
    for name, factor in (("smoothing", smoothing), ("trend", trend)):
        wrong = factor[~((factor > 0) & (factor < 1))]
        if len(wrong):
            letter = name[0]
            raise QueryFailed(f"invalid {name} factor. Expected: 0 < {letter}f < 1, got: {wrong[0]:f}")
    result = np.full((len(window.lo), window.values.shape[1]), np.nan)
    for steps, _, block in blocks(window.values, window.lo, window.hi, window.check_time):
        if block.shape[1] >= 2:
            result[steps] = _smooth(block, smoothing[steps][:, None], trend[steps][:, None])
    return result, window.counts >= 2


def _smooth(block: Floats, smoothing: Floats, trend: Floats) -> Floats:
    before, level = np.zeros_like(block[:, 0]), block[:, 0]
    slope = block[:, 1] - block[:, 0]
    for position in range(1, block.shape[1]):
        if position > 1:
            slope = trend * (level - before) + (1 - trend) * slope
        before, level = level, smoothing * block[:, position] + (1 - smoothing) * (level + slope)
    return level
