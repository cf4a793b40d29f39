"""The table of functions, one line per function and corner."""

from __future__ import annotations

import math

import pytest

from kpwatch.base.errors import QueryFailed
from tests.unit.promql.build import at, over

DATA = """
    c_total{i="1"} 0 60 120 180 240
    g{i="1"} 1 -2.5 4 NaN 3
    h{x="b10"} 2 2 2 2 2
    h{x="b9"} 1 1 1 1 1
    l{src="one-two",dst="old"} 1 1 1 1 1
"""

# At minute 4.
ANSWERS: list[tuple[str, object]] = [
    ("rate(c_total[2m])", {"i=1": 1.0}),
    ("increase(c_total[2m])", {"i=1": 120.0}),
    ("irate(c_total[5m])", {"i=1": 1.0}),
    ("delta(c_total[2m])", {"i=1": 120.0}),
    ("idelta(g[1m1s])", {"i=1": math.nan}),
    ("rate(c_total[1m])", {}),
    ("resets(g[4m])", {"i=1": 0.0}),
    ("changes(g[5m])", {"i=1": 4.0}),
    ("deriv(c_total[5m])", {"i=1": 1.0}),
    ("predict_linear(c_total[5m], 60)", {"i=1": 300.0}),
    ("last_over_time(c_total[5m])", {"c_total,i=1": 240.0}),
    ("first_over_time(c_total[5m])", {"c_total,i=1": 0.0}),
    ("ts_of_max_over_time(g[5m])", {"i=1": 120.0}),
    ("ts_of_min_over_time(g[5m])", {"i=1": 60.0}),
    ("ts_of_first_over_time(g[5m])", {"i=1": 0.0}),
    ("ts_of_last_over_time(g[5m])", {"i=1": 240.0}),
    ("mad_over_time(c_total[5m])", {"i=1": 60.0}),
    ("mad_over_time(g[5m])", {"i=1": math.nan}),
    ("double_exponential_smoothing(c_total[5m], 0.5, 0.5)", {"i=1": 240.0}),
    ("absent(nosuch{a='b',c=~'d'})", {"a=b": 1.0}),
    ("absent(nosuch{a='b',a='c'})", {"": 1.0}),
    ("absent(c_total)", {}),
    ("absent(sum(nosuch))", {"": 1.0}),
    ("absent_over_time(nosuch{a='b'}[5m])", {"a=b": 1.0}),
    ("absent_over_time(c_total[5m])", {}),
    ("abs(g offset 3m)", {"i=1": 2.5}),
    ("ceil(g offset 3m)", {"i=1": -2.0}),
    ("floor(g offset 3m)", {"i=1": -3.0}),
    ("round(g offset 3m)", {"i=1": -2.0}),
    ("round(g offset 3m, 2)", {"i=1": -2.0}),
    ("sgn(g offset 3m)", {"i=1": -1.0}),
    ("clamp(g, 0, 2)", {"i=1": 2.0}),
    ("clamp(g, 2, 0)", {}),
    ("clamp_min(g, 5)", {"i=1": 5.0}),
    ("clamp_max(g offset 1m, 5)", {"i=1": math.nan}),
    ("clamp_max(g offset 1m, -Inf)", {"i=1": -math.inf}),
    ("ln(vector(0))", {"": -math.inf}),
    ("log2(vector(8))", {"": 3.0}),
    ("sqrt(vector(-1))", {"": math.nan}),
    ("deg(vector(pi()))", {"": 180.0}),
    ("rad(vector(180))", {"": math.pi}),
    ("time()", 240.0),
    ("vector(1)", {"": 1.0}),
    ("scalar(g)", 3.0),
    ("scalar(h)", math.nan),
    ("scalar(nosuch)", math.nan),
    ("timestamp(c_total offset 30s)", {"i=1": 180.0}),
    ("timestamp(-c_total)", {"i=1": 240.0}),
    ("minute()", {"": 4.0}),
    ("hour(vector(3600))", {"": 1.0}),
    ("minute(vector(-1))", {"": 59.0}),
    ("day_of_week(vector(0))", {"": 4.0}),
    ("day_of_month(vector(951782400))", {"": 29.0}),
    ("day_of_year(vector(951782400))", {"": 60.0}),
    ("days_in_month(vector(951782400))", {"": 29.0}),
    ("month(vector(951782400))", {"": 2.0}),
    ("year(vector(951782400))", {"": 2000.0}),
    ("year(vector(-1))", {"": 1969.0}),
    ("year(vector(NaN))", {"": math.nan}),
    ('label_replace(l, "dst", "${2}_$1", "src", "(.*)-(.*)")', {"l,dst=two_one,src=one-two": 1.0}),
    ('label_replace(l, "dst", "$2_$1", "src", "(.*)-(.*)")', {"l,dst=one,src=one-two": 1.0}),  # the group "2_"
    ('label_replace(l, "dst", "${a}$$", "src", "(?P<a>o).*")', {"l,dst=o$,src=one-two": 1.0}),
    ('label_replace(l, "dst", "$9$none", "src", ".*")', {"l,src=one-two": 1.0}),
    ('label_replace(l, "dst", "new", "src", "one")', {"l,dst=old,src=one-two": 1.0}),
    ('label_replace(-l, "__name__", "k", "src", ".*")', {"k,dst=old,src=one-two": -1.0}),
    ('label_join(l, "dst", "+", "src", "none", "src")', {"l,dst=one-two++one-two,src=one-two": 1.0}),
    ("sort(h)", {"h,x=b9": 1.0, "h,x=b10": 2.0}),
    ("sort_desc(h)", {"h,x=b10": 2.0, "h,x=b9": 1.0}),
    ('sort_by_label(h, "x")', {"h,x=b9": 1.0, "h,x=b10": 2.0}),
    ('sort_by_label_desc(h, "x")', {"h,x=b10": 2.0, "h,x=b9": 1.0}),
    ("sum_over_time(c_total[2m:1m])", {"i=1": 420.0}),
    ("max_over_time(vector(time())[2m:1m])", {"": 240.0}),
    ("quantile_over_time(0.5, c_total[5m])", {"i=1": 120.0}),
    ("stddev_over_time(h[5m])", {"x=b9": 0.0, "x=b10": 0.0}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), ANSWERS, ids=lambda part: str(part)[:60])
