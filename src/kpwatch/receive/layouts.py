"""From label blocks to layouts: names are read once and then recognised. Pure.

A sender repeats its series in every request, so the bytes that carried a series' labels (its *block*) are looked up,
not read. A block that is new is cut into its label fields; those that name the target and those that name the column
are looked up apart, for a new node brings new blocks but old columns. Only a target or a column that was never seen is
read letter by letter and judged (labels.py); since no rule joins a target's labels to a column's but their number, what
was admitted apart is admitted together.

A column is one object with a number, so that a frame's columns are a tuple of numbers, which hashes fast and finds the
`Layout`. The same columns give the same `Layout` object again, as the store expects, for as long as they are
remembered; forgetting costs time, never correctness.
"""

from __future__ import annotations

from itertools import compress
from operator import not_
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import BadInput
from kpwatch.base.recent import Recent
from kpwatch.model.frames import Layout
from kpwatch.model.labels import TARGET_LABEL_NAMES, split_target
from kpwatch.receive.labels import admit
from kpwatch.remote_write.protobuf import decode_varint
from kpwatch.remote_write.v1 import decode_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.receive.labels import Pairs
    from kpwatch.receive.limits import ReceiveOptions

ENTRY_BYTES = 300
"""About what CPython needs for one dict entry, its key's header and the objects it leads to."""
_LABEL_TAG = 0x0A

Fields = tuple[bytes, ...]
"""Label fields as they stood in the body."""


class Column(NamedTuple):
    """A column and the number that stands for it in layout keys.

    Equal numbers mean equal labels; equal labels have one number for as long as it is remembered.
    """

    number: int
    labels: Labels


class KnownSeries(NamedTuple):
    """What a label block means; series of one target share the object while it is remembered."""

    target: Labels
    column: Column


