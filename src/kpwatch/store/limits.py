"""How many targets, and how many series of one: what is over a limit is left out, what was there goes on.

Judged before a name gets a number, so that a sender that makes up names for ever costs nothing that lasts. A frame of
known series passes by two look-ups. Of a frame over the limit the series that are known, and as many new ones as fit,
are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.model.frames import Layout

if TYPE_CHECKING:
    from kpwatch.model.labels import Labels
    from kpwatch.store.catalog import Catalog
    from kpwatch.store.commit import Taken
    from kpwatch.store.options import StoreOptions

SHOWN_CHARACTERS = 300


class Limits:
    """Judges the frames of one batch; `begin` before each append."""

    def __init__(self, options: StoreOptions, catalog: Catalog) -> None:
        self._targets_max = options.targets_max
        self._series_max = options.series_per_target_max
        self._catalog = catalog
        self._new_targets: set[Labels] = set()
        self._admitted: dict[Labels, list[tuple[Labels, ...]]] = {}
        """Columns of the batch's frames that may be new to their target."""
        self.left_out = 0
        """Samples of this append that are not kept."""
        self.reason = ""
        """The first limit that was met: a sentence."""

    def begin(self) -> None:
        """Another append."""
        self._new_targets.clear()  # those of the one before have numbers now
        self.left_out = 0
        self.reason = ""

    def admit(self, frame: Taken) -> Taken | None:
        """The frame, or what of it may be kept, or None."""
        target = self._catalog.target_by_labels(frame.target)
        if target is None:
            if self._targets_max and not self._may_be_new(frame.target):
                there = f"there are {self._targets_max} targets already"
                self._leave_out(frame, f"is new and {there}, which is the limit (--max-targets)")
                return None
        elif self._catalog.is_covered(target, frame.layout):
            return frame
        return self._within_series(frame) if self._series_max else frame

    def _may_be_new(self, labels: Labels) -> bool:
        if labels in self._new_targets:
            return True
        if len(self._catalog.targets) + len(self._new_targets) >= self._targets_max:
            return False
        self._new_targets.add(labels)
        return True

    def _within_series(self, frame: Taken) -> Taken | None:
        target = self._catalog.target_by_labels(frame.target)
        admitted = self._admitted.setdefault(frame.target, [])
        had = len(target.columns) if target is not None else 0
        if had + sum(map(len, admitted)) + len(frame.layout.columns) <= self._series_max:
            admitted.append(frame.layout.columns)  # fits even if every column is new
            return frame
        own = self._catalog.columns_of(frame.target).union(*admitted)
        kept: list[int] = []
        for place, labels in enumerate(frame.layout.columns):
            if labels in own or len(own) < self._series_max:
                own.add(labels)
                kept.append(place)
        admitted[:] = [tuple(own)]
        if len(kept) == len(frame.layout.columns):
            return frame
        has = f"has {len(own)} series already, which is the limit (--max-series-per-target)"
        self._leave_out(frame, has, len(frame.layout.columns) - len(kept))
        if not kept:
            return None
        values = np.frombuffer(frame.values, np.float64)[kept]
        layout = Layout(tuple(frame.layout.columns[place] for place in kept))
        return frame._replace(layout=layout, values=values.tobytes())

    def _leave_out(self, frame: Taken, why: str, samples: int | None = None) -> None:
        self.left_out += len(frame.layout.columns) if samples is None else samples
        if not self.reason:
            text = ", ".join(f'{name}="{value}"' for name, value in frame.target)[:SHOWN_CHARACTERS]
            self.reason = f"target {{{text}}} {why}"
