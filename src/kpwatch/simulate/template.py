"""A captured body, prepared: which of its lines move, and how they are written back in the same order.

Shared by all nodes that start from the same capture, so a node costs what it counts and no text. Families stand sorted
in a body, which gives a series that appears later its place.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import ConfigError
from kpwatch.exposition.text import family_of, parse
from kpwatch.model.gofloat import format_g
from kpwatch.simulate.bodies import capture, captures
from kpwatch.simulate.movement import bounds_of, group_key, movement, mover_for

if TYPE_CHECKING:
    from kpwatch.exposition.text import Parsed, Sample
    from kpwatch.simulate.bodies import Capture
    from kpwatch.simulate.movement import Appears, Moment, Mover, Read

Layout = tuple[bool, ...]
"""Which of the series that may appear are there."""


class _Line(NamedTuple):
    family: str
    text: str
    sample: Sample | None = None
    appears: Appears | None = None


class _Block(NamedTuple):
    """Samples that are computed together, as indices."""

    samples: tuple[int, ...]
    mover: Mover


class _Appearing(NamedTuple):
    """A sample that may be absent: its index, the comments it brings along, the quantity that brings it."""

    sample: int
    comments: str
    quantity: str


class Template:
    """One capture, ready to be moved."""

    def __init__(self, source: Capture) -> None:
        self.capture = source
        parsed = parse(source.metrics)
        lines = _with_appearing(source, _captured_lines(source, parsed))
        self.reads = {read.name: _read(read, parsed, source) for read in movement().reads}
        self._lines = [line.text for line in lines]
        self._line_of = [index for index, line in enumerate(lines) if line.sample or line.appears]
        self._heads = [_head(lines[index]) for index in self._line_of]
        self._values = [line.sample.value if line.sample else 0.0 for line in lines if line.sample or line.appears]
        self._appearing = [
            _Appearing(index, _comments(line, parsed), line.appears.value)
            for index, line in ((index, lines[at]) for index, at in enumerate(self._line_of))
            if line.appears
        ]
        self.bounds: dict[str, tuple[float, ...]] = {}
        self._blocks = self._make_blocks(lines)

    def _make_blocks(self, lines: list[_Line]) -> list[_Block]:
        indexed = [(index, lines[at]) for index, at in enumerate(self._line_of) if lines[at].sample]
        blocks = []
        for _, members in groupby(indexed, key=lambda member: group_key(member[1].family, _sample(member[1]))):
            indices, group_lines = zip(*members, strict=True)
            group = [_sample(line) for line in group_lines]
            found = mover_for(group_lines[0].family, group)
            if found is None:
                continue  # stands still
            row, mover = found
            if row.kind == "tally":
                self.bounds[row.value] = bounds_of(group)
            blocks.append(_Block(indices, mover))
        return blocks

    def layout(self, moment: Moment) -> Layout:
        """Which series are there at `moment`."""
        return tuple(moment.quantities[row.quantity] > 0 for row in self._appearing)

    def values(self, moment: Moment) -> list[float]:
        """The values of all samples there are at `moment`, in the order of their lines."""
        values = self._values.copy()
        for block in self._blocks:
            for index, value in zip(block.samples, block.mover(moment), strict=True):
                values[index] = value
        for row in reversed(self._appearing):
            values[row.sample] = moment.quantities[row.quantity]
            if not values[row.sample]:
                del values[row.sample]
        return values

    def render(self, moment: Moment) -> bytes:
        """The body at `moment`."""
        lines = self._lines.copy()
        for block in self._blocks:
            for index, value in zip(block.samples, block.mover(moment), strict=True):
                lines[self._line_of[index]] = f"{self._heads[index]} {format_g(value)}\n"
        for row in self._appearing:
            value = moment.quantities[row.quantity]
            if value:
                lines[self._line_of[row.sample]] = f"{row.comments}{self._heads[row.sample]} {format_g(value)}\n"
        return "".join(lines).encode()


@lru_cache(maxsize=64)
def template(name: str) -> Template:
    """The template of the capture `name`; raises ConfigError where there is none."""
    return Template(capture(name))


def _captured_lines(source: Capture, parsed: Parsed) -> list[_Line]:
    samples = {sample.line_number: sample for sample in parsed.samples}
    lines = []
    for number, text in enumerate(source.metrics.decode().splitlines(keepends=True), start=1):
        sample = samples.get(number)
        family = family_of(sample.name, parsed.types) if sample else text.split()[2]
        lines.append(_Line(family, text, sample))
    return lines


def _with_appearing(source: Capture, lines: list[_Line]) -> list[_Line]:
    lines = list(lines)
    heads = {_head(line) for line in lines if line.sample}
    for row in movement().appears:
        if source.minor < row.since or source.mode not in row.modes or row.family + row.labels in heads:
            continue  # not in this version or mode, or there from the start
        at = bisect_right([line.family for line in lines], row.family)
        lines.insert(at, _Line(row.family, "", appears=row))
    return lines


def _comments(line: _Line, parsed: Parsed) -> str:
    """HELP and TYPE of a family that the capture lacks, from the nearest capture that has it."""
    if line.family in parsed.types:
        return ""
    for other in captures().values():
        kept = [text for text in other.metrics.decode().splitlines(keepends=True) if _is_comment(text, line.family)]
        if kept:
            return "".join(kept)
    raise ConfigError(f"movement.toml: no capture in the package has the family {line.family}")


def _is_comment(text: str, family: str) -> bool:
    return text.startswith((f"# HELP {family} ", f"# TYPE {family} "))


def _sample(line: _Line) -> Sample:
    assert line.sample is not None
    return line.sample


def _head(line: _Line) -> str:
    if line.sample:
        return line.sample.head.decode()
    assert line.appears is not None
    return line.appears.family + line.appears.labels


def _read(read: Read, parsed: Parsed, source: Capture) -> float:
    for sample in parsed.samples:
        if sample.name == read.family and read.where.items() <= dict(sample.labels).items():
            return sample.value
    if read.default is None:
        raise ConfigError(f"capture {source.name}: no sample of {read.family} for {read.name!r}")
    return read.default
