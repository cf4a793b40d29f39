"""How samples move: the rows of data/movement.toml, and what each kind of row computes.

A mover is a pure function of a `Moment` (all quantities of one proxy at one instant) to the values of a group: the
samples of one family whose labels differ at most in `le` and `quantile`. Counters never fall because quantities never
do; histograms stay consistent because a group is computed as a whole.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from kpwatch.simulate.noise import unit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kpwatch.exposition.text import Sample
    from kpwatch.simulate.syncloop import Tally

_GROUP_LABELS = frozenset({"le", "quantile"})


class Moment(NamedTuple):
    """One proxy at one instant."""

    seed: str
    quantities: Mapping[str, float]
    tallies: Mapping[str, Tally]
    fresh: bool = False
    """Whether the process is younger than its capture was: it has counted from 0."""
    bare: bool = False
    """Whether it got no EndpointSlices when it started, either."""


Mover: TypeAlias = "Callable[[Moment], Sequence[float]]"


@dataclass(frozen=True, slots=True)
class Row:
    """A [[row]]: see the head of the file for what the fields mean."""

    kind: str
    families: tuple[str, ...]
    where: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, float] = field(default_factory=dict)
    value: str = ""
    sum: str = ""
    every: str = ""
    group: str = ""
    relative: float = 0.0
    absolute: float = 0.0
    step: float = 0.0
    zero: str = ""

    def fits(self, family: str, labels: Mapping[str, str]) -> bool:
        """Whether this row is for a sample of `family` with `labels`."""
        return self.where.items() <= labels.items() and any(fnmatchcase(family, glob) for glob in self.families)


@dataclass(frozen=True, slots=True)
class Appears:
    """An [[appears]]: a counter or histogram that the capture lacks and that exists once `value` is above 0."""

    family: str
    value: str
    """A quantity, or the name of a tally where `kind` says so."""
    labels: Mapping[str, str]
    like: Mapping[str, str] = field(default_factory=dict)
    """Labels of a series of the family from which the others, and the buckets, are taken."""
    kind: str = "linear"
    modes: tuple[str, ...] = ("iptables", "nftables")
    since: int = 0
    """The first minor version that has it."""
    until: int = 999
    help: str = ""
    """Its HELP, where no capture in the package has the family; it is a counter then."""

    def fits(self, minor: int, mode: str) -> bool:
        """Whether 1.`minor` in `mode` has it."""
        return self.since <= minor <= self.until and mode in self.modes


@dataclass(frozen=True, slots=True)
class Absent:
    """An [[absent]]: series of the capture that are not there while the quantity `without` is 0."""

    families: tuple[str, ...]
    without: str
    where: Mapping[str, str] = field(default_factory=dict)
    since: int = 0
    until: int = 999

    def fits(self, family: str, labels: Mapping[str, str], minor: int) -> bool:
        """Whether this row is for a sample of `family` with `labels` in 1.`minor`."""
        return (
            self.since <= minor <= self.until
            and self.where.items() <= labels.items()
            and any(fnmatchcase(family, glob) for glob in self.families)
        )


@dataclass(frozen=True, slots=True)
class Read:
    """A [[read]]: the first captured sample of `family` with `where`."""

    name: str
    family: str
    where: Mapping[str, str] = field(default_factory=dict)
    default: float | None = None


class Movement(NamedTuple):
    """The whole file."""

    rows: tuple[Row, ...]
    appears: tuple[Appears, ...]
    absent: tuple[Absent, ...]
    reads: tuple[Read, ...]


@lru_cache(maxsize=1)
def movement() -> Movement:
    """The table in the package."""
    table = tomllib.loads(files("kpwatch.simulate").joinpath("data", "movement.toml").read_text("utf-8"))
    return Movement(
        rows=tuple(Row(**{**row, "families": tuple(row["families"])}) for row in table["row"]),
        appears=tuple(Appears(**row) for row in table["appears"]),
        absent=tuple(Absent(**{**row, "families": tuple(row["families"])}) for row in table["absent"]),
        reads=tuple(Read(**row) for row in table["read"]),
    )


def group_key(family: str, sample: Sample) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What the samples of one group have in common."""
    return family, tuple(pair for pair in sample.labels if pair[0] not in _GROUP_LABELS)


