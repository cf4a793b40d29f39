"""A snappy block that stands from scrape to scrape: values and the one timestamp are written where they lie in it.

From scrape to scrape a target's series differ in nothing but some values and the timestamp they all share. So they are
compressed once, and of what repeats (`repeats`) only such copies are used as hold whatever the values become: a copy
may lead from bytes that never change to bytes that never change, and from a timestamp to the same place of another, but
to no byte that is *open*. An open byte is a literal; its place in the block is known, and a scrape writes it there.
Nothing is joined or compressed, and the block is all that is kept of a series: 23 bytes where its part is 190.

Of most values no byte is open: they never change. What does change is learnt in LEARNING_SCRAPES, in which every scrape
is cut out of its block, joined and compressed anew; a value that changes for the first time later makes them begin
again. It is open from the lowest byte that it needed (a counter of whole numbers needs few) and one below it. `lows` is
what is known of that; targets that serve the same share it, so that each learns from all.
"""

from __future__ import annotations

import struct
import sys
from array import array
from functools import lru_cache
from itertools import accumulate, compress
from operator import ne
from typing import TYPE_CHECKING
from zlib import crc32

from kpwatch.remote_write import snappy
from kpwatch.remote_write.repeats import repeats
from kpwatch.remote_write.v1 import TAIL_BYTES, VALUE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CLOSED = VALUE_BYTES
"""The low of a value of which no byte is open."""

LEARNING_SCRAPES = 4
"""Of a real kube-proxy's 860 series some 280 ever change, most of them within so many scrapes."""

_SHUT = tuple(b"\xff" * low + bytes(VALUE_BYTES - low) for low in range(CLOSED + 1))
"""By low: the bits of a value that are not open, and so have to be zero."""
_pack_noise = struct.Struct("<II").pack
_STAND_IN = b"\x10\xfe\xfd\xfc\xfb\xfa\x7f"
"""For a timestamp: no text has these bytes, so copies lead to them from nowhere else."""
_STAMP_KINDS = tuple(range(TAIL_BYTES))
_FIRST_OPEN_KIND = TAIL_BYTES
_KINDS_CODEC = f"utf-16-{sys.byteorder[0]}e"
"""How a kind's number of two bytes becomes a character."""
_KINDS = 4096
"""Open values whose kinds differ; so many series take more bytes than a copy reaches back (64 KiB)."""
_SHORTEST_COPY, _LONGEST_COPY = 4, 64
_CONTENT_LIMIT_BYTES = 1 << 32

_NO_LITERAL = (_CONTENT_LIMIT_BYTES, _CONTENT_LIMIT_BYTES, 0)

_Repeat = tuple[int, int, int]
"""See `repeats`."""
_Literal = tuple[int, int, int]
"""Where it begins and ends in the content, and where it begins among the elements."""


