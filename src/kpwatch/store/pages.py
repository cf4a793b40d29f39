"""Rows of a damaged database, read from its pages without SQLite.

SQLite reaches a row through the pages above it, so one bad page above hides a thousand good ones below. But a leaf page
says all about its rows by itself, and a pointer map (we always have `auto_vacuum`) says of every page whether it is in
use. So every leaf in use is read, whatever stands above it. Whether a row is true is judged by its checksum, by who
asks; here only what cannot be a row is left out.

Format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.store.schema import PAGE_BYTES
from kpwatch.store.wal import read_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from kpwatch.store.wal import Log

HEADER_BYTES = 100
LEAF, INNER = 0x0D, 0x05
"""Types of a table's pages."""
ROOT, TREE = 1, 5
"""In the pointer map: a page that is the root of a tree, or another page of one."""
MAP_ENTRY = struct.Struct(">BI")
ENTRIES = PAGE_BYTES // MAP_ENTRY.size
LOCK_PAGE = (1 << 30) // PAGE_BYTES + 1
"""SQLite locks bytes here and keeps nothing."""
LOCAL_MAX = PAGE_BYTES - 35
LOCAL_MIN = (PAGE_BYTES - 12) * 32 // 255 - 23
CHAINED = PAGE_BYTES - 4
FIXED_BYTES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}

Value = int | float | bytes | None


class Row(NamedTuple):
    """A row of a table: TEXT as its bytes; the id stands as None among `values`."""

    number: int
    values: list[Value]


class NotARow(Exception):
    """Bytes where a row should be make none."""


class Image:
    """The pages of a database file and its log; a context manager."""

    def __init__(self, path: Path, log: Log | None = None) -> None:
        self._path = path
        self._log = read_log(path.with_name(f"{path.name}-wal")) if log is None else log
        self._file = path.open("rb")
        size = path.stat().st_size
        self._raw = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if size else None
        self._log_file = path.with_name(f"{path.name}-wal").open("rb") if self._log.pages else None
        self.count = max(self._log.page_count, -(-size // PAGE_BYTES))
        """Of the database, as far as file and log tell."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._raw, self._file, self._log_file):
            if file is not None:
                file.close()

    def page(self, number: int) -> bytes:
        """The newest undamaged version of a page; raises NotARow where there is none."""
        if not 0 < number <= self.count:
            raise NotARow
        offset = self._log.pages.get(number)
        if offset is not None:
            return self._logged(offset)
        start = (number - 1) * PAGE_BYTES
        page = self._raw[start : start + PAGE_BYTES] if self._raw is not None else b""
        return page + bytes(PAGE_BYTES - len(page))

    def _logged(self, offset: int) -> bytes:
        assert self._log_file is not None
        self._log_file.seek(offset)
        return self._log_file.read(PAGE_BYTES)

    def rows(self) -> Iterator[Row]:
        """The rows of all leaves in use, of whatever table; a row may come twice where a page is damaged."""
        for offset in self._log.damaged:
            yield from self._rows_in(self._logged(offset), 0)
        mapped = self._mapped()
        for number in [*sorted(mapped), *sorted(self._below(mapped) - mapped)]:
            yield from self._rows_of(number)

    def _mapped(self) -> set[int]:
        """Page 1 and those the pointer map calls parts of trees."""
        found = {1}
        for first in range(2, self.count + 1, ENTRIES + 1):
            at = first + (first == LOCK_PAGE)
            if at <= self.count:
                kinds = self.page(at)[: ENTRIES * MAP_ENTRY.size : MAP_ENTRY.size]
                found.update(at + 1 + index for index, kind in enumerate(kinds) if kind in (ROOT, TREE))
        return {number for number in found if number <= self.count}

    def _below(self, known: set[int]) -> set[int]:
        """What hangs below these pages and below the roots of the schema: where the pointer map is damaged."""
        found = set(known)
        schema = [row.values for row in self._rows_of(1)]
        waiting = list(found) + [v[3] for v in schema if len(v) == 5 and isinstance(v[3], int)]
        while waiting:
            number = waiting.pop()
            found.add(number)
            waiting += [child for child in self._children(number) if child not in found]
        return found

    def _children(self, number: int) -> list[int]:
        page, start = self._page_or_nothing(number)
        if page[start] != INNER:
            return []
        count = min(int.from_bytes(page[start + 3 : start + 5]), (PAGE_BYTES - start - 12) // 2)
        cells = [int.from_bytes(page[at : at + 2]) for at in range(start + 12, start + 12 + 2 * count, 2)]
        children = [int.from_bytes(page[at : at + 4]) for at in (start + 8, *cells)]
        return [child for child in children if 1 < child <= self.count]

    def _page_or_nothing(self, number: int) -> tuple[bytes, int]:
        """(page, where its header stands)."""
        try:
            return self.page(number), HEADER_BYTES if number == 1 else 0
        except NotARow:
            return bytes(PAGE_BYTES), 0

    def _rows_of(self, number: int) -> Iterator[Row]:
        yield from self._rows_in(*self._page_or_nothing(number))

    def _rows_in(self, page: bytes, start: int) -> Iterator[Row]:
        if page[start] != LEAF:
            return
        count = int.from_bytes(page[start + 3 : start + 5])
        for index in range(min(count, (PAGE_BYTES - start - 8) // 2)):
            place = start + 8 + 2 * index
            try:
                yield self._row(page, int.from_bytes(page[place : place + 2]))
            except NotARow:
                continue  # what the others lack is missing from the answer, and counted there

    def _row(self, page: bytes, at: int) -> Row:
        size, at = _varint(page, at)
        number, at = _varint(page, at)
        if number >> 63:
            number -= 1 << 64
        if size <= LOCAL_MAX:
            return Row(number, _record(page[at : at + size], size))
        if size > self.count * PAGE_BYTES:
            raise NotARow
        local = LOCAL_MIN + (size - LOCAL_MIN) % CHAINED
        local = local if local <= LOCAL_MAX else LOCAL_MIN
        pieces = [page[at : at + local]]
        following = int.from_bytes(page[at + local : at + local + 4])
        left = size - local
        while left > 0:
            chained = self.page(following)
            pieces.append(chained[4 : 4 + left])
            left -= CHAINED
            following = int.from_bytes(chained[:4])
        return Row(number, _record(b"".join(pieces), size))


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends)."""
    value = 0
    for place in range(at, min(at + 9, len(raw))):
        byte = raw[place]
        if place == at + 8:
            return value << 8 | byte, place + 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    raise NotARow


def _record(payload: bytes, size: int) -> list[Value]:
    if len(payload) != size:
        raise NotARow
    header_bytes, at = _varint(payload, 0)
    place = header_bytes
    values: list[Value] = []
    while at < header_bytes:
        kind, at = _varint(payload, at)
        length = FIXED_BYTES.get(kind, (kind - 12) // 2)
        piece = payload[place : place + length]
        if kind in (10, 11) or len(piece) != length:
            raise NotARow
        values.append(_value(kind, piece))
        place += length
    return values


def _value(kind: int, piece: bytes) -> Value:
    if kind == 0:
        return None
    if kind <= 6:
        return int.from_bytes(piece, signed=True)
    if kind == 7:
        return float(struct.unpack(">d", piece)[0])
    if kind <= 9:
        return kind - 8
    return piece
