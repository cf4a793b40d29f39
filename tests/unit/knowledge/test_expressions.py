"""The words of a check's PromQL, in a cluster and at a desk."""

from __future__ import annotations

import pytest

from kpwatch.knowledge.expressions import Words, expand, in_cluster

DESK = Words("15001ms", "15s", "5m", desk=True)
TERMS = {"failed": "failed", "one": "b", "two": "$one + $one", "round": "$round"}


@pytest.mark.parametrize(
    ("expression", "cluster", "desk"),
    [
        ("up == 0", "up == 0", "up == 0"),
        ("rate(a[$window]) > 1", "rate(a[2m]) > 1", "rate(a[15001ms]) > 1"),
        ("a unless a offset $before", "a unless a offset 2m", "a unless a offset 15s"),
        ("increase(a[$recent])", "increase(a[2m])", "increase(a[5m])"),
        ("$two\n  > 0", "(b + b) > 0", "(b + b) > 0"),
        (
            "sum($grown($failed)) > 0",
            ("sum(((failed unless failed offset 2m) and on (ident, instance) (up offset 2m == 1 or "
            "timestamp(process_start_time_seconds) - process_start_time_seconds < 120) "
            "or increase(failed[2m]))) > 0"),
            "sum(increase(failed[5m])) > 0",
        ),
    ],
)  # fmt: skip
def test_words(expression: str, cluster: str, desk: str) -> None:
    """What they stand for."""
    assert expand(expression, TERMS, in_cluster("2m")) == cluster
    assert expand(expression, TERMS, DESK) == desk


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("a > $nothing", r"\$nothing is no word"),
        ("$round", r"\$round holds itself"),
        ("$grown(a", "never closed"),
    ],
)
def test_words_that_mean_nothing(expression: str, says: str) -> None:
    """Are errors that name them."""
    with pytest.raises(ValueError, match=says):
        expand(expression, TERMS, DESK)
