"""Where calls and their arguments stand."""

from __future__ import annotations

import pytest

from kpwatch.promql.lexer import tokens
from kpwatch.promql.parse import parse
from kpwatch.promql.places import find_places
from kpwatch.promql.tree import Aggregation, Binary

PLACES = [
    ("a + 1", []),
    ("rate(a[5m])", [("1:1", "1:6")]),
    ("  rate ( a[5m] )", [("1:3", "1:10")]),
    ("f(1, g(2), 3)", [("1:1", "1:3", "1:6", "1:12"), ("1:6", "1:8")]),
    ("time()", [("1:1",)]),
    ("sum by (a) (b)", [("1:1", "1:13")]),
    ("sum(b) by (a)", [("1:1", "1:5")]),
    ("topk without (a, b) (3, c)", [("1:1", "1:22", "1:25")]),
    ("sum without () (b)", [("1:1", "1:17")]),
    ("a and (b) or (c)", []),
    ("a * on (x) group_left (y) (b)", []),
    ("a @ start() + f(b @ end ())", [("1:15", "1:17")]),
    ("a > bool (b)", []),
    ("# f(x)\nf(\n  x)", [("2:1", "3:3")]),
    ('f({a="é"}, b)', [("1:1", "1:3", "1:13")]),
    ("f(a{b=\"c,d\",e='f'}[5m:1m], g)", [("1:1", "1:3", "1:28")]),
    ("f(((a)), b)", [("1:1", "1:3", "1:10")]),
]


@pytest.mark.parametrize(("query", "places"), PLACES, ids=[query for query, _ in PLACES])
def test_places_are_lines_and_columns_in_bytes(query: str, places: list[tuple[str, ...]]) -> None:
    """Both from 1, the call itself first."""
    assert list(find_places(list(tokens(query)))) == places


def test_calls_get_their_own_places_whatever_stands_around_them() -> None:
    """The tree is walked as the text is written: parameter before expression, left before right."""
    node = parse("topk(scalar(a), rate(b[5m])) + sum(c) by (x) - max(d)")
    assert isinstance(node, Binary)
    assert isinstance(node.left, Binary)
    topk, total, most = node.left.left, node.left.right, node.right
    assert isinstance(topk, Aggregation)
    assert isinstance(total, Aggregation)
    assert isinstance(most, Aggregation)
    assert topk.places == ("1:1", "1:6", "1:17")
    assert total.places == ("1:32", "1:36")
    assert most.places == ("1:48", "1:52")
