"""The head: rows added and dropped, counted, and made into parts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store.catalog import ColumnSet
from kpwatch.store.head import Head, HeadRow, join, make_parts
from kpwatch.store.packing import compress_fast
from kpwatch.store.parts import Part, Wanted, merge

AB = ColumnSet(1, np.array([1, 2], np.uint32))
C = ColumnSet(2, np.array([3], np.uint32))


def row(number: int, layout: ColumnSet, at: int, *values: float, target: int = 1) -> HeadRow:
    return HeadRow(number, target, layout, at, compress_fast(np.array(values).tobytes()))


def test_rows_come_and_go() -> None:
    """What a reader took stays what it was."""
    head = Head()
    rows = [row(1, AB, 10, 1.0, 2.0), row(2, C, 10, 3.0), row(3, AB, 20, 4.0, 5.0), row(4, C, 5, 1.0, target=2)]
    head.add(rows)
    taken = head.rows(1)
    assert (head.count, head.bytes) == (4, sum(one.size for one in rows))
    assert (AB.rows, C.rows) == (2, 2), "what is in use is counted"
    assert (head.first_number(), head.owners_before(4), head.owners_before(9)) == (1, [1], [1, 2])
    assert (head.size(1), head.size(2), head.size(3)) == ((3, 5), (1, 1), (0, 0))
    head.drop(1, rows[:2])
    assert head.size(1) == (1, 2)
    assert head.first_number() == 3
    assert head.rows(1) == (rows[2],)
    head.drop(1, rows[2:3])
    head.drop(2, rows[3:])
    assert (head.count, head.bytes, head.targets(), head.rows(1), head.first_number()) == (0, 0, [], (), None)
    assert (AB.rows, C.rows) == (0, 0)
    assert taken == tuple(rows[:3])


def test_one_part_a_layout() -> None:
    """With times and ranks; only what is wanted, and no part for a layout that has none of it."""
    rows = [row(7, AB, 10, 1.0, 2.0), row(8, C, 10, 3.0), row(9, AB, 20, 4.0, 5.0)]
    wide, narrow = make_parts(rows)
    assert wide.bits.view(np.float64).tolist() == [[1.0, 4.0], [2.0, 5.0]]
    assert (wide.timestamps_ms.tolist(), narrow.columns.tolist()) == ([10, 20], [3])
    assert wide.ranks is not None
    assert wide.ranks.tolist() == [7, 9]
    (only,) = make_parts(rows, Wanted(np.array([2, 9], np.uint32)))
    assert (only.columns.tolist(), only.bits.view(np.float64).tolist()) == ([2], [[2.0, 5.0]])


FRAMES = st.lists(st.tuples(st.sets(st.integers(1, 12), min_size=1), st.integers(0, 4)), min_size=1, max_size=24)


@given(FRAMES)
def test_pieces_are_joined_as_parts_are_merged(frames: list[tuple[set[int], int]]) -> None:
    """Whatever columns come at whatever times, also twice: the last one stays, and no cell is made up."""
    layouts: dict[frozenset[int], ColumnSet] = {}
    rows = []
    for number, (columns, at) in enumerate(frames, start=1):
        key = frozenset(columns)
        known = layouts.setdefault(key, ColumnSet(len(layouts) + 1, np.array(sorted(key), np.uint32)))
        rows.append(row(number, known, at, *(100 * number + column for column in sorted(key))))
    assert cells(join(rows)) == cells(merge(make_parts(rows)))


def cells(parts: list[Part]) -> dict[tuple[int, int], float]:
    """By column and time; each column in one part, its times increasing."""
    seen: list[int] = []
    found: dict[tuple[int, int], float] = {}
    for part in parts:
        times = part.timestamps_ms.tolist()
        assert times == sorted(set(times))
        seen += part.columns.tolist()
        for column, line in zip(part.columns.tolist(), part.bits.copy().view(np.float64).tolist(), strict=True):
            found |= {(column, at): value for at, value in zip(times, line, strict=True)}
    assert len(seen) == len(set(seen))
    return found
