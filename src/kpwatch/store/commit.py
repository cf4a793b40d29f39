"""Group commit: many appends, one transaction, one sync.

Names first, rows next, then COMMIT; only when that has returned do memory and futures learn of it. So whatever a
finished Future promised is on disk, and whatever a reader sees was committed.
"""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import BadInput, OverLimit, StoreError, StoreFull
from kpwatch.model.source import Appended
from kpwatch.store import blocks, journal
from kpwatch.store.catalog import common_with_any
from kpwatch.store.head import HeadRow
from kpwatch.store.limits import Limits
from kpwatch.store.packing import Damaged, compress_fast
from kpwatch.store.schema import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kpwatch.model.frames import Frame, Layout
    from kpwatch.model.labels import Labels
    from kpwatch.store.catalog import ColumnSet
    from kpwatch.store.parts import Ids
    from kpwatch.store.state import State

    Then = Callable[[Appended | Exception], None]

TIMESTAMP_MAX_MS = 1 << 53
"""Beyond it a timestamp is not one any clock of ours has shown."""


class Taken(NamedTuple):
    """A frame with its values copied: the caller may use its buffer again."""

    target: Labels
    layout: Layout
    timestamp_ms: int
    values: bytes


class Append:
    """One call of `append` on its way to the disk; `then` is told once how it ended."""

    __slots__ = ("bytes", "frames", "is_done", "then")

    def __init__(self, frames: list[Taken], size: int, then: Then) -> None:
        self.frames = frames
        self.bytes = size
        self.then = then
        self.is_done = False

    def is_wanted(self) -> bool:
        """Whether it is to be stored; if so, nobody can cancel it any more."""
        return True

    def finish(self, outcome: Appended | Exception) -> None:
        """It is on disk, or it is not."""
        self.is_done = True
        self.then(outcome)


class PromisedAppend(Append):
    """One that a Future stands for."""

    __slots__ = ("future",)

    def __init__(self, frames: list[Taken], size: int) -> None:
        super().__init__(frames, size, self._settle)
        self.future: Future[Appended] = Future()

    def is_wanted(self) -> bool:
        """See Append."""
        return self.future.set_running_or_notify_cancel()

    def _settle(self, outcome: Appended | Exception) -> None:
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


def take(frames: Iterable[Frame]) -> tuple[list[Taken], int]:
    """(frames copied and checked, about how many bytes they are); raises BadInput for what could never be stored."""
    taken: list[Taken] = []
    for target, layout, timestamp_ms, values in frames:
        if values.shape != (len(layout.columns),) or values.dtype != np.float64:
            raise BadInput(
                f"a frame of {target} has values of {values.dtype} {values.shape},"
                f" its layout has {len(layout.columns)} columns and values are float64"
            )
        if not -TIMESTAMP_MAX_MS <= timestamp_ms <= TIMESTAMP_MAX_MS:
            raise BadInput(f"a frame of {target} has the timestamp {timestamp_ms} ms, beyond 2^53")
        if layout.columns:
            taken.append(Taken(target, layout, int(timestamp_ms), values.tobytes()))
    return taken, sum([len(frame.values) for frame in taken]) + 500 * len(taken)


