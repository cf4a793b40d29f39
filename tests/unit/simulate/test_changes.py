"""The cluster's changes come in time order, the same whenever they are asked for."""

from __future__ import annotations

from itertools import islice, pairwise, takewhile

from hypothesis import given
from hypothesis import strategies as st

from kpwatch.simulate.changes import changes_after

at = st.floats(0, 2e9)


@given(at)
def test_changes_are_in_order_and_later_than_asked(start: float):
    found = list(islice(changes_after("c", start), 20))
    assert all(change.at > start and change.objects >= 1 for change in found)
    assert all(one.at < other.at for one, other in pairwise(found))


@given(at, st.floats(0, 300))
def test_a_later_start_sees_the_rest_of_the_same_changes(start: float, later: float):
    end = start + 600
    seen = takewhile(lambda change: change.at <= end, changes_after("c", start))
    rest = takewhile(lambda change: change.at <= end, changes_after("c", start + later))
    assert [change for change in seen if change.at > start + later] == list(rest)


def test_another_cluster_changes_otherwise():
    assert next(changes_after("one", 0.0)) != next(changes_after("other", 0.0))
