"""A decompressed Remote Write 1.0 body -> frames. Pure.

Where the body follows a course that is known (courses.py; several of them: chains.py), its track names the series. Else
a series is read: one whose labels are known and which ends in a single sample by slicing, any other one field by field
(remote_write/v1.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import BadInput
from kpwatch.receive.chains import find_links, take
from kpwatch.receive.courses import Course, Place, amended, follow
from kpwatch.receive.gather import Decoded, Gatherer, Samples
from kpwatch.receive.sample_form import (
    TIME_FIELD_BYTES,
    VALUE_SAMPLE,
    VALUE_SAMPLE_BYTES,
    ZERO_SAMPLE,
    ZERO_SAMPLE_BYTES,
    six_byte_timestamp,
    unpack_double,
)
from kpwatch.receive.tracks import SHORTEST_TRACK_SERIES, Segment, make_track, rewrite, valued_between
from kpwatch.remote_write.protobuf import decode_varint, skip_field
from kpwatch.remote_write.v1 import decode_series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kpwatch.model.frames import Layout
    from kpwatch.model.labels import Labels
    from kpwatch.receive.buffer import Buffer
    from kpwatch.receive.courses import Courses
    from kpwatch.receive.layouts import Column, KnownSeries, Names
    from kpwatch.receive.tracks import Track

_SERIES_TAG = 0x0A
_TAGS_OF_2_0 = frozenset({0x22, 0x2A})
_VALUE_BEFORE_END = 15


class _Followed(NamedTuple):
    """Series of a stretch that a track named."""

    track: Track
    first: int
    position: int
    values: NDArray[np.float64]

    @property
    def reached(self) -> int:
        """How far on the track they go."""
        return self.first + len(self.values)


class _Stretch:
    """Consecutive series of one target and time, each with one sample: read one by one, and named by tracks."""

    __slots__ = (
        "followed",
        "key",
        "origin",
        "read_before",
        "segment",
        "target",
        "time_field",
        "timestamp_ms",
        "values",
    )

    def __init__(self, target: Labels, timestamp_ms: int, time_field: bytes, key: bytes, read_before: int) -> None:
        self.target = target
        self.timestamp_ms = timestamp_ms
        self.time_field = time_field
        self.key = key
        """The labels of the first series, as they stand in the body."""
        self.read_before = read_before
        """How many series had been read letter by letter when it began."""
        self.origin: Place | None = None
        """Where it was expected."""
        self.segment: Segment = Segment([], [], [])
        self.values: list[float] = []
        self.followed: list[_Followed] = []
        """Those whose series are not in `segment` yet: as long as there is nothing else in the stretch."""

    def write_out(self) -> None:
        """Bring what tracks named to `segment` and `values`."""
        followed, self.followed = self.followed, []
        for one in followed:
            track, index, reached = one.track, one.first, one.reached
            shift = one.position - int(track.starts[index])
            valued, values_at = valued_between(track, index, reached)
            places = np.zeros(reached - index, np.int64)
            places[valued - index] = values_at + shift
            columns, starts, at = self.segment
            columns += track.columns[index:reached]
            starts += (track.starts[index:reached] + shift).tolist()
            at += places.tolist()
            self.values += one.values.tolist()


_WINDOW_SERIES = 8
"""How many series a sender may have left out for its place on the track to be found again."""

_BROKEN_MAX = 16
"""Chains of a body that did not hold; after them it is read track by track."""

_ATTEMPTS = 4
"""How often the place a track was left at is tried without success."""

_CHANGES_MAX = 128
"""So many series of a body may have another form than their tracks; more: a process was restarted."""


class WalkV1:
    """One way through one body."""

    def __init__(self, names: Names, courses: Courses, body: bytes, buffer: Buffer, samples_max: int) -> None:
        """`buffer` holds the body, and is changed."""
        self._names = names
        self._courses = courses
        self._body = body
        self._buffer = buffer
        self._samples_max = samples_max
        self._gather = Gatherer(names, samples_max)
        self._stretch: _Stretch | None = None
        self._left: Place | None = None
        """Where on a track the body may go on, which it left without reaching its end."""
        self._attempts_left = 0
        self._changes_left = _CHANGES_MAX
        self._chains_left = _BROKEN_MAX
        self._blocks_read = 0
        self._ignored = self._without_samples = self._fields_skipped = 0

    def through(self) -> None:
        """Take everything."""
        body, end = self._body, len(self._body)
        position = 0
        while position < end:
            if self._chains_left and self._is_between():
                position = self._take_chain(position)
                if position == end:
                    break
            position = self._series_at(position) if body[position] == _SERIES_TAG else self._skip(position)
        self._close(end)

    def _is_between(self) -> bool:
        """Whether the end of a track was just reached, or nothing was read yet."""
        stretch = self._stretch
        return stretch is None or bool(stretch.followed and self._left is None)

    def _take_chain(self, position: int) -> int:
        """Take all that is known from here on, track by track; the position behind it."""
        stretch = self._stretch
        before = (stretch.target, stretch.time_field) if stretch is not None else None
        links = find_links(self._courses, self._body, position, before)
        if not links:
            return position
        self._close(position)
        buffer, gather = self._buffer, self._gather
        taken = take(links, buffer.content, buffer.words)
        for link, values in zip(links, taken, strict=False):
            (course, track, index, reached, *_), timestamp_ms = link, link.timestamp_ms
            if len(values) == len(track.columns):
                gather.known(track.target, track.layout, timestamp_ms, values)
                continue
            gather.part_of(track.target, track.layout, index, timestamp_ms, values)
            if reached < len(track.columns):
                self._courses.expect(Place(course, reached))
        if len(taken) == len(links):
            return links[-1].end
        self._chains_left -= 1
        broken = links[len(taken)].position
        buffer.restore(self._body, broken, links[-1].end)
        return broken

    def _series_at(self, position: int) -> int:
        """Take what begins here, one series or as many as follow a track; the position behind it.

        Called once per series that no track names, so it is flat and calls little.
        """
        body, stretch = self._body, self._stretch
        begin, after = self._bounds(position)
        value_place, cut = sample_places(body, after)
        block = body[begin:cut]
        time_field = body[after - TIME_FIELD_BYTES : after]
        place = self._left or self._courses.find(block)
        if place is not None and (track_end := self._follow(place, position, block, time_field)):
            return track_end
        read_before = self._blocks_read
        known = self._names.find(block) or self._read_block(block, after)
        if known is None:
            return self._read_series(position, after)
        target, column = known
        is_new = self._blocks_read != read_before and (stretch is None or target is not stretch.target)
        if is_new and (track_end := self._follow_like(known, position, block, time_field)):
            return track_end
        if stretch is None:
            timestamp_ms = six_byte_timestamp(time_field, 0)
            if timestamp_ms is None:
                return self._read_series(position, after)
            stretch = self._stretch = _Stretch(target, timestamp_ms, time_field, block, self._blocks_read)
            if place is not None and place.track.columns[place.series].number == column.number:
                stretch.origin = place
        elif target is not stretch.target or time_field != stretch.time_field:
            self._close(position)
            return position  # once more, now that a track may begin here
        if stretch.followed:
            stretch.write_out()
        if self._left is not None:
            self._find_way_back(self._left, column)
        columns, starts, values_at = stretch.segment
        columns.append(column)
        starts.append(position)
        values_at.append(value_place)
        stretch.values.append(unpack_double(body, value_place)[0] if value_place else 0.0)
        return after

    def _follow(self, place: Place, position: int, block: bytes, time_field: bytes, *, is_new: bool = False) -> int:
        """Take the series that are those of a track from this place on; the position behind them, 0 for none."""
        course, index = place
        stretch = self._stretch
        apart = stretch is not None and (course.track.target is not stretch.target or time_field != stretch.time_field)
        if apart and place is self._left:
            self._left = None
            return 0
        timestamp_ms = six_byte_timestamp(time_field, 0)
        if timestamp_ms is None:
            return 0
        doubtful = place is self._left or is_new
        followed = follow(place, self._body, position, time_field, changes=self._changes_left, doubtful=doubtful)
        if followed is None:
            return 0
        self._changes_left -= followed.changed
        if apart:
            self._close(position)
        if self._stretch is None:
            self._stretch = _Stretch(followed.track.target, timestamp_ms, time_field, block, self._blocks_read)
            self._stretch.origin = place
        stretch = self._stretch
        stretch.followed.append(_Followed(followed.track, index, position, followed.values))
        if stretch.values:
            stretch.write_out()
        reached = index + len(followed.values)
        self._left = Place(course, reached) if reached < len(followed.track.columns) else None
        self._attempts_left = _ATTEMPTS
        return followed.end

    def _follow_like(self, known: KnownSeries, position: int, block: bytes, time_field: bytes) -> int:
        """A series of a new target: take those that follow another target's track, rewritten; as `_follow`."""
        fields = self._names.target_fields
        own = fields(block)
        others = [
            (fields(track.block(0)), track)
            for track in self._courses.alike(known.column)
            if track.target != known.target
        ]
        lengths = list(map(len, own))
        others.sort(key=lambda other: list(map(len, other[0])) != lengths)  # first those that it can share bytes with
        for theirs, track in others:
            rewritten = rewrite(track, known.target, theirs, own)
            if rewritten is None:
                continue
            course = Course(rewritten)
            if end := self._follow(Place(course, 0), position, block, time_field, is_new=True):
                self._courses.keep(course)
                return end
        return 0

    def _find_way_back(self, left: Place, column: Column) -> None:
        """A series was read where a track was left: it is the one expected in another form, a later one, or new."""
        (course, index), columns = left, left.track.columns
        self._attempts_left -= 1
        self._left = left if self._attempts_left else None
        for later, expected in enumerate(columns[index : index + _WINDOW_SERIES], start=index + 1):
            if expected.number == column.number:
                self._left = Place(course, later) if later < len(columns) else None
                return

    def decoded(self) -> Decoded:
        """The result, once everything is taken."""
        gather = self._gather
        samples = gather.finish()
        return Decoded(
            gather.frames,
            samples,
            gather.in_runs,
            gather.duplicates,
            self._ignored,
            self._without_samples,
            self._fields_skipped,
        )

    def _skip(self, position: int) -> int:
        """Pass a field that is no series; the position behind it."""
        self._close(position)
        self._gather.count(1)
        self._fields_skipped += 1
        tag, after_tag = decode_varint(self._body, position)
        if tag in _TAGS_OF_2_0:
            raise BadInput(
                f"protobuf: field {tag >> 3} at byte {position} is Remote Write 2.0's; "
                "send Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request with it"
            )
        return skip_field(self._body, tag, after_tag, len(self._body))

    def _bounds(self, position: int) -> tuple[int, int]:
        """Where the content of the series at `position` begins and ends."""
        two = self._body[position + 1 : position + 3]
        if len(two) == 2 and two[0] >= 0x80 > two[1]:  # 128 to 16383 bytes: nearly every series
            length, begin = two[0] & 0x7F | two[1] << 7, position + 3
        else:
            length, begin = decode_varint(self._body, position + 1)
        after = begin + length
        if after > len(self._body):
            raise BadInput(
                f"protobuf: series at byte {position} reaches byte {after}, the body ends at {len(self._body)}"
            )
        return begin, after

    def _read_block(self, block: bytes, after: int) -> KnownSeries | None:
        """Read the labels of a series that is nothing but `block` and one sample; None where it is not."""
        if not block or six_byte_timestamp(self._body, after - TIME_FIELD_BYTES) is None:
            return None
        self._blocks_read += 1
        return self._names.read(block)

    def _read_series(self, position: int, after: int) -> int:
        """Take the series at `position` field by field; the position behind it."""
        self._close(position)
        try:
            (series,) = decode_series(self._body[position:after], self._samples_max)
        except BadInput as error:
            raise type(error)(f"series at byte {position} of the body: {error}") from error
        known = self._names.find(series.label_block) or self._names.judge(series.label_block)
        self._ignored += series.ignored
        self._without_samples += not series.samples
        self._gather.count(1 + len(series.samples))
        self._gather.series(known, series.samples)
        return after

    def _close(self, end: int) -> None:
        """The stretch ends here, if there is one; what may come again is learned."""
        stretch, self._stretch, left, self._left = self._stretch, None, self._left, None
        if stretch is None:
            return
        at_end = end == len(self._body)
        if left is not None and at_end:
            self._courses.expect(left)
        if len(stretch.followed) == 1 and not stretch.values:
            (one,) = stretch.followed
            track, index = one.track, one.first
            if len(one.values) == len(track.columns):
                self._gather.known(track.target, track.layout, stretch.timestamp_ms, one.values)
                return
            if (left is not None and at_end) or index:
                self._gather.part_of(track.target, track.layout, index, stretch.timestamp_ms, one.values)
                return
        stretch.write_out()
        self._learn(stretch, end, left if at_end else None)
        samples = Samples(stretch.target, stretch.timestamp_ms)
        samples.columns, samples.values = stretch.segment.columns, stretch.values
        self._gather.stretch(samples)

    def _learn(self, stretch: _Stretch, end: int, rest: Place | None) -> None:
        """Keep a stretch, if it may come again: in the course where it began, or as one of its own.

        `rest` of a course would have followed.
        """
        columns, origin = stretch.segment.columns, stretch.origin
        if origin is None:
            if len(columns) < SHORTEST_TRACK_SERIES:
                return
            is_new = 2 * (self._blocks_read - stretch.read_before) > len(columns)
            if not is_new and not self._courses.came_before(stretch.key):
                return
        before = origin if origin is not None and origin.series else None
        layout = self._layout(before, columns, rest) or self._layout(None, columns, None)
        if layout is None:
            return  # a series came twice: the sequence is no sender's habit
        if len(layout.columns) == len(columns):
            before = rest = None
            if len(columns) < SHORTEST_TRACK_SERIES:
                return
        track = make_track(stretch.target, layout, self._body, end, stretch.segment)
        if before is not None or rest is not None:
            track = amended(track, layout, before, rest)
        reached = (before.series if before is not None else 0) + len(columns)
        if origin is not None and (before is not None or origin.series == 0):
            course = origin.course
            course.track = track
        else:
            course = self._courses.keep(Course(track))
        if rest is not None:
            self._courses.expect(Place(course, reached))

    def _layout(self, before: Place | None, columns: list[Column], rest: Place | None) -> Layout | None:
        """The layout of a stretch between two courses, None where a column comes twice."""
        head = before.track.columns[: before.series] if before is not None else ()
        tail = rest.track.columns[rest.series :] if rest is not None else ()
        return self._names.layout([*head, *columns, *tail])


def sample_places(body: bytes, after: int) -> tuple[int, int]:
    """If the series ending at `after` ends in a single sample: (where its value begins, where its labels end).

    The first is 0 where the sender omits the value, a zero; both are 0 where neither form is there. What lies before
    is a series' labels and nothing else only if it is known as a label block; then the form is certain.
    """
    if body[after - VALUE_SAMPLE_BYTES : after - _VALUE_BEFORE_END] == VALUE_SAMPLE:
        return after - _VALUE_BEFORE_END, after - VALUE_SAMPLE_BYTES
    if body[after - ZERO_SAMPLE_BYTES : after - TIME_FIELD_BYTES] == ZERO_SAMPLE:
        return 0, after - ZERO_SAMPLE_BYTES
    return 0, 0
