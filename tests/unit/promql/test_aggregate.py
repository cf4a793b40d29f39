"""Aggregation operators."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpwatch.base.errors import QueryFailed
from kpwatch.promql.grouping import fold_groups, make_groups
from tests.unit.promql.build import at, labelled, over

DATA = """
    m{g="a",i="1"} 1
    m{g="a",i="2"} 3
    m{g="b",i="3"} 5
    m{g="b",i="4"} NaN
    n{g="c",i="5"} -2
"""

ANSWERS = [
    ("sum by (g) (m)", {"g=a": 4.0, "g=b": math.nan}),
    ('sum(m{g="a"})', {"": 4.0}),
    ("sum by (nosuch) (n)", {"": -2.0}),
    ("sum without (i) (n)", {"g=c": -2.0}),
    ("sum without () (n)", {"g=c,i=5": -2.0}),
    ("sum by (__name__) (n)", {"n": -2.0}),
    ("sum by (__name__) (-n)", {"": 2.0}),
    ("sum(nosuch)", {}),
    ('avg(m{g="a"})', {"": 2.0}),
    ("min by (g) (m)", {"g=a": 1.0, "g=b": 5.0}),
    ("max by (g) (m)", {"g=a": 3.0, "g=b": 5.0}),
    ('min(m{i="4"})', {"": math.nan}),
    ("count(m)", {"": 4.0}),
    ("group by (g) (m)", {"g=a": 1.0, "g=b": 1.0}),
    ('stddev(m{g="a"})', {"": 1.0}),
    ('stdvar(m{g="a"})', {"": 1.0}),
    ("stddev(n)", {"": 0.0}),
    ('quantile(0.25, m{g="a"})', {"": 1.5}),
    ("quantile(0, m)", {"": math.nan}),
    ("quantile(1, m)", {"": 5.0}),
    ("quantile(2, m)", {"": math.inf}),
    ("quantile(-1, m)", {"": -math.inf}),
    ("topk(1, m)", {"m,g=b,i=3": 5.0}),
    ("topk(2.9, m)", {"m,g=b,i=3": 5.0, "m,g=a,i=2": 3.0}),
    ("topk by (g) (1, m)", {"m,g=a,i=2": 3.0, "m,g=b,i=3": 5.0}),
    ("topk(0, m)", {}),
    ("topk(-1, m)", {}),
    ("bottomk(3, m)", {"m,g=a,i=1": 1.0, "m,g=a,i=2": 3.0, "m,g=b,i=3": 5.0}),
    ("limitk(1, n)", {"n,g=c,i=5": -2.0}),
    ("count(limitk by (g) (1, m))", {"": 2.0}),
    ("limitk(0, m)", {}),
    ("count(limit_ratio(1, m))", {"": 4.0}),
    ("count(limit_ratio(-1, m))", {"": 4.0}),
    ("count(limit_ratio(0, m))", {}),
    ("count(limit_ratio(0.5, m) or limit_ratio(-0.5, m))", {"": 4.0}),
    ("limit_ratio(0.5, m) and limit_ratio(-0.5, m)", {}),
    ('count_values("v", m)', {"v=1": 1.0, "v=3": 1.0, "v=5": 1.0, "v=NaN": 1.0}),
    ('count_values by (g) ("v", m{g="a"})', {"g=a,v=1": 1.0, "g=a,v=3": 1.0}),
    ('count_values without (i) ("g", m{g="a"})', {"g=1": 1.0, "g=3": 1.0}),
    ('count_values without (i, v) ("v", m)', {"g=a": 2.0, "g=b": 2.0}),
    ('count_values("v", m * 0 * 1e30)', {"v=0": 3.0, "v=NaN": 1.0}),
    ('count_values("v", n * 0)', {"v=-0": 1.0}),
    ('count_values("v", n * 1e20)', {"v=-200000000000000000000": 1.0}),
]


@pytest.mark.parametrize(("query", "expected"), ANSWERS, ids=[query for query, _ in ANSWERS])
def test_an_aggregation(query: str, expected: dict[str, float]) -> None:
    """Values by labels, and in what order topk answers."""
    answer = at(DATA, query)
    assert answer == pytest.approx(expected, nan_ok=True)
    if "topk" in query:
        assert isinstance(answer, dict)
        assert list(answer) == list(expected)


FAILURES = [
    ("topk(NaN, m)", "Parameter value is NaN"),
    ("topk(1e30, m)", "Scalar value 1e[+]30 overflows int64"),
    ("limit_ratio(NaN, nosuch)", "Ratio value is NaN"),
    ('count_values("", m)', "invalid label name"),
    ('count_values("\\xff", m)', r"invalid label name \"\\xff\""),
]


@pytest.mark.parametrize(("query", "says"), FAILURES, ids=lambda text: str(text)[:30])
def test_a_parameter_that_makes_no_sense_fails(query: str, says: str) -> None:
    """With the value in the message."""
    with pytest.raises(QueryFailed, match=says):
        at(DATA, query)


def test_series_come_and_go_and_the_choice_follows() -> None:
    """Topk is chosen anew at every step; a group exists where a member does."""
    data = 'm{i="1"} 1 5 _ stale\nm{i="2"} 2 2 2 stale'
    assert over(data, "topk(1, m)", 3) == {"m,i=1": {1: 5.0, 2: 5.0}, "m,i=2": {0: 2.0}}
    assert over(data, "count(m)", 3) == {"": {0: 2.0, 1: 2.0, 2: 2.0}}
    assert over(data, "quantile(1, m)", 3) == {"": {0: 2.0, 1: 5.0, 2: 5.0}}
    assert over(data, "stddev(m)", 0) == {"": {0: 0.5}}


def test_sums_of_terms_that_cancel_keep_their_digits() -> None:
    """1e100 + 8 - 1e100 is 8, at one step and at many."""
    data = "\n".join(f'm{{i="{number}"}} {value}x20' for number, value in enumerate(("1e100", "8", "-1e100")))
    assert at(data, "sum(m)") == {"": 8.0}
    assert over(data, "sum(m)", 20)[""] == dict.fromkeys(range(21), 8.0)
    assert at(data, "avg(m)") == {"": pytest.approx(8 / 3)}


def test_a_mean_overflows_only_if_the_result_does() -> None:
    """The sum of two huge numbers is infinite, their mean is not."""
    data = 'm{i="1"} 1.7e308\nm{i="2"} 1.7e308'
    assert at(data, "avg(m)") == {"": pytest.approx(1.7e308)}
    assert at(data, "sum(m)") == {"": math.inf}


@given(
    of_row=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    steps=st.integers(1, 20),
    seed=st.integers(0, 100),
)
@settings(deadline=None)
def test_every_way_of_folding_groups_gives_the_same(of_row: list[int], steps: int, seed: int) -> None:
    """Few steps, few groups, many groups: three ways, one answer."""
    numbers = list(dict.fromkeys(of_row))  # by appearance, as group_rows numbers them
    groups = make_groups(
        [labelled(g=str(number)) for number in numbers], np.asarray([numbers.index(n) for n in of_row])
    )
    values = np.random.default_rng(seed).integers(0, 9, (len(of_row), steps)).astype(float)
    expected = [values[groups.of_row == number].sum(axis=0).tolist() for number in range(len(numbers))]
    assert fold_groups(values, groups, np.add).tolist() == expected
