"""Remote Write 1.0 means to us what it means to protobuf; damaged bodies are refused with words, never otherwise."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.errors import BadInput
from kpwatch.remote_write import v1
from kpwatch.remote_write.protobuf import encode_varint
from tests.unit.remote_write.cases import CASES, IDS, T0, UP, Case
from tests.unit.remote_write.oracle import WriteRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

Series = tuple[tuple[tuple[str, str], ...], tuple[tuple[int, bytes], ...]]
"""Labels and samples, values as their eight bytes so that NaNs compare."""


def plain(case: Case) -> list[Series]:
    """A case as both directions show it."""
    return [
        (labels, tuple((at_ms, struct.pack("<d", value)) for at_ms, value in samples))
        for labels, samples in case.series
    ]


def by_protobuf(body: bytes) -> list[Series]:
    """What protobuf reads in a body."""
    return [
        (
            tuple((label.name, label.value) for label in series.labels),
            tuple((sample.timestamp, struct.pack("<d", sample.value)) for sample in series.samples),
        )
        for series in WriteRequest.FromString(body).timeseries
    ]


def by_us(body: bytes) -> list[Series]:
    """What we read in a body."""
    return [
        (
            v1.decode_labels(series.label_block),
            tuple((at_ms, struct.pack("<d", value)) for at_ms, value in series.samples),
        )
        for series in v1.decode_series(body)
    ]


def protobuf_body(case: Case) -> bytes:
    """A case encoded by protobuf."""
    request = WriteRequest()
    for labels, samples in case.series:
        series = request.timeseries.add()
        for name, value in labels:
            series.labels.add(name=name, value=value)
        for at_ms, value in samples:
            series.samples.add(timestamp=at_ms, value=value)
    return request.SerializeToString()


def our_body(case: Case) -> bytes:
    """A case encoded by us."""
    return b"".join(v1.encode_series(v1.encode_labels(labels), samples) for labels, samples in case.series)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_protobuf_reads_what_we_write(case: Case) -> None:
    """Our encoder against protobuf's decoder, NaN bits included."""
    assert by_protobuf(our_body(case)) == plain(case)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_we_read_what_protobuf_writes(case: Case) -> None:
    """Protobuf's encoder, which leaves zeros out, against our decoder."""
    assert by_us(protobuf_body(case)) == plain(case)


@pytest.mark.parametrize("timestamp_ms", [v1.TAIL_TIMESTAMP_MIN_MS, T0, v1.TAIL_TIMESTAMP_MAX_MS])
def test_prepared_series_are_series(timestamp_ms: int) -> None:
    """Heads, values and one timestamp joined around them read as one request of one-sample series."""
    names = [f"m_{index}" * (index + 1) for index in range(40)]
    heads = [v1.series_head(v1.encode_labels((("__name__", name),))) for name in names]
    tail = v1.timestamp_tail(timestamp_ms)
    body = tail.join(head + v1.pack_value(float(index)) for index, head in enumerate(heads)) + tail
    assert by_protobuf(body) == [
        ((("__name__", name),), ((timestamp_ms, struct.pack("<d", float(index))),)) for index, name in enumerate(names)
    ]
    assert by_us(body) == by_protobuf(body)


@pytest.mark.parametrize("timestamp_ms", [0, -1, v1.TAIL_TIMESTAMP_MIN_MS - 1, v1.TAIL_TIMESTAMP_MAX_MS + 1])
def test_a_timestamp_of_another_length_is_refused(timestamp_ms: int) -> None:
    """The prepared lengths hold for six bytes only."""
    with pytest.raises(ValueError, match=f"timestamp {timestamp_ms} ms"):
        v1.timestamp_tail(timestamp_ms)


def test_bodies_one_after_the_other_are_one_request() -> None:
    """Repeated fields may be concatenated: that is how scrapes are merged."""
    bodies = [our_body(case) for case in CASES]
    assert by_us(b"".join(bodies)) == [series for case in CASES for series in plain(case)]


def test_metadata_and_exemplars_are_passed_over() -> None:
    """What is not a sample is not read; exemplars are counted, fields of the request are not."""
    request = WriteRequest()
    request.metadata.add(metric_family_name="up", help="whether it is")
    series = request.timeseries.add()
    series.labels.add(name="a", value="1")
    series.exemplars.add(value=1.0, timestamp=T0)
    series.labels.add(name="b", value="2")
    series.samples.add(value=5.0, timestamp=T0)
    series.exemplars.add(value=2.0, timestamp=T0)
    (found,) = v1.decode_series(request.SerializeToString())
    assert v1.decode_labels(found.label_block) == (("a", "1"), ("b", "2"))
    assert found.samples == [(T0, 5.0)]
    assert found.ignored == 2


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return encode_varint(number << 3 | 2) + encode_varint(len(content)) + content


VALUE, TIME = b"\x09" + struct.pack("<d", 5.0), b"\x10" + encode_varint(T0)
OTHER_VALUE = b"\x09" + struct.pack("<d", 4.0)
SAMPLE = field(2, VALUE + TIME)
NAME_A, VALUE_1 = field(1, b"a"), field(2, b"1")
LABEL_A, LABEL_B = field(1, NAME_A + VALUE_1), v1.encode_labels((("b", "2"),))
LABELS = LABEL_A + LABEL_B
SERIES = field(1, LABELS + SAMPLE)
EXPECTED = [((("a", "1"), ("b", "2")), ((T0, struct.pack("<d", 5.0)),))]
UNKNOWN = [b"\x78\x01", b"\x79" + bytes(8), b"\x7d" + bytes(4), field(15, b"x")]

