"""The bytes of a block: one target over a stretch of time. Drawn in docs/formats/block.md.

A block is a *head* and *groups*. The head says, part by part, which columns and timestamps there are, each column's
first value and the stream it moves by; a group holds some streams, compressed together. So a query reads the head and
the few groups its columns point to, and every piece it reads has a checksum of its own.

A row of staleness markers (a target that went away) would make every constant column vary. Columns that are stale at
the same rows are put in a part of their own, the rows are noted once, and the cells are filled with the value before.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kpwatch.model.numbers import STALE_NAN_BITS
from kpwatch.store.decoding import Piece, decode
from kpwatch.store.packing import Damaged, assemble, compress, compress_fast, decompress_fast, planes, width_of
from kpwatch.store.parts import Part
from kpwatch.store.streams import CONSTANT, encode_columns, unzigzag, zigzag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from kpwatch.store.parts import Bits, Ids, Times

MAGIC = b"KPB1"
PREFIX = struct.Struct("<4sIII")  # magic, bytes of the head, bytes of the head uncompressed, crc32 of the head
PART = struct.Struct("<IIIIIq7B")  # rows, columns, stale rows, groups, first column, first timestamp, widths of arrays
GROUP = struct.Struct("<IIII")  # streams up to its end, width of a number, bytes, crc32
GROUP_BYTES = 16 << 10
"""Uncompressed bytes of a group: what a query for one column has to decompress."""
HEAD_BYTES_MAX = 1 << 30
NO_STREAMS: NDArray[np.uint32] = np.zeros(0, np.uint32)
NO_ROWS: NDArray[np.int64] = np.zeros(0, np.int64)


class Source(Protocol):
    """Where the bytes of a block come from: all in memory, or piecewise from the disk."""

    def __call__(self, offset: int, length: int) -> bytes | memoryview:
        """`length` bytes from `offset`."""
        ...


def encode_block(parts: Sequence[Part], level: int) -> bytes:
    """The bytes of merged parts (as `parts.merge` returns them); `level` is zstd's."""
    writer = BlockWriter(level)
    writer.add(parts)
    return writer.finish()


class BlockWriter:
    """A block that is made of runs of columns, so that nobody has to hold or encode all of it at once."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._sections: list[_Section] = []
        self._open: dict[tuple[bytes, bytes], _Section] = {}

    def add(self, parts: Sequence[Part]) -> None:
        """Merged parts; their columns come after those of any part with the same timestamps that was added before."""
        for whole in parts:
            for part, stale in _split_stale(whole):
                key = (part.timestamps_ms.tobytes(), stale.tobytes())
                section = self._open.get(key)
                if section is None:
                    section = self._open[key] = _Section(part.timestamps_ms, stale)
                    self._sections.append(section)
                section.add(part, self._level)

    def finish(self) -> bytes:
        """All of it."""
        raw = b"".join((struct.pack("<I", len(self._sections)), *(section.head() for section in self._sections)))
        packed = compress_fast(raw)
        groups = [group for section in self._sections for group in section.groups]
        return b"".join((PREFIX.pack(MAGIC, len(packed), len(raw), zlib.crc32(packed)), packed, *groups))


def _split_stale(part: Part) -> Iterator[tuple[Part, NDArray[np.int64]]]:
    """(part without staleness markers, rows that had them) for each set of rows that some columns share."""
    stale = part.bits == STALE_NAN_BITS
    lines = stale.any(axis=1)
    if not bool(lines.any()):
        yield part, NO_ROWS
        return
    packed = np.ascontiguousarray(np.packbits(stale, axis=1))
    _, group = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_inverse=True)
    for number in range(int(group.max()) + 1):
        chosen = group == number
        mask = stale[np.argmax(chosen)]
        bits = _fill(part.bits[chosen], mask) if mask.any() else part.bits[chosen]
        yield Part(part.columns[chosen], part.timestamps_ms, bits), np.flatnonzero(mask)


def _fill(bits: Bits, mask: NDArray[np.bool_]) -> Bits:
    """Masked rows get the value of the row before them, leading ones that of the first unmasked row."""
    kept = np.flatnonzero(~mask)
    if not len(kept):
        return np.zeros_like(bits)
    return bits[:, kept[np.maximum(np.searchsorted(kept, np.arange(len(mask)), side="right") - 1, 0)]]


class _Section:
    """A part as it grows by runs of columns."""

    def __init__(self, timestamps_ms: Times, stale: NDArray[np.int64]) -> None:
        self._timestamps_ms = timestamps_ms
        self._stale = stale
        self._runs: list[tuple[NDArray[Any], ...]] = []
        """(columns, kinds, firsts, stream_of, residual_of) of each."""
        self._streams = 0
        self._table: list[bytes] = []
        self.groups: list[bytes] = []

    def add(self, part: Part, level: int) -> None:
        """Encode a run of columns."""
        encoded = encode_columns(part.bits)
        moves, has_residual = encoded.kinds != CONSTANT, encoded.residual_of > 0
        encoded.stream_of[moves] += self._streams
        encoded.residual_of[has_residual] += self._streams
        for first, end in pairwise(_group_bounds(encoded.widths.tolist(), part.rows - 1)):
            width = int(encoded.widths[end - 1])
            group = compress(planes(encoded.streams[first:end].ravel(), width), level)
            self.groups.append(group)
            self._table.append(GROUP.pack(self._streams + end, width, len(group), zlib.crc32(group)))
        self._streams += len(encoded.streams)
        self._runs.append((part.columns, encoded.kinds, encoded.firsts, encoded.stream_of, encoded.residual_of))

    def head(self) -> bytes:
        """The head's piece for this part."""
        columns, kinds, firsts, stream_of, residual_of = map(np.concatenate, zip(*self._runs, strict=True))
        steps = self._timestamps_ms[1:] - self._timestamps_ms[:-1]
        arrays = (
            np.diff(columns).astype(np.uint64),
            zigzag(np.diff(steps, prepend=0)),
            self._stale.astype(np.uint64),
            kinds.astype(np.uint64),
            firsts.view(np.uint64),
            stream_of.astype(np.uint64),
            residual_of.astype(np.uint64),
        )
        widths = [width_of(array) for array in arrays]
        counts = (len(self._timestamps_ms), len(columns), len(self._stale), len(self.groups))
        first = (int(columns[0]), int(self._timestamps_ms[0]))
        packed = [planes(array, width) for array, width in zip(arrays, widths, strict=True)]
        return b"".join((PART.pack(*counts, *first, *widths), *self._table, *packed))


