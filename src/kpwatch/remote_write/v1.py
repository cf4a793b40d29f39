"""Remote Write 1.0, both directions.

    WriteRequest  1 timeseries*      (2, 3 reserved; 3 carries metadata in practice)
    TimeSeries    1 labels*  2 samples*  3 exemplars*  4 histograms*
    Label         1 name  2 value
    Sample        1 value (double)  2 timestamp (int64, ms)

(prometheus.io/docs/specs/prw/remote_write_spec; prompb/types.proto.) Because repeated fields may be concatenated, the
bodies of two requests one after the other are one request.

Sending is prepared: a series' *head* is everything up to the eight bytes of its value, made once. With values and one
timestamp for all, a scrape's body is `tail.join(head + value, ...) + tail`. That works because a timestamp between 1971
and 2109 always takes six bytes, so every length in the head is known beforehand.

Receiving gives each series' labels as the bytes that carried them (a *label block*): a receiver that has seen the
block before need not read it again.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from kpwatch.base.errors import BadInput, TooLarge
from kpwatch.base.named import NamedTuple
from kpwatch.remote_write.protobuf import decode_varint, encode_varint, signed, skip_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CONTENT_TYPE = "application/x-protobuf"
CONTENT_ENCODING = "snappy"
VERSION = "0.1.0"

TAIL_TIMESTAMP_MIN_MS = 1 << 35
TAIL_TIMESTAMP_MAX_MS = (1 << 42) - 1
"""Timestamps whose varint takes six bytes: 1971-02-03 to 2109-05-15."""

SAMPLE_PREFIX = b"\x12\x10\x09"  # field 2, sixteen bytes: 09 value(8) 10 timestamp(6)
SAMPLE_BYTES = 2 + 16
VALUE_BYTES = 8
TAIL_BYTES = 7
pack_value = struct.Struct("<d").pack
"""A sample's value: eight bytes, NaN payload kept."""
_unpack_double = struct.Struct("<d").unpack_from


def encode_labels(pairs: Iterable[tuple[str, str]]) -> bytes:
    """The label block of one series; the caller has sorted the pairs and removed empty values."""
    return b"".join([_encode_label(name, value) for name, value in pairs])


@lru_cache(maxsize=256)
def _encode_label(name: str, value: str) -> bytes:
    """One label field; a target's own come again with each of its series."""
    name_bytes, value_bytes = name.encode(), value.encode()
    lengths = encode_varint(len(name_bytes)), encode_varint(len(value_bytes))
    label = b"\n" + lengths[0] + name_bytes + b"\x12" + lengths[1] + value_bytes
    return b"\n" + encode_varint(len(label)) + label


def series_head(label_block: bytes) -> bytes:
    """What comes before the value of a series with one sample whose timestamp is a `timestamp_tail`."""
    return b"\n" + encode_varint(len(label_block) + SAMPLE_BYTES) + label_block + SAMPLE_PREFIX


def block_of_head(head: bytes) -> bytes:
    """The label block in a `series_head`."""
    return head[decode_varint(head, 1)[1] : -len(SAMPLE_PREFIX)]


def timestamp_tail(timestamp_ms: int) -> bytes:
    """What comes after the value; raises ValueError outside [TAIL_TIMESTAMP_MIN_MS, TAIL_TIMESTAMP_MAX_MS]."""
    if not TAIL_TIMESTAMP_MIN_MS <= timestamp_ms <= TAIL_TIMESTAMP_MAX_MS:
        raise ValueError(f"timestamp {timestamp_ms} ms does not take six bytes")
    return b"\x10" + encode_varint(timestamp_ms)


def encode_series(label_block: bytes, samples: Sequence[tuple[int, float]]) -> bytes:
    """One TimeSeries field with any number of samples (timestamp_ms, value) at any time."""
    content = label_block + encode_samples(samples)
    return b"\n" + encode_varint(len(content)) + content


def encode_samples(samples: Sequence[tuple[int, float]]) -> bytes:
    """The sample fields of a TimeSeries; they are the same in 2.0."""
    fields = []
    for timestamp_ms, value in samples:
        sample = b"\x09" + pack_value(value) + b"\x10" + encode_varint(timestamp_ms)
        fields.append(b"\x12" + encode_varint(len(sample)) + sample)
    return b"".join(fields)


