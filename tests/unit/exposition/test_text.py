"""Text exposition 0.0.4 is read as the field reads it; a broken line is named by its place and costs only itself."""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from kpwatch.exposition.text import family_of, parse
from kpwatch.model.numbers import NORMAL_NAN_BYTES, STALE_NAN_BYTES

if TYPE_CHECKING:
    from pathlib import Path

INF = float("inf")

GOOD_LINES = [
    # line, (name, labels, value, timestamp_ms)
    (b"m 1", ("m", {}, 1.0, None)),
    (b"m\t1", ("m", {}, 1.0, None)),
    (b" \tm  1 \t", ("m", {}, 1.0, None)),
    (b"m 1\r", ("m", {}, 1.0, None)),
    (b"m:n_0 1", ("m:n_0", {}, 1.0, None)),
    (b"_ 1", ("_", {}, 1.0, None)),
    (b"m 1 1700000000000", ("m", {}, 1.0, 1_700_000_000_000)),
    (b"m 1 0", ("m", {}, 1.0, 0)),
    (b"m 1 -5", ("m", {}, 1.0, -5)),
    (b"m{} 1", ("m", {}, 1.0, None)),
    (b"m{ } 1", ("m", {}, 1.0, None)),
    (b'm {a="b"} 1', ("m", {"a": "b"}, 1.0, None)),
    (b'm{a="b"}1', ("m", {"a": "b"}, 1.0, None)),
    (b'm{a="b"}-Inf', ("m", {"a": "b"}, -INF, None)),
    (b'm{a="b",c="d"} 1', ("m", {"a": "b", "c": "d"}, 1.0, None)),
    (b'm{a="b",} 1', ("m", {"a": "b"}, 1.0, None)),
    (b'm{ a = "b" , c="d" , } 1 5', ("m", {"a": "b", "c": "d"}, 1.0, 5)),
    (b'm{a=""} 1', ("m", {"a": ""}, 1.0, None)),
    (b'm{a="}"} 1', ("m", {"a": "}"}, 1.0, None)),
    (b'm{a="{,} = \\" #"} 1', ("m", {"a": '{,} = " #'}, 1.0, None)),
    (b'm{a="\\\\\\n\\""} 1', ("m", {"a": '\\\n"'}, 1.0, None)),
    (b'm{a="\\\\n"} 1', ("m", {"a": "\\n"}, 1.0, None)),
    (b'm{a="\\x\\t"} 1', ("m", {"a": "\\x\\t"}, 1.0, None)),
    (b'm{a="\x00"} 1', ("m", {"a": "\0"}, 1.0, None)),
    ('m{a="节点"} 1'.encode(), ("m", {"a": "节点"}, 1.0, None)),
    (b'{"a.b",x="y"} 1', ("a.b", {"x": "y"}, 1.0, None)),
    (b'{"a.b"} 1', ("a.b", {}, 1.0, None)),
    (b'{x="y","a.b"} 1', ("a.b", {"x": "y"}, 1.0, None)),
    (b'm{"l.n"="y"} 1', ("m", {"l.n": "y"}, 1.0, None)),
    (b'{"a\\"b"} 1', ('a"b', {}, 1.0, None)),
    (b"# 1", None),
    (b"#", None),
    (b"# EOF", None),
    (b"  # TYPE", None),
    (b"", None),
    (b" \t\r", None),
]

