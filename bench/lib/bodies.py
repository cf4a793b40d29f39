"""Remote Write requests as senders make them, from a matrix of values.

`OwnBodies` are our agent's: one target a request, made by `scrape.encoder` itself; what they hold is also made of a
template, with values and timestamp put in their places. `ForeignBodies` are packed as Prometheus' own sender does it:
series sharded by a hash, samples of many targets and instants in a request, zeros omitted. Both carry the same series.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import numpy as np

from bench.lib import recording
from kpwatch.exposition.delta import DeltaParser
from kpwatch.exposition.delta import Values as Changed
from kpwatch.relabel.identity import Identity
from kpwatch.remote_write import snappy, v1, v2
from kpwatch.remote_write.protobuf import encode_varint
from kpwatch.scrape.about import OwnSample
from kpwatch.scrape.encoder import SeriesEncoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.lib.movement import Values
    from kpwatch.model.encoded import Protocol

URL = "http://127.0.0.1:10249/metrics"
SHARD_REQUEST_SAMPLES = 2000
"""Prometheus' max_samples_per_send."""
SHARDS = 4
ALL = slice(None)

_VALUE_BYTES, _TIME_BYTES = 8, 6
_UP = OwnSample("up", (), 1.0)
_LIMIT_BYTES = 64 << 20


def identity(number: int) -> Identity:
    """What node `number` adds to its samples, as with the article's configuration."""
    return Identity(
        (("instance", URL),),
        (("job", "kube-proxy"),),
        (),
        f"10.{206 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
    )


def encoded_scrape(number: int, body: bytes, timestamp_ms: int, protocol: Protocol = "1.0") -> bytes:
    """One scrape of node `number` as our agent encodes it, `up` included, not compressed."""
    encoder = SeriesEncoder(identity(number), "rename", protocol=protocol)
    encoder.feed(DeltaParser().feed(body))
    block = encoder.encode(timestamp_ms, [_UP]).block
    return snappy.decompress(block, _LIMIT_BYTES)


class OwnBodies:
    """Our agent's requests for one node."""

    def __init__(self, number: int, series: slice = ALL, protocol: Protocol = "1.0") -> None:
        """`series` keeps only those of the recording (and `up`)."""
        self._number, self._series, self._protocol = number, series, protocol
        self._encoder: SeriesEncoder | None = None
        self._latest: Values = np.empty(0)
        content = encoded_scrape(number, _some_series(series), v1.TAIL_TIMESTAMP_MIN_MS, protocol)
        tail = re.escape(v1.timestamp_tail(v1.TAIL_TIMESTAMP_MIN_MS))
        found = re.finditer(rb"\x12\x10\x09(?s:.{8})" + tail, content)
        self._template = np.frombuffer(content, np.uint8)
        self.places = np.array([sample.start() + 3 for sample in found])
        self._values_at = self.places[:, None] + np.arange(_VALUE_BYTES)
        self._times_at = self.places[:, None] + _VALUE_BYTES + 1 + np.arange(_TIME_BYTES)

    @property
    def samples(self) -> int:
        """In each request."""
        return len(self.places)

    def content(self, timestamp_ms: int, values: Values) -> bytes:
        """The request before compression; `values` are the recording's series in order, `up` is 1."""
        filled = self._template.copy()
        with_up = np.append(values[self._series], 1.0)
        filled[self._values_at] = with_up.astype("<f8").view(np.uint8).reshape(-1, _VALUE_BYTES)
        filled[self._times_at] = np.frombuffer(v1.timestamp_tail(timestamp_ms)[1:], np.uint8)
        return filled.tobytes()

    def request(self, timestamp_ms: int, values: Values) -> bytes:
        """The next request as sent: from one to the next the agent's block stands (remote_write/standing.py)."""
        chosen = values[self._series]
        if self._encoder is None:
            self._encoder = SeriesEncoder(identity(self._number), "rename", protocol=self._protocol)
            self._encoder.feed(DeltaParser().feed(_some_series(self._series)))
            changed = np.arange(len(chosen))
        else:
            changed = np.flatnonzero(chosen.view(np.int64) != self._latest.view(np.int64))
        self._latest = chosen.copy()
        self._encoder.feed(Changed(changed.tolist(), chosen[changed].tolist()))
        return self._encoder.encode(timestamp_ms, [_UP]).block


