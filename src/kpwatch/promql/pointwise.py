"""Functions of one value at a time, and the calendar.

Each takes values of any shape (and scalars that broadcast to it) and gives values of that shape. Times are Unix
seconds in UTC; a fraction of a second is cut towards zero, as Go's int64() does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.promql.values import Floats, Integers

DAY_S = 86_400
LATEST_S = 1e14
"""The calendar ends some three million years from now: beyond, and for NaN, there is no date."""


def sgn(values: Floats) -> Floats:
    """-1, 1, or the value itself where it is zero or NaN."""
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


def round_to(values: Floats, nearest: Floats | float = 1.0) -> Floats:
    """The nearest multiple; halves go up."""
    per_unit = 1.0 / np.asarray(nearest)
    return np.floor(values * per_unit + 0.5) / per_unit


def degrees(values: Floats) -> Floats:
    """Radians to degrees."""
    return values * (180 / np.pi)


def radians(values: Floats) -> Floats:
    """Degrees to radians."""
    return values * (np.pi / 180)


def at_least(values: Floats, lowest: Floats) -> Floats:
    """Go's math.Max: NaN wins, but for +Inf."""
    return np.where(lowest == np.inf, np.inf, np.maximum(values, lowest))


def at_most(values: Floats, highest: Floats) -> Floats:
    """Go's math.Min: NaN wins, but for -Inf."""
    return np.where(highest == -np.inf, -np.inf, np.minimum(values, highest))


def _of_seconds(read: Callable[[Integers], Integers]) -> Callable[[Floats], Floats]:
    """A calendar function on values from one on whole seconds."""

    def on_values(values: Floats) -> Floats:
        known = np.abs(values) <= LATEST_S
        seconds = np.where(known, values, 0.0).astype(np.int64)
        return np.where(known, read(seconds).astype(np.float64), np.nan)

    return on_values


def _days(seconds: Integers) -> np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]:
    return (seconds // DAY_S).astype("datetime64[D]")


def _whole(difference: np.ndarray[tuple[int, ...], np.dtype[np.timedelta64]]) -> Integers:
    days: Integers = difference.astype(np.int64)
    return days


def _day_of_month(seconds: Integers) -> Integers:
    days = _days(seconds)
    return _whole(days - days.astype("datetime64[M]")) + 1


def _day_of_year(seconds: Integers) -> Integers:
    days = _days(seconds)
    return _whole(days - days.astype("datetime64[Y]")) + 1


def _days_in_month(seconds: Integers) -> Integers:
    months = _days(seconds).astype("datetime64[M]")
    following = (months.astype(np.int64) + 1).astype("datetime64[M]")
    return _whole(following.astype("datetime64[D]") - months.astype("datetime64[D]"))


minute = _of_seconds(lambda seconds: seconds // 60 % 60)
hour = _of_seconds(lambda seconds: seconds // 3600 % 24)
day_of_week = _of_seconds(lambda seconds: (seconds // DAY_S + 4) % 7)  # 1970-01-01 was a Thursday; Sunday is 0
day_of_month = _of_seconds(_day_of_month)
day_of_year = _of_seconds(_day_of_year)
days_in_month = _of_seconds(_days_in_month)
month = _of_seconds(lambda seconds: _days(seconds).astype("datetime64[M]").astype(np.int64) % 12 + 1)
year = _of_seconds(lambda seconds: _days(seconds).astype("datetime64[Y]").astype(np.int64) + 1970)
