"""A database that SQLite cannot make sense of becomes one it can: a new file with every row that is still true.

Rows are read from pages (pages.py), judged by their checksums, and written into a fresh database; what fails stands in
its quarantine. The old file, with its log, moves to the directory `quarantine` under a name with the time, for a person
to look at. At any moment a crash leaves either the old database or the new one in place: `FINISHED` is a name that only
a complete file gets, and whoever opens the store next goes on from there.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import ConfigError, StoreError
from kpwatch.store import blocks, journal
from kpwatch.store.backup import sync_directory
from kpwatch.store.catalog import NO_COLUMNS, NUMBER_MAX, ColumnSet, unpack_ids
from kpwatch.store.head import HeadRow
from kpwatch.store.packing import Damaged
from kpwatch.store.pages import Image, Row, Value
from kpwatch.store.quarantine import DIRECTORY
from kpwatch.store.schema import (
    FILE_NAME,
    MIGRATIONS,
    PAGE_BYTES,
    connect_reader,
    crc,
    migrate,
    schema_differs,
    store_error,
)
from kpwatch.store.state import DAMAGE_NOTE
from kpwatch.store.wal import read_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpwatch.base.clock import Clock
    from kpwatch.base.logs import Logger

BUILDING = f"{FILE_NAME}.rescue"
FINISHED = f"{FILE_NAME}.rescued"
FILES_KEPT = 4
"""Old files in the quarantine; beyond them the oldest go."""
CHECKED_AT_OPEN_BYTES = 256 << 20
"""Files up to this size are looked at page by page before they are used (some 0.3 s for 100 MiB)."""
ID_MAX = 1 << 48
"""Bound of row numbers that are believed where no checksum covers them."""

HEADER = (
    # offset, bytes: what page 1 of every database of ours says
    (0, b"SQLite format 3\0"),
    (16, PAGE_BYTES.to_bytes(2)),
    (20, b"\0\x40\x20\x20"),
    (56, b"\0\0\0\x01"),  # text is UTF-8
    (64, b"\0\0\0\x01"),  # auto_vacuum is incremental
)
MAGIC = HEADER[0][1]
VERSION_MAX = 1000
FORMATS = (b"\x01\x01", b"\x02\x02")


NONSENSE = (TypeError, ValueError, struct.error, OverflowError)
"""What reading raises where a number should be and something else is."""
HELPLESS = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


def helps_against(error: sqlite3.Error) -> bool:
    """Whether a rescue may be what is needed: the file is at fault, not the disk or somebody who holds it."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in HELPLESS


