"""A decompressed Remote Write 1.0 body -> frames. Pure.

Where the body continues with a run that is known (runs.py), the run gives the frame. Else the series is read: one whose
labels are known and which ends in a single sample by slicing, any other one field by field (remote_write/v1.py).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from kpwatch.base.errors import BadInput
from kpwatch.receive.gather import Decoded, Gatherer, Stretch
from kpwatch.receive.runs import StretchBytes, match, six_byte_timestamp
from kpwatch.remote_write.protobuf import decode_varint, skip_field
from kpwatch.remote_write.v1 import decode_series

if TYPE_CHECKING:
    from kpwatch.receive.layouts import KnownSeries, Names
    from kpwatch.receive.runs import Runs

_SERIES_TAG = 0x0A
_TAGS_OF_2_0 = frozenset({0x22, 0x2A})
# A series' only sample, at its end: 12 10 09 value(8) 10 time(6), or, where the sender omits a zero, 12 07 10 time(6).
_VALUE_SAMPLE, _VALUE_SAMPLE_BYTES = b"\x12\x10\x09", 18
_ZERO_SAMPLE, _ZERO_SAMPLE_BYTES = b"\x12\x07", 9
_VALUE_BEFORE_END = 15
_TIME_FIELD_BYTES = 7
_unpack_double = struct.Struct("<d").unpack_from


class WalkV1:
    """One way through one body."""

    def __init__(self, names: Names, runs: Runs, body: bytes, samples_max: int) -> None:
        self._names = names
        self._runs = runs
        self._body = body
        self._samples_max = samples_max
        self._gather = Gatherer(names, samples_max)
        self._stretch: Stretch | None = None
        self._blocks_read = 0
        self._ignored = self._without_samples = self._fields_skipped = 0

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
            stretch = self._stretch = Stretch(target, timestamp_ms, position, block, time_field, self._blocks_read)
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
        gather = self._gather
        samples = gather.finish()
        return Decoded(
            gather.frames,
            samples,
            gather.in_runs,
            gather.duplicates,
            self._ignored,
            self._without_samples,
            self._fields_skipped,
        )

    def _skip(self, position: int) -> int:
        """Pass a field that is no series; the position behind it."""
        self._close(position)
        self._gather.count(1)
        self._fields_skipped += 1
        tag, after_tag = decode_varint(self._body, position)
        if tag in _TAGS_OF_2_0:
            raise BadInput(
                f"protobuf: field {tag >> 3} at byte {position} is Remote Write 2.0's; "
                "send Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request with it"
            )
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
        self._gather.run(run, *found)
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
            (series,) = decode_series(self._body[position:after], self._samples_max)
        except BadInput as error:
            raise type(error)(f"series at byte {position} of the body: {error}") from error
        known = self._names.find(series.label_block) or self._names.judge(series.label_block)
        self._ignored += series.ignored
        self._without_samples += not series.samples
        self._gather.count(1 + len(series.samples))
        self._gather.series(known, series.samples)
        return after

    def _close(self, end: int) -> None:
        """The stretch ends here, if there is one; it is learned if it may come again."""
        stretch, self._stretch = self._stretch, None
        layout = self._gather.stretch(stretch) if stretch is not None else None
        if stretch is None or layout is None:
            return
        seen = StretchBytes(self._body, stretch.begin, end, stretch.places)
        is_new = 2 * (self._blocks_read - stretch.read_before) > len(stretch.columns)
        if is_new or self._runs.came_before(stretch.key, seen):
            self._runs.keep(stretch.key, seen, stretch.target, layout)


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
