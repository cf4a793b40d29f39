"""Matchers choose series as Prometheus does."""

from __future__ import annotations

import pytest

from kpwatch.base.errors import BadQuery
from kpwatch.model.labels import make_labels
from kpwatch.model.matchers import Matcher, MatchOp, matches_all

LABELS = make_labels({"__name__": "up", "job": "kube-proxy", "text": "a\nb"})

TABLE = [
    # name, op, value, does it match LABELS
    ("job", "=", "kube-proxy", True),
    ("job", "=", "kube", False),
    ("job", "!=", "kube", True),
    ("absent", "=", "", True),
    ("absent", "!=", "", False),
    ("job", "=~", "kube.*", True),
    ("job", "=~", "kube", False),
    ("job", "=~", "proxy|kube-proxy", True),
    ("job", "=~", "kube|proxy", False),
    ("job", "!~", "kube", True),
    ("job", "!~", ".+", False),
    ("absent", "=~", ".*", True),
    ("absent", "=~", ".+", False),
    ("absent", "!~", "", False),
    ("job", "=~", "(?i)KUBE-PROXY", True),
    ("text", "=~", "a.b", True),
    ("text", "=~", "a", False),
    ("text", "=~", ".*", True),
    ("text", "!~", ".*", False),
    ("text", "=~", ".+", True),
    ("job", "=~", "a||b", False),
    ("absent", "=~", "a||b", True),
    ("absent", "=~", "|", True),
    ("job", "=~", "kube-proxy", True),
    ("job", "!~", "x|kube-proxy", False),
    ("job", "=~", "x|kube.proxy", True),
    ("job", "=~", "kube-proxy$", True),
]


@pytest.mark.parametrize(("name", "op", "value", "expected"), TABLE)
def test_matches(name: str, op: MatchOp, value: str, expected: bool) -> None:
    """Regular expressions are anchored, `.` matches a newline, an absent label is empty."""
    assert Matcher(name, op, value).matches(LABELS) is expected


@pytest.mark.parametrize("pattern", ["(", "a**", r"\1", "(?=a)"])
def test_a_bad_pattern_is_the_querys_fault(pattern: str) -> None:
    """RE2 has no look-ahead and no back references; the error shows the pattern."""
    with pytest.raises(BadQuery, match="bad regular expression"):
        Matcher("job", "=~", pattern).matches(LABELS)


def test_all_must_match() -> None:
    """A selector is a conjunction; an empty one matches everything."""
    assert matches_all([], LABELS)
    assert matches_all([Matcher("job", "=", "kube-proxy"), Matcher("x", "=", "")], LABELS)
    assert not matches_all([Matcher("job", "=", "kube-proxy"), Matcher("x", "=", "1")], LABELS)


def test_shown_as_written() -> None:
    """A matcher's text is PromQL."""
    assert str(Matcher("a", "!~", 'x"\\\n')) == r'a!~"x\"\\\n"'
