"""Chains: tracks of several targets, one behind the other, compared together. Pure.

A request that mixes targets is a dozen tracks of some hundred series each, and a numpy operation costs microseconds
however little it has to do. So where a body seems to go from one known place to the next, all of it is compared at
once, as whole.py does it for one track: values are taken out of the buffer that the body was decompressed to, the first
time of each track is subtracted from its times, and what is left has to be what is known.

A track is a *link* only where the body ends behind it, or goes on with a known place of another target or time:
anything else may belong to it, which the general path sees to (walk_v1.py). A zero that counts makes the body longer,
so that nothing known stands where the next link should begin: then the chain ends before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.receive.sample_form import (
    TIME_FIELD_BYTES,
    VALUE_SAMPLE,
    VALUE_SAMPLE_BYTES,
    ZERO_SAMPLE,
    ZERO_SAMPLE_BYTES,
    six_byte_timestamp,
)
from kpwatch.receive.tracks import valued_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels
    from kpwatch.receive.courses import Course, Courses
    from kpwatch.receive.tracks import Track

LINKS_MAX = 64
"""So many are compared at once at most: some megabytes of a body, and not all of it again where one of them differs."""

_SERIES_TAG = 0x0A
_TIME_WORD = 8
"""A word so far before a series' end has a byte of no interest, the time's tag and the time; the tag stays."""
_TIME_BITS = np.uint64(0xFFFF_FFFF_FFFF_0000)


class Link(NamedTuple):
    """Consecutive series of one track, as they may stand in a body."""

    course: Course
    track: Track
    first: int
    reached: int
    """Numbers of the first series and of the one behind the last."""
    position: int
    """Where they begin in the body."""
    shift: int
    """How far from its place on the track everything stands in the body."""
    timestamp_ms: int

    @property
    def end(self) -> int:
        """Where they end in the body."""
        return self.shift + int(self.track.starts[self.reached])

    def is_at(self, content: bytearray) -> bool:
        """Whether what is known stands there, blanked."""
        starts, blank = self.track.starts, self.track.blank
        if self.first == 0 and self.reached == len(self.track.columns):
            return content.startswith(blank, self.position)
        known = memoryview(blank)[int(starts[self.first]) : int(starts[self.reached])]
        return content.startswith(known, self.position)


def find_links(courses: Courses, body: bytes, position: int, before: tuple[Labels, bytes] | None = None) -> list[Link]:
    """The links that the body seems to consist of from `position` on.

    `before`: target and time field of what stands before it; a link is at another target or time.
    """
    links: list[Link] = []
    end = len(body)
    while position < end:
        if len(links) > LINKS_MAX:
            return links[:-1]
        block, time_field = _labels_and_time(body, position)
        place = courses.find(block) if block else None
        if place is None:
            return links[:-1]  # what comes here may belong to the last one
        course, index = place
        track = course.track
        if before is not None and before[0] is track.target and before[1] == time_field:
            return links[:-1]
        before = track.target, time_field
        timestamp_ms = six_byte_timestamp(time_field, 0)
        if timestamp_ms is None:
            return links
        shift, reached = position - int(track.starts[index]), len(track.columns)
        behind = shift + len(track.blank)
        if behind > end:
            behind, reached = end, int(track.starts.searchsorted(end - shift))
            if reached == index or track.starts[reached] != end - shift:
                return links
        links.append(Link(course, track, index, reached, position, shift, timestamp_ms))
        position = behind
    return links


def take(links: Sequence[Link], content: bytearray, words: NDArray[np.uint64]) -> list[NDArray[np.float64]]:
    """The values of each link, up to the first that is not there.

    `content` is the body, `words` are the words at each of its bytes; they are changed wherever a link was expected.
    """
    shifts = np.array([link.shift for link in links])
    counts = [link.reached - link.first for link in links]
    offsets = np.cumsum([0, *counts])
    valued, values_at = zip(*(valued_between(link.track, link.first, link.reached) for link in links), strict=True)
    at = np.concatenate(values_at) + shifts.repeat([len(places) for places in values_at])
    times_at = np.concatenate([link.track.starts[link.first + 1 : link.reached + 1] for link in links])
    times_at += (shifts - _TIME_WORD).repeat(counts)
    found = words[at]
    words[at] = 0
    times = words[times_at]
    words[times_at] = times - (times[offsets[:-1]] & _TIME_BITS).repeat(counts)
    for link in links:
        for places, word in link.track.own:
            words[places[link.first : link.reached] + link.shift] ^= word
    values = found.view("<f8")
    if len(found) < offsets[-1]:
        numbers = np.concatenate(valued)
        moved = offsets[:-1] - [link.first for link in links]
        values = np.zeros(offsets[-1])
        values[numbers + moved.repeat([len(one) for one in valued])] = found.view("<f8")
    taken = []
    for link, begin, end in zip(links, offsets.tolist(), offsets[1:].tolist(), strict=False):
        if not link.is_at(content):
            break
        taken.append(values[begin:end])
    return taken


def _labels_and_time(body: bytes, position: int) -> tuple[bytes, bytes]:
    """Labels and time field of the series at `position`, if it has the form nearly all have; empty if not."""
    head = body[position : position + 3]
    if len(head) < 3 or head[0] != _SERIES_TAG:
        return b"", b""
    if head[1] < 0x80:
        begin, after = position + 2, position + 2 + head[1]
    elif head[2] < 0x80:
        begin, after = position + 3, position + 3 + (head[1] & 0x7F | head[2] << 7)
    else:
        return b"", b""
    if after > len(body):
        return b"", b""
    time_field = body[after - TIME_FIELD_BYTES : after]
    for sample, length in _FORMS:
        if body.startswith(sample, after - length):
            return body[begin : after - length], time_field
    return b"", b""


_FORMS = ((VALUE_SAMPLE, VALUE_SAMPLE_BYTES), (ZERO_SAMPLE, ZERO_SAMPLE_BYTES))