BAD_LINES = [
    # line, column from 1, words of the reason
    (b"m", 2, "no value"),
    (b"m{}", 4, "no value"),
    (b"1m 1", 1, "metric name '1m'"),
    (b"m-n 1", 1, "metric name 'm-n'"),
    (b"m\xc3\xa9 1", 1, "metric name"),
    (b"} 1", 1, "metric name"),
    (b"{} 1", 1, "no metric name"),
    (b'{a="b"} 1', 1, "no metric name"),
    (b'{""} 1', 2, "a quoted name is empty"),
    (b'm{""="b"} 1', 3, "a quoted name is empty"),
    (b'm{"n"} 1', 6, "a second metric name 'n' after 'm'"),
    (b"m{", 3, "without a closing brace"),
    (b"m{a", 4, "without a closing brace"),
    (b"m{a=", 5, "without a closing brace"),
    (b'm{a="b" 1', 8, "without a closing brace"),
    (b'm{a="b', 6, "does not end"),
    (b'm{a="b} 1', 6, "does not end"),
    (b'm{a="b\\"} 1', 6, "does not end"),
    (b"m{a=b} 1", 5, "expected a quoted value"),
    (b"m{a='b'} 1", 5, "expected a quoted value"),
    (b"m{a} 1", 4, "expected = after label 'a'"),
    (b'm{,a="b"} 1', 3, "label name ''"),
    (b'm{a="b",,c="d"} 1', 9, "label name ''"),
    (b'm{1="b"} 1', 3, "label name '1'"),
    (b'm{a="b" c="d"} 1', 9, "expected , or }"),
    (b'm{a="b"}} 1', 9, "after the closing brace"),
    (b'm{a="1",a="2"} 1', 14, "label 'a' twice"),
    (b'm{__name__="n"} 1', 15, "label '__name__' twice"),
    (b'm{a="\xff"} 1', 6, "not UTF-8"),
    (b'm{a="b"} 1 # {trace="x"} 1', 9, "after the closing brace"),
    (b"m x", 3, "value 'x' is not a number"),
    (b"m  x", 4, "value 'x' is not a number"),
    (b"  m x", 5, "value 'x' is not a number"),
    (b'm{a="b"} x', 10, "value 'x' is not a number"),
    (b"m 1_000", 3, "no underscores"),
    (b"m 0x1p3", 3, "is not a number"),
    (b"m 0b1", 3, "is not a number"),
    (b"m 1,5", 3, "is not a number"),
    ("m ٣".encode(), 3, "is not a number"),
    (b"m -nan", 3, "NaN has no sign"),
    (b"m +NaN", 3, "NaN has no sign"),
    (b"m 1e400", 3, "out of the range"),
    (b"m -.5e400", 3, "out of the range"),
    (b"m 1 1.5", 5, "timestamp '1.5'"),
    (b"m 1 --5", 5, "timestamp '--5'"),
    (b"m 1 -", 5, "timestamp '-'"),
    (b"m 1 +5", 5, "timestamp '+5'"),
    (b"m 1 1234567890123456789", 5, "timestamp"),
    (b"m 1 2 1", 7, "'1' after the timestamp"),
    (b"m 1 2 1 2", 7, "'1' after the timestamp"),
    (b"# TYPE m", 8, "type ''"),
    (b"# TYPE m info", 10, "type 'info' of m"),
    (b"# TYPE m\tinfo", 10, "type 'info' of m"),
    (b"# HELP m \xff", 1, "not UTF-8"),
    (b"<html><body>", 1, "metric name"),
]  # fmt: skip

VALUES = [
    # token, eight bytes as a float64
    (b"0", struct.pack("<d", 0.0)),
    (b"-0", struct.pack("<d", -0.0)),
    (b"+1", struct.pack("<d", 1.0)),
    (b".5", struct.pack("<d", 0.5)),
    (b"5.", struct.pack("<d", 5.0)),
    (b"1e+06", struct.pack("<d", 1e6)),
    (b"1.7652749911909214E4", struct.pack("<d", 17652.749911909214)),
    (b"5e-324", struct.pack("<d", 5e-324)),
    (b"1e-400", struct.pack("<d", 0.0)),
    (b"Inf", struct.pack("<d", INF)),
    (b"+inf", struct.pack("<d", INF)),
    (b"-Infinity", struct.pack("<d", -INF)),
    (b"NaN", NORMAL_NAN_BYTES),
    (b"nan", NORMAL_NAN_BYTES),
]

FAMILIES = [
    # sample name, family, by these TYPE lines
    ("m", "m", {}),
    ("m_total", "m_total", {"m_total": "counter"}),
    ("h_bucket", "h", {"h": "histogram"}),
    ("h_sum", "h", {"h": "histogram"}),
    ("h_count", "h", {"h": "histogram"}),
    ("h_total", "h_total", {"h": "histogram"}),
    ("s_sum", "s", {"s": "summary"}),
    ("s_bucket", "s_bucket", {"s": "summary"}),
    ("g_sum", "g_sum", {"g": "gauge"}),
    ("h_sum", "h_sum", {"h": "histogram", "h_sum": "gauge"}),
    ("_sum", "_sum", {"h": "histogram"}),
]


@pytest.mark.parametrize(("line", "expected"), GOOD_LINES)
def test_good_line(line: bytes, expected: tuple | None) -> None:
    """A line within the rules, or within what parsers of the field tolerate, gives its sample."""
    parsed = parse(line)
    found = [(sample.name, dict(sample.labels), sample.value, sample.timestamp_ms) for sample in parsed.samples]
    assert found == ([] if expected is None else [expected])
    assert parsed.errors == []


@pytest.mark.parametrize(("line", "column", "reason"), BAD_LINES)
def test_bad_line(line: bytes, column: int, reason: str) -> None:
    """A line outside the rules is named by number, column and reason, and its neighbours count."""
    parsed = parse(b"before 1\n" + line + b"\nafter 2")
    assert [(sample.line_number, sample.name) for sample in parsed.samples] == [(1, "before"), (3, "after")]
    (error,) = parsed.errors
    assert (error.line_number, error.column) == (2, column)
    assert reason in error.reason
    assert error.text == line.decode(errors="replace")


@pytest.mark.parametrize(("token", "expected"), VALUES)
def test_value(token: bytes, expected: bytes) -> None:
    """Values are Go's; every textual NaN is the one ordinary NaN, never the staleness marker."""
    (sample,) = parse(b"m " + token).samples
    assert struct.pack("<d", sample.value) == expected
    assert expected != STALE_NAN_BYTES


@pytest.mark.parametrize(("name", "family", "types"), FAMILIES)
def test_family(name: str, family: str, types: dict[str, str]) -> None:
    """A sample belongs to the family whose TYPE its suffix fits."""
    assert family_of(name, types) == family


