"""Blocks as rows of the database.

A row says what its block covers, so that a query touches only blocks it needs; that it says so truly is in the row's
checksum. Small blocks are read whole, large ones piece by piece.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.store.block import BlockReader, Source, memory_source
from kpwatch.store.packing import Damaged
from kpwatch.store.parts import row_count, sample_count
from kpwatch.store.schema import crc, is_damage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kpwatch.store.block import StoredPart
    from kpwatch.store.parts import Ids, Part

COVERS = struct.Struct("<qqqqqq")  # target, start, end, rows, samples, bytes of the body
INLINE_BYTES = 64 << 10
"""Blocks up to this size are read at once; larger ones where a query needs them."""


ROW = """
    SELECT id, target, start_ms, end_ms, row_count, sample_count, checksum, length(body)
    FROM blocks """
OVERLAPPING = ROW + "WHERE target = ? AND start_ms <= ? AND end_ms >= ? ORDER BY id"
TOGETHER = 32
"""Targets that are listed with one statement."""
OVERLAPPING_OF_SOME = (
    f"{ROW}WHERE target IN ({', '.join('?' * TOGETHER)}) AND start_ms <= ? AND end_ms >= ? ORDER BY id"
)
NO_TARGET = -1
ONE = ROW + "WHERE id = ?"
NUMBERS = "SELECT id FROM blocks WHERE target = ? AND start_ms <= ? AND end_ms >= ? AND id > ? ORDER BY id"


class BlockRow(NamedTuple):
    """What is known of a block without opening it."""

    number: int
    target: int
    start_ms: int
    end_ms: int
    rows: int
    samples: int


def make_row(number: int, target: int, parts: Sequence[Part]) -> BlockRow:
    """What a block of merged `parts` (at least one) covers."""
    start_ms = min(int(part.timestamps_ms[0]) for part in parts)
    end_ms = max(int(part.timestamps_ms[-1]) for part in parts)
    return BlockRow(number, target, start_ms, end_ms, row_count(parts), sample_count(parts))


def insert(connection: sqlite3.Connection, row: BlockRow, body: bytes) -> None:
    """Write a block, in a transaction of the caller's."""
    connection.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, checksum(row, len(body)), body))


def checksum(row: BlockRow, body_bytes: int) -> int:
    """Checksum of what a row says; the body has its own."""
    return crc(row.number, COVERS.pack(*row[1:], body_bytes))


