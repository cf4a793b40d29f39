"""Tracks: the order in which a sender names the series of a target, as bytes. Pure.

A sender names the series of a scrape in the same order every time, and what differs is values and time. So a sequence
of series is kept as a *track*: its bytes with those places blanked, and the places. Found again it costs one copy, one
gather, one comparison of all other bytes and no look at any label:

    body   |head|value|10 time|head|10 time|head|value|10 time| ...   the second value, a zero, is omitted
    blank  |head|00000|10 0000|head|10 0000|head|00000|10 0000| ...

Nothing is assumed: a body follows a track as far as every byte outside the places is equal and every time field is the
first one's. Our own agent's requests follow one from end to end. Prometheus and its like cut requests anywhere, and a
zero that becomes another number changes the bytes: what is done about it, and what is remembered, is in courses.py.

A new node sends what other nodes of its kind send, but for the few labels that say who it is. So where a series of an
unknown target has a column that a known track begins with, that track is rewritten for the new target (`rewrite`).
Where these labels are as long as the other's, all else is the same for both: such tracks share their bytes, in which
the texts of their *own* are blanked too, and each has but these texts.

Every series ends in one sample, `12 10 09 value(8) 10 time(6)` or, with a zero omitted, `12 07 10 time(6)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.receive.sample_form import VALUE_SAMPLE_BYTES, ZERO_SAMPLE_BYTES
from kpwatch.remote_write.protobuf import decode_varint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kpwatch.model.frames import Layout
    from kpwatch.model.labels import Labels
    from kpwatch.receive.layouts import Column

SHORTEST_TRACK_SERIES = 16
"""Below this many series a track costs more than it saves."""

_WORD = "<u8"
_TIME_WORD = 8
"""A word so far before a series' end has a byte of no interest, the time's tag and the time."""
_BESIDE_BLANK_BYTES = 33
"""What a series of a track costs beside its bytes."""
_PLACE_BYTES = 250
_WORD_BYTES = 8
_FIRST_SERIES = 4
"""So many are compared before all others are, where it is doubtful that a body follows."""
_TWO_BYTES_MAX = 0x3FFF


class Own(NamedTuple):
    """Where a word of a text stands that is the target's own, once in each series."""

    places: NDArray[np.int64]
    word: np.uint64


class Track(NamedTuple):
    """Consecutive series of one target."""

    target: Labels
    columns: tuple[Column, ...]
    layout: Layout
    blank: bytes
    """Shared where there is something in `own`, which is blanked then."""
    starts: NDArray[np.int64]
    """Where each series begins in `blank`, and where the last one ends; shape (series + 1,)."""
    valued: NDArray[np.int64]
    """Numbers of the series that have a value."""
    values_at: NDArray[np.int64]
    """Where those values begin in `blank`."""
    own: tuple[Own, ...] = ()

    def block(self, index: int) -> bytes:
        """The labels of a series, as they stand in a body."""
        series = self.content(index, index + 1)
        _, begin = decode_varint(series, 1)
        has_value = index in self.valued
        return series[begin : len(series) - (VALUE_SAMPLE_BYTES if has_value else ZERO_SAMPLE_BYTES)]

    def content(self, index: int, reached: int) -> bytes:
        """Some series, with the texts that are the target's own."""
        begin, end = int(self.starts[index]), int(self.starts[reached])
        if not self.own:
            return self.blank[begin:end]
        content = bytearray(memoryview(self.blank)[begin:end])
        exchange(words_of(content), self.own, index, reached, begin)
        return bytes(content)


class Followed(NamedTuple):
    """How far a body follows a track; at least one series."""

    values: NDArray[np.float64]
    end: int
    """Position in the body behind them."""


class Segment(NamedTuple):
    """Consecutive series as they stand in a body."""

    columns: list[Column]
    starts: list[int]
    values_at: list[int]
    """Where each value begins, 0 where it is omitted."""


def follow(track: Track, index: int, body: bytes, position: int, *, doubtful: bool = False) -> Followed | None:
    """How far the series from `position` on are those of the track from this number on, all at one time.

    None where the first is another one. `doubtful`: look at the first few before all others.
    """
    if doubtful and len(track.columns) - index > 2 * _FIRST_SERIES:
        begun = _follow(track, index, body, position, index + _FIRST_SERIES)
        if begun is None or len(begun.values) < _FIRST_SERIES:
            return begun  # it soon ends: most of the track was not looked at
    return _follow(track, index, body, position, len(track.columns))


