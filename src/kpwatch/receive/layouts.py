"""From label blocks to layouts: names are read once and then recognised. Pure.

A sender repeats its series in every request, so the bytes that carried a series' labels are looked up, not read: they
lead to the target, and to the column as one object with a number. A frame's columns are then a tuple of numbers, which
hashes fast and finds the `Layout`. The same columns give the same `Layout` object again, as the store expects, for as
long as they are remembered; forgetting costs time, never correctness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import BadInput
from kpwatch.model.frames import Layout
from kpwatch.model.labels import split_target
from kpwatch.receive.labels import admit
from kpwatch.receive.recent import Recent
from kpwatch.remote_write.v1 import decode_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.receive.limits import ReceiveOptions

_ENTRY_BYTES = 300
"""About what CPython needs for one dict entry, its key's header and the objects it leads to."""


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
        share = options.label_cache_bytes // 4
        self._series: Recent[bytes, KnownSeries] = Recent(2 * share, lambda block, _: len(block) + _ENTRY_BYTES)
        self._targets: Recent[Labels, Labels] = Recent(share // 4, lambda labels, _: _labels_bytes(labels))
        self._columns: Recent[Labels, Column] = Recent(share, lambda labels, _: _labels_bytes(labels))
        self._layouts: Recent[tuple[int, ...], Layout] = Recent(
            share * 3 // 4, lambda key, _: 40 * len(key) + _ENTRY_BYTES
        )
        self._next_number = 0
        self.find = self._series.get
        """The series a label block means, None where it has to be read first."""

    def read(self, block: bytes) -> KnownSeries:
        """Read a label block and remember it; raises BadInput naming the series."""
        try:
            pairs = decode_labels(block)
        except BadInput as error:
            raise BadInput(f"series with the label bytes {block[:100]!r}: {error}") from error
        target, column = split_target(admit(pairs, self._options, host_is_ident=self._host_is_ident))
        known = KnownSeries(self._same_target(target), self._same_column(column))
        self._series.put(block, known)
        return known

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
        return sum(cache.forgotten for cache in (self._series, self._targets, self._columns, self._layouts))

    def _same_target(self, target: Labels) -> Labels:
        same = self._targets.get(target)
        if same is None:
            same = target
            self._targets.put(target, target)
        return same

    def _same_column(self, labels: Labels) -> Column:
        column = self._columns.get(labels)
        if column is None:
            column = Column(self._next_number, labels)
            self._next_number += 1
            self._columns.put(labels, column)
        return column


def _labels_bytes(labels: Labels) -> int:
    return _ENTRY_BYTES + sum(170 + len(name) + len(value) for name, value in labels)
