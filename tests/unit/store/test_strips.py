"""Pieces of blocks in one matrix: what merging them one by one would give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store.blocks import BlockRow, Listed
from kpwatch.store.packing import Damaged
from kpwatch.store.parts import Part, merge
from kpwatch.store.strips import Strip, read

PIECES = st.lists(
    st.tuples(st.sampled_from([(1, 2), (1, 2, 5), (5,)]), st.integers(0, 6), st.integers(1, 3)), min_size=1, max_size=4
)


def piece(number: int, columns: tuple[int, ...], first: int, rows: int) -> tuple[Strip, Part]:
    bits = 100 * number + np.arange(len(columns) * rows).reshape(len(columns), rows)
    part = Part(np.array(columns, np.uint32), np.arange(first, first + rows), bits)

    def fill(into: np.ndarray) -> None:
        into[:] = bits

    block = Listed(BlockRow(number, 1, 0, 0, 0, 0), 0, 0)
    return Strip(block, part.columns, part.timestamps_ms, fill), part


def shown(parts: list[Part]) -> list[tuple]:
    return sorted((part.columns.tolist(), part.timestamps_ms.tolist(), part.bits.tolist()) for part in parts)


@given(pieces=PIECES)
def test_what_merging_gives(pieces: list[tuple]) -> None:
    """Whatever columns and times they have; and each block's own, as it is."""
    made = [piece(number, *one) for number, one in enumerate(pieces)]
    by_block, merged = read([strip for strip, _ in made], pytest.fail)
    assert shown(merged) == shown(merge([part for _, part in made]))
    assert [shown(parts) for parts in by_block.values()] == [shown([part]) for _, part in made]


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_damaged_block_is_told_and_left_out(damaged: int) -> None:
    """With all its parts; the others are there."""
    made = [piece(number // 2, (1, 2), 3 * number, 3) for number in range(6)]
    told: list[tuple[int, str]] = []

    def fail(_: object) -> None:
        raise Damaged("why")

    strips = [strip if place != 2 * damaged + 1 else strip._replace(fill=fail) for place, (strip, _) in enumerate(made)]
    by_block, merged = read(strips, lambda number, reason: told.append((number, reason)))
    kept = [part for place, (_, part) in enumerate(made) if place // 2 != damaged]
    assert told == [(damaged, "why")]
    assert [block.row.number for block in by_block] == [number for number in range(3) if number != damaged]
    assert shown(merged) == shown(merge(kept))
