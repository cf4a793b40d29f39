"""An encoded scrape in another form: what a backlog on disk needs when a writer's receiver wants it said differently.

A scrape is encoded natively for every writer there is; only what was written to disk in one form and is sent in
another comes through here. `ident` is only ever added: a scrape in which `agent_hostname` was renamed already is
accepted by every receiver as it is, Nightingale included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.model.labels import make_labels
from kpwatch.relabel.identity import on_the_wire
from kpwatch.remote_write import snappy, v1, v2
from kpwatch.remote_write.codecs import CODECS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.model.encoded import EncodedScrape, Form
    from kpwatch.model.labels import Labels

LIMIT_BYTES = 256 << 20
"""Of one decompressed scrape: ours, so only damage could exceed it."""


def convert(scrape: EncodedScrape, written: Form, wanted: Form) -> EncodedScrape:
    """`scrape`, which was encoded as `written`, encoded as `wanted`; raises BadInput where it is damaged."""
    codec = CODECS[wanted.protocol]()
    body = snappy.decompress(scrape.block, LIMIT_BYTES)
    series = b"".join(
        codec.encode_series(codec.label_block(on_the_wire(labels, wanted.ident), family_type, help_text), samples)
        for labels, family_type, help_text, samples in _DECODERS[written.protocol](body)
    )
    return scrape._replace(block=snappy.compress(codec.request(series)))


def _decode_v1(body: bytes) -> Iterator[tuple[Labels, str, str, list[tuple[int, float]]]]:
    for series in v1.decode_series(body):
        yield make_labels(v1.decode_labels(series.label_block)), "", "", series.samples


def _decode_v2(body: bytes) -> Iterator[tuple[Labels, str, str, list[tuple[int, float]]]]:
    for series in v2.decode_request(body):
        yield make_labels(series.labels), series.metadata.type, series.metadata.help, series.samples


_DECODERS = {"1.0": _decode_v1, "2.0": _decode_v2}