def finish(directory: Path) -> None:
    """Put a rescued database in place, if one was made; may be interrupted and called again."""
    (directory / BUILDING).unlink(missing_ok=True)
    if not (directory / FINISHED).exists():
        return
    aside = directory / DIRECTORY
    aside.mkdir(exist_ok=True)
    name = _free_name(aside, (directory / FINISHED).stat().st_mtime_ns // 1_000_000_000)
    for suffix in ("-wal", ""):  # the log first: it must not stand beside a database it does not belong to
        if (directory / (FILE_NAME + suffix)).exists():
            (directory / (FILE_NAME + suffix)).replace(aside / (name + suffix))
    (directory / f"{FILE_NAME}-shm").unlink(missing_ok=True)
    (directory / FINISHED).replace(directory / FILE_NAME)
    (directory / DAMAGE_NOTE).unlink(missing_ok=True)
    sync_directory(aside)
    sync_directory(directory)


def _free_name(aside: Path, made_seconds: int) -> str:
    return next(
        name
        for number in range(1 << 20)
        if not (aside / (name := f"{FILE_NAME}.{made_seconds}{f'-{number}' if number else ''}")).exists()
    )


def files_aside(directory: Path) -> list[dict[str, object]]:
    """The old databases in the quarantine, newest first, as the status shows them."""
    found = sorted((directory / DIRECTORY).glob(f"{FILE_NAME}.*"), key=lambda path: path.stat().st_mtime_ns)
    return [
        {"file": f"{DIRECTORY}/{path.name}", "bytes": path.stat().st_size}
        for path in reversed(found)
        if not path.name.endswith("-wal")
    ]


def whats_wrong(path: Path) -> str:
    """Why SQLite must not be trusted with this file, before it is opened; "" where nothing is found.

    Looks at what SQLite believes without a check: the log's middle, the header's constants.
    """
    if not path.exists() or not path.stat().st_size:
        return ""
    log = read_log(path.with_name(f"{path.name}-wal"))
    if log.damage:
        return f"{path.name}-wal: {log.damage}"
    with Image(path, log) as image:
        page = image.page(1)
    wrong = _wrong_header(page)
    version = int.from_bytes(page[60:64])
    if wrong and len(MIGRATIONS) < version < VERSION_MAX and page.startswith(MAGIC):
        raise ConfigError(
            f"{path} seems to be a newer kpwatch's (schema version {version}, {wrong}), this one knows up to"
            f" {len(MIGRATIONS)}: start the newer one, or name another data directory"
        )
    return wrong


def _wrong_header(page: bytes) -> str:
    for offset, expected in HEADER:
        if page[offset : offset + len(expected)] != expected:
            found = page[offset : offset + len(expected)]
            return f"bytes {offset} to {offset + len(expected)} of the header are {found!r}"
    if page[18:20] not in FORMATS:
        return f"bytes 18 to 20 of the header are {page[18:20]!r}"
    return ""


def inspect(path: Path) -> str:
    """Why the database at `path` must be rescued before it is used; "" where nothing is found, or where there is none.

    Raises ConfigError for a newer kpwatch's, and sqlite3.Error.
    """
    note = path.with_name(DAMAGE_NOTE)
    wrong = f"while a hub ran: {note.read_text(errors='replace').strip()}" if note.exists() else whats_wrong(path)
    if wrong or not path.exists() or not path.stat().st_size:
        return wrong
    with closing(connect_reader(path)) as connection:
        return _whats_wrong_inside(connection, path)


def _whats_wrong_inside(connection: sqlite3.Connection, path: Path) -> str:
    """The schema, and every page of a file that is not too large."""
    different = schema_differs(connection)
    if different:
        return different
    if path.stat().st_size <= CHECKED_AT_OPEN_BYTES:
        for (message,) in connection.execute("PRAGMA integrity_check(1)"):
            if message != "ok":
                return " ".join(message.split())
    return ""


class Rescued(NamedTuple):
    """What a rescue found."""

    rows: dict[str, int]
    """By table."""
    damaged: int
    """Rows that failed their checksum and stand in the quarantine."""


def rescue(path: Path, why: str, clock: Clock, log: Logger) -> Rescued:
    """Replace the database at `path` by one with everything readable; raises StoreError where it cannot be written."""
    directory = path.parent
    log.error(f"{path} is damaged ({why}): a new database is made of what can be read")
    building = directory / BUILDING
    building.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(building, isolation_level=None)) as connection, Image(path) as image:
            for pragma in (
                f"page_size = {PAGE_BYTES}",
                "auto_vacuum = INCREMENTAL",
                "journal_mode = OFF",
                "synchronous = OFF",
            ):
                connection.execute(f"PRAGMA {pragma}")
            migrate(connection, building)
            connection.execute("BEGIN")
            found = _Sorter(connection, clock.unix_ms()).take(image)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        building.unlink(missing_ok=True)
        raise store_error(error) from error
    except OSError as error:
        building.unlink(missing_ok=True)
        raise StoreError(f"{path} is damaged and no new database can be made beside it: {error}") from error
    with building.open("rb") as file:
        os.fsync(file.fileno())
    building.replace(directory / FINISHED)
    sync_directory(directory)
    finish(directory)
    _forget_oldest(directory, log)
    aside = files_aside(directory)
    counts = ", ".join(f"{count} {table}" for table, count in found.rows.items())
    log.error(
        f"{path} was made anew: {counts}; {found.damaged} damaged rows stand in its quarantine;"
        f" the old file is {directory / str(aside[0]['file']) if aside else 'gone'}"
    )
    return found


