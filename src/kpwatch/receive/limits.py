"""Every bound of the receiving side, in one place."""

from __future__ import annotations

from dataclasses import dataclass

TIMESTAMP_MIN_MS = 0
TIMESTAMP_MAX_MS = 253_402_300_799_999
"""1970-01-01 to 9999-12-31: what RFC 3339 can write and the store can keep."""


@dataclass(frozen=True, slots=True)
class ReceiveOptions:
    """How much one sender, one series and all requests together may ask for."""

    body_bytes: int = 32 << 20
    """Of one request as sent, i.e. compressed."""
    decoded_bytes: int = 64 << 20
    """Of one request decompressed."""
    in_flight_bytes: int = 128 << 20
    """Of all requests that are being read or wait to be decoded; above it: 429."""
    body_seconds: float = 60.0
    """For the whole body to arrive."""
    samples_per_request: int = 1_000_000
    """Also of series and other fields that carry no sample."""
    symbols_per_request: int = 250_000
    """Of a Remote Write 2.0 request. Labels written out may take `decoded_bytes`: no more than 1.0 could say."""
    labels_per_series: int = 64
    label_name_bytes: int = 1024
    label_value_bytes: int = 16 << 10
    label_cache_bytes: int = 128 << 20
    """Memory for labels that need not be read again, half of it for each protocol."""
    run_cache_bytes: int = 512 << 20
    """Memory for series whose bytes are known: half for tracks.py, a quarter for symbol tables, an eighth each for
    runs.py and orders.py; and beside it a quarter as much for unopened.py, 40 kB a node of our agent.

    A foreign sender's 1.0 needs 0.2 MB of it a node, enough for 1,200; our agent's nodes share nearly all of theirs."""
    retry_after_seconds: int = 5
    """What 429 and 503 ask a sender to wait."""
