"""Queries: what stands in memory and what stands in the database, as one.

A query takes the head's rows first and opens a snapshot of the database after. Whatever is sealed in between is then
in both, and `merge` makes it one again; nothing can be in neither. Readers have connections of their own and wait for
nobody; the writer does not wait for them.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.base.errors import StoreClosed
from kpwatch.model.labels import join_target
from kpwatch.model.source import Slice
from kpwatch.store import blocks
from kpwatch.store.head import make_parts
from kpwatch.store.packing import Damaged
from kpwatch.store.parts import Part, Wanted, clip, merge
from kpwatch.store.schema import connect_reader, store_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from kpwatch.model.labels import Labels
    from kpwatch.store.block import BlockReader
    from kpwatch.store.catalog import Catalog
    from kpwatch.store.head import Head, HeadRow
    from kpwatch.store.index import Found
    from kpwatch.store.parts import Ids

IDLE_CONNECTIONS = 4


class ReaderPool:
    """Read-only connections, one per query at a time; some are kept for the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the database as it is at its first read.

        Raises StoreClosed after `close`, and StoreError for what SQLite raises inside.
        """
        connection = self._take()
        try:
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as error:
            raise store_error(error) from error
        finally:
            connection.rollback()
            self._give_back(connection)

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

    def __init__(self, catalog: Catalog, found: Sequence[Found], start_ms: int, end_ms: int) -> None:
        self._catalog = catalog
        self._found = found
        self._start_ms, self._end_ms = start_ms, end_ms
        self._wanted: dict[int, Wanted] = {}
        self._sets: dict[bytes, Ids] = {}

    def slices(
        self, head: Head, pool: ReaderPool, skip: set[int], report: Callable[[int, str], None]
    ) -> Iterator[Slice]:
        """The answer, target by target. `skip`: blocks not to look at; `report` is told of damaged ones."""
        heads = [head.rows(target.number) for target, _ in self._found]
        with pool.snapshot() as connection:
            for found, rows in zip(self._found, heads, strict=True):
                parts = [
                    *self._from_blocks(connection, found, skip, report),
                    *self._from_head(found, rows),
                ]
                for part in merge(parts):
                    yield from self._slice(found.target.labels, part)

    def _wanted_of(self, columns: Ids) -> Wanted:
        wanted = self._wanted.get(id(columns))
        if wanted is None:
            wanted = self._wanted[id(columns)] = Wanted(columns)
        return wanted

    def _from_head(self, found: Found, rows: Sequence[HeadRow]) -> list[Part]:
        inside = [row for row in rows if self._start_ms <= row.timestamp_ms <= self._end_ms]
        return make_parts(inside, self._wanted_of(found.columns)) if inside else []

    def _from_blocks(
        self, connection: sqlite3.Connection, found: Found, skip: set[int], report: Callable[[int, str], None]
    ) -> Iterator[Part]:
        wanted = self._wanted_of(found.columns)
        opened = blocks.overlapping(connection, found.target.number, self._start_ms, self._end_ms, self._sets)
        for number, block in opened:
            if number in skip:
                continue  # counted when it was put there
            try:
                if isinstance(block, Damaged):
                    raise block
                yield from self._from_block(block, wanted)
            except Damaged as error:
                report(number, str(error))

    def _from_block(self, block: BlockReader, wanted: Wanted) -> list[Part]:
        parts: list[Part] = []
        for stored in block.parts:
            if stored.timestamps_ms[0] > self._end_ms or stored.timestamps_ms[-1] < self._start_ms:
                continue  # nothing of it is asked for
            columns, places = wanted.choose(stored.columns)
            if len(columns):
                whole = Part(columns, stored.timestamps_ms, block.select(stored, places))
                parts.append(clip(whole, self._start_ms, self._end_ms))
        return parts

    def _slice(self, target: Labels, part: Part) -> Iterator[Slice]:
        """The part with its names; a column whose name was lost (it is in the quarantine) cannot be answered."""
        names = [self._catalog.columns[number] for number in part.columns.tolist()]
        series = tuple(join_target(target, column) for column in names if column is not None)
        bits = part.bits
        if len(series) < len(names):
            bits = bits[[line for line, column in enumerate(names) if column is not None]]
        if series:
            yield Slice(series, part.timestamps_ms, bits.T.view(np.float64))
