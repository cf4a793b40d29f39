r"""An append-only log of checksummed records in segment files.

    DIRECTORY/<first sequence, 16 hex digits>.log
    segment  = "KPWLOG1\n" record*
    record   = sync(4) crc32(4) length(4) kind(1) zero(3) sequence(8) payload(length)      little endian

`crc32` covers everything behind itself. Sequences count up by one from record to record and are never used twice, so
a position in the log is one number. Invariants, whatever happened before:

- A record is in the log when `append` returns: one write(2). It survives the process at once and the machine after
  `sync`.
- A torn tail (a record cut by a crash) is cut off when the log is opened, and nothing else is ever deleted by reading.
- A damaged record costs itself: reading goes on at the next good one, found by its sync mark, sequence and checksum.
  The damaged bytes are reported to the reader, who counts them; they stay in the segment until it is dropped.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAGIC = b"KPWLOG1\n"
_ENDING = ".log"
SYNC = b"\xa5KPR"
_HEADER = struct.Struct("<4sIIB3xQ")
_CRC_FROM = 8
MAX_PAYLOAD_BYTES = 64 << 20


class Record(NamedTuple):
    """One record, or (`kind` None) a stretch of `payload` bytes that is damaged; `end` is the offset behind it."""

    sequence: int
    kind: int | None
    payload: bytes
    end: int


class Segment:
    """One file of the log."""

    def __init__(self, path: str, first_sequence: int, size_bytes: int) -> None:
        self.path = path
        self.first_sequence = first_sequence
        self.size_bytes = size_bytes

    def modified_seconds(self) -> float:
        """When it was last written, by the wall clock; raises OSError."""
        return os.stat(self.path).st_mtime

    def records(self, offset: int = len(MAGIC)) -> Iterator[Record]:
        """Records from `offset` on, damaged stretches included; raises OSError."""
        with open(self.path, "rb") as file:
            file.seek(offset)
            content = file.read()
        yield from read_records(content, offset)


def open_segments(directory: str) -> list[Segment]:
    """A log's segments, oldest first, for reading only; foreign files are left alone. Raises OSError."""
    segments = []
    for name in sorted(os.listdir(directory)):
        stem, ending = os.path.splitext(name)
        if ending == _ENDING and _is_sequence(stem):
            path = os.path.join(directory, name)
            segments.append(Segment(path, int(stem, 16), os.stat(path).st_size))
    return segments


