"""Names and their numbers: columns, targets, layouts.

Names are few (a thousand columns serve a whole fleet), so all of them live in memory and the tables are their memory
across restarts. Only the writer's thread adds or removes; readers may look at any time, because what they look at is
replaced or appended to, never changed in place. A number is never given twice, so what a reader found stays true.

A name that is new in an append is written in the same transaction as the append. If that fails the name stays here and
is written with the next one: a name without samples is found by nobody.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from kpwatch.base.errors import BadInput
from kpwatch.model.labels import METRIC_NAME, label_value
from kpwatch.store.packing import Damaged, assemble, compress, decompress, enclose
from kpwatch.store.parts import count_common
from kpwatch.store.schema import crc

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kpwatch.model.frames import Layout
    from kpwatch.model.labels import Labels
    from kpwatch.store.parts import Ids

NO_COLUMNS: Ids = np.zeros(0, np.uint32)
NEVER_MS = 1 << 62
IDS_CHECKSUM = struct.Struct("<I")  # crc32 of the rest
IDS_HEAD = struct.Struct("<Iq")  # number of ids, note
COVERED_MAX = 64
LATEST_TIMES = 4
"""A scrape that is sent in pieces comes while those before or after it do."""
BITS_MAX = 1 << 14
"""Largest column number that is kept as a bit: a layout's bits take 2 KB at most."""
NUMBER_MAX = 1 << 31
"""Bound of row numbers that are believed."""


@dataclass(slots=True, eq=False)
class ColumnSet:
    """A stored layout: its columns in the order of their numbers, which is the order of the values in the journal."""

    number: int
    """Row of `layouts`; 0 once it was dropped."""
    columns: Ids
    rows: int = 0
    """How many rows of the head have it."""
    bits: int | None = None
    """The columns as bits of a number, made when it is first asked for; 0 where they are too large for that."""


class Version:
    """Counts changes of names: of which there are, and of which columns a target has."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


@dataclass(slots=True, eq=False)
class Target:
    """Where samples come from, and what is known of them."""

    number: int
    labels: Labels
    version: Version = field(default_factory=Version)
    """The catalog's."""
    columns: Ids = field(default_factory=lambda: NO_COLUMNS)
    """Columns it has samples of. Replaced, never changed in place; equal sets are one array where that is easy."""
    sealed_row: int = 0
    """Rows of the journal up to this number are in blocks, as its row in `targets` says."""
    intact: bool = True
    """Whether that row could be read."""
    first_ms: int = NEVER_MS
    last_ms: int = -NEVER_MS
    sealed_ms: int = -NEVER_MS
    """Latest timestamp in a block: above it a sample can only replace one of the head."""
    blocks_changed: int = 0
    """How often its blocks changed since the start: what somebody remembers of them is good for one number."""
    covered: set[ColumnSet] = field(default_factory=set)
    """Layouts already in `columns`."""
    _latest: dict[int, list[ColumnSet]] = field(default_factory=dict)
    """Layouts of its frames at its latest times, all that are not before `_latest_since_ms`."""
    _latest_since_ms: int = NEVER_MS

    def saw(self, layout: ColumnSet, timestamp_ms: int) -> None:
        """Note a committed frame."""
        if timestamp_ms > self.last_ms:
            self._latest_since_ms = min(self._latest_since_ms, timestamp_ms)
        if timestamp_ms >= self._latest_since_ms:
            self._latest.setdefault(timestamp_ms, []).append(layout)
            if len(self._latest) > LATEST_TIMES:
                del self._latest[min(self._latest)]
                self._latest_since_ms = min(self._latest)
        self.first_ms = min(self.first_ms, timestamp_ms)
        self.last_ms = max(self.last_ms, timestamp_ms)
        if layout not in self.covered:
            self.add_columns(layout.columns)
            if len(self.covered) >= COVERED_MAX:
                self.covered.clear()
            self.covered.add(layout)

    def layouts_at(self, timestamp_ms: int) -> list[ColumnSet] | None:
        """Layouts of its frames at one of its latest times, wherever they are stored; None where it is an older one."""
        return self._latest.get(timestamp_ms, []) if timestamp_ms >= self._latest_since_ms else None

    def samples_changed(self) -> None:
        """Its blocks are other ones; there may be samples less."""
        self.blocks_changed += 1
        self._latest = {}
        self._latest_since_ms = NEVER_MS

    def add_columns(self, columns: Ids) -> None:
        """Note columns it has samples of."""
        if count_common(columns, self.columns) < len(columns):
            union = np.union1d(self.columns, columns)
            self.columns = columns if len(union) == len(columns) else union
            self.version.number += 1