def _follow(track: Track, index: int, body: bytes, position: int, until: int) -> Followed | None:
    starts = track.starts[index : until + 1]
    base = int(starts[0])
    room = min(int(starts[-1]) - base, len(body) - position)
    count = len(starts) - 1 if room == starts[-1] - base else int(starts.searchsorted(base + room, "right")) - 1
    if count < 1:
        return None
    length = int(starts[count]) - base
    valued, values_at = valued_between(track, index, index + count)
    content = bytearray(memoryview(body)[position : position + length])
    words, times = _take_words(content, values_at - base, starts[1 : count + 1] - base)
    exchange(words_of(content), track.own, index, index + count, base)
    blank = track.blank if length == len(track.blank) else track.blank[base : base + length]
    if content != blank or (times != times[0]).any():
        count = _first_difference(content, blank, starts - base, times)
        if count < 1:
            return None
    values = np.zeros(count)
    within = len(valued) if count == len(starts) - 1 else int(valued.searchsorted(index + count))
    values.view(_WORD)[valued[:within] - index] = words[:within]
    return Followed(values, position + int(starts[count]) - base)


def make_track(target: Labels, layout: Layout, body: bytes, end: int, segment: Segment) -> Track:
    """The series of `segment`, which end at `end` of the body."""
    begin = segment.starts[0]
    starts = np.array([*segment.starts, end], np.int64) - begin
    at = np.array(segment.values_at, np.int64)
    valued = np.flatnonzero(at)
    values_at = at[valued] - begin
    content = bytearray(memoryview(body)[begin:end])
    _take_words(content, values_at, starts[1:])
    return Track(target, tuple(segment.columns), layout, bytes(content), starts, valued, values_at)


def join(pieces: Sequence[tuple[Track, int, int]], layout: Layout) -> Track:
    """One track of some series of others: (track, number of the first series, number behind the last)."""
    starts = [np.zeros(1, np.int64)]
    valued: list[NDArray[np.int64]] = []
    values_at: list[NDArray[np.int64]] = []
    columns: tuple[Column, ...] = ()
    blank = b""
    for track, index, reached in pieces:
        shift = len(blank) - int(track.starts[index])
        numbers, places = valued_between(track, index, reached)
        valued.append(numbers + (len(columns) - index))
        values_at.append(places + shift)
        starts.append(track.starts[index + 1 : reached + 1] + shift)
        columns += track.columns[index:reached]
        blank += track.content(index, reached)
    target = pieces[0][0].target
    return Track(
        target, columns, layout, blank, np.concatenate(starts), np.concatenate(valued), np.concatenate(values_at)
    )


def rewrite(track: Track, target: Labels, old: Sequence[bytes], new: Sequence[bytes]) -> Track | None:
    """The track as `target` would send it: label fields `new` in the place of `old`; None where that is not certain.

    It is where each old field stands in each series once: then every place where it stands is a label of the target,
    and none is in the middle of something else.
    """
    count = len(track.columns)
    blank = track.content(0, count)
    if len(old) != len(new) or any(blank.count(field) != count for field in old):
        return None
    if list(map(len, old)) == list(map(len, new)):
        return _share(track, target, blank, old, new)
    longer = sum(map(len, new)) - sum(map(len, old))
    for before, after in zip(old, new, strict=True):
        blank = blank.replace(before, after)
    starts, values_at = track.starts, track.values_at  # names of nodes are often equally long: then these are shared
    if longer:
        starts = starts + longer * np.arange(count + 1)
        values_at = values_at + longer * (track.valued + 1)
        content = bytearray(blank)
        lengths = _rewrite_lengths(np.frombuffer(content, np.uint8), starts[:-1], longer)
        if not lengths:
            return None
        blank = bytes(content)
    if len(blank) != starts[-1]:
        return None
    return Track(target, track.columns, track.layout, blank, starts, track.valued, values_at)


def _share(track: Track, target: Labels, blank: bytes, old: Sequence[bytes], new: Sequence[bytes]) -> Track | None:
    """A track with other texts of the same lengths: all else is one for both from now on.

    What is shared has the words blanked in which the targets so far differ: one that differs in others as well begins
    something shared of its own, which serves all who come later.
    """
    content = bytearray(blank)
    words, own = words_of(content), []
    owned = {int(one.places[0]) for one in track.own}
    for before, after in zip(old, new, strict=True):
        begin = _value_at(before)
        if before[:begin] != after[:begin]:
            return None
        first = blank.index(before)
        parts = [slice(place, place + length) for place, length in _word_places(begin, len(before))]
        parts = [part for part in parts if before[part] != after[part] or first + part.start in owned]
        if not parts:
            continue
        fields = _occurrences(blank, before)
        for part in parts:
            word = np.uint64(int.from_bytes(after[part].ljust(_WORD_BYTES, b"\0"), "little"))
            mask = np.uint64((1 << 8 * (part.stop - part.start)) - 1)
            words[fields + part.start] &= ~mask
            own.append(Own(fields + part.start, word))
    same = len(own) == len(track.own) and all(
        np.array_equal(one.places, other.places) for one, other in zip(own, track.own, strict=True)
    )
    if same:
        own = [Own(other.places, one.word) for one, other in zip(own, track.own, strict=True)]
    shared = track.blank if same else bytes(content)
    return Track(target, track.columns, track.layout, shared, track.starts, track.valued, track.values_at, tuple(own))


