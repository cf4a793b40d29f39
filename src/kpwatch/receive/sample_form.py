"""The form nearly every series ends in: one sample, with a timestamp of today. Pure.

    12 10 09 value(8) 10 time(6)        12 07 10 time(6)        where the sender omits a value that is zero

The same in both protocols (remote_write/v1.py); timestamps from 1971 to 2109 are varints of six bytes.
"""

from __future__ import annotations

import struct

from kpwatch.base.errors import BadInput
from kpwatch.remote_write.protobuf import decode_varint

VALUE_SAMPLE, VALUE_SAMPLE_BYTES = b"\x12\x10\x09", 18
ZERO_SAMPLE, ZERO_SAMPLE_BYTES = b"\x12\x07", 9
TIME_FIELD_BYTES = 7
unpack_double = struct.Struct("<d").unpack_from

TIME_TAG = b"\x10"


def six_byte_timestamp(body: bytes, place: int) -> int | None:
    """Value of the field at `place` if it is a timestamp whose varint takes exactly six bytes."""
    if body[place] != TIME_TAG[0]:
        return None
    try:
        timestamp_ms, end = decode_varint(body, place + 1)
    except BadInput:
        return None  # the general path finds it again and names the place
    return timestamp_ms if end == place + 7 else None
