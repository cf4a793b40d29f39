"""Opening the spool: on disk where that can be, in memory where not, and saying so."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from kpwatch.base.recordlog import RecordLog
from kpwatch.spool.log import Spool

if TYPE_CHECKING:
    from kpwatch.base.clock import Clock
    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Registry
    from kpwatch.spool.log import Convert
    from kpwatch.spool.options import SpoolOptions


def open_spool(options: SpoolOptions, convert: Convert, log: Logger, registry: Registry, clock: Clock) -> Spool:
    """The spool of these options; where the directory cannot be used, the same in memory, said once."""
    records: RecordLog | None = None
    lock = -1
    if options.directory is not None:
        try:
            lock = _lock(options.directory)
            records = RecordLog(options.directory, options.segment_bytes)
        except OSError as error:
            log.warning(
                f"spool {options.directory}: {error.strerror or error}; samples that wait are kept in memory only and "
                f"do not survive a restart. Give [kpwatch] spool_dir a directory this user may write"
            )
    spool = Spool(options, records, convert, clock, release=lambda: os.close(lock) if lock >= 0 else None)
    if records is not None and records.torn_bytes:
        log.warning(f"spool {options.directory}: {records.torn_bytes} bytes of a record cut by a crash were removed")
    _show(spool, registry)
    return spool


def note_forgotten(spool: Spool, log: Logger) -> None:
    """Say what waited for writers that are no longer configured."""
    for key, samples in spool.forgotten().items():
        if samples:
            url = key.rpartition("#")[0]
            log.warning(f"spool: {samples} samples waited for {url}, which is no writer any more; they are let go")


def _lock(directory: str) -> int:
    """One agent at a time; the lock goes with the open file, at the latest with the process. Raises OSError."""
    os.makedirs(directory, exist_ok=True)
    file = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise OSError(error.errno, "another agent uses this directory") from error
    return file


def _show(spool: Spool, registry: Registry) -> None:
    gauges = (
        ("kpwatch_agent_spool_bytes", "Scrapes kept, on disk and in memory.", lambda: spool.size_bytes),
        ("kpwatch_agent_spool_on_disk", "1 where what waits survives a kill.", lambda: float(spool.on_disk)),
        ("kpwatch_agent_spool_unwritten", "Scrapes that are only in memory.", lambda: spool.unwritten),
    )
    for name, help_text, read in gauges:
        registry.gauge(name, help_text, read)
    counts = spool.counts
    registry.read_counter(
        "kpwatch_agent_spool_damaged_bytes_total", "Bytes found damaged.", lambda: counts.damaged_bytes
    )
    registry.read_counter(
        "kpwatch_agent_spool_failures_total", "Writes the disk refused.", lambda: counts.write_failures
    )
