"""Matchers on labels of a target are asked of targets, others of columns; only pairs that exist are found."""

from __future__ import annotations

import pytest

from kpwatch.base.errors import BadQuery
from kpwatch.model.frames import Layout
from kpwatch.model.labels import make_labels
from kpwatch.model.matchers import Matcher
from kpwatch.store.catalog import Catalog
from kpwatch.store.index import find


def series(name: str, **labels: str) -> tuple[tuple[str, str], ...]:
    return make_labels({"__name__": name, **labels})


UP = Layout((series("up"),))
BOTH = Layout((series("up"), series("syncs", mode="iptables"), series("syncs", mode="nft")))


def catalog() -> Catalog:
    """node-a has all three columns from 0 to 100, node-b only `up` at 200."""
    made = Catalog()
    for ident, shape, times in (("node-a", BOTH, (0, 100)), ("node-b", UP, (200,))):
        where = made.target(make_labels({"ident": ident, "job": "kube-proxy"}))
        for at in times:
            where.saw(made.resolve(shape)[0], at)
    return made


CASES = (
    # matchers, from, to, found: target and columns
    ([], 0, 300, {"node-a": [1, 2, 3], "node-b": [1]}),
    ([], 101, 199, {}),
    ([], 100, 200, {"node-a": [1, 2, 3], "node-b": [1]}),
    ([Matcher("__name__", "=", "up")], 0, 300, {"node-a": [1], "node-b": [1]}),
    ([Matcher("__name__", "!=", "up")], 0, 300, {"node-a": [2, 3]}),
    ([Matcher("__name__", "=~", "s.*")], 0, 300, {"node-a": [2, 3]}),
    ([Matcher("__name__", "=", "nothing")], 0, 300, {}),
    ([Matcher("mode", "=", "nft")], 0, 300, {"node-a": [3]}),
    ([Matcher("mode", "=", "")], 0, 300, {"node-a": [1], "node-b": [1]}),
    ([Matcher("mode", "!~", "nft|")], 0, 300, {"node-a": [2]}),
    ([Matcher("ident", "=", "node-b")], 0, 300, {"node-b": [1]}),
    ([Matcher("ident", "!=", "node-b"), Matcher("mode", "!=", "")], 0, 300, {"node-a": [2, 3]}),
    ([Matcher("cluster", "=", "")], 0, 300, {"node-a": [1, 2, 3], "node-b": [1]}),
    ([Matcher("cluster", "!=", "")], 0, 300, {}),
    ([Matcher("ident", "=~", "node-."), Matcher("ident", "=~", ".*a")], 0, 300, {"node-a": [1, 2, 3]}),
)


@pytest.mark.parametrize(("matchers", "start", "end", "expected"), CASES)
def test_find(matchers: list[Matcher], start: int, end: int, expected: dict[str, list[int]]) -> None:
    """A table of selectors."""
    found = find(catalog(), matchers, start, end)
    assert {dict(target.labels)["ident"]: columns.tolist() for target, columns in found} == expected


def test_a_bad_regular_expression_is_the_callers_error() -> None:
    """Also where nothing would be asked of it."""
    with pytest.raises(BadQuery):
        find(catalog(), [Matcher("__name__", "=~", "(")], 0, 300)