ODD_BODIES = [
    # legal protobuf nobody writes
    ("samples before labels", field(1, SAMPLE + LABELS)),
    ("labels around samples", field(1, LABEL_A + SAMPLE + LABEL_B)),
    ("an unknown field between labels", field(1, LABEL_A + UNKNOWN[0] + LABEL_B + SAMPLE)),
    ("unknown fields of every kind", b"".join(UNKNOWN) + SERIES + b"".join(UNKNOWN)),
    ("unknown fields in a series", field(1, b"".join(UNKNOWN) + LABELS + SAMPLE)),
    ("unknown fields in a sample", field(1, LABELS + field(2, b"".join(UNKNOWN) + VALUE + TIME))),
    ("unknown fields in a label", field(1, field(1, b"".join(UNKNOWN) + NAME_A + VALUE_1) + LABEL_B + SAMPLE)),
    ("timestamp before value", field(1, LABELS + field(2, TIME + VALUE))),
    ("value before name in a label", field(1, field(1, VALUE_1 + NAME_A) + LABEL_B + SAMPLE)),
    ("a value twice: the last counts", field(1, LABELS + field(2, OTHER_VALUE + VALUE + TIME))),
    ("a name twice: the last counts", field(1, field(1, field(1, b"x") + NAME_A + VALUE_1) + LABEL_B + SAMPLE)),
    ("a tag longer than it need be", b"\x8a\x00" + SERIES[1:]),
]


@pytest.mark.parametrize(("what", "body"), ODD_BODIES, ids=[what for what, _ in ODD_BODIES])
def test_odd_but_legal(what: str, body: bytes) -> None:
    """Any order and unknown fields are legal, and read as protobuf reads them."""
    assert by_protobuf(body) == EXPECTED, what
    assert by_us(body) == EXPECTED


BAD_BODIES = [
    # body, words of the error
    (b"\x0a", "inside a varint at byte 1"),
    (b"\x0a\x05abc", "reaches byte 7, the body ends at 5"),
    (b"\x80" * 11, "longer than ten bytes"),
    (b"\x0b", "wire type 3"),
    (b"\x0f", "wire type 7"),
    (b"\x79\x00", "field 15 at byte 1 reaches byte 9"),
    (field(1, b"\x0a\x7f"), "reaches byte"),
    (field(1, b"\x12\x7f"), "beyond its series"),
    (field(1, b"\x12\x02\x09\x00") + bytes(20), "reaches byte"),
    (field(1, field(2, b"\x10\x80") + b"\x00"), "reaches byte"),
    (field(1, field(2, b"\x0c")), "wire type 4"),
    (field(1, field(1, b"\x0a\x7f") + SAMPLE), "beyond it"),
    (field(1, field(1, field(1, b"\xff"))), "not UTF-8"),
    (field(1, field(1, field(1, b"a") + field(2, b"\xc3"))), "not UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "words"), BAD_BODIES)
def test_bad_body(body: bytes, words: str) -> None:
    """What is no WriteRequest is refused with the byte where it stops being one."""
    with pytest.raises(BadInput, match=words):
        by_us(body)


def _read_all(body: bytes) -> list[Series] | None:
    try:
        return by_us(body)
    except BadInput:
        return None


def test_cut_anywhere() -> None:
    """A body cut at any byte raises BadInput or ends between two series; it never raises anything else."""
    case = Case("", ((UP, ((T0, 1.0), (T0 + 1, 2.0))), ((("节", "点"),), ((-1, 3.0),)), (UP, ())))
    body = our_body(case)
    ends = [0]
    for labels, samples in case.series:
        ends.append(ends[-1] + len(our_body(Case("", ((labels, samples),)))))
    for cut in range(len(body)):
        found = _read_all(body[:cut])
        assert found == (plain(case)[: ends.index(cut)] if cut in ends else None), cut


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    """A right body with a few bytes changed, removed or added."""
    body = bytearray(our_body(draw(st.sampled_from([case for case in CASES if 0 < len(our_body(case)) < 2000]))))
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(body)))
        what: Iterable[int] = draw(st.sampled_from(((), (0,), (0x0A,), (0x12,), (0x80,), (0xFF,), (1, 2))))
        body[index : index + draw(st.integers(0, 2))] = bytes(what)
    return bytes(body)


@given(damaged_bodies() | st.binary(max_size=100))
def test_damaged_bodies_are_read_or_refused(body: bytes) -> None:
    """Nothing but BadInput leaves the decoder; what protobuf accepts and we accept too, we read the same."""
    found = _read_all(body)
    try:
        expected = by_protobuf(body)
    except Exception:  # noqa: BLE001 - protobuf's own error: it refuses more (field number 0), we refuse groups
        return
    assert found in (None, expected)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_label_blocks_are_what_the_encoder_makes(case: Case) -> None:
    """A receiver may key by label block: the same labels from our sender are the same bytes."""
    for (labels, _), series in zip(case.series, v1.decode_series(our_body(case)), strict=True):
        assert series.label_block == v1.encode_labels(labels)
