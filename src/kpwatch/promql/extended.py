"""Selectors that also look at the samples next to their range: `anchored` and `smoothed` (stable in Prometheus 3.16).

`increase(a[5m] anchored)` begins with the newest sample not after the range's start, which may be up to a lookback
older, and ends with the newest one in the range: what the counter did, nothing extrapolated. `smoothed` looks a
lookback beyond the range's end as well, and takes values at the edges of the range from the lines between their
neighbours. `a smoothed` is such a value at the evaluation time. The rules are those of promql/functions.go
(extendedRate) and promql/engine.go (smoothSeries, extendFloats) of Prometheus.

Windows come with the samples that count: the first is at or before the range's start where there is one, the last of a
smoothed one at or after its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.model.stack import ALONE, Stack
from kpwatch.promql.counters import changes, resets
from kpwatch.promql.reduce import fold_windows
from kpwatch.promql.select import windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kpwatch.promql.counters import Cells
    from kpwatch.promql.select import Window
    from kpwatch.promql.tree import Extension
    from kpwatch.promql.values import Floats, Integers


def reach_ms(extension: Extension, lookback_ms: int) -> tuple[int, int]:
    """How far before a range and behind it (or before and behind a time) an extension looks."""
    return lookback_ms if extension else 0, lookback_ms if extension == "smoothed" else 0


def windows_of(
    stacks: Iterable[Stack],
    times_ms: Integers,
    ends_ms: Integers,
    range_ms: int,
    extension: Extension,
    lookback_ms: int,
) -> Iterator[Window]:
    """Windows with the samples next to their ranges; empty where no sample is behind the range's start."""
    before_ms, behind_ms = reach_ms(extension, lookback_ms)
    for wide in windows(stacks, times_ms, ends_ms + behind_ms, before_ms + range_ms + behind_ms):
        window = wide._replace(ends_ms=wide.ends_ms - behind_ms, range_ms=range_ms)
        after_start = _first_after(window, window.ends_ms - range_ms)
        last = window.hi - 1
        if behind_ms:
            last = np.minimum(last, _first_after(window, window.ends_ms - 1))
        some = last >= after_start
        lo = np.where(some, np.maximum(window.lo, after_start - 1), window.lo)
        yield window._replace(lo=lo, hi=np.where(some, last + 1, lo))


def _first_after(window: Window, moments_ms: Integers) -> Integers:
    """For each step the first row in its window that is later than its moment; `hi` where none is."""
    rows = window.lo.copy()
    size = 1 << int((window.hi - window.lo).max(initial=0)).bit_length()
    while size := size >> 1:  # as many rows at once as may still be too early
        ahead = rows + size
        is_early = ahead <= window.hi
        is_early &= window.timestamps_ms[np.minimum(ahead, len(window.timestamps_ms)) - 1] <= moments_ms
        rows = np.where(is_early, ahead, rows)
    return rows


def moments(stacks: Iterable[Stack], times_ms: Integers, ends_ms: Integers, lookback_ms: int) -> Iterator[Window]:
    """Windows of a lookback before and behind each end, for `value_at_end`."""
    for window in windows(stacks, times_ms, ends_ms + lookback_ms, 2 * lookback_ms):
        yield window._replace(ends_ms=window.ends_ms - lookback_ms, range_ms=lookback_ms)


def value_at_end(window: Window) -> Cells:
    """The value at each end on the line between its neighbours; that of the one before where none is behind."""
    behind = _first_after(window, window.ends_ms - 1)
    last = window.hi - 1
    is_exact = (behind <= last) & (_times_at(window, behind) == window.ends_ms)
    before = np.where(is_exact, behind, behind - 1)
    return _between(window, before, np.minimum(behind, last), window.ends_ms), before >= window.lo


def _times_at(window: Window, rows: Integers) -> Integers:
    return window.timestamps_ms[np.clip(rows, 0, len(window.timestamps_ms) - 1)]


def _values_at(window: Window, rows: Integers) -> Floats:
    return window.values[np.clip(rows, 0, len(window.values) - 1)]


