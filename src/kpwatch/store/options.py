"""What a store is told: where it keeps samples, for how long, and the bound of everything that could grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """One store."""

    directory: Path
    retention_seconds: float = 15 * 86400
    """Samples older than this are not answered and are deleted in the background; 0 = kept for ever."""
    retention_bytes: int = 0
    """Above so many bytes of blocks the oldest are deleted in the background; 0 = no bound."""
    commit_wait_seconds: float = 0.02
    """How long a batch may wait for as many appends as the one before had: one sync serves them all. 0 = not at all."""
    queue_bytes: int = 64 << 20
    """Bound of appends that wait for a commit; above it `append` raises StoreOverloaded."""
    batch_bytes: int = 4 << 20
    """Bound of what one commit takes from the queue. As many frames as it had may be sealed before the next: of 16 MB
    that took 170 ms of CPU, of 4 MB 40."""
    head_bytes: int = 512 << 20
    """Bound of unsealed samples in memory: above it sealing goes before committing."""
    cache_bytes: int = 128 << 20
    """Bound of what queries leave decoded in memory for the next; 0 = nothing."""
    seal_rows: int = 64
    """Scrapes of a target that wait in the journal before they become a block."""
    free_bytes_min: int = 32 << 20
    """Appends raise StoreFull while the disk has less room than this: deleting and sealing need some of it."""
    targets_max: int = 0
    """Samples of further targets are not kept; 0 = no limit."""
    series_per_target_max: int = 0
    """Samples of a target's further series are not kept; 0 = no limit."""
    close_seconds: float = 10.0
    """How long `close` may spend on sealing and merging."""
