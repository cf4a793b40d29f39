"""Requests that are known as they came, compressed. Pure.

Our agent's block of a target stands from scrape to scrape (remote_write/standing.py): all of its bytes stay but those
of values that move and of the one time. So a block that came some times with the same length is kept as a *form*: its
bytes with those blanked, and for each byte of a moving value and of a time where in the block it stands. Found again,
it is compared as it came, and nothing is decompressed:

    block  |header|literal: labels, value 1, time|copy|literal: .., value 2|copy|..
    form   |header|literal: labels, 0000000, 0000|copy|literal: .., 0000000|copy|..

Which bytes may differ is not guessed. What a block's elements are is decided by all bytes but those in literals, and
then each byte of the content is that of one place in a literal; which one, the library tells, when it decompresses the
block with the numbers of these places in them. A place is *open* where all that is made of it lies in the times, or is
one byte of one value: a value that moves is not what others are copied from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.recent import Recent
from kpwatch.model.frames import Frame
from kpwatch.receive.gather import Decoded
from kpwatch.receive.sample_form import TIME_TAG, six_byte_timestamp
from kpwatch.remote_write.snappy import decompress, promised_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kpwatch.model.encoded import Protocol
    from kpwatch.model.labels import Labels
    from kpwatch.receive.whole import Places, Whole

SHORTEST_BYTES = 1 << 8
"""A shorter block is decompressed in the time this takes."""
CAME_TIMES = 12
"""With one length, before it is looked at. While the agent learns, hardly two lengths in a row are the same."""
WORTH_USES = 32
"""To find out a form takes as long as it saves in so many requests."""
_CAME_TIMES_MAX = 1 << 10
_KEY_BYTES = 512
_KEY_LENGTHS_MAX = 64
_SEEN_BYTES = 300
_SHARE_OF_SEEN = 16
_ELEMENT_BYTES = tuple((2 + (tag >> 2), 2, 3, 5)[tag & 3] for tag in range(256))
_LONG_LITERAL = 60 << 2
"""From this tag on a literal's length is in the bytes behind the tag."""
_VALUE, _TIME = np.arange(8), np.arange(6)


class _Seen(NamedTuple):
    """The latest blocks of a target."""

    length: int
    times: int
    wanted: int
    """How often it has to come; more each time that it was not worth while."""


class Form:
    """A block with its open places blanked. See the module."""

    __slots__ = (
        "_blank",
        "_decoded",
        "_moving",
        "_open_at",
        "_stamps_at",
        "_stamps_like",
        "_values",
        "uses",
    )

    def __init__(self, block: bytes, length: int, places: Places, decoded: Decoded) -> None:
        """`block` is a good one with content of `length` bytes, `decoded` what it says at these places."""
        literal_places, numbers = _literals(block, length)
        of_values = numbers[places.values_at[:, None] + _VALUE]
        of_times = numbers[places.times_at[:, None] + _TIME]
        uses = np.bincount(numbers, minlength=len(literal_places))
        uses_in_times = np.bincount(of_times.ravel(), minlength=len(literal_places))
        series, byte = np.nonzero(uses[of_values] == 1)
        in_times_only = np.flatnonzero((uses_in_times == uses) & (uses_in_times > 0))
        self._moving = _small(places.valued[series] * len(_VALUE) + byte)
        self._open_at = _small(literal_places[np.concatenate((of_values[series, byte], in_times_only))])
        is_digit = np.zeros((len(literal_places), len(_TIME)), np.bool_)
        is_digit[of_times, _TIME] = True
        stamps, self._stamps_like = np.nonzero(is_digit)
        self._stamps_at = np.concatenate((literal_places[of_times[0]], literal_places[stamps]))
        blank = bytearray(block)
        np.frombuffer(blank, np.uint8)[self._open_at] = 0
        self._blank = bytes(blank)
        self._values = decoded.frames[0].values.copy()
        self._decoded = decoded._replace(frames=[decoded.frames[0]._replace(values=self._values)])
        self.uses = 0

    @property
    def first_open(self) -> int:
        """Up to there, all blocks of this form are equal."""
        return int(self._open_at.min())

    @property
    def size_bytes(self) -> int:
        """About what it costs in memory."""
        arrays = (self._moving, self._stamps_at, self._stamps_like, self._open_at, self._values)
        return 2000 + len(self._blank) + sum(one.nbytes for one in arrays)

    def read(self, block: bytes) -> Decoded | None:
        """What the block says; None where it has another form."""
        if len(block) != len(self._blank):
            return None
        content = bytearray(block)
        there = np.frombuffer(content, np.uint8)
        stamps = there[self._stamps_at]
        stamp = stamps[: len(_TIME)]
        open_at = self._open_at.astype(np.intp)
        moving = there[open_at[: len(self._moving)]]
        there[open_at] = 0
        if content != self._blank or stamps[len(_TIME) :].tobytes() != stamp[self._stamps_like].tobytes():
            return None
        timestamp_ms = six_byte_timestamp(TIME_TAG + stamp.tobytes(), 0)
        if timestamp_ms is None:
            return None
        values = self._values.copy()
        values.view(np.uint8)[self._moving.astype(np.intp)] = moving
        self.uses += 1
        (frame, *_), *counted = self._decoded
        return Decoded([Frame(frame.target, frame.layout, timestamp_ms, values)], *counted)


