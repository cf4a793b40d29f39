"""What the writer's thread works on, in one place: connection, names, head, counters."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpwatch.store.changes import Changes
from kpwatch.store.schema import PAGE_BYTES, is_damage, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from kpwatch.base.clock import Clock
    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Counter, Gauge, Registry
    from kpwatch.store.catalog import Catalog
    from kpwatch.store.head import Head
    from kpwatch.store.options import StoreOptions

COUNTERS = (
    ("samples", "kpwatch_store_samples_total", "Samples committed."),
    (
        "overwritten",
        "kpwatch_store_overwritten_samples_total",
        "Samples that replaced one of the same series and time.",
    ),
    ("frames", "kpwatch_store_frames_total", "Frames committed."),
    ("commits", "kpwatch_store_commits_total", "Commits, each with one sync, that made appends durable."),
    ("failed_appends", "kpwatch_store_failed_appends_total", "Appends that raised: bad frame, full disk, disk error."),
    ("over_limit", "kpwatch_store_over_limit_samples_total", "Samples not kept: too many targets, or series of one."),
    ("sealed", "kpwatch_store_sealed_blocks_total", "Blocks made from journal rows."),
    ("merged", "kpwatch_store_merged_blocks_total", "Blocks that went into larger ones."),
    ("expired_samples", "kpwatch_store_expired_samples_total", "Samples deleted because of their age."),
    ("evicted_samples", "kpwatch_store_evicted_samples_total", "Samples deleted because of the retention size."),
    ("deleted_samples", "kpwatch_store_deleted_samples_total", "Samples deleted because somebody asked for it."),
    ("quarantined", "kpwatch_store_quarantined_rows_total", "Rows set aside because of a wrong checksum."),
    ("rescues", "kpwatch_store_rescues_total", "Databases that were damaged and made anew from what could be read."),
    ("failures", "kpwatch_store_maintenance_failures_total", "Background steps that failed and will be tried again."),
)


class Counters:
    """The store's counters; all belong to the writer's thread."""

    samples: Counter
    overwritten: Counter
    frames: Counter
    commits: Counter
    failed_appends: Counter
    over_limit: Counter
    sealed: Counter
    merged: Counter
    expired_samples: Counter
    evicted_samples: Counter
    deleted_samples: Counter
    quarantined: Counter
    rescues: Counter
    failures: Counter

    def __init__(self, telemetry: Registry) -> None:
        for attribute, name, help_text in COUNTERS:
            setattr(self, attribute, telemetry.counter(name, help_text))


TRANSACTION_BYTES = 4 * PAGE_BYTES
"""What a transaction writes beside its rows, about: pages of tables and indices."""
DAMAGE_NOTE = "damaged"
"""A file beside the database: SQLite met damaged pages while the hub ran."""
STAGES = ("journal", "checkpoint", "quarantine", "delete", "seal", "compact", "trim", "retention", "vacuum")
"""What the writer's thread does; while it does one of them, appends wait."""


class Stages:
    """How often, how long in all and how long at most the writer's thread was at each stage."""

    def __init__(self, telemetry: Registry) -> None:
        self._steps: dict[str, Counter] = {}
        self._seconds: dict[str, Counter] = {}
        self._longest: dict[str, Gauge] = {}
        for stage in STAGES:
            self._steps[stage] = telemetry.counter(
                "kpwatch_store_stage_steps_total", "Steps of the store's thread, by stage.", stage=stage
            )
            self._seconds[stage] = telemetry.counter(
                "kpwatch_store_stage_seconds_total", "Seconds the store's thread spent, by stage.", stage=stage
            )
            self._longest[stage] = telemetry.gauge(
                "kpwatch_store_stage_longest_seconds",
                "The longest step since the start: so long appends waited.",
                stage=stage,
            )

    def note(self, stage: str, seconds: float) -> None:
        """A step was done."""
        self._steps[stage].add()
        self._seconds[stage].add(max(0.0, seconds))
        if seconds > self._longest[stage].value:
            self._longest[stage].set(seconds)


@dataclass(slots=True, eq=False)
class State:
    """Everything the writer's thread owns. Readers use `catalog` and `head` as these allow."""

    options: StoreOptions
    path: Path
    clock: Clock
    connection: sqlite3.Connection
    catalog: Catalog
    head: Head
    counters: Counters
    stages: Stages
    log: Logger
    """Belongs to the writer's thread, like everything here."""
    next_row: int = 1
    first_row: int = 1
    """Rows of the journal below this are deleted."""
    next_block: int = 1
    written_bytes: int = 0
    """What went into SQLite's log since the start, about."""
    set_aside: set[int] = field(default_factory=set)
    """Blocks that could neither be read nor moved to the quarantine: nobody looks at them again."""
    changes: Changes = field(default_factory=Changes)

    def oldest_kept_ms(self) -> int:
        """Samples before this are neither answered nor kept."""
        if not self.options.retention_seconds:
            return -(1 << 62)
        return int((self.clock.unix_seconds() - self.options.retention_seconds) * 1000)

    def blocks_changed(self, targets: Iterable[int], *, same_samples: bool = False) -> None:
        """The blocks of these targets are other ones since the last commit; `same_samples`: but say what they said."""
        for number in targets:
            target = self.catalog.targets.get(number)
            if target is not None:
                target.samples_changed()
        if not same_samples:
            self.changes.lost()

    def note_damage(self, error: BaseException) -> None:
        """Where SQLite failed because of damaged pages: say so, and have the database made anew at the next start."""
        cause = error if isinstance(error, sqlite3.Error) else error.__cause__
        marker = self.path.with_name(DAMAGE_NOTE)
        if not isinstance(cause, sqlite3.Error) or not is_damage(cause) or marker.exists():
            return
        with suppress(OSError):  # the log says it in any case
            marker.write_text(f"{cause}\n")
        self.log.error(f"{self.path} has damaged pages ({cause}): it is made anew when the hub is started again")

    def unsynced(self, work: Callable[[], None], written_bytes: int = 0) -> None:
        """Run `work` in a transaction that need not be durable at once, only whole; `written_bytes`: bodies it writes.

        In WAL mode with synchronous=NORMAL a commit that a power cut undoes is undone whole, and everything before a
        later synced commit is durable with it: sealing and merging lose nothing by it, they are done again.
        """
        self.connection.execute("PRAGMA synchronous = NORMAL")
        try:
            with transaction(self.connection):
                work()
        finally:
            self.connection.execute("PRAGMA synchronous = FULL")
        self.wrote(written_bytes)

    def wrote(self, count: int) -> None:
        """A transaction with `count` bytes of rows was committed."""
        self.written_bytes += count + TRANSACTION_BYTES
