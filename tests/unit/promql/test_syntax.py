"""Syntax trees in Prometheus' shape, and queries laid out; the words are those of translate_ast.go and printer.go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kpwatch.base.errors import BadQuery
from kpwatch.promql.pretty import pretty, quote
from kpwatch.promql.syntax import parse_syntax

REAL = Path(__file__).parents[2] / "real" / "queries.promql"
QUERIES = [line for line in REAL.read_text().splitlines() if line and line[0] != "#" and "holt_w" not in line]


def selector(name: str, *matchers: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    named = (*matchers, ("__name__", "=", name)) if name else matchers
    plain = {"offset": 0, "offsetExpr": None, "timestamp": None, "startOrEnd": None}
    plain |= {"anchored": False, "smoothed": False}
    shown = [{"name": label, "type": op, "value": value} for label, op, value in named]
    return {"type": "vectorSelector", "name": name, "matchers": shown, **plain, **more}


RATE = {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"}
NO_FILL = {"lhs": None, "rhs": None}
UP = selector("up")
UP_5M = selector("up", type="matrixSelector", range=300_000, rangeExpr=None)


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("up", UP),
        ('up{job="a",x!~"b.*"}', selector("up", ("job", "=", "a"), ("x", "!~", "b.*"))),
        ('{__name__="up"}', selector("", ("__name__", "=", "up"))),
        ("up offset 5m", selector("up", offset=300_000)),
        ("up offset -5m @ 3.5", selector("up", offset=-300_000, timestamp=3500)),
        ("up @ -1", selector("up", timestamp=-1000)),
        ("up @ start()", selector("up", startOrEnd="start")),
        ("smoothed smoothed", selector("smoothed", smoothed=True)),
        ("up[5m] offset 1s anchored", {**UP_5M, "anchored": True, "offset": 1000}),
        ("1e3", {"type": "numberLiteral", "val": "1000"}),
        ("1.5e-7", {"type": "numberLiteral", "val": "0.00000015"}),
        ("-Inf", {"type": "numberLiteral", "val": "-Inf"}),
        ('"a"', {"type": "stringLiteral", "val": "a"}),
        ("(up)", {"type": "parenExpr", "expr": UP}),
        ("-up", {"type": "unaryExpr", "op": "-", "expr": UP}),
        ("rate(up[5m])", {"type": "call", "func": RATE, "args": [UP_5M]}),
        ("up[5m:] @ end()", {
            "type": "subquery", "expr": UP, "range": 300_000, "rangeExpr": None, "step": 0, "stepExpr": None,
            "offset": 0, "offsetExpr": None, "timestamp": None, "startOrEnd": "end",
        }),
        ("sum(up)", {
            "type": "aggregation", "op": "sum", "expr": UP, "param": None, "grouping": [], "without": False,
        }),
        ("topk without(a,b)(3, up)", {
            "type": "aggregation", "op": "topk", "expr": UP, "param": {"type": "numberLiteral", "val": "3"},
            "grouping": ["a", "b"], "without": True,
        }),
        ("up > bool 1", {
            "type": "binaryExpr", "op": ">", "lhs": UP, "rhs": {"type": "numberLiteral", "val": "1"},
            "matching": None, "bool": True,
        }),
        ("up + up", {
            "type": "binaryExpr", "op": "+", "lhs": UP, "rhs": UP, "bool": False,
            "matching": {"card": "one-to-one", "labels": [], "on": False, "include": [], "fillValues": NO_FILL},
        }),
        ("up and up", {
            "type": "binaryExpr", "op": "and", "lhs": UP, "rhs": UP, "bool": False,
            "matching": {"card": "many-to-many", "labels": [], "on": False, "include": [], "fillValues": NO_FILL},
        }),
        ("up * on(a) group_left(b) up", {
            "type": "binaryExpr", "op": "*", "lhs": UP, "rhs": UP, "bool": False,
            "matching": {"card": "many-to-one", "labels": ["a"], "on": True, "include": ["b"], "fillValues": NO_FILL},
        }),
    ],
)  # fmt: skip
def test_trees(query: str, tree: dict) -> None:
    """As /parse_query tells them."""
    assert parse_syntax(query) == tree


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("sum(up)by(job)", "sum by (job) (up)"),
        ("sum by()(up)", "sum(up)"),
        ("sum without()(up)", "sum without () (up)"),
        ("a/ignoring(x)b", "a / ignoring (x) b"),
        ("a*on()group_right b", "a * on () group_right () b"),
        ("up[90m:30s]@5.5 offset 1d", "up[1h30m:30s] @ 5.500 offset 1d"),
        ("up[36h] offset -1w", "up[1d12h] offset -1w"),
        ("up[1001ms]", "up[1s1ms]"),
        ('up{z="1",a!="2"}', 'up{a!="2",z="1"}'),
        ('{"a.b","c d"="x"}', '{"c d"="x",__name__="a.b"}'),
        ('sum by ("a b") (up)', 'sum by ("a b") (up)'),
        ("1e30", "1000000000000000000000000000000"),
        ("up # why", "up"),
        ("up[step()]", "up[step()]"),
        ("rate(up[STEP( )*2 :1m])", "rate(up[step() * 2:1m])"),
        ("up offset (step()*2)", "up offset (step() * 2)"),
        ("up offset -step()", "up offset -step()"),
        ("up offset -(1h/2)", "up offset -(1h / 2)"),
        ("up offset +1m", "up offset 1m"),
        ("up offset 0s", "up"),
        ("up offset (0s)", "up offset (0s)"),
        ("up[((1m))]", "up[(1m)]"),
        ("up[min_of(step(), range()+1m)]", "up[min_of(step(), range() + 1m)]"),
        ("up[-(-1h)]", "up[-(-1h)]"),
        ("up[--1h]", "up[1h]"),
        ("up[-1h*-1]", "up[-1h * -1]"),
        ("up[-2^2+1h30m]", "up[-2 ^ 2 + 1h30m]"),
        ("up[0x10+1_000]", "up[16 + 1000]"),
        ("up[1m-2m-3m]", "up[1m - 2m - 3m]"),
        ("up[5*1m:step()*2]", "up[5 * 1m:step() * 2]"),
        ("up[(2^3)^2]", "up[(2 ^ 3) ^ 2]"),
        ("up[+(step()+1)] @ 5", "up[(step() + 1)] @ 5.000"),
    ],
)
def test_layout(query: str, text: str) -> None:
    """One space, one order."""
    assert pretty(parse_syntax(query)) == text


def test_computed_durations() -> None:
    """Their syntax stands beside a zero, signs of literals within them."""
    literal = {"type": "numberLiteral", "val": "-3600", "duration": True}
    step = {"type": "durationExpr", "op": "step", "lhs": None, "rhs": None, "wrapped": False}
    times = {"type": "durationExpr", "op": "*", "lhs": literal, "rhs": step, "wrapped": True}
    assert parse_syntax("up[(-1h * step())]") == selector("up", type="matrixSelector", range=0, rangeExpr=times)


@pytest.mark.parametrize(
    "query", ["up[0s]", "up[-1m]", "up[1m:0s]", "up[inf]", "up[1m/0]", "up[300y]", "rate(up[(step()])"]
)
def test_durations_that_are_never_right(query: str) -> None:
    """Literals are judged as they stand."""
    with pytest.raises(BadQuery, match="parse error"):
        parse_syntax(query)


def test_long_queries_have_a_part_a_line() -> None:
    """More than 100 characters are split where they nest."""
    long = "x" * 60
    query = f"-(max_over_time(({long} + {long})[1h:5m]) > 1)"
    assert pretty(parse_syntax(query)).splitlines() == [
        "-(",
        "    max_over_time(",
        "      (",
        f"          {long}",
        "        +",
        f"          {long}",
        "      )[1h:5m]",
        "    )",
        "  >",
        "    1",
        ")",
    ]


def in_order(tree: Any) -> Any:
    """The tree with every selector's matchers sorted."""
    if isinstance(tree, list):
        return [in_order(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    inner = {name: in_order(one) for name, one in tree.items()}
    return inner | ({"matchers": sorted(map(str, inner["matchers"]))} if "matchers" in inner else {})


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_laid_out_means_the_same(query: str) -> None:
    """The text parses to the same tree, but for the order of matchers; laid out again it stays."""
    text = pretty(parse_syntax(query))
    assert in_order(parse_syntax(text)) == in_order(parse_syntax(query))
    assert pretty(parse_syntax(text)) == text


@pytest.mark.parametrize("query", ["up{", "rate(up)", "info(up)", "", "(" * 60 + "up" + ")" * 60, "+".join("a" * 600)])
def test_what_is_no_query_has_no_tree(query: str) -> None:
    """What is not evaluated is not shown."""
    with pytest.raises(BadQuery):
        parse_syntax(query)


@pytest.mark.parametrize("query", ["+".join(["a"] * 500), "+".join(["1"] * 500), "^".join(["a"] * 100)])
def test_long_chains(query: str) -> None:
    """As long as queries may be: a tree, a text, no recursion's end."""
    tree = parse_syntax(query)
    assert json.dumps(tree)
    assert pretty(tree).split() == list(query)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a", '"a"'), ('a"b\\', r'"a\"b\\"'), ("\n\t\x07", r'"\n\t\a"'), ("节é", '"节é"'), ("\x01", r'"\x01"'),
        ("\u200b", r'"\u200b"'), ("\udcff", r'"\xff"'), ("\U000e0001", r'"\U000e0001"'),
    ],
)  # fmt: skip
def test_quoting(text: str, quoted: str) -> None:
    """As Go's strconv.Quote."""
    assert quote(text) == quoted
