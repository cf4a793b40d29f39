"""Many numbers as Prometheus writes them, a whole row at a time.

Finding a float's shortest digits is nearly all of the cost of a long answer. orjson finds those of an array thirty
times as fast as `repr` does; its text differs from Prometheus' only where a number is whole (`3.0`), is written with an
exponent, or is none. A row's text is then put together from the texts before each value, which are the same for all
series of an answer, and its values: no operation per point but those of `str.join`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import orjson

from kpwatch.model.gofloat import format_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAIN_FROM, PLAIN_BELOW = 1e-4, 1e16
"""Between these nobody needs an exponent, and whole numbers have all their digits."""


def value_text(value: float) -> str:
    """One value as Prometheus writes it; `repr` gives the same digits wherever it needs no exponent."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    return format_json(value) if "e" in text or "n" in text else text


def value_texts(values: NDArray[np.float64]) -> list[str]:
    """Each value of a row."""
    if not len(values):
        return []
    row = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    size = np.abs(values)
    is_plain = ((size >= PLAIN_FROM) & (size < PLAIN_BELOW)) | (size == 0)
    if is_plain.all():
        return _split(row)
    texts = _split(row.replace(b"null", b"NaN"))
    for place in np.flatnonzero(~is_plain & ~np.isnan(values)).tolist():
        texts[place] = value_text(float(values[place]))
    return texts


def _split(row: bytes) -> list[str]:
    """`[1.0,0.5]` as its numbers; a zero after the point stands only where nothing else does."""
    return (row[1:-1] + b",").replace(b".0,", b",")[:-1].decode().split(",")


def seconds_text(timestamp_ms: int) -> str:
    """A timestamp as Prometheus writes it: seconds, with exactly three decimals if they are not all zero."""
    sign = "-" if timestamp_ms < 0 else ""
    seconds, fraction = divmod(abs(timestamp_ms), 1000)
    return f"{sign}{seconds}.{fraction:03d}" if fraction else f"{sign}{seconds}"


def times_text(timestamps_ms: NDArray[np.int64]) -> str:
    """The timestamps of a row, a comma between them; those of a query's steps have the same fraction nearly always."""
    seconds, fractions = timestamps_ms // 1000, timestamps_ms % 1000
    if not len(seconds) or seconds[0] < 0 or (fractions != fractions[0]).any():
        return ",".join(map(seconds_text, timestamps_ms.tolist()))
    row = orjson.dumps(seconds, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode()
    if not fractions[0]:
        return row
    fraction = f".{fractions[0]:03d}"
    return row.replace(",", fraction + ",") + fraction


class PointsWriter:
    """Writes `[1435781451.781,"1"],…` for rows whose points are at the same times."""

    def __init__(self, times: str) -> None:
        """`times`: the points' times, a comma between them; at least one."""
        before = "[" + times.replace(",", ',"\n"],[') + ',"'
        self._pieces = [""] * (2 * times.count(",") + 2) + ['"]']
        self._pieces[:-1:2] = before.split("\n")

    def points(self, values: NDArray[np.float64]) -> str:
        """The points of a series."""
        self._pieces[1::2] = value_texts(values)
        return "".join(self._pieces)
