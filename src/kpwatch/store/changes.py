"""What happened to the samples, for who keeps answers: does any of it lie in the stretch of time they were made from?

Each commit is noted with the least timestamp in it. Whatever may take samples away is noted as of all times; sealing
and merging, which leave samples as they are, are not noted. Whoever made an answer knows how many notes there were
before it was begun; of all notes since only the least timestamp matters. So a note that a later one undercuts is
forgotten, and of too many old ones two become one that says no less than both.

A note is written after readers can see what it is about and before anybody is told that it is committed. So an answer
without it is never taken for one with it.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import NamedTuple

from kpwatch.store.catalog import NEVER_MS

NOTES_MAX = 1024


class _Note(NamedTuple):
    number: int
    least_ms: int


class Changes:
    """Written by the store's thread, read by all."""

    def __init__(self) -> None:
        self.number = 0
        """Of the latest note."""
        self._notes: list[_Note] = []
        """Numbers and timestamps ascend."""
        self._lock = threading.Lock()

    def came(self, least_ms: int) -> None:
        """Samples at `least_ms` and later came."""
        with self._lock:
            notes = self._notes
            while notes and notes[-1].least_ms >= least_ms:
                notes.pop()
            notes.append(_Note(self.number + 1, least_ms))
            if len(notes) > NOTES_MAX:
                self._notes = _shorter(notes)
            self.number += 1

    def lost(self) -> None:
        """Samples may have gone, of any time."""
        self.came(-NEVER_MS)

    def least_ms_since(self, number: int) -> int:
        """The least time at which anything happened after so many notes."""
        if number == self.number:
            return NEVER_MS
        with self._lock:
            place = bisect_right(self._notes, number, key=_number)
            return self._notes[place].least_ms if place < len(self._notes) else NEVER_MS


def _number(note: _Note) -> int:
    return note.number


def _shorter(notes: list[_Note]) -> list[_Note]:
    """Of the older half two notes each as one: the later number, the earlier time."""
    older = NOTES_MAX // 2
    pairs = zip(notes[:older:2], notes[1:older:2], strict=True)
    return [_Note(later.number, earlier.least_ms) for earlier, later in pairs] + notes[older:]
