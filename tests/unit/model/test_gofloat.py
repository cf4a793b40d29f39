"""Floats are printed as Go prints them."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.model.gofloat import format_g, format_json

TABLE = [
    # value, FormatFloat(value, 'g', -1, 64), Prometheus' JSON
    (0.0, "0", "0"),
    (-0.0, "-0", "-0"),
    (1.0, "1", "1"),
    (-1.5, "-1.5", "-1.5"),
    (319786.0, "319786", "319786"),
    (999999.0, "999999", "999999"),
    (999999.5, "999999.5", "999999.5"),
    (1e6, "1e+06", "1000000"),
    (1234567.0, "1.234567e+06", "1234567"),
    (17652.749911909214, "17652.749911909214", "17652.749911909214"),
    (1667971806.6295934, "1.6679718066295934e+09", "1667971806.6295934"),
    (0.1, "0.1", "0.1"),
    (0.0001, "0.0001", "0.0001"),
    (0.00001, "1e-05", "0.00001"),
    (2.5307e-05, "2.5307e-05", "0.000025307"),
    (1e-6, "1e-06", "0.000001"),
    (9.99e-7, "9.99e-07", "9.99e-07"),
    (1e20, "1e+20", "100000000000000000000"),
    (1e21, "1e+21", "1e+21"),
    (123456789012345678.0, "1.2345678901234568e+17", "123456789012345680"),
    (5e-324, "5e-324", "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308"),
    (math.inf, "+Inf", "+Inf"),
    (-math.inf, "-Inf", "-Inf"),
    (math.nan, "NaN", "NaN"),
]


@pytest.mark.parametrize(("value", "as_g", "as_json"), TABLE)
def test_table(value: float, as_g: str, as_json: str) -> None:
    """Values at every place where a printer changes its form."""
    assert (format_g(value), format_json(value)) == (as_g, as_json)


@given(st.floats(allow_nan=False))
def test_every_float_reads_back(value: float) -> None:
    """No digit is lost, and the sign of zero neither."""
    for text in (format_g(value), format_json(value)):
        assert struct.pack("<d", float(text)) == struct.pack("<d", value)
