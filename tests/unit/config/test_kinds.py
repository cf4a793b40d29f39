"""What a key's value may be, and what it becomes."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.config.kinds import KINDS, WrongValue

GOOD = [
    ("string", "a", "a"),
    ("bool", True, True),
    ("integer", -3, -3),
    ("size", 5, 5),
    ("milliseconds", 2500, 2.5),
    ("duration", 15, 15.0),
    ("duration", 3.9, 3.0),
    ("duration", 0.5, 0.0),
    ("duration", "15", 15.0),
    ("duration", "3.5", 3.0),
    ("duration", "", 0.0),
    ("duration", "1m30s", 90.0),
    ("duration", "500ms", 0.5),
    ("duration", "'3s'", 3.0),
    ("strings", ["a", "b"], ("a", "b")),
    ("strings", [], ()),
    ("pairs", ["X-A", "1", "X-B", "2"], (("X-A", "1"), ("X-B", "2"))),
    ("labels", {"job": "kube-proxy"}, (("job", "kube-proxy"),)),
    ("numbers", {"up": 1, "down": 0.5}, (("up", 1.0), ("down", 0.5))),
    ("anything", {"a": [1]}, {"a": [1]}),
]

BAD = [
    ("string", 1),
    ("string", ["a"]),
    ("bool", "true"),
    ("bool", 1),
    ("integer", 1.0),
    ("integer", True),
    ("integer", "1"),
    ("size", 0),
    ("size", -1),
    ("milliseconds", "5s"),
    ("milliseconds", 1.5),
    ("duration", "1d"),
    ("duration", "soon"),
    ("duration", True),
    ("duration", math.inf),
    ("duration", math.nan),
    ("duration", [15]),
    ("duration", "1e999"),
    ("strings", "http://localhost"),
    ("strings", [1]),
    ("pairs", ["X-A"]),
    ("pairs", {"X-A": "1"}),
    ("labels", {"job": 1}),
    ("labels", ["job"]),
    ("numbers", {"up": "1"}),
    ("numbers", [1]),
]


@pytest.mark.parametrize(("kind", "value", "becomes"), GOOD)
def test_good_values(kind: str, value: object, becomes: object) -> None:
    """Checked and turned into what our code wants."""
    assert KINDS[kind].check(value) == becomes


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_bad_values(kind: str, value: object) -> None:
    """The error is a rule that says what is expected."""
    with pytest.raises(WrongValue, match="expected"):
        KINDS[kind].check(value)


def test_a_cut_duration_gives_advice() -> None:
    """Half a second becomes the default; the person should know."""
    assert KINDS["duration"].advice(0.5) == 'cut to 0 whole seconds, as the original does; write "500ms"'
    assert KINDS["duration"].advice(15) == ""


TOML_VALUES = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.just(dt.date(2022, 11, 9))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.sampled_from(sorted(KINDS)), TOML_VALUES)
def test_any_value_is_good_or_wrong(kind: str, value: object) -> None:
    """No other exception leaves a checker."""
    try:
        KINDS[kind].check(value)
    except WrongValue:
        return
