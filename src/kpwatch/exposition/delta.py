"""A scrape is mostly the previous scrape: read only the lines that changed.

Of some 1,270 lines of a kube-proxy about 150 differ from one scrape to the next, nearly always only in their value, and
they stand together in a few of its 200 families. So `DeltaParser` takes a body as *pieces*, cut where a comment, and so
a family, begins, and knows by the `Plan` which of them ever changed: the others stand in long runs, each of which is
compared as a whole and never cut. Of the pieces that are cut out, those that differ from the body before are cut into
lines, only lines that differ are read, and of those only what stands behind the head, all of them at once. None of this
is done line by line in Python: a line that did not change costs no call.

Where a line that changed is more than `head blank number`, such lines are read one by one behind their heads. Any other
change (a line more or less, another head, a changed comment, an explicit timestamp, the time when a counter began)
takes the general path: the format's own parser reads the whole body. All paths give the same samples; a property test
holds them together. A sample's *slot* is its index in `samples` order; it means the same head until the next `Layout`.

What targets of one version have in common is held once (`Skeletons`), the plan included: what one of them shows to
change is cut out of the bodies of all.
"""

from __future__ import annotations

import zlib
from itertools import chain, compress, zip_longest
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

_cut_into_lines = methodcaller("split", b"\n")
_first_byte = itemgetter(0)


class Values(NamedTuple):
    """The layout is the previous one; these slots have new values."""

    slots: list[int]
    values: list[float]


class Layout(NamedTuple):
    """Everything was read anew; `parsed.samples` are the slots, first of each head only."""

    parsed: Parsed
    heads: tuple[bytes, ...]
    """Of the slots; the same object for all targets that serve the same."""
    lows: bytearray
    """Of each slot's value, as eight bytes, the lowest that ever changed, NEVER_CHANGED where none did.

    The same object for all targets that serve the same; who packs values notes it.
    """


class Plan:
    """Where a body is cut: the text that never changed, in runs between the pieces that did.

        body = runs[0] + piece + runs[1] + piece + ... + runs[-1]

    A plan never changes; `opened` gives the one that follows when more pieces turn out to change.
    """

    __slots__ = ("_changes", "_separator", "lines", "runs", "slots_of_piece")

    def __init__(
        self, separator: bytes, texts: Sequence[bytes], changes: bytes, slots_of_piece: Sequence[tuple[int, ...]]
    ) -> None:
        """`texts` are all pieces of a body, `changes` says by 1 which of them are cut out."""
        self._separator = separator
        self._changes = changes
        """For each piece of the body whether it is cut out."""
        stretches: list[list[bytes]] = [[]]
        """Of the runs, what stands between separators; b"" where a piece was cut out."""
        for text, is_cut in zip(texts, changes, strict=True):
            stretches[-1].append(b"" if is_cut else text)
            if is_cut:
                stretches.append([b""])
        self.runs = tuple(map(separator.join, stretches))
        self.slots_of_piece = tuple(compress(slots_of_piece, changes))
        """For each line of each piece that is cut out its slot, or _NO_SLOT."""
        self.lines = list(map(len, self.slots_of_piece))
        """Of each piece that is cut out, how many."""

    def cut(self, body: bytes, before: Sequence[bytes] = ()) -> list[bytes] | None:
        """The pieces that change; None where something else has.

        Those of the body `before` say where one probably ends: one that would not end there may have comments in it.
        """
        separator, find, is_there, end_of_body = self._separator, body.find, body.startswith, len(body)
        runs = self.runs
        if not is_there(runs[0]):
            return None
        position = len(runs[0])
        pieces = []
        for run, old in zip_longest(runs[1:], before, fillvalue=b""):
            end = position + len(old)
            if not old or not run or not is_there(run, end):
                end = find(separator, position)
                if end < 0:
                    end = end_of_body
                if not is_there(run, end):
                    return None
            pieces.append(body[position:end])
            position = end + len(run)
        return pieces if position == end_of_body else None

    def whole(self, pieces: Iterable[bytes]) -> bytes:
        """The body that has these pieces."""
        return self.runs[0] + b"".join(chain.from_iterable(zip(pieces, self.runs[1:], strict=True)))

    def opened(self, body: bytes, slots_of_piece: Sequence[tuple[int, ...]]) -> Plan | None:
        """The plan by which `body` can be cut too; None where it has more pieces, or less."""
        texts, wanted = self.whole([b""] * len(self.lines)).split(self._separator), body.split(self._separator)
        if len(texts) != len(wanted):
            return None
        changes = bytes(
            is_cut or text != other for text, other, is_cut in zip(texts, wanted, self._changes, strict=True)
        )
        return Plan(self._separator, texts, changes, slots_of_piece)


