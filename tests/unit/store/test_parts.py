"""Parts: whatever overlaps, each sample comes out once, the youngest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store import parts as module
from kpwatch.store.parts import Part, Wanted, clip, merge


def part(columns: list[int], times: list[int], first: int = 0, ranks: list[int] | None = None) -> Part:
    bits = np.arange(first, first + len(columns) * len(times), dtype=np.int64).reshape(len(columns), len(times))
    chosen = None if ranks is None else np.array(ranks, np.int64)
    return Part(np.array(columns, np.uint32), np.array(times, np.int64), bits, chosen)


def samples(parts: list[Part]) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for some in parts:
        assert (np.diff(some.timestamps_ms) > 0).all()
        assert (np.diff(some.columns.astype(int)) > 0).all()
        for line, column in enumerate(some.columns.tolist()):
            assert all(key[0] != column for key in found), "a column is in one part"
            found.update(
                {(column, at): int(some.bits[line, row]) for row, at in enumerate(some.timestamps_ms.tolist())}
            )
    return found


@st.composite
def many_parts(draw: st.DrawFn) -> list[Part]:
    made: list[Part] = []
    for _ in range(draw(st.integers(0, 6))):
        columns = sorted(draw(st.sets(st.integers(1, 6), min_size=1)))
        times = draw(st.lists(st.integers(0, 8), min_size=1, max_size=4))
        made.append(part(columns, times, first=1000 * len(made)))
    return made


def expected(parts: list[Part]) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for some in parts:
        for row, at in enumerate(some.timestamps_ms.tolist()):
            for line, column in enumerate(some.columns.tolist()):
                found[column, at] = int(some.bits[line, row])
    return found


@given(many_parts())
def test_merge_agrees_with_a_dictionary(parts: list[Part]) -> None:
    """Later in the list is younger."""
    assert samples(merge(parts)) == expected(parts)


@given(many_parts(), st.randoms())
def test_ranks_decide_whatever_the_order(parts: list[Part], random) -> None:
    """With ranks a part may stand anywhere in the list, and rows of two parts may alternate."""
    rows = [(index, row) for index, some in enumerate(parts) for row in range(some.rows)]
    random.shuffle(rows)
    rank = {key: number + 1 for number, key in enumerate(rows)}
    ranked = [
        Part(p.columns, p.timestamps_ms, p.bits, np.array([rank[i, row] for row in range(p.rows)], np.int64))
        for i, p in enumerate(parts)
    ]
    single = [Part(parts[i].columns, parts[i].timestamps_ms[r : r + 1], parts[i].bits[:, r : r + 1]) for i, r in rows]
    assert samples(merge(ranked)) == expected(single)


@given(many_parts())
def test_more_classes_than_bits_of_a_mask(parts: list[Part]) -> None:
    """Groups of columns are found in several rounds when there are many different sets of columns."""
    before, module.CLASSES_AT_ONCE = module.CLASSES_AT_ONCE, 1
    try:
        assert samples(merge(parts)) == expected(parts)
    finally:
        module.CLASSES_AT_ONCE = before


def test_a_ranked_part_is_younger_than_one_without() -> None:
    """What is in the head replaces what is in a block, wherever it stands in the list."""
    assert samples(merge([part([1], [5], 70, [1]), part([1], [5], 30)])) == {(1, 5): 70}


SHAPES = (
    ("same columns, times in order", [part([1, 2], [1, 2]), part([1, 2], [3])], 1),
    ("a frame cut in two requests", [part([1, 2], [1]), part([3], [1]), part([1, 2], [2]), part([3], [2])], 1),
    ("one column misses a row", [part([1, 2], [1]), part([1], [2]), part([1, 2], [3])], 2),
    ("a column appears", [part([1], [1, 2]), part([1, 2], [3, 4])], 2),
)


@pytest.mark.parametrize(("name", "parts", "count"), SHAPES)
def test_columns_with_the_same_times_share_a_part(name: str, parts: list[Part], count: int) -> None:
    """A missing cell is not stored: columns seen at other times stand in another part."""
    assert len(merge(parts)) == count, name


def test_clip_keeps_both_ends() -> None:
    """Times are inclusive."""
    assert clip(part([1], [1, 2, 3, 4]), 2, 3).timestamps_ms.tolist() == [2, 3]


@given(st.sets(st.integers(0, 9), min_size=1), st.sets(st.integers(0, 9), min_size=1))
def test_wanted_finds_columns_and_their_places(have: set[int], want: set[int]) -> None:
    """Also the second time it is asked."""
    columns = np.array(sorted(have), np.uint32)
    wanted = Wanted(np.array(sorted(want), np.uint32))
    for _ in range(2):
        chosen, places = wanted.choose(columns)
        assert chosen.tolist() == sorted(have & want) == columns[places].tolist()
