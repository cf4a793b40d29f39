"""Parameters as Prometheus reads them."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.api.params import EARLIEST_MS, LATEST_MS, Form, parse_duration_ns, parse_time_ms
from kpwatch.base.errors import BadQuery


@pytest.mark.parametrize(
    ("text", "unix_ms"),
    [
        ("4", 4000),
        ("1435781451.781", 1435781451781),
        ("1.5e3", 1_500_000),
        ("-1", -1000),
        ("1_000", 1_000_000),
        ("2015-07-01T20:10:51,781Z", 1435781451781),
        ("2015-07-01T20:10:51.781Z", 1435781451781),
        ("2015-07-01T20:10:51.781999999Z", 1435781451782),
        ("2015-07-01T22:10:51.781+02:00", 1435781451781),
        ("1970-01-01T00:00:00Z", 0),
        ("-292273086-05-16T16:47:06Z", EARLIEST_MS),
        ("292277025-08-18T07:12:54.999999999Z", LATEST_MS),
    ],
)
def test_times(text: str, unix_ms: int) -> None:
    """Unix seconds or RFC 3339, to the millisecond."""
    assert parse_time_ms(text) == unix_ms


@pytest.mark.parametrize(
    "text",
    ["", "now", "1__0", "_1", " 4", "infinity", "NaN", "1e300", "2015-13-01T00:00:00Z", "0x10", "٣"],
)
def test_what_is_no_time(text: str) -> None:
    """Python's own readings of numbers and dates are wider than Prometheus'."""
    with pytest.raises(ValueError, match="to a valid timestamp"):
        parse_time_ms(text)


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("15", 15_000), ("0.25", 250), ("1m30s", 90_000), ("5m", 300_000), ("1d", 86_400_000)]
)
def test_durations(text: str, milliseconds: int) -> None:
    """Seconds or a Prometheus duration."""
    assert parse_duration_ns(text) == milliseconds * 1_000_000


@pytest.mark.parametrize("text", ["", "m", "1m1h", "1 m", "1e400", "five", "300y", "NaN", "-Inf"])
def test_what_is_no_duration(text: str) -> None:
    """The error carries the text."""
    with pytest.raises(ValueError, match="to a valid duration"):
        parse_duration_ns(text)


def test_the_body_counts_before_the_url() -> None:
    """As Go's FormValue; `match[]` collects both."""
    form = Form(b"query=url&match[]=a&time=1", b"query=body&match%5B%5D=b")
    assert form.text("query") == "body"
    assert form.all("match[]") == ["b", "a"]
    assert form.time_ms("time") == 1000
    assert form.time_ms("absent", 7) == 7


@pytest.mark.parametrize(
    ("query", "read", "sentence"),
    [
        (
            b"time=x",
            lambda form: form.time_ms("time"),
            'parameter "time": cannot parse "x" to a valid timestamp',
        ),
        (b"", lambda form: form.time_ms("start"), 'invalid parameter "start": cannot parse "" to a valid timestamp'),
        (b"step=x", lambda form: form.duration_ns("step"), 'invalid parameter "step": cannot parse "x" to a valid dur'),
        (b"step=1e300", lambda form: form.duration_ns("step"), "to a valid duration. It overflows int64"),
        (b"limit=-1", lambda form: form.limit(), 'invalid parameter "limit": limit must be non-negative'),
        (b"limit=1.5", lambda form: form.limit(), 'strconv.Atoi: parsing "1.5": invalid syntax'),
        (b"limit=" + b"9" * 20, lambda form: form.limit(), "value out of range"),
        (b"limit=x", lambda form: form.whole("limit"), "limit must be a number"),
    ],
)
def test_errors_name_the_parameter(query: bytes, read: object, sentence: str) -> None:
    """Prometheus' form of the sentence."""
    with pytest.raises(BadQuery) as bad:
        read(Form(query))
    assert sentence in str(bad.value)


@pytest.mark.parametrize("query", [b"a=%ff", b"&".join([b"a=1"] * 1001)])
def test_forms_that_are_none(query: bytes) -> None:
    """Bytes that are no UTF-8, and more fields than anybody needs."""
    with pytest.raises(BadQuery, match="form values"):
        Form(query)


@given(st.text(alphabet="ab=&+% 2Cc3é\x00;", max_size=30))
def test_forms_are_read_as_python_reads_them(text: str) -> None:
    """Bytes in any order; of a name that comes twice, in this order."""
    try:
        expected = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        with pytest.raises(BadQuery, match="form values"):
            Form(text.encode())
        return
    form = Form(text.encode())
    for name, _ in expected:
        assert form.all(name) == [value for known, value in expected if known == name]
    assert sum(len(form.all(name)) for name in {name for name, _ in expected}) == len(expected)