class Skeleton:
    """What does not change from scrape to scrape: which lines there are, and what the rest looked like."""

    __slots__ = ("__weakref__", "heads", "lows", "plan", "slots_of_piece", "types")

    def __init__(
        self,
        heads: tuple[bytes, ...],
        types: dict[str, str],
        slots_of_piece: tuple[tuple[int, ...], ...],
        plan: Plan,
    ) -> None:
        self.heads = heads
        """Of each slot."""
        self.lows = bytearray((NEVER_CHANGED,)) * len(heads)
        """See `Layout.lows`."""
        self.types = types
        """Of the families."""
        self.slots_of_piece = slots_of_piece
        """For each line of each piece its slot, or _NO_SLOT."""
        self.plan = plan
        """How bodies that are laid out like this are cut now; made anew where one shows more pieces to change."""

    def cut(self, body: bytes, before: Sequence[bytes] = ()) -> list[bytes] | None:
        """The pieces that change of a body, by a plan that is opened where it must be; None where that does not do.

        `before`: those of another body, by the plan as it is.
        """
        pieces = self.plan.cut(body, before)
        if pieces is None and before:
            pieces = self.plan.cut(body)
        if pieces is None:
            opened = self.plan.opened(body, self.slots_of_piece)
            if opened is not None:
                self.plan = opened
                pieces = opened.cut(body)
        return pieces


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


_NOTHING = Skeleton((), {}, (), Plan(b"\n", (), b"", ()))


class DeltaParser:
    """Reads one target's bodies one after the other."""

    def __init__(self, skeletons: Skeletons | None = None, *, honor_timestamps: bool = True) -> None:
        """`honor_timestamps`: else a body's own timestamps are read and forgotten."""
        self._skeletons = skeletons or Skeletons()
        self._honor_timestamps = honor_timestamps
        self._grammar = TEXT
        self._together = True
        """Whether lines may be read all at once: nothing stands behind their values."""
        self._skeleton = _NOTHING
        self._plan = _NOTHING.plan
        """By which the body before was cut."""
        self._pieces: list[bytes] | None = None
        """Of the body before, those that change; None where the next body is read anew."""
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
        if self._pieces is not None:
            changed = self._changed_values(body, self._pieces)
            if changed is not None:
                return changed
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
        self._pieces = None

    @property
    def _separator(self) -> bytes:
        """Where a body is cut into pieces, which then are whole lines but for this."""
        return b"\n# " if self._together else b"\n"

    def _changed_values(self, body: bytes, before: list[bytes]) -> Values | None:
        """Slots with new values; None where more than values may have changed. Keeps what was read then and only then.

        `before`: the pieces of the body before.
        """
        skeleton = self._skeleton
        pieces = skeleton.cut(body, before if skeleton.plan is self._plan else ())
        if pieces is None:
            return None
        plan = skeleton.plan
        if plan is not self._plan:  # more is cut out now, of this body or of another target's
            before = plan.cut(self._plan.whole(before)) or []
            self._plan, self._pieces = plan, before
        differs = list(map(ne, pieces, before))
        slots_of_piece = list(compress(plan.slots_of_piece, differs))
        new, old = (list(map(_cut_into_lines, compress(some, differs))) for some in (pieces, before))
        if list(map(len, new)) != list(compress(plan.lines, differs)):
            return None
        new_lines, old_lines = list(chain.from_iterable(new)), list(chain.from_iterable(old))
        line_differs = list(map(ne, new_lines, old_lines))
        slots = list(compress(chain.from_iterable(slots_of_piece), line_differs))
        if _NO_SLOT in slots:
            return None
        lines = list(compress(new_lines, line_differs))
        changed = self._read_together(slots, lines) if self._together else None
        if changed is None:
            changed = self._read_each(slots, lines, list(compress(old_lines, line_differs)))
        if changed is not None:
            self._pieces = pieces
        return changed

    def _read_together(self, slots: list[int], lines: list[bytes]) -> Values | None:
        """Values that stand one blank behind the heads of `lines`; None where anything else may stand there."""
        heads = list(map(self._skeleton.heads.__getitem__, slots))
        if not all(map(bytes.startswith, lines, heads)):
            return None
        texts = list(map(bytes.removeprefix, lines, heads))
        if self._wanted is not None:
            wanted = list(map(self._wanted.__getitem__, slots))
            slots, texts = list(compress(slots, wanted)), list(compress(texts, wanted))
        blanks = b" " * len(texts)
        if b"".join(texts).translate(None, _PLAIN_NUMBERS) != blanks:
            return None
        try:
            if bytes(map(_first_byte, texts)) != blanks:
                return None
            values = list(map(float, texts))
        except (IndexError, ValueError):
            return None
        if max(values, default=0.0) == inf or min(values, default=0.0) == -inf:
            return None  # too large a number; the parser says where
        return Values(slots, values)

    def _read_each(self, slots: list[int], lines: list[bytes], before: list[bytes]) -> Values | None:
        """Values behind the heads of `lines`; None where anything else has changed."""
        changed = Values([], [])
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
            changed.slots.append(slot)
            changed.values.append(value)
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
        plan = Plan(self._separator, pieces, bytes(len(pieces)), slots_of_piece)
        self._skeleton = self._skeletons.share(Skeleton(heads, parsed.types, slots_of_piece, plan))
        self._wanted = None
        self.errors = parsed.errors
        self._pieces = None if self.refuses else self._skeleton.cut(body)
        self._plan = self._skeleton.plan
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
