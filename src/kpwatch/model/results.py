"""What a query evaluates to. Timestamps are Unix milliseconds, values float64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kpwatch.model.labels import Labels


class Scalar(NamedTuple):
    """One number at one time."""

    timestamp_ms: int
    value: float


class String(NamedTuple):
    """A string literal at one time."""

    timestamp_ms: int
    value: str


class Vector(NamedTuple):
    """An instant vector: one value per series, in the order the query gives them (`sort` keeps its order)."""

    timestamp_ms: int
    samples: Sequence[tuple[Labels, float]]


class MatrixSeries(NamedTuple):
    """One series of a range result: its points, in time order. int64 (n,) and float64 (n,), n >= 1."""

    labels: Labels
    timestamps_ms: NDArray[np.int64]
    values: NDArray[np.float64]


class Matrix(NamedTuple):
    """A range vector, sorted by labels."""

    series: Sequence[MatrixSeries]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The value of a query and what its reader should know about it."""

    value: Scalar | String | Vector | Matrix
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)
    samples: int = 0
    """Values that were loaded or made on the way."""
    peak_samples: int = 0
    """Of these, how many were held at one time."""
    stretch_ms: tuple[int, int] | None = None
    """First and last time at which it looked for samples, the first after the last where it did not; None = unknown."""
