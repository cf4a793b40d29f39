"""Which neighbours are merged: small ones once it is worth it, never across a gap in rank, never beyond the bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store.blocks import BlockRow
from kpwatch.store.tiers import BLOCK_SAMPLES_MAX, RUN_BLOCKS_MAX, plan, plan_all, plan_last

if TYPE_CHECKING:
    from kpwatch.store.maintenance import Plan


def blocks(*rows: int, columns: int = 10) -> list[BlockRow]:
    return [BlockRow(number, 1, 0, 0, count, count * columns) for number, count in enumerate(rows)]


CASES = (
    ("nothing", [], plan, []),
    ("too few", [32] * 7, plan, []),
    ("an hour", [64] * 4, plan, [0, 1, 2, 3]),
    ("an hour behind another", [256, *[64] * 4], plan, [1, 2, 3, 4]),
    ("less than an hour", [256, *[64] * 3], plan, []),
    ("enough rows", [128] * 8, plan, [0, 1, 2, 3, 4, 5, 6, 7]),
    ("many small ones", [1] * RUN_BLOCKS_MAX, plan, list(range(RUN_BLOCKS_MAX))),
    ("small ones behind a large one", [1024, *[128] * 8], plan, [1, 2, 3, 4, 5, 6, 7, 8]),
    ("large ones behind a full one", [4096, 256, 256, 256, 256], plan, [1, 2, 3, 4]),
    ("large ones with a small one last", [256, 256, 256, 256, 32], plan, [0, 1, 2, 3, 4]),
    ("too few full ones", [1024, 1024], plan, []),
    ("a day", [1024, 1024, 1024, 1024, 256, 32], plan, [0, 1, 2, 3, 4, 5]),
    ("a day behind another", [4096, 1024, 1024, 1024, 1024], plan, [1, 2, 3, 4]),
    ("days", [4096, 4096], plan, []),
    ("asked for", [1024, 64, 20], plan_all, [1, 2]),
    ("closing with many small ones", [1024, *[64] * 6, 20], plan_last, [1, 2, 3, 4, 5, 6, 7]),
    ("closing with few", [1024, *[64] * 4, 20], plan_last, []),
    ("closing with little ones last", [1024, *[64] * 2, 20, 40], plan_last, [3, 4]),
    ("closing with full ones", [1024, 500, 100], plan_last, []),
    ("closing when young", [40, 20], plan_last, [0, 1]),
    ("closing with one", [1024, 20], plan_last, []),
)


@pytest.mark.parametrize(("name", "rows", "choose", "expected"), CASES)
def test_plan(name: str, rows: list[int], choose: Plan, expected: list[int]) -> None:
    """A table of what a target's blocks look like."""
    assert [block.number for block in choose(blocks(*rows))] == expected, name


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