def _between(
    window: Window, before: Integers, behind: Integers, moments_ms: Integers, *, is_counter: bool = False
) -> Floats:
    """Values at the moments on the lines from the rows `before` to the rows `behind`, level beyond them.

    A counter that fell began anew at zero.
    """
    left, right = _values_at(window, before), _values_at(window, behind)
    left_ms, right_ms = _times_at(window, before), _times_at(window, behind)
    start = np.where(right < left, 0.0, left) if is_counter else left
    line = start + (right - start) * (moments_ms - left_ms)[:, None] / (right_ms - left_ms)[:, None]
    line = np.where((right_ms <= moments_ms)[:, None], right, line)
    return np.where((left_ms >= moments_ms)[:, None], left, line)


def _edges(window: Window, extension: Extension, *, is_counter: bool) -> tuple[Floats, Floats]:
    """Values at the start and at the end of each range; whatever where a window is empty."""
    first, last = window.lo, window.hi - 1
    if extension == "anchored":
        return _values_at(window, first), _values_at(window, last)
    second, last_but_one = np.minimum(first + 1, last), np.maximum(last - 1, first)
    starts_ms = window.ends_ms - window.range_ms
    left = _between(window, first, second, starts_ms, is_counter=is_counter)
    return left, _between(window, last_but_one, last, window.ends_ms, is_counter=is_counter)


def _inside(window: Window) -> tuple[Integers, Integers]:
    """The rows strictly inside each range, from and until."""
    lo = window.lo + (_times_at(window, window.lo) <= window.ends_ms - window.range_ms)
    hi = window.hi - (_times_at(window, window.hi - 1) >= window.ends_ms)
    return lo, np.maximum(lo, hi)


def _change(extension: Extension, *, is_counter: bool = False, is_rate: bool = False) -> Callable[[Window], Cells]:
    """Value at the range's end minus that at its start, plus what resets between them lost; of a rate per second."""

    def body(window: Window) -> Cells:
        some = (window.hi > window.lo) & (_times_at(window, window.lo) <= window.ends_ms)
        left, right = _edges(window, extension, is_counter=is_counter)
        change = right - left
        if is_counter:
            change += _lost_in_resets(window, left, right)
        return change / (window.range_ms / 1000.0) if is_rate else change, some

    return body


def _lost_in_resets(window: Window, left: Floats, right: Floats) -> Floats:
    """The values before each decrease on the way from `left` over the samples inside to `right`."""
    lo, hi = _inside(window)
    before, after = window.values[:-1], window.values[1:]
    lost = fold_windows(np.where(after < before, before, 0.0), lo, hi - 1, np.add, 0.0)
    has_inside = (hi > lo)[:, None]
    first = np.where(has_inside, _values_at(window, lo), right)
    last = np.where(has_inside, _values_at(window, hi - 1), left)
    lost += np.where(first < left, left, 0.0)
    lost += np.where(has_inside & (right < last), last, 0.0)
    return lost


def framed(window: Window, extension: Extension) -> Iterator[Window]:
    """Each step's samples inside its range, between two that stand at its edges."""
    left, right = _edges(window, extension, is_counter=False)
    lo, hi = _inside(window)
    width = window.values.shape[1]
    for step in np.flatnonzero(window.hi > window.lo).tolist():
        rows = slice(lo[step], hi[step])
        end_ms = window.ends_ms[step]
        columns = slice(step * width, (step + 1) * width)
        times_ms = np.concatenate(([end_ms - window.range_ms], window.timestamps_ms[rows], [end_ms]))
        values = np.concatenate((left[step : step + 1], window.values[rows], right[step : step + 1]))
        yield window._replace(
            stack=Stack(window.series[columns], times_ms, values, ALONE),
            drop_name=window.drop_name[columns],
            lo=ALONE,
            hi=np.asarray([len(times_ms)]),
        )


BODIES: dict[Extension, dict[str, Callable[[Window], Cells]]] = {
    extension: {
        "delta": _change(extension),
        "increase": _change(extension, is_counter=True),
        "rate": _change(extension, is_counter=True, is_rate=True),
    }
    for extension in ("anchored", "smoothed")
}
"""The functions that may be asked of an extended range."""
BODIES["anchored"] |= {"changes": changes, "resets": resets}
