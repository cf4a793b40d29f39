"""Functions of how a series moves within a window: rate and its kin, regressions, resets, changes.

Each takes a Window and gives values (steps, series) and where they exist: (steps,) or (steps, series). The rules are
those of Prometheus' promql/functions.go: extrapolatedRate, instantValue, linearRegression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.promql.reduce import blocks, count_flags, fold_windows, take_rows
from kpwatch.promql.values import Floats, Mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.promql.select import Window
    from kpwatch.promql.values import Integers

Cells = tuple[Floats, Mask]
"""Values (steps, series) and a mask that broadcasts to them from the left."""


def rate(window: Window) -> Cells:
    """Per-second increase of a counter, extrapolated to the window."""
    return _extrapolated(window, is_counter=True, per_seconds=window.range_ms / 1000.0)


def increase(window: Window) -> Cells:
    """Increase of a counter, extrapolated to the window."""
    return _extrapolated(window, is_counter=True)


def delta(window: Window) -> Cells:
    """Difference of a gauge, extrapolated to the window."""
    return _extrapolated(window, is_counter=False)


def plain_rate(window: Window) -> Cells:
    """Per-second increase between the outermost samples, nothing added for the window's edges."""
    first, last, enough = _outermost(window)
    sampled_s = (window.timestamps_ms[last] - window.timestamps_ms[first]) / 1000.0
    change, _ = plain_increase(window)
    return change / sampled_s[:, None], enough


def plain_increase(window: Window) -> Cells:
    """Last minus first sample plus what resets lost."""
    change, enough = plain_delta(window)
    return _add_lost_in_resets(window, change), enough


def plain_delta(window: Window) -> Cells:
    """Last minus first sample."""
    first, last, enough = _outermost(window)
    return window.values[last] - window.values[first], enough


PLAIN: dict[Callable[..., Cells], Callable[[Window], Cells]] = {
    rate: plain_rate,
    increase: plain_increase,
    delta: plain_delta,
}
"""What to take where samples are all there is to know (two scrapes at a desk), and not drawn from a steady stream."""


def _extrapolated(window: Window, *, is_counter: bool, per_seconds: float = 1.0) -> Cells:
    """Last minus first sample plus what resets lost, stretched towards the window's edges.

    The stretch reaches an edge if it is nearer than 1.1 average sample distances, else half a distance; a counter is
    not stretched back beyond where it would have been zero. Times have shape (steps, 1), values (steps, series).
    """
    first, last, enough = _outermost(window)
    first_values = take_rows(window.values, first)
    change = take_rows(window.values, last)
    change -= first_values
    if is_counter:
        change = _add_lost_in_resets(window, change)
    first_ms, last_ms = window.timestamps_ms[first], window.timestamps_ms[last]
    sampled_s = (last_ms - first_ms) / 1000.0
    average_s = sampled_s / np.maximum(window.counts - 1, 1)
    to_start_s = (first_ms - (window.ends_ms - window.range_ms)) / 1000.0
    to_end_s = (window.ends_ms - last_ms) / 1000.0
    to_start_s = np.where(to_start_s >= average_s * 1.1, average_s / 2, to_start_s)[:, None]
    to_end_s = np.where(to_end_s >= average_s * 1.1, average_s / 2, to_end_s)[:, None]
    sampled_s = sampled_s[:, None]
    stretch = (sampled_s + to_start_s + to_end_s) / sampled_s / per_seconds
    if is_counter:
        # It would have been zero at sampled_s * first / change seconds before the first sample: nearer than to_start_s?
        nearer = first_values < change * (to_start_s / sampled_s)
        if nearer.any():
            nearer &= first_values >= 0
            to_zero_s = sampled_s * (first_values / change)
            factor = (sampled_s + to_zero_s + to_end_s) / sampled_s / per_seconds
            return np.where(nearer, change * factor, change * stretch), enough
    change *= stretch
    return change, enough


