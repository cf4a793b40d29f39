"""Bounds of the spool: the `[kpwatch] spool_*` keys, checked."""

from __future__ import annotations

from kpwatch.base.named import NamedTuple


class SpoolOptions(NamedTuple):
    """Where scrapes wait and how many may."""

    directory: str | None = None
    """None: in memory only."""
    max_bytes: int = 1 << 30
    """On disk; above it the oldest segments go. How many hours that is: docs/reference/spool.md."""
    max_age_seconds: float = 31 * 86400.0
    segment_bytes: int = 1 << 20
    """A segment is read whole when a writer lags, so it is also what lagging costs in memory."""
    sync_bytes: int = 1 << 20
    """fdatasync after so many bytes, and at the latest after a second."""
    recent_bytes: int = 1 << 20
    """What is kept in memory although it is on disk, for writers that keep up."""
    memory_bytes: int = 64 << 20
    """What may wait in memory where there is no disk or it is full."""
    memory_samples: int = 1_000_000
    """The same bound in samples (`[writer_opt] chan_size`)."""
