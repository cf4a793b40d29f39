"""Frames: what a scrape is before and in the store.

A *frame* is one target at one instant: some hundred values whose names are the same as last time. The names are the
frame's *layout*, an ordered tuple of columns (metric name and its own labels); a receiver hands the same `Layout`
object again for every frame with the same columns, so the store resolves names once per layout, not once per sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Layout:
    """Ordered, distinct columns; each is a label set with `__name__` and without target labels.

    Compared by identity: whoever makes layouts interns them.
    """

    columns: tuple[Labels, ...]
    part_of: tuple[Layout, int, int] | None = None
    """The layout that has these columns from one number to another, where whoever made this one knows: names that are
    resolved there need not be resolved here."""


class Frame(NamedTuple):
    """One target's samples at one instant; `values` is float64 of shape (len(layout.columns),), bits kept."""

    target: Labels
    layout: Layout
    timestamp_ms: int
    values: NDArray[np.float64]
