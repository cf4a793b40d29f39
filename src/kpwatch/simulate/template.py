"""A captured body, prepared: which of its lines move, and how they are written back in the same order.

Shared by all nodes that start from the same capture, so a node costs what it counts and no text. Families stand sorted
in a body, and series in a family by the values of their labels, which gives a series that appears later its place. A
family of which no series is there leaves its comments out, too.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

from kpwatch.base.errors import ConfigError
from kpwatch.exposition.text import family_of, parse
from kpwatch.model.gofloat import format_g
from kpwatch.simulate.bodies import capture, captures
from kpwatch.simulate.movement import bounds_of, group_key, movement, mover_for, mover_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kpwatch.exposition.text import Parsed, Sample
    from kpwatch.simulate.bodies import Capture
    from kpwatch.simulate.movement import Appears, Moment, Mover, Read

    Presence: TypeAlias = Callable[[Moment], bool]

Layout = tuple[bool, ...]
"""Which of the conditions hold on which series that may be absent are there."""


@dataclass(slots=True)
class _Group:
    """Samples that are computed, and are there, together: all of a family whose labels differ at most in `le`."""

    heads: list[str]
    labels: dict[str, str]
    texts: list[str]
    """Lines as captured; "" = only there when moved."""
    values: list[float]
    mover: Mover | None = None
    condition: int = -1
    """Index of what it takes for the group to be there; -1 = it always is."""


@dataclass(slots=True)
class _Family:
    comments: str = ""
    groups: list[_Group] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Moving:
    """A group as the body knows it: its lines are `first_line` and on, its samples `first_sample` and on."""

    first_line: int
    first_sample: int
    group: _Group


class Template:
    """One capture, ready to be moved."""

    def __init__(self, source: Capture) -> None:
        self.capture = source
        parsed = parse(source.metrics)
        self.reads = {read.name: _read(read, parsed, source) for read in movement().reads}
        self._conditions: list[Presence] = []
        self._known_conditions: dict[tuple[str, ...], int] = {}
        self.bounds: dict[str, tuple[float, ...]] = {}
        """Tally -> upper bounds of its buckets."""
        families = self._captured(parsed)
        for row in movement().appears:
            if row.fits(source.minor, source.mode):
                self._add(row, families)
        self._lines: list[str] = []
        self._values: list[float] = []
        self._moving: list[_Moving] = []
        self._optional: list[_Moving] = []
        self._commented: list[tuple[int, set[int]]] = []
        """(line of the comments, conditions of the groups) of families that may be absent as a whole."""
        for name in sorted(families):
            self._append(families[name])

    def layout(self, moment: Moment) -> Layout:
        """Which series are there at `moment`."""
        return tuple([holds(moment) for holds in self._conditions])

    def values(self, moment: Moment) -> list[float]:
        """The values of all samples there are at `moment`, in the order of their lines."""
        layout = self.layout(moment)
        values = self._values.copy()
        for one in self._moving:
            group = one.group
            if group.condition < 0 or layout[group.condition]:
                assert group.mover is not None
                values[one.first_sample : one.first_sample + len(group.heads)] = group.mover(moment)
        for one in reversed(self._optional):
            if not layout[one.group.condition]:
                del values[one.first_sample : one.first_sample + len(one.group.heads)]
        return values

    def render(self, moment: Moment) -> bytes:
        """The body at `moment`."""
        layout = self.layout(moment)
        lines = self._lines.copy()
        for one in self._moving:
            group = one.group
            if group.condition < 0 or layout[group.condition]:
                assert group.mover is not None
                for line, (head, value) in enumerate(
                    zip(group.heads, group.mover(moment), strict=True), start=one.first_line
                ):
                    lines[line] = f"{head} {format_g(value)}\n"
        if all(layout):
            return "".join(lines).encode()
        for one in self._optional:
            if not layout[one.group.condition]:
                count = len(one.group.heads)
                lines[one.first_line : one.first_line + count] = [""] * count
        for comments, conditions in self._commented:
            if not any(layout[condition] for condition in conditions):
                lines[comments] = ""
        return "".join(lines).encode()

    def _captured(self, parsed: Parsed) -> dict[str, _Family]:
        families: dict[str, _Family] = {}
        texts = self.capture.metrics.decode().splitlines(keepends=True)
        commented = [text for text in texts if text.startswith("#")]
        for text in commented:
            families.setdefault(text.split()[2], _Family()).comments += text
        named = ((family_of(sample.name, parsed.types), sample) for sample in parsed.samples)
        for (family, _), members in groupby(named, key=lambda pair: group_key(pair[0], pair[1])):
            samples = [sample for _, sample in members]
            lines = [texts[sample.line_number - 1] for sample in samples]
            families[family].groups.append(self._prepare(family, samples, lines))
        return families

    def _prepare(self, family: str, samples: Sequence[Sample], texts: list[str]) -> _Group:
        labels = _plain_labels(samples[0])
        group = _Group([sample.head.decode() for sample in samples], labels, texts, [s.value for s in samples])
        found = mover_for(family, samples)
        if found is not None:
            row, group.mover = found
            if row.kind == "tally":
                self.bounds[row.value] = bounds_of(samples)
        group.condition = self._condition(self._without(family, labels))
        return group

    def _condition(self, quantities: Sequence[str], tally: str = "") -> int:
        """Index of the condition that none of the quantities is 0, and the tally, if one is named, not empty."""
        key = (*sorted(quantities), f"tally {tally}" if tally else "")
        if key == ("",):
            return -1
        if key not in self._known_conditions:
            self._known_conditions[key] = len(self._conditions)
            self._conditions.append(_presence(quantities, tally))
        return self._known_conditions[key]

    def _without(self, family: str, labels: Mapping[str, str]) -> list[str]:
        """The quantities without which the series is not there."""
        return [row.without for row in movement().absent if row.fits(family, labels, self.capture.minor)]

    def _add(self, row: Appears, families: dict[str, _Family]) -> None:
        """The series of `row`, unless the capture has it."""
        family = families.get(row.family)
        model = _model(row, family)
        labels = {**model.labels, **row.labels} if model else dict(row.labels)
        if family is not None and any(group.labels == labels for group in family.groups):
            return
        if row.like and model is None:
            return  # a version without that family
        if family is None:
            family = families[row.family] = _Family(_comments(row))
        heads = _renamed(model, row.labels) if model and row.kind == "tally" else [row.family + _written(labels)]
        bounds = len(heads) - 2 if row.kind == "tally" else 0
        group = _Group(heads, labels, [""] * len(heads), [0.0] * len(heads), mover_of(row, bounds))
        without = self._without(row.family, labels)
        if row.kind == "tally":
            self.bounds[row.value] = _bounds(heads)
            group.condition = self._condition(without, row.value)
        else:
            group.condition = self._condition([*without, row.value])
        keys = [tuple(other.labels.values()) for other in family.groups]
        family.groups.insert(bisect_right(keys, tuple(labels.values())), group)

    def _append(self, family: _Family) -> None:
        comments = len(self._lines)
        self._lines.append(family.comments)
        conditions = []
        for group in family.groups:
            placed = _Moving(len(self._lines), len(self._values), group)
            self._lines += group.texts
            self._values += group.values
            if group.mover is not None:
                self._moving.append(placed)
            if group.condition >= 0:
                conditions.append(group.condition)
                self._optional.append(placed)
        if conditions and len(conditions) == len(family.groups):
            self._commented.append((comments, set(conditions)))


@lru_cache(maxsize=64)
def template(name: str) -> Template:
    """The template of the capture `name`; raises ConfigError where there is none."""
    return Template(capture(name))


def _presence(quantities: Sequence[str], tally: str) -> Presence:
    if tally:
        return lambda moment: moment.tallies[tally].count > 0 and all(moment.quantities[name] for name in quantities)
    if len(quantities) == 1:
        [only] = quantities
        return lambda moment: moment.quantities[only] != 0
    return lambda moment: all(moment.quantities[name] for name in quantities)


def _plain_labels(sample: Sample) -> dict[str, str]:
    return {name: value for name, value in sample.labels if name not in ("le", "quantile")}


def _model(row: Appears, family: _Family | None) -> _Group | None:
    if family is None or not row.like:
        return None
    return next((group for group in family.groups if row.like.items() <= group.labels.items()), None)


def _renamed(model: _Group, labels: Mapping[str, str]) -> list[str]:
    """The heads of `model` with other values of `labels`."""
    heads = model.heads
    for name, value in labels.items():
        heads = [head.replace(f'{name}="{model.labels[name]}"', f'{name}="{value}"') for head in heads]
    return heads


def _written(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{{{inside}}}" if inside else ""


def _bounds(heads: Sequence[str]) -> tuple[float, ...]:
    return tuple(float(head.split('le="')[1].split('"')[0]) for head in heads[:-3])


def _comments(row: Appears) -> str:
    """HELP and TYPE of a family that the capture lacks, from the nearest capture that has it."""
    if row.help:
        return f"# HELP {row.family} {row.help}\n# TYPE {row.family} counter\n"
    heads = (f"# HELP {row.family} ", f"# TYPE {row.family} ")
    for other in captures().values():
        kept = [text for text in other.metrics.decode().splitlines(keepends=True) if text.startswith(heads)]
        if kept:
            return "".join(kept)
    raise ConfigError(f"movement.toml: no capture in the package has the family {row.family}, nor has it a help")


def _read(read: Read, parsed: Parsed, source: Capture) -> float:
    for sample in parsed.samples:
        if sample.name == read.family and read.where.items() <= dict(sample.labels).items():
            return sample.value
    if read.default is None:
        raise ConfigError(f"capture {source.name}: no sample of {read.family} for {read.name!r}")
    return read.default
