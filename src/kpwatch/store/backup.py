"""Copies of a store: made while somebody writes, and put back where nothing is.

A copy has everything a data directory has: the database, as it is at one instant (SQLite's online backup inside a read
transaction: the writer goes on, and nothing it writes meanwhile gets in), and the files a rescue set aside. It is built
under other names, synced, and only then gets its own: what is called `samples.db` is whole.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError, StoreError
from kpwatch.store.lock import FILE_NAME as LOCK_NAME
from kpwatch.store.lock import held_still
from kpwatch.store.quarantine import DIRECTORY
from kpwatch.store.schema import FILE_NAME, connect_looker, connect_reader, require_store, store_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PARTIAL_NAME = f"{FILE_NAME}.partial"
PAGES_AT_ONCE = 4096
"""Copied between two looks at the clock."""


def require_nothing_in(directory: Path) -> None:
    """Make `directory` where it is missing; raises ConfigError where it has anything of its own."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        there = sorted(path.name for path in directory.iterdir() if path.name not in (LOCK_NAME, PARTIAL_NAME))
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror}") from error
    if there:
        raise ConfigError(
            f"{directory} is not empty ({', '.join(there[:3])}{', …' * (len(there) > 3)}): nothing is overwritten;"
            " name a directory that is empty or does not exist"
        )


def copy(source: Path, to: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the store in `source` into the empty directory `to`, under a name that nobody opens: see `publish`.

    `progress` is told pages done and pages in all. Raises ConfigError where there is no store or its directory cannot
    be used, StoreError where SQLite cannot read or write.
    """
    partial = to / PARTIAL_NAME
    partial.unlink(missing_ok=True)
    require_store(source / FILE_NAME)
    try:
        with _opened(source) as reading, closing(sqlite3.connect(partial)) as writing:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it is one instant
            reading.backup(
                writing, pages=PAGES_AT_ONCE, progress=lambda _, left, total: progress(total - left, total), sleep=0
            )
        if (source / DIRECTORY).is_dir():
            shutil.copytree(source / DIRECTORY, to / DIRECTORY, dirs_exist_ok=True)
    except sqlite3.Error as error:
        partial.unlink(missing_ok=True)
        raise store_error(error) from error
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StoreError(f"{error.filename or to}: {error.strerror}") from error


@contextmanager
def _opened(directory: Path) -> Iterator[sqlite3.Connection]:
    """A reader of a store; where nobody seems to write to it, nobody starts to meanwhile."""
    path = directory / FILE_NAME
    if path.with_name(f"{FILE_NAME}-wal").exists():
        with closing(connect_reader(path)) as connection:
            yield connection
    else:
        with held_still(directory), closing(connect_looker(path)) as connection:
            yield connection


def publish(directory: Path) -> None:
    """Sync what `copy` made and give it its name."""
    with (directory / PARTIAL_NAME).open("rb") as file:
        os.fsync(file.fileno())
    (directory / PARTIAL_NAME).replace(directory / FILE_NAME)
    sync_directory(directory)


def discard(directory: Path) -> None:
    """Remove what `copy` made."""
    (directory / PARTIAL_NAME).unlink(missing_ok=True)
    shutil.rmtree(directory / DIRECTORY, ignore_errors=True)


def sync_directory(directory: Path) -> None:
    """Make names in `directory` as durable as their files."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