def _group_bounds(widths: list[int], length: int) -> list[int]:
    """First stream of each group and the number of streams: neighbours, as many as GROUP_BYTES hold, one at least."""
    bounds = [0]
    for stream, width in enumerate(widths):
        if stream > bounds[-1] and width * length * (stream + 1 - bounds[-1]) > GROUP_BYTES:
            bounds.append(stream)
    return [*bounds, len(widths)] if widths else bounds


@dataclass(slots=True, eq=False)
class StoredPart:
    """A part as the head describes it."""

    rows: int
    columns: Ids
    timestamps_ms: Times
    stale: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    firsts: Bits
    stream_of: NDArray[np.uint32]
    residual_of: NDArray[np.uint32]
    """Empty where no column has one."""
    bounds: list[int]
    """First stream of each group, and behind the last."""
    widths: list[int]
    offsets: list[int]
    """Where in the block each group starts, and behind the last."""
    checksums: list[int]

    @property
    def size(self) -> int:
        """Bytes of the arrays that belong to this part alone."""
        own = (self.timestamps_ms, self.kinds, self.firsts, self.stream_of, self.residual_of)
        return sum(array.nbytes for array in own) + 150 * len(self.bounds)

    def group_shape(self, group: int) -> tuple[int, int, int]:
        """(width, streams, numbers) of a group's planes."""
        return self.widths[group], self.bounds[group + 1] - self.bounds[group], self.rows - 1

    def group_bytes(self, group: int) -> int:
        """Bytes of a group, unpacked."""
        width, streams, numbers = self.group_shape(group)
        return width * streams * numbers


