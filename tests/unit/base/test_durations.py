"""Durations as Go and as Prometheus write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.base.durations import parse_go, parse_prometheus

GO = [
    ("0", 0.0),
    ("3s", 3.0),
    ("500ms", 0.5),
    ("1m30s", 90.0),
    ("1.5h", 5400.0),
    (".5s", 0.5),
    ("-2s", -2.0),
    ("+2s", 2.0),
    ("1us", 1e-6),
    ("1µs", 1e-6),
    ("30s1m", 90.0),
]
NOT_GO = ["", "15", "1d", "s", "1.s.", "1s ", " 1s", "1..5s", ".s", "1s2", "--1s", "1_0s", "١s"]

PROMETHEUS = [
    ("0", 0.0),
    ("15d", 15 * 86400.0),
    ("1y2w", (365 + 14) * 86400.0),
    ("1h30m", 5400.0),
    ("500ms", 0.5),
    ("1m500ms", 60.5),
]
NOT_PROMETHEUS = ["", "15", "1.5h", "30s1m", "1h1h", "d", "-1d", "1 d"]


@pytest.mark.parametrize(("text", "seconds"), GO)
def test_go_durations(text: str, seconds: float) -> None:
    """As time.ParseDuration reads them."""
    assert parse_go(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", NOT_GO)
def test_no_go_durations(text: str) -> None:
    """The error is the rule."""
    with pytest.raises(ValueError, match="Go duration"):
        parse_go(text)


@pytest.mark.parametrize(("text", "seconds"), PROMETHEUS)
def test_prometheus_durations(text: str, seconds: float) -> None:
    """As model.ParseDuration reads them."""
    assert parse_prometheus(text) == seconds


@pytest.mark.parametrize("text", NOT_PROMETHEUS)
def test_no_prometheus_durations(text: str) -> None:
    """Units each once, from large to small, whole numbers."""
    with pytest.raises(ValueError, match="large to small"):
        parse_prometheus(text)


@given(st.text(alphabet="0123456789.smhdyw-+µn ", max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    """No other exception leaves either parser."""
    for parse in (parse_go, parse_prometheus):
        try:
            parse(text)
        except ValueError:
            continue
