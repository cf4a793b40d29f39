"""What an encoded scrape says, read back by the decoder."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.model.numbers import STALE_NAN_BYTES
from kpwatch.remote_write import snappy, v1
from kpwatch.remote_write.protobuf import decode_varint

if TYPE_CHECKING:
    from kpwatch.model.encoded import EncodedScrape

LIMIT_BYTES = 64 << 20


class Sent(NamedTuple):
    """One sample as it goes out."""

    labels: tuple[tuple[str, str], ...]
    timestamp_ms: int
    value: bytes
    """The eight bytes of the float64, so that NaNs differ."""


def series_bytes(scrape: EncodedScrape) -> list[bytes]:
    """The TimeSeries fields one by one, as they stand in the request."""
    body = snappy.decompress(scrape.block, LIMIT_BYTES)
    fields = []
    position = 0
    while position < len(body):
        tag, after_tag = decode_varint(body, position)
        assert tag == 0x0A
        length, begin = decode_varint(body, after_tag)
        fields.append(body[position : begin + length])
        position = begin + length
    return fields


def sent(scrape: EncodedScrape) -> list[Sent]:
    """Every sample in the request's order."""
    return [sample for field in series_bytes(scrape) for sample in sent_in(field)]


def sent_in(body: bytes) -> list[Sent]:
    """Every sample of decompressed TimeSeries fields."""
    return [
        Sent(v1.decode_labels(series.label_block), timestamp_ms, struct.pack("<d", value))
        for series in v1.decode_series(body)
        for timestamp_ms, value in series.samples
    ]


def is_marker(field: bytes) -> bool:
    """Whether a TimeSeries field is a staleness marker."""
    return all(sample.value == STALE_NAN_BYTES for sample in sent_in(field))


def named(scrape: EncodedScrape) -> dict[str, float]:
    """Name (with labels beyond it) -> value, for scrapes small enough to be read at a glance."""
    found = {}
    for labels, _, value in sent(scrape):
        text = dict(labels)
        name = text.pop("__name__")
        shown = name + (str(text) if text else "")
        assert shown not in found, f"{shown} twice in one request"
        found[shown] = struct.unpack("<d", value)[0]
    return found