def mover_for(family: str, group: Sequence[Sample]) -> tuple[Row, Mover] | None:
    """The row that moves `group` and how; None = it stands still."""
    labels = dict(group[0].labels)
    row = next((row for row in movement().rows if row.fits(family, labels)), None)
    if row is None:
        return None
    mover = _KINDS[row.kind](row, group)
    return (row, mover) if mover is not None else None


def _still(_row: Row, _group: Sequence[Sample]) -> None:
    return None


def _gauge(row: Row, _group: Sequence[Sample]) -> Mover:
    return lambda moment: (moment.quantities[row.value],)


def _grown(row: Row, moment: Moment) -> float:
    quantities = moment.quantities
    return sum(quantities[name] * factor for name, factor in row.add.items())


def _cut(value: float, step: float) -> float:
    """`value` cut down to a multiple of `step`; 0 = only freed of the dust of adding floats."""
    return round(math.floor(value / step + 1e-9) * step, 9) if step else round(value, 12)


def _from_zero(row: Row, moment: Moment) -> bool:
    """Whether the capture's count is not this process's."""
    return (row.zero == "fresh" and moment.fresh) or (row.zero == "bare" and moment.bare)


def _linear(row: Row, group: Sequence[Sample]) -> Mover:
    captured = group[0].value
    return lambda moment: (_cut((0.0 if _from_zero(row, moment) else captured) + _grown(row, moment), row.step),)


def _shape(row: Row, group: Sequence[Sample]) -> Mover | None:
    count = group[-1].value
    if not count:
        return None
    shares = [sample.value / count if _is_bucket(sample) else None for sample in group]
    total = group[-2].value

    def move(moment: Moment) -> list[float]:
        more = math.floor(_grown(row, moment))
        more_total = moment.quantities[row.sum] if row.sum else round(total / count * more, 9)
        values = [
            sample.value if share is None else sample.value + math.floor(share * more)
            for sample, share in zip(group, shares, strict=True)
        ]
        values[-2:] = [total + more_total, count + more]
        return values

    return move


def _tally(row: Row, group: Sequence[Sample]) -> Mover | None:
    *buckets, total, count = (sample.value for sample in group)
    if not count:
        return None

    def move(moment: Moment) -> list[float]:
        tally = moment.tallies[row.value]
        cumulative = list(accumulate(tally.counts))
        if _from_zero(row, moment):
            return [*map(float, cumulative), tally.total, float(tally.count)]
        values = [base + more for base, more in zip(buckets, cumulative, strict=True)]
        values += [total + tally.total, count + cumulative[-1]]
        return values

    return move


def _wobble(row: Row, group: Sequence[Sample]) -> Mover:
    captured = group[0].value
    reach = row.absolute or captured * row.relative
    key = row.group or row.families[0]

    def move(moment: Moment) -> tuple[float]:
        epoch = int(moment.quantities[row.every])
        more = _grown(row, moment)
        if epoch:
            more += reach * (2 * unit(moment.seed, key, epoch) - 1)
        return (_cut(captured + more, row.step) if more else captured,)

    return move


def mover_of(row: Appears, bounds: int) -> Mover:
    """What moves the series of `row`; `bounds` = how many buckets it has, 0 = it is a counter."""
    if not bounds:
        return lambda moment: (moment.quantities[row.value],)
    zeros = [0.0] * bounds

    def move(moment: Moment) -> list[float]:
        tally = moment.tallies[row.value]
        return [*map(sum, zip(zeros, accumulate(tally.counts), strict=True)), tally.total, float(tally.count)]

    return move


_KINDS: dict[str, Callable[[Row, Sequence[Sample]], Mover | None]] = {
    "still": _still,
    "gauge": _gauge,
    "linear": _linear,
    "shape": _shape,
    "tally": _tally,
    "wobble": _wobble,
}


def _is_bucket(sample: Sample) -> bool:
    return sample.name.endswith("_bucket")


def bounds_of(group: Sequence[Sample]) -> tuple[float, ...]:
    """Upper bounds of a histogram group, +Inf left out."""
    return tuple(float(dict(sample.labels)["le"]) for sample in group if _is_bucket(sample))[:-1]
