"""Bodies that are known from end to end: one track (1.0), or a known table and one run (2.0). Pure.

Nearly every request of our agent is one. It is decompressed into a buffer that is used again and again, its values are
taken out where the last scrape's stood, and what is left is compared as it stands; no object is made but the array of
values. A body that is not known leaves the buffer as it was decompressed, for the way all others go.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.model.frames import Frame
from kpwatch.receive.gather import Decoded
from kpwatch.receive.sample_form import six_byte_timestamp
from kpwatch.receive.symbols import PREFIX_BYTES
from kpwatch.receive.walk_v1 import sample_places
from kpwatch.receive.walk_v2 import labels_end, run_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kpwatch.receive.buffer import Buffer
    from kpwatch.receive.courses import Courses
    from kpwatch.receive.tracks import Own, Track
    from kpwatch.receive.walk_v2 import Memory

_WORD = "<u8"
_TIME_BYTES = 6
_TIME_AFTER_VALUE = 9
_SERIES_TAG_1_0, _SERIES_TAG_2_0 = 0x0A, 0x2A
_FIRST_SERIES_BYTES = 1 << 10
"""A first series longer than this is read as all others are."""
_SHORTEST_SERIES_BYTES = 24
_TIME_WORD = 8
"""A word so far before a series' end has a byte of no interest, the time's tag and the time; the tag stays."""
_TIME_BITS = np.uint64(0xFFFF_FFFF_FFFF_0000)
_VALUE_TO_TIME = 7
_TAIL_BITS = np.uint64(0xFFFF_FFFF_FFFF_FF00)


class Places(NamedTuple):
    """Where samples stand in a body."""

    valued: NDArray[np.int64]
    """Numbers of the series whose values are not omitted."""
    values_at: NDArray[np.int64]
    """Where these begin."""
    times_at: NDArray[np.int64]
    """Where the six bytes of each series' time begin."""


class Whole(NamedTuple):
    """A body that is known from end to end: one frame."""

    decoded: Decoded
    places: Callable[[], Places]


def known_1_0(buffer: Buffer, courses: Courses, samples_max: int) -> Whole | None:
    """The body, where it is one track from beginning to end."""
    head = buffer.piece(0, _FIRST_SERIES_BYTES)
    if len(head) < _SHORTEST_SERIES_BYTES or head[0] != _SERIES_TAG_1_0:
        return None
    begin, after = series_bounds(head, 0)
    if after > len(head):
        return None
    _, cut = sample_places(head, after)
    place = courses.find(head[begin:cut])
    if place is None or place.series or len(place.track.blank) != buffer.length:
        return None
    track = place.track
    count = len(track.columns)
    if count > samples_max:
        return None  # who reads it says so
    taken = _take(buffer, track.blank, 0, track.values_at, track.starts[1:] - _TIME_WORD, _TIME_BITS, track.own)
    if taken is None:
        return None
    timestamp_ms, words = taken
    values = words.view("<f8")
    if len(words) < count:
        values = np.zeros(count)
        values.view(_WORD)[track.valued] = words
    decoded = Decoded([Frame(track.target, track.layout, timestamp_ms, values)], count, count, 0, 0, 0, 0)
    return Whole(decoded, partial(_places_of_track, track))


def _places_of_track(track: Track) -> Places:
    return Places(track.valued, track.values_at, track.starts[1:] - _TIME_BYTES)


def known_2_0(buffer: Buffer, memory: Memory) -> Whole | None:
    """The body, where it is a table that is known and one of its runs."""
    table = memory.tables.find_where(buffer.piece(0, PREFIX_BYTES), buffer.holds)
    if table is None:
        return None
    position = table.size
    head = buffer.piece(position, _FIRST_SERIES_BYTES)
    if len(head) < _SHORTEST_SERIES_BYTES or head[0] != _SERIES_TAG_2_0:
        return None
    begin, after = series_bounds(head, 0)
    run = memory.runs.find(run_key(table, head[begin : labels_end(head, begin, after)])) if after <= len(head) else None
    if run is None or position + len(run.blank) != buffer.length:
        return None
    if len(run.places) > memory.options.samples_per_request:
        return None
    places = run.places + position
    taken = _take(buffer, run.blank, position, places, places + _VALUE_TO_TIME, _TAIL_BITS)
    if taken is None:
        return None
    timestamp_ms, words = taken
    frame = Frame(run.target, run.layout, timestamp_ms, words.view("<f8"))
    decoded = Decoded([frame], len(words), len(words), 0, 0, 0, run.metadata, 0, run.starts)
    return Whole(decoded, partial(_places_of_run, places))


def _places_of_run(values_at: NDArray[np.int64]) -> Places:
    return Places(np.arange(len(values_at)), values_at, values_at + _TIME_AFTER_VALUE)


def _take(
    buffer: Buffer,
    blank: bytes,
    position: int,
    values_at: NDArray[np.int64],
    times_at: NDArray[np.int64],
    time_bits: np.uint64,
    own: Sequence[Own] = (),
) -> tuple[int, NDArray[np.uint64]] | None:
    """(timestamp_ms, values) where the rest of the body is `blank`; else None, with the buffer as it was.

    From all time fields the first is subtracted, so that one comparison judges them together with the rest.
    """
    words = buffer.words
    values = words[values_at]
    words[values_at] = 0
    times = words[times_at]
    first = times[0]
    timestamp_ms = six_byte_timestamp((int(first) >> 8).to_bytes(8, "little"), 0)
    if timestamp_ms is not None:
        words[times_at] = times - (first & time_bits)
        for places, word in own:
            words[places] ^= word
        if buffer.holds(blank, position):
            return timestamp_ms, values
        for places, word in own:
            words[places] ^= word
        words[times_at] = times
    words[values_at] = values
    return None


def series_bounds(head: bytes, position: int) -> tuple[int, int]:
    """Where the content of the series at `position`, which has three bytes at least, begins and ends."""
    low, high = head[position + 1], head[position + 2]
    if low < 0x80:
        return position + 2, position + 2 + low
    if high < 0x80:
        return position + 3, position + 3 + (low & 0x7F | high << 7)
    return position, len(head) + 1
