"""Classic histograms: quantiles and fractions from cumulative bucket counters.

Series that agree in all labels but `le` are one histogram. All histograms with the same bounds are computed together:
their counts form an array (buckets, histograms x steps) and every rule is a few numpy operations along its first axis.
Rules: promql/quantile.go of Prometheus (BucketQuantile, BucketFraction, ensureMonotonicAndIgnoreSmallDeltas).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.model.gofloat import format_g
from kpwatch.model.labels import label_value, metric_name
from kpwatch.promql.remembered import remembered
from kpwatch.promql.values import Floats, Grid, Integers, Mask, all_true, stack, trues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.promql.notes import Notes

BOUND_LABEL = "le"
CELLS_AT_ONCE = 1 << 18
"""Histograms are computed in portions of so many counts: 2 MB, which stays in the processor's cache."""
BUCKETS_KEPT = 1 << 14
"""Of so many label sets it is remembered which bucket they are: dashboards ask the same again."""
SAME_COUNT = 1e-12
"""Neighbouring counts that differ by less, relative to their sum, are the same count with rounding errors."""
MONOTONICITY_FIXED = (
    "input to histogram_quantile needed to be fixed for monotonicity "
    "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)

_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf(?:inity)?)", re.IGNORECASE)


class Family(NamedTuple):
    """Histograms with the same bounds: `rows[i, j]` is the grid's row with bucket i of histogram j."""

    bounds: Floats
    labels: Sequence[Labels]
    rows: Integers
    starts: Integers | None
    """Where each bound comes first; None where each comes but once (`le="1"` beside `le="1.0"` are one bucket)."""


class Portion(NamedTuple):
    """Columns to compute together: column c is histogram columns[c] // steps at step columns[c] % steps."""

    bounds: Floats
    counts: Floats
    columns: Integers
    labels: Sequence[Labels]


class Repair(NamedTuple):
    """Which columns had a count that fell, between which bounds, and the largest fall."""

    columns: Integers
    lowest_bound: float
    highest_bound: float
    largest: float


def histogram_quantile(q: Floats, grid: Grid, times_ms: Integers, notes: Notes, places: Sequence[str] = ()) -> Grid:
    """The q-quantile (q has shape (steps,)) of every histogram; names are dropped."""
    inside = _within_bounds(q)
    if not all_true(inside):
        wrong = float(q[~inside][0])
        notes.warn(f"quantile value should be between 0 and 1, got {format_g(wrong)}", places, 1)
    if not grid.labels:
        return grid
    repairs: dict[str, list[tuple[Repair, Integers]]] = {}

    def evaluate(portion: Portion) -> Floats:
        steps = portion.columns % len(q)
        values, repair = bucket_quantile(q[steps], portion.bounds, portion.counts)
        if repair is not None:
            histograms = portion.columns[repair.columns] // len(q)
            names = np.asarray([metric_name(labels) for labels in portion.labels], object)[histograms]
            for name in dict.fromkeys(names.tolist()):
                repairs.setdefault(name, []).append((repair, steps[repair.columns][names == name]))
        return values

    answer = _each_family(grid, notes, places[2:3], evaluate)
    for name, found in repairs.items():
        notes.info(_repair_text(name, found, times_ms), places, 2)
    return answer


