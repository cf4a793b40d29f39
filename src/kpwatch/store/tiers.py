"""Which blocks of a target to merge: a pure decision.

Blocks are born small (a target's `seal_rows` frames) so that memory stays small; large blocks are smaller per sample
and quicker to read. So, as in any log-structured store, small neighbours are merged into larger ones, each sample a
handful of times in its life. Only neighbours in rank: a block that was skipped would change sides with those around it,
and of two samples of one series and time the wrong one would win.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.store.blocks import BlockRow

TIER_ROWS = (1024, 4096)
"""Blocks below a tier's rows are gathered until together they reach it."""
RUN_BLOCKS_MAX = 16
"""So many small neighbours are merged whatever their rows: each costs a query its overhead."""
CLOSE_BLOCKS_MAX = 6
"""So many small blocks of a target are left when the store closes: merging fewer costs more than their heads do."""
BLOCK_SAMPLES_MAX = 1 << 22
"""No merged block is larger: what is unpacked of its parts while it is made is in memory, some tens of MB at most."""


def plan(blocks: Sequence[BlockRow], *, left: int | None = None) -> Sequence[BlockRow]:
    """Neighbours to merge now, or none. `blocks` in rank order; `left`: no more small ones than that are to be left."""
    run_max = RUN_BLOCKS_MAX if left is None else left + 1
    for tier_rows in TIER_ROWS:
        run = _last_small(blocks, tier_rows)
        ripe = sum(block.rows for block in run) >= tier_rows or len(run) >= run_max
        chosen = _fitting(run)
        if len(chosen) > 1 and (ripe or len(chosen) < len(run)):
            return chosen
        if left is not None:
            break
    return ()


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
