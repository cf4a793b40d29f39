"""A block in which values are written in place is, decompressed, what joining the series would have given."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.remote_write import snappy, standing
from kpwatch.remote_write.standing import CLOSED, StandingBlock
from kpwatch.remote_write.v1 import encode_labels, series_head, timestamp_tail

T0 = 1_800_000_000_000
LIMIT_BYTES = 1 << 24
VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 2.0, 255.0, 1e9, 0.1, float("nan"), float("inf")]),
    st.integers(0, 70000).map(float),
)
NAMES = ["a", "apiserver_requests_bucket", "apiserver_requests_count", "b" * 70, "\x10\x07"]


@pytest.fixture(autouse=True, params=[0, 1, 16], ids=lambda learning: f"learning {learning}")
def _learning(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "LEARNING_SCRAPES", request.param)


Scene = tuple[list[bytes], list[float], bytearray, list[dict[int, float]]]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Heads, first values, what is known to change, and what each scrape changes."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=30))
    heads = [
        series_head(encode_labels((("__name__", name), ("instance", "10.206.0.7:10249"), ("le", str(index)))))
        for index, name in enumerate(names)
    ]
    values = draw(st.lists(VALUES, min_size=len(heads), max_size=len(heads)))
    lows = bytearray(draw(st.lists(st.integers(0, CLOSED), min_size=len(heads), max_size=len(heads))))
    changes = st.dictionaries(st.integers(0, len(heads) - 1), VALUES, max_size=5)
    return heads, values, lows, draw(st.lists(changes, max_size=6))


def joined(heads: list[bytes], values: list[float], timestamp_ms: int) -> bytes:
    """The content as it must be."""
    tail = timestamp_tail(timestamp_ms)
    return b"".join(head + struct.pack("<d", value) + tail for head, value in zip(heads, values, strict=True))


@given(scenes())
def test_it_says_what_joining_would(scene: Scene) -> None:
    """Whatever changes, whatever is open: each scrape's content is every series with its value and the timestamp."""
    heads, values, lows, changes = scene
    parts = [head + struct.pack("<d", value) for head, value in zip(heads, values, strict=True)]
    block = StandingBlock(parts, range(len(heads) // 2, len(heads)), lows)
    for scrape, changed in enumerate([{}, *changes, {}]):
        block.put(list(changed), list(changed.values()))
        for series, value in changed.items():
            values[series] = value
        at_ms = T0 + 977 * scrape
        elements = block.elements(timestamp_tail(at_ms))
        content = snappy.decompress(snappy.block_of(block.length, [elements]), LIMIT_BYTES)
        assert content == joined(heads, values, at_ms)
        assert block.parts() == [head + struct.pack("<d", value) for head, value in zip(heads, values, strict=True)]


def test_a_body_longer_than_a_copy_reaches() -> None:
    """The library compresses 64 KiB at a time: in each stretch a timestamp is written out."""
    heads = [series_head(encode_labels((("__name__", f"m_{index}"), ("x", "y" * 200)))) for index in range(2000)]
    block = StandingBlock([head + struct.pack("<d", index) for index, head in enumerate(heads)], (), bytearray())
    for scrape in range(18):
        block.put(range(0, 2000, 7), [float(scrape)] * len(range(0, 2000, 7)))
        elements = block.elements(timestamp_tail(T0 + scrape))
    values = [17.0 if index % 7 == 0 else float(index) for index in range(2000)]
    content = snappy.decompress(snappy.block_of(block.length, [elements]), LIMIT_BYTES)
    assert content == joined(heads, values, T0 + 17)


def test_only_a_lower_byte_opens_a_value() -> None:
    """A counter opens from the lowest byte it needs and one below, and stays open, for all that share what is known."""
    head = series_head(encode_labels((("__name__", "m"),)))
    lows = bytearray((7, CLOSED))
    block = StandingBlock([head + bytes(8)], (1,), lows)
    for value, low in ((0.0, CLOSED), (1.0, 5), (3.0, 5), (2.0**52 + 1, 0), (1.0, 0)):
        block.put([0], [value])
        block.elements(timestamp_tail(T0))
        assert list(lows) == [7, low]


@pytest.mark.parametrize("length", [1, 60, 61, 256, 257, 65_536, 65_537])
def test_literals_of_every_length(length: int) -> None:
    """A literal's head says its length."""
    literal = bytes(length)
    block = snappy.block_of(length, [snappy.literal_head(length), literal])
    assert snappy.decompress(block, LIMIT_BYTES) == literal


@pytest.mark.parametrize(("length", "offset"), [(4, 1), (11, 2047), (12, 2047), (11, 2048), (64, 65_535)])
def test_copies_of_every_kind(length: int, offset: int) -> None:
    """Lengths and offsets of both kinds."""
    before = bytes(index * 7 % 251 for index in range(offset))
    elements = [snappy.literal_head(offset), before, snappy.copy(length, offset)]
    block = snappy.block_of(offset + length, elements)
    repeated = (before * (length // offset + 1))[:length]
    assert snappy.decompress(block, LIMIT_BYTES) == before + repeated


@given(st.lists(st.sampled_from([b"kubeproxy_sync_", b"10.206.0.7", b"a" * 90, b"\0" * 700]) | st.binary(max_size=9)))
def test_what_lasts_is_packed_with_more_care(texts: list[bytes]) -> None:
    """It is the same content for any decoder."""
    content = b"".join(texts)
    block = snappy.block_of(len(content), [standing.lasting_elements(content)])
    assert snappy.decompress(block, LIMIT_BYTES) == content
