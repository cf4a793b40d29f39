"""A query for whoever lacks some of its metrics: what could never have a sample is cut out. Pure.

`A unless B` is A where B is never there, `A and B` is nothing, `A or B` is the other side. So the rules for those who
have nothing but `up` and kube-proxy's own metrics are the same rules, with the parts gone that need an agent of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.model.labels import METRIC_NAME
from kpwatch.promql.pretty import pretty
from kpwatch.promql.syntax import parse_syntax

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpwatch.promql.syntax import Syntax

_SELECTORS = ("vectorSelector", "matrixSelector")


def pruned(query: str, is_absent: Callable[[str], bool]) -> str | None:
    """The query without the metrics that `is_absent` names, laid out; None where nothing would ever be left of it."""
    left = _prune(parse_syntax(query), is_absent)
    return None if left is None else pretty(left)


def groups_by(query: str, label: str) -> bool:
    """Whether what the query gives has this label."""
    return _has_label(parse_syntax(query), label)


def _prune(node: Syntax, is_absent: Callable[[str], bool]) -> Syntax | None:
    kind = node["type"]
    if kind in _SELECTORS:
        return None if is_absent(_name(node)) else node
    if kind == "binaryExpr":
        return _prune_binary(node, is_absent)
    if kind == "call":
        arguments = [_prune(argument, is_absent) for argument in node["args"]]
        return None if None in arguments else {**node, "args": arguments}
    if "expr" in node:
        inner = _prune(node["expr"], is_absent)
        return None if inner is None else {**node, "expr": inner}
    return node


def _prune_binary(node: Syntax, is_absent: Callable[[str], bool]) -> Syntax | None:
    left, right = _prune(node["lhs"], is_absent), _prune(node["rhs"], is_absent)
    if node["op"] == "or" and (left is None or right is None):
        return left if right is None else right
    if node["op"] == "unless" and right is None:
        return left
    return None if left is None or right is None else {**node, "lhs": left, "rhs": right}


def _name(selector: Syntax) -> str:
    named = (one["value"] for one in selector["matchers"] if one["name"] == METRIC_NAME)
    return str(selector["name"]) or next(named, "")


def _has_label(node: Syntax, label: str) -> bool:
    kind = node["type"]
    if kind == "aggregation":
        return (label in node["grouping"]) is not bool(node["without"])
    if kind == "binaryExpr":
        return _has_label(node["lhs"], label) or (
            node["op"] not in ("and", "unless") and _has_label(node["rhs"], label)
        )
    if kind == "call":
        return any(_has_label(argument, label) for argument in node["args"])
    return kind in _SELECTORS or ("expr" in node and _has_label(node["expr"], label))
