"""A shorter stretch, taken out of a longer one that is kept.

A board asks the same series over a day for its graph and at one instant for its table. What the graph selected holds
what the table wants, so its rows are taken out of the kept stacks, a few numpy calls for all targets together, where
looking each target up again would be some forty microseconds for each.
"""

from __future__ import annotations

from itertools import chain, compress, zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.model.stack import BATCH_CELLS, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpwatch.store.growing import Owners


class Cut(NamedTuple):
    """A stack and, of each of its slices, the place of its target; None where nobody knows it."""

    stack: Stack
    places: list[int] | None


def cut(
    batches: Sequence[list[Stack]], owners: Sequence[Owners] | None, start_ms: int, end_ms: int, steps: int
) -> list[list[Cut]]:
    """What lies in [start_ms, end_ms], in batches that are small enough for so many steps."""
    every = chain.from_iterable(
        zip_longest(batch, places) for batch, places in zip_longest(batches, owners or (), fillvalue=())
    )
    pieces = [_piece(one, places, start_ms, end_ms) for one, places in every]
    return [[one] for one in _joined([piece for piece in pieces if len(piece.stack.begins)], steps)]


def _piece(one: Stack, places: list[int] | None, start_ms: int, end_ms: int) -> Cut:
    begins, ends = one.rows_until(np.array([start_ms - 1, end_ms]))[0].reshape(-1, 2).T
    heights = ends - begins
    if len(heights) == 1:
        (begin,), (end,) = begins.tolist(), ends.tolist()
        whole = Stack(one.series, one.timestamps_ms[begin:end], one.values[begin:end], one.begins)
        return Cut(whole, places) if begin < end else Cut(_nothing_of(one), [])
    series = one.series
    if not heights.all():
        here = heights > 0
        series = tuple(compress(series, here.repeat(one.values.shape[1]).tolist()))
        places = places and list(compress(places, here.tolist()))
        begins, heights = begins[here], heights[here]
    starts = np.cumsum(heights) - heights
    rows = (begins - starts).repeat(heights) + np.arange(heights.sum())
    return Cut(Stack(series, one.timestamps_ms[rows], one.values.T[:, rows].T, starts), places)


def _nothing_of(one: Stack) -> Stack:
    return Stack((), one.timestamps_ms[:0], one.values[:0], one.begins[:0])


def _joined(pieces: Sequence[Cut], steps: int) -> Iterator[Cut]:
    """Those of equally many columns as one, as long as they are small together."""
    by_width: dict[int, list[Cut]] = {}
    for piece in pieces:
        by_width.setdefault(piece.stack.values.shape[1], []).append(piece)
    for width, alike in by_width.items():
        some: list[Cut] = []
        held = 0
        for piece in alike:
            cells = width * max(len(piece.stack.timestamps_ms), steps * len(piece.stack.begins))
            if some and held + cells > BATCH_CELLS:
                yield _one_of(some)
                some, held = [], 0
            some.append(piece)
            held += cells
        yield _one_of(some)


def _one_of(some: Sequence[Cut]) -> Cut:
    if len(some) == 1:
        return some[0]
    stacks = [piece.stack for piece in some]
    places = [piece.places for piece in some]
    heights = [len(one.timestamps_ms) for one in stacks]
    before = np.cumsum(heights) - heights
    whole = Stack(
        tuple(chain.from_iterable(one.series for one in stacks)),
        np.concatenate([one.timestamps_ms for one in stacks]),
        np.concatenate([one.values.T for one in stacks], axis=1).T,
        np.concatenate([one.begins + rows for one, rows in zip(stacks, before.tolist(), strict=True)]),
    )
    known = [one for one in places if one is not None]
    return Cut(whole, list(chain.from_iterable(known)) if len(known) == len(places) else None)
