"""What series are admitted, under which labels."""

from __future__ import annotations

import pytest

from kpwatch.base.errors import BadInput
from kpwatch.receive.labels import admit, series_text
from kpwatch.receive.limits import ReceiveOptions

LIMITS = ReceiveOptions(labels_per_series=4, label_name_bytes=8, label_value_bytes=10)
NAME = ("__name__", "m")


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ([("agent_hostname", "n")], [("ident", "n")]),
        ([("agent_hostname", "n"), ("ident", "i")], [("agent_hostname", "n"), ("ident", "i")]),
        ([("agent_hostname", "n"), ("ident", "")], [("ident", "n")]),
        ([("agent_hostname", ""), ("ident", "")], []),
        ([("host", "h")], [("host", "h")]),
        ([("z", "1"), ("a", "2")], [("a", "2"), ("z", "1")]),
        ([("empty", "")], []),
        ([("a.b", "dots"), ("节点", "一")], [("a.b", "dots"), ("节点", "一")]),
        ([], []),
    ],
)
def test_labels_as_they_are_stored(sent: list, stored: list) -> None:
    """`agent_hostname` becomes `ident` where that is absent or empty; empty labels go; the rest is sorted."""
    options = ReceiveOptions()
    assert admit((NAME, *sent), options, host_is_ident=False) == tuple(sorted([NAME, *stored]))


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ([("host", "h")], [("ident", "h")]),
        ([("agent_hostname", "n"), ("host", "h")], [("host", "h"), ("ident", "n")]),
        ([("host", "h"), ("ident", "i")], [("host", "h"), ("ident", "i")]),
    ],
)
def test_host_is_the_last_resort_and_only_when_asked(sent: list, stored: list) -> None:
    """`?ignore_host=false` lets `host` become `ident`."""
    assert admit((NAME, *sent), ReceiveOptions(), host_is_ident=True) == tuple(sorted([NAME, *stored]))


@pytest.mark.parametrize(
    ("pairs", "rule"),
    [
        ((), "no labels at all"),
        ((("job", "x"),), "no metric name"),
        ((("__name__", ""),), "no metric name"),
        ((NAME, ("a", "1"), ("a", "1")), '"a" comes more than once'),
        ((NAME, ("a", ""), ("a", "1")), '"a" comes more than once'),
        ((NAME, NAME), '"__name__" comes more than once'),
        ((NAME, ("", "x")), "without a name"),
        ((NAME, *((c, "1") for c in "abcd")), "5 labels, the limit is 4"),
        ((NAME, ("a" * 9, "1")), "name has 9 bytes, the limit is 8"),
        ((NAME, ("a", "节点节点")), '"a" has 12 bytes, the limit is 10'),
    ],
)
def test_a_refused_series_is_named_with_its_rule(pairs: tuple, rule: str) -> None:
    """The sentence has the series and the rule."""
    with pytest.raises(BadInput) as refused:
        admit(pairs, LIMITS, host_is_ident=False)
    assert rule in str(refused.value)
    assert series_text(pairs) in str(refused.value)


def test_a_long_series_is_cut_in_sentences() -> None:
    """A sentence stays a sentence whatever is sent."""
    assert len(series_text([NAME, ("a", "x" * 10_000)])) <= 201
