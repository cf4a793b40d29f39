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
"""Which of the series that may be absent are there."""


@dataclass(slots=True)
class _Group:
    """Samples that are computed, and are there, together: all of a family whose labels differ at most in `le`."""

    heads: list[str]
    labels: dict[str, str]
    texts: list[str]
    """Lines as captured; "" = only there when moved."""
    values: list[float]
    mover: Mover | None = None
    presence: Presence | None = None


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
        self._commented: list[tuple[int, list[int]]] = []
        """(line of the comments, indices into _optional) of families that may be absent as a whole."""
        for name in sorted(families):
            self._append(families[name])

    def layout(self, moment: Moment) -> Layout:
        """Which series are there at `moment`."""
        return tuple([_is_there(one.group, moment) for one in self._optional])

    def values(self, moment: Moment) -> list[float]:
        """The values of all samples there are at `moment`, in the order of their lines."""
        values = self._values.copy()
        for one in self._moving:
            group = one.group
            assert group.mover is not None
            if group.presence is None or group.presence(moment):
                values[one.first_sample : one.first_sample + len(group.heads)] = group.mover(moment)
        for one in reversed(self._optional):
            if not _is_there(one.group, moment):
                del values[one.first_sample : one.first_sample + len(one.group.heads)]
        return values

    def render(self, moment: Moment) -> bytes:
        """The body at `moment`."""
        lines = self._lines.copy()
        for one in self._moving:
            group = one.group
            assert group.mover is not None
            if group.presence is None or group.presence(moment):
                for line, (head, value) in enumerate(zip(group.heads, group.mover(moment), strict=True)):
                    lines[one.first_line + line] = f"{head} {format_g(value)}\n"
        layout = self.layout(moment)
        for there, one in zip(layout, self._optional, strict=True):
            if not there:
                count = len(one.group.heads)
                lines[one.first_line : one.first_line + count] = [""] * count
        for comments, groups in self._commented:
            if not any(layout[index] for index in groups):
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
        group.presence = _presence(self._without(family, labels))
        return group

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
        absent = _presence(self._without(row.family, labels))
        if row.kind == "tally":
            self.bounds[row.value] = _bounds(heads)
            group.presence = lambda moment: moment.tallies[row.value].count > 0 and (not absent or absent(moment))
        else:
            group.presence = lambda moment: moment.quantities[row.value] > 0 and (not absent or absent(moment))
        keys = [tuple(other.labels.values()) for other in family.groups]
        family.groups.insert(bisect_right(keys, tuple(labels.values())), group)

    def _append(self, family: _Family) -> None:
        comments = len(self._lines)
        self._lines.append(family.comments)
        optional = []
        for group in family.groups:
            placed = _Moving(len(self._lines), len(self._values), group)
            self._lines += group.texts
            self._values += group.values
            if group.mover is not None:
                self._moving.append(placed)
            if group.presence is not None:
                optional.append(len(self._optional))
                self._optional.append(placed)
        if optional and len(optional) == len(family.groups):
            self._commented.append((comments, optional))


@lru_cache(maxsize=64)
def template(name: str) -> Template:
    """The template of the capture `name`; raises ConfigError where there is none."""
    return Template(capture(name))


def _is_there(group: _Group, moment: Moment) -> bool:
    return group.presence is None or group.presence(moment)


def _presence(without: Sequence[str]) -> Presence | None:
    if not without:
        return None
    if len(without) == 1:
        [name] = without
        return lambda moment: moment.quantities[name] != 0
    return lambda moment: all(moment.quantities[name] for name in without)


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
