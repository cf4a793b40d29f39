"""One NaN ends a series; all others are values."""

from __future__ import annotations

import math
import struct

import pytest

from kpwatch.model.numbers import NORMAL_NAN, STALE_NAN, is_stale

TABLE = [
    (STALE_NAN, True),
    (NORMAL_NAN, False),
    (math.nan, False),
    (struct.unpack("<d", struct.pack("<Q", 0xFFF0000000000002))[0], False),
    (0.0, False),
    (math.inf, False),
]


@pytest.mark.parametrize(("value", "expected"), TABLE)
def test_is_stale(value: float, expected: bool) -> None:
    """Only the one bit pattern of value.StaleNaN."""
    assert is_stale(value) is expected


def test_bits() -> None:
    """The two patterns of model/value/value.go."""
    assert struct.pack(">d", STALE_NAN).hex() == "7ff0000000000002"
    assert struct.pack(">d", NORMAL_NAN).hex() == "7ff8000000000001"
