"""The journal: committed frames that wait to become part of a block, one row each, raw.

Raw because it is short-lived: a row is written once, read only after a crash, and deleted when its block is written.
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
            (row.number, row.target, row.layout.number, row.timestamp_ms, checksum(row), row.values)
            for row in rows
        ],
    )  # fmt: skip


def delete(connection: sqlite3.Connection, rows: Sequence[HeadRow]) -> None:
    """Delete rows that stand in a block now, in the transaction that wrote the block."""
    connection.executemany("DELETE FROM journal WHERE id = ?", [(row.number,) for row in rows])


def checksum(row: HeadRow) -> int:
    """crc32 over everything a row says."""
    return zlib.crc32(row.values, zlib.crc32(ROW.pack(row.number, row.target, row.layout.number, row.timestamp_ms)))


def load(connection: sqlite3.Connection, catalog: Catalog) -> tuple[list[HeadRow], list[DamagedRow]]:
    """(rows in the order they were committed, rows that cannot be used)."""
    rows: list[HeadRow] = []
    damaged: list[DamagedRow] = []
    query = "SELECT id, target, layout, timestamp_ms, checksum, CAST(samples AS BLOB) FROM journal ORDER BY id"
    for number, target, layout, timestamp_ms, expected, values in connection.execute(query):
        stored = catalog.layouts.get(layout)
        if stored is None or target not in catalog.targets:
            damaged.append(DamagedRow("journal", number, f"target {target} or layout {layout} is not known", values))
            continue
        row = HeadRow(number, target, stored, timestamp_ms, values)
        if len(values) != 8 * len(stored.columns) or not _passes(row, expected):
            damaged.append(DamagedRow("journal", number, "wrong checksum", values))
            continue
        rows.append(row)
    return rows, damaged


def _passes(row: HeadRow, expected: object) -> bool:
    try:
        return checksum(row) == expected
    except struct.error:  # a damaged row may have text or nothing where a number belongs
        return False
