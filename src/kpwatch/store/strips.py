"""Pieces of a target's blocks, read into one matrix.

The blocks of a target nearly always have the same columns and follow each other in time. Then the matrix that a query
works on is made first and each block is decoded into its stretch of it: nothing is copied to join them, and what is
remembered of each block is a view of that one matrix. Where they differ, each is read for itself and they are merged.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.store.packing import Damaged
from kpwatch.store.parts import Part, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kpwatch.store.blocks import Listed
    from kpwatch.store.parts import Bits, Ids, Times


class Strip(NamedTuple):
    """A part of a block, not read yet."""

    block: Listed
    columns: Ids
    timestamps_ms: Times
    fill: Callable[[Bits], None]
    """Writes all of it, (columns, rows); raises Damaged."""


def read(strips: Sequence[Strip], report: Callable[[int, str], None]) -> tuple[dict[Listed, list[Part]], list[Part]]:
    """(the parts of each block, all of them merged); `report` is told of damaged blocks, which are in neither."""
    whole = _matrix(strips)
    by_block: dict[Listed, list[Part]] = {strip.block: [] for strip in strips}
    for strip, bits in zip(strips, _stretches(strips, whole), strict=True):
        if strip.block not in by_block:
            continue  # another part of it was damaged
        try:
            strip.fill(bits)
        except Damaged as error:
            del by_block[strip.block]
            report(strip.block.row.number, str(error))
        else:
            bits.flags.writeable = False
            by_block[strip.block].append(Part(strip.columns, strip.timestamps_ms, bits))
    parts = [part for some in by_block.values() for part in some]
    if whole is not None and len(parts) == len(strips):
        whole.flags.writeable = False
        times = np.concatenate([strip.timestamps_ms for strip in strips])
        return by_block, [Part(strips[0].columns, times, whole)]
    return by_block, merge(parts)


def _matrix(strips: Sequence[Strip]) -> Bits | None:
    """Room for several strips that can stand side by side, or None where they cannot."""
    if len(strips) < 2 or not all(_can_follow(*pair) for pair in pairwise(strips)):
        return None
    return np.empty((len(strips[0].columns), sum(len(strip.timestamps_ms) for strip in strips)), np.int64)


def _can_follow(one: Strip, other: Strip) -> bool:
    are_alike = one.columns is other.columns or np.array_equal(one.columns, other.columns)
    return are_alike and bool(one.timestamps_ms[-1] < other.timestamps_ms[0])


def _stretches(strips: Sequence[Strip], whole: Bits | None) -> Iterable[Bits]:
    if whole is None:
        return (np.empty((len(strip.columns), len(strip.timestamps_ms)), np.int64) for strip in strips)
    bounds = accumulate((len(strip.timestamps_ms) for strip in strips), initial=0)
    return (whole[:, begin:end] for begin, end in pairwise(bounds))
