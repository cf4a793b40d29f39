"""PromQL's functions again, sample by sample and as plainly as can be: what the matrix code is held against."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Samples = list[tuple[int, float]]
"""(timestamp_ms, value) of one window, in time order."""


def extrapolated(samples: Samples, start_ms: int, end_ms: int, *, is_counter: bool) -> float | None:
    """Prometheus' extrapolatedRate, before the division by the range."""
    if len(samples) < 2:
        return None
    change = samples[-1][1] - samples[0][1]
    if is_counter:
        for (_, before), (_, after) in pairwise(samples):
            if after < before:
                change += before
    sampled = (samples[-1][0] - samples[0][0]) / 1000
    average = sampled / (len(samples) - 1)
    to_start, to_end = (samples[0][0] - start_ms) / 1000, (end_ms - samples[-1][0]) / 1000
    if to_start >= average * 1.1:
        to_start = average / 2
    if is_counter and change > 0 and samples[0][1] >= 0:
        to_start = min(to_start, sampled * (samples[0][1] / change))
    if to_end >= average * 1.1:
        to_end = average / 2
    return change * (sampled + to_start + to_end) / sampled


def rate(samples: Samples, start_ms: int, end_ms: int) -> float | None:
    """Per second."""
    result = extrapolated(samples, start_ms, end_ms, is_counter=True)
    return None if result is None else result / ((end_ms - start_ms) / 1000)


def extended(samples: Samples, start_ms: int, end_ms: int, *, is_smoothed: bool, is_counter: bool) -> float | None:
    """Prometheus' extendedRate, before the division; `samples` are those of a lookback more on each side."""
    last = len(samples) - 1
    before = max([place for place in range(last) if samples[place][0] <= start_ms], default=0)
    if is_smoothed:
        last = min([place for place in range(last) if samples[place][0] >= end_ms], default=last)
    if samples[last][0] <= start_ms or samples[before][0] > end_ms:
        return None
    left, right = samples[before][1], samples[last][1]
    if is_smoothed and samples[before][0] < start_ms:
        left = between(samples[before], samples[before + 1], start_ms, is_counter=is_counter)
    if is_smoothed and samples[last][0] > end_ms:
        right = between(samples[last - 1], samples[last], end_ms, is_counter=is_counter)
    way = [left, *(value for time_ms, value in samples if start_ms < time_ms < end_ms), right]
    lost = sum(one for one, other in pairwise(way) if other < one) if is_counter else 0.0
    return right - left + lost


def between(one: tuple[int, float], other: tuple[int, float], at_ms: int, *, is_counter: bool = False) -> float:
    """On the line from one sample to the next."""
    start = 0.0 if is_counter and other[1] < one[1] else one[1]
    return start + (other[1] - start) * (at_ms - one[0]) / (other[0] - one[0])


def smoothed(samples: Samples, at_ms: int) -> float | None:
    """Prometheus' smoothSeries; `samples` are those of a lookback before and behind."""
    before = [sample for sample in samples if sample[0] <= at_ms]
    behind = [sample for sample in samples if sample[0] > at_ms]
    if not before:
        return None
    return between(before[-1], behind[0], at_ms) if behind and before[-1][0] < at_ms else before[-1][1]


def _pairs(samples: Samples, holds: Callable[[float, float], bool]) -> float:
    return float(sum(holds(before, after) for (_, before), (_, after) in pairwise(samples)))


def _differ(before: float, after: float) -> bool:
    return before != after and not (math.isnan(before) and math.isnan(after))


def quantile(values: list[float], q: float) -> float:
    """Prometheus' quantile: NaN sorts below everything."""
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value if not math.isnan(value) else 0))
    rank = q * (len(ordered) - 1)
    lower = math.floor(rank)
    upper = min(lower + 1, len(ordered) - 1)
    weight = rank - lower
    return ordered[lower] if weight == 0 else ordered[lower] * (1 - weight) + ordered[upper] * weight


def _extreme(values: list[float], better: Callable[[float, float], bool]) -> float:
    best = values[0]
    for value in values:
        if better(value, best) or math.isnan(best):
            best = value
    return best


def _variance(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / len(values)


def slope(samples: Samples) -> float | None:
    """Least squares."""
    if len(samples) < 2:
        return None
    xs, ys = [(time_ms - samples[0][0]) / 1000 for time_ms, _ in samples], [value for _, value in samples]
    if len(set(ys)) == 1:
        return 0.0
    x_mean, y_mean = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    above = math.fsum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return above / math.fsum((x - x_mean) ** 2 for x in xs)


FUNCTIONS: dict[str, Callable[[Samples, int, int], float | None]] = {
    "rate": rate,
    "increase": lambda s, start, end: extrapolated(s, start, end, is_counter=True),
    "delta": lambda s, start, end: extrapolated(s, start, end, is_counter=False),
    "irate": lambda s, *_: (
        (s[-1][1] if s[-1][1] < s[-2][1] else s[-1][1] - s[-2][1]) / ((s[-1][0] - s[-2][0]) / 1000)
        if len(s) > 1
        else None
    ),
    "idelta": lambda s, *_: s[-1][1] - s[-2][1] if len(s) > 1 else None,
    "resets": lambda s, *_: _pairs(s, lambda before, after: after < before),
    "changes": lambda s, *_: _pairs(s, _differ),
    "deriv": lambda s, *_: slope(s),
    "count_over_time": lambda s, *_: float(len(s)),
    "present_over_time": lambda *_: 1.0,
    "first_over_time": lambda s, *_: s[0][1],
    "last_over_time": lambda s, *_: s[-1][1],
    "ts_of_first_over_time": lambda s, *_: s[0][0] / 1000,
    "ts_of_last_over_time": lambda s, *_: s[-1][0] / 1000,
    "sum_over_time": lambda s, *_: math.fsum(value for _, value in s),
    "avg_over_time": lambda s, *_: math.fsum(value for _, value in s) / len(s),
    "min_over_time": lambda s, *_: _extreme([value for _, value in s], lambda new, best: new < best),
    "max_over_time": lambda s, *_: _extreme([value for _, value in s], lambda new, best: new > best),
    "stdvar_over_time": lambda s, *_: _variance([value for _, value in s]),
    "stddev_over_time": lambda s, *_: math.sqrt(_variance([value for _, value in s])),
}


def bucket_quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    """Prometheus' BucketQuantile over (bound, cumulative count), sorted, counts already monotonic."""
    if buckets[-1][0] != math.inf or len(buckets) < 2 or buckets[-1][1] == 0:
        return math.nan
    rank = q * buckets[-1][1]
    place = next((i for i, (_, count) in enumerate(buckets[:-1]) if count >= rank), len(buckets) - 1)
    if place == len(buckets) - 1:
        return buckets[-2][0]
    if place == 0 and buckets[0][0] <= 0:
        return buckets[0][0]
    bound, count = buckets[place]
    start, below = buckets[place - 1] if place else (0.0, 0.0)
    return start + (bound - start) * ((rank - below) / (count - below))