def test_a_function(query: str, expected: object) -> None:
    """At minute 4; sorts also in this order."""
    answer = at(DATA, query, 4)
    assert answer == pytest.approx(expected, nan_ok=True)
    if query.startswith("sort"):
        assert isinstance(answer, dict)
        assert isinstance(expected, dict)
        assert list(answer) == list(expected)


FAILURES = [
    ('label_replace(l, "", "x", "src", ".*")', "invalid destination label name"),
    ('label_replace(l, "\\xff", "x", "src", ".*")', "invalid destination label name"),
    ('label_replace(l, "dst", "\\xff", "src", ".*")', "not valid UTF-8"),
    ('label_replace(l, "dst", "x", "src", "(")', "invalid regular expression in label_replace"),
    ('label_replace(h, "x", "same", "x", ".*")', "same labelset"),
    ('label_join(l, "", "-", "src")', "invalid destination label name"),
    ('label_join(l, "dst", "-", "")', "invalid source label name"),
    ("double_exponential_smoothing(g[5m], 1, 0.5)", "invalid smoothing factor. Expected: 0 < sf < 1, got: 1.0"),
    ("double_exponential_smoothing(g[5m], 0.5, 0)", "invalid trend factor"),
]


@pytest.mark.parametrize(("query", "says"), FAILURES, ids=[query for query, _ in FAILURES])
def test_a_call_without_an_answer_fails(query: str, says: str) -> None:
    """QueryFailed with what is wrong."""
    with pytest.raises(QueryFailed, match=says):
        at(DATA, query, 4)


def test_trigonometry_is_numpys() -> None:
    """Each by its definition."""
    for name in ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "atanh"]:
        assert at("", f"{name}(vector(0.5))") == {"": pytest.approx(getattr(math, name)(0.5))}
    assert at("", "acosh(vector(2))") == {"": pytest.approx(math.acosh(2))}


def test_absence_is_seen_at_each_step() -> None:
    """1 where there is nothing."""
    assert over("m 1 stale _ 2", "absent(m)", 3) == {"": {1: 1.0, 2: 1.0}}
    assert over("m 1 stale _ 2", "absent_over_time(m[1m])", 3) == {"": {1: 1.0, 2: 1.0}}


def test_what_is_pinned_is_the_same_at_every_step() -> None:
    """`@` with and without a scalar that changes."""
    data = "m 1 2 3 4"
    assert over(data, "m @ 60", 2) == {"m": {0: 2.0, 1: 2.0, 2: 2.0}}
    assert over(data, "sum_over_time(m[2m] @ end())", 2) == {"": {0: 5.0, 1: 5.0, 2: 5.0}}
    assert over(data, "quantile_over_time(time() / 120, m[2m] @ 60)", 2) == {"": {0: 1.0, 1: 1.5, 2: 2.0}}
    assert over(data, "m @ start() + m @ end()", 2) == {"": {0: 4.0, 1: 4.0, 2: 4.0}}