class WriteSeries(NamedTuple):
    """One TimeSeries as received."""

    label_block: bytes
    """The label fields as they stood, tags included; `decode_labels` reads them."""
    samples: list[tuple[int, float]]
    """(timestamp_ms, value) in the body's order; NaN bits kept."""
    ignored: int
    """Exemplars and native histograms that stood beside the samples and are not read."""


def decode_series(body: bytes, samples_max: int | None = None) -> Iterator[WriteSeries]:
    """Every TimeSeries of a decompressed WriteRequest.

    Raises BadInput with the byte where it stops making sense, TooLarge where one has more than `samples_max` samples.
    """
    end = len(body)
    position = 0
    while position < end:
        tag, position = decode_varint(body, position)
        if tag == 0x0A:
            length, begin = decode_varint(body, position)
            position = begin + length
            if position > end:
                raise BadInput(f"protobuf: series at byte {begin} reaches byte {position}, the body ends at {end}")
            yield _decode_one(body, begin, position, samples_max)
        else:
            position = skip_field(body, tag, position, end)


def _decode_one(body: bytes, begin: int, end: int, samples_max: int | None) -> WriteSeries:
    label_fields: list[bytes] = []
    samples: list[tuple[int, float]] = []
    ignored = 0
    position = label_begin = label_end = begin
    while position < end:
        field_begin = position
        tag, position = decode_varint(body, position)
        if tag == 0x0A:
            position = skip_field(body, tag, position, end)
            if field_begin != label_end:
                label_fields.append(body[label_begin:label_end])
                label_begin = field_begin
            label_end = position
        elif tag == 0x12:
            length, position = decode_varint(body, position)
            if position + length > end:
                raise BadInput(f"protobuf: sample at byte {position} reaches beyond its series, which ends at {end}")
            samples.append(decode_sample(body, position, position + length))
            position += length
            if samples_max is not None and len(samples) > samples_max:
                raise TooLarge(f"one series has more than {samples_max} samples; send fewer at once")
        else:
            ignored += 1
            position = skip_field(body, tag, position, end)
    if position > end:
        raise BadInput(f"protobuf: a field of the series at byte {begin} reaches byte {position}, it ends at {end}")
    label_fields.append(body[label_begin:label_end])
    return WriteSeries(b"".join(label_fields), samples, ignored)


def decode_sample(body: bytes, position: int, end: int) -> tuple[int, float]:
    """(timestamp_ms, value) of a Sample; what 2.0 adds to it is skipped."""
    value = 0.0
    timestamp_ms = 0
    while position < end:
        tag, position = decode_varint(body, position)
        if tag == 0x09 and position + 8 <= end:
            (value,) = _unpack_double(body, position)
            position += 8
        elif tag == 0x10:
            number, position = decode_varint(body, position)
            timestamp_ms = signed(number)
        else:
            position = skip_field(body, tag, position, end)
    if position > end:
        raise BadInput(f"protobuf: sample reaches byte {position}, it ends at {end}")
    return timestamp_ms, value


def decode_labels(label_block: bytes) -> tuple[tuple[str, str], ...]:
    """(name, value) pairs as sent, unsorted and unchecked; raises BadInput for bad UTF-8 or bad fields."""
    pairs = []
    end = len(label_block)
    position = 0
    while position < end:
        tag, position = decode_varint(label_block, position)
        length, begin = decode_varint(label_block, position)
        position = begin + length
        if tag != 0x0A or position > end:
            raise BadInput(f"protobuf: label at byte {begin} of its series does not fit")
        pairs.append(_decode_label(label_block, begin, position))
    return tuple(pairs)


def _decode_label(block: bytes, position: int, end: int) -> tuple[str, str]:
    name = value = b""
    while position < end:
        tag, position = decode_varint(block, position)
        if tag in (0x0A, 0x12):
            length, begin = decode_varint(block, position)
            position = begin + length
            if position > end:
                raise BadInput(f"protobuf: text at byte {begin} of a label reaches beyond it")
            if tag == 0x0A:
                name = block[begin:position]
            else:
                value = block[begin:position]
        else:
            position = skip_field(block, tag, position, end)
    try:
        return name.decode(), value.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"label {name!r} = {value[:60]!r} is not UTF-8") from error
