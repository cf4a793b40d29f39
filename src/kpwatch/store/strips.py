"""Pieces of targets' blocks, read into one matrix for each target.

The blocks of a target nearly always have the same columns and follow each other in time. Then the matrix that a query
works on is made first and each block is decoded into its stretch of it: nothing is copied to join them, and what is
remembered of each block is a view of that one matrix. Where they differ, each is read for itself and they are merged.
The blocks of several targets are decoded together (`decoding.py`).
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.store.decoding import Piece, decode
from kpwatch.store.parts import Part, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from kpwatch.store.block import BlockReader, StoredPart
    from kpwatch.store.blocks import Listed
    from kpwatch.store.parts import Bits, Ids, Times


class Stored(NamedTuple):
    """Columns of a part of a block, not read yet."""

    reader: BlockReader
    part: StoredPart
    places: NDArray[np.int64]


class Strip(NamedTuple):
    """All rows of a part of a block."""

    block: Listed
    columns: Ids
    timestamps_ms: Times
    content: Stored | Bits
    """Bits, (columns, rows), where they are known."""


class Read(NamedTuple):
    """What was read of one target."""

    by_block: dict[Listed, list[Part]]
    """The parts of each block; a damaged one is in neither."""
    parts: list[Part]
    """All of them, merged."""


def read(strips_of: Sequence[Sequence[Strip]], report: Callable[[int, Listed, str], None]) -> list[Read]:
    """Of each target what its strips have; `report` is told of damaged blocks with the place of their target."""
    wholes = [_matrix(strips) for strips in strips_of]
    bits_of = [list(_stretches(strips, whole)) for strips, whole in zip(strips_of, wholes, strict=True)]
    pieces: list[Piece] = []
    owners: list[tuple[int, Listed]] = []
    for place, (strips, stretches) in enumerate(zip(strips_of, bits_of, strict=True)):
        for strip, bits in zip(strips, stretches, strict=True):
            if isinstance(strip.content, Stored):
                pieces.append(Piece(*strip.content, bits))
                owners.append((place, strip.block))
            else:
                bits[:] = strip.content
    damaged: set[tuple[int, Listed]] = set()
    for owner, outcome in zip(owners, decode(pieces), strict=True):
        if outcome and owner not in damaged:
            damaged.add(owner)
            report(*owner, outcome)
    return [
        _joined(strips, bits, whole, {block for where, block in damaged if where == place})
        for place, (strips, bits, whole) in enumerate(zip(strips_of, bits_of, wholes, strict=True))
    ]


def _joined(strips: Sequence[Strip], bits_of: Sequence[Bits], whole: Bits | None, damaged: set[Listed]) -> Read:
    by_block: dict[Listed, list[Part]] = {strip.block: [] for strip in strips if strip.block not in damaged}
    for strip, bits in zip(strips, bits_of, strict=True):
        if strip.block in by_block:
            bits.flags.writeable = False
            by_block[strip.block].append(Part(strip.columns, strip.timestamps_ms, bits))
    if whole is not None and not damaged:
        whole.flags.writeable = False
        times = np.concatenate([strip.timestamps_ms for strip in strips])
        return Read(by_block, [Part(strips[0].columns, times, whole)])
    return Read(by_block, merge([part for some in by_block.values() for part in some]))


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