class Unopened:
    """The forms known so far, by how their blocks begin. One thread at a time."""

    def __init__(self, limit_bytes: int) -> None:
        seen_bytes = limit_bytes // _SHARE_OF_SEEN
        self._forms: Recent[tuple[Protocol, bytes], Form] = Recent(limit_bytes - seen_bytes, _weigh)
        self._seen: Recent[tuple[Protocol, Labels], _Seen] = Recent(seen_bytes, lambda *_: _SEEN_BYTES)
        self._key_lengths: dict[int, None] = {}

    def read(self, block: bytes, protocol: Protocol) -> Decoded | None:
        """What the block says, where its form is known."""
        for length in self._key_lengths:
            form = self._forms.get((protocol, block[:length]))
            if form is not None:
                return form.read(block)
        return None

    def note(self, block: bytes, protocol: Protocol, length: int, whole: Whole) -> None:
        """This block, with content of `length` bytes, was known from end to end when it was decompressed."""
        if len(block) < SHORTEST_BYTES:
            return
        key = (protocol, whole.decoded.frames[0].target)
        seen = self._seen.get(key) or _Seen(0, 0, CAME_TIMES)
        times = seen.times + 1 if seen.length == len(block) else 1
        if times < seen.wanted:
            self._seen.put(key, _Seen(len(block), times, seen.wanted))
            return
        worth = self._keep(protocol, block, Form(block, length, whole.places(), whole.decoded))
        wanted = CAME_TIMES if worth else min(2 * seen.wanted, _CAME_TIMES_MAX)
        self._seen.put(key, _Seen(len(block), 0, wanted))

    def _keep(self, protocol: Protocol, block: bytes, form: Form) -> bool:
        """Whether the one in whose place it stands was worth while."""
        length = min(form.first_open, _KEY_BYTES)
        if length not in self._key_lengths:
            if len(self._key_lengths) >= _KEY_LENGTHS_MAX:
                return False
            self._key_lengths[length] = None
        key = (protocol, block[:length])
        before = self._forms.get(key)
        self._forms.put(key, form)
        return before is None or before.uses >= WORTH_USES

    def forgotten(self) -> int:
        """How many forms were dropped for want of room."""
        return self._forms.forgotten


class _Literals(NamedTuple):
    """What a block's content is made of: the bytes of its literals, numbered."""

    places: NDArray[np.intp]
    """Where in the block each of them stands."""
    numbers: NDArray[np.uint16 | np.uint32]
    """(bytes of the content,) which of them each is."""


def _literals(block: bytes, length: int) -> _Literals:
    is_literal = np.zeros(len(block) + 1, np.int8)
    begins, ends = _literal_ranges(block)
    is_literal[begins] = 1
    is_literal[ends] -= 1
    places = np.flatnonzero(is_literal.cumsum(dtype=np.int8))
    number_bytes = 2 if len(places) <= 1 << 16 else 4
    marks = np.arange(len(places), dtype=f"<u{number_bytes}").view(np.uint8).reshape(-1, number_bytes)
    numbers = np.empty((length, number_bytes), np.uint8)
    marked = bytearray(block)
    there = np.frombuffer(marked, np.uint8)
    for digit in range(number_bytes):
        there[places] = marks[:, digit]
        numbers[:, digit] = np.frombuffer(decompress(bytes(marked), length), np.uint8)
    return _Literals(places, numbers.view(f"<u{number_bytes}").ravel())


def _small(places: NDArray[np.intp]) -> NDArray[np.uint16 | np.uint32]:
    """In as few bytes as they need."""
    return places.astype(np.uint16 if places.max(initial=0) < 1 << 16 else np.uint32)


def _literal_ranges(block: bytes) -> tuple[list[int], list[int]]:
    """Where in a good block each literal's bytes begin and end (for the elements see remote_write/snappy.py)."""
    begins, ends = [], []
    position, size_of = promised_length(block)[1], _ELEMENT_BYTES
    while position < len(block):
        tag = block[position]
        if tag & 3:
            position += size_of[tag]
            continue
        if tag < _LONG_LITERAL:
            begins.append(position + 1)
            position += size_of[tag]
        else:
            begin = position + 1 + (tag >> 2) - (_LONG_LITERAL >> 2) + 1
            begins.append(begin)
            position = begin + int.from_bytes(block[position + 1 : begin], "little") + 1
        ends.append(position)
    return begins, ends


def _weigh(key: tuple[Protocol, bytes], form: Form) -> int:
    return len(key[1]) + form.size_bytes
