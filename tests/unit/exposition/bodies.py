"""Bodies as they follow one another in a target's life: mostly the same lines with other values, now and then anything.

`body_sequences` is what the tests of the delta parser and of the encoder share.
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


@st.composite
def _other_value(draw: st.DrawFn, line: bytes) -> bytes:
    """The same line with another value where it is a plain sample."""
    head, blank, _ = line.rpartition(b" ")
    return head + blank + draw(st.sampled_from(VALUES)) if blank else line


@st.composite
def _edited(draw: st.DrawFn, body: list[bytes]) -> list[bytes]:
    """`body` after a few edits; most often only values change."""
    body = list(body)
    for _ in range(draw(st.integers(0, 3))):
        what = draw(st.sampled_from(("value", "value", "value", "value", "replace", "insert", "delete", "swap")))
        index = draw(st.integers(0, len(body)))
        if what == "insert":
            body.insert(index, draw(lines))
        elif index == len(body):
            continue  # an edit of nothing
        elif what == "value":
            body[index] = draw(_other_value(body[index]))
        elif what == "replace":
            body[index] = draw(lines)
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
