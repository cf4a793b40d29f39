"""OpenMetrics is read as its own project's cases demand; what breaks its rules is named by its place."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from kpwatch.exposition.openmetrics import parse
from kpwatch.exposition.text import family_of
from kpwatch.model.numbers import NORMAL_NAN_BYTES
from tests.unit.exposition.bodies import OPENMETRICS_LINES

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.exposition.text import Parsed

END = b"# EOF\n"


@pytest.fixture
def cases(shared_dir: Path) -> dict[Path, bool]:
    """Bodies of the OpenMetrics project, and whether they are right."""
    return {
        path.parent / "metrics": json.loads(path.read_text())["shouldParse"]
        for path in sorted((shared_dir / "exposition" / "openmetrics").glob("*/test.json"))
    }


def _by_prometheus_client(body: str) -> list[tuple]:
    """What an independent parser finds in a right body."""
    return [
        (
            sample.name,
            frozenset(sample.labels.items()),
            NORMAL_NAN_BYTES if sample.value != sample.value else struct.pack("<d", sample.value),
            None if sample.timestamp is None else round(float(sample.timestamp) * 1000),
        )
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    ]


def _found(parsed: Parsed) -> list[tuple]:
    """The same of ours; the other parser keeps the first sample of an instant."""
    first: dict[tuple, tuple] = {}
    for sample in parsed.samples:
        row = (sample.name, frozenset(sample.labels), struct.pack("<d", sample.value), sample.timestamp_ms)
        first.setdefault((row[0], row[1], row[3]), row)
    return list(first.values())


def test_the_projects_cases(cases: dict[Path, bool]) -> None:
    """Every right body gives the samples another parser finds in it, of every wrong one a line is named."""
    assert len(cases) > 100
    for path, is_right in cases.items():
        body = path.read_bytes()
        parsed = parse(body)
        findings = (*parsed.errors, *parsed.faults)
        assert bool(findings) is not is_right, (path.parent.name, findings)
        assert all(1 <= finding.line_number <= body.count(b"\n") + 1 for finding in findings)
        if is_right:
            assert _found(parsed) == _by_prometheus_client(body.decode()), path.parent.name


GOOD_LINES = [
    # line, (name, labels, value, timestamp_ms)
    (b"m 1", ("m", {}, 1.0, None)),
    (b"m{} 1", ("m", {}, 1.0, None)),
    (b'm{a="b",c="d"} 1.5e3', ("m", {"a": "b", "c": "d"}, 1500.0, None)),
    (b'm{a="\\\\\\n\\""} 1', ("m", {"a": '\\\n"'}, 1.0, None)),
    (b'm{a="} 5 # {"} 1', ("m", {"a": "} 5 # {"}, 1.0, None)),
    (b"m 1 1700000000.1234", ("m", {}, 1.0, 1_700_000_000_123)),
    (b"m 1 -1.5", ("m", {}, 1.0, -1500)),
    (b"m 1 1.001", ("m", {}, 1.0, 1001)),
    (b"m 1 12345678901234567890.1", ("m", {}, 1.0, (1 << 63) - 1)),
    (b'm 1 # {a="b"} 1', ("m", {}, 1.0, None)),
    (b'm{a=" # {"} 1 2 # {a="} # {"} 1 1.5', ("m", {"a": " # {"}, 1.0, 2000)),
    (b'{"m.n"} 1', ("m.n", {}, 1.0, None)),
    (b'{"m.n",a="b"} 1', ("m.n", {"a": "b"}, 1.0, None)),
    (b'm{"l.n"="y"} 1', ("m", {"l.n": "y"}, 1.0, None)),
    (b"m -Inf", ("m", {}, -float("inf"), None)),
]

BAD_LINES = [
    # line, column from 1, words of the reason
    (b"", 1, "a blank line"),
    (b"m", 2, "one blank and a value"),
    (b"m ", 2, "one blank and a value"),
    (b"m\t1", 2, "one blank and a value"),
    (b" m 1", 1, "metric name ''"),
    (b"m  1", 2, "one blank and a value"),
    (b"m 1 ", 5, "a blank too many"),
    (b"m 1\t", 3, "a blank too many"),
    (b"m 1\r", 3, "a blank too many"),
    (b"m 1_0", 3, "no underscores"),
    (b"m 1 z", 5, "'z' is not a number"),
    (b"m 1 Inf", 5, "expected seconds"),
    (b"m 1 2 3", 7, "'3' after the timestamp"),
    (b'm{a="b"}1', 9, "one blank and a value"),
    (b'm{a="b",} 1', 9, "another label"),
    (b"m{a=} 1", 5, "expected a quoted value"),
    (b'm{a="b} 1', 6, "does not end"),
    (b'm"x" 1', 1, "metric name"),
    (b"m 1 # x", 7, "an exemplar in braces"),
    (b"m 1 #", 5, "'#' is not a number"),
    (b"m 1 # {}", 9, "one blank and a value"),
    (b"m 1 # {} x", 10, "'x' is not a number"),
    (b'm 1 # {a="b",} 1', 14, "another label"),
    (b'm 1 # {"n"} 1', 7, "only labels"),
    (b"# any", 1, "no other comments"),
    (b"#TYPE m gauge", 1, "no other comments"),
    (b"# TYPE m", 9, "a blank and a type"),
    (b"# TYPE 1m gauge", 8, "no name of a family"),
    (b"# TYPE m untyped", 10, "type 'untyped' of m"),
    (b'# TYPE "m gauge', 9, "does not end"),
    (b"# HELP m \xff", 8, "not UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), GOOD_LINES)
def test_good_line(line: bytes, expected: tuple) -> None:
    """A line of the format gives its sample."""
    parsed = parse(line + b"\n" + END)
    assert [(one.name, dict(one.labels), one.value, one.timestamp_ms) for one in parsed.samples] == [expected]
    assert parsed.errors == []


@pytest.mark.parametrize(("line", "column", "reason"), BAD_LINES)
def test_bad_line(line: bytes, column: int, reason: str) -> None:
    """Any other line is named by number, column and reason."""
    parsed = parse(b"before 1\n" + line + b"\n" + END)
    (error,) = parsed.errors
    assert (error.line_number, error.column) == (2, column)
    assert reason in error.reason


@pytest.mark.parametrize("body", [b"", b"m 1\n", b"m 1\n# EOF \n", b"m 1\n# EO", b"# EOF\n\n", b"# EOF\nm 1\n"])
def test_the_end_is_the_end(body: bytes) -> None:
    """`# EOF` is the last line, or the body does not count."""
    assert len(parse(body).errors) == 1 + (body in (b"", b"m 1\n# EOF \n", b"m 1\n# EO"))


BODY = b"""\
# HELP c_seconds Seconds\\nof work.
# TYPE c_seconds counter
# UNIT c_seconds seconds
c_seconds_total{a="1"} 1 # {trace="x"} 1
c_seconds_created{a="1"} 1700000000.25
c_seconds_total{a="2"} 1
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 1 # {} 1
h_count 1
h_sum 1
h_created 1600000000
# TYPE s summary
s{quantile="0.5"} 1
s_count 1
s_sum 1
s_created NaN
# TYPE i info
i_info{version="1"} 1
# TYPE t stateset
t{t="on"} 1
# TYPE g_created gauge
g_created 5
# TYPE u unknown
u 1
# TYPE "q.r" counter
{"q.r_total"} 1
# EOF
"""


def test_families_have_the_names_of_the_text_exposition() -> None:
    """Type, help and unit of every sample by the family that text would put it in."""
    parsed = parse(BODY)
    assert (parsed.errors, parsed.faults) == ([], ())
    families = {sample.name: family_of(sample.name, parsed.types) for sample in parsed.samples}
    assert {name: (family, parsed.types.get(family)) for name, family in families.items()} == {
        "c_seconds_total": ("c_seconds_total", "counter"),
        "c_seconds_created": ("c_seconds_created", "gauge"),
        "h_bucket": ("h", "histogram"),
        "h_count": ("h", "histogram"),
        "h_sum": ("h", "histogram"),
        "h_created": ("h_created", "gauge"),
        "s": ("s", "summary"),
        "s_count": ("s", "summary"),
        "s_sum": ("s", "summary"),
        "s_created": ("s_created", "gauge"),
        "i_info": ("i_info", "info"),
        "t": ("t", "stateset"),
        "g_created": ("g_created", "gauge"),
        "u": ("u", "untyped"),
        "q.r_total": ("q.r_total", "counter"),
    }
    assert parsed.helps["c_seconds_total"] == parsed.helps["c_seconds_created"] == "Seconds\nof work."
    assert parsed.units["c_seconds_total"] == "seconds"
    assert parsed.exemplars == 2


def test_starts() -> None:
    """`_created` says when the samples beside it began: those with the same labels, in families that can begin."""
    parsed = parse(BODY)
    started = {(sample.name, sample.labels): sample.start_ms for sample in parsed.samples if sample.start_ms}
    assert started == {
        ("c_seconds_total", (("a", "1"),)): 1_700_000_000_250,
        ("h_bucket", (("le", "1"),)): 1_600_000_000_000,
        ("h_bucket", (("le", "+Inf"),)): 1_600_000_000_000,
        ("h_count", ()): 1_600_000_000_000,
        ("h_sum", ()): 1_600_000_000_000,
    }
    assert parsed.pinned == {5, 12}


FAULTS = [
    # body without its end, (line, words of the reason) of every fault
    (b"# TYPE a gauge\na 1\n# HELP a x", [(3, "HELP of a after its samples")]),
    (b"# UNIT a_s s\n# UNIT a_s s", [(2, "a second UNIT")]),
    (b"# TYPE a counter\na 1", [(2, "a after the family a of type counter: its samples are a_total, a_created")]),
    (b"# HELP a x\n# HELP b x\n# TYPE a gauge", [(3, "a family's lines must stand together")]),
    (b"# TYPE a counter\n# TYPE a_total gauge", [(2, "two families share the name")]),
    (b"a 1\na 2", [(2, "the same series twice")]),
    (b"# TYPE a gauge\na 1 # {} 1", [(2, "an exemplar on a")]),
    (b'# TYPE a histogram\na_bucket{le="+INF"} 1', [(2, 'le="+INF"')]),
    (b"# TYPE a summary\na_count 1.5", [(2, "a whole number")]),
    (b"# UNIT a s", [(1, "not the end of its name")]),
    (b'# TYPE a histogram\na_bucket{le="+Inf"} 1\na_count 1', [(2, "both or not at all")]),
    (b'# TYPE a histogram\na_bucket{le="1"} 1', [(2, 'not le="+Inf"')]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), FAULTS)
def test_faults(body: bytes, expected: list[tuple[int, str]]) -> None:
    """Rules that lines break together, with the line at which it shows; the samples are there all the same."""
    parsed = parse(body + b"\n" + END)
    assert parsed.errors == []
    assert [fault.line_number for fault in parsed.faults] == [line for line, _ in expected]
    assert all(words in fault.reason for fault, (_, words) in zip(parsed.faults, expected, strict=True))
    assert len(parsed.samples) == sum(line[:1] != b"#" for line in body.splitlines())


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    """Any bytes at all give samples and errors."""
    parse(body)


def _joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines) + END


pieces = st.one_of(
    st.lists(st.sampled_from(OPENMETRICS_LINES), max_size=10).map(_joined),
    st.lists(st.sampled_from([*OPENMETRICS_LINES[:14], b'"', b"{", b"}", b"\\", b" ", b"#", b"1", b"\xff"])).map(
        lambda parts: b"".join(parts) + b"\n" + END
    ),
)
"""Right lines in any order, and what is almost a line."""


def check_as_elsewhere(body: bytes) -> None:
    """What is right here gives the samples that another parser finds in it."""
    parsed = parse(body)
    if parsed.errors or parsed.faults:
        return
    if any("." in sample.name for sample in parsed.samples):
        return  # the other parser reads quoted names only where a TYPE line has them
    assert _found(parsed) == _by_prometheus_client(body.decode())


@given(pieces)
def test_what_is_right_here_is_right_elsewhere(body: bytes) -> None:
    """Whatever its lines are."""
    check_as_elsewhere(body)
