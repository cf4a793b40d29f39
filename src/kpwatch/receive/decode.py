"""A decompressed Remote Write 1.0 body -> frames. Pure.

Two paths, one result. Where the body continues with a run that is known (runs.py), the run gives the frame. Else the
series is read: one whose labels are known and which ends in a single sample by slicing, any other one field by field
(remote_write/v1.py). Consecutive series of one target and time make a frame; what comes scattered is gathered by
target and time. Where a series comes twice with one timestamp the later value stays, as across requests.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import BadInput
from kpwatch.model.frames import Frame
from kpwatch.model.labels import join_target
from kpwatch.receive.labels import series_text
from kpwatch.receive.layouts import Names
from kpwatch.receive.limits import TIMESTAMP_MAX_MS, TIMESTAMP_MIN_MS
from kpwatch.receive.runs import SHORTEST_RUN_SERIES, Runs, Stretch, match, six_byte_timestamp
from kpwatch.remote_write.protobuf import decode_varint, skip_field
from kpwatch.remote_write.v1 import decode_series

if TYPE_CHECKING:
    from kpwatch.model.frames import Layout
    from kpwatch.model.labels import Labels
    from kpwatch.receive.layouts import Column, KnownSeries
    from kpwatch.receive.limits import ReceiveOptions

_SERIES_TAG = 0x0A
# A series' only sample, at its end: 12 10 09 value(8) 10 time(6), or, where the sender omits a zero, 12 07 10 time(6).
_VALUE_SAMPLE, _VALUE_SAMPLE_BYTES = b"\x12\x10\x09", 18
_ZERO_SAMPLE, _ZERO_SAMPLE_BYTES = b"\x12\x07", 9
_VALUE_BEFORE_END = 15
_TIME_FIELD_BYTES = 7
_unpack_double = struct.Struct("<d").unpack_from


class Decoded(NamedTuple):
    """What a body held."""

    frames: list[Frame]
    samples: int
    in_runs: int
    """Of the samples, those that a known run gave."""
    duplicates: int
    """Samples replaced by a later one of the same series and time in the same body; not counted in `samples`."""
    ignored: int
    """Exemplars and native histograms, which are not kept."""
    without_samples: int
    """Series that carried no sample to keep."""
    fields_skipped: int
    """Fields that are no series: metadata, which is not kept."""


class Decoder:
    """Decodes bodies and remembers names and runs between them. One thread at a time."""

    def __init__(self, options: ReceiveOptions, *, host_is_ident: bool = False) -> None:
        self._names = Names(options, host_is_ident=host_is_ident)
        self._runs = Runs(options.run_cache_bytes)

    def decode(self, body: bytes) -> Decoded:
        """All of `body`; raises BadInput with what is wrong and where."""
        walk = _Walk(self._names, self._runs, body)
        walk.through()
        return walk.decoded()

    def forgotten(self) -> int:
        """How many remembered things were dropped for want of room."""
        return self._names.forgotten() + self._runs.forgotten()


class _Samples:
    """Samples of one target at one time, in the order they came."""

    __slots__ = ("columns", "target", "timestamp_ms", "values")

    def __init__(self, target: Labels, timestamp_ms: int) -> None:
        self.target = target
        self.timestamp_ms = timestamp_ms
        self.columns: list[Column] = []
        self.values: list[float] = []


class _Stretch(_Samples):
    """Consecutive series of one target and time, each ending in one sample."""

    __slots__ = ("begin", "key", "places", "read_before", "time_field")

    def __init__(
        self, target: Labels, timestamp_ms: int, begin: int, key: bytes, time_field: bytes, read_before: int
    ) -> None:
        super().__init__(target, timestamp_ms)
        self.begin = begin
        self.key = key
        self.time_field = time_field
        self.read_before = read_before
        """How many label blocks had been read when it began."""
        self.places: list[int] = []
        """Where values begin; fewer than values if some were omitted."""


class _Walk:
    """One way through one body."""

    def __init__(self, names: Names, runs: Runs, body: bytes) -> None:
        self._names = names
        self._runs = runs
        self._body = body
        self._frames: list[Frame] = []
        self._scattered: dict[tuple[Labels, int], _Samples] = {}
        self._stretch: _Stretch | None = None
        self._blocks_read = 0
        self._in_runs = self._duplicates = self._ignored = self._without_samples = self._fields_skipped = 0

    def through(self) -> None:
        """Take everything."""
        body, end = self._body, len(self._body)
        position = 0
        while position < end:
            position = self._series_at(position) if body[position] == _SERIES_TAG else self._skip(position)
        self._close(end)

    def _series_at(self, position: int) -> int:
        """Take what begins here, a run or one series; the position behind it.

        Called once per series of every sender but our own, so it is flat and calls little.
        """
        body, stretch = self._body, self._stretch
        begin, after = self._bounds(position)
        value_place, cut = _sample_places(body, after)
        block = body[begin:cut]
        if stretch is None and (run_end := self._take_run(block, position)):
            return run_end
        known = self._names.find(block) or self._read_block(block, after)
        if known is None:
            return self._read_series(position, after)
        target, column = known
        time_field = body[after - _TIME_FIELD_BYTES : after]
        if stretch is None:
            timestamp_ms = six_byte_timestamp(time_field, 0)
            if timestamp_ms is None:
                return self._read_series(position, after)
            stretch = self._stretch = _Stretch(target, timestamp_ms, position, block, time_field, self._blocks_read)
        elif target is not stretch.target or time_field != stretch.time_field:
            self._close(position)
            return position  # once more, now that a run may begin here
        stretch.columns.append(column)
        if value_place:
            stretch.values.append(_unpack_double(body, value_place)[0])
            stretch.places.append(value_place)
        else:
            stretch.values.append(0.0)
        return after

    def decoded(self) -> Decoded:
        """The result, once everything is taken."""
        for key in list(self._scattered):
            self._frame_scattered(key)
        samples = sum(len(frame.values) for frame in self._frames)
        return Decoded(
            self._frames,
            samples,
            self._in_runs,
            self._duplicates,
            self._ignored,
            self._without_samples,
            self._fields_skipped,
        )

    def _skip(self, position: int) -> int:
        """Pass a field that is no series; the position behind it."""
        self._close(position)
        self._fields_skipped += 1
        tag, after_tag = decode_varint(self._body, position)
        return skip_field(self._body, tag, after_tag, len(self._body))

    def _bounds(self, position: int) -> tuple[int, int]:
        """Where the content of the series at `position` begins and ends."""
        two = self._body[position + 1 : position + 3]
        if len(two) == 2 and two[0] >= 0x80 > two[1]:  # 128 to 16383 bytes: nearly every series
            length, begin = two[0] & 0x7F | two[1] << 7, position + 3
        else:
            length, begin = decode_varint(self._body, position + 1)
        after = begin + length
        if after > len(self._body):
            raise BadInput(
                f"protobuf: series at byte {position} reaches byte {after}, the body ends at {len(self._body)}"
            )
        return begin, after

    def _take_run(self, key: bytes, position: int) -> int:
        """Take the run that begins here, if one does; the position behind it, else 0."""
        run = self._runs.find(key)
        found = match(run, self._body, position) if run is not None else None
        if run is None or found is None:
            return 0
        timestamp_ms, values = found
        self._frame_scattered((run.target, timestamp_ms))
        self._frames.append(Frame(run.target, run.layout, timestamp_ms, values))
        self._in_runs += len(values)
        return position + len(run.blank)

    def _read_block(self, block: bytes, after: int) -> KnownSeries | None:
        """Read the labels of a series that is nothing but `block` and one sample; None where it is not."""
        if not block or six_byte_timestamp(self._body, after - _TIME_FIELD_BYTES) is None:
            return None
        self._blocks_read += 1
        return self._names.read(block)

    def _read_series(self, position: int, after: int) -> int:
        """Take the series at `position` field by field; the position behind it."""
        self._close(position)
        try:
            (series,) = decode_series(self._body[position:after])
        except BadInput as error:
            raise BadInput(f"series at byte {position} of the body: {error}") from error
        target, column = self._names.find(series.label_block) or self._names.judge(series.label_block)
        self._ignored += series.ignored
        self._without_samples += not series.samples
        for timestamp_ms, value in series.samples:
            if not TIMESTAMP_MIN_MS <= timestamp_ms <= TIMESTAMP_MAX_MS:
                raise BadInput(
                    f"series {series_text(join_target(target, column.labels))}: timestamp {timestamp_ms} ms lies "
                    "outside the years 1970 to 9999; nothing of this request is stored"
                )
            samples = self._scattered_at(target, timestamp_ms)
            samples.columns.append(column)
            samples.values.append(value)
        return after

    def _close(self, end: int) -> None:
        """The stretch ends here, if there is one: it is framed, and learned if it may come again.

        A short one joins the scattered.
        """
        stretch, self._stretch = self._stretch, None
        if stretch is None:
            return
        if len(stretch.columns) < SHORTEST_RUN_SERIES:
            samples = self._scattered_at(stretch.target, stretch.timestamp_ms)
            samples.columns += stretch.columns
            samples.values += stretch.values
            return
        self._frame_scattered((stretch.target, stretch.timestamp_ms))
        duplicates = self._duplicates
        layout = self._frame(stretch)
        if len(stretch.places) == len(stretch.columns) and duplicates == self._duplicates:
            is_new = 2 * (self._blocks_read - stretch.read_before) > len(stretch.columns)
            seen = Stretch(stretch.key, stretch.begin, end, stretch.places)
            self._runs.learn(self._body, seen, stretch.target, layout, at_once=is_new)

    def _scattered_at(self, target: Labels, timestamp_ms: int) -> _Samples:
        key = (target, timestamp_ms)
        samples = self._scattered.get(key)
        if samples is None:
            samples = self._scattered[key] = _Samples(target, timestamp_ms)
        return samples

    def _frame_scattered(self, key: tuple[Labels, int]) -> None:
        """Frame what is scattered of this target and time, before anything later of it is framed."""
        samples = self._scattered.pop(key, None)
        if samples is not None:
            self._frame(samples)

    def _frame(self, samples: _Samples) -> Layout:
        layout = self._names.layout(samples.columns)
        if layout is None:
            self._keep_last(samples)
            layout = self._names.layout(samples.columns)
            assert layout is not None
        self._frames.append(Frame(samples.target, layout, samples.timestamp_ms, np.array(samples.values, np.float64)))
        return layout

    def _keep_last(self, samples: _Samples) -> None:
        """Of every column keep the last sample."""
        last = {column.labels: (column, value) for column, value in zip(samples.columns, samples.values, strict=True)}
        self._duplicates += len(samples.values) - len(last)
        samples.columns = [column for column, _ in last.values()]
        samples.values = [value for _, value in last.values()]


def _sample_places(body: bytes, after: int) -> tuple[int, int]:
    """If the series ending at `after` ends in a single sample: (where its value begins, where its labels end).

    The first is 0 where the sender omits the value, a zero; both are 0 where neither form is there. What lies before
    is a series' labels and nothing else only if it is known as a label block; then the form is certain.
    """
    if body[after - _VALUE_SAMPLE_BYTES : after - _VALUE_BEFORE_END] == _VALUE_SAMPLE:
        return after - _VALUE_BEFORE_END, after - _VALUE_SAMPLE_BYTES
    if body[after - _ZERO_SAMPLE_BYTES : after - _TIME_FIELD_BYTES] == _ZERO_SAMPLE:
        return 0, after - _ZERO_SAMPLE_BYTES
    return 0, 0
