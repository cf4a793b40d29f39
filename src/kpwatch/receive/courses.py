"""Courses: tracks that change a little from scrape to scrape, and where on them a body may go on. Pure.

A sender names the same series all day, but a zero that it omitted counts now and then the bytes are other ones; and it
cuts its requests wherever they are full. So whoever remembers a place remembers a *course*, whose track is amended: a
change that was met once is known from then on, wherever the next request begins.

- A series in its other form, as a zero or with a value, is known by its labels: it is taken, and the track has this
  form from now on (`follow`).
- A series more or less is read by the general path (walk_v1.py), which comes back to the track behind it and puts in
  what it read (`amended`).
- Where a request ends within a track, the place is kept under the labels that come next, for as long as it is among the
  latest such places: the next request comes soon, and the one after it is cut elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.recent import InOrder, Recent
from kpwatch.receive import tracks
from kpwatch.receive.sample_form import (
    TIME_FIELD_BYTES,
    VALUE_SAMPLE,
    VALUE_SAMPLE_BYTES,
    ZERO_SAMPLE,
    ZERO_SAMPLE_BYTES,
    unpack_double,
)
from kpwatch.receive.tracks import Track, join, track_bytes
from kpwatch.remote_write.protobuf import encode_varint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kpwatch.model.frames import Layout
    from kpwatch.receive.layouts import Column

_SERIES_TAG = b"\x0a"
_VALUE_BYTES = 8
_BLANK_TIME = b"\x10" + bytes(TIME_FIELD_BYTES - 1)
_ALIKE = 6
"""Courses that begin with the same column and are tried for a new target: versions of one program, and names of nodes
of several lengths."""
_SEEN_BYTES = 250


class Course:
    """A track as it is now."""

    __slots__ = ("bytes", "track")

    def __init__(self, track: Track) -> None:
        self.track = track
        self.bytes = track_bytes(track)
        """What it took when it was new."""


class Place(NamedTuple):
    """Somewhere on a course."""

    course: Course
    series: int
    """The number of the series that is next."""

    @property
    def track(self) -> Track:
        """The course's, as it is now."""
        return self.course.track


class Followed(NamedTuple):
    """How far a body follows a course; at least one series."""

    track: Track
    """As the body has it."""
    values: NDArray[np.float64]
    end: int
    """Position in the body behind them."""
    changed: int
    """How many series had their other form."""


class OtherForm(NamedTuple):
    """A series without the value it had, or with one where there was none."""

    head: bytes
    """What stands before its value, or before its time."""
    value: float | None
    end: int
    """Position in the body behind it."""


class Courses:
    """The courses known so far, by the labels they begin with. One thread at a time."""

    def __init__(self, limit_bytes: int) -> None:
        share = limit_bytes // 16
        self._begun: InOrder[bytes, Place] = InOrder(limit_bytes - 3 * share, _begun_bytes)
        self._expected: InOrder[bytes, Place] = InOrder(share, lambda key, _: len(key) + _SEEN_BYTES)
        self._alike: Recent[int, tuple[Course, ...]] = Recent(
            share, lambda _, courses: sum(_SEEN_BYTES + course.bytes for course in courses)
        )
        """By the number of their first column."""
        self._seen: Recent[bytes, bool] = Recent(share, lambda key, _: len(key) + _SEEN_BYTES)

    def find(self, block: bytes) -> Place | None:
        """Where a series with these labels may stand."""
        return self._begun.get(block) or self._expected.get(block)

    def came_before(self, block: bytes) -> bool:
        """Whether a sequence that begins with these labels was asked about before."""
        if self._seen.get(block):
            return True
        self._seen.put(block, True)
        return False

    def keep(self, course: Course) -> Course:
        """Bodies may follow it from its beginning; gives it back."""
        track = course.track
        self._begun.put(track.block(0), Place(course, 0))
        others = [
            other
            for other in self._alike.get(track.columns[0].number) or ()
            if other.track.target != track.target and not (other.track.own and other.track.blank is track.blank)
        ]
        self._alike.put(track.columns[0].number, (course, *others[: _ALIKE - 1]))
        return course

    def alike(self, column: Column) -> list[Track]:
        """Tracks that begin with this column, the newest first."""
        return [course.track for course in self._alike.get(column.number) or ()]

    def expect(self, place: Place) -> None:
        """Bodies may go on from here."""
        self._expected.put(place.track.block(place.series), place)

    def forgotten(self) -> int:
        """How many places were dropped for want of room."""
        return self._begun.forgotten + self._alike.forgotten