def _repair_text(name: str, found: list[tuple[Repair, Integers]], times_ms: Integers) -> str:
    lowest = format_g(min(repair.lowest_bound for repair, _ in found))
    highest = format_g(max(repair.highest_bound for repair, _ in found))
    largest = max(repair.largest for repair, _ in found)
    steps = np.concatenate([steps for _, steps in found])
    first, last = (
        datetime.fromtimestamp(int(times_ms[step]) // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for step in (steps.min(), steps.max())
    )
    of_metric = f' for metric name "{name}"' if name else ""
    return (
        f"{MONOTONICITY_FIXED}{of_metric}, from buckets {lowest} to {highest}, with a max diff of {largest:.2g}, "
        f"over {len(steps)} samples from {first} to {last}"
    )


def histogram_fraction(lower: Floats, upper: Floats, grid: Grid, notes: Notes, places: Sequence[str] = ()) -> Grid:
    """The part of all observations between `lower` and `upper` (shape (steps,)); names are dropped."""

    def evaluate(portion: Portion) -> Floats:
        steps = portion.columns % len(lower)
        return bucket_fraction(lower[steps], upper[steps], portion.bounds, portion.counts)

    return _each_family(grid, notes, places[3:4], evaluate)


def _each_family(grid: Grid, notes: Notes, place: Sequence[str], evaluate: Callable[[Portion], Floats]) -> Grid:
    steps = grid.values.shape[1]
    answers = []
    is_complete = all_true(grid.present)
    for family in _families(grid, notes, place):
        at_once = max(1, CELLS_AT_ONCE // (len(family.bounds) * max(1, steps)))
        for first in range(0, len(family.labels), at_once):
            rows, labels = family.rows[:, first : first + at_once], family.labels[first : first + at_once]
            shape = (len(family.bounds), len(labels) * steps)
            bounds, counts = family.bounds, grid.values[rows].reshape(shape)
            present = None if is_complete else grid.present[rows].reshape(shape)
            if family.starts is not None:
                bounds, counts, present = _coalesced(bounds, counts, present, family.starts)
            portion = Portion(bounds, counts, np.arange(shape[1]), labels)
            if present is None:
                values, some = evaluate(portion), trues(shape[1])
            else:
                values, some = _by_presence(portion, present, evaluate), np.logical_or.reduce(present)
            answers.append(Grid(labels, values.reshape(-1, steps), some.reshape(-1, steps), trues(len(labels))))
    return stack(answers, steps)


def _families(grid: Grid, notes: Notes, place: Sequence[str]) -> Sequence[Family]:
    families, strangers = _sorted_out(grid.labels)
    for labels in strangers:
        name = metric_name(labels)
        suffix = f' for metric name "{name}"' if name else ""
        text = label_value(labels, BOUND_LABEL)
        notes.warn(f'bucket label "le" is missing or has a malformed value of "{text}"{suffix}', place)
    return families


@remembered
def _sorted_out(buckets_labels: Sequence[Labels]) -> tuple[Sequence[Family], Sequence[Labels]]:
    """Histograms with the same bounds together, and what is no bucket."""
    histograms: dict[Labels, list[tuple[float, int]]] = {}
    strangers = []
    for row, labels in enumerate(buckets_labels):
        key, bound = _bucket_of(labels)
        if bound is None:
            strangers.append(labels)
            continue
        histograms.setdefault(key, []).append((bound, row))
    by_bounds: dict[tuple[float, ...], list[tuple[Labels, list[int]]]] = {}
    for key, buckets in histograms.items():
        buckets.sort()
        bounds = tuple(bound for bound, _ in buckets)
        by_bounds.setdefault(bounds, []).append((key, [row for _, row in buckets]))
    families = [
        Family(
            np.asarray(bounds),
            tuple(key for key, _ in members),
            np.asarray([member_rows for _, member_rows in members]).T,
            _starts(bounds),
        )
        for bounds, members in by_bounds.items()
    ]
    return families, strangers


def _starts(bounds: tuple[float, ...]) -> Integers | None:
    starts = [place for place, bound in enumerate(bounds) if not place or bound != bounds[place - 1]]
    return np.asarray(starts) if len(starts) < len(bounds) else None


@lru_cache(maxsize=BUCKETS_KEPT)
def _bucket_of(labels: Labels) -> tuple[Labels, float | None]:
    """The labels of a bucket's histogram, and its bound, None where it is no number."""
    text = label_value(labels, BOUND_LABEL)
    bound = None if _FLOAT.fullmatch(text) is None else float(text)
    return tuple(pair for pair in labels if pair[0] != BOUND_LABEL), bound


def _coalesced(
    bounds: Floats, counts: Floats, present: Mask | None, starts: Integers
) -> tuple[Floats, Floats, Mask | None]:
    """Buckets with the same bound are one bucket: their counts are added; `present`: None = all are."""
    if present is None:
        return bounds[starts], np.add.reduceat(counts, starts, axis=0), None
    together = np.add.reduceat(np.where(present, counts, 0.0), starts, axis=0)
    return bounds[starts], together, np.logical_or.reduceat(present, starts, axis=0)


def _by_presence(portion: Portion, present: Mask, evaluate: Callable[[Portion], Floats]) -> Floats:
    """Evaluate every column with the buckets it has; columns with the same buckets together."""
    if present.all():
        return evaluate(portion)
    result = np.full(present.shape[1], np.nan)
    for members, here in _columns_by_presence(present):
        counts = portion.counts[:, members] if here.all() else portion.counts[np.ix_(here, members)]
        result[members] = evaluate(Portion(portion.bounds[here], counts, portion.columns[members], portion.labels))
    return result


def _columns_by_presence(present: Mask) -> Iterator[tuple[Integers, Mask]]:
    """Columns and the buckets they have; where there is nothing, there is no column."""
    if (present == present[0]).all():  # nearly always: buckets come and go together
        if present[0].any():
            yield np.flatnonzero(present[0]), np.ones(len(present), np.bool_)
        return
    patterns, pattern_of = np.unique(np.packbits(present, axis=0), axis=1, return_inverse=True)
    for pattern in range(patterns.shape[1]):
        members = np.flatnonzero(pattern_of.ravel() == pattern)
        here = present[:, members[0]]
        if here.any():
            yield members, here


def bucket_quantile(q: Floats, bounds: Floats, counts: Floats) -> tuple[Floats, Repair | None]:
    """Quantiles of columns of cumulative counts (buckets, columns), q (columns,); what had to be repaired.

    Linear within a bucket; the lowest starts at 0 if its bound is positive; the highest must be +Inf and stands for
    its lower bound.
    """
    inside = _within_bounds(q)
    if all_true(inside):
        return _quantile(q, bounds, counts, inside)
    outside = np.where(np.isnan(q), np.nan, np.where(q < 0, -np.inf, np.inf))
    values, repair = _quantile(np.where(inside, q, 0.0), bounds, counts, inside)
    return np.where(inside, values, outside), repair


def _within_bounds(q: Floats) -> Mask:
    inside: Mask = (q >= 0) & (q <= 1)
    return inside


def _quantile(q: Floats, bounds: Floats, counts: Floats, wanted: Mask) -> tuple[Floats, Repair | None]:
    if len(bounds) < 2 or bounds[-1] != np.inf:
        return np.full(len(q), np.nan), None
    counts, repair = _monotonic(bounds, counts, wanted)
    rank = q * counts[-1]
    bucket = len(bounds) - 1 - _count_true(counts[:-1] >= rank)
    below = np.maximum(bucket - 1, 0)
    is_first = bucket == 0
    width = counts.shape[1]
    columns = np.arange(width)
    start = np.where(is_first, 0.0, bounds[below])
    count_below = np.where(is_first, 0.0, counts.take(below * width + columns))
    count = counts.take(bucket * width + columns) - count_below
    value = start + (bounds[bucket] - start) * ((rank - count_below) / count)
    if bounds[0] <= 0:
        value = np.where(is_first, bounds[0], value)
    value = np.where(bucket == len(bounds) - 1, bounds[-2], value)
    value = np.where(counts[-1] == 0, np.nan, value)
    return value, repair


def _count_true(flags: Mask) -> Integers:
    """How many are true in each column; as bytes where they can hold it, which is several times as fast."""
    narrow = np.uint8 if len(flags) < 256 else np.intp
    counts: Integers = np.add.reduce(flags.view(np.uint8), axis=0, dtype=narrow).astype(np.intp)
    return counts


def _monotonic(bounds: Floats, counts: Floats, wanted: Mask) -> tuple[Floats, Repair | None]:
    """Counts that never fall from bucket to bucket, and what fell by more than rounding; only the wanted columns."""
    rises = counts[1:] - counts[:-1]
    # More than a rounding error of the larger of two counts is more than one of their sum.
    is_odd = ~(rises > 2 * SAME_COUNT * counts[1:]) & (rises != 0)
    if not is_odd.any():
        return counts, None
    dirty = np.flatnonzero(wanted & is_odd.any(axis=0))
    if not len(dirty):
        return counts, None
    fixed = counts[:, dirty]
    falls = np.zeros(fixed.shape)
    for bucket in range(1, len(fixed)):
        before, here = fixed[bucket - 1], fixed[bucket]
        same = _same_count(before, here)
        falls[bucket] = np.where(~same & (here < before), before - here, 0.0)
        fixed[bucket] = np.where(same | (here < before), before, here)
    counts = counts.copy()
    counts[:, dirty] = fixed
    fell = falls > 0
    if not fell.any():
        return counts, None
    fallen_bounds = bounds[fell.any(axis=1)]
    repair = Repair(dirty[fell.any(axis=0)], float(fallen_bounds[0]), float(fallen_bounds[-1]), float(falls.max()))
    return counts, repair


def _same_count(left: Floats, right: Floats) -> Mask:
    """Equal but for rounding (util/almost of Prometheus); a zero is equal only to what is as good as zero."""
    size = np.abs(left) + np.abs(right)
    difference = np.abs(left - right)
    tiny = np.finfo(np.float64).tiny
    with_zero = (left == 0) | (right == 0) | (size < tiny)
    close = np.where(with_zero, difference < SAME_COUNT * tiny, difference < SAME_COUNT * size)
    same: Mask = (left == right) | close
    return same


def bucket_fraction(lower: Floats, upper: Floats, bounds: Floats, counts: Floats) -> Floats:
    """Part of the observations between lower and upper (columns,) from cumulative counts (buckets, columns)."""
    total = counts[-1]
    if bounds[-1] != np.inf:
        return np.full(len(total), np.nan)
    between = _rank_of(upper, bounds, counts) - _rank_of(lower, bounds, counts)
    fraction = np.where(lower >= upper, 0.0, between / total)
    undefined = (total == 0) | np.isnan(lower) | np.isnan(upper)
    return np.where(undefined, np.nan, fraction)


def _rank_of(value: Floats, bounds: Floats, counts: Floats) -> Floats:
    """How many observations are below `value`; buckets without an end are not divided."""
    lowest = 0.0 if bounds[0] > 0 else -np.inf
    bucket = np.minimum(np.searchsorted(bounds, value, side="left"), len(bounds) - 1)
    below = np.maximum(bucket - 1, 0)
    start = np.where(bucket == 0, lowest, bounds[below])
    end = bounds[bucket]
    here = np.take_along_axis(counts, bucket[None], axis=0)[0]
    before = np.where(bucket == 0, 0.0, np.take_along_axis(counts, below[None], axis=0)[0])
    inside = before + (here - before) * (value - start) / (end - start)
    rank = np.where(np.isinf(start), here, np.where(np.isinf(end), before, inside))
    rank = np.where(value == end, here, rank)
    return np.where(value <= lowest, 0.0, rank)
