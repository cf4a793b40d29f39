"""Requests both directions must agree on: what is encoded here is what is decoded there."""

from __future__ import annotations

from typing import NamedTuple

from kpwatch.model.numbers import NORMAL_NAN, STALE_NAN

Labels = tuple[tuple[str, str], ...]
Samples = tuple[tuple[int, float], ...]

T0 = 1_700_000_000_000
INT64_MAX = (1 << 63) - 1


class Case(NamedTuple):
    """One request: series of labels and samples (timestamp_ms, value)."""

    what: str
    series: tuple[tuple[Labels, Samples], ...]


UP: Labels = (("__name__", "up"), ("ident", "10.206.0.7"))

CASES = [
    Case("no series", ()),
    Case("one sample", ((UP, ((T0, 1.0),)),)),
    Case("zero and minus zero", ((UP, ((T0, 0.0), (T0 + 1, -0.0))),)),
    Case("infinities", ((UP, ((T0, float("inf")), (T0 + 1, float("-inf")))),)),
    Case("NaN and the staleness marker", ((UP, ((T0, NORMAL_NAN), (T0 + 1, STALE_NAN))),)),
    Case("the smallest and the largest float", ((UP, ((T0, 5e-324), (T0 + 1, 1.7976931348623157e308))),)),
    Case("timestamps of any age", ((UP, ((-INT64_MAX - 1, 1.0), (-1, 2.0), (0, 3.0), (1, 4.0), (INT64_MAX, 5.0))),)),
    Case("no sample", ((UP, ()),)),
    Case("no labels", (((), ((T0, 1.0),)),)),
    Case("no labels and no sample", (((), ()),)),
    Case("an empty value", (((("a", ""),), ((T0, 1.0),)),)),
    Case("an empty name", (((("", "a"),), ((T0, 1.0),)),)),
    Case("one name twice", (((("a", "1"), ("a", "2")), ((T0, 1.0),)),)),
    Case("beyond ASCII", (((("节点", "一\n\0\U0001f4c8"),), ((T0, 1.0),)),)),
    Case("a value longer than 127 bytes", (((("__name__", "n" * 200), ("v", "x" * 20_000)), ((T0, 1.0),)),)),
    Case("a series longer than 127 bytes", (((*UP, *((f"l{i}", "v") for i in range(40))), ((T0, 1.0),)),)),
    Case("two series of one name", ((UP, ((T0, 1.0),)), (UP, ((T0 + 1, 2.0),)))),
    Case("many series", tuple(((("__name__", f"m_{i}"),), ((T0 + i, float(i)),)) for i in range(300))),
    Case("many samples", ((UP, tuple((T0 + i, i / 3) for i in range(300))),)),
]

IDS = [case.what for case in CASES]
