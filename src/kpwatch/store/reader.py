"""Queries: what stands in memory and what stands in the database, as one.

A query takes the head's rows first, and opens a snapshot of the database after if not all it wants is in the cache.
Whatever is sealed in between is then in both, and `merge` makes it one again; nothing can be in neither. Readers have
connections of their own and wait for nobody; the writer does not wait for them.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import StoreClosed
from kpwatch.model.source import OfTarget, Slice
from kpwatch.store import blocks
from kpwatch.store.block import BlockReader, memory_source
from kpwatch.store.cache import COLUMNS_MAX, Budget, Sealed, unsealed_parts
from kpwatch.store.catalog import NEVER_MS
from kpwatch.store.packing import Damaged
from kpwatch.store.parts import Part, Wanted, between, clip, merge
from kpwatch.store.schema import connect_reader, store_error
from kpwatch.store.strips import Strip, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from kpwatch.model.labels import Labels
    from kpwatch.store.block import StoredPart
    from kpwatch.store.blocks import Listed
    from kpwatch.store.cache import Cache
    from kpwatch.store.catalog import Catalog, Target
    from kpwatch.store.head import Head, HeadRow
    from kpwatch.store.index import Found
    from kpwatch.store.parts import Bits, Ids, Times

IDLE_CONNECTIONS = 4
LABELS_BYTES = 150
"""What a label set takes; its texts are the catalog's."""


