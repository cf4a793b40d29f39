"""Pieces of blocks in one matrix: what merging them one by one would give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store.block import BlockReader, encode_block, memory_source
from kpwatch.store.blocks import BlockRow, Listed
from kpwatch.store.parts import Part, merge
from kpwatch.store.strips import Stored, Strip, read

PIECES = st.lists(
    st.tuples(st.sampled_from([(1, 2), (1, 2, 5), (5,)]), st.integers(0, 6), st.integers(1, 3)), min_size=1, max_size=4
)


def piece(number: int, columns: tuple[int, ...], first: int, rows: int) -> tuple[Strip, Part]:
    """Every third is known, the others stand in blocks."""
    bits = (10.0 * number + np.arange(len(columns) * rows).reshape(len(columns), rows) ** 2).view(np.int64)
    part = Part(np.array(columns, np.uint32), np.arange(first, first + rows), bits)
    block = Listed(BlockRow(number, 1, 0, 0, 0, 0), 0, 0)
    return Strip(block, part.columns, part.timestamps_ms, stored(part) if number % 3 else bits), part


def stored(part: Part, *, damaged: bool = False) -> Stored:
    body = encode_block([part], 1)
    reader = BlockReader(memory_source(body))
    if damaged:
        reader = BlockReader(memory_source(body[:-1] + bytes([body[-1] ^ 1])), parts=reader.parts)
    return Stored(reader, reader.parts[0], np.arange(len(part.columns)))


def shown(parts: list[Part]) -> list[tuple]:
    return sorted((part.columns.tolist(), part.timestamps_ms.tolist(), part.bits.tolist()) for part in parts)


@given(pieces=st.lists(PIECES, max_size=3))
def test_what_merging_gives(pieces: list[list[tuple]]) -> None:
    """Of each target, whatever columns and times they have; and each block's own, as it is."""
    made = [[piece(number, *one) for number, one in enumerate(some)] for some in pieces]
    for found, own in zip(read([[strip for strip, _ in some] for some in made], pytest.fail), made, strict=True):
        assert shown(found.parts) == shown(merge([part for _, part in own]))
        assert [shown(parts) for parts in found.by_block.values()] == [shown([part]) for _, part in own]


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_damaged_block_is_told_and_left_out(damaged: int) -> None:
    """With all its parts; the others are there, and those of other targets."""
    made = [piece(number // 2, (1, 2), 3 * number, 3) for number in range(6)]
    strips = [
        strip._replace(content=stored(part, damaged=place == 2 * damaged + 1))
        for place, (strip, part) in enumerate(made)
    ]
    other, part = piece(7, (1, 2), 0, 3)
    told: list[tuple[int, int, str]] = []
    found = read([strips, [other]], lambda place, block, reason: told.append((place, block.row.number, reason)))
    kept = [part for place, (_, part) in enumerate(made) if place // 2 != damaged]
    assert [one[:2] for one in told] == [(0, damaged)]
    assert "wrong checksum" in told[0][2]
    assert [block.row.number for block in found[0].by_block] == [number for number in range(3) if number != damaged]
    assert shown(found[0].parts) == shown(merge(kept))
    assert shown(found[1].parts) == shown([part])
