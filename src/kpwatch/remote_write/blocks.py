"""Encoded scrapes taken apart and put together again, in either version.

A scrape is encoded once and sent as it is; this is for the few that cannot be: another form is wanted, a writer has
rules of its own, a request was too large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple
from kpwatch.model.labels import make_labels
from kpwatch.remote_write import snappy, v1, v2
from kpwatch.remote_write.codecs import CODECS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kpwatch.model.encoded import Protocol
    from kpwatch.model.labels import Labels

LIMIT_BYTES = 256 << 20
"""Of one decompressed scrape: ours, so only damage could exceed it."""


class Series(NamedTuple):
    """One series of a scrape; 1.0 says nothing of its family."""

    labels: Labels
    family_type: str
    help: str
    samples: list[tuple[int, float]]
    """(timestamp_ms, value)."""
    unit: str = ""
    start_ms: int = 0
    """When the counter began; 0 where nothing is said."""


def read_block(block: bytes, protocol: Protocol) -> Iterator[Series]:
    """Every series of a block; raises BadInput where it is damaged."""
    body = snappy.decompress(block, LIMIT_BYTES)
    if protocol == "1.0":
        for one in v1.decode_series(body):
            yield Series(make_labels(v1.decode_labels(one.label_block)), "", "", one.samples)
    else:
        for other in v2.decode_request(body):
            said = other.metadata
            yield Series(make_labels(other.labels), said.type, said.help, other.samples, said.unit, other.start_ms)


def write_block(series: Iterable[Series], protocol: Protocol) -> bytes:
    """The block that holds these series."""
    codec = CODECS[protocol]()
    body = b"".join(
        codec.encode_series(
            codec.label_block(one.labels, one.family_type, one.help, one.unit), one.samples, one.start_ms
        )
        for one in series
    )
    return snappy.compress(codec.request(body))
