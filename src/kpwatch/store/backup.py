"""Copies of a store: made while somebody writes, and put back where nothing is.

A copy has everything a data directory has: the database, as it is at one instant (SQLite's online backup inside a read
transaction: the writer goes on, and nothing it writes meanwhile gets in), the files a rescue set aside, and what other
rooms keep beside it in SQLite files of their own (`copy_beside`, each as it is at an instant of its own). It is built
under other names, synced, and only then gets its own, `samples.db` last: where that is, everything is, and whole.
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
from kpwatch.store.schema import FILE_NAME, connect_looker, connect_reader, is_damage, require_store, store_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PARTIAL = ".partial"
PARTIAL_NAME = f"{FILE_NAME}{PARTIAL}"
PAGES_AT_ONCE = 4096
"""Copied between two looks at the clock."""


def require_nothing_in(directory: Path) -> None:
    """Make `directory` where it is missing; raises ConfigError where it has anything of its own."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        there = sorted(path.name for path in directory.iterdir() if _is_ones_own(path.name))
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror}") from error
    if there:
        raise ConfigError(
            f"{directory} is not empty ({', '.join(there[:3])}{', …' * (len(there) > 3)}): nothing is overwritten;"
            " name a directory that is empty or does not exist"
        )


def _is_ones_own(name: str) -> bool:
    """Not the lock, and nothing that a copy left which was broken off."""
    return name != LOCK_NAME and not name.endswith(PARTIAL)


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


def copy_beside(source: Path, to: Path, name: str) -> str:
    """Copy another SQLite file of the directory, where it is there, as `copy` does; why it is left out, or "".

    Raises StoreError where the copy cannot be written.
    """
    path, partial = source / name, to / f"{name}{PARTIAL}"
    if not path.is_file():
        return ""
    is_open = path.with_name(f"{name}-wal").exists()
    try:
        partial.unlink(missing_ok=True)
        connect = connect_reader if is_open else connect_looker
        with closing(connect(path)) as reading, closing(sqlite3.connect(partial)) as writing:
            reading.backup(writing)
        with closing(connect_looker(partial)) as copied:
            (found,) = copied.execute("PRAGMA quick_check(1)").fetchone()
    except OSError as error:
        raise StoreError(f"{error.filename or to}: {error.strerror}") from error
    except sqlite3.Error as error:
        if not is_damage(error):
            partial.unlink(missing_ok=True)
            raise store_error(error) from error
        found = str(error)
    if found == "ok":
        return ""
    partial.unlink(missing_ok=True)
    return f"{path} is damaged ({found}) and is left out"


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
    """Sync what was copied and give it its names."""
    for partial in sorted(directory.glob(f"*{PARTIAL}"), key=lambda path: path.name == PARTIAL_NAME):
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(partial.with_suffix(""))
    sync_directory(directory)


def discard(directory: Path) -> None:
    """Remove what was copied."""
    for partial in directory.glob(f"*{PARTIAL}"):
        partial.unlink()
    shutil.rmtree(directory / DIRECTORY, ignore_errors=True)


def sync_directory(directory: Path) -> None:
    """Make names in `directory` as durable as their files."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