class Batch:
    """Rows of one transaction, and what they replace."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.rows: list[HeadRow] = []
        self._pending: dict[tuple[int, int], list[ColumnSet]] = {}
        """Layouts by target and time."""
        self._latest: dict[int, int] = {}
        self._limits = Limits(state.options, state.catalog)
        self.answers: list[tuple[Append, Appended, OverLimit | None]] = []
        self.damaged: dict[int, str] = {}
        """Blocks that could not be read while looking for replaced samples."""

    def add(self, append: Append) -> None:
        """Number the frames of one append; raises BadInput and adds nothing if one of them is bad."""
        self._limits.begin()
        frames = [kept for frame in append.frames if (kept := self._limits.admit(frame)) is not None]
        resolved = [self._state.catalog.resolve(frame.layout) for frame in frames]
        samples = overwritten = 0
        for frame, (layout, order) in zip(frames, resolved, strict=True):
            values = frame.values if order is None else np.frombuffer(frame.values, np.int64)[order].tobytes()
            target = self._state.catalog.target(frame.target)
            row = HeadRow(self._state.next_row, target.number, layout, frame.timestamp_ms, compress_fast(values))
            self._state.next_row += 1
            overwritten += self._overwritten(row)
            samples += len(layout.columns)
            self.rows.append(row)
        appended, over = Appended(samples, overwritten), None
        if self._limits.left_out:
            over = OverLimit(
                f"{self._limits.reason}: {self._limits.left_out} samples are not stored, the other {samples} are",
                samples,
                overwritten,
            )
            self._state.counters.over_limit.add(self._limits.left_out)
        self.answers.append((append, appended, over))

    def _overwritten(self, row: HeadRow) -> int:
        """How many samples of `row` replace one of the same series and time."""
        target = self._state.catalog.targets[row.target]
        latest = max(target.last_ms, self._latest.get(row.target, target.last_ms))
        pending = self._pending.setdefault((row.target, row.timestamp_ms), [])
        there = list(pending)
        pending.append(row.layout)
        if row.timestamp_ms > latest:
            self._latest[row.target] = row.timestamp_ms
            return 0
        known = target.layouts_at(row.timestamp_ms)
        if known is not None:
            return common_with_any(row.layout, there + known)
        unsealed = self._state.head.rows(row.target)
        there += [other.layout for other in unsealed if other.timestamp_ms == row.timestamp_ms]
        sealed = self._sealed_columns(row) if row.timestamp_ms <= target.sealed_ms else []
        if not sealed:
            return common_with_any(row.layout, there)
        return int(np.isin(row.layout.columns, np.concatenate([*(one.columns for one in there), *sealed])).sum())

    def _sealed_columns(self, row: HeadRow) -> list[Ids]:
        """Columns that have a sample at the row's time in a block."""
        found: list[Ids] = []
        at = row.timestamp_ms
        try:
            for number, block in blocks.overlapping(self._state.connection, row.target, at, at, {}):
                if isinstance(block, Damaged):
                    self.damaged[number] = str(block)
                else:
                    found += [part.columns for part in block.parts if bool((part.timestamps_ms == at).any())]
        except sqlite3.Error as error:
            self._state.counters.failures.add()  # a count may be low; the samples themselves do not depend on this
            self._state.log.warning(f"cannot tell what a late frame replaces: {error}", about="late frame")
        return found


def commit(state: State, appends: Sequence[Append]) -> Batch:
    """Make `appends` durable, visible and finished; their futures tell the outcome, whatever it is."""
    batch = Batch(state)
    for append in appends:
        if not append.is_wanted():
            continue
        try:
            batch.add(append)
        except BadInput as error:
            state.counters.failed_appends.add()
            append.finish(error)
    try:
        _write(state, batch)
    except StoreError as error:
        state.note_damage(error)
        state.counters.failed_appends.add(len(batch.answers))
        for append, *_ in batch.answers:
            append.finish(error)
        batch.rows.clear()
    else:
        _publish(state, batch)
    return batch


def _write(state: State, batch: Batch) -> None:
    if not batch.rows:
        return
    require_room(state)
    with transaction(state.connection):
        state.catalog.write_new(state.connection)
        journal.insert(state.connection, batch.rows)
    state.catalog.committed()


def require_room(state: State) -> None:
    """Raise StoreFull where the disk has less room than the options want kept free."""
    disk = os.statvfs(state.path.parent)
    free = disk.f_bavail * disk.f_frsize
    if free < state.options.free_bytes_min:
        raise StoreFull(
            f"{free} bytes are free under {state.path.parent}, {state.options.free_bytes_min} are to be kept free"
            " (free_bytes_min): make room, writing resumes by itself"
        )


def _publish(state: State, batch: Batch) -> None:
    for row in batch.rows:  # names and times before the rows: who has seen these must have found all there is
        state.catalog.targets[row.target].saw(row.layout, row.timestamp_ms)
    state.head.add(batch.rows)
    if batch.rows:
        state.changes.came(min(row.timestamp_ms for row in batch.rows))
    state.counters.commits.add(bool(batch.rows))
    state.counters.frames.add(len(batch.rows))
    for append, appended, over in batch.answers:
        state.counters.samples.add(appended.samples)
        state.counters.overwritten.add(appended.overwritten)
        append.finish(appended if over is None else over)