def _value_at(field: bytes) -> int:
    """Where the value of a label field begins; its length stands before it."""
    _, position = decode_varint(field, 1)
    length, position = decode_varint(field, position + 1)
    return decode_varint(field, position + length + 1)[1]


def _occurrences(content: bytes, field: bytes) -> NDArray[np.int64]:
    places, at = [], content.find(field)
    while at >= 0:
        places.append(at)
        at = content.find(field, at + len(field))
    return np.array(places, np.int64)


def _word_places(begin: int, end: int) -> list[tuple[int, int]]:
    """(where it begins, bytes) of the words that make a text, none of which overlap.

    From the end, for that is where names of nodes differ.
    """
    ends = range(end, begin, -_WORD_BYTES)
    return [(max(begin, last - _WORD_BYTES), min(_WORD_BYTES, last - begin)) for last in ends]


def words_of(content: bytearray) -> NDArray[np.uint64]:
    """The word at each byte, however it is aligned."""
    return np.ndarray((max(0, len(content) - _WORD_BYTES + 1),), _WORD, content, 0, (1,))


def exchange(words: NDArray[np.uint64], own: Sequence[Own], index: int, reached: int, base: int = 0) -> None:
    """Blank the texts of a target's own in its series, which begin at `base`; done once more, they are there again.

    A text that is another one is not blanked by it, so what is left differs from what is shared.
    """
    for places, word in own:
        at = places[index:reached] - base if base or reached - index < len(places) else places
        words[at] ^= word


def _rewrite_lengths(content: NDArray[np.uint8], starts: NDArray[np.int64], longer: int) -> bool:
    """Make the length of every series so much longer; False where one takes more or fewer bytes then."""
    first, second = content[starts + 1].astype(np.int64), content[starts + 2].astype(np.int64)
    one_byte = first < 0x80
    lengths = np.where(one_byte, first, first & 0x7F | second << 7) + longer
    if (lengths < 0).any() or (one_byte != (lengths < 0x80)).any() or (second[~one_byte] > 0x7F).any():
        return False
    if lengths.max() > _TWO_BYTES_MAX:
        return False
    content[starts + 1] = np.where(one_byte, lengths, lengths & 0x7F | 0x80)
    two_bytes = ~one_byte
    content[starts[two_bytes] + 2] = lengths[two_bytes] >> 7
    return True


def valued_between(track: Track, index: int, reached: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(numbers, places) of those that have a value among some series of a track."""
    if index == 0 and reached == len(track.columns):
        return track.valued, track.values_at
    first, last = track.valued.searchsorted((index, reached))
    return track.valued[first:last], track.values_at[first:last]


def _take_words(
    content: bytearray, values_at: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Values, and the time fields of the series with these ends, as words; blanks them."""
    words = np.ndarray((len(content) - 7,), _WORD, content, 0, (1,))  # a word at every byte, however it is aligned
    values = words[values_at]
    words[values_at] = 0
    times_at = ends - _TIME_WORD
    times = words[times_at]
    words[times_at] = times & np.uint64(0xFFFF)
    return values, times >> np.uint64(8)


def _first_difference(content: bytearray, blank: bytes, starts: NDArray[np.int64], times: NDArray[np.uint64]) -> int:
    """How many series are equal before the first that is not; `starts` from 0 on."""
    equal = int(starts.searchsorted(_equal_bytes(content, blank), "right")) - 1
    other_time = times != times[0]
    first_other = int(other_time.argmax())
    return min(equal, first_other) if other_time[first_other] else min(equal, len(times))


def _equal_bytes(content: bytearray, blank: bytes) -> int:
    """How many bytes are equal before the first that is not, of two of one length: found by words, then by bytes."""
    length, at = len(blank), 0
    words = length // _WORD_BYTES
    if words:
        differs = np.frombuffer(content, _WORD, words) != np.frombuffer(blank, _WORD, words)
        first = int(differs.argmax())
        at = _WORD_BYTES * (first if differs[first] else words)
    while at < length and content[at] == blank[at]:
        at += 1
    return at


def track_bytes(track: Track) -> int:
    """About what it costs in memory."""
    if track.own:
        return _PLACE_BYTES * (1 + len(track.own))
    return _PLACE_BYTES + len(track.blank) + _BESIDE_BLANK_BYTES * len(track.columns)
