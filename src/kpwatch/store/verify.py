"""Is everything there and readable? Every page, row and block is looked at; nothing is changed.

SQLite judges its pages and indices, our checksums judge what stands in them, and every number must have its name: the
target of a block, the columns of a target. A store is sound when all three find nothing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import ConfigError
from kpwatch.store import blocks, journal
from kpwatch.store.block import BlockReader, memory_source
from kpwatch.store.catalog import Catalog
from kpwatch.store.packing import Damaged
from kpwatch.store.schema import MIGRATIONS, is_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kpwatch.base.clock import Clock
    from kpwatch.store.blocks import BlockRow
    from kpwatch.store.parts import Ids, Part

PROGRESS_SECONDS = 2.0
SQLITE_MESSAGES_MAX = 1000
JUMPS_ONE_BY_ONE = 256
"""Behind rows that cannot be read the next numbers are tried one by one, then with doubling strides."""

BLOCKS = """
    SELECT id, target, start_ms, end_ms, row_count, sample_count, checksum, CAST(body AS BLOB)
    FROM blocks WHERE id > ? ORDER BY id"""


@dataclass(slots=True)
class Seen:
    """What was looked at."""

    columns: int = 0
    targets: int = 0
    journal_rows: int = 0
    blocks: int = 0
    samples: int = 0
    quarantined: int = 0
    """Rows set aside earlier; they are not damage of today."""
    damages: int = 0


def verify(
    connection: sqlite3.Connection, path: Path, seen: Seen, progress: Callable[[str], None], clock: Clock = SYSTEM_CLOCK
) -> Iterator[str]:
    """A sentence for everything that is wrong with the store in `path`; `seen` is filled meanwhile.

    `progress` is told every two seconds how far it is. Raises ConfigError when it is a newer kpwatch's.
    """
    for damage in _Verification(connection, path, seen, progress, clock).run():
        seen.damages += 1
        yield damage


class _Verification:
    def __init__(
        self, connection: sqlite3.Connection, path: Path, seen: Seen, progress: Callable[[str], None], clock: Clock
    ) -> None:
        self._connection = connection
        self._path = path
        self._seen = seen
        self._progress = progress
        self._clock = clock
        self._catalog = Catalog()
        self._column_sets: dict[bytes, Ids] = {}

    def run(self) -> Iterator[str]:
        yield from self._pages()
        for step in (self._version, self._names, self._journal, self._blocks, self._quarantine):
            try:
                yield from step()
            except sqlite3.Error as error:
                yield f"{step.__name__.strip('_')}: SQLite: {error}"

    def _pages(self) -> Iterator[str]:
        self._progress(f"SQLite looks at all {self._path.stat().st_size >> 20} MiB of {self._path.name}")
        try:
            for (message,) in self._connection.execute(f"PRAGMA integrity_check({SQLITE_MESSAGES_MAX})"):
                if message != "ok":
                    yield f"SQLite: {' '.join(message.split())}"
        except sqlite3.Error as error:
            yield f"SQLite: {error}"

    def _version(self) -> Iterator[str]:
        found = self._connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        if found is None or not isinstance(found[0], int):
            yield "meta: the schema version is missing"
        elif found[0] > len(MIGRATIONS):
            raise ConfigError(
                f"{self._path} has schema version {found[0]}, this kpwatch knows up to {len(MIGRATIONS)}:"
                " check it with the newer kpwatch that wrote it"
            )

    def _names(self) -> Iterator[str]:
        for source, number, reason, _ in self._catalog.load(self._connection):
            yield f"{source} {number}: {reason}"
        catalog, seen = self._catalog, self._seen
        seen.columns = sum(labels is not None for labels in catalog.columns)
        seen.targets = len(catalog.targets)
        for layout in catalog.layouts.values():
            yield from self._nameless(f"layout {layout.number}", layout.columns)
        for target in catalog.targets.values():
            if not target.intact:
                yield f"target {target.number}: its list of columns has a wrong checksum (made anew from its blocks)"
            yield from self._nameless(f"target {target.number}", target.columns)

    def _nameless(self, what: str, columns: Ids) -> Iterator[str]:
        names = self._catalog.columns
        missing = [n for n in columns.tolist() if n >= len(names) or names[n] is None]
        if missing:
            yield f"{what}: {len(missing)} of its columns have no name, the first is column {missing[0]}"

    def _journal(self) -> Iterator[str]:
        rows, damaged = journal.load(self._connection, self._catalog)
        for source, number, reason, _ in damaged:
            yield f"{source} {number}: {reason}"
        for row in rows:
            self._seen.journal_rows += 1
            self._seen.samples += len(row.layout.columns)
            try:
                row.values()
            except Damaged as error:
                yield f"journal {row.number}: {error}"

    def _blocks(self) -> Iterator[str]:
        count, last = self._connection.execute("SELECT count(*), max(id) FROM blocks").fetchone()
        said = self._clock.monotonic_seconds()
        for found in self._readable(last or 0):
            if isinstance(found, str):
                yield found
                continue
            row, (expected, body) = blocks.BlockRow(*found[:6]), found[6:]
            self._seen.blocks += 1
            try:
                blocks.require_true(row, len(body), expected)
                yield from self._block(row, BlockReader(memory_source(body), self._column_sets).everything())
            except Damaged as error:
                text = str(error)
                yield text if text.startswith("block ") else f"block {row.number}: {text}"
            now = self._clock.monotonic_seconds()
            if now - said >= PROGRESS_SECONDS:
                said = now
                self._progress(f"block {self._seen.blocks} of {count}")

    def _readable(self, highest: int) -> Iterator[tuple[Any, ...] | str]:
        """Rows of `blocks`; a sentence where some cannot be read."""
        last, tries = 0, 0
        while last <= highest:
            try:
                for found in self._connection.execute(BLOCKS, (last,)):
                    last, tries = found[0], 0
                    yield found
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                if not tries:
                    yield f"blocks after {last} cannot be read: SQLite: {error}"
                tries += 1
                last += 1 if tries <= JUMPS_ONE_BY_ONE else 1 << min(40, tries - JUMPS_ONE_BY_ONE)
            else:
                return

    def _block(self, row: BlockRow, parts: list[Part]) -> Iterator[str]:
        made = blocks.make_row(row.number, row.target, parts) if parts else None
        if made != row:
            yield f"block {row.number}: it holds {made}, its row says {row}"
            return
        self._seen.samples += row.samples
        target = self._catalog.targets.get(row.target)
        if target is None:
            yield f"block {row.number}: its target {row.target} has no name; its {row.samples} samples are lost"
            return
        if target.intact:
            missing = sum(int(np.isin(part.columns, target.columns, invert=True).sum()) for part in parts)
            if missing:
                yield f"block {row.number}: {missing} of its columns are not among those of its target {row.target}"

    def _quarantine(self) -> Iterator[str]:
        exists = "SELECT count(*) FROM sqlite_master WHERE name = 'quarantine'"
        if self._connection.execute(exists).fetchone()[0]:  # the first schema had none
            (self._seen.quarantined,) = self._connection.execute("SELECT count(*) FROM quarantine").fetchone()
        yield from ()
