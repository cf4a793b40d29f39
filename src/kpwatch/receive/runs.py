"""Runs: stretches of a body that are the last scrape's bytes with other values. Pure.

Our agent writes one scrape as consecutive series of one target and one timestamp, each ending in one sample of
eighteen bytes (`12 10 09 value(8) 10 timestamp(6)`, see remote_write/v1.py). Next time only the values and the
timestamp differ. So a stretch that came twice is kept as a *run*: its bytes with those places blanked, and the
places. Found again, it costs one gather, one comparison of all other bytes and no look at any label:

    body   |head|value|10 time|head|value|10 time| ...
    blank  |head|00000|  0000 |head|00000|  0000 | ...

Nothing is assumed: a run is used only where every byte outside the places is equal, every tag is 0x10 and every
timestamp is the same six-byte varint. Anything else takes the general path (decode.py), with equal frames as result;
tests/unit/receive hold one path against the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import BadInput
from kpwatch.receive.recent import Recent
from kpwatch.remote_write.protobuf import decode_varint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kpwatch.model.frames import Layout
    from kpwatch.model.labels import Labels

TAIL_BYTES = 15
"""Of one sample from the first byte of its value: value (8), tag (1), timestamp (6)."""
SHORTEST_RUN_SERIES = 16
"""Below this many series a run costs more than it saves."""

_TIMESTAMP_TAG = 0x10
_TAIL = np.arange(TAIL_BYTES, dtype=np.int32)


class Run(NamedTuple):
    """One target's scrape as bytes; `blank` uint8 (bytes,), `places` int32 (series,): where values begin."""

    target: Labels
    layout: Layout
    blank: NDArray[np.uint8]
    places: NDArray[np.int32]


class Stretch(NamedTuple):
    """What the general path saw: consecutive series of one target and time, all of the eighteen-byte form."""

    key: bytes
    """Label block of the first series."""
    begin: int
    end: int
    places: Sequence[int]
    """Where in the body the values begin."""


class Runs:
    """The runs known so far, by the label block of their first series. One thread at a time."""

    def __init__(self, limit_bytes: int) -> None:
        seen_bytes = limit_bytes // 16
        self._runs: Recent[bytes, Run] = Recent(limit_bytes - seen_bytes, _run_bytes)
        self._seen: Recent[bytes, tuple[int, int]] = Recent(seen_bytes, lambda key, _: len(key) + 200)
        self.find = self._runs.get
        """The run that may begin with this label block, or None."""

    def learn(self, body: bytes, stretch: Stretch, target: Labels, layout: Layout) -> None:
        """Keep a stretch as a run when it comes for the second time with the same length and count."""
        shape = (stretch.end - stretch.begin, len(stretch.places))
        if self._seen.get(stretch.key) != shape:
            self._seen.put(stretch.key, shape)
            return
        blank = np.frombuffer(body, np.uint8, shape[0], stretch.begin).copy()
        places = np.array(stretch.places, np.int32) - np.int32(stretch.begin)
        blank[places[:, None] + _TAIL] = 0
        self._runs.put(stretch.key, Run(target, layout, blank, places))

    def forgotten(self) -> int:
        """How many runs were dropped for want of room."""
        return self._runs.forgotten


def match(run: Run, body: bytes, begin: int) -> tuple[int, NDArray[np.float64]] | None:
    """(timestamp_ms, values) where `body` continues at `begin` with this run, else None."""
    if begin + len(run.blank) > len(body):
        return None
    place = run.places[:, None] + _TAIL
    content = np.frombuffer(body, np.uint8, len(run.blank), begin).copy()
    tails = content[place]
    content[place] = 0
    if not np.array_equal(content, run.blank) or not (tails[:, 8:] == tails[0, 8:]).all():
        return None
    timestamp_ms = six_byte_timestamp(tails[0, 8:].tobytes(), 0)
    if timestamp_ms is None:
        return None
    return timestamp_ms, np.ascontiguousarray(tails[:, :8]).view("<f8")[:, 0].astype(np.float64, copy=False)


def six_byte_timestamp(body: bytes, place: int) -> int | None:
    """Value of the field at `place` if it is a timestamp whose varint takes exactly six bytes."""
    if body[place] != _TIMESTAMP_TAG:
        return None
    try:
        timestamp_ms, end = decode_varint(body, place + 1)
    except BadInput:
        return None  # the general path finds it again and names the place
    return timestamp_ms if end == place + 7 else None


def _run_bytes(key: bytes, run: Run) -> int:
    return len(key) + run.blank.nbytes + run.places.nbytes + 600
