"""The journal: committed frames that wait to become part of a block, one row each.

A row is written once and read only after a crash. The transaction that makes a block of a target's rows notes in the
target's row up to which number its journal is *sealed*: from then on those rows are dead, whatever happens. They are
deleted later, many neighbours at a time, because rows of one target stand far apart and a deletion rewrites the pages
around it.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from kpwatch.store.catalog import DamagedRow
from kpwatch.store.head import HeadRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from kpwatch.store.catalog import Catalog

ROW = struct.Struct("<qqqq")  # number, target, layout, timestamp


def insert(connection: sqlite3.Connection, rows: Sequence[HeadRow]) -> None:
    """Write rows, in a transaction of the caller's."""
    connection.executemany(
        "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)",
        [
            (row.number, row.target, row.layout.number, row.timestamp_ms, checksum(row), row.packed)
            for row in rows
        ],
    )  # fmt: skip


def delete_before(connection: sqlite3.Connection, number: int) -> None:
    """Delete rows below `number`, all of them dead, in a transaction of the caller's."""
    connection.execute("DELETE FROM journal WHERE id < ?", (number,))


def delete_orphans(connection: sqlite3.Connection) -> None:
    """Delete the dead rows of targets that are no more, in a transaction of the caller's."""
    connection.execute("DELETE FROM journal WHERE target NOT IN (SELECT id FROM targets)")


def keep_only(connection: sqlite3.Connection, rows: Sequence[HeadRow]) -> None:
    """Delete all rows but these, in a transaction of the caller's."""
    connection.execute("DELETE FROM journal")  # all at once, which costs next to nothing
    insert(connection, rows)


def checksum(row: HeadRow) -> int:
    """crc32 over everything a row says."""
    return zlib.crc32(row.packed, zlib.crc32(ROW.pack(row.number, row.target, row.layout.number, row.timestamp_ms)))


def load(connection: sqlite3.Connection, catalog: Catalog) -> tuple[list[HeadRow], list[DamagedRow]]:
    """(live rows in the order they were committed, rows that cannot be used)."""
    rows: list[HeadRow] = []
    damaged: list[DamagedRow] = []
    query = "SELECT id, target, layout, timestamp_ms, checksum, CAST(samples AS BLOB) FROM journal ORDER BY id"
    for number, target, layout, timestamp_ms, expected, packed in connection.execute(query):
        where = catalog.targets.get(target)
        if where is not None and number <= where.sealed_row:
            continue  # dead: its samples stand in a block
        stored = catalog.layouts.get(layout)
        if stored is None or where is None:
            damaged.append(DamagedRow("journal", number, f"target {target} or layout {layout} is not known", packed))
            continue
        row = HeadRow(number, target, stored, timestamp_ms, packed)
        if _passes(row, expected):
            rows.append(row)
        else:
            damaged.append(DamagedRow("journal", number, "wrong checksum", packed))
    return rows, damaged


def _passes(row: HeadRow, expected: object) -> bool:
    try:
        return checksum(row) == expected
    except struct.error:  # a damaged row may have text or nothing where a number belongs
        return False
