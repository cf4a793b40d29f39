"""Numbers as bits: the NaNs that mean something.

Prometheus marks the end of a series with one NaN bit pattern, the staleness marker, and parses every textual NaN to
one other pattern (model/value/value.go of prometheus/prometheus). Other NaN payloads are carried unchanged.
"""

from __future__ import annotations

import math
import struct

STALE_NAN_BITS = 0x7FF0000000000002
NORMAL_NAN_BITS = 0x7FF8000000000001

STALE_NAN_BYTES = struct.pack("<Q", STALE_NAN_BITS)
NORMAL_NAN_BYTES = struct.pack("<Q", NORMAL_NAN_BITS)

STALE_NAN: float = struct.unpack("<d", STALE_NAN_BYTES)[0]
NORMAL_NAN: float = struct.unpack("<d", NORMAL_NAN_BYTES)[0]


def is_stale(value: float) -> bool:
    """Whether `value` is the staleness marker."""
    return math.isnan(value) and struct.pack("<d", value) == STALE_NAN_BYTES