class ReaderPool:
    """Read-only connections, one per query at a time; some are kept for the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the database as it is now.

        Raises StoreClosed after `close`, and StoreError for what SQLite raises inside.
        """
        connection = self._take()
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM meta").fetchone()  # the first read decides what is seen
            yield connection
        except sqlite3.Error as error:
            raise store_error(error) from error
        finally:
            connection.rollback()
            self._give_back(connection)

    def require_open(self) -> None:
        """Raise StoreClosed after `close`."""
        if self._closed:
            raise StoreClosed("the store is closed")

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreClosed("the store is closed")
            if self._idle:
                return self._idle.pop()
        return connect_reader(self._path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close idle connections now and the others when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


class Query:
    """One select."""

    def __init__(self, catalog: Catalog, cache: Cache, found: Sequence[Found], start_ms: int, end_ms: int) -> None:
        self._catalog = catalog
        self._cache = cache
        self._budget = Budget(cache)
        self._found = found
        self._start_ms, self._end_ms = start_ms, end_ms
        self._wanted: dict[int, Wanted] = {}
        self._sets = cache.column_sets()
        self._names: dict[bytes, _Names] = {}

    def slices(
        self, head: Head, pool: ReaderPool, skip: set[int], report: Callable[[int, str], None]
    ) -> Iterator[Slice]:
        """The answer, target by target. `skip`: blocks not to look at; `report` is told of damaged ones."""
        heads = [head.rows(target.number) for target, _ in self._found]
        changed = [target.blocks_changed for target, _ in self._found]
        known = list(map(self._known, self._found, changed))
        with ExitStack() as stack:
            if None in known:
                connection = stack.enter_context(pool.snapshot())
            else:
                pool.require_open()
            for found, rows, blocks_changed, sealed in zip(self._found, heads, changed, known, strict=True):
                if sealed is None:
                    sealed = self._sealed(connection, found, blocks_changed, skip, report)  # noqa: PLW2901
                unsealed = self._from_head(found, rows)
                is_merged = not unsealed and len(found.columns) <= COLUMNS_MAX
                for part in sealed if is_merged else merge([*sealed, *unsealed]):
                    yield from self._slice(found.target, part)

    def _wanted_of(self, columns: Ids) -> Wanted:
        wanted = self._wanted.get(id(columns))
        if wanted is None:
            wanted = self._wanted[id(columns)] = Wanted(columns)
        return wanted

    def _from_head(self, found: Found, rows: Sequence[HeadRow]) -> list[Part]:
        if not rows:
            return []
        wanted = self._wanted_of(found.columns)
        parts = unsealed_parts(self._cache, self._budget, found.target.number, rows, wanted)
        inside = (between(part, self._start_ms, self._end_ms) for part in parts)
        return [part for part in inside if part is not None]

    def _known(self, found: Found, blocks_changed: int) -> list[Part] | None:
        """What blocks have, merged, if that is known without looking; `blocks_changed` is of after the head's rows."""
        target = found.target
        if target.sealed_ms < self._start_ms:
            return []  # and what is sealed from now on is in the head's rows
        wanted = self._wanted_of(found.columns)
        if len(wanted.columns) > COLUMNS_MAX:
            return None
        known = self._known_sealed(target, wanted)
        if known is not None and known.answers(blocks_changed, self._start_ms, self._end_ms):
            return self._clipped(known.parts)
        return None

    def _known_sealed(self, target: Target, wanted: Wanted) -> Sealed | None:
        known: Sealed | None = self._cache.get(("blocks", target.number, wanted.key))
        return known

    def _sealed(
        self,
        connection: sqlite3.Connection,
        found: Found,
        blocks_changed: int,
        skip: set[int],
        report: Callable[[int, str], None],
    ) -> list[Part]:
        """What blocks have, merged if it is for the cache.

        `blocks_changed` was read after the head's rows were taken and before the snapshot.
        """
        target, sealed_ms = found.target, found.target.sealed_ms
        wanted = self._wanted_of(found.columns)
        if len(wanted.columns) > COLUMNS_MAX:
            return self._clipped(self._many_columns(connection, target.number, wanted, skip, report))
        failed: list[int] = []

        def fail(number: int, reason: str) -> None:
            failed.append(number)
            report(number, reason)

        before = self._known_sealed(target, wanted)
        known = before.by_block if before is not None else {}
        strips: list[Strip] = []
        for block in self._listed(connection, target.number, skip):
            try:
                strips += self._strips(connection, block, wanted, known.get(block))
            except Damaged as error:
                fail(block.row.number, str(error))
        by_block, parts = read(strips, fail)
        if not failed:
            for part in parts:
                part.bits.flags.writeable = False
            end_ms = self._end_ms if self._end_ms < sealed_ms else NEVER_MS
            sealed = Sealed(blocks_changed, self._start_ms, end_ms, parts, by_block)
            self._budget.put(("blocks", target.number, wanted.key), sealed, sealed.size)
        return self._clipped(parts)

    def _clipped(self, parts: Iterable[Part]) -> list[Part]:
        clipped = [clip(part, self._start_ms, self._end_ms) for part in parts if self._overlaps(part.timestamps_ms)]
        return [part for part in clipped if part.rows]

    def _listed(self, connection: sqlite3.Connection, target: int, skip: set[int]) -> Iterator[Listed]:
        """Blocks to look at; those of `skip` were counted when they were put there."""
        listed = blocks.listed(connection, target, self._start_ms, self._end_ms)
        return (block for block in listed if block.row.number not in skip)

    def _many_columns(
        self,
        connection: sqlite3.Connection,
        target: int,
        wanted: Wanted,
        skip: set[int],
        report: Callable[[int, str], None],
    ) -> Iterator[Part]:
        """What is not for the cache: of each block what is in the stretch, block by block."""
        for block in self._listed(connection, target, skip):
            try:
                reader = blocks.open_block(connection, block, self._sets)
                yield from self._decoded(reader, wanted)
            except Damaged as error:
                report(block.row.number, str(error))

    def _decoded(self, reader: BlockReader, wanted: Wanted) -> list[Part]:
        decoded: list[Part] = []
        for stored in reader.parts:
            columns, places = wanted.choose(stored.columns)
            if len(columns) and self._overlaps(stored.timestamps_ms):
                decoded.append(Part(columns, stored.timestamps_ms, reader.select(stored, places)))
        return decoded

    def _overlaps(self, times: Times) -> bool:
        return bool(times[0] <= self._end_ms and times[-1] >= self._start_ms)

    def _strips(
        self, connection: sqlite3.Connection, block: Listed, wanted: Wanted, known: list[Part] | None
    ) -> list[Strip]:
        """All rows of the wanted columns, as they are known or else from the block."""
        if known is not None:
            return [Strip(block, part.columns, part.timestamps_ms, partial(_copy, part.bits)) for part in known]
        reader = self._open(connection, block)
        chosen = [(stored, *wanted.choose(stored.columns)) for stored in reader.parts]
        return [
            Strip(block, columns, stored.timestamps_ms, partial(reader.select_into, stored, places))
            for stored, columns, places in chosen
            if len(columns)
        ]

    def _open(self, connection: sqlite3.Connection, block: Listed) -> BlockReader:
        parts: list[StoredPart] | None = self._cache.get(block)
        body = self._body(connection, block)
        if body is None:
            reader = blocks.open_block(connection, block, self._sets, parts)
        else:
            reader = BlockReader(memory_source(body), self._sets, parts)
        if parts is None:
            self._budget.put(block, reader.parts, sum(part.size for part in reader.parts))
        return reader

    def _body(self, connection: sqlite3.Connection, block: Listed) -> bytes | None:
        """All bytes of a block, if they are kept or worth it: who asks for one column asks for another next."""
        key = ("body", block)
        body: bytes | None = self._cache.get(key)
        if body is None and self._budget.take_for_body(block.length):
            body = blocks.read_body(connection, block)
            self._budget.put(key, body, len(body))
        return body

    def _slice(self, target: Target, part: Part) -> Iterator[Slice]:
        """The part with its names; a column whose name was lost (it is in the quarantine) cannot be answered."""
        names = self._names_of(part.columns)
        bits = part.bits if names.lines is None else part.bits[names.lines]
        if names.columns:
            yield Slice(self._series(target, part.columns, names), part.timestamps_ms, bits.T.view(np.float64))

    def _series(self, target: Target, columns: Ids, names: _Names) -> OfTarget:
        """The same objects, label sets too, for every query that the cache answers."""
        if len(columns) > COLUMNS_MAX:
            return OfTarget(target.labels, names.columns)
        key = ("series", target.number, columns.tobytes())
        series: OfTarget | None = self._cache.get(key)
        if series is None or series.columns is not names.columns:
            series = OfTarget(target.labels, names.columns)
            self._budget.put(key, series, LABELS_BYTES * len(series))
        return series

    def _names_of(self, columns: Ids) -> _Names:
        key = ("names", columns.tobytes())
        found = self._names.get(key[1])
        if found is None:
            known: _Names | None = self._cache.get(key)
            found = self._names[key[1]] = known or self._found_names(columns)
            if known is None and found.lines is None and len(columns) <= COLUMNS_MAX:
                self._budget.put(key, found, 16 * len(columns))
        return found

    def _found_names(self, columns: Ids) -> _Names:
        names = [self._catalog.columns[number] for number in columns.tolist()]
        lines = [line for line, column in enumerate(names) if column is not None]
        known = tuple(column for column in names if column is not None)
        return _Names(known, None if len(known) == len(names) else lines)


class _Names(NamedTuple):
    """Names of a part's columns; targets that are alike share one."""

    columns: tuple[Labels, ...]
    lines: list[int] | None
    """Which of the part's lines have one; None = all."""


def _copy(bits: Bits, into: Bits) -> None:
    into[:] = bits
