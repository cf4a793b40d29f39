"""Write bodies for tests, and what they must mean."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kpwatch.model.labels import join_target
from kpwatch.receive.decode import Decoder
from kpwatch.receive.limits import ReceiveOptions
from kpwatch.remote_write import v1
from kpwatch.remote_write.codecs import CodecV1, CodecV2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpwatch.model.encoded import Protocol
    from kpwatch.model.frames import Frame
    from kpwatch.model.labels import Labels

NOW_MS = 1_795_374_456_789
Written = list[tuple["Labels", list[tuple[int, float]]]]
"""What a request says: series and their samples (timestamp_ms, value)."""
Samples = dict[tuple["Labels", int], bytes]


def labels(name: str, node: str = "a", **more: str) -> Labels:
    """A series of node `node`."""
    return tuple(sorted({"__name__": name, "ident": node, "job": "kube-proxy", **more}.items()))


def series(pairs: Iterable[tuple[str, str]], *samples: tuple[int, float]) -> bytes:
    """One TimeSeries field."""
    return v1.encode_series(v1.encode_labels(pairs), samples)


def scrape(node: str, names: Sequence[str], values: Sequence[float], at_ms: int = NOW_MS) -> bytes:
    """A scrape as our agent sends it."""
    tail = v1.timestamp_tail(at_ms)
    heads = [v1.series_head(v1.encode_labels(labels(name, node))) for name in names]
    return b"".join(head + v1.pack_value(value) + tail for head, value in zip(heads, values, strict=True))


def written_1_0(written: Written) -> bytes:
    """A 1.0 body."""
    codec = CodecV1()
    return b"".join(codec.encode_series(codec.label_block(one, "", ""), samples) for one, samples in written)


def written_2_0(written: Written) -> bytes:
    """By our encoder, with metadata before the samples."""
    codec = CodecV2()
    parts = [codec.encode_series(codec.label_block(one, "counter", "Help."), samples) for one, samples in written]
    return codec.request(b"".join(parts))


def bits(value: float) -> bytes:
    """The eight bytes of a value, for NaN is not equal to itself."""
    return struct.pack("<d", value)


def meaning(frames: Iterable[Frame]) -> Samples:
    """(series, time) -> value bits; of the same series and time the later frame counts, as in the store."""
    found: Samples = {}
    for frame in frames:
        columns = frame.layout.columns
        assert len(set(columns)) == len(columns), "a layout's columns are distinct"
        assert frame.values.shape == (len(columns),)
        for column, value in zip(columns, frame.values, strict=True):
            found[join_target(frame.target, column), frame.timestamp_ms] = value.tobytes()
    return found


def fresh_meaning(body: bytes, protocol: Protocol = "1.0") -> Samples:
    """What a decoder that has seen nothing before makes of a body: the general path."""
    return meaning(Decoder(ReceiveOptions()).decode(body, protocol).frames)
