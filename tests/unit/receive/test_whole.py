"""Bodies known from end to end: the short way gives what the long way gives, and only where all of it is known."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.base.errors import KpwatchError, TooLarge
from kpwatch.receive import buffer
from kpwatch.receive.buffer import Buffer
from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.receive.whole import known_1_0, known_2_0
from kpwatch.remote_write import v1
from kpwatch.remote_write.protobuf import encode_varint
from kpwatch.remote_write.snappy import compress
from tests.unit.receive.bodies import NOW_MS, fresh_meaning, labels, meaning, scrape, written_2_0

if TYPE_CHECKING:
    from kpwatch.model.encoded import Protocol

NAMES = [f"metric_{number}" for number in range(40)]
QUIET_NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0ABC))[0]
VALUES = [0.0, -0.0, 1.5, math.inf, QUIET_NAN, *(float(number) for number in range(35))]


def zeros_omitted(node: str, values: list[float], at_ms: int) -> bytes:
    """As senders of Go write it."""
    parts = []
    for name, value in zip(NAMES, values, strict=True):
        block = v1.encode_labels(labels(name, node))
        if value:
            parts.append(v1.series_head(block) + v1.pack_value(value) + v1.timestamp_tail(at_ms))
        else:
            parts.append(b"\n" + encode_varint(len(block) + 9) + block + b"\x12\x07" + v1.timestamp_tail(at_ms))
    return b"".join(parts)


def written(way: str, node: str, values: list[float], at_ms: int) -> bytes:
    if way == "2.0":
        return written_2_0([(labels(name, node), [(at_ms, value)]) for name, value in zip(NAMES, values, strict=True)])
    return scrape(node, NAMES, values, at_ms) if way == "1.0" else zeros_omitted(node, values, at_ms)


def taught(way: str) -> tuple[Decoder, Protocol]:
    """A decoder that knows two nodes' scrapes."""
    decoder, protocol = Decoder(ReceiveOptions()), "2.0" if way == "2.0" else "1.0"
    for number in range(3):
        for node in "ab":
            decoder.decode_block(compress(written(way, node, VALUES, NOW_MS + 15_000 * number)), protocol)
    return decoder, protocol


def is_known(decoder: Decoder, body: bytes, protocol: Protocol) -> bool:
    buffer = Buffer()
    assert buffer.fill(compress(body), len(body))
    memory = decoder._memory
    found = known_2_0(buffer, memory) if protocol == "2.0" else known_1_0(buffer, decoder._courses, 1000)
    assert found is not None or buffer.body() == body
    return found is not None


WAYS = ["1.0", "1.0 without zeros", "2.0"]


@pytest.mark.parametrize("way", WAYS)
def test_the_next_scrape_is_known(way: str) -> None:
    """Every bit of every value, the new time, the node's own names."""
    decoder, protocol = taught(way)
    values = [value and value * 3 for value in VALUES]
    body = written(way, "b", values, NOW_MS + 60_001)
    assert is_known(decoder, body, protocol)
    decoded = decoder.decode_block(compress(body), protocol)
    assert meaning(decoded.frames) == fresh_meaning(body, protocol)
    assert (decoded.samples, decoded.in_runs) == (40, 40)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_changed_body_means_what_it_says(way: str, data: st.DataObject) -> None:
    """Any byte another, cut or longer anywhere: the frames, or the refusal, of a decoder that knows nothing."""
    decoder, protocol = taught(way)
    body = bytearray(written(way, "a", VALUES, NOW_MS + 60_000))
    place = data.draw(st.integers(0, len(body) - 1))
    match data.draw(st.sampled_from(["byte", "cut", "begin", "insert"])):
        case "byte":
            body[place] = data.draw(st.integers(0, 255))
        case "cut":
            del body[place:]
        case "begin":
            del body[:place]
        case "insert":
            body[place:place] = data.draw(st.binary(min_size=1, max_size=40))
    changed = bytes(body)
    try:
        expected = fresh_meaning(changed, protocol)
    except KpwatchError as error:
        with pytest.raises(type(error)):
            decoder.decode_block(compress(changed), protocol)
    else:
        assert meaning(decoder.decode_block(compress(changed), protocol).frames) == expected
    again = written(way, "a", VALUES, NOW_MS + 75_000)
    assert meaning(decoder.decode_block(compress(again), protocol).frames) == fresh_meaning(again, protocol)


@pytest.mark.parametrize("way", WAYS)
def test_one_series_at_another_time_is_not_known(way: str) -> None:
    """A scrape has one time; where it has two nothing is assumed."""
    decoder, protocol = taught(way)
    body = written(way, "a", VALUES, NOW_MS + 60_000)
    tail, later = v1.timestamp_tail(NOW_MS + 60_000), v1.timestamp_tail(NOW_MS + 60_001)
    for place in (body.index(tail), body.rindex(tail)):
        other = body[:place] + later + body[place + len(later) :]
        assert not is_known(decoder, other, protocol)
        assert meaning(decoder.decode_block(compress(other), protocol).frames) == fresh_meaning(other, protocol)


@pytest.mark.parametrize("way", WAYS)
def test_what_an_earlier_body_left_in_the_buffer_is_not_read(way: str) -> None:
    """A body that ends early is not completed by the one before it."""
    decoder, _ = taught(way)
    body = written(way, "a", VALUES, NOW_MS + 60_000)
    for length in (0, 1, 2, 20, len(body) - 1):
        buffer = Buffer()
        buffer.fill(compress(body), len(body))
        buffer.fill(compress(body[:length]), length)
        known = known_2_0(buffer, decoder._memory) if way == "2.0" else known_1_0(buffer, decoder._courses, 1000)
        assert known is None
        assert buffer.body() == body[:length]


def test_a_known_body_is_bounded_like_any_other() -> None:
    """More samples than a request may have are refused, known or not."""
    decoder = Decoder(ReceiveOptions(samples_per_request=39))
    for number in range(3):
        with pytest.raises(TooLarge):
            decoder.decode_block(compress(scrape("a", NAMES, VALUES, NOW_MS + number)))


def test_a_body_beyond_the_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is decoded like the others, and the buffer stays as small as it was."""
    monkeypatch.setattr(buffer, "BUFFER_BYTES_MAX", 100)
    monkeypatch.setattr(buffer, "BUFFER_BYTES_MIN", 100)
    decoder, body = Decoder(ReceiveOptions()), scrape("a", NAMES, VALUES)
    for _ in range(3):
        assert meaning(decoder.decode_block(compress(body)).frames) == fresh_meaning(body)
    assert len(decoder._buffer.content) == 100
