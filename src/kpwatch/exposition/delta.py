"""A scrape is mostly the previous scrape: read only the lines that changed.

Of some 1,270 lines of a kube-proxy about 150 differ from one scrape to the next, nearly always only in their value, and
they stand together in a few of its 200 families. So `DeltaParser` keeps the previous body in *pieces*, cut where a
comment, and so a family, begins, and compares pieces; only those that differ are cut into lines, only lines that differ
are read, and of those only what stands behind the last blank, all of them at once. None of this is done line by line in
Python: a line that did not change costs no call.

Where a line that changed is more than `head blank number`, such lines are read one by one behind their heads. Any other
change (a line more or less, another head, a changed comment, an explicit timestamp, the time when a counter began)
takes the general path: the format's own parser reads the whole body. All paths give the same samples; a property test
holds them together. A sample's *slot* is its index in `samples` order; it means the same head until the next `Layout`.

What targets of one version have in common is held once: see `Skeletons`.
"""

from __future__ import annotations

import zlib
from itertools import chain, compress
from math import inf
from operator import itemgetter, methodcaller, ne
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from kpwatch.base.errors import BadInput
from kpwatch.base.named import NamedTuple
from kpwatch.exposition.formats import TEXT, grammar_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpwatch.exposition.formats import Format
    from kpwatch.exposition.text import LineError, Parsed, Sample

NEVER_CHANGED = 8
_NO_SLOT = -1
_PLAIN_NUMBERS = b"0123456789.eE+-"
"""What numbers are made of that need no second look; NaN, Inf and whatever else is read one by one."""

_count_line_ends = methodcaller("count", b"\n")
_cut_at_last_blank = methodcaller("rpartition", b" ")
_head, _value = itemgetter(0), itemgetter(2)


class Values(NamedTuple):
    """The layout is the previous one; these slots have new values."""

    changed: list[tuple[int, float]]


class Layout(NamedTuple):
    """Everything was read anew; `parsed.samples` are the slots, first of each head only."""

    parsed: Parsed
    heads: tuple[bytes, ...]
    """Of the slots; the same object for all targets that serve the same."""
    lows: bytearray
    """Of each slot's value, as eight bytes, the lowest that ever changed, NEVER_CHANGED where none did.

    The same object for all targets that serve the same; who packs values notes it.
    """


class Skeleton:
    """What does not change from scrape to scrape: which lines there are, and what the rest looked like."""

    __slots__ = ("__weakref__", "heads", "lows", "pieces", "slots_of_piece", "types")

    def __init__(
        self,
        heads: tuple[bytes, ...],
        types: dict[str, str],
        slots_of_piece: tuple[tuple[int, ...], ...],
        pieces: tuple[bytes, ...],
    ) -> None:
        self.heads = heads
        """Of each slot."""
        self.lows = bytearray((NEVER_CHANGED,)) * len(heads)
        """See `Layout.lows`."""
        self.types = types
        """Of the families."""
        self.slots_of_piece = slots_of_piece
        """For each line of each piece its slot, or _NO_SLOT."""
        self.pieces = pieces
        """Of the first body that was laid out like this."""

    def shared(self, pieces: list[bytes]) -> list[bytes]:
        """The pieces, those that are here as the very objects that are here."""
        return [here if here == piece else piece for here, piece in zip(self.pieces, pieces, strict=True)]


class Skeletons:
    """Skeletons in use: targets that serve the same lines share one, and with it the bytes that are the same."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[int, Skeleton] = WeakValueDictionary()

    def share(self, made: Skeleton) -> Skeleton:
        """One that is like `made`: somebody's, or `made` itself."""
        key = zlib.crc32(b"\n".join(made.heads))
        known = self._known.setdefault(key, made)
        alike = (known.heads, known.types, known.slots_of_piece) == (made.heads, made.types, made.slots_of_piece)
        return known if alike else made


_NOTHING = Skeleton((), {}, (), ())


