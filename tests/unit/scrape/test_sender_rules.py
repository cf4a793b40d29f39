"""What Remote Write demands of a sender, of every request that the encoders make, in both versions.

The rules are the specifications' (prometheus.io/docs/specs/prw, 1.0 and 2.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from kpwatch.exposition.delta import DeltaParser
from kpwatch.model.encoded import Form
from kpwatch.relabel.identity import Identity
from kpwatch.remote_write import snappy, v1, v2
from kpwatch.remote_write.blocks import read_block
from kpwatch.remote_write.codecs import HEADERS
from kpwatch.remote_write.protobuf import decode_varint
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.encoder import SeriesEncoder
from kpwatch.send.options import WriterOptions
from kpwatch.send.request import request_headers
from tests.unit.exposition.bodies import body_sequences
from tests.unit.scrape.test_encoder import IDENTITY, UP
from tests.unit.scrape.wire import LIMIT_BYTES

if TYPE_CHECKING:
    from kpwatch.model.encoded import EncodedScrape

T0 = 1_700_000_000_000
FORMS = [Form(ident, protocol) for ident in ("off", "add", "rename") for protocol in ("1.0", "2.0")]


def scrapes(form: Form, bodies: list[bytes | None]) -> list[EncodedScrape]:
    """One a second, failed ones too."""
    parser, encoder = DeltaParser(), SeriesEncoder(IDENTITY, form.ident, protocol=form.protocol)
    encoded = []
    for number, body in enumerate(bodies):
        if body is None:
            parser.forget()
            encoder.end()
        else:
            encoder.feed(parser.feed(body))
        own = [UP, OwnSample("kpwatch_health", (("check", f"{number % 3}"), ("empty", "")), 1.0)]
        encoded.append(encoder.encode(T0 + 1000 * number, own))
    return encoded


@pytest.mark.parametrize("form", FORMS, ids="-".join)
@given(bodies=body_sequences())
def test_labels(form: Form, bodies: list[bytes | None]) -> None:
    """Sorted by name, each name once, no empty name or value, a metric name; each series once in a request."""
    for scrape in scrapes(form, bodies):
        seen = set()
        for series in read_raw(scrape, form):
            names = [name for name, _ in series]
            assert names == sorted(set(names))
            assert all(name and value for name, value in series)
            assert "__name__" in names
            assert series not in seen
            seen.add(series)
        assert len(seen) == scrape.samples


def read_raw(scrape: EncodedScrape, form: Form) -> list[tuple[tuple[str, str], ...]]:
    """The labels of each series as they stand on the wire."""
    body = snappy.decompress(scrape.block, LIMIT_BYTES)
    if form.protocol == "1.0":
        return [v1.decode_labels(series.label_block) for series in v1.decode_series(body)]
    return [series.labels for series in v2.decode_request(body)]


@pytest.mark.parametrize("form", FORMS, ids="-".join)
@given(bodies=body_sequences())
def test_samples_of_a_series_are_in_time_order(form: Form, bodies: list[bytes | None]) -> None:
    """One in a request; over requests ever later, but where the target itself says another time."""
    latest: dict[object, int] = {}
    for scrape in scrapes(form, bodies):
        for series in read_block(scrape.block, form.protocol):
            ((at_ms, _),) = series.samples
            if at_ms == scrape.timestamp_ms:
                assert at_ms > latest.get(series.labels, 0)
                latest[series.labels] = at_ms


@given(bodies=body_sequences())
def test_symbols(bodies: list[bytes | None]) -> None:
    """2.0: the first is empty, none comes twice, every reference has one, references come in pairs."""
    for scrape in scrapes(Form("rename", "2.0"), bodies):
        body = snappy.decompress(scrape.block, LIMIT_BYTES)
        symbols = []
        position = 0
        while position < len(body):
            tag, position = decode_varint(body, position)
            length, position = decode_varint(body, position)
            if tag == 0x22:
                symbols.append(body[position : position + length])
            position += length
        assert symbols[0] == b""
        assert len(set(symbols)) == len(symbols)
        assert len(list(v2.decode_request(body))) == scrape.samples  # raises for a reference that leads nowhere


@pytest.mark.parametrize(
    ("version", "content_type", "number"),
    [
        ("1.0", "application/x-protobuf", "0.1.0"),
        ("2.0", "application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
    ],
)
def test_headers(version: str, content_type: str, number: str) -> None:
    """Exactly these, whatever a configuration adds."""
    own = tuple((name, "own") for name in ("content-type", "Content-Encoding", "USER-AGENT", "Transfer-Encoding"))
    options = WriterOptions("http://x/w", headers=(*own, ("X-Prometheus-Remote-Write-Version", "9"), ("X-More", "1")))
    headers = request_headers(options, version)
    assert headers.pop("User-Agent").startswith("kpwatch/")
    assert headers == {
        "Content-Encoding": "snappy",
        "Content-Type": content_type,
        "X-Prometheus-Remote-Write-Version": number,
        "X-More": "1",
    }
    assert set(HEADERS[version]) <= set(headers)


BODY = b'# HELP a_total Help.\n# TYPE a_total counter\na_total{x="y"} 2.5\n'
SAMPLE = "12 10  09 0000000000000440  10 80d095ffbc31"  # 2.5 at T0

SERIES = {
    # one TimeSeries, byte by byte: its length, its labels, its metadata, its sample
    "1.0": f"0a 2f  0a 13 0a08 5f5f6e616d655f5f 1207 615f746f74616c  0a 06 0a01 78 1201 79  {SAMPLE}",
    "2.0": f"2a 1e  0a 04 01 08 09 0a  2a 04 0801 180b  {SAMPLE}",
}


@pytest.mark.parametrize("version", SERIES)
def test_a_series_byte_by_byte(version: str) -> None:
    """Written down by hand after the .proto files."""
    parser, encoder = DeltaParser(), SeriesEncoder(Identity(), "off", protocol=version)
    encoder.feed(parser.feed(BODY))
    body = snappy.decompress(encoder.encode(T0, []).block, LIMIT_BYTES)
    assert body.endswith(bytes.fromhex(SERIES[version]))