def delete(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Delete blocks, in a transaction of the caller's."""
    connection.executemany("DELETE FROM blocks WHERE id = ?", [(number,) for number in numbers])


def of_target(connection: sqlite3.Connection, target: int) -> list[BlockRow]:
    """All blocks of a target, oldest first."""
    query = "SELECT id, target, start_ms, end_ms, row_count, sample_count FROM blocks WHERE target = ? ORDER BY id"
    return [BlockRow(*row) for row in connection.execute(query, (target,))]


def with_small(connection: sqlite3.Connection, rows: int, count: int) -> list[int]:
    """Targets with at least `count` blocks of fewer than `rows` rows."""
    query = "SELECT target FROM blocks WHERE row_count < ? GROUP BY target HAVING count(*) >= ?"
    return [target for (target,) in connection.execute(query, (rows, count))]


class Listed(NamedTuple):
    """A row, body apart, as it stands there: nobody has looked yet whether it is true."""

    row: BlockRow
    checksum: object
    length: int
    """Bytes of the body; UNREADABLE where SQLite cannot read the row."""


UNREADABLE = -1


class Opened(NamedTuple):
    """A block, or why it cannot be read."""

    number: int
    reader: BlockReader | Damaged


def listed(connection: sqlite3.Connection, target: int, start_ms: int, end_ms: int) -> Iterator[Listed]:
    """Blocks of a target with samples in [start_ms, end_ms], oldest first."""
    last = 0
    try:
        for found in connection.execute(OVERLAPPING, (target, end_ms, start_ms)):
            last = found[0]
            yield Listed(BlockRow(*found[:6]), *found[6:])
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        for (number,) in connection.execute(NUMBERS, (target, end_ms, start_ms, last)).fetchall():
            yield _listed_alone(connection, number)


def listed_of_some(
    connection: sqlite3.Connection, targets: Sequence[int], start_ms: int, end_ms: int
) -> list[list[Listed]]:
    """The same of each of some targets, at most `TOGETHER`."""
    if len(targets) > 1:
        by_target: dict[object, list[Listed]] = {target: [] for target in targets}
        places = [*targets, *[NO_TARGET] * (TOGETHER - len(targets))]
        try:
            for found in connection.execute(OVERLAPPING_OF_SOME, (*places, end_ms, start_ms)):
                by_target[found[1]].append(Listed(BlockRow(*found[:6]), *found[6:]))
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        else:
            return list(by_target.values())
    return [list(listed(connection, target, start_ms, end_ms)) for target in targets]


def overlapping(
    connection: sqlite3.Connection, target: int, start_ms: int, end_ms: int, known: dict[bytes, Ids]
) -> Iterator[Opened]:
    """The same, opened; `known` as in BlockReader."""
    for found in listed(connection, target, start_ms, end_ms):
        yield _opened(connection, found, known)


def numbers_after(connection: sqlite3.Connection, target: int, start_ms: int, end_ms: int, after: int) -> list[int]:
    """Blocks of a target with samples in [start_ms, end_ms] and a higher number than `after`, oldest first."""
    return [number for (number,) in connection.execute(NUMBERS, (target, end_ms, start_ms, after))]


def opened(connection: sqlite3.Connection, number: int, known: dict[bytes, Ids]) -> Opened:
    """One block that is there."""
    return _opened(connection, _listed_alone(connection, number), known)


def _opened(connection: sqlite3.Connection, found: Listed, known: dict[bytes, Ids]) -> Opened:
    try:
        return Opened(found.row.number, open_block(connection, found, known))
    except Damaged as error:
        return Opened(found.row.number, error)


def open_block(
    connection: sqlite3.Connection, found: Listed, known: dict[bytes, Ids], parts: list[StoredPart] | None = None
) -> BlockReader:
    """A block that was listed in the same snapshot, `known` and `parts` as in BlockReader; raises Damaged."""
    if parts is None and 0 <= found.length <= INLINE_BYTES:
        return BlockReader(memory_source(read_body(connection, found)), known)
    if parts is None:
        _require_row(found)
    with _damage_told(found.row.number):
        return BlockReader(_blob(connection, found.row.number), known, parts)


def read_body(connection: sqlite3.Connection, found: Listed) -> bytes:
    """All bytes of a block that was listed in the same snapshot; raises Damaged."""
    _require_row(found)
    with _damage_told(found.row.number):
        ((body,),) = connection.execute("SELECT body FROM blocks WHERE id = ?", (found.row.number,))
    return bytes(body)


def _require_row(found: Listed) -> None:
    if found.length == UNREADABLE:
        raise Damaged(f"block {found.row.number}: its row stands on a damaged page")
    require_true(found.row, found.length, found.checksum)


@contextmanager
def _damage_told(number: int) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        raise Damaged(f"block {number}: SQLite: {error}") from error


def _listed_alone(connection: sqlite3.Connection, number: int) -> Listed:
    """A block of which some neighbour, or the block itself, stands on a page SQLite cannot read."""
    try:
        found = connection.execute(ONE, (number,)).fetchone()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return Listed(BlockRow(number, 0, 0, 0, 0, 0), None, UNREADABLE)
    return Listed(BlockRow(*found[:6]), *found[6:])


def require_true(row: BlockRow, length: int, expected: object) -> None:
    """Raise Damaged where a row does not say what was written; `length`: bytes of its body."""
    try:
        right = checksum(row, length) == expected
    except struct.error:  # a damaged row may have text or nothing where a number belongs
        right = False
    if not right:
        raise Damaged(f"block {row.number}: what it covers has a wrong checksum")


def _blob(connection: sqlite3.Connection, number: int) -> Source:
    blob = connection.blobopen("blocks", "body", number, readonly=True)

    def read(offset: int, length: int) -> bytes:
        try:
            blob.seek(offset)
            piece = blob.read(length)
        except (sqlite3.Error, ValueError) as error:  # ValueError: an offset behind the end
            raise Damaged(f"block {number}: {error}") from error
        if len(piece) != length:
            raise Damaged(f"block {number} ends at {len(blob)}, {length} bytes are asked for at {offset}")
        return piece

    return read


def checksums(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[tuple[int, object]]:
    """(number, checksum of what it covers) of those blocks that are there: equal where nothing has changed."""
    places = ", ".join("?" * len(numbers))
    query = f"SELECT id, checksum FROM blocks WHERE id IN ({places}) ORDER BY id"  # noqa: S608 - question marks
    return connection.execute(query, numbers).fetchall()


def load(connection: sqlite3.Connection, row: BlockRow, *, keep: bool = False) -> BlockReader:
    """A whole block in memory, `keep` as in BlockReader; raises Damaged."""
    try:
        query = "SELECT checksum, body FROM blocks WHERE id = ?"
        expected, body = connection.execute(query, (row.number,)).fetchone()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        raise Damaged(f"block {row.number}: SQLite: {error}") from error
    require_true(row, len(body), expected)
    return BlockReader(memory_source(body), keep=keep)
