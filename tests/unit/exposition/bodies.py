"""Bodies as they follow one another in a target's life: mostly the same lines with other values, now and then anything.

`body_sequences` is what the tests of the delta parser and of the encoder share; `openmetrics_sequences` the same in
OpenMetrics, where now and then the end is missing.
"""

from __future__ import annotations

from hypothesis import strategies as st

HEADS = (
    b"up",
    b"m",
    b"mm",
    b'm{a="1"}',
    b'm{a="1",}',  # the same series under another head
    b'm{a="2"}',
    b'm {a="}"}',
    b'm{a.b="1"}',  # broken
    b'm{"a.b"="1"}',
    b'{"u.v",x="y"}',
    b'h_bucket{le="1.0"}',
    b'h_bucket{le="1"}',
    b'h_bucket{le="+Inf"}',
    b"h_sum",
    b's{quantile="0.50"}',
    b'm{ident="own"}',
    b"m{a",  # broken
)
GAPS = (b" ", b"\t", b"  ", b"")
VALUES = (b"0", b"1", b"2.5", b"1e+06", b"NaN", b"-Inf", b"0x1", b"1_0", b"", b"1 2 3")
TIMESTAMPS = (b"", b"", b"", b" 1700000000000", b" 1700000001000", b" 1.5")
ENDS = (b"", b"", b"", b"\r", b" ")
COMMENTS = (
    b"# TYPE h histogram",
    b"# TYPE h gauge",
    b"# TYPE s summary",
    b"# TYPE m counter",
    b"# TYPE m info",
    b"# HELP m text",
    b"# any",
    b"",
    b"}{",
)

sample_lines = st.tuples(*map(st.sampled_from, (HEADS, GAPS, VALUES, TIMESTAMPS, ENDS))).map(b"".join)
good_lines = st.tuples(st.sampled_from(HEADS[:12]), st.just(b" "), st.sampled_from(VALUES[:6])).map(b"".join)
lines = good_lines | good_lines | sample_lines | st.sampled_from(COMMENTS)


OPENMETRICS_LINES = (
    b"# TYPE c counter",
    b"# TYPE c gauge",
    b"# TYPE h histogram",
    b"# TYPE s summary",
    b"# TYPE i info",
    b"# HELP c text",
    b"# UNIT c ",
    b"c_total 1",
    b'c_total{a="1"} 1',
    b'c_total{a="1"} 1 # {trace="x # }"} 0.5',
    b'c_total{a="1"} 1 # {trace="y"} 0.5 1.5',
    b'c_total{a="1"} 1 # {',
    b'c_total{a=" # {"} 1',
    b"c_created 1700000000.5",
    b'c_created{a="1"} 1700000000',
    b'h_bucket{le="1.0"} 1 # {} 1',
    b'h_bucket{le="+Inf"} 1',
    b"h_count 1 1.5",
    b"h_sum 1",
    b"h_created 1600000000",
    b's{quantile="0.50"} 1',
    b"s_created NaN",
    b'i_info{v="1"} 1',
    b"c_total 1 1700000000.25",
    b'{"u.v",x="y"} 1',
    b"m 1 ",
    b"m  1",
    b"",
    b"# EOF",
    b"# any",
)
openmetrics_lines = st.sampled_from(OPENMETRICS_LINES)
_OPENMETRICS_VALUES = (*VALUES, b"2 # {} 3", b"3 1700000001.5", b"1700000009", b'4 # {a="b"} 1 2')


@st.composite
def _other_value(draw: st.DrawFn, line: bytes, values: tuple[bytes, ...]) -> bytes:
    """The same line with another value where it is a plain sample."""
    head, blank, _ = line.rpartition(b" ")
    return head + blank + draw(st.sampled_from(values)) if blank else line


@st.composite
def _edited(
    draw: st.DrawFn, body: list[bytes], any_line: st.SearchStrategy[bytes] = lines, values: tuple[bytes, ...] = VALUES
) -> list[bytes]:
    """`body` after a few edits; most often only values change."""
    body = list(body)
    for _ in range(draw(st.integers(0, 3))):
        what = draw(st.sampled_from(("value", "value", "value", "value", "replace", "insert", "delete", "swap")))
        index = draw(st.integers(0, len(body)))
        if what == "insert":
            body.insert(index, draw(any_line))
        elif index == len(body):
            continue  # an edit of nothing
        elif what == "value":
            body[index] = draw(_other_value(body[index], values))
        elif what == "replace":
            body[index] = draw(any_line)
        elif what == "delete":
            del body[index]
        else:
            body[0], body[index] = body[index], body[0]
    return body


@st.composite
def body_sequences(draw: st.DrawFn) -> list[bytes | None]:
    """Bodies one after the other; None where a scrape failed."""
    body = draw(st.lists(lines, max_size=8))
    sequence: list[bytes | None] = [b"\n".join(body)]
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.integers(0, 9)) == 0:
            sequence.append(None)
        body = draw(_edited(body))
        sequence.append(b"\n".join(body))
    return sequence


@st.composite
def openmetrics_sequences(draw: st.DrawFn) -> list[bytes | None]:
    """OpenMetrics bodies one after the other, most of them whole; None where a scrape failed."""
    body = draw(st.lists(openmetrics_lines, max_size=8))
    sequence: list[bytes | None] = []
    for _ in range(draw(st.integers(2, 7))):
        end = draw(st.sampled_from((b"# EOF\n", b"# EOF\n", b"# EOF\n", b"# EOF", b"")))
        sequence.append(b"".join(line + b"\n" for line in body) + end)
        if draw(st.integers(0, 9)) == 0:
            sequence.append(None)
        body = draw(_edited(body, openmetrics_lines, _OPENMETRICS_VALUES))
    return sequence