def _forget_oldest(directory: Path, log: Logger) -> None:
    for entry in files_aside(directory)[FILES_KEPT:]:
        old = directory / str(entry["file"])
        log.warning(f"{old} is removed: {FILES_KEPT} newer damaged databases are kept")
        old.unlink(missing_ok=True)
        old.with_name(f"{old.name}-wal").unlink(missing_ok=True)


class _Sorter:
    """Puts rows where they belong: into their table, or into the quarantine."""

    def __init__(self, connection: sqlite3.Connection, now_ms: int) -> None:
        self._connection = connection
        self._now_ms = now_ms
        self._tables = _tables(connection)
        self._rows = dict.fromkeys(JUDGES, 0)
        self._damaged = 0

    def take(self, image: Image) -> Rescued:
        """All rows of `image`."""
        for row in image.rows():
            table = self._tables.get(len(row.values))
            if table is not None and row.values[0] is None:
                self._put(table, row)
        return Rescued(self._rows, self._damaged)

    def _put(self, table: str, row: Row) -> None:
        values = [row.number, *row.values[1:]]
        reason = _judged(table, values)
        if not reason:
            texts = TEXTS[table]
            stored = [v.decode() if place in texts and isinstance(v, bytes) else v for place, v in enumerate(values)]
            marks = ", ".join("?" * len(values))
            done = self._connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", stored)  # noqa: S608
            self._rows[table] += done.rowcount
            return
        self._damaged += 1
        body = next((value for value in reversed(values) if isinstance(value, bytes)), b"")
        self._connection.execute(
            "INSERT INTO quarantine (source, source_id, reason, found_ms, body) VALUES (?, ?, ?, ?, ?)",
            (table, max(-ID_MAX, min(ID_MAX, row.number)), reason, self._now_ms, body),
        )


def _tables(connection: sqlite3.Connection) -> dict[int, str]:
    """Our tables by their number of columns, which differs for all of them (a test holds it to that)."""
    return {len(connection.execute(f"PRAGMA table_info({table})").fetchall()): table for table in JUDGES}


def _judged(table: str, values: list[Value]) -> str:
    """Why a row is not true; "" where it is."""
    try:
        return "" if JUDGES[table](values) else "wrong checksum"
    except (Damaged, struct.error, TypeError, ValueError, OverflowError, AttributeError) as error:
        return f"it cannot be read: {error}"


def _named(values: list[Value]) -> bool:
    number, text, checksum = values[:3]
    return (
        isinstance(number, int)
        and isinstance(text, bytes)
        and 0 < number <= NUMBER_MAX
        and crc(number, text) == checksum
    )


def _layout(values: list[Value]) -> bool:
    number, packed = values
    if not isinstance(number, int) or not isinstance(packed, bytes):
        return False
    unpack_ids(number, packed)
    return True


def _frame(values: list[Value]) -> bool:
    number, target, layout, timestamp_ms, expected, packed = values
    if not all(isinstance(value, int) for value in values[:5]) or not isinstance(packed, bytes):
        return False
    row = HeadRow(
        int(number or 0), int(target or 0), ColumnSet(int(layout or 0), NO_COLUMNS), int(timestamp_ms or 0), packed
    )
    return journal.checksum(row) == expected


def _block(values: list[Value]) -> bool:
    *covers, expected, body = values
    if not all(isinstance(value, int) for value in covers) or not isinstance(body, bytes):
        return False
    blocks.require_true(blocks.BlockRow(*covers), len(body), expected)  # type: ignore[arg-type]
    return True


def _entry(values: list[Value]) -> bool:
    number, source, source_id, *_ = values
    return isinstance(number, int) and 0 < number < ID_MAX and isinstance(source, bytes) and isinstance(source_id, int)


JUDGES: dict[str, Callable[[list[Value]], bool]] = {
    "columns": _named,
    "targets": _named,
    "layouts": _layout,
    "journal": _frame,
    "blocks": _block,
    "quarantine": _entry,
}
TEXTS: dict[str, frozenset[int]] = {
    "columns": frozenset({1}),
    "targets": frozenset({1}),
    "layouts": frozenset(),
    "journal": frozenset(),
    "blocks": frozenset(),
    "quarantine": frozenset({1, 6}),
}
"""Which values of a row are TEXT."""
