"""From symbols to series: the names of Remote Write 2.0, read once and then recognised. Pure.

A 2.0 series names its labels by places in its request's symbol table, and the same label stands at another place in the
next request of most senders. So every text gets a *number* of ours, the same in all requests while it is remembered and
never given again, and a series is looked up by its numbers. As in layouts.py, what names the target and what names the
column are looked up apart, and only what was never seen is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from kpwatch.base.errors import BadInput, TooLarge
from kpwatch.base.recent import Recent
from kpwatch.receive.layouts import ENTRY_BYTES, KnownSeries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels
    from kpwatch.receive.layouts import Column, Names
    from kpwatch.receive.limits import ReceiveOptions

NUMBER_BYTES = 8
"""Of a symbol in a series' key."""
_MAX_REFERENCE_BYTES = 5  # a uint32
PREFIX_BYTES, _SHORT_PREFIX_BYTES = 512, 96
"""What a table is found by; the second for tables shorter than the first."""
_TABLES_PER_PREFIX = 16


class Symbol(NamedTuple):
    """A text and the number that stands for it in keys."""

    number: int
    text: str


class Table(NamedTuple):
    """One request's symbols; both arrays int64 of shape (symbols,)."""

    symbols: Sequence[Symbol]
    numbers: NDArray[np.int64]
    lengths: NDArray[np.int64]
    """Bytes of the texts."""