class DamagedRow(NamedTuple):
    """A row that failed its checksum, for the quarantine."""

    source: str
    number: int
    reason: str
    body: bytes


class Catalog:
    """All names."""

    def __init__(self) -> None:
        self.columns: list[Labels | None] = [None]
        """Labels by number; None where there is no such column (any more)."""
        self.by_metric: dict[str, list[int]] = {}
        self.targets: dict[int, Target] = {}
        self.layouts: dict[int, ColumnSet] = {}
        self.version = Version()
        self._column_numbers: dict[Labels, int] = {}
        self._target_by_labels: dict[Labels, Target] = {}
        self._layout_by_columns: dict[bytes, ColumnSet] = {}
        self._resolved: WeakKeyDictionary[Layout, tuple[ColumnSet, NDArray[np.int64] | None]] = WeakKeyDictionary()
        self._new_columns: list[int] = []
        self._new_targets: list[Target] = []
        self._new_layouts: list[ColumnSet] = []
        self._last_target = 0
        self._last_layout = 0

    # Names -> numbers, in the writer's thread

    def target(self, labels: Labels) -> Target:
        """The target with these labels, made if it is new."""
        found = self._target_by_labels.get(labels)
        if found is None:
            self._last_target += 1
            found = Target(self._last_target, labels, self.version)
            self._publish_target(found)
            self._new_targets.append(found)
        return found

    def resolve(self, layout: Layout) -> tuple[ColumnSet, NDArray[np.int64] | None]:
        """(stored layout, the order its values have in the frame, or None where it is the same).

        Raises BadInput when a column comes twice.
        """
        known = self._resolved.get(layout)
        if known is not None and known[0].number:
            return known
        numbers = self._numbers(layout)
        order = np.argsort(numbers, kind="stable")
        columns = numbers[order]
        if bool((columns[1:] == columns[:-1]).any()):
            twice = self.columns[columns[1:][columns[1:] == columns[:-1]][0]]
            raise BadInput(f"a frame has the column {twice} twice; a series has one sample at a time")
        resolved = (self._column_set(columns), None if bool((columns == numbers).all()) else order)
        self._resolved[layout] = resolved
        return resolved

    def _numbers(self, layout: Layout) -> Ids:
        """The columns' numbers, in the layout's order."""
        if layout.part_of is not None:
            whole, begin, end = layout.part_of
            columns, order = self.resolve(whole)
            if order is None:
                return columns.columns[begin:end]
            numbers = np.empty_like(columns.columns)
            numbers[order] = columns.columns
            return numbers[begin:end]
        known = list(map(self._column_numbers.get, layout.columns))
        if None in known:
            known = [self._column_number(labels) for labels in layout.columns]
        return np.array(known, np.uint32)

    def target_by_labels(self, labels: Labels) -> Target | None:
        """The target with these labels, if it is known."""
        return self._target_by_labels.get(labels)

    def is_covered(self, target: Target, layout: Layout) -> bool:
        """Whether a target is known, at no cost, to have all columns of a layout."""
        known = self._resolved.get(layout)
        return known is not None and known[0] in target.covered

    def columns_of(self, labels: Labels) -> set[Labels]:
        """The columns a target has."""
        target = self._target_by_labels.get(labels)
        numbers = target.columns.tolist() if target is not None else ()
        return {labels for number in numbers if (labels := self.columns[number])}

    def _column_number(self, labels: Labels) -> int:
        number = self._column_numbers.get(labels)
        if number is None:
            number = len(self.columns)
            self._publish_column(number, labels)
            self._new_columns.append(number)
        return number

    def _column_set(self, columns: Ids) -> ColumnSet:
        key = columns.tobytes()
        found = self._layout_by_columns.get(key)
        if found is None:
            self._last_layout += 1
            found = ColumnSet(self._last_layout, np.frombuffer(key, columns.dtype))  # the same bytes
            self._layout_by_columns[key] = self.layouts[found.number] = found
            self._new_layouts.append(found)
        return found

    def _publish_column(self, number: int, labels: Labels) -> None:
        self.columns.extend([None] * (number + 1 - len(self.columns)))
        self.columns[number] = labels
        self._column_numbers[labels] = number
        self.by_metric.setdefault(label_value(labels, METRIC_NAME), []).append(number)
        self.version.number += 1

    def _publish_target(self, target: Target) -> None:
        self.targets[target.number] = target
        self._target_by_labels[target.labels] = target
        self.version.number += 1

    # Memory -> tables, inside the writer's transactions

    def write_new(self, connection: sqlite3.Connection) -> None:
        """Insert the names that are not in the tables yet; `committed` must follow the commit."""
        if self._new_columns:
            connection.executemany(
                "INSERT INTO columns VALUES (?, ?, ?)",
                [_named_row(number, labels) for number in self._new_columns if (labels := self.columns[number])],
            )
        if self._new_targets:
            connection.executemany(
                "INSERT INTO targets (id, labels, checksum) VALUES (?, ?, ?)",
                [_named_row(target.number, target.labels) for target in self._new_targets],
            )
        if self._new_layouts:
            connection.executemany(
                "INSERT INTO layouts VALUES (?, ?)",
                [
                    (layout.number, pack_ids(layout.number, layout.columns, is_brief=True))
                    for layout in self._new_layouts
                    if layout.number
                ],
            )

    def committed(self) -> None:
        """What `write_new` wrote is on disk."""
        self._new_columns.clear()
        self._new_targets.clear()
        self._new_layouts.clear()

    def forget(
        self, connection: sqlite3.Connection, targets: Iterable[Target], layouts: Iterable[ColumnSet], columns: Ids
    ) -> None:
        """Delete names nobody uses any more, in a transaction of the caller's."""
        for target in targets:
            connection.execute("DELETE FROM targets WHERE id = ?", (target.number,))
            self.targets.pop(target.number, None)
            self._target_by_labels.pop(target.labels, None)
        for layout in layouts:
            connection.execute("DELETE FROM layouts WHERE id = ?", (layout.number,))
            self.layouts.pop(layout.number, None)
            self._layout_by_columns.pop(layout.columns.tobytes(), None)
            layout.number = 0
        for number in columns.tolist():
            connection.execute("DELETE FROM columns WHERE id = ?", (number,))
            self._unpublish_column(number)
        self.version.number += 1

    def _unpublish_column(self, number: int) -> None:
        labels = self.columns[number]
        if labels is not None:
            self.columns[number] = None
            self._column_numbers.pop(labels, None)
            metric = label_value(labels, METRIC_NAME)
            rest = [other for other in self.by_metric[metric] if other != number]
            if rest:
                self.by_metric[metric] = rest
            else:
                del self.by_metric[metric]

    def idle_layouts(self) -> list[ColumnSet]:
        """Those that no row of the head has."""
        return [layout for layout in self.layouts.values() if not layout.rows]

    def save_state(self, connection: sqlite3.Connection, target: Target, sealed_row: int) -> None:
        """Write which columns a target has and how far its journal is sealed."""
        state = pack_ids(target.number, target.columns, sealed_row)
        connection.execute("UPDATE targets SET state = ? WHERE id = ?", (state, target.number))

    # Tables -> memory, once

    def load(self, connection: sqlite3.Connection) -> list[DamagedRow]:
        """Read all names; returns the rows that cannot be used, whose names are then unknown."""
        damaged: list[DamagedRow] = []
        for number, text, checksum in connection.execute(f"SELECT {NAMED_ROW} FROM columns ORDER BY id"):  # noqa: S608 - our own names
            labels = _read_labels(number, text, checksum)
            if labels is None:
                damaged.append(DamagedRow("columns", number, "wrong checksum", text))
            else:
                self._publish_column(number, labels)
        self._load_layouts(connection, damaged)
        self._load_targets(connection, damaged)
        self._reserve_used_numbers(connection)
        return damaged

    def _load_layouts(self, connection: sqlite3.Connection, damaged: list[DamagedRow]) -> None:
        for number, packed in connection.execute("SELECT id, CAST(columns AS BLOB) FROM layouts ORDER BY id"):
            try:
                layout = ColumnSet(number, unpack_ids(number, packed)[0])
            except Damaged as error:
                damaged.append(DamagedRow("layouts", number, str(error), packed))
            else:
                self._layout_by_columns[layout.columns.tobytes()] = self.layouts[number] = layout

    def _load_targets(self, connection: sqlite3.Connection, damaged: list[DamagedRow]) -> None:
        shared: dict[bytes, Ids] = {}
        query = f"SELECT {NAMED_ROW}, CAST(state AS BLOB) FROM targets ORDER BY id"  # noqa: S608 - our own names
        for number, text, checksum, packed in connection.execute(query):
            labels = _read_labels(number, text, checksum)
            if labels is None:
                damaged.append(DamagedRow("targets", number, "wrong checksum", text))
                continue
            target = Target(number, labels, self.version)
            self._publish_target(target)
            if packed is None:
                continue  # never sealed: all there is stands in the journal
            try:
                columns, target.sealed_row = unpack_ids(number, packed)
            except Damaged:
                target.intact = False  # whoever opens the store reads its columns from the blocks
            else:
                target.columns = shared.setdefault(columns.tobytes(), columns)

    def _reserve_used_numbers(self, connection: sqlite3.Connection) -> None:
        """A number whose name was lost must not be given to another name: its samples still stand somewhere."""
        for numbers in (
            *(layout.columns for layout in self.layouts.values()),
            *(t.columns for t in self.targets.values()),
        ):
            if len(numbers):
                self.columns.extend([None] * (int(numbers[-1]) + 1 - len(self.columns)))
        used_targets = connection.execute(
            "SELECT max(target) FROM (SELECT target FROM journal UNION SELECT target FROM blocks)"
        )
        self._last_target = max(used_targets.fetchone()[0] or 0, *self.targets, 0)
        used_layouts = connection.execute("SELECT max(layout) FROM journal")
        self._last_layout = max(used_layouts.fetchone()[0] or 0, *self.layouts, 0)


