"""A decompressed Remote Write 2.0 body -> frames. Pure.

Our agent's body is one target's scrape: symbols, then series, and both are the last scrape's bytes but for values and
time. So where the body begins with a symbol table that is known and continues with a run that was seen with this table
(runs.py), the run gives the frame, and no symbol and no series is looked at. A new node of a known kind (kinds.py) has
its symbols read and no series. Any other body is read: its symbols get
their numbers (symbols.py), and its series are scanned some thousand at a time (scan.py), the references of all of them
decoded at once. Those that follow an order that is known (orders.py) are named by it, any other by its own numbers. A
series that is not of a usual form (labels, one sample, metadata before or behind it) is read field by field
(remote_write/v2.py).

A small body can name much: labels written out may take no more bytes than a 1.0 body may have.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import BadInput, TooLarge
from kpwatch.receive.gather import Decoded, Gatherer, Stretch
from kpwatch.receive.kinds import make_kind
from kpwatch.receive.orders import SHORTEST_ORDER_SERIES, OrderPlace, follow, make_order
from kpwatch.receive.runs import StretchBytes, make_run, match
from kpwatch.receive.sample_form import (
    TIME_FIELD_BYTES,
    VALUE_SAMPLE,
    VALUE_SAMPLE_BYTES,
    ZERO_SAMPLE,
    ZERO_SAMPLE_BYTES,
    six_byte_timestamp,
    unpack_double,
)
from kpwatch.receive.scan import pieces, scan, series_starts
from kpwatch.receive.symbols import NUMBER_BYTES, packed_numbers, packed_references
from kpwatch.remote_write.protobuf import decode_varint, skip_field
from kpwatch.remote_write.v2 import RawSeries, check_metadata, check_references, decode_metadata, decode_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels
    from kpwatch.receive.kinds import Kind, Kinds
    from kpwatch.receive.layouts import Column, KnownSeries, Names
    from kpwatch.receive.limits import ReceiveOptions
    from kpwatch.receive.orders import Orders
    from kpwatch.receive.runs import Run, Runs
    from kpwatch.receive.scan import Scan
    from kpwatch.receive.symbols import KnownTable, Symbols, Table, Tables

_SYMBOL_TAG, _SERIES_TAG = 0x22, 0x2A
_LABELS_TAG, _METADATA_TAG = 0x0A, 0x2A
_VALUE_TAG, _START_TAG = 0x09, 0x18
_TAGS_OF_1_0 = frozenset({0x0A, 0x1A})
_CHUNK_SERIES = 4096
_WORD_BYTES = 8
_FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(_WORD_BYTES + 1)], np.uint64)
"""Masks of the first bytes of a word."""
# A sample that says when its series began to count: 12 17 with 18 start(6) first as our agent has it, or last as
# Prometheus.
_STARTED_SAMPLE, _STARTED_SAMPLE_BYTES = b"\x12\x17", 25
_NO_VALUE = 0


class Memory(NamedTuple):
    """What outlives a body."""

    names: Names
    symbols: Symbols
    tables: Tables
    runs: Runs
    kinds: Kinds
    orders: Orders
    options: ReceiveOptions


class _Many(NamedTuple):
    """Consecutive series of the usual form with their numbers; all arrays of shape (series,) but for two."""

    found: Scan
    first: int
    """The number of the first of them in `found`."""
    references: NDArray[np.int64]
    numbers: NDArray[np.int64]
    """For each reference."""
    bounds: NDArray[np.int64]
    """Where in `numbers` each series begins, and where the last one ends."""
    values: NDArray[np.float64]
    values_at: NDArray[np.int64]
    """0 where omitted."""
    described: NDArray[np.bool_]
    started: NDArray[np.bool_]

    def start(self, series: int) -> int:
        """Where in the body one of them begins."""
        return int(self.found.starts[self.first + series])

    def key(self, series: int) -> bytes:
        """What names it."""
        return self.numbers[self.bounds[series] : self.bounds[series + 1]].tobytes()


class _Piece(NamedTuple):
    """Some of them, all of one target and time: named by an order, or one by itself."""

    target: Labels
    columns: Sequence[Column]
    place: OrderPlace | None


_Usual = tuple[int, bytes, int, bytes, bool, bool]
"""A series of labels, one sample and perhaps metadata: where it begins, its field labels_refs whole, where its value is
(0: omitted), its field timestamp, whether it has metadata, whether a start timestamp."""


class WalkV2:
    """One way through one body."""

    def __init__(self, memory: Memory, body: bytes, *, any_order: bool = False) -> None:
        """`any_order`: symbols may stand anywhere, which is legal protobuf nobody writes."""
        self._memory = memory
        self._body = body
        self._any_order = any_order
        self._gather = Gatherer(memory.names, memory.options.samples_per_request)
        self._table: Table
        self._known_table: KnownTable | None = None
        self._symbols_end = 0
        self._texts: list[bytes] = []
        self._waiting: list[_Usual] = []
        self._references: list[bytes] = []
        """Packed, of the series that wait."""
        self._time_field = b""
        """The latest that was seen to be one of six bytes."""
        self._written_out_bytes = 0
        self._stretch: Stretch | None = None
        self._runs_end = 0
        """So far the body consists of runs that are known or learned."""
        self._series_read = 0
        self._ignored = self._without_samples = self._metadata = self._histograms = self._start_timestamps = 0

    def through(self) -> bool:
        """Take everything; False, with nothing taken, where symbols stand behind series. Raises BadInput."""
        position = 0 if self._any_order else self._take_runs()
        if position == len(self._body):
            return True
        texts: list[bytes] = []
        self._symbols_end = self._leading_symbols(texts)
        if self._any_order:
            self._other_symbols(texts)
        elif not texts:
            return False
        self._table = self._memory.symbols.table(texts)
        self._texts = texts
        if not self._any_order and position <= self._symbols_end:
            position = self._take_like(self._symbols_end)
        self._runs_end = max(position, self._symbols_end)
        if not self._take_all(self._runs_end):
            return False
        self._take_waiting()
        self._close(len(self._body))
        return True

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
            self._metadata,
            self._histograms,
            self._start_timestamps,
        )

    def _take_runs(self) -> int:
        """Take the runs the body begins with; the position behind them."""
        body = self._body
        table = self._known_table = self._memory.tables.find(body)
        if table is None:
            return 0
        position = table.size
        while position < len(body) and (run_end := self._take_run(position, table)):
            position = run_end
        return position

    def _take_run(self, position: int, table: KnownTable) -> int:
        """Take the run that begins here, if one does; the position behind it, else 0."""
        body = self._body
        if body[position] != _SERIES_TAG:
            return 0
        begin, after = self._bounds(position)
        run = self._memory.runs.find(run_key(table, body[begin : labels_end(body, begin, after)]))
        found = match(run, body, position) if run is not None else None
        if run is None or found is None:
            return 0
        self._gather.known(run.target, run.layout, *found)
        self._metadata += run.metadata
        self._start_timestamps += run.starts
        return position + len(run.blank)

    def _take_like(self, position: int) -> int:
        """Take the run of a node of a known kind, if this is one; the position behind it."""
        body, memory = self._body, self._memory
        if position >= len(body) or body[position] != _SERIES_TAG:
            return position
        begin, after = self._bounds(position)
        labels = body[begin : labels_end(body, begin, after)]
        kind = memory.kinds.find(labels, self._texts) if labels else None
        found = match(kind.run, body, position) if kind is not None else None
        if kind is None or found is None:
            return position
        packed = packed_references([labels[2:]])
        assert packed is not None, "the kind has read them"
        references = packed[0]
        key = self._table.numbers[references].tobytes()
        known = memory.symbols.find(key) or self._read(key, references)
        run = kind.run._replace(target=known.target)
        self._gather.known(run.target, run.layout, *found)
        self._metadata += run.metadata
        self._start_timestamps += run.starts
        table = self._known_table = memory.tables.remember(body, self._symbols_end, kind.tail)
        memory.runs.keep_like(run_key(table, labels), run)
        return position + len(run.blank)

    def _leading_symbols(self, texts: list[bytes]) -> int:
        """The symbols that the body begins with; the position behind them."""
        body, end = self._body, len(self._body)
        check_count = self._memory.symbols.check_count
        position = 0
        while position + 1 < end and body[position] == _SYMBOL_TAG:
            length, begin = body[position + 1], position + 2
            if length >= 0x80:
                length, begin = decode_varint(body, position + 1)
            position = begin + length
            texts.append(body[begin:position])
            if not len(texts) % _CHUNK_SERIES:
                check_count(len(texts))
        if position > end:
            raise BadInput(f"protobuf: a symbol reaches byte {position}, the body ends at {end}")
        check_count(len(texts))
        return position

    def _other_symbols(self, texts: list[bytes]) -> None:
        """Those that do not stand at the beginning."""
        position, end = self._symbols_end, len(self._body)
        while position < end:
            tag, after_tag = decode_varint(self._body, position)
            position = skip_field(self._body, tag, after_tag, end)
            if tag == _SYMBOL_TAG:
                texts.append(self._body[decode_varint(self._body, after_tag)[1] : position])
                if not len(texts) % _CHUNK_SERIES:
                    self._memory.symbols.check_count(len(texts))
        self._memory.symbols.check_count(len(texts))

    def _take_all(self, position: int) -> bool:
        """Take every field from here on; False where a symbol comes that was not expected."""
        body, end = self._body, len(self._body)
        while position < end:
            if body[position] == _SERIES_TAG:
                starts = series_starts(body, position)
                if len(starts) > SHORTEST_ORDER_SERIES:
                    self._take_many(starts)
                    position = starts[-1]
                else:
                    position = self._take_one(position)
                continue
            tag, after_tag = decode_varint(body, position)
            if tag == _SYMBOL_TAG:
                if not self._any_order:
                    return False
            elif tag in _TAGS_OF_1_0:
                raise BadInput(
                    f"protobuf: field {tag >> 3} at byte {position} is Remote Write 1.0's; "
                    "send Content-Type: application/x-protobuf with it"
                )
            else:
                self._take_waiting()
                self._close(position)
                self._gather.count(1)
            position = skip_field(body, tag, after_tag, end)
        return True

    def _bounds(self, position: int) -> tuple[int, int]:
        """Where the content of the series at `position` begins and ends."""
        body = self._body
        if position + 1 < len(body) and body[position + 1] < 0x80:  # nearly every series
            begin = position + 2
            after = begin + body[position + 1]
        else:
            length, begin = decode_varint(body, position + 1)
            after = begin + length
        if after > len(body):
            raise BadInput(f"protobuf: series at byte {position} reaches byte {after}, the body ends at {len(body)}")
        return begin, after

    def _take_one(self, position: int) -> int:
        """Take the series at `position`; the position behind it."""
        begin, after = self._bounds(position)
        self._take_series(position, begin, after)
        return after

    def _take_many(self, starts: list[int]) -> None:
        """Take the series at these positions."""
        found = scan(self._body, starts)
        first, count = 0, len(starts) - 1
        for odd in [*np.flatnonzero(~found.usual).tolist(), count]:
            if odd - first >= SHORTEST_ORDER_SERIES:
                self._take_waiting()
                self._close(starts[first])
                self._take_scanned(found, first, odd)
            else:
                for position in starts[first:odd]:
                    self._take_one(position)
            if odd < count:
                self._take_one(starts[odd])
            first = odd + 1

    def _take_scanned(self, found: Scan, first: int, end: int) -> None:
        """Take series of the usual form."""
        chosen = slice(first, end)
        content, field_ends = pieces(found.content, found.labels_at[chosen], found.labels_end[chosen])
        starts = found.starts[first:]
        references, ends = self._references_of(packed_numbers(content, field_ends), starts)
        metadata_at, values_at, times = found.metadata_at[chosen], found.values_at[chosen], found.times[chosen]
        described = metadata_at > 0
        self._check_metadata(found, metadata_at[described], found.metadata_end[chosen][described])
        values = np.zeros(end - first)
        valued = values_at > 0
        values.view(np.uint64)[valued] = found.words[values_at[valued]]
        numbers, bounds = self._table.numbers[references], np.append(0, ends)
        many = _Many(found, first, references, numbers, bounds, values, values_at, described, found.started[chosen])
        self._metadata += int(described.sum())
        self._start_timestamps += int(many.started.sum())
        changes = np.flatnonzero(times[1:] != times[:-1]) + 1
        for begin, stop in pairwise([0, *changes.tolist(), end - first]):
            self._take_instant(many, begin, stop)

    def _take_instant(self, many: _Many, begin: int, end: int) -> None:
        """Take consecutive series with one time."""
        find_order, find = self._memory.orders.find, self._memory.symbols.find
        taken: list[_Piece] = []
        at, read_before = begin, self._series_read
        while at < end:
            key = many.key(at)
            place = find_order(key)
            count = follow(place, many.numbers, many.bounds[at : end + 1]) if place is not None else 0
            if place is not None and count:
                order, index = place
                piece = _Piece(order.target, order.columns[index : index + count], place)
            else:
                references = many.references[many.bounds[at] : many.bounds[at + 1]]
                read_until_now = self._series_read
                target, column = find(key) or self._read(key, references)
                piece, count = _Piece(target, (column,), None), 1
                if taken and target is not taken[0].target and target != taken[0].target:
                    self._take_pieces(many, begin, at, taken, read_before)
                    begin, taken, read_before = at, [], read_until_now
            if taken and piece.place is not None and piece.target != taken[0].target:
                self._take_pieces(many, begin, at, taken, read_before)
                begin, taken, read_before = at, [], self._series_read
            taken.append(piece)
            at += count
        self._take_pieces(many, begin, end, taken, read_before)

    def _take_pieces(self, many: _Many, begin: int, end: int, taken: list[_Piece], read_before: int) -> None:
        """Take consecutive series of one target and time; what may come again is learned."""
        target, last = taken[0].target, taken[-1]
        found, gather = many.found, self._gather
        time_field = int(found.times[many.first + begin]).to_bytes(8, "little")[:TIME_FIELD_BYTES]
        timestamp_ms = six_byte_timestamp(time_field, 0)
        assert timestamp_ms is not None, "the form says so"
        values = many.values[begin:end]
        rest: OrderPlace | None = None
        if last.place is not None and many.start(end) == len(self._body):
            order, reached = last.place.order, last.place.series + len(last.columns)
            if reached < len(order.columns):
                rest = OrderPlace(order, reached)
                self._memory.orders.expect(order, reached)
        if len(taken) == 1 and last.place is not None:
            order, index = last.place
            if len(values) == len(order.columns):
                gather.known(target, order.layout, timestamp_ms, values)
            else:
                gather.part_of(target, order.layout, index, timestamp_ms, values)
            return
        labels = self._body[int(found.labels_at[many.first + begin]) - 2 : int(found.labels_end[many.first + begin])]
        stretch = Stretch(target, timestamp_ms, many.start(begin), labels, time_field, read_before)
        stretch.columns = [column for piece in taken for column in piece.columns]
        stretch.values = values.tolist()
        values_at = many.values_at[begin:end]
        stretch.places = values_at[values_at > 0].tolist()
        stretch.metadata = int(many.described[begin:end].sum())
        stretch.starts = int(many.started[begin:end].sum())
        is_new = 2 * (self._series_read - read_before) > len(stretch.columns)
        self._stretch = stretch
        if not self._close(many.start(end)):
            self._learn_order(many, begin, end, stretch, rest, is_new=is_new)

    def _learn_order(
        self, many: _Many, begin: int, end: int, stretch: Stretch, rest: OrderPlace | None, *, is_new: bool
    ) -> None:
        """Keep consecutive series as an order, if they may come again; `rest` of another would have followed."""
        orders, names = self._memory.orders, self._memory.names
        if end - begin < SHORTEST_ORDER_SERIES or len(stretch.columns) < end - begin:
            return  # in the other case some came twice, and only the last of them are in the stretch now
        key = many.key(begin)
        begun = orders.find(key)
        if not is_new and not (begun is not None and begun.series == 0) and not orders.came_before(key):
            return
        layout = names.layout([*stretch.columns, *rest.order.columns[rest.series :]]) if rest is not None else None
        if layout is None:
            rest, layout = None, names.layout(stretch.columns)
        if layout is None:
            return  # a series came twice: the sequence is no sender's habit
        bounds = many.bounds[begin : end + 1]
        order = make_order(stretch.target, layout, stretch.columns, many.numbers, bounds, rest)
        orders.keep(order)
        if rest is not None:
            orders.expect(order, end - begin)

    def _check_metadata(self, found: Scan, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        """Raises BadInput where metadata refers to what is not there; each distinct one is looked at once."""
        lengths = ends - begins
        short = lengths <= _WORD_BYTES
        heads = found.words[begins[short]] & _FIRST_BYTES[lengths[short]]
        _, distinct = np.unique(heads, return_index=True)
        for places in (np.flatnonzero(short)[distinct], np.flatnonzero(~short)):
            for begin, end in zip(begins[places].tolist(), ends[places].tolist(), strict=True):
                self._is_metadata(self._body[begin:end], end)

    def _take_series(self, position: int, begin: int, after: int) -> None:
        """Take the series with the content body[begin:after], or let it wait for company."""
        if not self._is_usual(position, begin, after):
            series = decode_series(self._body, begin, after, self._memory.options.samples_per_request)
            self._gather.count(1 + len(series.samples))
            self._take_waiting()
            self._close(position)
            self._take_raw(position, series)
        elif len(self._waiting) == _CHUNK_SERIES:
            self._take_waiting()

    def _is_usual(self, position: int, begin: int, after: int) -> bool:
        """Let the series wait if it is labels, one sample and perhaps metadata; whether it is.

        Called once per series of every sender but our own, so it is flat and calls little.
        """
        body = self._body
        end = labels_end(body, begin, after)
        if not end or end + 1 >= after:
            return False
        sample, sample_end = end, after
        first_end = sample + 2 + body[sample + 1]
        if first_end < after:  # two fields: metadata before the sample as our agent has it, or behind as Prometheus
            if body[sample] == _METADATA_TAG:
                metadata, sample = body[end:first_end], first_end
            else:
                metadata, sample_end = body[first_end:after], first_end
            if not self._is_metadata(metadata, sample_end):
                return False
        if sample_end - sample == VALUE_SAMPLE_BYTES and body[sample : sample + 3] == VALUE_SAMPLE:
            value_place, time_end, started = sample + 3, sample_end, False
        else:
            value_place, time_end, started = _other_sample(body, sample, sample_end)
            if not time_end:
                return False
        time_field = body[time_end - TIME_FIELD_BYTES : time_end]
        if time_field != self._time_field:
            if six_byte_timestamp(time_field, 0) is None:
                return False
            self._time_field = time_field
        self._references.append(body[begin + 2 : end])
        self._waiting.append((position, body[begin:end], value_place, time_field, first_end < after, started))
        return True

    def _is_metadata(self, field: bytes, begin: int) -> bool:
        """Whether a field is metadata; raises BadInput where it refers to what is not there."""
        known, symbols = self._memory.symbols.metadata, len(self._table.symbols)
        needed = known.get(field)
        if needed is not None and needed <= symbols:
            return True
        if field[0] != _METADATA_TAG or field[1] >= 0x80 or field[1] != len(field) - 2:
            return False
        read = decode_metadata(field, 2, len(field))
        check_metadata(read, symbols, begin)
        known.put(field, max(read[1:]) + 1)
        return True

    def _take_waiting(self) -> None:
        """Name the series that wait and take their samples, in their order."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        find, body, stretch = self._memory.symbols.find, self._body, self._stretch
        keys, references, bounds = self._keys(waiting)
        for (position, labels, value_place, time_field, described, started), key, begin, end in zip(
            waiting, keys, bounds, bounds[1:], strict=False
        ):
            target, column = find(key) or self._read(key, references[begin:end])
            if stretch is None or target is not stretch.target or time_field != stretch.time_field:
                self._close(position)
                timestamp_ms = six_byte_timestamp(time_field, 0)
                assert timestamp_ms is not None
                stretch = Stretch(target, timestamp_ms, position, labels, time_field, self._series_read)
                self._stretch = stretch
            stretch.columns.append(column)
            stretch.metadata += described
            stretch.starts += started
            if value_place:
                stretch.values.append(unpack_double(body, value_place)[0])
                stretch.places.append(value_place)
            else:
                stretch.values.append(0.0)
        self._metadata += sum(one[-2] for one in waiting)
        self._start_timestamps += sum(one[-1] for one in waiting)

    def _keys(self, waiting: list[_Usual]) -> tuple[list[bytes], NDArray[np.int64], list[int]]:
        """(keys, all references, where each series' begin and end) of the series that wait; raises BadInput."""
        fields, self._references = self._references, []
        starts = np.array([one[0] for one in waiting], np.int64)
        references, ends = self._references_of(packed_references(fields), starts)
        content = self._table.numbers[references].tobytes()
        bounds = [0, *ends.tolist()]
        keys = [content[NUMBER_BYTES * begin : NUMBER_BYTES * end] for begin, end in pairwise(bounds)]
        return keys, references, bounds

    def _references_of(
        self, packed: tuple[NDArray[np.int64], NDArray[np.int64]] | None, starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Checked: (all references, where those of each series end); raises BadInput, TooLarge."""
        symbols = len(self._table.symbols)
        if packed is None:
            raise BadInput(
                f"remote write 2.0: label references of the series from byte {starts[0]} on are cut, or longer "
                "than a uint32"
            )
        references, ends = packed
        counts = np.diff(ends, prepend=0)
        for wrong in np.flatnonzero(counts % 2)[:1].tolist():
            raise BadInput(
                f"remote write 2.0: the series at byte {starts[wrong]} has {counts[wrong]} label references, "
                "an odd number"
            )
        for wrong in np.flatnonzero(references >= symbols)[:1].tolist():
            position = starts[int(np.searchsorted(ends, wrong, "right"))]
            raise BadInput(
                f"remote write 2.0: the series at byte {position} refers to symbol {references[wrong]}, "
                f"there are {symbols}"
            )
        self._write_out(int(self._table.lengths[references].sum()))
        return references, ends

    def _write_out(self, label_bytes: int) -> None:
        self._written_out_bytes += label_bytes
        limit = self._memory.options.decoded_bytes
        if self._written_out_bytes > limit:
            raise TooLarge(
                f"remote write 2.0: the labels written out take more than {limit} bytes; send fewer series at once"
            )

    def _take_raw(self, position: int, series: RawSeries) -> None:
        """A series that was read field by field."""
        table = self._table
        check_references(series, len(table.symbols), position)
        references = np.array(series.references, np.int64)
        self._write_out(int(table.lengths[references].sum()))
        key = table.numbers[references].tobytes()
        known = self._memory.symbols.find(key) or self._read(key, references)
        self._ignored += series.histograms + series.exemplars
        self._histograms += series.histograms
        self._start_timestamps += series.start_timestamps
        self._metadata += series.described
        self._without_samples += not series.samples
        self._gather.series(known, series.samples)

    def _read(self, key: bytes, references: NDArray[np.int64]) -> KnownSeries:
        self._series_read += 1
        return self._memory.symbols.read(key, references.tolist(), self._table)

    def _close(self, end: int) -> bool:
        """The stretch ends here, if there is one; whether it is learned, with the table, because it may come again."""
        stretch, self._stretch = self._stretch, None
        layout = self._gather.stretch(stretch) if stretch is not None else None
        if stretch is None or layout is None or self._any_order or stretch.begin != self._runs_end:
            return False
        if len(stretch.places) != len(stretch.columns):
            return False  # a zero that is another number next time changes the bytes
        seen = StretchBytes(self._body, stretch.begin, end, stretch.places)
        is_new = 2 * (self._series_read - stretch.read_before) > len(stretch.columns)
        if not is_new and not self._memory.runs.came_before(self._stretch_key(stretch), seen):
            return False
        run = make_run(seen, stretch.target, layout, stretch.metadata, stretch.starts)
        kind = self._kind(run, stretch) if stretch.begin == self._symbols_end else None
        table = self._known_table or self._memory.tables.remember(self._body, self._symbols_end)
        self._known_table = table
        self._memory.runs.keep(run_key(table, stretch.key), run)
        if kind is not None:
            self._memory.kinds.keep(stretch.key, kind)
        self._runs_end = end
        return True

    def _kind(self, run: Run, stretch: Stretch) -> Kind | None:
        """What other nodes may have in common with the one whose request begins with this run."""
        fields = []
        position = stretch.begin
        for _ in stretch.columns:
            begin, position = self._bounds(position)
            fields.append(self._body[begin + 2 : labels_end(self._body, begin, position)])
        names = {name.encode() for name in self._memory.names.target_names}
        return make_kind(run, self._texts, self._body[: self._symbols_end], fields, names)

    def _stretch_key(self, stretch: Stretch) -> bytes:
        """For telling whether it came before; taking another for it would only remember it too early."""
        table_hash = hash(self._body[: self._symbols_end])
        return table_hash.to_bytes(8, "little", signed=True) + stretch.key


def labels_end(body: bytes, begin: int, after: int) -> int:
    """Where the field labels_refs at the beginning of the series' content ends; 0 where there is no usual one."""
    if begin + 1 >= after or body[begin] != _LABELS_TAG or body[begin + 1] >= 0x80:
        return 0
    end = begin + 2 + body[begin + 1]
    return end if end <= after else 0


def _other_sample(body: bytes, begin: int, end: int) -> tuple[int, int, bool]:
    """(where the value is, where the time ends, whether there is a start) of a sample without a value or with a start.

    The second is 0 where it is neither.
    """
    if end - begin == ZERO_SAMPLE_BYTES and body[begin : begin + 2] == ZERO_SAMPLE:
        return _NO_VALUE, end, False
    if end - begin == _STARTED_SAMPLE_BYTES and body[begin : begin + 2] == _STARTED_SAMPLE:
        is_first = body[begin + 2] == _START_TAG
        start, value = (begin + 2, begin + 9) if is_first else (begin + 18, begin + 2)
        is_six_bytes = six_byte_timestamp(b"\x10" + body[start + 1 : start + TIME_FIELD_BYTES], 0) is not None
        if body[start] == _START_TAG and body[value] == _VALUE_TAG and is_six_bytes:
            return value + 1, value + 9 + TIME_FIELD_BYTES, True
    return _NO_VALUE, 0, False


def run_key(table: KnownTable, labels: bytes) -> bytes:
    """Names a run; no label block of 1.0, all of which begin with 0x0a, is equal to it."""
    return b"\x2a" + table.number.to_bytes(8, "little") + labels