def follow(
    place: Place, body: bytes, position: int, time_field: bytes, *, changes: int, doubtful: bool = False
) -> Followed | None:
    """How far the series from `position` on are those of a course, all at one time; None where none is.

    Up to `changes` of them may have their other form: then the course has it from now on. `doubtful`: as tracks.py.
    """
    course, index = place
    track, end, left = course.track, position, changes
    count = len(track.columns)
    values: list[NDArray[np.float64]] = []
    while True:
        followed = tracks.follow(track, index, body, end, doubtful=doubtful)
        if followed is not None and (not values or _is_at(track, index, body, end, time_field)):
            values.append(followed.values)
            index += len(followed.values)
            end = followed.end
        other = other_form(track, index, body, end, time_field) if left and index < count else None
        if other is None:
            break
        track = course.track = with_other_form(track, index, other)
        values.append(np.array([other.value or 0.0]))
        left, index, end = left - 1, index + 1, other.end
        if index == count:
            break
    if not values:
        return None
    return Followed(track, values[0] if len(values) == 1 else np.concatenate(values), end, changes - left)


def other_form(track: Track, number: int, body: bytes, position: int, time_field: bytes) -> OtherForm | None:
    """The series at `position`, where it is a track's with this number in its other form, at this time."""
    block, has_value = track.block(number), _has_value(track, number)
    sample, length = (ZERO_SAMPLE, ZERO_SAMPLE_BYTES) if has_value else (VALUE_SAMPLE, VALUE_SAMPLE_BYTES)
    head = _SERIES_TAG + encode_varint(len(block) + length) + block + sample
    if not body.startswith(head, position):
        return None
    begin = position + len(head)
    time_at = begin if has_value else begin + _VALUE_BYTES
    if not body.startswith(time_field, time_at):
        return None
    value = None if has_value else unpack_double(body, begin)[0]
    return OtherForm(head, value, time_at + TIME_FIELD_BYTES)


def with_other_form(track: Track, number: int, form: OtherForm) -> Track:
    """The track with one series in another form; it has bytes of its own then."""
    begin, end = int(track.starts[number]), int(track.starts[number + 1])
    series = form.head + (b"" if form.value is None else bytes(_VALUE_BYTES)) + _BLANK_TIME
    longer = len(series) - (end - begin)
    blank = track.content(0, number) + series + track.content(number + 1, len(track.columns))
    starts = track.starts.copy()
    starts[number + 1 :] += longer
    at = int(track.valued.searchsorted(number))
    behind = at + (form.value is None)
    here, value_at = ([], []) if form.value is None else ([number], [begin + len(form.head)])
    valued = np.concatenate((track.valued[:at], np.array(here, np.int64), track.valued[behind:]))
    values_at = np.concatenate((track.values_at[:at], np.array(value_at, np.int64), track.values_at[behind:] + longer))
    return track._replace(blank=blank, starts=starts, valued=valued, values_at=values_at, own=())


def amended(segment: Track, layout: Layout, before: Place | None, rest: Place | None) -> Track:
    """A stretch between the beginning of one course and the rest of another."""
    pieces = [(segment, 0, len(segment.columns))]
    if before is not None:
        pieces.insert(0, (before.track, 0, before.series))
    if rest is not None:
        pieces.append((rest.track, rest.series, len(rest.track.columns)))
    return join(pieces, layout)


def _has_value(track: Track, number: int) -> bool:
    at = int(track.valued.searchsorted(number))
    return at < len(track.valued) and int(track.valued[at]) == number


def _is_at(track: Track, index: int, body: bytes, position: int, time_field: bytes) -> bool:
    """Whether the series with this number, which begins at `position`, is at this time."""
    length = int(track.starts[index + 1] - track.starts[index])
    return body.startswith(time_field, position + length - TIME_FIELD_BYTES)


def _begun_bytes(key: bytes, place: Place) -> int:
    return len(key) + place.course.bytes
