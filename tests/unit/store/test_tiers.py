"""Which neighbours are merged: small ones once it is worth it, never across a gap in rank, never beyond the bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store.blocks import BlockRow
from kpwatch.store.tiers import BLOCK_SAMPLES_MAX, CLOSE_BLOCKS_MAX, RUN_BLOCKS_MAX, plan


def blocks(*rows: int, columns: int = 10) -> list[BlockRow]:
    return [BlockRow(number, 1, 0, 0, count, count * columns) for number, count in enumerate(rows)]


CASES = (
    ("nothing", [], None, []),
    ("too few", [32] * 7, None, []),
    ("enough rows", [128] * 8, None, [0, 1, 2, 3, 4, 5, 6, 7]),
    ("many small ones", [1] * RUN_BLOCKS_MAX, None, list(range(RUN_BLOCKS_MAX))),
    ("small ones behind a large one", [1024, *[128] * 8], None, [1, 2, 3, 4, 5, 6, 7, 8]),
    ("large ones behind a full one", [4096, 256, 256, 256, 256], None, [1, 2, 3, 4]),
    ("large ones with a small one last", [256, 256, 256, 256, 32], None, [0, 1, 2, 3, 4]),
    ("too few full ones", [1024, 1024], None, []),
    ("a day", [1024, 1024, 1024, 1024, 256, 32], None, [0, 1, 2, 3, 4, 5]),
    ("a day behind another", [4096, 1024, 1024, 1024, 1024], None, [1, 2, 3, 4]),
    ("days", [4096, 4096], None, []),
    ("closing", [1024, *[64] * 6, 20], CLOSE_BLOCKS_MAX, [1, 2, 3, 4, 5, 6, 7]),
    ("closing with few", [1024, *[64] * 5, 20], CLOSE_BLOCKS_MAX, []),
    ("asked for", [1024, 64, 20], 1, [1, 2]),
)


@pytest.mark.parametrize(("name", "rows", "left", "expected"), CASES)
def test_plan(name: str, rows: list[int], left: int | None, expected: list[int]) -> None:
    """A table of what a target's blocks look like."""
    assert [block.number for block in plan(blocks(*rows), left=left)] == expected, name


def test_wide_blocks_stay_below_the_bound() -> None:
    """Rows of a wide target count for more: the merged block has at most so many samples."""
    chosen = plan(blocks(*[128] * 8, columns=10_000))
    assert [block.number for block in chosen] == [0, 1, 2]
    assert plan(blocks(*[128] * 8, columns=40_000)) == (), "each is too large to be merged at all"


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
