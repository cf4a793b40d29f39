"""Binary operators: values, names, matching, and what has no answer."""

from __future__ import annotations

import math

import pytest

from kpwatch.base.errors import QueryFailed
from tests.unit.promql.build import at, over

DATA = """
    a{i="1"} 6
    a{i="2"} 7
    b{i="1"} 2
    b{i="3"} 9
    info{i="1",version="x"} 1
    info{i="2",version="y"} 1
    parts{i="1",p="u"} 4
    parts{i="1",p="v"} 5
"""

ANSWERS = [
    ("7 % 4", 3.0),
    ("-7 % 4", -3.0),
    ("2 ^ 3 ^ 2", 512.0),
    ("-2 ^ 2", -4.0),
    ("1 / 0", math.inf),
    ("0 / 0", math.nan),
    ("1 atan2 1", math.pi / 4),
    ("3 > bool 2", 1.0),
    ("NaN == bool NaN", 0.0),
    ("a * 2", {"i=1": 12.0, "i=2": 14.0}),
    ("12 / a", {"i=1": 2.0, "i=2": 12 / 7}),
    ("a > 6", {"a,i=2": 7.0}),
    ("6 < a", {"a,i=2": 7.0}),
    ("a > bool 6", {"i=1": 0.0, "i=2": 1.0}),
    ("a + b", {"i=1": 8.0}),
    ("a > b", {"a,i=1": 6.0}),
    ("a < b", {}),
    ("a < bool b", {"i=1": 0.0}),
    ("a + on(i) b", {"i=1": 8.0}),
    ("a > on(i) b", {"i=1": 6.0}),
    ("a * on(i) group_left(version) info", {"i=1,version=x": 6.0, "i=2,version=y": 7.0}),
    ("info * on(i) group_right a", {"i=1": 6.0, "i=2": 7.0}),
    ("info < on(i) group_right a", {"a,i=1": 1.0, "a,i=2": 1.0}),
    ("parts / on(i) group_left b", {"i=1,p=u": 2.0, "i=1,p=v": 2.5}),
    ("parts / ignoring(p) group_left b", {"i=1,p=u": 2.0, "i=1,p=v": 2.5}),
    ("a and b", {"a,i=1": 6.0}),
    ("a unless b", {"a,i=2": 7.0}),
    ("a or b", {"a,i=1": 6.0, "a,i=2": 7.0, "b,i=3": 9.0}),
    ("a and on() b", {"a,i=1": 6.0, "a,i=2": 7.0}),
    ("a or on() b", {"a,i=1": 6.0, "a,i=2": 7.0}),
    ("a or nosuch", {"a,i=1": 6.0, "a,i=2": 7.0}),
    ("nosuch or a", {"a,i=1": 6.0, "a,i=2": 7.0}),
    ("a and nosuch", {}),
    ("nosuch + a", {}),
    ("-a", {"i=1": -6.0, "i=2": -7.0}),
    ("a or vector(0)", {"a,i=1": 6.0, "a,i=2": 7.0, "": 0.0}),
]


@pytest.mark.parametrize(("query", "expected"), ANSWERS, ids=lambda part: str(part)[:40])
def test_an_operator(query: str, expected: float | dict[str, float]) -> None:
    """Values by labels; names stay only where nothing was computed."""
    assert at(DATA, query) == pytest.approx(expected, nan_ok=True)


FAILURES = [
    (
        "a * on() b",
        r'{} on the right hand-side of the operation: \[{__name__="b", i="1"}, {__name__="b", i="3"}\];many-to-many',
    ),
    ("a * on() group_right b", "on the left hand-side"),
    ("parts / on(i) b", r"many-to-one matching must be explicit \(group_left/group_right\)"),
    ("parts * on(i) group_left(p) (b * 0 + on(i) b)", "grouping labels must ensure unique matches"),
    ('-{__name__=~"a|b",i="1"}', "vector cannot contain metrics with the same labelset"),
]


@pytest.mark.parametrize(("query", "says"), FAILURES, ids=[query for query, _ in FAILURES])
def test_a_match_that_is_not_unique_fails(query: str, says: str) -> None:
    """With the series in the message."""
    with pytest.raises(QueryFailed, match=says):
        at(DATA, query)


REPLACED = """
    pod{pod="x"} 1 1 stale
    pod{pod="y"} _ _ 2 2
    limit 10 10 10 10
"""


def test_series_that_replace_each_other_may_share_a_match() -> None:
    """Two pods match one limit, but never at the same step; both sides."""
    assert over(REPLACED, "pod / on() limit", 3) == {"": {0: 0.1, 1: 0.1, 2: 0.2, 3: 0.2}}
    assert over(REPLACED, "limit / on() pod", 3) == {"": {0: 10.0, 1: 10.0, 2: 5.0, 3: 5.0}}
    assert over(REPLACED, "limit * on() group_left(pod) pod", 3) == {
        "pod=x": {0: 10.0, 1: 10.0},
        "pod=y": {2: 20.0, 3: 20.0},
    }


def test_set_operators_look_at_each_step() -> None:
    """What is missing at a step is filled at that step."""
    assert over(REPLACED, 'pod{pod="y"} or on() limit', 3) == {
        "pod,pod=y": {2: 2.0, 3: 2.0},
        "limit": {0: 10.0, 1: 10.0},
    }
    assert over(REPLACED, 'limit unless on() pod{pod="x"}', 3) == {"limit": {2: 10.0, 3: 10.0}}


def test_a_series_that_loses_its_name_stays_apart_from_one_that_keeps_it() -> None:
    """`x or -x` at different steps: two series in the answer, as their names differ there."""
    assert over("x 1 5 1 5", "x > 2 or -x", 3) == {"x": {1: 5.0, 3: 5.0}, "": {0: -1.0, 2: -1.0}}


def test_series_that_become_the_same_are_merged_if_they_do_not_overlap() -> None:
    """Names are dropped at the end; one series then has both parts."""
    assert over("x 1 stale\ny _ 2 3", '-{__name__=~"x|y"}', 2) == {"": {0: -1.0, 1: -2.0, 2: -3.0}}