def _outermost(window: Window) -> tuple[Integers, Integers, Mask]:
    """Rows of the first and last sample of each window, and which windows have two; rows are valid everywhere."""
    enough = window.counts >= 2
    first = np.where(enough, window.lo, 0)
    last = np.where(enough, window.hi - 1, 0)
    return first, last, enough


def _add_lost_in_resets(window: Window, change: Floats) -> Floats:
    """Add the value before each decrease; nearly all columns have none."""
    columns = window.stack.falling
    if not len(columns):
        return change
    values = window.values[:, columns]
    earlier, later = values[:-1], values[1:]
    lost = np.where(later < earlier, earlier, 0.0)
    lost[window.begins[1:] - 1] = 0.0  # from one slice to the next
    corrected = change.copy()
    corrected[:, columns] += fold_windows(lost, window.lo, window.hi - 1, np.add, 0.0)
    return corrected


def irate(window: Window) -> Cells:
    """Per-second increase between the last two samples of a counter."""
    before, last, enough = _last_two(window)
    earlier, later = window.values[before], window.values[last]
    seconds = (window.timestamps_ms[last] - window.timestamps_ms[before]) / 1000.0
    return np.where(later < earlier, later, later - earlier) / seconds[:, None], enough


def idelta(window: Window) -> Cells:
    """Difference of the last two samples of a gauge."""
    before, last, enough = _last_two(window)
    return window.values[last] - window.values[before], enough


def _last_two(window: Window) -> tuple[Integers, Integers, Mask]:
    _, last, enough = _outermost(window)
    return np.maximum(last - 1, 0), last, enough


def resets(window: Window) -> Cells:
    """How often a value was less than the one before."""
    fell = window.values[1:] < window.values[:-1]
    return _between_samples(window, fell)


def changes(window: Window) -> Cells:
    """How often a value differed from the one before; NaN equals NaN."""
    earlier, later = window.values[:-1], window.values[1:]
    differs = (later != earlier) & ~(np.isnan(later) & np.isnan(earlier))
    return _between_samples(window, differs)


def _between_samples(window: Window, flags: Mask) -> Cells:
    """Count flags[i], which speaks of rows i and i + 1, within each window."""
    some = window.counts >= 1
    lo = np.minimum(window.lo, len(flags))
    return count_flags(flags, lo, np.where(some, window.hi - 1, lo)), some


def deriv(window: Window) -> Cells:
    """Slope per second of the least-squares line."""
    slope, _ = _regression(window, window.timestamps_ms[_outermost(window)[0]])
    return slope, window.counts >= 2


def predict_linear(window: Window, ahead_s: Floats) -> Cells:
    """Value of the least-squares line `ahead_s` seconds after the evaluation time."""
    slope, intercept = _regression(window, window.times_ms)
    return slope * ahead_s[:, None] + intercept, window.counts >= 2


def _regression(window: Window, origins_ms: Integers) -> tuple[Floats, Floats]:
    """Slope per second and value at `origins_ms` (steps,) of the least-squares lines; both (steps, series).

    Computed around the means, which keeps digits. Constant values have slope 0, constant infinities NaN.
    """
    shape = (len(window.lo), window.values.shape[1])
    slopes, intercepts = np.full(shape, np.nan), np.full(shape, np.nan)
    for steps, rows, block in blocks(window.values, window.lo, window.hi, window.check_time):
        x = (window.timestamps_ms[rows] - origins_ms[steps][:, None]) / 1000.0
        x_mean = x.mean(axis=1)[:, None]
        y_mean = block.mean(axis=1)
        x_off = (x - x_mean)[:, :, None]
        slope = (x_off * (block - y_mean[:, None, :])).sum(axis=1) / (x_off * x_off).sum(axis=1)
        intercept = y_mean - slope * x_mean
        first = block[:, 0, :]
        constant = (block == first[:, None, :]).all(axis=1)
        finite = np.isfinite(first)
        slopes[steps] = np.where(constant, np.where(finite, 0.0, np.nan), slope)
        intercepts[steps] = np.where(constant, np.where(finite, first, np.nan), intercept)
    return slopes, intercepts
