"""Remote Write 2.0 means to us what it means to protobuf; damaged bodies are refused with words, never otherwise."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput, TooLarge
from kpwatch.remote_write import v2
from kpwatch.remote_write.codecs import CodecV2
from tests.unit.remote_write.cases import CASES, IDS, T0, Case
from tests.unit.remote_write.oracle import Request2

if TYPE_CHECKING:
    from collections.abc import Iterable

Series = tuple[tuple[tuple[str, str], ...], tuple[tuple[int, bytes], ...]]


def plain(case: Case) -> list[Series]:
    return [
        (labels, tuple((at_ms, struct.pack("<d", value)) for at_ms, value in samples))
        for labels, samples in case.series
    ]


def by_protobuf(body: bytes) -> list[Series]:
    request = Request2.FromString(body)
    texts = request.symbols
    return [
        (
            tuple(
                (texts[name], texts[value])
                for name, value in zip(series.labels_refs[::2], series.labels_refs[1::2], strict=True)
            ),
            tuple((sample.timestamp, struct.pack("<d", sample.value)) for sample in series.samples),
        )
        for series in request.timeseries
    ]


def by_us(body: bytes) -> list[Series]:
    return [
        (series.labels, tuple((at_ms, struct.pack("<d", value)) for at_ms, value in series.samples))
        for series in v2.decode_request(body)
    ]


def protobuf_body(case: Case) -> bytes:
    request = Request2(symbols=[""])
    places = {"": 0}

    def place(text: str) -> int:
        if text not in places:
            places[text] = len(places)
            request.symbols.append(text)
        return places[text]

    for labels, samples in case.series:
        series = request.timeseries.add()
        for pair in labels:
            series.labels_refs.extend(map(place, pair))
        for at_ms, value in samples:
            series.samples.add(timestamp=at_ms, value=value)
    return request.SerializeToString()


def our_body(case: Case) -> bytes:
    codec = CodecV2()
    series = [codec.encode_series(codec.label_block(labels, "", ""), samples) for labels, samples in case.series]
    return codec.request(b"".join(series))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_protobuf_reads_what_we_write(case: Case) -> None:
    """Our encoder against protobuf's decoder, NaN bits included."""
    assert by_protobuf(our_body(case)) == plain(case)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_we_read_what_protobuf_writes(case: Case) -> None:
    """Protobuf's encoder, which leaves zeros out, against our decoder."""
    assert by_us(protobuf_body(case)) == plain(case)


def test_all_that_a_series_can_say() -> None:
    """Metadata is read; histograms, exemplars and start timestamps are counted."""
    request = Request2(symbols=["", "__name__", "m", "what it is", "seconds"])
    series = request.timeseries.add(labels_refs=[1, 2], created_timestamp=T0)
    series.samples.add(value=5.0, timestamp=T0, start_timestamp=T0 - 1)
    series.samples.add(value=6.0, timestamp=T0 + 1)
    series.histograms.add(sum=1.0, timestamp=T0)
    series.exemplars.add(labels_refs=[1, 2], value=1.0)
    series.exemplars.add(value=1.0)
    series.metadata.type, series.metadata.help_ref, series.metadata.unit_ref = 1, 3, 4
    body = request.SerializeToString()
    (found,) = v2.decode_request(body)
    assert found.metadata == v2.Metadata("counter", "what it is", "seconds")
    assert found.samples == [(T0, 5.0), (T0 + 1, 6.0)]
    assert (found.histograms, found.exemplars) == (1, 2)
    begin = body.index(b"\x2a") + 2
    raw = v2.decode_series(body, begin, len(body))
    assert (raw.start_timestamps, raw.described) == (2, True)
    with pytest.raises(TooLarge, match="more than 5"):
        v2.decode_series(body, begin, len(body), 5)


def symbols(*texts: bytes) -> bytes:
    return b"".join(b"\x22" + bytes([len(text)]) + text for text in texts)


NAMES = symbols(b"", b"__name__", b"m")
BAD_BODIES = [
    # body, words of the error
    (symbols(b"x") + b"\x2a\x00", 'first symbol must be ""'),
    (b"\x2a\x00", 'first symbol must be ""'),
    (symbols(b"", b"\xff") + b"\x2a\x00", "not UTF-8"),
    (NAMES + b"\x2a\x04\x0a\x02\x01\x03", "refers to symbol 3, there are 3"),
    (NAMES + b"\x2a\x05\x0a\x03\x01\x02\x01", "3 label references, an odd number"),
    (NAMES + b"\x2a\x03\x0a\x01\x80", "inside a varint|packed numbers reach"),
    (NAMES + b"\x2a\x05\x0a", "reaches byte"),
    (NAMES + b"\x2a\x02\x0a\x05", "beyond its series"),
    (NAMES + b"\x2a\x04\x2a\x02\x18\x03", "metadata at byte .* refers to symbol 3"),
    (NAMES + b"\x2a\x04\x2a\x02\x20\x63", "metadata at byte .* refers to symbol 99"),
    (b"\x22\x05ab", "reaches byte"),
    (NAMES + b"\x2b", "wire type 3"),
]


@pytest.mark.parametrize(("body", "words"), BAD_BODIES)
def test_bad_body(body: bytes, words: str) -> None:
    """What is no Request is refused with the byte where it stops being one."""
    with pytest.raises(BadInput, match=words):
        by_us(body)


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    """A right body with a few bytes changed, removed or added."""
    body = bytearray(our_body(draw(st.sampled_from([case for case in CASES if 0 < len(our_body(case)) < 2000]))))
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(body)))
        what: Iterable[int] = draw(st.sampled_from(((), (0,), (0x0A,), (0x22,), (0x2A,), (0x80,), (0xFF,), (1, 2))))
        body[index : index + draw(st.integers(0, 2))] = bytes(what)
    return bytes(body)


@given(damaged_bodies() | st.binary(max_size=100))
def test_damaged_bodies_are_read_or_refused(body: bytes) -> None:
    """Nothing but BadInput leaves the decoder; what protobuf accepts and we accept too, we read the same."""
    try:
        found = by_us(body)
    except BadInput:
        return
    try:
        expected = by_protobuf(body)
    except Exception:  # noqa: BLE001 - protobuf's own error: it refuses more (field number 0), we refuse groups
        return
    assert found == expected
