"""Text to tree, and what is refused."""

from __future__ import annotations

import math

import pytest

from kpwatch.base.errors import BadQuery
from kpwatch.model.matchers import Matcher
from kpwatch.promql.parse import parse
from kpwatch.promql.tree import (
    Aggregation,
    Binary,
    Call,
    Matching,
    Negation,
    Node,
    Number,
    Range,
    Selector,
    Subquery,
    Text,
    When,
)

HERE = When()


def named(name: str, when: When = HERE) -> Selector:
    """A selector of one metric."""
    return Selector((Matcher("__name__", "=", name),), when)


A, B = named("a"), named("b")

TREES: list[tuple[str, Node]] = [
    ("1", Number(1.0)),
    ("-1", Number(-1.0)),
    ("0x1F", Number(31.0)),
    ("1_000", Number(1000.0)),
    ("5m", Number(300.0)),
    ('"a\\n"', Text("a\n")),
    ("a", A),
    ("((a))", A),
    ("+a", A),
    ("-a", Negation(A)),
    ('{__name__="a"}', A),
    ('{"a"}', A),
    ('a{b="c",d!~"e.*"}', Selector((*A.matchers, Matcher("b", "=", "c"), Matcher("d", "!~", "e.*")), When())),
    ("a offset 5m", named("a", When(300_000))),
    ("a offset -5m", named("a", When(-300_000))),
    ("a @ 1.5", named("a", When(0, 1500))),
    ("a @ -1.5 offset 1s", named("a", When(1000, -1500))),
    ("a @ -0x10", named("a", When(0, -16_000))),
    ("a @ start()", named("a", When(0, "start"))),
    ("a @ end()", named("a", When(0, "end"))),
    ("a[5m]", Range(A, 300_000)),
    ("a[90]", Range(A, 90_000)),
    ("a[5m] offset 1m", Range(named("a", When(60_000)), 300_000)),
    ("a[1m * 2]", Range(A, 120_000)),
    ("a offset (step() + 1m)", named("a", When(60_000))),
    ("inF", Number(math.inf)),
    ("a[5m:]", Subquery(A, 300_000, None, When())),
    ("a[5m:1m] @ end() offset 2m", Subquery(A, 300_000, 60_000, When(120_000, "end"))),
    ('{x!~""}', Selector((Matcher("x", "!~", ""),), When())),
    ('{x!~".*"}', Selector((Matcher("x", "!~", ".*"),), When())),
    ("rate(a[1m])", Call("rate", (Range(A, 60_000),))),
    ("a - b - 1", Binary("-", Binary("-", A, B, Matching(), False), Number(1.0), Matching(), False)),
    ("2 ^ 3 ^ 2", Binary("^", Number(2), Binary("^", Number(3), Number(2), Matching(), False), Matching(), False)),
    ("-2 ^ 2", Negation(Binary("^", Number(2), Number(2), Matching(), False))),
    ("a > bool b", Binary(">", A, B, Matching(), True)),
    ("a and b", Binary("and", A, B, Matching("many-to-many"), False)),
    ("a or on(x) b", Binary("or", A, B, Matching("many-to-many", True, ("x",)), False)),
    ("a * ignoring(x) b", Binary("*", A, B, Matching("one-to-one", False, ("x",)), False)),
    ("a * on(x) group_left(y) b", Binary("*", A, B, Matching("many-to-one", True, ("x",), ("y",)), False)),
    ("a * on(x) group_right b", Binary("*", A, B, Matching("one-to-many", True, ("x",)), False)),
    ("sum(a)", Aggregation("sum", A, None, (), False)),
    ("sum(a) by (x, y)", Aggregation("sum", A, None, ("x", "y"), False)),
    ("sum without () (a)", Aggregation("sum", A, None, (), True)),
    ("topk(3, a)", Aggregation("topk", A, Number(3.0), (), False)),
    ('count_values("v", a)', Aggregation("count_values", A, Text("v"), (), False)),
]  # fmt: skip

REFUSED = [
    ("", "parse error"),
    ("a{", "parse error"),
    ("a b", "parse error"),
    ("{}", "at least one non-empty matcher"),
    ('{a!~".+"}', "parse error: vector selector must contain at least one non-empty matcher"),
    ('{a=~"x|"}', "at least one non-empty matcher"),
    ("rate(a)", "rate"),
    ("nosuch(a)", "nosuch"),
    ("1 == 2", "BOOL"),
    ("a[5m] + 1", "binary expression"),
    ("a[0s]", "greater than 0"),
    ('a{b=~"("}', "bad regular expression"),
    ('a{b="\\xff"}', "not valid UTF-8"),
    ('{a="b" or c="d"}', "not supported"),
    ("a + fill(0) b", "not supported"),
    ("a * on(x) group_left(x) b", "must not occur in ON and GROUP"),
    ("histogram_count(a)", "not supported"),
    ("info(a)", "not supported"),
    ("a[5m:] smoothed", "not supported for subqueries"),
    ("topk('a', b)", "expected type scalar"),
    ("limitk(a, b)", "expected type scalar in aggregation parameter, got instant vector"),
    ("count_values(1 + 2, b)", "string"),
    ('sum by ("") (a)', "invalid label name for grouping"),
    ('a{b=~"\\\\C"}', "invalid escape sequence"),
    ("a @ 1e300", "@"),
    ("a @ nan", "@"),
    ("a @ -1e300", "out of bounds"),
    ("a @ -1e400", "out of range"),
    ("a[300y]", "out of range"),
    ("{{schema:0}}", "native histograms are not supported"),
]


@pytest.mark.parametrize(("query", "tree"), TREES, ids=[query for query, _ in TREES])
def test_a_query_becomes_this_tree(query: str, tree: Node) -> None:
    """One node per meaning; parentheses and the parser's types are gone."""
    assert parse(query) == tree


@pytest.mark.parametrize(("query", "says"), REFUSED, ids=[query for query, _ in REFUSED])
def test_what_is_no_promql_or_not_supported_is_refused_with_a_reason(query: str, says: str) -> None:
    """BadQuery, which the API answers as bad_data."""
    with pytest.raises(BadQuery, match=says):
        parse(query)


def test_a_long_chain_is_one_level_deep() -> None:
    """A generated `a or a or …` needs no recursion of ours."""
    node = parse(" or ".join(["a"] * 500))
    for _ in range(499):
        assert isinstance(node, Binary)
        assert node.right == A
        node = node.left
    assert node == A


def test_a_tree_that_is_too_deep_is_refused() -> None:
    """`^` leans to the right: every operator is a level."""
    with pytest.raises(BadQuery, match="levels deep"):
        parse("^".join(["2"] * 400))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (
            "1 +\n rate(up)",
            '2:7: parse error: expected type range vector in call to function "rate", got instant vector',
        ),
        ("foo()", '1:1: parse error: unknown function with name "foo"'),
        ("vector('a')", '1:8: parse error: expected type scalar in call to function "vector", got string'),
        ("1 + abs()", '1:5: parse error: expected 1 argument(s) in call to "abs", got 0'),
        ("sum(1)", "parse error: expected type instant vector in aggregation expression, got scalar"),
        ("up and 1", 'parse error: set operator "and" not allowed in binary scalar expression'),
        ("up{__name__='x'}", 'parse error: metric name must not be set twice: "up" or "x"'),
    ],
)
def test_reasons_are_told_in_prometheus_words(query: str, sentence: str) -> None:
    """With the place, where it is certain."""
    with pytest.raises(BadQuery) as bad:
        parse(query)
    assert str(bad.value) == sentence
