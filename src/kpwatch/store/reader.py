"""Queries: what stands in memory and what stands in the database, as one.

A query takes the head's rows first, and opens a snapshot of the database after if not all it wants is in the cache.
Whatever is sealed in between is then in both, and `merge` makes it one again; nothing can be in neither. Readers have
connections of their own and wait for nobody; the writer does not wait for them.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from kpwatch.base.errors import StoreClosed
from kpwatch.model.source import OfTarget, Slice
from kpwatch.store import blocks
from kpwatch.store.cache import COLUMNS_MAX, Budget, Sealed, unsealed_parts
from kpwatch.store.catalog import NEVER_MS
from kpwatch.store.packing import Damaged
from kpwatch.store.parts import Part, Wanted, between, clip, merge
from kpwatch.store.schema import connect_reader, store_error
from kpwatch.store.strips import Stored, Strip, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from kpwatch.model.labels import Labels
    from kpwatch.store.block import BlockReader, StoredPart
    from kpwatch.store.blocks import Listed
    from kpwatch.store.cache import Cache
    from kpwatch.store.catalog import Catalog, Target
    from kpwatch.store.head import Head, HeadRow
    from kpwatch.store.index import Found
    from kpwatch.store.parts import Ids, Times

IDLE_CONNECTIONS = 4
CELLS_TOGETHER = 1 << 18
"""So many samples of several targets are read together, about: 2 MB."""
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


class _LookUp(NamedTuple):
    """A target whose blocks have to be looked for."""

    found: Found
    wanted: Wanted
    blocks_changed: int
    """How often they had changed, before anybody looked."""


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
                sealed = self._sealed(stack.enter_context(pool.snapshot()), known, changed, skip, report)
            else:
                pool.require_open()
                sealed = iter(cast("list[list[Part]]", known))
            for found, rows, parts in zip(self._found, heads, sealed, strict=True):
                unsealed = self._from_head(found, rows)
                is_merged = not unsealed and len(found.columns) <= COLUMNS_MAX
                for part in parts if is_merged else merge([*parts, *unsealed]):
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
        known: Sequence[list[Part] | None],
        changed: Sequence[int],
        skip: set[int],
        report: Callable[[int, str], None],
    ) -> Iterator[Iterable[Part]]:
        """What blocks have, target by target, merged if it is for the cache; `known` is known already.

        `changed`: of each target how often its blocks had changed, read after the head's rows and before the snapshot.
        """
        look_up = [
            _LookUp(found, self._wanted_of(found.columns), blocks_changed)
            for found, parts, blocks_changed in zip(self._found, known, changed, strict=True)
            if parts is None
        ]
        looked_up = self._looked_up(connection, look_up, skip, report)
        for parts in known:
            yield next(looked_up) if parts is None else parts

    def _looked_up(
        self,
        connection: sqlite3.Connection,
        look_up: Sequence[_LookUp],
        skip: set[int],
        report: Callable[[int, str], None],
    ) -> Iterator[Iterable[Part]]:
        """Those of one listing, and of these as many as are worth it, are read together."""
        for first in range(0, len(look_up), blocks.TOGETHER):
            some = look_up[first : first + blocks.TOGETHER]
            numbers = [one.found.target.number for one in some]
            listed = blocks.listed_of_some(connection, numbers, self._start_ms, self._end_ms)
            waiting: list[tuple[_LookUp, list[Listed]]] = []
            cells = 0
            for one, every in zip(some, listed, strict=True):
                rows = [block for block in every if block.row.number not in skip]  # told of when they were put there
                if len(one.wanted.columns) > COLUMNS_MAX:
                    yield from self._read(connection, waiting, report)
                    yield self._clipped(self._many_columns(connection, rows, one.wanted, report))
                    waiting, cells = [], 0
                    continue
                waiting.append((one, rows))
                cells += len(one.wanted.columns) * sum(block.row.rows for block in rows if block.length >= 0)
                if cells > CELLS_TOGETHER:
                    yield from self._read(connection, waiting, report)
                    waiting, cells = [], 0
            yield from self._read(connection, waiting, report)

    def _read(
        self,
        connection: sqlite3.Connection,
        look_up: Sequence[tuple[_LookUp, list[Listed]]],
        report: Callable[[int, str], None],
    ) -> list[list[Part]]:
        """What blocks of some targets have, kept in the cache."""
        failed: set[int] = set()

        def fail(place: int, block: Listed, reason: str) -> None:
            failed.add(place)
            report(block.row.number, reason)

        strips_of: list[list[Strip]] = []
        for place, (one, listed) in enumerate(look_up):
            before = self._known_sealed(one.found.target, one.wanted)
            known = before.by_block if before is not None else {}
            strips_of.append([])
            for block in listed:
                try:
                    strips_of[-1] += self._strips(connection, block, one.wanted, known.get(block))
                except Damaged as error:
                    fail(place, block, str(error))
        answers: list[list[Part]] = []
        for place, ((one, _), (by_block, parts)) in enumerate(zip(look_up, read(strips_of, fail), strict=True)):
            if place not in failed:
                self._keep(one, by_block, parts)
            answers.append(self._clipped(parts))
        return answers

    def _keep(self, one: _LookUp, by_block: dict[Listed, list[Part]], parts: list[Part]) -> None:
        for part in parts:
            part.bits.flags.writeable = False
        end_ms = self._end_ms if self._end_ms < one.found.target.sealed_ms else NEVER_MS
        sealed = Sealed(one.blocks_changed, self._start_ms, end_ms, parts, by_block)
        self._budget.put(("blocks", one.found.target.number, one.wanted.key), sealed, sealed.size)

    def _clipped(self, parts: Iterable[Part]) -> list[Part]:
        clipped = [clip(part, self._start_ms, self._end_ms) for part in parts if self._overlaps(part.timestamps_ms)]
        return [part for part in clipped if part.rows]

    def _many_columns(
        self,
        connection: sqlite3.Connection,
        listed: Iterable[Listed],
        wanted: Wanted,
        report: Callable[[int, str], None],
    ) -> Iterator[Part]:
        """What is not for the cache: of each block what is in the stretch, block by block."""
        for block in listed:
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
            return [Strip(block, part.columns, part.timestamps_ms, part.bits) for part in known]
        reader = self._open(connection, block)
        chosen = [(stored, *wanted.choose(stored.columns)) for stored in reader.parts]
        return [
            Strip(block, columns, stored.timestamps_ms, Stored(reader, stored, places))
            for stored, columns, places in chosen
            if len(columns)
        ]

    def _open(self, connection: sqlite3.Connection, block: Listed) -> BlockReader:
        parts: list[StoredPart] | None = self._cache.get(block)
        reader = blocks.open_block(connection, block, self._sets, parts)
        if parts is None:
            self._budget.put(block, reader.parts, sum(part.size for part in reader.parts))
        return reader

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
