"""Which blocks of a target to merge: a pure decision.

Blocks are born small (a target's `seal_rows` frames) so that memory stays small; large blocks are smaller per sample
and quicker to read. So, as in any log-structured store, small neighbours are merged into larger ones, each sample a
handful of times in its life. Only neighbours in rank: a block that was skipped would change sides with those around it,
and of two samples of one series and time the wrong one would win.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.store.blocks import BlockRow

TIER_ROWS = (256, 1024, 4096)
"""Blocks below a tier's rows are gathered until together they reach it. Each block costs a question some 0.2 ms: the
lowest tier leaves three small ones of a target at most, for no CPU that could be measured beside receiving."""
RUN_BLOCKS_MAX = 16
"""So many small neighbours are merged whatever their rows: each costs a query its overhead."""
CLOSE_BLOCKS_MAX = 6
"""So many small blocks of a target are left when the store closes: merging fewer costs more than their heads do."""
BLOCK_SAMPLES_MAX = 1 << 22
"""No merged block is larger: what is unpacked of its parts while it is made is in memory, some tens of MB at most."""


CLOSE_ROWS = 64
"""Of the last small blocks of a target so many rows are merged when the store closes: as many as one seal has, so that
a hub that ran for some minutes leaves one block a target, and any other does little work for little gain."""


def plan(blocks: Sequence[BlockRow]) -> Sequence[BlockRow]:
    """Neighbours to merge while the store runs, or none. `blocks` in rank order, as in all plans."""
    for tier_rows in TIER_ROWS:
        run = _last_small(blocks, tier_rows)
        ripe = sum(block.rows for block in run) >= tier_rows or len(run) >= RUN_BLOCKS_MAX
        chosen = _fitting(run)
        if len(chosen) > 1 and (ripe or len(chosen) < len(run)):
            return chosen
    return ()


def plan_all(blocks: Sequence[BlockRow]) -> Sequence[BlockRow]:
    """Neighbours to merge as long as two of the lowest tier are left."""
    return _several(_last_small(blocks, TIER_ROWS[0]))


def plan_last(blocks: Sequence[BlockRow]) -> Sequence[BlockRow]:
    """Neighbours to merge when the store closes."""
    run = _last_small(blocks, TIER_ROWS[0])
    if len(run) <= CLOSE_BLOCKS_MAX:
        rows = list(accumulate(block.rows for block in reversed(run)))
        run = run[len(run) - bisect_right(rows, CLOSE_ROWS) :]
    return _several(run)


def _last_small(blocks: Sequence[BlockRow], tier_rows: int) -> Sequence[BlockRow]:
    first = len(blocks)
    while first and blocks[first - 1].rows < tier_rows and blocks[first - 1].samples <= BLOCK_SAMPLES_MAX // 2:
        first -= 1
    return blocks[first:]


def _fitting(run: Sequence[BlockRow]) -> Sequence[BlockRow]:
    """The oldest of `run` that fit into one block."""
    samples = 0
    for count, block in enumerate(run):
        samples += block.samples
        if samples > BLOCK_SAMPLES_MAX:
            return run[:count]
    return run


def _several(run: Sequence[BlockRow]) -> Sequence[BlockRow]:
    chosen = _fitting(run)
    return chosen if len(chosen) > 1 else ()
