"""Columns of many blocks, decoded together.

A question about a fleet wants little of each of many blocks: one column, some thousand rows. What it costs then is not
the numbers but the calls, of the decompressor and of numpy, so each is made once for all: the groups that hold wanted
streams are decompressed as one sequence of frames, streams of one length and width are run as one matrix. And a stream
is run once, however many columns move by it: those of a histogram are eighty and their streams five. What is left to do
for each column is to add its first value.

A damaged block must not take the others with it: what is wrong with a piece is its own answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.model.numbers import STALE_NAN_BITS
from kpwatch.store.packing import Damaged, decompress, decompress_many
from kpwatch.store.streams import CONSTANT, Way, run, way_of, write_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kpwatch.store.block import BlockReader, StoredPart
    from kpwatch.store.parts import Bits

    Places = NDArray[np.int64]
    Group = NDArray[np.uint8]
    """Planes: (width, streams, rows - 1)."""

RUN_NUMBERS = 1 << 16
"""So many numbers are run at once, about: what is made on the way stays in the processor's cache."""
UNPACKED_BYTES = 4 << 20
"""So many bytes of groups are unpacked at once, about."""


class Piece(NamedTuple):
    """Some columns of a part of a block, and where they are wanted."""

    reader: BlockReader
    part: StoredPart
    places: Places
    """Of the columns in `part.columns`."""
    bits: Bits
    """(len(places), part.rows), to be written."""


def decode(pieces: Sequence[Piece]) -> list[str]:
    """Write all pieces; for each "", or why it could not be read, and then its bits are anything.

    No exceptions: their tracebacks would hold readers, and these a snapshot of the database.
    """
    outcomes = [""] * len(pieces)
    waiting: list[_Decoding] = []
    held = 0
    for number, piece in enumerate(pieces):
        try:
            decoding = _Decoding(number, piece)
        except Damaged as error:
            outcomes[number] = str(error)
            continue
        waiting.append(decoding)
        held += decoding.unpacked_bytes
        if held > UNPACKED_BYTES:
            _decode(waiting, outcomes)
            waiting, held = [], 0
    _decode(waiting, outcomes)
    return outcomes


class _Neighbours(NamedTuple):
    """Columns side by side that move in the same way by the same streams."""

    begin: int
    end: int
    kind: int
    stream: int
    residual: int
    """1 + its number, or 0."""


class _Decoding:
    """A piece on its way; raises Damaged where its groups are not what was written."""

    def __init__(self, number: int, piece: Piece) -> None:
        self.number = number
        self.piece = piece
        part, places = piece.part, piece.places
        self.firsts = part.firsts[places]
        self.neighbours = list(_neighbours(part, places))
        self.wanted = {(one.stream, way_of(one.kind)) for one in self.neighbours if one.kind != CONSTANT}
        self.wanted |= {(one.residual - 1, Way.ONCE) for one in self.neighbours if one.residual}
        self.group_of = {stream: _group_of(part, stream) for stream, _ in self.wanted}
        self.packed: dict[int, bytes | memoryview] = {}
        self.groups: dict[int, Group] = {}
        for group in dict.fromkeys(self.group_of.values()):
            kept = piece.reader.kept(part, group)
            if kept is None:
                self.packed[group] = piece.reader.packed_group(part, group)
            else:
                self.groups[group] = kept
        self.runs: dict[tuple[int, Way], NDArray[np.int64]] = {}

    @property
    def unpacked_bytes(self) -> int:
        return sum(map(self.piece.part.group_bytes, self.packed))

    def unpacked(self, group: int, raw: NDArray[np.uint8]) -> None:
        self.groups[group] = raw.reshape(self.piece.part.group_shape(group))
        self.piece.reader.keep(self.piece.part, group, self.groups[group])

    def planes(self, stream: int) -> Group:
        group = self.group_of[stream]
        return self.groups[group][:, stream - self.piece.part.bounds[group]]

    def write(self) -> None:
        part, bits = self.piece.part, self.piece.bits
        for begin, end, kind, stream, residual in self.neighbours:
            some, firsts = bits[begin:end], self.firsts[begin:end]
            if kind == CONSTANT:
                some[:] = firsts[:, None]
            else:
                off = self.runs[residual - 1, Way.ONCE] if residual else None
                write_columns(kind, firsts, self.runs[stream, way_of(kind)], off, some)
        if len(part.stale):
            bits[:, part.stale] = STALE_NAN_BITS


def _neighbours(part: StoredPart, places: Places) -> Iterable[_Neighbours]:
    if len(places) == 1:  # most questions want one, of many blocks
        (place,) = places.tolist()
        off = int(part.residual_of[place]) if len(part.residual_of) else 0
        return (_Neighbours(0, 1, int(part.kinds[place]), int(part.stream_of[place]), off),)
    kinds, streams, residuals = part.kinds[places], part.stream_of[places], part.residual_of
    offs = residuals[places] if len(residuals) else np.zeros_like(streams)
    differs = (kinds[1:] != kinds[:-1]) | (streams[1:] != streams[:-1]) | (offs[1:] != offs[:-1])
    begins = [0, *(differs.nonzero()[0] + 1).tolist()] if len(places) else []
    alike = (begins, [*begins[1:], len(places)], *(one[begins].tolist() for one in (kinds, streams, offs)))
    return map(_Neighbours, *alike)


def _group_of(part: StoredPart, stream: int) -> int:
    if stream >= part.bounds[-1]:
        raise Damaged(f"a column points to stream {stream}, there are {part.bounds[-1]}")
    return bisect_right(part.bounds, stream) - 1


def _decode(waiting: Sequence[_Decoding], outcomes: list[str]) -> None:
    whole = _unpack(waiting, outcomes)
    _run(whole)
    for decoding in whole:
        decoding.write()


def _unpack(waiting: Sequence[_Decoding], outcomes: list[str]) -> list[_Decoding]:
    """Those whose groups could be unpacked."""
    groups = [(one, group, packed) for one in waiting for group, packed in one.packed.items()]
    if not groups:
        return list(waiting)
    lengths = [one.piece.part.group_bytes(group) for one, group, _ in groups]
    try:
        unpacked = decompress_many([packed for *_, packed in groups], lengths)
    except Damaged:
        pass  # each for itself: then it is known whose it is
    else:
        for (one, group, _), raw in zip(groups, unpacked, strict=True):
            one.unpacked(group, raw)
        return list(waiting)
    whole: list[_Decoding] = []
    for one in waiting:
        try:
            for group, packed in one.packed.items():
                one.unpacked(group, decompress(packed, one.piece.part.group_bytes(group)))
        except Damaged as error:
            outcomes[one.number] = str(error)
        else:
            whole.append(one)
    return whole


def _run(whole: Sequence[_Decoding]) -> None:
    """What each wanted stream comes to, row by row; those of one form together."""
    alike: defaultdict[tuple[int, int, Way], list[tuple[_Decoding, int]]] = defaultdict(list)
    for one in whole:
        part = one.piece.part
        for stream, way in one.wanted:
            alike[part.rows, part.widths[one.group_of[stream]], way].append((one, stream))
    for (rows, _, way), streams in alike.items():
        count = max(1, RUN_NUMBERS // rows)
        for first in range(0, len(streams), count):
            some = streams[first : first + count]
            lines = run(np.array([one.planes(stream) for one, stream in some]), way)
            for (one, stream), line in zip(some, lines, strict=True):
                one.runs[stream, way] = line
