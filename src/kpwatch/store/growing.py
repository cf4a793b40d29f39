"""Rows that came since somebody asked, put behind what was selected then.

A page that asks for now every few seconds selects what it selected before and a row more of each target. So the rows
that the head has got since are read for all targets together and inserted into the stacks that are kept. Where anything
else happened, everything is read again: a block was made, a row is not later than those before it, lacks a column or is
of a target that had none.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.model.source import OfTarget
from kpwatch.model.stack import Stack
from kpwatch.store.cache import newer
from kpwatch.store.parts import Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.source import Slice
    from kpwatch.store.catalog import Target
    from kpwatch.store.head import Head, HeadRow
    from kpwatch.store.index import Found
    from kpwatch.store.parts import Ids


class Stamp(NamedTuple):
    """What of a target is in the stacks."""

    target: Target
    blocks_changed: int
    """How often its blocks had changed."""
    newest_row: int
    """Number of its newest row in the head; 0 where there was none."""
    columns: Ids
    """What is wanted of it."""

    def is_true(self, head: Head) -> bool:
        """Whether nothing has happened to it."""
        target = self.target
        return head.last_number(target.number) == self.newest_row and target.blocks_changed == self.blocks_changed


Owners = list[list[int]]
"""Of each stack of a batch: of each of its slices the place of its target among those that were found."""


def owners_of(parts: Sequence[Slice], found: Sequence[Found]) -> Owners | None:
    """Of the stacks that `stacks_of` makes; None where some slice does not have all that is wanted of a target."""
    places = {id(target.labels): place for place, (target, _) in enumerate(found)}
    by_width: defaultdict[int, list[int]] = defaultdict(list)
    for part in parts:
        series = part.series
        place = places.get(id(series.target)) if isinstance(series, OfTarget) else None
        if place is None or len(series) != len(found[place].columns):
            return None
        by_width[len(series)].append(place)
    return list(by_width.values())


def grown(
    batches: Sequence[list[Stack]], owners: Sequence[Owners], stamps: Sequence[Stamp], head: Head
) -> tuple[list[list[Stack]], list[Stamp]] | None:
    """The stacks with all rows that came since, and the stamps of that; None where everything has to be read again."""
    rows: dict[int, Sequence[HeadRow]] = {}
    latest: list[Stamp] = []
    for place, stamp in enumerate(stamps):
        some = head.rows(stamp.target.number)
        if stamp.target.blocks_changed != stamp.blocks_changed:  # looked at after the rows: they may have gone into it
            return None
        newest_row = some[-1].number if some else 0
        if newest_row != stamp.newest_row:
            rows[place] = newer(some, stamp.newest_row)
            stamp = stamp._replace(newest_row=newest_row)  # noqa: PLW2901
        latest.append(stamp)
    wanted = {id(stamp.columns): Wanted(stamp.columns) for stamp in stamps}
    made: list[list[Stack]] = []
    for batch, owners_of_batch in zip(batches, owners, strict=True):
        made.append([])
        for one, places in zip(batch, owners_of_batch, strict=True):
            columns = [wanted[id(stamps[place].columns)] for place in places]
            longer = _longer(one, [rows.pop(place, ()) for place in places], columns)
            if longer is None:
                return None
            made[-1].append(longer)
    return None if rows else (made, latest)


def _longer(one: Stack, rows: Sequence[Sequence[HeadRow]], wanted: Sequence[Wanted]) -> Stack | None:
    """A stack with some rows more behind each slice; None where they do not fit there."""
    ends = [*one.begins[1:].tolist(), len(one.timestamps_ms)]
    where: list[int] = []
    times_ms: list[int] = []
    values: list[np.ndarray] = []
    for end, some, columns in zip(ends, rows, wanted, strict=True):
        last_ms = one.timestamps_ms[end - 1]
        for row in some:
            found, places = columns.choose(row.layout.columns)
            if row.timestamp_ms <= last_ms or len(found) != len(columns.columns):
                return None
            last_ms = row.timestamp_ms
            where.append(end)
            times_ms.append(row.timestamp_ms)
            values.append(row.values().view(np.float64)[places])
    if not where:
        return one
    counts = np.array([len(some) for some in rows])
    by_series = np.insert(one.values.T, where, np.array(values).T, axis=1)
    by_series.flags.writeable = False
    begins = one.begins + np.cumsum(counts) - counts
    return Stack(one.series, np.insert(one.timestamps_ms, where, times_ms), by_series.T, begins)