class RecordLog:
    """The log in one directory; one process at a time."""

    def __init__(self, directory: str, segment_bytes: int) -> None:
        """Open or begin the log; raises OSError. A torn tail is cut: `torn_bytes` says how much that was."""
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._file: int | None = None
        self._unsynced_bytes = 0
        self.torn_bytes = 0
        os.makedirs(directory, exist_ok=True)
        self.segments = open_segments(directory)
        self.next_sequence = 1
        if self.segments:
            self._recover_tail(self.segments[-1])

    @property
    def size_bytes(self) -> int:
        """Of all segments together."""
        return sum(segment.size_bytes for segment in self.segments)

    @property
    def unsynced_bytes(self) -> int:
        """Written, but not yet sure to survive the machine."""
        return self._unsynced_bytes

    @property
    def wants_new_segment(self) -> bool:
        """Whether the next record would begin a new segment."""
        return self._file is None or self.segments[-1].size_bytes >= self._segment_bytes

    def append(self, kind: int, *payload: bytes, extend: bool = False) -> int:
        """Add a record and give its sequence; on OSError (a full disk) the log is as it was.

        The payload may come in pieces. `extend`: into the segment being written, full or not.
        """
        if self._file is None or (self.wants_new_segment and not extend):
            self._begin_segment()
        segment = self.segments[-1]
        header = _header(self.next_sequence, kind, payload)
        assert self._file is not None
        try:
            written = os.writev(self._file, (header, *payload))
            if written != len(header) + sum(map(len, payload)):
                raise OSError(28, "the disk took only a part of a record")  # noqa: TRY301 - undone below
        except OSError:
            os.ftruncate(self._file, segment.size_bytes)
            raise
        segment.size_bytes += written
        self._unsynced_bytes += written
        self.next_sequence += 1
        return self.next_sequence - 1

    def sync(self) -> None:
        """Make everything appended survive the machine; raises OSError."""
        if self._file is not None and self._unsynced_bytes:
            os.fdatasync(self._file)
        self._unsynced_bytes = 0

    def drop_first_segment(self) -> None:
        """Delete the oldest segment; never the one that is being written."""
        assert len(self.segments) > 1, "the segment being written stays"
        with suppress(FileNotFoundError):
            os.unlink(self.segments.pop(0).path)

    def segment_of(self, sequence: int) -> Segment | None:
        """The segment in which `sequence` would stand; the first one for a sequence that is gone already."""
        found = None
        for segment in self.segments:
            if found is None or segment.first_sequence <= sequence:
                found = segment
        return found

    def close(self) -> None:
        """Sync and close; raises OSError."""
        if self._file is not None:
            self.sync()
            os.close(self._file)
            self._file = None

    def _begin_segment(self) -> None:
        if self._file is not None:
            self.sync()
            os.close(self._file)
            self._file = None
        path = os.path.join(self._directory, f"{self.next_sequence:016x}{_ENDING}")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(file, 0)
            os.write(file, MAGIC)
        except OSError:
            os.close(file)
            with suppress(FileNotFoundError):
                os.unlink(path)
            raise
        self._file = file
        self.segments.append(Segment(path, self.next_sequence, len(MAGIC)))

    def _recover_tail(self, last: Segment) -> None:
        end, self.next_sequence = len(MAGIC), last.first_sequence
        for record in last.records():
            if record.kind is not None:
                end, self.next_sequence = record.end, record.sequence + 1
        self.torn_bytes = max(0, last.size_bytes - end)
        file = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        if last.size_bytes < len(MAGIC):
            os.ftruncate(file, 0)
            os.write(file, MAGIC)
        else:
            os.ftruncate(file, end)
        last.size_bytes = end
        self._file = file


def encode_record(sequence: int, kind: int, payload: bytes) -> bytes:
    """A record's bytes."""
    return _header(sequence, kind, (payload,)) + payload


def _header(sequence: int, kind: int, payload: Sequence[bytes]) -> bytes:
    size_bytes = sum(map(len, payload))
    checksum = zlib.crc32(_HEADER.pack(SYNC, 0, size_bytes, kind, sequence)[_CRC_FROM:])
    for piece in payload:
        checksum = zlib.crc32(piece, checksum)
    return _HEADER.pack(SYNC, checksum, size_bytes, kind, sequence)


def read_records(content: bytes, base: int = 0) -> Iterator[Record]:
    """Records of a segment's bytes that begin at file offset `base`; a damaged stretch comes as one item."""
    position = damaged_from = 0
    while position < len(content):
        record = _record_at(content, position)
        if record is None:
            position = content.find(SYNC, position + 1)
            if position < 0:
                break
            continue
        if position > damaged_from:
            yield Record(0, None, content[damaged_from:position], base + position)
        yield record._replace(end=base + record.end)
        position = damaged_from = record.end
    if damaged_from < len(content):
        yield Record(0, None, content[damaged_from:], base + len(content))


def _record_at(content: bytes, position: int) -> Record | None:
    if position + _HEADER.size > len(content):
        return None
    sync, checksum, length, kind, sequence = _HEADER.unpack_from(content, position)
    end = position + _HEADER.size + length
    if sync != SYNC or length > MAX_PAYLOAD_BYTES or end > len(content):
        return None
    if zlib.crc32(memoryview(content)[position + _CRC_FROM : end]) != checksum:
        return None
    return Record(sequence, kind, content[position + _HEADER.size : end], end)


def _is_sequence(stem: str) -> bool:
    return len(stem) == 16 and all(character in "0123456789abcdef" for character in stem)