class Symbols:
    """What has been read before. One thread at a time."""

    def __init__(self, options: ReceiveOptions, names: Names) -> None:
        self._labels_max = options.labels_per_series
        self._symbols_max = options.symbols_per_request
        self._names = names
        share = options.label_cache_bytes // 2 // 8
        self._known: Recent[bytes, Symbol] = Recent(2 * share, lambda text, _: 2 * len(text) + ENTRY_BYTES)
        self._series: Recent[bytes, KnownSeries] = Recent(3 * share, lambda key, _: len(key) + ENTRY_BYTES)
        self._targets: Recent[tuple[int, ...], Labels] = Recent(share, lambda key, _: 40 * len(key) + ENTRY_BYTES)
        self._columns: Recent[tuple[int, ...], Column] = Recent(
            2 * share, lambda key, _: 40 * len(key) + 2 * ENTRY_BYTES
        )
        self._next_number = 0
        self.metadata: Recent[bytes, int] = Recent(share // 8, lambda field, _: len(field) + ENTRY_BYTES)
        """How many symbols there must be for a field metadata."""
        self.find = self._series.get
        """The series that the numbers mean, int64 one after the other; None where it has to be read first."""

    def table(self, texts: Sequence[bytes]) -> Table:
        """A request's symbols; raises BadInput where the first is not "" or one is not UTF-8."""
        if texts and texts[0]:
            raise BadInput(f'remote write 2.0: the first symbol must be "", it is {texts[0][:60]!r}')
        known = self._known.get_many(texts)
        if None in known:
            known = [one or self._known.get(text) or self._number(text) for one, text in zip(known, texts, strict=True)]
        symbols = cast("list[Symbol]", known)
        numbers = np.array([symbol.number for symbol in symbols], np.int64)
        return Table(symbols, numbers, np.fromiter(map(len, texts), np.int64, len(texts)))

    def read(self, key: bytes, references: Sequence[int], table: Table) -> KnownSeries:
        """The series of these references, remembered from now on; raises BadInput naming it."""
        if len(references) > 2 * self._labels_max:
            raise BadInput(
                f"a series has {len(references) // 2} labels, the limit is {self._labels_max}; "
                "nothing of this request is stored"
            )
        symbols = [table.symbols[reference] for reference in references]
        of_target: list[int] = []
        of_column: list[int] = []
        for name, value in zip(symbols[::2], symbols[1::2], strict=True):
            numbers = of_target if name.text in self._names.target_names else of_column
            numbers += (name.number, value.number)
        target_key, column_key = tuple(of_target), tuple(of_column)
        target, column = self._targets.get(target_key), self._columns.get(column_key)
        if target is None or column is None:
            texts = [symbol.text for symbol in symbols]
            judged = self._names.judge_pairs(tuple(zip(texts[::2], texts[1::2], strict=True)))
            if target is None:
                target = judged.target
                self._targets.put(target_key, target)
            if column is None:
                column = judged.column
                self._columns.put(column_key, column)
        known = KnownSeries(target, column)
        self._series.put(key, known)
        return known

    def forgotten(self) -> int:
        """How many entries were dropped for want of room."""
        return sum(cache.forgotten for cache in (self._known, self._series, self._targets, self._columns))

    def check_count(self, symbols: int) -> None:
        """Raises TooLarge for more symbols than a request may have."""
        if symbols > self._symbols_max:
            raise TooLarge(
                f"remote write 2.0: the request has more than {self._symbols_max} symbols; send fewer series at once"
            )

    def _number(self, text: bytes) -> Symbol:
        try:
            symbol = Symbol(self._next_number, text.decode())
        except UnicodeDecodeError as error:
            raise BadInput(f"remote write 2.0: the symbol {text[:60]!r} is not UTF-8") from error
        self._next_number += 1
        self._known.put(text, symbol)
        return symbol


class KnownTable(NamedTuple):
    """The symbols a body may begin with, as bytes, and the number that stands for them in keys of runs."""

    head: bytes
    tail: bytes
    """Shared by all tables of a kind (kinds.py)."""
    number: int
    shares_tail: bool

    @property
    def size(self) -> int:
        """Bytes of the table."""
        return len(self.head) + len(self.tail)

    def begins(self, body: bytes) -> bool:
        """Whether a body's symbols are these."""
        end = self.size
        return (
            body.startswith(self.head) and body.startswith(self.tail, len(self.head)) and body[end : end + 1] != b"\x22"
        )

    @property
    def weight(self) -> int:
        """Bytes in memory, about."""
        return ENTRY_BYTES + len(self.head) + (0 if self.shares_tail else len(self.tail))


class Tables:
    """Symbol tables of senders that repeat them, found by their first bytes, used where all bytes are equal.

    One target's own labels stand near the beginning of our agent's tables, so few of them begin alike: those a target
    had before it got new series, and those of targets that differ only far behind.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._by_prefix: Recent[bytes, tuple[KnownTable, ...]] = Recent(
            limit_bytes,
            lambda prefix, tables: len(prefix) + sum(one.weight for one in tables),
        )
        self._next_number = 0

    def find(self, body: bytes) -> KnownTable | None:
        """The known symbols with which `body` begins, or None."""
        for prefix_bytes in (PREFIX_BYTES, _SHORT_PREFIX_BYTES):
            for table in self._by_prefix.get(body[:prefix_bytes]) or ():
                if table.begins(body):
                    return table
        return None

    def find_where(self, prefix: bytes, holds: Callable[[bytes, int], bool]) -> KnownTable | None:
        """The same for a body of which only the beginning, PREFIX_BYTES of it, is here; `holds` looks at the rest.

        Whether the table goes on behind it is left to the caller.
        """
        for prefix_bytes in (PREFIX_BYTES, _SHORT_PREFIX_BYTES):
            for table in self._by_prefix.get(prefix[:prefix_bytes]) or ():
                if holds(table.head, 0) and holds(table.tail, len(table.head)):
                    return table
        return None

    def remember(self, body: bytes, end: int, tail: bytes = b"") -> KnownTable:
        """The symbols that end at `end`; the one asked for longest ago gives way where many begin alike.

        `tail` is what they end with, where others have that too.
        """
        known = self.find(body)
        if known is not None:
            return known
        table = KnownTable(body[: end - len(tail)], tail, self._next_number, bool(tail))
        self._next_number += 1
        prefix = body[: PREFIX_BYTES if end >= PREFIX_BYTES else _SHORT_PREFIX_BYTES]
        others = self._by_prefix.get(prefix) or ()
        self._by_prefix.put(prefix, (table, *others[: _TABLES_PER_PREFIX - 1]))
        return table

    def forgotten(self) -> int:
        """How many tables were dropped for want of room."""
        return self._by_prefix.forgotten


def packed_references(fields: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """(all numbers, for each field where its numbers end) of packed varints; None where they are no uint32 varints."""
    content = np.frombuffer(b"".join(fields), np.uint8)
    return packed_numbers(content, np.cumsum(np.fromiter(map(len, fields), np.int64, len(fields))))


def packed_numbers(
    content: NDArray[np.uint8], field_ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """The same of fields that stand one after the other, each up to its end."""
    if not len(content):
        return np.zeros(0, np.int64), field_ends
    is_last = content < 0x80
    if not is_last[field_ends[field_ends > 0] - 1].all():
        return None
    lasts = np.flatnonzero(is_last)
    firsts = np.append(0, lasts[:-1] + 1)
    widths = lasts - firsts + 1
    widest = int(widths.max())
    if widest > _MAX_REFERENCE_BYTES:
        return None
    numbers = (content[firsts] & 0x7F).astype(np.int64)
    for byte in range(1, widest):
        longer = widths > byte
        numbers[longer] |= (content[firsts[longer] + byte] & 0x7F).astype(np.int64) << (7 * byte)
    return numbers, np.searchsorted(lasts, field_ends, "left")
