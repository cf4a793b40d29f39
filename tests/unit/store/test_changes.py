"""What happened to samples since some moment: never less than really did."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kpwatch.store import changes
from kpwatch.store.catalog import NEVER_MS
from kpwatch.store.changes import Changes

TIMES = st.lists(st.one_of(st.integers(0, 50), st.just(-NEVER_MS)), max_size=40)


def noted(times: list[int]) -> Changes:
    made = Changes()
    for time in times:
        made.came(time)
    return made


@given(times=TIMES)
def test_the_least_time_of_all_since(times: list[int]) -> None:
    """After any number of changes; none is a time that never comes."""
    made = noted(times)
    assert made.number == len(times)
    for number in range(len(times) + 1):
        assert made.least_ms_since(number) == min(times[number:], default=NEVER_MS)


@given(times=TIMES)
def test_of_too_many_it_may_say_more(times: list[int]) -> None:
    """Old ones become fewer: then what it says since an old moment may be of before, but is never too late."""
    kept, changes.NOTES_MAX = changes.NOTES_MAX, 4
    try:
        made = noted(times)
    finally:
        changes.NOTES_MAX = kept
    assert len(made._notes) <= 4
    for number in range(len(times)):
        assert made.least_ms_since(number) <= min(times[number:])
    assert made.least_ms_since(len(times)) == NEVER_MS
    assert not times or made.least_ms_since(len(times) - 1) == times[-1]
