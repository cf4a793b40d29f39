"""What stands between brackets and after `offset`."""

from __future__ import annotations

import pytest

from kpwatch.base.errors import BadQuery
from kpwatch.promql.durations import Span, Window, parse_offset, parse_window, pieces_of
from kpwatch.promql.parse import parse

SPAN = Span(step_ms=15_000, range_ms=3_600_000)

RANGES = [
    ("5m", 300_000),
    ("1h30m", 5_400_000),
    ("300", 300_000),
    ("0x10", 16_000),
    ("1_0", 10_000),
    ("0.5", 500),
    ("1.0016", 1001),
    ("1y", 31_536_000_000),
    (" 5m # why\n", 300_000),
    ("5m * 2", 600_000),
    ("5m+1m-30s", 330_000),
    ("10m - 2 * 3m", 240_000),
    ("10m-3m-1m", 360_000),
    ("1h/3", 1_200_000),
    ("4h % 3h", 3_600_000),
    ("(2 ^ 3) * 1m", 480_000),
    ("2^3^2", 512_000),
    ("-2^2 + 10", 6000),
    ("-(-5m)", 300_000),
    ("+5m", 300_000),
    ("2^-1", 500),
    ("step()", 15_000),
    ("STEP() * 2 + 1", 31_000),
    ("range ( )", 3_600_000),
    ("max_of(step(), 5s)", 15_000),
    ("min_of(2 * step() + 5s, 30s)", 30_000),
]

NONE = [
    ("", "unexpected end of input"),
    ("0", "greater than 0"),
    ("5m - 5m", "greater than 0"),
    ("-5m", "greater than 0"),
    ("0.0004", "at least 1ms"),
    ("inf", "NaN or infinite"),
    ("293y", "out of range"),
    ("1e10", "out of range"),
    ("2^1000000", "NaN or infinite"),
    ("1m/0", "division by zero"),
    ("1m % (1-1)", "modulo by zero"),
    ("(-1)^0.5", "NaN or infinite"),
    ("5m 5m", 'unexpected "5m"'),
    ("5mm", "bad number"),
    ("step", "expected"),
    ("min_of(1m)", "expected"),
    ("max_of(1m,2m,3m)", "expected"),
    ("(5m", "expected"),
    ("5m:1m:1m", 'unexpected ":"'),
    (":1m", "unexpected"),
    ("a", "unexpected"),
    ("5m;", "unexpected character"),
    ("(" * 60 + "1" + ")" * 60, "50 levels"),
    ("-" * 60 + "1", "50 levels"),
    ("2^" * 60 + "1", "50 levels"),
]

OFFSETS = [
    ("5m", 300_000, 1),
    ("-5m", -300_000, 2),
    ("--5m", 300_000, 3),
    ("5m * 2", 300_000, 1),
    ("(5m * 2) + x", 600_000, 5),
    ("-(1m)", -60_000, 4),
    ("step() / y", 15_000, 3),
    ("-min_of(1m, 2m)", -60_000, 7),
    ("0", 0, 1),
    ("1.9999 ", 1999, 1),
    ("-1.9999 ", -1999, 2),
]


@pytest.mark.parametrize(("text", "milliseconds"), RANGES)
def test_a_range_is_a_duration_or_arithmetic_on_durations(text: str, milliseconds: int) -> None:
    """Milliseconds, of a query with steps of 15 s over an hour."""
    assert parse_window(f"[{text}]", SPAN) == Window(milliseconds, None, is_subquery=False)


@pytest.mark.parametrize(
    ("text", "step_ms"),
    [("5m:1m", 60_000), ("5m:", None), ("5m : ", None), ("5m:1m*2", 120_000), ("5m:step()", 15_000)],
)
def test_a_subquery_has_a_colon(text: str, step_ms: int | None) -> None:
    """And a step, if it says so."""
    assert parse_window(f"[{text}]", SPAN) == Window(300_000, step_ms, is_subquery=True)


@pytest.mark.parametrize(("text", "says"), NONE, ids=range(len(NONE)))
def test_what_is_no_duration_is_refused(text: str, says: str) -> None:
    """With the reason."""
    with pytest.raises(BadQuery, match=says.replace("(", r"\(")):
        parse_window(f"[{text}]", SPAN)


@pytest.mark.parametrize(("text", "milliseconds", "taken"), OFFSETS)
def test_an_offset_takes_one_value(text: str, milliseconds: int, taken: int) -> None:
    """What follows belongs to the expression around it."""
    assert parse_offset(pieces_of(text), SPAN) == (milliseconds, taken)


def test_a_query_with_steps_in_it_is_parsed_for_each_span() -> None:
    """Trees are kept by query; this one differs by its span."""
    query = "rate(a[step() * 4])"
    assert parse(query, Span(15_000, 0)) != parse(query, Span(30_000, 0))
    assert parse("rate(a[5m])", Span(15_000, 0)) is parse("rate(a[5m])", Span(30_000, 0))
