"""Samples as they are read -> frames. Pure; both protocols end here.

Consecutive series of one target and time are a *stretch* and make a frame; what comes scattered is gathered by target
and time. Where a series comes twice with one timestamp the later value stays, as across requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kpwatch.base.errors import BadInput, TooLarge
from kpwatch.model.frames import Frame, Layout
from kpwatch.model.labels import join_target
from kpwatch.receive.labels import series_text
from kpwatch.receive.limits import TIMESTAMP_MAX_MS, TIMESTAMP_MIN_MS
from kpwatch.receive.runs import SHORTEST_RUN_SERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels
    from kpwatch.receive.layouts import Column, KnownSeries, Names


class Decoded(NamedTuple):
    """What a body held."""

    frames: list[Frame]
    samples: int
    in_runs: int
    """Of the samples, those that a known run gave."""
    duplicates: int
    """Samples replaced by a later one of the same series and time in the same body; not counted in `samples`."""
    ignored: int
    """Exemplars and native histograms, which are not kept."""
    without_samples: int
    """Series that carried no sample to keep."""
    metadata: int
    """Of 1.0: fields that are no series; of 2.0: series that describe their family. Not kept."""
    histograms: int = 0
    """Of `ignored`, native histograms, as far as the protocol must say so (2.0)."""
    start_timestamps: int = 0
    """Times at which a series began to count, which are not kept (2.0)."""


class Samples:
    """Samples of one target at one time, in the order they came."""

    __slots__ = ("columns", "target", "timestamp_ms", "values")

    def __init__(self, target: Labels, timestamp_ms: int) -> None:
        self.target = target
        self.timestamp_ms = timestamp_ms
        self.columns: list[Column] = []
        self.values: list[float] = []


class Stretch(Samples):
    """Consecutive series of one target and time, each with one sample."""

    __slots__ = ("begin", "key", "metadata", "places", "read_before", "starts", "time_field")

    def __init__(
        self, target: Labels, timestamp_ms: int, begin: int, key: bytes, time_field: bytes, read_before: int
    ) -> None:
        super().__init__(target, timestamp_ms)
        self.begin = begin
        self.key = key
        self.time_field = time_field
        self.read_before = read_before
        """How many series had been read letter by letter when it began."""
        self.places: list[int] = []
        """Where values begin; fewer than values if some were omitted."""
        self.metadata = self.starts = 0
        """How many of the series have metadata, and start timestamps (2.0)."""


class Gatherer:
    """The frames of one body."""

    def __init__(self, names: Names, samples_max: int) -> None:
        self.frames: list[Frame] = []
        self.in_runs = 0
        self.duplicates = 0
        self._names = names
        self._scattered: dict[tuple[Labels, int], Samples] = {}
        self._counted = 0
        self._samples_max = samples_max

    def count(self, parts: int) -> None:
        """So many samples, or series and fields without one, more; raises TooLarge."""
        self._counted += parts
        if self._counted > self._samples_max:
            raise TooLarge(f"the request has more than {self._samples_max} samples; send fewer at once")

    def known(self, target: Labels, layout: Layout, timestamp_ms: int, values: NDArray[np.float64]) -> None:
        """The samples of a run, a track or an order."""
        self.count(len(values))
        self._frame_scattered((target, timestamp_ms))
        self.frames.append(Frame(target, layout, timestamp_ms, values))
        self.in_runs += len(values)

    def part_of(
        self, target: Labels, whole: Layout, index: int, timestamp_ms: int, values: NDArray[np.float64]
    ) -> None:
        """Some series of a known track or order with these values."""
        reached = index + len(values)
        layout = Layout(whole.columns[index:reached], (whole, index, reached))
        self.known(target, layout, timestamp_ms, values)

    def stretch(self, stretch: Samples) -> Layout | None:
        """A stretch that has ended, a short one among the scattered; its layout where it may be kept as a run."""
        self.count(len(stretch.columns))
        if len(stretch.columns) < SHORTEST_RUN_SERIES:
            samples = self._scattered_at(stretch.target, stretch.timestamp_ms)
            samples.columns += stretch.columns
            samples.values += stretch.values
            return None
        self._frame_scattered((stretch.target, stretch.timestamp_ms))
        duplicates = self.duplicates
        layout = self._frame(stretch)
        return layout if duplicates == self.duplicates else None

    def series(self, known: KnownSeries, samples: Sequence[tuple[int, float]]) -> None:
        """One series with samples (timestamp_ms, value) at any time, counted already; raises BadInput for bad times."""
        target, column = known
        for timestamp_ms, value in samples:
            if not TIMESTAMP_MIN_MS <= timestamp_ms <= TIMESTAMP_MAX_MS:
                raise BadInput(
                    f"series {series_text(join_target(target, column.labels))}: timestamp {timestamp_ms} ms lies "
                    "outside the years 1970 to 9999; nothing of this request is stored"
                )
            at = self._scattered_at(target, timestamp_ms)
            at.columns.append(column)
            at.values.append(value)

    def finish(self) -> int:
        """Frame what is left; how many samples there are."""
        for key in list(self._scattered):
            self._frame_scattered(key)
        return sum(len(frame.values) for frame in self.frames)

    def _scattered_at(self, target: Labels, timestamp_ms: int) -> Samples:
        key = (target, timestamp_ms)
        samples = self._scattered.get(key)
        if samples is None:
            samples = self._scattered[key] = Samples(target, timestamp_ms)
        return samples

    def _frame_scattered(self, key: tuple[Labels, int]) -> None:
        """Frame what is scattered of this target and time, before anything later of it is framed."""
        samples = self._scattered.pop(key, None)
        if samples is not None:
            self._frame(samples)

    def _frame(self, samples: Samples) -> Layout:
        layout = self._names.layout(samples.columns)
        if layout is None:
            self._keep_last(samples)
            layout = self._names.layout(samples.columns)
            assert layout is not None
        self.frames.append(Frame(samples.target, layout, samples.timestamp_ms, np.array(samples.values, np.float64)))
        return layout

    def _keep_last(self, samples: Samples) -> None:
        """Of every column keep the last sample."""
        last = {column.labels: (column, value) for column, value in zip(samples.columns, samples.values, strict=True)}
        self.duplicates += len(samples.values) - len(last)
        samples.columns = [column for column, _ in last.values()]
        samples.values = [value for _, value in last.values()]
