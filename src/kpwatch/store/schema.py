"""What stands in the database, and how an older one becomes today's.

One SQLite file in WAL mode holds everything: a commit is atomic across journal, blocks and names. `MIGRATIONS` is the
history of the schema: entry n brings a database of version n to version n + 1, each in one transaction; a fresh
database walks all of them. An entry, once released, is never edited.

    meta        schema_version; from 3 on it is the header's user_version too
    columns     id -> labels of a column            checksums: crc32, see `checked_text` and the rooms that write
    targets     id -> labels of a target; the columns its blocks have and how far its journal is sealed
    layouts     id -> columns, only for the journal
    journal     one row per frame not yet in a block, and for a while those that are
    blocks      one row per block (docs/formats/block.md); the id is its rank: of two blocks the higher is younger
    quarantine  rows that failed their checksum, whole, for a person to look at
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError, StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE_NAME = "samples.db"

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE columns (id INTEGER PRIMARY KEY, labels TEXT NOT NULL, checksum INTEGER NOT NULL);
    CREATE TABLE targets (id INTEGER PRIMARY KEY, labels TEXT NOT NULL, checksum INTEGER NOT NULL, state BLOB);
    CREATE TABLE layouts (id INTEGER PRIMARY KEY, columns BLOB NOT NULL);
    CREATE TABLE journal (
        id INTEGER PRIMARY KEY, target INTEGER NOT NULL, layout INTEGER NOT NULL, timestamp_ms INTEGER NOT NULL,
        checksum INTEGER NOT NULL, samples BLOB NOT NULL);
    CREATE TABLE blocks (
        id INTEGER PRIMARY KEY, target INTEGER NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL,
        row_count INTEGER NOT NULL, sample_count INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE INDEX blocks_by_target ON blocks (target, start_ms, end_ms)
    """,
    """
    CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY, source TEXT NOT NULL, source_id INTEGER NOT NULL, target INTEGER, start_ms INTEGER,
        end_ms INTEGER, reason TEXT NOT NULL, found_ms INTEGER NOT NULL, body BLOB);
    CREATE INDEX blocks_by_end ON blocks (end_ms)
    """,
    # The version stands in the header too: where the two differ one of them is damaged.
    "PRAGMA user_version = 3",
)

WITH_USER_VERSION = 3
PAGE_BYTES = 4096

WRITER_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = OFF",
    "wal_autocheckpoint = 1000",
    f"journal_size_limit = {16 << 20}",
    "cache_size = -4096",
    "temp_store = MEMORY",
)
READER_PRAGMAS = ("query_only = ON", "cache_size = -1024", "temp_store = MEMORY")


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; autocommit, usable from the writer's thread."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    for pragma in WRITER_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads; handed from thread to thread by the pool that owns it."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    for pragma in READER_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def connect_looker(path: Path) -> sqlite3.Connection:
    """A connection for who only looks at a store nobody writes to (see lock.py); leaves nothing beside it.

    Raises ConfigError where there is no store, or where its write-ahead log cannot be read without writing beside it.
    """
    require_store(path)
    log = path.with_name(f"{path.name}-wal")
    if not log.exists() or not log.stat().st_size:
        return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(
            f"{path.parent} cannot be written to and {log.name} is not empty: SQLite reads such a log only with an"
            " index beside it; look at a copy of the directory"
        )
    return connect_reader(path)


def require_store(path: Path) -> None:
    """Raise ConfigError where `path` is no file."""
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file; {path.parent} holds no store")


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring the database to the version of `migrations`; raises ConfigError when it comes from a newer kpwatch."""
    version = schema_version(connection)
    if version > len(migrations):
        raise ConfigError(
            f"{path} has schema version {version}, this kpwatch knows up to {len(migrations)}:"
            " start the newer kpwatch that wrote it, or name another data directory"
        )
    for number in range(version, len(migrations)):
        with transaction(connection):
            for statement in migrations[number].split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema_version', ?)", (number + 1,))
            connection.execute(f"PRAGMA user_version = {number + 1}")


def schema_version(connection: sqlite3.Connection) -> int:
    """Version of the open database; 0 for an empty one (which gets its `meta` table)."""
    connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID")
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    return int(row[0]) if row else 0


def schema_differs(connection: sqlite3.Connection) -> str:
    """How the schema of an open database is not what its version has; "" where it is, or where the version is newer.

    Objects of others (a person's trigger) are left alone.
    """
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
    roots = [root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 0")]
    if not found:
        return ""
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    version = row[0] if row else 0
    (noted,) = connection.execute("PRAGMA user_version").fetchone()
    if isinstance(version, int) and version > len(MIGRATIONS) and (version ^ noted).bit_count() != 1:
        return ""  # newer, not one damaged bit away from what the header says
    if not isinstance(version, int) or noted not in ({version, 0} if version < WITH_USER_VERSION else {version}):
        return f"the schema version is {version} in meta and {noted} in the header"
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, Path(":memory:"), MIGRATIONS[:version])
        expected = fresh.execute("SELECT name, sql FROM sqlite_master").fetchall()
    wrong = [name for name, sql in expected if found.get(name) != sql]
    if wrong or len(set(roots)) != len(roots):
        return f"the schema of {wrong[0] if wrong else 'a table'} is not what version {version} has"
    return ""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements inside, or none; raises StoreFull or StoreError for what SQLite raises."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.rollback()
        if isinstance(error, sqlite3.Error):
            raise store_error(error) from error
        raise


def vacuum(connection: sqlite3.Connection, pages: int) -> None:
    """Give up to `pages` free pages back to the file system; 0 = all.

    A script, because `execute` takes one step of this pragma and one step frees one page.
    """
    connection.executescript(f"PRAGMA incremental_vacuum({pages})")


NO_ROOM = {
    sqlite3.SQLITE_FULL: "no room on the disk",
    sqlite3.SQLITE_IOERR_WRITE: "the disk refuses to be written (quota, file size limit, or it is failing)",
}


def store_error(error: sqlite3.Error) -> StoreError:
    """The error of ours that says what SQLite said."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code in NO_ROOM:
        return StoreFull(f"{NO_ROOM[code]}: {error}; make room, writing resumes by itself")
    return StoreError(f"SQLite: {error} ({getattr(error, 'sqlite_errorname', 'no code')})")


def crc(number: int, data: bytes) -> int:
    """Checksum of `data` that belongs to row `number`: bytes in the wrong row do not pass."""
    return zlib.crc32(data, zlib.crc32(number.to_bytes(8, "little", signed=True)))


DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""What SQLite says when its own pages do not fit together."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file is damaged, and not that something else went wrong."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE
