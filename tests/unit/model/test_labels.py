"""Label sets are sorted, unique and without empty values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpwatch.model.labels import Labels, join_target, label_value, make_labels, metric_name, split_target

MADE = [
    ({}, ()),
    ({"b": "1", "a": "2"}, (("a", "2"), ("b", "1"))),
    ([("a", "1"), ("a", "2")], (("a", "2"),)),
    ({"a": "", "b": "1"}, (("b", "1"),)),
    ([("a", "1"), ("a", "")], ()),
    ({"a": "1", "Z": "2", "_": "3"}, (("Z", "2"), ("_", "3"), ("a", "1"))),
]


@pytest.mark.parametrize(("pairs", "expected"), MADE)
def test_made(pairs: dict[str, str] | list[tuple[str, str]], expected: Labels) -> None:
    """Sorted by code point; of a name that comes twice the last value counts; an empty value is no label."""
    assert make_labels(pairs) == expected


def test_looked_up() -> None:
    """An absent label is the empty text."""
    labels = make_labels({"__name__": "up", "job": "kube-proxy"})
    assert (metric_name(labels), label_value(labels, "job"), label_value(labels, "x")) == ("up", "kube-proxy", "")
    assert metric_name(()) == ""


@given(st.dictionaries(st.sampled_from(["__name__", "ident", "job", "le", "a", "zone"]), st.text()))
def test_a_series_splits_and_joins(pairs: dict[str, str]) -> None:
    """Where it was scraped and what it is; together again they are the same labels."""
    labels = make_labels(pairs)
    target, column = split_target(labels)
    assert {name for name, _ in target} <= {"ident", "job", "zone"}
    assert join_target(target, column) == labels
