"""What happens behind the appends: sealing, merging, expiring, giving pages back.

All of it runs in the writer's thread, in steps of some milliseconds between commits, each a transaction of its own: no
second writer, no lock anybody waits for. A step that fails leaves everything as it was and is tried again later.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from typing import TYPE_CHECKING

from kpwatch.base.errors import StoreClosed, StoreError
from kpwatch.store import blocks, journal
from kpwatch.store.block import encode_block
from kpwatch.store.catalog import NEVER_MS, NO_COLUMNS
from kpwatch.store.checkpoint import Checkpointer
from kpwatch.store.expiry import LookAgain, expired, over_the_size, unused_columns
from kpwatch.store.head import join
from kpwatch.store.parts import clip, merge, sample_count
from kpwatch.store.quarantine import set_aside_block
from kpwatch.store.rewriting import Rewriting, Unreadable
from kpwatch.store.schema import PAGE_BYTES, vacuum
from kpwatch.store.tiers import TIER_ROWS, plan, plan_all, plan_last

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kpwatch.store.blocks import BlockRow
    from kpwatch.store.catalog import ColumnSet
    from kpwatch.store.deletion import Deletion
    from kpwatch.store.head import HeadRow
    from kpwatch.store.parts import Part
    from kpwatch.store.state import State

    Plan = Callable[[Sequence[BlockRow]], Sequence[BlockRow]]

SEAL_LEVEL = 3
"""zstd's."""
SEAL_SAMPLES_MAX = 1 << 19
"""A block is made of no more at once: it is the longest an append waits for the background."""
SEAL_SAMPLES_MIN = 1024
"""A target of few columns waits for so many samples before it is sealed."""
SMALL_FRAMES = 8
"""Who sends scrapes in pieces waits for as many samples as whole ones would have, or for so many times the frames."""
CLOSE_SAMPLES_MIN = 256
"""What is worth a block when the store closes; fewer samples stay in the journal."""
STEP_SECONDS = 0.02
"""How long appends wait for one step, about; longer only to seal as many frames as were just appended."""
RETENTION_EVERY_SECONDS = 60.0
SILENT_AT_ONCE = 16
"""Targets whose last frames of the journal expire in one step."""
RETRY_SECONDS = 5.0
LAYOUTS_KEPT = 4096
LAYOUTS_AT_ONCE = 512
TRIM_ROWS = 1024
"""So many rows are appended before dead ones are deleted again."""
TRIM_AT_ONCE = 1024
VACUUM_PAGES = 64
CLOSE_VACUUM_PAGES = 4096
VACUUM_FREE_PAGES = 16384
"""Free pages are left to the next blocks unless they are more than this and more than a quarter of the file."""