class Names:
    """What has been read before. One thread at a time."""

    def __init__(self, options: ReceiveOptions, *, host_is_ident: bool) -> None:
        self._options = options
        self._host_is_ident = host_is_ident
        self.target_names = TARGET_LABEL_NAMES | ({"host"} if host_is_ident else set())
        """Labels that say where a series was scraped, by their names as sent."""
        share = options.label_cache_bytes // 2 // 8
        self._series: Recent[bytes, KnownSeries] = Recent(3 * share, lambda block, _: len(block) + ENTRY_BYTES)
        self._is_target: Recent[bytes, bool] = Recent(share, lambda field, _: len(field) + ENTRY_BYTES)
        self._targets: Recent[Fields, Labels] = Recent(share // 2, lambda key, _: _fields_bytes(key))
        self._columns: Recent[Fields, Column] = Recent(share, lambda key, _: _fields_bytes(key))
        self._numbers: Recent[Labels, Column] = Recent(share, lambda labels, _: _labels_bytes(labels))
        self._layouts: Recent[Sequence[int], Layout] = Recent(share // 2, lambda key, _: 40 * len(key) + ENTRY_BYTES)
        self._rests: Recent[bytes, tuple[Column, tuple[int, ...]]] = Recent(
            share, lambda rest, _: len(rest) + ENTRY_BYTES
        )
        """Fields of a column, one after the other -> the column, and where a target's fields stand among them."""
        self._latest: tuple[Labels, Fields] = ((), ())
        """The target read latest, and its fields."""
        self._next_number = 0
        self.find = self._series.get
        """The series a label block means, None where it has to be read first."""

    def read(self, block: bytes) -> KnownSeries | None:
        """What a block means, remembered from now on; None where it is no block. Raises BadInput naming the series."""
        known = self._like_latest(block)
        if known is not None:
            return known
        fields = label_fields(block)
        if fields is None:
            return None
        of_target = list(map(self._names_target, fields))
        target_key = tuple(compress(fields, of_target))
        column_key = tuple(compress(fields, map(not_, of_target)))
        target, column = self._targets.get(target_key), self._columns.get(column_key)
        if target is None or column is None or len(fields) > self._options.labels_per_series:
            judged = self.judge(block)
            if target is None:
                target = judged.target
                self._targets.put(target_key, target)
            if column is None:
                column = judged.column
                self._columns.put(column_key, column)
        known = KnownSeries(target, column)
        self._series.put(block, known)
        self._latest = (target, target_key)
        self._rests.put(b"".join(column_key), (column, _insertions(fields, of_target)))
        return known

    def _like_latest(self, block: bytes) -> KnownSeries | None:
        """The series, if its target is that of the latest one and its column is known.

        Its fields are those of the column with those of the target between them, at the places where they stand among
        this column's: that these bytes are all of the block is what makes it certain.
        """
        target, fields = self._latest
        rest = block
        for field in fields:
            rest = rest.replace(field, b"", 1)
        found = self._rests.get(rest)
        if found is None:
            return None
        column, places = found
        if len(places) != len(fields):
            return None
        whole, begin = b"", 0
        for place, field in zip(places, fields, strict=True):
            whole += rest[begin:place] + field
            begin = place
        return KnownSeries(target, column) if whole + rest[begin:] == block else None

    def target_fields(self, block: bytes) -> Fields:
        """The label fields of a block that name the target."""
        return tuple(filter(self._names_target, label_fields(block) or ()))

    def layout(self, columns: Sequence[Column]) -> Layout | None:
        """The layout with exactly these columns, None where a column comes twice."""
        key = tuple([column.number for column in columns])
        layout = self._layouts.get(key)
        if layout is None:
            labels = tuple(column.labels for column in columns)
            if len(set(labels)) != len(labels):
                return None
            layout = Layout(labels)
            self._layouts.put(key, layout)
        return layout

    def forgotten(self) -> int:
        """How many entries were dropped for want of room."""
        caches = (
            self._series,
            self._is_target,
            self._targets,
            self._columns,
            self._numbers,
            self._layouts,
            self._rests,
        )
        return sum(cache.forgotten for cache in caches)

    def judge(self, block: bytes) -> KnownSeries:
        """Read a block letter by letter; raises BadInput naming the series and the rule it breaks."""
        try:
            pairs = decode_labels(block)
        except BadInput as error:
            raise BadInput(f"series with the label bytes {block[:100]!r}: {error}") from error
        return self.judge_pairs(pairs)

    def judge_pairs(self, pairs: Pairs) -> KnownSeries:
        """What a series of these labels is; raises BadInput naming the series and the rule it breaks."""
        target, labels = split_target(admit(pairs, self._options, host_is_ident=self._host_is_ident))
        column = self._numbers.get(labels)
        if column is None:
            column = Column(self._next_number, labels)
            self._next_number += 1
            self._numbers.put(labels, column)
        return KnownSeries(target, column)

    def _names_target(self, field: bytes) -> bool:
        """Whether a label field belongs to the target."""
        answer = self._is_target.get(field)
        if answer is None:
            ((name, _),) = _pair_or_none(field)
            answer = name in self.target_names
            self._is_target.put(field, answer)
        return answer


def _insertions(fields: Fields | list[bytes], of_target: list[bool]) -> tuple[int, ...]:
    """Where, among the other fields alone, each of the target's stands."""
    places, behind = [], 0
    for field, is_of_target in zip(fields, of_target, strict=True):
        if is_of_target:
            places.append(behind)
        else:
            behind += len(field)
    return tuple(places)


def _pair_or_none(field: bytes) -> tuple[tuple[str, str], ...]:
    """The one pair of a label field; a nameless one where it cannot be read, which judging the block will tell."""
    try:
        return decode_labels(field)
    except BadInput:
        return (("", ""),)


def label_fields(block: bytes) -> list[bytes] | None:
    """The label fields that a block consists of; None where there is anything else in it."""
    fields = []
    position, end = 0, len(block)
    while position < end:
        if block[position] != _LABEL_TAG:
            return None
        if position + 1 < end and block[position + 1] < 0x80:  # nearly every label is shorter than 128 bytes
            after = position + 2 + block[position + 1]
        else:
            try:
                length, begin = decode_varint(block, position + 1)
            except BadInput:
                return None  # who reads the whole series says where it is cut
            after = begin + length
        if after > end:
            return None
        fields.append(block[position:after])
        position = after
    return fields


def _fields_bytes(key: Fields) -> int:
    return ENTRY_BYTES + sum(50 + len(field) for field in key)


def _labels_bytes(labels: Labels) -> int:
    return ENTRY_BYTES + sum(170 + len(name) + len(value) for name, value in labels)
