"""What is in a spool's directory, for a person: read without touching it, also beside the agent that owns it."""

from __future__ import annotations

from kpwatch.base.named import NamedTuple
from kpwatch.base.recordlog import open_segments
from kpwatch.spool.log import CURSORS, SCRAPE, read_cursors, read_scrape_head


class Contents(NamedTuple):
    """A spool's directory, counted."""

    segments: int
    size_bytes: int
    scrapes: int
    samples: int
    oldest_ms: int | None
    """Timestamp of the oldest scrape, None where there is none."""
    newest_ms: int | None
    damaged_bytes: int
    waiting: dict[str, int]
    """Writer -> samples that wait for it."""


def inspect(directory: str) -> Contents:
    """Count everything in `directory`; raises OSError where it cannot be read."""
    segments = open_segments(directory)
    stamps: list[int] = []
    samples = damaged_bytes = total = 0
    cursors: dict[str, int] = {}
    for segment in segments:
        for record in segment.records():
            if record.kind is None:
                damaged_bytes += len(record.payload)
            elif record.kind == SCRAPE:
                head = read_scrape_head(record.payload)
                stamps.append(head.timestamp_ms)
                samples += head.samples
                total = max(total, head.total)
            elif record.kind == CURSORS:
                cursors = read_cursors(record.payload)
    return Contents(
        segments=len(segments),
        size_bytes=sum(segment.size_bytes for segment in segments),
        scrapes=len(stamps),
        samples=samples,
        oldest_ms=min(stamps, default=None),
        newest_ms=max(stamps, default=None),
        damaged_bytes=damaged_bytes,
        waiting={key: max(0, total - cursor) for key, cursor in cursors.items()},
    )
