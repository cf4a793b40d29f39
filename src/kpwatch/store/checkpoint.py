"""Emptying SQLite's write-ahead log into the database without keeping a commit waiting.

Left to itself SQLite does it within the commit that fills the log, syncs included: some hundred milliseconds where the
disk is slow. Here a thread with a connection of its own copies what there is, as often as the log grows by
CHECKPOINT_BYTES, and the writer goes on appending to the log meanwhile. What came behind is little then; that piece the
writer's thread copies itself, between two commits, because only where nothing is left the log begins anew.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from kpwatch.store.schema import connect_writer

if TYPE_CHECKING:
    from pathlib import Path

CHECKPOINT_BYTES = 4 << 20
"""Bytes written, about, until the log is emptied again."""
LITTLE_PAGES = 64
"""What the writer copies itself."""
PASSES_MAX = 4
"""Of the thread, one after the other, until what is left is little."""
CLOSING_PAGES = 1000
STATEMENT = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpointer:
    """Belongs to the writer's thread, but for its own thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """`connection`: the writer's, which from now on leaves its log alone."""
        self._path = path
        self._connection = connection
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        self._stopping = False
        self._working = False
        self._copied = False
        """The thread has done what it could, the rest is the writer's."""
        self._begun_bytes = 0
        self.failed = 0
        """Passes that SQLite refused (a full disk); they are tried again after the next bytes."""

    def step(self, written_bytes: int) -> bool:
        """Do the writer's share if it is its turn; whether it was. `written_bytes`: all that was written, about."""
        if self._copied:
            self._copied = self._working = False
            self._pass(self._connection)
            return True
        if not self._working and written_bytes - self._begun_bytes >= CHECKPOINT_BYTES:
            self._working, self._begun_bytes = True, written_bytes
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kpwatch-store-checkpoint", daemon=True)
                self._thread.start()
            self._wanted.set()
        return False

    def close(self) -> None:
        """End the thread; SQLite does it by itself again, because nobody waits any more."""
        self._stopping = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {CLOSING_PAGES}")

    def _run(self) -> None:
        connection = connect_writer(self._path)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        try:
            while True:
                self._wanted.wait()
                self._wanted.clear()
                if self._stopping:
                    return
                for _ in range(PASSES_MAX):
                    if self._pass(connection) <= LITTLE_PAGES or self._stopping:
                        break
                self._copied = True
        finally:
            connection.close()

    def _pass(self, connection: sqlite3.Connection) -> int:
        """Copy what the log has now; pages that are left, which came meanwhile or which a query still needs."""
        try:
            _, pages, copied = connection.execute(STATEMENT).fetchone()
        except sqlite3.Error:
            self.failed += 1
            return 0
        return int(pages - copied)