class StandingBlock:
    """Series with one sample each, all at one time."""

    __slots__ = (
        "_elements",
        "_known_lows",
        "_learning",
        "_lengths",
        "_lows",
        "_parts",
        "_places",
        "_slots",
        "_stamps",
        "length",
    )

    def __init__(self, parts: list[bytes], slots: Sequence[int], lows: bytearray) -> None:
        """`parts` are the series, each up to the end of its value.

        `lows` says how low values are open, that of a series at the place that `slots` gives for it; what is learnt is
        noted there. A series behind those in `slots` is open from its lowest byte.
        """
        self.length = sum(map(len, parts)) + TAIL_BYTES * len(parts)
        """Of the content."""
        self._lengths = _first_like(array("I", map(len, parts)).tobytes())
        self._slots = slots
        self._known_lows = lows
        self._lows = b""
        """By which the block stands."""
        self._parts: list[bytes] | None = parts
        """The series where they do not stand: between their values and their block."""
        self._learning = LEARNING_SCRAPES
        """How many scrapes are still to be made anew."""
        self._elements: bytes | bytearray = b""
        """To be written into where the block stands."""
        self._places: Sequence[int] = ()
        """Of each series' open bytes among the elements."""
        self._stamps: list[_Literal] = []
        """Which bytes of a timestamp lie where among the elements."""

    def put(self, series: Sequence[int], values: Sequence[float]) -> None:
        """Write values of series."""
        elements = self._elements
        packed = _doubles(len(values)).pack(*values)
        if self._parts is not None or not isinstance(elements, bytearray):
            self._learn(series, packed)
            return
        lows = bytes(map(self._lows.__getitem__, series))
        shut = b"".join(map(_SHUT.__getitem__, lows))
        if CLOSED in lows or int.from_bytes(packed, "little") & int.from_bytes(shut, "little"):
            self._learn(series, packed)
            self._learning = LEARNING_SCRAPES
            return
        places = map(self._places.__getitem__, series)
        fresh = bytearray(packed)  # what is written into an array from anything else is copied twice
        for place, low, end in zip(places, lows, range(VALUE_BYTES, len(packed) + 1, VALUE_BYTES), strict=True):
            elements[place : place + VALUE_BYTES - low] = fresh[end - VALUE_BYTES + low : end]

    def elements(self, tail: bytes) -> bytes:
        """The block without its header, with this `timestamp_tail`."""
        if self._learning:
            self._elements = snappy.elements_of(snappy.compress(tail.join([*self.parts(), b""])))
            self._parts = None
            self._learning -= 1
            return self._elements
        elements = self._elements
        if self._parts is not None or not isinstance(elements, bytearray):
            elements = self._stand()
        for place, begin, end in self._stamps:
            elements[place : place + end - begin] = tail[begin:end]
        return bytes(elements)

    def parts(self) -> list[bytes]:
        """The series as they are now, each up to the end of its value."""
        if self._parts is not None:
            return self._parts
        content = snappy.decompress(snappy.block_of(self.length, (self._elements,)), _CONTENT_LIMIT_BYTES)
        return list(_cutter(self._lengths).unpack_from(content))

    def _learn(self, series: Iterable[int], packed: bytes) -> None:
        parts, slots, known = self.parts(), self._slots, self._known_lows
        for index, begin in zip(series, range(0, len(packed), VALUE_BYTES), strict=True):
            value = packed[begin : begin + VALUE_BYTES]
            if parts[index].endswith(value):
                continue
            parts[index] = parts[index][:-VALUE_BYTES] + value
            if index < len(slots):
                slot = slots[index]
                known[slot] = min(known[slot], max(0, _lowest(value) - 1))
        self._parts = parts

    def _stand(self) -> bytearray:
        parts, self._parts = self.parts(), None
        known = bytes(map(self._known_lows.__getitem__, self._slots)) + bytes(len(parts) - len(self._slots))
        self._lows = bytes(
            low if low == CLOSED else min(low, _lowest(part[-VALUE_BYTES:]))
            for part, low in zip(parts, known, strict=True)
        )
        content = _STAND_IN.join([*parts, b""])
        grown, literals = _rewritten(content, _unlike(parts, self._lows), _kinds(parts, self._lows))
        self._elements = elements = bytearray(grown)  # a copy has no room to spare
        ends = [end - TAIL_BYTES for end in accumulate(len(part) + TAIL_BYTES for part in parts)]
        self._places = array("I", bytes(array("I").itemsize * len(parts)))
        values = ((end - VALUE_BYTES + low, end) for end, low in zip(ends, self._lows, strict=True))
        for series, place, _, _ in _lying(literals, values):
            self._places[series] = place
        stamps = _lying(literals, ((end, end + TAIL_BYTES) for end in ends))
        self._stamps = [(place, begin - ends[series], until - ends[series]) for series, place, begin, until in stamps]
        return elements


def lasting_elements(content: bytes) -> bytes:
    """Of a content that is sent again and again as it is."""
    return bytes(_rewritten(content, content, "\0" * len(content))[0])


def _lowest(packed: bytes) -> int:
    """The first byte that is not zero; the last one where all are."""
    return min(VALUE_BYTES - len(packed.lstrip(b"\0")), VALUE_BYTES - 1)


def _kinds(parts: Sequence[bytes], lows: Sequence[int]) -> str:
    """For each byte of the content which others are like it whatever happens: those with the same character."""
    kinds = array("H")  # one growing buffer: a text for each series would leave the heap in holes
    for series, (part, low) in enumerate(zip(parts, lows, strict=True)):
        kinds.frombytes(bytes(kinds.itemsize * (len(part) - VALUE_BYTES + low)))
        first = _FIRST_OPEN_KIND + VALUE_BYTES * (series % _KINDS)
        kinds.extend(range(first + low, first + VALUE_BYTES))
        kinds.extend(_STAMP_KINDS)
    return kinds.tobytes().decode(_KINDS_CODEC)


