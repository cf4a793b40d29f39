"""Rows of the journal come back as they were committed, or are named as damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from kpwatch.store import journal
from kpwatch.store.catalog import Catalog
from kpwatch.store.head import HeadRow
from kpwatch.store.packing import compress_fast
from kpwatch.store.schema import migrate
from tests.unit.store.samples import layout, target


def written(connection: sqlite3.Connection) -> tuple[Catalog, list[HeadRow]]:
    migrate(connection, Path("memory"))
    catalog = Catalog()
    where = catalog.target(target(1)).number
    shapes = [catalog.resolve(layout(0, 1))[0], catalog.resolve(layout(2))[0]]
    rows = [
        HeadRow(
            n + 1, where, shapes[n % 2], -n, compress_fast(np.arange(len(shapes[n % 2].columns), dtype=float).tobytes())
        )
        for n in range(4)
    ]
    catalog.write_new(connection)
    catalog.committed()
    journal.insert(connection, rows)
    return catalog, rows


def test_rows_and_back() -> None:
    """In the order of their numbers; deleted ones are gone, and so are those that stand in a block."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        catalog, rows = written(connection)
        assert journal.load(connection, catalog) == (rows, [])
        journal.delete_before(connection, 2)
        assert journal.load(connection, catalog) == (rows[1:], [])
        catalog.targets[1].sealed_row = 3
        assert journal.load(connection, catalog) == (rows[3:], [])
        catalog.targets[1].sealed_row = 0
        journal.keep_only(connection, rows[2:3])
        assert journal.load(connection, catalog) == (rows[2:3], [])


DAMAGE = (
    "id = 17",
    "target = 2",
    "target = NULL",
    "layout = 2",
    "layout = 99",
    "timestamp_ms = 5",
    "timestamp_ms = 'five'",
    "checksum = checksum + 1",
    "samples = zeroblob(16)",
    "samples = x'00'",
)


@pytest.mark.parametrize("change", DAMAGE)
def test_whatever_changes_in_a_row_is_noticed(change: str) -> None:
    """Each field is under the checksum, or names something that must exist."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        catalog, rows = written(connection)
        connection.execute("CREATE TABLE free AS SELECT * FROM journal")  # without its constraints
        connection.execute("DROP TABLE journal")
        connection.execute("ALTER TABLE free RENAME TO journal")
        connection.execute(f"UPDATE journal SET {change} WHERE id = 1")
        good, damaged = journal.load(connection, catalog)
        assert good == rows[1:]
        assert [row.source for row in damaged] == ["journal"]
