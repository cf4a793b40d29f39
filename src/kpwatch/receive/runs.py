"""Runs: stretches of a 2.0 body that are the last scrape's bytes with other values. Pure.

Our agent writes one scrape as consecutive series of one target and one timestamp, each ending in one sample of
eighteen bytes (`12 10 09 value(8) 10 timestamp(6)`, see remote_write/v1.py). Next time only the values and the
timestamp differ. So a stretch of series never seen before, and any stretch that came twice, is kept as a *run*: its
bytes with those places blanked, and the places. Found again, it costs one gather, one comparison of all other bytes
and no look at any label:

    body   |head|value|10 time|head|value|10 time| ...
    blank  |head|00000|  0000 |head|00000|  0000 | ...

Nothing is assumed: a run is used only where every byte outside the places is equal, every tag is 0x10 and every
timestamp is the same six-byte varint. Anything else takes the general path (decode.py), with equal frames as result;
tests/unit/receive hold one path against the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.recent import Recent
from kpwatch.receive.sample_form import six_byte_timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kpwatch.model.frames import Layout
    from kpwatch.model.labels import Labels

SHORTEST_RUN_SERIES = 16
"""Below this many series a run costs more than it saves."""

_WORD = "<u8"
_TAIL_FROM_VALUE = 7  # a word from here: the value's last byte, the tag, the timestamp


class Run(NamedTuple):
    """One target's scrape as bytes, places blanked; `places` intp (series,): where values begin."""

    target: Labels
    layout: Layout
    blank: bytes
    places: NDArray[np.intp]
    metadata: int
    """How many of the series describe their family (2.0)."""
    starts: int
    """How many say when they began to count (2.0)."""
    shared: bool = False
    """Whether its bytes are those of another run (kinds.py)."""


class StretchBytes(NamedTuple):
    """Where the general path saw consecutive series of one target and time, all of the eighteen-byte form."""

    body: bytes
    begin: int
    end: int
    places: Sequence[int]
    """Where in the body the values begin."""


class Runs:
    """The runs known so far, by the bytes that name their first series. One thread at a time."""

    def __init__(self, limit_bytes: int) -> None:
        seen_bytes = limit_bytes // 16
        self._runs: Recent[bytes, Run] = Recent(limit_bytes - seen_bytes, _run_bytes)
        self._seen: Recent[bytes, tuple[int, int]] = Recent(seen_bytes, lambda key, _: len(key) + 200)
        self.find = self._runs.get
        """The run that may begin with these bytes, or None."""

    def came_before(self, key: bytes, seen: StretchBytes) -> bool:
        """Whether the latest stretch asked about under this key had the same length and count."""
        shape = (seen.end - seen.begin, len(seen.places))
        if self._seen.get(key) == shape:
            return True
        self._seen.put(key, shape)
        return False

    def keep(self, key: bytes, run: Run) -> None:
        """Bodies may continue with this run where they continue with these bytes."""
        self._runs.put(key, run)

    def keep_like(self, key: bytes, run: Run) -> None:
        """The same for a run that shares its bytes with another."""
        self._runs.put(key, run._replace(shared=True))

    def forgotten(self) -> int:
        """How many runs were dropped for want of room."""
        return self._runs.forgotten


def make_run(seen: StretchBytes, target: Labels, layout: Layout, metadata: int, starts: int) -> Run:
    """A stretch as a run."""
    content = bytearray(memoryview(seen.body)[seen.begin : seen.end])
    places = np.array(seen.places, np.intp) - seen.begin
    _take_words(content, places)
    return Run(target, layout, bytes(content), places, metadata, starts)


def match(run: Run, body: bytes, begin: int) -> tuple[int, NDArray[np.float64]] | None:
    """(timestamp_ms, values) where `body` continues at `begin` with this run, else None."""
    content = bytearray(memoryview(body)[begin : begin + len(run.blank)])
    if len(content) < len(run.blank):
        return None
    values, tails = _take_words(content, run.places)
    if content != run.blank or (tails != tails[0]).any():
        return None
    timestamp_ms = six_byte_timestamp(int(tails[0]).to_bytes(8, "little"), 0)
    return None if timestamp_ms is None else (timestamp_ms, values.view("<f8").astype(np.float64, copy=False))


def _take_words(content: bytearray, places: NDArray[np.intp]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Values and, in their low seven bytes, timestamp fields at `places`, each uint64 (series,); blanks them."""
    words = np.ndarray((len(content) - 7,), _WORD, content, 0, (1,))  # a word at every byte, however it is aligned
    values = words[places]
    tail_places = places + _TAIL_FROM_VALUE
    tails = words[tail_places] >> np.uint64(8)
    words[places] = 0
    words[tail_places] = 0
    return values, tails


def _run_bytes(key: bytes, run: Run) -> int:
    return len(key) + (0 if run.shared else len(run.blank) + run.places.nbytes) + 600
