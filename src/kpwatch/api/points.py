"""Many numbers as Prometheus writes them, a whole row at a time.

Turning a float into its shortest digits is nearly all of the cost of a long answer, so it is done where it cannot be
avoided: runs of the same value once, whole numbers as integers (a tenth of the price), the rest once each by one `repr`
of a list, whose text differs from Prometheus' only where there is an exponent, no fraction, or no number.
"""

from __future__ import annotations

from operator import add
from typing import TYPE_CHECKING

import numpy as np

from kpwatch.model.gofloat import format_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PLAIN_FROM, PLAIN_BELOW = 1e-4, 1e16
"""Between these `repr` needs no exponent, and whole numbers have all their digits."""
RUNS_PAY = 0.7
"""Runs of equal values are looked for once; written once each if they are fewer than this part of the values."""
TEXTS_KEPT = 1 << 16


def value_text(value: float) -> str:
    """One value as Prometheus writes it; `repr` gives the same digits wherever it needs no exponent."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    return format_json(value) if "e" in text or "n" in text else text


class Writer:
    """Writes the rows of one answer; remembers the texts of fractions, which come again in other rows."""

    def __init__(self) -> None:
        self._known: dict[float, str] = {}

    def texts(self, values: NDArray[np.float64]) -> list[str]:
        """Each value of a row."""
        bits = np.ascontiguousarray(values).view(np.int64)
        if not len(bits):
            return []
        begins = np.flatnonzero(bits[1:] != bits[:-1]) + 1
        if len(begins) + 1 > RUNS_PAY * len(bits):
            return self._texts(values)
        begins = np.concatenate([[0], begins])
        lengths = np.diff(begins, append=len(bits))
        texts: list[str] = np.repeat(np.asarray(self._texts(values[begins]), object), lengths).tolist()
        return texts

    def points(self, starts: Sequence[str], values: NDArray[np.float64]) -> str:
        """The points of a series, `[1435781451.781,"1"],…`; `starts` are the texts before each value."""
        return '"],'.join(map(add, starts, self.texts(values))) + '"]'

    def _texts(self, values: NDArray[np.float64]) -> list[str]:
        size = np.abs(values)
        is_small = size < PLAIN_BELOW
        is_whole = is_small & (np.trunc(values) == values) & ((values != 0) | ~np.signbit(values))
        if is_whole.all():
            return repr(values.astype(np.int64).tolist())[1:-1].split(", ")
        texts = self._fractions(values.tolist())
        for place in np.flatnonzero(is_whole | ~(is_small & (size >= PLAIN_FROM))).tolist():
            texts[place] = value_text(float(values[place]))
        return texts

    def _fractions(self, numbers: list[float]) -> list[str]:
        """`repr` of each; zeros may come with the wrong sign."""
        known = self._known
        if len(known) > TEXTS_KEPT:
            known.clear()
        new = list(set(numbers).difference(known))
        known.update(zip(new, repr(new)[1:-1].split(", "), strict=bool(new)))
        return list(map(known.__getitem__, numbers))