class DeltaParser:
    """Reads one target's bodies one after the other."""

    def __init__(self, skeletons: Skeletons | None = None, *, honor_timestamps: bool = True) -> None:
        """`honor_timestamps`: else a body's own timestamps are read and forgotten."""
        self._skeletons = skeletons or Skeletons()
        self._honor_timestamps = honor_timestamps
        self._grammar = TEXT
        self._together = True
        """Whether lines may be read all at once: nothing stands behind their values."""
        self._pieces: list[bytes] = []
        self._skeleton = _NOTHING
        self._wanted: bytes | None = None
        """For each slot 1, or 0 where it is left out; None: all are wanted."""
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
        pieces = body.split(self._separator)
        if len(pieces) == len(self._pieces):
            changed = self._changed_values(pieces)
            if changed is not None:
                return Values(changed)
        return self._read_all(body)

    @property
    def refuses(self) -> bool:
        """Whether the latest body's broken lines cost it all its samples."""
        return bool(self.errors) and self._grammar.all_or_nothing

    @property
    def samples(self) -> int:
        """How many samples the latest body has."""
        return len(self._skeleton.heads)

    def leave_out(self, slots: Iterable[int]) -> None:
        """Until the next `Layout`, values of these slots are of no interest: they are not even read."""
        wanted = bytearray(b"\1" * self.samples)
        for slot in slots:
            wanted[slot] = 0
        self._wanted = bytes(wanted) if 0 in wanted else None

    def forget(self) -> None:
        """The next body is read anew: the scrape before it failed or its samples were not used."""
        self._pieces = []

    @property
    def _separator(self) -> bytes:
        """Where a body is cut into pieces, which then are whole lines but for this."""
        return b"\n# " if self._together else b"\n"

    def _changed_values(self, pieces: list[bytes]) -> list[tuple[int, float]] | None:
        """Slots with new values; None where more than values may have changed. Keeps `pieces` then and only then."""
        differs = list(map(ne, pieces, self._pieces))
        new, old = list(compress(pieces, differs)), list(compress(self._pieces, differs))
        slots_of_piece = list(compress(self._skeleton.slots_of_piece, differs))
        if list(map(_count_line_ends, new)) != [len(slots_of_line) - 1 for slots_of_line in slots_of_piece]:
            return None
        new_lines, old_lines = b"\n".join(new).split(b"\n"), b"\n".join(old).split(b"\n")
        line_differs = list(map(ne, new_lines, old_lines))
        slots = list(compress(chain.from_iterable(slots_of_piece), line_differs))
        if _NO_SLOT in slots:
            return None
        lines = list(compress(new_lines, line_differs))
        changed = self._read_together(slots, lines) if self._together else None
        if changed is None:
            changed = self._read_each(slots, lines, list(compress(old_lines, line_differs)))
        if changed is not None:
            for index in compress(range(len(pieces)), differs):  # the others stay the objects that are shared
                self._pieces[index] = pieces[index]
        return changed

    def _read_together(self, slots: list[int], lines: list[bytes]) -> list[tuple[int, float]] | None:
        """Values behind the last blank of `lines`; None where these may be anything else.

        What stands before that blank has to be the head; then what stands behind it, if it is a number, is the value.
        """
        cut = list(map(_cut_at_last_blank, lines))
        if list(map(_head, cut)) != list(map(self._skeleton.heads.__getitem__, slots)):
            return None
        if self._wanted is not None:
            wanted = list(map(self._wanted.__getitem__, slots))
            slots, cut = list(compress(slots, wanted)), list(compress(cut, wanted))
        texts = list(map(_value, cut))
        if b"".join(texts).translate(None, _PLAIN_NUMBERS):
            return None
        try:
            values = list(map(float, texts))
        except ValueError:
            return None
        if max(values, default=0.0) == inf or min(values, default=0.0) == -inf:
            return None  # too large a number; the parser says where
        return list(zip(slots, values, strict=True))

    def _read_each(self, slots: list[int], lines: list[bytes], before: list[bytes]) -> list[tuple[int, float]] | None:
        """Values behind the heads of `lines`; None where anything else has changed."""
        changed = []
        exemplars, timestamps = 0, False
        heads, read_rest, has_exemplars = self._skeleton.heads, self._grammar.read_rest, self._grammar.has_exemplars
        for slot, line, line_before in zip(slots, lines, before, strict=True):
            head = heads[slot]
            rest = line[len(head) :]
            if not line.startswith(head) or rest[:1] not in (b" ", b"\t"):
                return None
            if has_exemplars:
                exemplars += (b"#" in rest) - (b"#" in line_before[len(head) :])
            if self._wanted is not None and not self._wanted[slot]:
                continue  # its rule counts it, scrape by scrape
            try:
                value, timestamp_ms = read_rest(rest)
            except BadInput:
                return None  # the general path reports the line with its place
            timestamps = timestamps or timestamp_ms is not None
            if timestamps and (self._honor_timestamps or self._together):
                return None
            changed.append((slot, value))
        self.exemplars += exemplars
        return changed

    def _read_all(self, body: bytes) -> Layout:
        parsed = self._grammar.parse(body)
        has_timestamps = any(sample.timestamp_ms is not None for sample in parsed.samples)
        if has_timestamps and not self._honor_timestamps:
            parsed = parsed._replace(samples=without_timestamps(parsed.samples))
        first_of_head = {sample.head: sample for sample in reversed(parsed.samples)}
        samples = [sample for sample in parsed.samples if first_of_head[sample.head] is sample]
        heads = tuple(sample.head for sample in samples)
        forgets = has_timestamps and not self._honor_timestamps
        self._together = not (self._grammar.has_exemplars or forgets)
        slot_of_line = {
            sample.line_number: slot
            for slot, sample in enumerate(samples)
            if sample.timestamp_ms is None and sample.line_number not in parsed.pinned
        }
        pieces = body.split(self._separator)
        slots_of_piece = _slots_of_pieces(pieces, slot_of_line)
        self._skeleton = self._skeletons.share(Skeleton(heads, parsed.types, slots_of_piece, tuple(pieces)))
        self._wanted = None
        self.errors = parsed.errors
        self._pieces = [] if self.refuses else self._skeleton.shared(pieces)
        self.exemplars = parsed.exemplars
        self.duplicates = len(parsed.samples) - len(samples)
        skeleton = self._skeleton
        return Layout(parsed._replace(samples=samples, types=skeleton.types), skeleton.heads, skeleton.lows)


def _slots_of_pieces(pieces: Sequence[bytes], slot_of_line: dict[int, int]) -> tuple[tuple[int, ...], ...]:
    """For each line of each piece its slot."""
    slots = []
    number = 1
    for piece in pieces:
        following = number + piece.count(b"\n") + 1
        slots.append(tuple(slot_of_line.get(line, _NO_SLOT) for line in range(number, following)))
        number = following
    return tuple(slots)


def without_timestamps(samples: list[Sample]) -> list[Sample]:
    """The samples as of the scrape."""
    return [sample if sample.timestamp_ms is None else sample._replace(timestamp_ms=None) for sample in samples]
