"""Which neighbours are merged: small ones once it is worth it, never across a gap in rank, never beyond the bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store.blocks import BlockRow
from kpwatch.store.tiers import BLOCK_SAMPLES_MAX, RUN_BLOCKS_MAX, plan


def blocks(*rows: int, columns: int = 10) -> list[BlockRow]:
    return [BlockRow(number, 1, 0, 0, count, count * columns) for number, count in enumerate(rows)]


CASES = (
    ("nothing", [], False, []),
    ("too few", [32] * 7, False, []),
    ("enough rows", [32] * 8, False, [0, 1, 2, 3, 4, 5, 6, 7]),
    ("many small ones", [1] * RUN_BLOCKS_MAX, False, list(range(RUN_BLOCKS_MAX))),
    ("small ones behind a large one", [256, *[32] * 8], False, [1, 2, 3, 4, 5, 6, 7, 8]),
    ("large ones behind a full one", [1024, 256, 256, 256, 256], False, [1, 2, 3, 4]),
    ("large ones with a small one last", [256, 256, 256, 256, 32], False, [0, 1, 2, 3, 4]),
    ("too few full ones", [1024, 1024], False, []),
    ("a day", [1024, 1024, 1024, 1024, 256, 32], False, [0, 1, 2, 3, 4, 5]),
    ("a day behind another", [4096, 1024, 1024, 1024, 1024], False, [1, 2, 3, 4]),
    ("days", [4096, 4096], False, []),
    ("closing", [1024, 256, 32, 20], True, [2, 3]),
    ("closing with one", [1024, 32], True, []),
)


@pytest.mark.parametrize(("name", "rows", "closing", "expected"), CASES)
def test_plan(name: str, rows: list[int], closing: bool, expected: list[int]) -> None:
    """A table of what a target's blocks look like."""
    assert [block.number for block in plan(blocks(*rows), closing=closing)] == expected, name


def test_wide_blocks_stay_below_the_bound() -> None:
    """Rows of a wide target count for more: the merged block has at most so many samples."""
    chosen = plan(blocks(*[32] * 8, columns=40_000))
    assert [block.number for block in chosen] == [0, 1, 2]
    assert plan(blocks(*[32] * 8, columns=160_000)) == (), "each is too large to be merged at all"


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 5000))
def test_merging_comes_to_an_end(rows: list[int], columns: int) -> None:
    """Neighbours only, within the bound, and each merge leaves fewer blocks than before."""
    have = blocks(*rows, columns=columns)
    for _ in range(len(rows) + 1):
        chosen = plan(have)
        if not chosen:
            return
        first = have.index(chosen[0])
        assert have[first : first + len(chosen)] == list(chosen)
        assert len(chosen) > 1
        samples = sum(block.samples for block in chosen)
        assert samples <= BLOCK_SAMPLES_MAX
        merged = BlockRow(chosen[-1].number, 1, 0, 0, sum(block.rows for block in chosen), samples)
        have[first : first + len(chosen)] = [merged]
    raise AssertionError("plan never stops")