class BlockReader:
    """Reads a block through its source; every method raises Damaged where a checksum or the form is wrong."""

    def __init__(
        self,
        source: Source,
        known: dict[bytes, Ids] | None = None,
        parts: list[StoredPart] | None = None,
        *,
        keep: bool = False,
    ) -> None:
        """`known`: column sets seen so far, by their packed bytes; equal sets are one array for all who share it.

        `parts`: the block's own, from another reader of it; then its head is not read again. `keep`: groups stay
        unpacked, for who reads all columns, some at a time.
        """
        self._source = source
        self._kept: dict[int, NDArray[np.uint8]] | None = {} if keep else None
        if parts is not None:
            self.parts = parts
            return
        magic, packed_bytes, raw_bytes, checksum = PREFIX.unpack(source(0, PREFIX.size))
        if magic != MAGIC or raw_bytes > HEAD_BYTES_MAX:
            raise Damaged(f"a block starts with {MAGIC!r}, this one with {magic!r} and a head of {raw_bytes} bytes")
        packed = source(PREFIX.size, packed_bytes)
        if zlib.crc32(packed) != checksum:
            raise Damaged("the head of the block has a wrong checksum")
        head = decompress_fast(packed, raw_bytes)
        self.parts = _read_head(head, PREFIX.size + packed_bytes, {} if known is None else known)

    def select(self, part: StoredPart, places: NDArray[np.int64]) -> Bits:
        """Bit patterns (len(places), rows) of the columns at `places` in `part.columns`."""
        bits = np.empty((len(places), part.rows), np.int64)
        (outcome,) = decode([Piece(self, part, places, bits)])
        if outcome:
            raise Damaged(outcome)
        return bits

    def everything(self) -> list[Part]:
        """All parts, decoded."""
        return [
            Part(part.columns, part.timestamps_ms, self.select(part, np.arange(len(part.columns))))
            for part in self.parts
        ]

    def packed_group(self, part: StoredPart, group: int) -> bytes | memoryview:
        """A group as it is stored."""
        start, end = part.offsets[group], part.offsets[group + 1]
        packed = self._source(start, end - start)
        if zlib.crc32(packed) != part.checksums[group]:
            raise Damaged(f"bytes {start} to {end} of the block have a wrong checksum")
        return packed

    def kept(self, part: StoredPart, group: int) -> NDArray[np.uint8] | None:
        """A group that was unpacked before, where such are kept."""
        return self._kept.get(part.offsets[group]) if self._kept is not None else None

    def keep(self, part: StoredPart, group: int, planes: NDArray[np.uint8]) -> None:
        """Keep an unpacked group, where such are kept."""
        if self._kept is not None:
            self._kept[part.offsets[group]] = planes


def _read_head(raw: NDArray[np.uint8], offset: int, known: dict[bytes, Ids]) -> list[StoredPart]:
    parts: list[StoredPart] = []
    at = 4
    for _ in range(struct.unpack_from("<I", raw.data)[0]):
        part, at = _read_part(raw, at, offset, known)
        parts.append(part)
        offset = part.offsets[-1]
    return parts


def _read_part(raw: NDArray[np.uint8], at: int, offset: int, known: dict[bytes, Ids]) -> tuple[StoredPart, int]:
    """(the part described at `at`, where its description ends)."""
    rows, columns, stale, groups, first_column, first_time, *widths = PART.unpack_from(raw.data, at)
    at += PART.size
    ends, group_widths, sizes, checksums = raw[at : at + GROUP.size * groups].view("<u4").reshape(groups, 4).T.tolist()
    at += GROUP.size * groups
    arrays: list[NDArray[np.uint8]] = []
    for width, count in zip(widths, (columns - 1, rows - 1, stale, columns, columns, columns, columns), strict=True):
        arrays.append(raw[at : at + width * count].reshape(width, count))
        at += width * count
    part = StoredPart(
        rows,
        _read_columns(first_column, arrays[0], known),
        _read_times(first_time, arrays[1]),
        assemble(arrays[2]).view(np.int64) if stale else NO_ROWS,
        arrays[3][0].copy() if widths[3] else np.zeros(columns, np.uint8),
        assemble(arrays[4]).view(np.int64),
        assemble(arrays[5]).astype(np.uint32),
        assemble(arrays[6]).astype(np.uint32) if widths[6] else NO_STREAMS,
        [0, *ends],
        group_widths,
        list(accumulate(sizes, initial=offset)),
        checksums,
    )
    return part, at


def _read_columns(first: int, steps: NDArray[np.uint8], known: dict[bytes, Ids]) -> Ids:
    key = first.to_bytes(4) + steps.tobytes()
    ids = known.get(key)
    if ids is None:
        ids = np.empty(steps.shape[1] + 1, np.uint32)
        ids[0] = first
        ids[1:] = first + np.cumsum(assemble(steps))
        known[key] = ids
    return ids


def _read_times(first: int, planes_of_steps: NDArray[np.uint8]) -> Times:
    rows = planes_of_steps.shape[1] + 1
    if not planes_of_steps[:, 1:].any():  # a clock's beat
        step = int(unzigzag(assemble(planes_of_steps[:, :1])).sum())
        return first + step * np.arange(rows, dtype=np.int64)
    times = np.empty(rows, np.int64)
    times[0] = first
    np.cumsum(unzigzag(assemble(planes_of_steps)), out=times[1:])
    np.cumsum(times, out=times)
    return times


def memory_source(body: bytes) -> Source:
    """A source over a block that is in memory; raises Damaged past its end."""
    view = memoryview(body)

    def read(offset: int, length: int) -> memoryview:
        piece = view[offset : offset + length]
        if len(piece) != length:
            raise Damaged(f"the block ends at {len(view)}, {length} bytes are asked for at {offset}")
        return piece

    return read
