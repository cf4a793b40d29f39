"""What OpenMetrics 1.0 demands of lines that can be read: which stand together, in which order, with which values.

Rules are judged family by family, as the lines come: a family is what stands between two others. Each fault names the
line at which it shows. (github.com/prometheus/OpenMetrics, specification/OpenMetrics.md, "Metric Types" and "Text
format"; the project's own parser cases are the test.)
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple
from kpwatch.exposition.text import LineError, Pairs, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

TYPES: dict[str, tuple[str, ...]] = {
    "counter": ("_total", "_created"),
    "gauge": ("",),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "info": ("_info",),
    "stateset": ("",),
    "summary": ("", "_count", "_sum", "_created"),
    "unknown": ("",),
}
"""Type of a family -> what its samples' names have behind the family's."""

EXEMPLAR_CHARACTERS = 128

_UNITLESS = ("info", "stateset")
_WITH_EXEMPLARS = {("counter", "_total"), ("histogram", "_bucket"), ("gaugehistogram", "_bucket")}
_NUMBER_LABELS = {
    ("histogram", "_bucket"): "le",
    ("gaugehistogram", "_bucket"): "le",
    ("summary", ""): "quantile",
}


class Described(NamedTuple):
    """A line that says something of a family."""

    line_number: int
    keyword: str
    """TYPE, HELP or UNIT."""
    family: str
    text: str


class Exemplar(NamedTuple):
    """What was said behind a sample; its value is of no interest here."""

    labels: Pairs


class Measured(NamedTuple):
    """A line with a sample."""

    sample: Sample
    seconds: float | None
    """Its timestamp as written."""
    exemplar: Exemplar | None


def check(lines: Iterable[Described | Measured]) -> Iterator[LineError]:
    """Every fault, in the order in which reading the lines shows them."""
    taken: dict[str, tuple[str, str]] = {}
    family: _Family | None = None
    for line in lines:
        if family is None or not family.takes(line):
            if family is not None:
                yield from family.close(taken)
            family = _Family(line)
        yield from family.add(line)
    if family is not None:
        yield from family.close(taken)


def _fault(line_number: int, reason: str) -> LineError:
    return LineError(line_number, 1, reason, "")


def _number(text: str) -> float:
    """A number in a label; NaN where it is none."""
    try:
        return math.nan if "_" in text or not text.isascii() else float(text)
    except ValueError:
        return math.nan


class _Point(NamedTuple):
    """A histogram at one instant."""

    line_number: int
    buckets: list[tuple[float, float]]
    numbers: dict[str, float]
    """By suffix: count and sum."""


class _Family:
    """The lines of one family, from the first to the last that stand together."""

    def __init__(self, first: Described | Measured) -> None:
        self.name = first.family if isinstance(first, Described) else first.sample.name
        self._line_number = first.line_number if isinstance(first, Described) else first.sample.line_number
        self._texts: dict[str, str] = {}
        self._samples = 0
        self._groups: set[Pairs] = set()
        self._group: Pairs | None = None
        self._seconds: float | None = None
        self._series: set[tuple[str, Pairs]] = set()
        self._point: _Point | None = None

    @property
    def kind(self) -> str:
        return self._texts.get("TYPE", "unknown")

    def takes(self, line: Described | Measured) -> bool:
        """Whether a line belongs to this family."""
        if isinstance(line, Described):
            return line.family == self.name
        return line.sample.name in [self.name + suffix for suffix in TYPES[self.kind]]

    def add(self, line: Described | Measured) -> Iterator[LineError]:
        if isinstance(line, Described):
            if self._samples:
                yield _fault(line.line_number, f"{line.keyword} of {self.name} after its samples: it must stand before")
            if line.keyword in self._texts:
                yield _fault(line.line_number, f"a second {line.keyword} of {self.name}")
            self._texts[line.keyword] = line.text
            return
        self._samples += 1
        sample = line.sample
        suffix = sample.name[len(self.name) :]
        yield from self._check_exemplar(line, suffix)
        yield from self._check_labels(sample, suffix)
        yield from self._check_value(sample, suffix)
        yield from self._check_order(line, suffix)
        if self.kind in ("histogram", "gaugehistogram"):
            self._add_to_point(sample, suffix)

    def close(self, taken: dict[str, tuple[str, str]]) -> Iterator[LineError]:
        """Faults of the family as a whole; `taken` gets its names, each with family and type."""
        yield from self._close_point()
        unit = self._texts.get("UNIT", "")
        if unit and not self.name.endswith("_" + unit):
            yield _fault(self._line_number, f"the unit {unit!r} of {self.name} is not the end of its name, _{unit}")
        if unit and self.kind in _UNITLESS:
            yield _fault(self._line_number, f"{self.name} has a unit, which type {self.kind} cannot have")
        names = {self.name, *(self.name + suffix for suffix in TYPES[self.kind])}
        for name in sorted(names & taken.keys())[:1]:
            yield _fault(self._line_number, self._clash(name, *taken[name]))
        taken |= dict.fromkeys(names, (self.name, self.kind))

    def _clash(self, name: str, owner: str, kind: str) -> str:
        if self._texts:
            rule = "a family's lines must stand together" if owner == self.name else "two families share the name"
            return f"{name} was there before, in the family {owner}: {rule}"
        own = ", ".join(owner + suffix for suffix in TYPES[kind])
        return f"{name} after the family {owner} of type {kind}: its samples are {own}, all together"

    def _check_exemplar(self, line: Measured, suffix: str) -> Iterator[LineError]:
        if line.exemplar is None:
            return
        where = line.sample.line_number
        if (self.kind, suffix) not in _WITH_EXEMPLARS:
            yield _fault(where, f"an exemplar on {line.sample.name}: only a counter's _total and buckets may have one")
        characters = sum(len(name) + len(value) for name, value in line.exemplar.labels)
        if characters > EXEMPLAR_CHARACTERS:
            yield _fault(
                where, f"the exemplar's labels have {characters} characters, allowed are {EXEMPLAR_CHARACTERS}"
            )

    def _check_labels(self, sample: Sample, suffix: str) -> Iterator[LineError]:
        labels = dict(sample.labels)
        label = self.name if self.kind == "stateset" else _NUMBER_LABELS.get((self.kind, suffix), "")
        if not label:
            return
        if label not in labels:
            yield _fault(sample.line_number, f"{sample.name} of type {self.kind} without the label {label}")
            return
        number = _number(labels[label])
        if label == "le" and (math.isnan(number) or (math.isinf(number) and labels[label] != "+Inf")):
            yield _fault(sample.line_number, f'le="{labels[label]}": expected a number or +Inf')
        if label == "quantile" and not 0 <= number <= 1:
            yield _fault(sample.line_number, f'quantile="{labels[label]}": expected a number from 0 to 1')

    def _check_value(self, sample: Sample, suffix: str) -> Iterator[LineError]:
        for concerned, fits, rule in _VALUE_RULES:
            if (self.kind, suffix) in concerned and not fits(sample.value):
                yield _fault(sample.line_number, f"{sample.name} of type {self.kind} is {sample.value:g}: {rule}")

    def _check_order(self, line: Measured, suffix: str) -> Iterator[LineError]:
        sample = line.sample
        left_out = self.name if self.kind == "stateset" else _NUMBER_LABELS.get((self.kind, suffix), "")
        group = tuple(sorted(pair for pair in sample.labels if pair[0] != left_out))
        series = (sample.name, tuple(sorted(sample.labels)))
        if group != self._group:
            yield from self._close_point()
            if group in self._groups:
                yield _fault(sample.line_number, f"{sample.name}: samples with the same labels must stand together")
            self._groups.add(group)
        elif (line.seconds is None) != (self._seconds is None):
            yield _fault(
                sample.line_number, f"{sample.name}: of one metric either all samples have a timestamp or none"
            )
        elif line.seconds is not None and self._seconds is not None and line.seconds != self._seconds:
            if line.seconds < self._seconds:
                yield _fault(sample.line_number, f"{sample.name}: the timestamp is before the one above")
            yield from self._close_point()
        if line.seconds is None and series in self._series:
            yield _fault(sample.line_number, f"{sample.name}: the same series twice, without timestamps")
        self._series.add(series)
        self._group, self._seconds = group, line.seconds

    def _add_to_point(self, sample: Sample, suffix: str) -> None:
        if self._point is None:
            self._point = _Point(sample.line_number, [], {})
        if suffix == "_bucket":
            self._point.buckets.append((_number(dict(sample.labels).get("le", "")), sample.value))
        elif suffix != "_created":
            self._point.numbers[suffix] = sample.value

    def _close_point(self) -> Iterator[LineError]:
        point, self._point = self._point, None
        if point is None:
            return
        for reason in _histogram_faults(point, "_g" if self.kind == "gaugehistogram" else "_"):
            yield _fault(point.line_number, f"{self.kind} {self.name}: {reason}")


def _histogram_faults(point: _Point, prefix: str) -> Iterator[str]:
    bounds = [bound for bound, _ in point.buckets]
    counts = [count for _, count in point.buckets]
    total, count = point.numbers.get(f"{prefix}sum"), point.numbers.get(f"{prefix}count")
    negative = any(bound < 0 for bound in bounds)
    if not bounds or bounds[-1] != math.inf:
        yield 'its last bucket is not le="+Inf"'
    elif count is not None and count != counts[-1]:
        yield f'{prefix}count is {count:g}, the bucket le="+Inf" {counts[-1]:g}'
    if any(second <= first for first, second in pairwise(bounds)):
        yield "its buckets are not in the order of le"
    if any(second < first for first, second in pairwise(counts)):
        yield "a bucket is smaller than the one before"
    if (total is None) != (count is None):
        yield f"{prefix}sum and {prefix}count must stand both or not at all"
    if negative and total is not None and prefix == "_":
        yield "it has a negative bucket, so it cannot have a _sum"
    if not negative and total is not None and total < 0:
        yield f"{prefix}sum is negative, no bucket is"


def _is_whole(value: float) -> bool:
    return value >= 0 and float(value).is_integer()


_VALUE_RULES: tuple[tuple[set[tuple[str, str]], Callable[[float], bool], str], ...] = (
    (
        {("counter", "_total"), ("histogram", "_sum"), ("summary", "_sum")},
        lambda value: value >= 0,
        "expected 0 or more",
    ),
    (
        {
            ("histogram", "_bucket"),
            ("histogram", "_count"),
            ("gaugehistogram", "_bucket"),
            ("gaugehistogram", "_gcount"),
            ("summary", "_count"),
        },
        _is_whole,
        "expected a whole number, 0 or more",
    ),
    ({("gaugehistogram", "_gsum")}, lambda value: not math.isnan(value), "expected a number"),
    ({("summary", "")}, lambda value: not value < 0, "expected 0 or more, or NaN"),
    ({("info", "_info")}, lambda value: value == 1, "expected 1"),
    ({("stateset", "")}, lambda value: value in (0, 1), "expected 0 or 1"),
)
"""(type, suffix) concerned, what fits, the rule in words."""
