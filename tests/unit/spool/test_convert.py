"""Conversion between forms loses nothing but what the wanted form cannot say."""

from __future__ import annotations

import itertools

import pytest

from kpwatch.base.errors import BadInput
from kpwatch.model.encoded import FORMS, EncodedScrape, Form
from kpwatch.model.labels import Labels, make_labels
from kpwatch.model.numbers import STALE_NAN, is_stale
from kpwatch.relabel.identity import on_the_wire
from kpwatch.remote_write import snappy, v1, v2
from kpwatch.remote_write.codecs import CODECS
from kpwatch.spool.convert import convert

SERIES: list[tuple[Labels, str, str, list[tuple[int, float]]]] = [
    (make_labels({"__name__": "up", "agent_hostname": "node-a", "job": "kube-proxy"}), "gauge", "", [(1000, 1.0)]),
    (
        make_labels({"__name__": "x_total", "agent_hostname": "node-a"}),
        "counter",
        "Some help.",
        [(1000, 5.0), (7, -0.0)],
    ),
    (make_labels({"__name__": "gone", "agent_hostname": "b", "ident": "own"}), "unspecified", "", [(1000, STALE_NAN)]),
]


def encoded(form: Form) -> EncodedScrape:
    """The series in one form."""
    codec = CODECS[form.protocol]()
    body = b"".join(
        codec.encode_series(codec.label_block(on_the_wire(labels, form.ident), kind, text), samples)
        for labels, kind, text, samples in SERIES
    )
    return EncodedScrape(snappy.compress(codec.request(body)), 4, 1000)


def decoded(scrape: EncodedScrape, protocol: str) -> list[tuple[Labels, list[tuple[int, str]]]]:
    """Labels and samples, however they were written; staleness markers as a word."""
    body = snappy.decompress(scrape.block, 1 << 20)
    if protocol == "1.0":
        rows = [(v1.decode_labels(series.label_block), series.samples) for series in v1.decode_series(body)]
    else:
        rows = [(series.labels, series.samples) for series in v2.decode_request(body)]
    return [
        (labels, [(at_ms, "stale" if is_stale(value) else repr(value)) for at_ms, value in samples])
        for labels, samples in rows
    ]


@pytest.mark.parametrize(("written", "wanted"), list(itertools.product(FORMS, FORMS)))
def test_every_form_into_every_other(written: Form, wanted: Form) -> None:
    """As if it had been encoded so at once, except that a renamed `agent_hostname` stays renamed."""
    ident = wanted.ident if written.ident == "off" else written.ident if wanted.ident == "off" else None
    if ident is None:
        ident = written.ident if written.ident == "rename" else wanted.ident
        if (written.ident, wanted.ident) == ("add", "rename"):
            ident = "add"  # `ident` is there already, so nothing is renamed
    result = convert(encoded(written), written, wanted)
    assert decoded(result, wanted.protocol) == decoded(encoded(Form(ident, wanted.protocol)), wanted.protocol)
    assert (result.samples, result.timestamp_ms) == (4, 1000)


def test_metadata_survives_within_2_0() -> None:
    """Types and help texts come along."""
    form = Form("off", "2.0")
    body = snappy.decompress(convert(encoded(form), form, Form("rename", "2.0")).block, 1 << 20)
    assert [(series.metadata.type, series.metadata.help) for series in v2.decode_request(body)] == [
        (kind, text) for _, kind, text, _ in SERIES
    ]


def test_units_and_starts_survive_within_2_0() -> None:
    """What OpenMetrics says of a counter comes along; 1.0 has no words for it."""
    form, labels = Form("off", "2.0"), make_labels({"__name__": "x_seconds_total", "agent_hostname": "node-a"})
    codec = CODECS["2.0"]()
    block = codec.label_block(labels, "counter", "", "seconds")
    body = codec.request(codec.encode_series(block, [(2000, 1.0)], 1000))
    written = EncodedScrape(snappy.compress(body), 1, 2000)
    for wanted in (Form("add", "2.0"), Form("rename", "2.0")):
        (series,) = v2.decode_request(snappy.decompress(convert(written, form, wanted).block, 1 << 20))
        assert (series.metadata.unit, series.start_ms, series.samples) == ("seconds", 1000, [(2000, 1.0)])


def test_damage_is_our_error() -> None:
    """A block that is no block."""
    with pytest.raises(BadInput):
        convert(EncodedScrape(b"\x05garbage", 1, 1), FORMS[0], FORMS[1])