def _unlike(parts: Sequence[bytes], lows: Sequence[int]) -> bytes:
    """The content with noise for its open bytes, so that nobody finds them to be like others."""
    texts = []
    for series, (part, low) in enumerate(zip(parts, lows, strict=True)):
        if low != CLOSED:
            noise = _pack_noise(crc32(b"%d" % series), crc32(b"-%d" % series))
            texts.append(part[: len(part) - VALUE_BYTES + low] + noise[low:])
        else:
            texts.append(part)
    return _STAND_IN.join([*texts, b""])


def _rewritten(content: bytes, unlike: bytes, kinds: str) -> tuple[bytearray, list[_Literal]]:
    """Elements for `content` whose copies lead between bytes of one kind, and the literals beside them.

    `unlike`: see there; copies are looked for in it.
    """
    elements = bytearray()
    literals: list[_Literal] = []
    done = 0

    def write_literal(end: int) -> None:
        if end > done:
            elements.extend(snappy.literal_head(end - done))
            literals.append((done, end, len(elements)))
            elements.extend(content[done:end])

    for begin, length, offset in _in_fewer_copies(repeats(unlike), unlike):
        here, there = kinds[begin : begin + length], kinds[begin - offset : begin - offset + length]
        for run_begin, run_end in ((0, length),) if here == there else _equal_runs(here, there):
            if run_end - run_begin >= _SHORTEST_COPY:
                write_literal(begin + run_begin)
                for copied in _copied_at_once(run_end - run_begin):
                    elements.extend(snappy.copy(copied, offset))
                done = begin + run_end
    write_literal(len(content))
    return elements, literals


def _in_fewer_copies(found: Iterable[_Repeat], content: bytes) -> Iterator[_Repeat]:
    """The same repetition where a copy takes at most _LONGEST_COPY bytes.

    What goes on at the same distance is one; a remainder that the next one can take is its.
    """
    begin = length = offset = 0
    for following, its_length, its_offset in found:
        rest = 0
        if following == begin + length:
            if its_offset == offset:
                length += its_length
                continue
            rest, source = length % _LONGEST_COPY, following - its_offset
            takes_it = 0 < its_length % _LONGEST_COPY <= _LONGEST_COPY - rest and rest <= source and rest < length
            if not takes_it or content[following - rest : following] != content[source - rest : source]:
                rest = 0
        if length:
            yield begin, length - rest, offset
        begin, length, offset = following - rest, its_length + rest, its_offset
    if length:
        yield begin, length, offset


def _copied_at_once(length: int) -> Iterator[int]:
    """Lengths of the copies that copy so many bytes."""
    while length > _LONGEST_COPY:
        copied = min(_LONGEST_COPY, length - _SHORTEST_COPY)
        yield copied
        length -= copied
    yield length


def _equal_runs(one: str, other: str) -> Iterator[tuple[int, int]]:
    """Where two texts of one length are the same."""
    begin = 0
    for index in compress(range(len(one)), map(ne, one, other)):
        if index > begin:
            yield begin, index
        begin = index + 1
    if begin < len(one):
        yield begin, len(one)


def _lying(literals: Sequence[_Literal], stretches: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """What of stretches of the content, one behind the other, lies in literals.

    The stretch's number, where among the elements, and the piece of the content.
    """
    rest = iter(literals)
    literal_begin, literal_end, place = next(rest, _NO_LITERAL)
    for number, (begin, end) in enumerate(stretches):
        while literal_begin < end:
            if literal_end > begin:
                first, last = max(begin, literal_begin), min(end, literal_end)
                if first < last:
                    yield number, place + first - literal_begin, first, last
                if literal_end > end:
                    break
            literal_begin, literal_end, place = next(rest, _NO_LITERAL)


@lru_cache(maxsize=512)
def _doubles(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}d")


@lru_cache(maxsize=64)
def _first_like(lengths: bytes) -> bytes:
    """One object for all targets alike."""
    return lengths


@lru_cache(maxsize=16)
def _cutter(lengths: bytes) -> struct.Struct:
    """What cuts parts with these lengths, a timestamp behind each, out of a content; targets alike share one."""
    return struct.Struct("".join(f"{length}s{TAIL_BYTES}x" for length in array("I", lengths)))
