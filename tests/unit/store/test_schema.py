"""The schema's history: an old database opens, a newer one says so; errors of SQLite become ours."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError, StoreError, StoreFull
from kpwatch.base.logs import Logger
from kpwatch.model.numbers import STALE_NAN
from kpwatch.store.schema import (
    FILE_NAME,
    MIGRATIONS,
    connect_writer,
    migrate,
    schema_version,
    store_error,
    transaction,
    vacuum,
)
from tests.unit.store.samples import T0, everything, frame, layout, opened, remember, sql

if TYPE_CHECKING:
    from tests.unit.store.samples import Model


def test_a_database_of_the_first_version_opens(tmp_path: Path) -> None:
    """Its samples are there, and what came later (the quarantine) is added."""
    model: dict = {}
    with opened(tmp_path) as store:
        frames = [frame(1, layout(0, 1), T0 + n, [n, 1.5]) for n in range(5)]
        store.append(frames).result(60)
        remember(model, frames)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("DROP TABLE quarantine")
        connection.execute("DROP INDEX blocks_by_end")
        connection.execute("UPDATE meta SET value = 1 WHERE key = 'schema_version'")
        connection.execute("PRAGMA user_version = 0")
    with opened(tmp_path) as store:
        assert everything(store) == model
        assert store.status()["quarantine"]["count"] == 0  # type: ignore[index]
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert schema_version(connection) == len(MIGRATIONS)


def samples_of_version_2() -> Model:
    """What was written into data/samples-schema-2.db.gz by the kpwatch of that time."""
    model: Model = {}
    for number in range(40):
        values = [number, number * 0.5, 7.0, STALE_NAN if number % 10 == 9 else 1e9 + number]
        remember(model, [frame(node, layout(0, 1, 2, 3), T0 + number * 15_000, values) for node in (1, 2)])
    remember(model, [frame(3, layout(2), 0, [1970.0])])
    return model


def test_a_stored_database_of_version_2(tmp_path: Path) -> None:
    """Blocks, journal, late samples, staleness markers: all are there, and stay so when more is written and merged."""
    old = gzip.decompress((Path(__file__).parent / "data" / "samples-schema-2.db.gz").read_bytes())
    (tmp_path / FILE_NAME).write_bytes(old)
    model = samples_of_version_2()
    said: list[str] = []
    with opened(tmp_path, log=Logger(said.append)) as store:
        assert everything(store) == model
        assert sql(store, "PRAGMA user_version") == [(len(MIGRATIONS),)]
        assert store.status()["quarantine"] == {"count": 0, "latest": [], "files": []}
        frames = [frame(1, layout(0, 1), T0 + 40 * 15_000, [1, 2])]
        store.append(frames).result(60)
        remember(model, frames)
        store.seal()
        store.compact()
        assert everything(store) == model
    with opened(tmp_path) as store:
        assert everything(store) == model
    assert said == []


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_every_version_walks_to_the_last(tmp_path: Path, version: int) -> None:
    """A database of each version has in the end the tables of a fresh one."""

    def tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()

    with closing(connect_writer(tmp_path / "old")) as old, closing(connect_writer(tmp_path / "new")) as new:
        migrate(old, tmp_path, MIGRATIONS[:version])
        assert schema_version(old) == version
        migrate(old, tmp_path)
        migrate(new, tmp_path)
        assert tables(old) == tables(new)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """With both versions and the way out; the directory is free again afterwards."""
    with opened(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    for _ in range(2):
        with (
            pytest.raises(ConfigError, match=rf"version 99, this kpwatch knows up to {len(MIGRATIONS)}"),
            opened(tmp_path),
        ):
            pass


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """It is kept, whole, and the store starts empty: see test_rescue."""
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 1000)
    with opened(tmp_path) as store:
        assert everything(store) == {}
        ((entry,),) = [store.status()["quarantine"]["files"]]  # type: ignore[index]
        assert (tmp_path / entry["file"]).read_bytes() == b"not a database" * 1000


def insert_and(connection: sqlite3.Connection, breaks: str) -> None:
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES (1)")
        if breaks == "raise":
            raise KeyError
        connection.execute(breaks)


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """Whatever ends it early."""
    with closing(connect_writer(tmp_path / "db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        for breaks, what in (("raise", KeyError), ("INSERT INTO nowhere VALUES (1)", StoreError)):
            with pytest.raises(what):
                insert_and(connection, breaks)
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        connection.execute("PRAGMA max_page_count = 3")
        with pytest.raises(StoreFull, match="make room"), transaction(connection):
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")


def test_errors_without_a_code_are_store_errors() -> None:
    """sqlite3's own complaints have none."""
    assert type(store_error(sqlite3.ProgrammingError("closed"))) is StoreError


def test_vacuum_gives_pages_back(tmp_path: Path) -> None:
    """Some, or all of them."""
    with closing(connect_writer(tmp_path / "db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (zeroblob(1000000))")
        connection.execute("DELETE FROM t")
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        vacuum(connection, 10)
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] == free - 10
        vacuum(connection, 0)
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] == 0
