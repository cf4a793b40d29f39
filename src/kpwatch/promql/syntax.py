"""A query's syntax as Prometheus' /parse_query tells it: plain objects, parentheses included.

Shapes and words are those of web/api/v1/translate_ast.go of Prometheus 3; durations and times are milliseconds. What
`parse` refuses is refused here too, so that nothing is shown as a query that would not be evaluated. promql-parser
does not tell a `+` before a vector nor that a number was written as a duration; both are shown as what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import promql_parser

from kpwatch.model.gofloat import format_plain
from kpwatch.promql.durations import INSTANT, Shown
from kpwatch.promql.lexer import prepare
from kpwatch.promql.parse import MAX_TREE_DEPTH, Converter, matching_of, name_of, on_known_stack, parse_natively
from kpwatch.promql.strings import restore_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.model.matchers import Matcher
    from kpwatch.promql.tree import When

Syntax = dict[str, Any]

SCALAR, VECTOR, MATRIX, STRING = "scalar", "vector", "matrix", "string"


def parse_syntax(query: str) -> Syntax:
    """The syntax tree of a PromQL expression; raises BadQuery as `parse` does.

    But for durations that only a query's times make right or wrong, such as `[step() - 1m]`.
    """
    shown = Shown()
    prepared = prepare(query, INSTANT, shown)

    def work() -> Syntax:
        parsed = parse_natively(prepared.text, query)
        Converter(prepared).node(parsed, 0)
        return _Syntaxes(Converter(prepared), shown).node(parsed)

    return on_known_stack(work)


_TYPES = {"numberLiteral": SCALAR, "stringLiteral": STRING, "matrixSelector": MATRIX, "subquery": MATRIX}


class _Syntaxes:
    """Turns promql-parser's nodes into objects."""

    def __init__(self, converter: Converter, shown: Shown) -> None:
        self._converter = converter
        self._shown = shown
        self._binary_types: dict[int, str] = {}
        """By the id of a binary expression's object; all objects live until the tree is done."""

    def node(self, parsed: object) -> Syntax:
        return _TURN[type(parsed)](self, parsed)

    def paren(self, parsed: promql_parser.ParenExpr) -> Syntax:
        return {"type": "parenExpr", "expr": self.node(parsed.expr)}

    def number(self, parsed: promql_parser.NumberLiteral) -> Syntax:
        return {"type": "numberLiteral", "val": format_plain(parsed.val)}

    def text(self, parsed: promql_parser.StringLiteral) -> Syntax:
        return {"type": "stringLiteral", "val": restore_bytes(parsed.val)}

    def negation(self, parsed: promql_parser.UnaryExpr) -> Syntax:
        return {"type": "unaryExpr", "op": "-", "expr": self.node(parsed.expr)}

    def selector(self, parsed: promql_parser.VectorSelector) -> Syntax:
        selected = self._converter.selector(parsed, 0)
        matchers: Iterable[Matcher] = selected.matchers
        if parsed.name is not None:  # what stands outside the braces comes last, as Prometheus has it
            first, *others = selected.matchers
            matchers = (*others, first)
        return {
            "type": "vectorSelector",
            "name": name_of(parsed) or "",
            "matchers": [{"name": one.name, "value": one.value, "type": one.op} for one in matchers],
            **self._when(selected.when),
            "anchored": selected.extension == "anchored",
            "smoothed": selected.extension == "smoothed",
        }

    def range(self, parsed: promql_parser.MatrixSelector) -> Syntax:
        known: Any = self._converter.range(parsed, 0)
        selector = {**self.selector(parsed.vector_selector), "type": "matrixSelector"}
        return {**selector, **self._duration("range", known.range_ms)}

    def subquery(self, parsed: promql_parser.SubqueryExpr) -> Syntax:
        known: Any = self._converter.subquery(parsed, -MAX_TREE_DEPTH)
        return {
            "type": "subquery",
            "expr": self.node(parsed.expr),
            **self._duration("range", known.range_ms),
            **self._duration("step", known.step_ms),
            **self._when(known.when),
        }

    def _when(self, when: When) -> Syntax:
        is_edge = isinstance(when.at, str)
        return {
            **self._duration("offset", when.offset_ms),
            "timestamp": None if is_edge else when.at,
            "startOrEnd": when.at if is_edge else None,
        }

    def _duration(self, name: str, stand_in_ms: int | None) -> Syntax:
        milliseconds, node = self._shown.of(stand_in_ms)
        return {name: milliseconds, f"{name}Expr": node}

    def binary(self, parsed: promql_parser.BinaryExpr) -> Syntax:
        """A left-leaning chain is walked, not climbed: it may be as long as the query."""
        chain = [parsed]
        while isinstance(chain[-1].lhs, promql_parser.BinaryExpr):
            chain.append(chain[-1].lhs)
        left = self.node(chain[-1].lhs)
        for link in reversed(chain):
            right = self.node(link.rhs)
            kinds = {self._type(left), self._type(right)}
            left = {
                "type": "binaryExpr",
                "op": str(link.op),
                "lhs": left,
                "rhs": right,
                "matching": _matched(link) if kinds == {VECTOR} else None,
                "bool": link.modifier is not None and link.modifier.return_bool,
            }
            self._binary_types[id(left)] = SCALAR if kinds == {SCALAR} else VECTOR
        return left

    def _type(self, node: Syntax) -> str:
        """What a node evaluates to."""
        while node["type"] in ("parenExpr", "unaryExpr"):
            node = node["expr"]
        if node["type"] == "call":
            return str(node["func"]["returnType"])
        return _TYPES.get(node["type"]) or self._binary_types.get(id(node), VECTOR)

    def call(self, parsed: promql_parser.Call) -> Syntax:
        function = parsed.func
        return {
            "type": "call",
            "func": {
                "name": function.name,
                "argTypes": [_type_name(one) for one in function.arg_types],
                "variadic": int(function.variadic),
                "returnType": _type_name(function.return_type),
            },
            "args": [self.node(argument) for argument in parsed.args],
        }

    def aggregation(self, parsed: promql_parser.AggregateExpr) -> Syntax:
        modifier = parsed.modifier
        return {
            "type": "aggregation",
            "op": str(parsed.op),
            "expr": self.node(parsed.expr),
            "param": None if parsed.param is None else self.node(parsed.param),
            "grouping": [] if modifier is None else list(modifier.labels),
            "without": modifier is not None and modifier.type == promql_parser.AggModifierType.Without,
        }


_TURN: dict[type, Callable[[_Syntaxes, Any], Syntax]] = {
    promql_parser.ParenExpr: _Syntaxes.paren,
    promql_parser.NumberLiteral: _Syntaxes.number,
    promql_parser.StringLiteral: _Syntaxes.text,
    promql_parser.VectorSelector: _Syntaxes.selector,
    promql_parser.MatrixSelector: _Syntaxes.range,
    promql_parser.SubqueryExpr: _Syntaxes.subquery,
    promql_parser.UnaryExpr: _Syntaxes.negation,
    promql_parser.BinaryExpr: _Syntaxes.binary,
    promql_parser.Call: _Syntaxes.call,
    promql_parser.AggregateExpr: _Syntaxes.aggregation,
}


def _matched(link: promql_parser.BinaryExpr) -> Syntax:
    matching = matching_of(str(link.op), link)
    return {
        "card": matching.cardinality,
        "labels": list(matching.names),
        "on": matching.on,
        "include": list(matching.include),
        "fillValues": {"lhs": None, "rhs": None},
    }


def _type_name(value_type: object) -> str:
    return str(value_type).rpartition(".")[2].lower()
