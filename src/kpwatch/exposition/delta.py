"""A scrape is mostly the previous scrape: read only the lines that changed.

Of some 1,270 lines of a kube-proxy about 150 differ from one scrape to the next, and nearly always only in their
value. `DeltaParser` keeps the previous body as lines; a new body with the same number of lines is compared line by
line at C speed, and of the lines that differ only the value is read, as long as the head before it is the same. Any
other change (a line more or less, another head, a changed comment, an explicit timestamp, the time when a counter
began) takes the general path: the format's own parser reads the whole body.

Both paths give the same samples; a property test holds one against the other. A sample's *slot* is its index in
`samples` order; it means the same head until the next `Layout`.
"""

from __future__ import annotations

from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import BadInput
from kpwatch.exposition.formats import TEXT, grammar_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpwatch.exposition.formats import Format
    from kpwatch.exposition.text import LineError, Parsed, Sample

_NO_SLOT = -1


class Values(NamedTuple):
    """The layout is the previous one; these slots have new values."""

    changed: list[tuple[int, float]]


class Layout(NamedTuple):
    """Everything was read anew; `parsed.samples` are the slots, first of each head only."""

    parsed: Parsed


class DeltaParser:
    """Reads one target's bodies one after the other."""

    def __init__(self, *, honor_timestamps: bool = True) -> None:
        """`honor_timestamps`: else a body's own timestamps are read and forgotten."""
        self._honor_timestamps = honor_timestamps
        self._grammar = TEXT
        self._lines: list[bytes] = []
        self._slot_of_line: list[int] = []
        self._head_of_slot: list[bytes] = []
        self._left_out: frozenset[int] = frozenset()
        self.errors: list[LineError] = []
        """Lines of the latest body that do not count."""
        self.duplicates = 0
        """Lines of the latest body dropped because their head had come before in it."""
        self.exemplars = 0
        """Exemplars of the latest body, which are not kept."""

    def feed(self, body: bytes, body_format: Format = "text") -> Values | Layout:
        """What `body` says that the body before did not."""
        if body_format != self._grammar.format:
            self._grammar = grammar_of(body_format)
            self.forget()
        lines = body.split(b"\n")
        if len(lines) == len(self._lines):
            changed = self._changed_values(lines)
            if changed is not None:
                self._lines = lines
                return Values(changed)
        return self._read_all(body, lines)

    @property
    def refuses(self) -> bool:
        """Whether the latest body's broken lines cost it all its samples."""
        return bool(self.errors) and self._grammar.all_or_nothing

    @property
    def samples(self) -> int:
        """How many samples the latest body has."""
        return len(self._head_of_slot)

    def leave_out(self, slots: Iterable[int]) -> None:
        """Until the next `Layout`, values of these slots are of no interest: they are not even read."""
        self._left_out = frozenset(slots)

    def forget(self) -> None:
        """The next body is read anew: the scrape before it failed or its samples were not used."""
        self._lines = []

    def _changed_values(self, lines: list[bytes]) -> list[tuple[int, float]] | None:
        changed = []
        exemplars = 0
        read_rest, has_exemplars = self._grammar.read_rest, self._grammar.has_exemplars
        for index in compress(range(len(lines)), map(ne, lines, self._lines)):
            slot = self._slot_of_line[index]
            line = lines[index]
            if slot == _NO_SLOT or not line.startswith(self._head_of_slot[slot]):
                return None
            rest = line[len(self._head_of_slot[slot]) :]
            if rest[:1] not in (b" ", b"\t"):
                return None
            if has_exemplars:
                exemplars += (b"#" in rest) - (b"#" in self._lines[index][len(self._head_of_slot[slot]) :])
            if slot in self._left_out:
                continue  # its rule counts it, scrape by scrape
            try:
                value, timestamp_ms = read_rest(rest)
            except BadInput:
                return None  # the general path reports the line with its place
            if timestamp_ms is not None and self._honor_timestamps:
                return None
            changed.append((slot, value))
        self.exemplars += exemplars
        return changed

    def _read_all(self, body: bytes, lines: list[bytes]) -> Layout:
        parsed = self._grammar.parse(body)
        if not self._honor_timestamps:
            parsed = parsed._replace(samples=without_timestamps(parsed.samples))
        first_of_head = {sample.head: sample for sample in reversed(parsed.samples)}
        samples = [sample for sample in parsed.samples if first_of_head[sample.head] is sample]
        self._slot_of_line = [_NO_SLOT] * len(lines)
        for slot, sample in enumerate(samples):
            if sample.timestamp_ms is None and sample.line_number not in parsed.pinned:
                self._slot_of_line[sample.line_number - 1] = slot
        self._head_of_slot = [sample.head for sample in samples]
        self._left_out = frozenset()
        self.errors = parsed.errors
        self._lines = [] if self.refuses else lines
        self.exemplars = parsed.exemplars
        self.duplicates = len(parsed.samples) - len(samples)
        return Layout(parsed._replace(samples=samples))


def without_timestamps(samples: list[Sample]) -> list[Sample]:
    """The samples as of the scrape."""
    return [sample if sample.timestamp_ms is None else sample._replace(timestamp_ms=None) for sample in samples]
