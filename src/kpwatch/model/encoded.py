"""What travels from a scrape to the writers: a piece of a Remote Write request, ready to go."""

from __future__ import annotations

from typing import NamedTuple


class EncodedScrape(NamedTuple):
    """One scrape of one target as a snappy block of Remote Write 1.0; such blocks may be joined into one request."""

    block: bytes
    samples: int
    timestamp_ms: int