class Maintenance:
    """The work that waits, and doing some of it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._checkpointer = Checkpointer(state.path, state.connection)
        self._to_seal: dict[int, None] = {}
        self._to_merge: dict[int, None] = dict.fromkeys(state.catalog.targets)
        self._to_quarantine: dict[int, str] = {}
        self._to_look_at: dict[int, LookAgain] = {}
        self._names_may_go = False
        self._layouts_used = 0
        self._give_back = False
        self._deletions: deque[Deletion] = deque()
        self._merging: Rewriting | None = None
        self._stages: tuple[tuple[str, Callable[[float], bool]], ...] = (
            ("checkpoint", self._checkpoint),
            ("quarantine", self._set_aside_one),
            ("delete", self._delete_some),
            ("seal", self._seal_one),
            ("compact", self._merge_one),
            ("trim", self._trim_some),
            ("retention", self._look_again),
            ("retention", self._forget_names_due),
            ("retention", self._expire_some),
            ("vacuum", self._vacuum),
        )
        """What can be done, the most urgent first; each says whether there was anything to do."""
        self._sealed_once: set[int] = set()
        self._next_retention = state.clock.monotonic_seconds()
        self._resume = 0.0
        self._owed_rows = 0
        self._next_trim = 0
        self.last_error = ""

    # What waits

    def appended(self, rows: Iterable[HeadRow]) -> None:
        """Frames were committed: their targets may be due."""
        targets = [row.target for row in rows]
        self._owed_rows = len(targets)
        for target in set(targets):
            self._note_due(target)

    def damaged(self, number: int, reason: str) -> None:
        """A reader could not read a block."""
        self._to_quarantine[number] = reason

    def delete(self, deletion: Deletion) -> None:
        """Somebody wants series deleted; its future tells when they are."""
        self._deletions.append(deletion)

    def _note_due(self, target: int) -> None:
        rows, samples = self._state.head.size(target)
        wanted = self._rows_wanted(target)
        if rows < wanted:
            return
        whole = wanted * len(self._state.catalog.targets[target].columns)
        if samples >= max(SEAL_SAMPLES_MIN, whole) or rows >= SMALL_FRAMES * self._state.options.seal_rows:
            self._to_seal[target] = None

    def _rows_wanted(self, target: int) -> int:
        """The first time targets are sealed at different ages, so that later they are not all due at once."""
        rows = self._state.options.seal_rows
        if target in self._sealed_once:
            return rows
        return rows - (target * 11) % max(1, rows // 2)

    # Doing it

    def step(self) -> bool:
        """Work a little; True when there is more to do at once."""
        clock = self._state.clock
        start = clock.monotonic_seconds()
        if start < self._resume:
            return False
        try:
            while self._work_once(start):
                if clock.monotonic_seconds() - start >= STEP_SECONDS:
                    self._seal_owed()
                    return True
        except (StoreError, sqlite3.Error) as error:
            self.failed(error)
        return False

    def _seal_owed(self) -> None:
        """Seal as many frames as were appended since the last step, so that memory stays bounded, and nothing else."""
        head, most = self._state.head, self._state.options.head_bytes
        while self._to_seal and (self._owed_rows > 0 or head.bytes > most):
            self._timed("seal", self._seal_one, 0.0)

    def failed(self, error: Exception) -> None:
        """Note a step that failed; the next one waits a little."""
        self._state.counters.failures.add()
        self._state.note_damage(error)
        self._resume = self._state.clock.monotonic_seconds() + RETRY_SECONDS
        self.last_error = f"{type(error).__name__}: {error}"
        self._state.log.warning(
            f"a background step failed and will be tried again: {self.last_error}", about="background"
        )

    def _work_once(self, now: float) -> bool:
        """One piece of work, the most urgent; False when there is none."""
        return any(self._timed(stage, work, now) for stage, work in self._stages)

    def _timed(self, stage: str, work: Callable[[float], bool], now: float) -> bool:
        clock = self._state.clock
        start = clock.monotonic_seconds()
        has_worked = work(now)
        if has_worked:
            self._state.stages.note(stage, clock.monotonic_seconds() - start)
        return has_worked

    def _checkpoint(self, _: float) -> bool:
        return self._checkpointer.step(self._state.written_bytes)

    def _set_aside_one(self, _: float) -> bool:
        if not self._to_quarantine:
            return False
        number = next(iter(self._to_quarantine))
        set_aside_block(self._state, number, self._to_quarantine.pop(number))
        return True

    def _seal_one(self, _: float) -> bool:
        if not self._to_seal:
            return False
        target = _rotate(self._to_seal)
        if self._state.head.rows(target):  # else something else sealed or deleted them
            self.seal(target)
        del self._to_seal[target]
        self._note_due(target)
        return True

    def _merge_one(self, _: float) -> bool:
        if self._merging is not None:
            merging, self._merging = self._merging, None  # one that raises is begun again
            if not self._go_on_merging(merging):
                self._merging = merging
            return True
        if not self._to_merge:
            return False
        target = _rotate(self._to_merge)
        self._merging = self._begin_merge(target)
        if self._merging is None:
            del self._to_merge[target]
        return True

    def _trim_some(self, _: float) -> bool:
        if self._state.next_row < self._next_trim:
            return False
        self._trim()
        return True

    def _expire_some(self, now: float) -> bool:
        if now < self._next_retention:
            return False
        if not self.expire():
            self._next_retention = now + RETENTION_EVERY_SECONDS
        return True

    def run_all(self) -> None:
        """Do everything that is due, retention included, however long it takes."""
        self._next_retention = self._resume = self._state.clock.monotonic_seconds()
        while self._work_once(self._state.clock.monotonic_seconds()):
            pass

    def seal_all(self) -> None:
        """Make blocks of all that waits, however little."""
        for number in self._state.head.targets():
            while self._state.head.rows(number):
                self.seal(number)

    def seal(self, number: int) -> None:
        """Make a block of a target's oldest unsealed rows and declare them dead in the journal: one transaction."""
        state = self._state
        rows = _first_samples(state.head.rows(number))
        target = state.catalog.targets[number]
        parts = self._unexpired(join(rows))
        block = blocks.make_row(state.next_block, number, parts) if parts else None
        body = encode_block(parts, SEAL_LEVEL)

        def work() -> None:
            if block:
                blocks.insert(state.connection, block, body)
            state.catalog.save_state(state.connection, target, rows[-1].number)

        state.unsynced(work, len(body))
        target.sealed_row = rows[-1].number
        if block:
            state.next_block += 1
            target.sealed_ms = max(target.sealed_ms, block.end_ms)
            state.blocks_changed([number], same_samples=True)
            state.counters.sealed.add()
        state.head.drop(number, rows)
        self._owed_rows -= len(rows)
        self._sealed_once.add(number)
        self._to_merge[number] = None
        self._forget_layouts()

    def merge(self, number: int, choose: Plan = plan) -> bool:
        """Merge those neighbours of a target's blocks that a plan chooses. False if there are none."""
        merging = self._begin_merge(number, choose)
        if merging is None:
            return False
        while not self._go_on_merging(merging):
            pass
        return True

    def _begin_merge(self, number: int, choose: Plan = plan) -> Rewriting | None:
        state = self._state
        readable = [row for row in blocks.of_target(state.connection, number) if row.number not in state.set_aside]
        while small := choose(readable):
            try:
                return Rewriting(state, small, lambda parts: self._unexpired(merge(parts)))
            except Unreadable as error:
                set_aside_block(state, error.number, str(error))
                readable = [row for row in readable if row.number != error.number]
        return None

    def _go_on_merging(self, merging: Rewriting) -> bool:
        """Do a little of it; True when there is nothing left to do."""
        state = self._state
        if merging.complete:
            if merging.commit(state, same_samples=True):
                state.counters.merged.add(merging.blocks)
            return True
        try:
            merging.step()
        except Unreadable as error:
            set_aside_block(state, error.number, str(error))
            return True
        return False

    def _unexpired(self, parts: Sequence[Part]) -> list[Part]:
        """Parts without the samples that are too old."""
        oldest_ms = self._state.oldest_kept_ms()
        kept = [part for part in (clip(part, oldest_ms, NEVER_MS) for part in parts) if part.rows]
        self._state.counters.expired_samples.add(sample_count(parts) - sample_count(kept))
        return kept

    def expire(self) -> bool:
        """Delete some blocks that are too old, or the oldest of too many; False if there are none.

        So few at once that nobody waits; what is left of their targets is found out in steps of its own.
        """
        state = self._state
        oldest_ms = state.oldest_kept_ms()
        old, counter = expired(state.connection, oldest_ms), state.counters.expired_samples
        silent = [n for n in state.head.targets() if max(row.timestamp_ms for row in state.head.rows(n)) < oldest_ms]
        if not old and not silent:
            old, counter = over_the_size(state), state.counters.evicted_samples
        if not old and not silent:
            return False
        state.unsynced(lambda: blocks.delete(state.connection, [row.number for row in old]))
        state.blocks_changed(row.target for row in old)
        counter.add(sum(row.samples for row in old))
        for number in silent[:SILENT_AT_ONCE]:
            self.seal(number)
        for number in (*silent[:SILENT_AT_ONCE], *(row.target for row in old)):
            self.look_at(number)
        return True

    def look_at(self, number: int) -> None:
        """Samples of a target were deleted: what is left of it?"""
        if number in self._state.catalog.targets:
            self._to_look_at[number] = LookAgain(number)

    def _look_again(self, _: float) -> bool:
        if not self._to_look_at:
            return False
        number, look = next(iter(self._to_look_at.items()))
        damaged = look.step(self._state, self._state.clock.monotonic_seconds() + STEP_SECONDS / 2)
        self._to_quarantine.update(damaged)
        if look.complete:
            del self._to_look_at[number]
            self._names_may_go = True
        return True

    def _delete_some(self, _: float) -> bool:
        if not self._deletions or self._state.head.bytes > self._state.options.head_bytes:
            return False
        deletion = self._deletions[0]
        try:
            self._to_quarantine.update(deletion.step(self._state, self))
        except (StoreError, sqlite3.Error) as error:
            self._deletions.popleft()
            deletion.future.set_exception(
                StoreError(f"deleting stopped in the middle and can be asked for again: {error}")
            )
            raise
        if deletion.complete:
            self._deletions.popleft()
            self._give_back = True
            deletion.future.set_result(deletion.result)
        return True

    def _forget_names_due(self, _: float) -> bool:
        if not self._names_may_go:
            return False
        self.forget_names()
        return True

    def forget_names(self) -> None:
        """Drop targets without samples, and columns no target has."""
        state, catalog = self._state, self._state.catalog
        gone = [target for target in catalog.targets.values() if not len(target.columns)]
        layouts = {layout for layout in catalog.layouts.values() if layout.rows}
        unused = unused_columns(catalog, layouts)
        self._names_may_go = False
        if gone or len(unused):
            idle = catalog.idle_layouts()

            def work() -> None:
                catalog.forget(state.connection, gone, idle, unused)
                journal.delete_orphans(state.connection)

            state.unsynced(work)

    def _forget_layouts(self) -> None:
        """Senders that cut their requests anywhere make new layouts all the time: drop some of those no row uses.

        They are looked for when so many may be found that it is worth passing those that are used.
        """
        catalog = self._state.catalog
        if len(catalog.layouts) <= max(LAYOUTS_KEPT, self._layouts_used + self._layouts_used // 4):
            return
        idle = catalog.idle_layouts()
        self._layouts_used = len(catalog.layouts) - len(idle)
        self._drop_layouts(idle[:LAYOUTS_AT_ONCE])

    def _drop_layouts(self, idle: Sequence[ColumnSet]) -> None:
        state = self._state
        state.unsynced(lambda: state.catalog.forget(state.connection, [], idle, NO_COLUMNS))

    def _trim(self) -> None:
        """Delete dead rows at the journal's start; seal targets whose few old rows keep too many dead ones there."""
        state = self._state
        first = state.head.first_number() or state.next_row
        until = min(first, state.first_row + TRIM_AT_ONCE)
        if until > state.first_row:
            state.unsynced(lambda: journal.delete_before(state.connection, until))
            state.first_row = until
        if until < first:
            return
        if state.next_row - first > 3 * state.head.count + TRIM_ROWS:
            self._to_seal.update(dict.fromkeys(state.head.owners_before(first + TRIM_ROWS)))
        self._next_trim = state.next_row + TRIM_ROWS

    def _vacuum(self, _: float) -> bool:
        """Give some free pages back to the file system: if they are many, if somebody deleted, if a size is kept."""
        connection = self._state.connection
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        limit = self._state.options.retention_bytes
        self._give_back = self._give_back and free > 0
        wanted = self._give_back or (limit and free >= VACUUM_PAGES and pages * PAGE_BYTES > limit)
        if not wanted and (free <= VACUUM_FREE_PAGES or free * 4 <= pages):
            return False
        vacuum(connection, VACUUM_PAGES)
        return True

    def compact(self, deadline: float = NEVER_MS, choose: Plan = plan_all) -> None:
        """Merge small neighbours until a plan finds no more of them, or until `deadline` (monotonic)."""
        clock = self._state.clock
        for number in blocks.with_small(self._state.connection, TIER_ROWS[0], 2):
            while clock.monotonic_seconds() < deadline and self.merge(number, choose):
                pass

    def close(self, deadline: float) -> None:
        """Seal and merge what is worth it and give free pages back, until `deadline` (monotonic)."""
        clock, state = self._state.clock, self._state
        self._checkpointer.close()
        for deletion in self._deletions:
            deletion.future.set_exception(StoreClosed("the store was closed before everything was deleted"))
        self._deletions.clear()
        try:
            for number in state.head.targets():
                _, samples = state.head.size(number)
                if samples >= CLOSE_SAMPLES_MIN and clock.monotonic_seconds() < deadline:
                    self.seal(number)
            self.compact(deadline, plan_last)
            self._drop_layouts(state.catalog.idle_layouts())
            left = [row for number in state.head.targets() for row in state.head.rows(number)]
            state.unsynced(lambda: journal.keep_only(state.connection, left))
            while (
                clock.monotonic_seconds() < deadline and state.connection.execute("PRAGMA freelist_count").fetchone()[0]
            ):
                vacuum(state.connection, CLOSE_VACUUM_PAGES)
        except (StoreError, sqlite3.Error) as error:
            self.failed(error)


def _rotate(waiting: dict[int, None]) -> int:
    """The target that waits longest; it goes to the end, so that one that keeps failing does not hold up the rest."""
    target = next(iter(waiting))
    del waiting[target]
    waiting[target] = None
    return target


def _first_samples(rows: Sequence[HeadRow]) -> Sequence[HeadRow]:
    """The first rows, as many as fit into one block, one at least."""
    samples = 0
    for count, row in enumerate(rows):
        samples += len(row.layout.columns)
        if samples > SEAL_SAMPLES_MAX and count:
            return rows[:count]
    return rows
