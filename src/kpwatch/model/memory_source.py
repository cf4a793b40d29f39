"""A SeriesSource in memory: samples given by hand, by tests, or by two scrapes.

Series whose samples are at the same times are handed out together as one dense slice, as a store does. Samples may be
added in any order; of two at the same time the later added counts. Not thread-safe while samples are being added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kpwatch.model.labels import join_target, label_value
from kpwatch.model.matchers import matches_all
from kpwatch.model.source import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from kpwatch.model.frames import Frame
    from kpwatch.model.labels import Labels
    from kpwatch.model.matchers import Matcher


class MemorySource:
    """Samples by series; see `kpwatch.model.source.SeriesSource` for what the answers mean."""

    def __init__(self, frames: Iterable[Frame] = ()) -> None:
        self._samples: dict[Labels, dict[int, float]] = {}
        self._sorted: dict[Labels, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
        for frame in frames:
            self.add_frame(frame)

    def add(self, labels: Labels, timestamps_ms: Iterable[int], values: Iterable[float]) -> None:
        """Samples of one series; NaN bits are kept."""
        self._sorted.pop(labels, None)
        self._samples.setdefault(labels, {}).update(zip(timestamps_ms, values, strict=True))

    def add_frame(self, frame: Frame) -> None:
        """All samples of one scrape."""
        for column, value in zip(frame.layout.columns, frame.values.tolist(), strict=True):
            self.add(join_target(frame.target, column), (frame.timestamp_ms,), (value,))

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Iterator[Slice]:
        """Slices of all matching series with a sample in [start_ms, end_ms]."""
        together: dict[bytes, tuple[NDArray[np.int64], list[Labels], list[NDArray[np.float64]]]] = {}
        for labels in self.series(matchers, start_ms, end_ms):
            times_ms, values = self._series(labels)
            first, last = np.searchsorted(times_ms, (start_ms, end_ms + 1)).tolist()
            within = times_ms[first:last]
            _, names, columns = together.setdefault(within.tobytes(), (within, [], []))
            names.append(labels)
            columns.append(values[first:last])
        for within, names, columns in together.values():
            yield Slice(names, within, np.stack(columns, axis=1))

    def series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """Sorted label sets of matching series with a sample in the range."""
        return sorted(
            labels for labels in self._samples if matches_all(matchers, labels) and self._has(labels, start_ms, end_ms)
        )

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted label names of these series."""
        return sorted({name for labels in self.series(matchers, start_ms, end_ms) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Sorted values of label `name` in these series."""
        return sorted({label_value(labels, name) for labels in self.series(matchers, start_ms, end_ms)} - {""})

    def _has(self, labels: Labels, start_ms: int, end_ms: int) -> bool:
        times_ms, _ = self._series(labels)
        first, last = np.searchsorted(times_ms, (start_ms, end_ms + 1)).tolist()
        return bool(first < last)

    def _series(self, labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        found = self._sorted.get(labels)
        if found is None:
            samples = sorted(self._samples[labels].items())
            times_ms = np.asarray([time_ms for time_ms, _ in samples], np.int64)
            found = self._sorted[labels] = times_ms, np.asarray([value for _, value in samples], np.float64)
        return found