def test_comments_are_read() -> None:
    """HELP and TYPE lines are kept by family, in any order and case, quoted names too."""
    parsed = parse(
        b'm 1\n# TYPE m COUNTER\n# HELP m two  words\n# HELP n\n#TYPE\th\thistogram\n# TYPE "a.b" gauge\n# any'
    )
    assert parsed.types == {"m": "counter", "h": "histogram", "a.b": "gauge"}
    assert parsed.helps == {"m": "two  words", "n": ""}
    assert parsed.errors == []


QUOTED_COMMENTS = [
    # line, types, helps
    (b'# TYPE "a.b" histogram', {"a.b": "histogram"}, {}),
    (b'# TYPE "a b"   gauge ', {"a b": "gauge"}, {}),
    (b'# HELP "a\\"b" two  words', {}, {'a"b': "two  words"}),
    (b"# HELP m a\\nb \\\\n \\x", {}, {"m": "a\nb \\n \\x"}),
    ('# HELP "节点" 文'.encode(), {}, {"节点": "文"}),
]


@pytest.mark.parametrize(("line", "types", "helps"), QUOTED_COMMENTS)
def test_quoted_families_and_escapes(line: bytes, types: dict[str, str], helps: dict[str, str]) -> None:
    """A name in quotes may hold anything; a help text is what was meant."""
    parsed = parse(line)
    assert (parsed.types, parsed.helps, parsed.errors) == (types, helps, [])


def test_a_family_whose_quotes_do_not_end_is_named() -> None:
    """By its place."""
    (error,) = parse(b'm 1\n# TYPE "a.b gauge\n').errors
    assert (error.line_number, error.column, error.reason) == (2, 9, "the quoted value does not end")


def test_a_long_broken_line_is_shown_by_its_beginning() -> None:
    """An error's text and reason are bounded, whatever the line's length."""
    (error,) = parse(b"m " + b"x" * 100_000).errors
    assert len(error.text) == 120
    assert len(error.reason) < 100


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    """Any bytes at all give samples and errors, and every line that is not blank or a comment gives one of the two."""
    parsed = parse(body)
    spoken = [line for line in (raw.strip(b" \t\r") for raw in body.split(b"\n")) if line and line[:1] != b"#"]
    assert len(parsed.samples) + sum(error.text.strip(" \t\r")[:1] != "#" for error in parsed.errors) == len(spoken)


PIECES = [
    b"m",
    b"{",
    b"}",
    b'"',
    b"\\",
    b"=",
    b",",
    b"a",
    b"n",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"#",
    b"1",
    b"-",
    b".",
    b"\xff",
]


@given(st.lists(st.sampled_from([*PIECES, b'm{a="b"} 1', b"# TYPE m ", b"NaN", b"Inf", b"\x0b", b"__name__"])))
def test_no_almost_right_line_makes_it_raise(pieces: list[bytes]) -> None:
    """Pieces of right lines in any order neither raise nor yield an empty name or label name."""
    body = b"".join(pieces)
    for sample in parse(body).samples:
        assert sample.name
        assert all(label for label, _ in sample.labels)
        assert body.splitlines()  # the sample came from somewhere
        assert struct.pack("<d", sample.value) != STALE_NAN_BYTES


def _samples_by_prometheus_client(body: str) -> Counter:
    """(name, labels, value's bytes) by an independent parser, its renaming of counters undone."""
    counters = {
        line.split()[2] for line in body.splitlines() if line.startswith("# TYPE ") and line.endswith(" counter")
    }
    found: Counter = Counter()
    for family in text_string_to_metric_families(body):
        renamed = family.type == "counter" and family.name in counters
        for sample in family.samples:
            name = sample.name.removesuffix("_total") if renamed else sample.name
            value = NORMAL_NAN_BYTES if sample.value != sample.value else struct.pack("<d", sample.value)
            found[name, frozenset(sample.labels.items()), value] += 1
    return found


def test_real_bodies_as_prometheus_client_reads_them(captures: list[Path]) -> None:
    """Every sample of every capture: name, labels and value as an independent parser finds them."""
    bodies = [*captures, captures[0].parent / "netdata-1.13.4.txt"]
    for path in bodies:
        parsed = parse(path.read_bytes())
        assert parsed.errors == [], path.name
        ours = Counter(
            (sample.name, frozenset(sample.labels), struct.pack("<d", sample.value)) for sample in parsed.samples
        )
        theirs = _samples_by_prometheus_client(path.read_text())
        assert ours == theirs, path.name
        assert len(ours) > 100


def test_real_comments_as_prometheus_client_reads_them(captures: list[Path]) -> None:
    """Types and help texts of a real body as an independent parser finds them."""
    body = captures[-1].read_text()
    parsed = parse(body.encode())
    for family in text_string_to_metric_families(body):
        kind = "untyped" if family.type == "unknown" else family.type
        name = family.name if parsed.types.get(family.name) == kind else family.name + "_total"
        assert parsed.types[name] == kind
        assert parsed.helps[name].replace(r"\n", "\n") == family.documentation
