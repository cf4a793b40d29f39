"""When a counter began travels with each of its samples, whether it is encoded by its head or as a whole."""

from __future__ import annotations

import pytest

from kpwatch.remote_write import v2
from kpwatch.remote_write.codecs import CodecV1, CodecV2
from kpwatch.remote_write.v1 import pack_value, timestamp_tail
from tests.unit.remote_write.oracle import Request2

T0 = 1_700_000_000_000
LABELS = (("__name__", "c_seconds_total"), ("a", "1"))


@pytest.mark.parametrize("start_ms", [0, 1, 127, 128, T0 - 1, (1 << 63) - 1])
def test_head_value_tail_is_the_series(start_ms: int) -> None:
    """Both ways of encoding say the same; a decoder finds the start, the unit and the sample."""
    codec = CodecV2()
    block = codec.label_block(LABELS, "counter", "Help.", "seconds")
    by_head = codec.series_head(block, start_ms) + pack_value(1.5) + timestamp_tail(T0)
    for series_bytes in (by_head, codec.encode_series(block, [(T0, 1.5)], start_ms)):
        (series,) = v2.decode_request(codec.request(series_bytes))
        assert series.labels == LABELS
        assert series.metadata == v2.Metadata("counter", "Help.", "seconds")
        assert (series.samples, series.start_ms) == ([(T0, 1.5)], start_ms)
        sample = Request2.FromString(codec.request(series_bytes)).timeseries[0].samples[0]
        assert (sample.value, sample.timestamp, sample.start_timestamp) == (1.5, T0, start_ms)
    assert len(by_head) == len(codec.encode_series(block, [(T0, 1.5)], start_ms))


def test_1_0_has_no_words_for_it() -> None:
    """The bytes are those of a series whose start is not known."""
    codec = CodecV1()
    block = codec.label_block(LABELS, "counter", "Help.", "seconds")
    assert codec.series_head(block, T0) == codec.series_head(block)
    assert codec.encode_series(block, [(T0, 1.0)], T0) == codec.encode_series(block, [(T0, 1.0)])
