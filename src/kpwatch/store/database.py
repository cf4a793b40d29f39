"""The store: frames in, slices out, everything on disk that was promised to be.

One directory, one SQLite file, one writing thread. `append` queues; a finished Future means committed and synced.
Queries run in the caller's thread on connections of their own. See the package's docstring for who does what.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from kpwatch.base.clock import SYSTEM_CLOCK
from kpwatch.base.errors import StoreClosed, StoreError
from kpwatch.base.logs import Logger
from kpwatch.model.labels import join_target, label_value
from kpwatch.store import blocks, journal, quarantine, rescue
from kpwatch.store.cache import Cache
from kpwatch.store.catalog import NEVER_MS, Catalog
from kpwatch.store.commit import Append, PromisedAppend, take
from kpwatch.store.deletion import Deletion
from kpwatch.store.head import Head
from kpwatch.store.index import find, label_sets
from kpwatch.store.lock import DirectoryLock
from kpwatch.store.maintenance import Maintenance
from kpwatch.store.options import StoreOptions
from kpwatch.store.packing import Damaged
from kpwatch.store.reader import Query, ReaderPool
from kpwatch.store.schema import FILE_NAME, connect_writer, migrate
from kpwatch.store.selections import Selections
from kpwatch.store.state import Counters, Stages, State
from kpwatch.store.statistics import tops
from kpwatch.store.wal import times_begun
from kpwatch.store.writer import Command, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from kpwatch.base.clock import Clock
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.frames import Frame
    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher
    from kpwatch.model.source import Appended, Deleted, Slice
    from kpwatch.model.stack import Stack
    from kpwatch.store.catalog import Target
    from kpwatch.store.index import Found

__all__ = ["Store", "StoreOptions"]

Answer = TypeVar("Answer")


class Store:
    """An Appender and a SeriesSource on a directory. Thread-safe."""

    def __init__(self, state: State, lock: DirectoryLock) -> None:
        """Use `open`."""
        self._state = state
        self._lock = lock
        self._pool = ReaderPool(state.path)
        self._cache = Cache(state.options.cache_bytes)
        self._selections = Selections(state.catalog, state.head, self._cache, self._slices)
        self._maintenance = Maintenance(state)
        self._writer = Writer(state, self._maintenance)
        self._closed = False

    @classmethod
    def open(
        cls, options: StoreOptions, telemetry: Registry, clock: Clock = SYSTEM_CLOCK, log: Logger | None = None
    ) -> Store:
        """Open or make the store in `options.directory`; the caller closes it.

        `log` is written to by the store's own thread; without one the store says what it has to say on stderr.

        Raises ConfigError when the directory cannot be used, somebody else holds it, or a newer kpwatch wrote it;
        StoreError when the database cannot be read.
        """
        log = log or Logger(clock=clock)
        lock = DirectoryLock(options.directory)
        try:
            state = _open(options, clock, log, Counters(telemetry), Stages(telemetry))
        except BaseException:
            lock.release()
            raise
        store = cls(state, lock)
        store._show(telemetry)
        return store

    def append(self, frames: Iterable[Frame]) -> Future[Appended]:
        """Queue `frames` for the next commit: see `model.source.Appender`.

        Raises BadInput for a frame that could never be stored, StoreOverloaded, StoreClosed; the Future may raise
        BadInput (a column twice in a layout), StoreFull and StoreError.
        """
        append = PromisedAppend(*take(frames))
        self._writer.submit(append)
        return append.future

    def append_then(self, frames: Iterable[Frame], then: Callable[[Appended | Exception], None]) -> None:
        """See `model.source.Appender`; raises as `append`."""
        self._writer.submit(Append(*take(frames), then))

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterable[Slice]:
        """See `model.source.SeriesSource`. Decodes while it is iterated over; do not dawdle, a snapshot is open."""
        start_ms = max(start_ms, self._state.oldest_kept_ms())
        return self._slices(find(self._state.catalog, matchers, start_ms, end_ms), start_ms, end_ms)

    def _slices(
        self, found: Sequence[Found], start_ms: int, end_ms: int, fail: Callable[[], None] = lambda: None
    ) -> Iterator[Slice]:
        """`fail` is called where a block is damaged."""

        def report(number: int, reason: str) -> None:
            fail()
            self._damaged(number, reason)

        query = Query(self._state.catalog, self._cache, found, start_ms, end_ms)
        return query.slices(self._state.head, self._pool, self._state.set_aside, report)

    def stacks(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, steps: int) -> Iterator[list[Stack]]:
        """See `model.source.StackSource`."""
        oldest_ms = self._state.oldest_kept_ms()
        return self._selections.stacks(matchers, max(start_ms, oldest_ms), end_ms, steps, keeps=start_ms >= oldest_ms)

    def changes(self) -> int:
        """See `model.source.ChangingSource`."""
        return self._state.changes.number

    def is_as_it_was(self, changes: int, start_ms: int, end_ms: int) -> bool:
        """See `model.source.ChangingSource`."""
        return self._state.changes.least_ms_since(changes) > end_ms and start_ms >= self._state.oldest_kept_ms()

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """See `model.source.SeriesSource`."""
        found = find(self._state.catalog, matchers, max(start_ms, self._state.oldest_kept_ms()), end_ms)
        sets = label_sets(self._state.catalog, found)
        return sorted(join_target(target.labels, column) for target, columns in sets for column in columns)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """See `model.source.SeriesSource`."""
        return sorted({name for labels in self._label_sets(matchers, start_ms, end_ms) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """See `model.source.SeriesSource`."""
        values = {label_value(labels, name) for labels in self._label_sets(matchers, start_ms, end_ms)}
        return sorted(values - {""})

    def _label_sets(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> set[Labels]:
        """Label sets of matching targets and of matching columns: apart, which is all that names and values need."""
        found = find(self._state.catalog, matchers, max(start_ms, self._state.oldest_kept_ms()), end_ms)
        seen: set[Labels] = set()
        for target, columns in label_sets(self._state.catalog, found):
            seen.add(target.labels)
            seen.update(columns)
        return seen

    def tops(self, limit: int) -> dict[str, list[dict[str, Any]]]:
        """The largest metrics, labels and targets for `/api/v1/status/tsdb`: see statistics.py."""
        return tops(self._state.catalog, limit)

    def status(self) -> dict[str, object]:
        """Counts for `/api/v1/status/tsdb`; raises StoreClosed."""
        catalog, head = self._state.catalog, self._state.head
        targets = list(catalog.targets.copy().values())
        with self._pool.snapshot() as connection:
            count, rows, samples, size = connection.execute(
                "SELECT count(*), total(row_count), total(sample_count), total(length(body)) FROM blocks"
            ).fetchone()
            aside = quarantine.listed(connection) | {"files": rescue.files_aside(self._state.path.parent)}
        return {
            "series": self._series_count(),
            "targets": len(targets),
            "columns": len(catalog.by_metric) and sum(map(len, catalog.by_metric.copy().values())),
            "layouts": len(catalog.layouts),
            "minTime": min((t.first_ms for t in targets if t.first_ms < NEVER_MS), default=None),
            "maxTime": max((t.last_ms for t in targets if t.last_ms > -NEVER_MS), default=None),
            "head": {"rows": head.count, "bytes": head.bytes, "queuedBytes": self._writer.queued_bytes},
            "blocks": {"count": count, "rows": int(rows), "samples": int(samples), "bytes": int(size)},
            "diskBytes": _disk_bytes(self._state),
            "walBytes": _log_bytes(self._state),
            "retention": {
                "seconds": self._state.options.retention_seconds,
                "bytes": self._state.options.retention_bytes,
            },
            "quarantine": aside,
            "lastError": self._maintenance.last_error,
        }

    def _series_count(self) -> int:
        return sum(len(target.columns) for target in self._state.catalog.targets.copy().values())

    def maintain(self) -> None:
        """Do all background work that is due, retention included, and wait for it."""
        self._in_writer(self._maintenance.run_all)

    def seal(self) -> None:
        """Make blocks of all that waits in the journal, small or not, and wait for it."""
        self._in_writer(self._maintenance.seal_all)

    def compact(self) -> None:
        """Merge what is in pieces, as `close` does, and wait for it."""
        self._in_writer(self._maintenance.compact)

    def delete(self, selections: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int) -> Future[Deleted]:
        """Delete the samples in [start_ms, end_ms] of the series that any of `selections` matches.

        Works block by block behind the appends; the Future is done when no query finds them and their space is free.
        Samples that arrive meanwhile may stay or go. Raises StoreClosed; the Future may raise StoreError, and what was
        deleted until then stays deleted.
        """
        deletion = Deletion(selections, start_ms, end_ms)
        self._writer.submit(Command(lambda: self._maintenance.delete(deletion)))
        return deletion.future

    def close(self) -> None:
        """Finish queued appends, seal what is worth it, empty the write-ahead log, let go of the directory."""
        if self._closed:
            return
        self._closed = True
        deadline = self._state.clock.monotonic_seconds() + self._state.options.close_seconds
        last = Command(lambda: self._finish(deadline))
        with suppress(StoreClosed):
            self._writer.submit(last)
        self._writer.close()
        self._pool.close()
        self._state.connection.close()
        self._lock.release()

    def _finish(self, deadline: float) -> None:
        self._maintenance.close(deadline)
        self._state.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _in_writer(self, work: Callable[[], Answer]) -> Answer:
        command = Command(work)
        self._writer.submit(command)
        answer: Answer = command.future.result()
        return answer

    def _damaged(self, number: int, reason: str) -> None:
        """A query found a damaged block: have it set aside."""
        with suppress(StoreClosed):  # then the next one who reads it will say so again
            self._writer.submit(Command(lambda: self._maintenance.damaged(number, reason)))

    def _show(self, telemetry: Registry) -> None:
        head = self._state.head
        gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            ("kpwatch_store_head_bytes", "Unsealed samples in memory.", lambda: head.bytes),
            ("kpwatch_store_head_rows", "Frames in the journal.", lambda: head.count),
            ("kpwatch_store_queue_bytes", "Appends waiting for a commit.", lambda: self._writer.queued_bytes),
            ("kpwatch_store_cache_bytes", "What queries decoded, kept for the next.", lambda: self._cache.bytes),
            ("kpwatch_store_targets", "Targets with samples.", lambda: len(self._state.catalog.targets)),
            ("kpwatch_store_series", "Series with samples.", self._series_count),
            ("kpwatch_store_wal_bytes", "Size of the database's write-ahead log.", lambda: _log_bytes(self._state)),
            ("kpwatch_store_disk_bytes", "Size of the database and its log.", lambda: _disk_bytes(self._state)),
        )
        for name, help_text, read in gauges:
            telemetry.gauge(name, help_text, read)
        for answer, count in (("found", lambda: self._cache.found), ("missed", lambda: self._cache.missed)):
            telemetry.read_counter(
                "kpwatch_store_cache_lookups_total", "What queries asked the cache for.", count, answer=answer
            )
        telemetry.read_counter(
            "kpwatch_store_checkpoints_total",
            "How often the write-ahead log was emptied into the database and begun anew, since the file was made.",
            lambda: times_begun(self._state.path.with_name(f"{FILE_NAME}-wal")),
        )


def _disk_bytes(state: State) -> int:
    return state.path.stat().st_size + _log_bytes(state)


def _log_bytes(state: State) -> int:
    with suppress(FileNotFoundError):  # once closed there is no log
        return state.path.with_name(f"{state.path.name}-wal").stat().st_size
    return 0


def _open(options: StoreOptions, clock: Clock, log: Logger, counters: Counters, stages: Stages) -> State:
    """Everything in memory that the database says; a damaged one is rescued first, see rescue.py."""
    path = options.directory / FILE_NAME
    rescue.finish(options.directory)
    for was_rescued in (False, True):
        connection: sqlite3.Connection | None = None
        try:
            why = rescue.inspect(path)
            if not why:
                connection = connect_writer(path)
                migrate(connection, path)
                return _load(State(options, path, clock, connection, Catalog(), Head(), counters, stages, log))
        except (sqlite3.Error, *rescue.NONSENSE) as error:
            if isinstance(error, sqlite3.Error) and not rescue.helps_against(error):
                raise StoreError(f"{path}: {error}; restore a backup or move the file away to start empty") from error
            why = f"{type(error).__name__}: {error}"
            if was_rescued:
                raise StoreError(f"{path}: {why}; restore a backup or move the file away to start empty") from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        if connection is not None:
            connection.close()
        rescue.rescue(path, why, clock, log)
        counters.rescues.add()
    raise StoreError(f"{path}: {why}, also after it was made anew; restore a backup")


def _load(state: State) -> State:
    """Read names, journal and what the blocks cover into memory; set aside what is damaged."""
    damaged = state.catalog.load(state.connection)
    rows, damaged_rows = journal.load(state.connection, state.catalog)
    quarantine.set_aside_rows(state, [*damaged, *damaged_rows])
    ends = "SELECT (SELECT min(id) FROM journal), (SELECT max(id) FROM journal), (SELECT max(id) FROM blocks)"
    first_row, last_row, last_block = state.connection.execute(ends).fetchone()
    sealed_row = max((target.sealed_row for target in state.catalog.targets.values()), default=0)
    state.next_row, state.next_block = max(last_row or 0, sealed_row) + 1, (last_block or 0) + 1
    state.first_row = first_row or state.next_row
    ranges = "SELECT target, min(start_ms), max(end_ms) FROM blocks GROUP BY target"
    for number, start_ms, end_ms in state.connection.execute(ranges):
        target = state.catalog.targets.get(number)
        if target is not None:  # else its name was lost: it is in the quarantine, its blocks stay
            target.first_ms, target.last_ms, target.sealed_ms = start_ms, end_ms, end_ms
            if not target.intact:
                state.log.warning(
                    f"the columns of target {number} are read from its blocks: its note of them is damaged"
                )
                _read_columns(state, target)
    state.head.add(rows)
    for row in rows:
        state.catalog.targets[row.target].saw(row.layout, row.timestamp_ms)
    return state


def _read_columns(state: State, target: Target) -> None:
    """Which columns a target has, from its blocks: its own note of them is damaged or was never made."""
    for _, block in blocks.overlapping(state.connection, target.number, -NEVER_MS, NEVER_MS, {}):
        if not isinstance(block, Damaged):  # else the first query that needs it sets it aside
            for part in block.parts:
                target.add_columns(part.columns)