def common_with_any(layout: ColumnSet, others: Sequence[ColumnSet]) -> int:
    """How many columns of a layout are also in any of the others."""
    if not others:
        return 0
    all_bits, own_bits = 0, _bits_of(layout)
    for other in others:
        bits = _bits_of(other)
        if not bits or not own_bits:
            return int(np.isin(layout.columns, np.concatenate([one.columns for one in others])).sum())
        all_bits |= bits
    return (own_bits & all_bits).bit_count()


def _bits_of(layout: ColumnSet) -> int:
    bits = layout.bits
    if bits is None:
        columns, bits = layout.columns, 0
        if len(columns) and columns[-1] <= BITS_MAX:
            there = np.zeros(int(columns[-1]) + 1, np.bool_)
            there[columns] = True
            bits = int.from_bytes(np.packbits(there, bitorder="little").tobytes(), "little")
        layout.bits = bits
    return bits


NAMED_ROW = "id, CAST(labels AS BLOB), checksum"  # a blob, because damaged text need not be UTF-8


def _named_row(number: int, labels: Labels) -> tuple[int, str, int]:
    text = json.dumps([part for pair in labels for part in pair], separators=(",", ":"))
    return number, text, crc(number, text.encode())


def _read_labels(number: int, text: bytes, checksum: object) -> Labels | None:
    if not 0 < number <= NUMBER_MAX or crc(number, text) != checksum:
        return None
    flat = json.loads(text)
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def pack_ids(number: int, ids: Ids, note: int = 0, *, is_brief: bool = False) -> bytes:
    """Increasing ids, and another number, as bytes that belong to row `number`; `is_brief`: soon deleted."""
    steps = ids.astype("<u4")
    steps[1:] -= ids[:-1]
    raw = steps.view(np.uint8).reshape(-1, 4).T.tobytes()
    body = IDS_HEAD.pack(len(ids), note) + (enclose(raw) if is_brief else compress(raw, 1))
    return IDS_CHECKSUM.pack(crc(number, body)) + body


def unpack_ids(number: int, packed: bytes) -> tuple[Ids, int]:
    """Undo `pack_ids`: (ids, note); raises Damaged."""
    body = packed[IDS_CHECKSUM.size :]
    if len(body) < IDS_HEAD.size or crc(number, body) != IDS_CHECKSUM.unpack_from(packed)[0]:
        raise Damaged("a list of column numbers has a wrong checksum")
    count, note = IDS_HEAD.unpack_from(body)
    steps = decompress(body[IDS_HEAD.size :], 4 * count).reshape(4, count)
    return np.cumsum(assemble(steps)).astype(np.uint32), note