class ForeignBodies:
    """Prometheus' requests for many nodes; each belongs to a shard and keeps its shard's order."""

    def __init__(self, targets: int, series: slice = ALL) -> None:
        self._targets = [_Foreign(number, series) for number in range(targets)]
        self._waiting: list[list[bytes]] = [[] for _ in range(SHARDS)]
        self.samples = len(self._targets[0].shards)
        """Of one target's scrape."""

    def requests(self, timestamps_ms: Sequence[int], scrapes: Values) -> Iterator[tuple[int, bytes]]:
        """(shard, request) for one scrape of every target: `scrapes` (targets, series), one timestamp a target."""
        for target, timestamp_ms, values in zip(self._targets, timestamps_ms, scrapes, strict=True):
            for shard, series in zip(target.shards, target.encode(timestamp_ms, values), strict=True):
                waiting = self._waiting[shard]
                waiting.append(series)
                if len(waiting) == SHARD_REQUEST_SAMPLES:
                    yield shard, self._take(shard)

    def rest(self) -> Iterator[tuple[int, bytes]]:
        """What still waits when the stream ends."""
        for shard, waiting in enumerate(self._waiting):
            if waiting:
                yield shard, self._take(shard)

    def _take(self, shard: int) -> bytes:
        request = snappy.compress(b"".join(self._waiting[shard]))
        self._waiting[shard] = []
        return request


class _Foreign:
    """One target's series with both forms of their heads: with a value and, for zero, without."""

    def __init__(self, number: int, series: slice) -> None:
        self._series = series
        content = encoded_scrape(number, _some_series(series), v1.TAIL_TIMESTAMP_MIN_MS)
        blocks = [one.label_block for one in v1.decode_series(content)]
        self.shards = [zlib.crc32(block) % SHARDS for block in blocks]
        self._heads = [v1.series_head(block) for block in blocks]
        self._zero_heads = [b"\n" + encode_varint(len(block) + 9) + block + b"\x12\x07" for block in blocks]

    def encode(self, timestamp_ms: int, values: Values) -> list[bytes]:
        """One TimeSeries each."""
        tail = v1.timestamp_tail(timestamp_ms)
        with_up = [*values[self._series].tolist(), 1.0]
        return [
            head + v1.pack_value(value) + tail if value else zero + tail
            for head, zero, value in zip(self._heads, self._zero_heads, with_up, strict=True)
        ]


def _some_series(series: slice) -> bytes:
    body = recording.load().bodies[0]
    if series == ALL:
        return body
    lines = [line for line in body.split(b"\n") if line and not line.startswith(b"#")]
    return b"\n".join(lines[series]) + b"\n"


def foreign_2_0(content: bytes) -> bytes:
    """A 1.0 request's samples as Prometheus' 2.0 sender lays them out: symbols as they come, metadata last."""
    symbols = v2.SymbolTable()
    fields = []
    for series in v1.decode_series(content):
        labels = v1.decode_labels(series.label_block)
        metadata = v2.encode_metadata("counter", f"What {dict(labels)['__name__']} counts.", "", symbols)
        samples = b"".join(
            b"\x12\x07" + v1.timestamp_tail(at_ms) if not value else v1.encode_samples([(at_ms, value)])
            for at_ms, value in series.samples
        )
        one = v2.encode_labels(labels, symbols) + samples + metadata
        fields.append(b"\x2a" + encode_varint(len(one)) + one)
    return symbols.encode() + b"".join(fields)
