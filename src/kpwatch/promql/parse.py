"""Text to tree: promql-parser behind a guard.

The parser runs only on what `lexer.prepare` let through, on a thread whose stack is known (musl gives threads 128 KB),
and its answer is copied into our own tree at once, so that nothing else knows it. What it accepts beyond PromQL, and
what we do not evaluate, is refused here with BadQuery; its own reasons are passed on. Trees of recent queries are kept
(dashboards ask the same again), at most `PARSED_KEPT`.
"""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import promql_parser

from kpwatch.base.errors import BadQuery
from kpwatch.model.labels import METRIC_NAME
from kpwatch.model.matchers import Matcher
from kpwatch.promql.durations import INSTANT, Span
from kpwatch.promql.faults import find_fault
from kpwatch.promql.functions import FUNCTIONS, Pointwise
from kpwatch.promql.lexer import (
    NAME_STAND_IN,
    TIME_STAND_IN_SECONDS,
    Prepared,
    extension_of,
    prepare,
    tokens,
)
from kpwatch.promql.places import place_of_fault
from kpwatch.promql.relabel import is_label_name, show_bytes
from kpwatch.promql.strings import is_text, restore_bytes
from kpwatch.promql.tree import (
    Aggregation,
    Binary,
    Call,
    Matching,
    Negation,
    Number,
    Range,
    Selector,
    Subquery,
    Text,
    When,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpwatch.model.matchers import MatchOp
    from kpwatch.promql.tree import Extension, Moment, Node

PARSER_STACK_BYTES = 16 * 1024 * 1024
PARSED_KEPT = 256
MAX_TREE_DEPTH = 120
MAX_DURATION_MS = 2**63 // 1_000_000  # Prometheus keeps durations as int64 nanoseconds

_OF_SPAN = re.compile(r"\b(?:step|range)\b", re.IGNORECASE)
_AS_PROMETHEUS_SAYS = (
    (re.compile(r"\b(expected type|got) matrix\b"), r"\1 range vector"),
    (re.compile(r"\b(expected type|got) vector\b"), r"\1 instant vector"),
    (re.compile(r"\b(function|name|operator|to|twice:|or) '([^']*)'"), r'\1 "\2"'),
)
"""Words of the parser's sentences, and Prometheus' for the same."""
_STACK_SIZE_LOCK = threading.Lock()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

SCALAR_FUNCTIONS = frozenset({"pi", "scalar", "time"})
SET_OPERATORS = frozenset({"and", "or", "unless"})

_HERE = threading.local()
"""Whether this thread's stack is known."""

Result = TypeVar("Result")
Cardinality = Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"]


def parse(query: str, span: Span = INSTANT) -> Node:
    """The tree of a PromQL expression; raises BadQuery saying why where it is none or not supported.

    `span` is what step() and range() mean between brackets.
    """
    return _parse(query, span if _may_ask_for_span(query) else INSTANT)


@lru_cache(maxsize=PARSED_KEPT)
def _one_for_all(matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    """One object for all who select the same: a store knows again what it selected by that."""
    return matchers


@lru_cache(maxsize=PARSED_KEPT)
def _may_ask_for_span(query: str) -> bool:
    return _OF_SPAN.search(query) is not None


@lru_cache(maxsize=PARSED_KEPT)
def _parse(query: str, span: Span) -> Node:
    prepared = prepare(query, span)
    return on_known_stack(lambda: Converter(prepared).node(parse_natively(prepared.text, query), 0))


def parse_ahead(queries: Iterable[str]) -> None:
    """Parse several queries on one thread; what is wrong with one is told to whoever asks for it."""

    def work() -> None:
        _HERE.is_known = True
        for query in queries:
            with suppress(BadQuery):
                parse(query)

    on_known_stack(work)


def forget_trees() -> None:
    """Parse everything anew."""
    _parse.cache_clear()


def parse_natively(text: str, query: str = "") -> promql_parser.Expr:
    """The parser's own tree of a prepared query; raises BadQuery with its reason and, if sure, the place in `query`."""
    try:
        parsed: promql_parser.Expr = promql_parser.parse(text)
    except (ValueError, OverflowError) as error:
        said = str(error)
        stream = list(tokens(query))
        place = place_of_fault(stream, said)
        if not place and (fault := find_fault(stream)):
            raise BadQuery(fault) from error
        for pattern, words in _AS_PROMETHEUS_SAYS:
            said = pattern.sub(words, said)
        raise BadQuery(f"{place}: parse error: {said}" if place else f"parse error: {said}") from error
    return parsed


def on_known_stack(work: Callable[[], Result]) -> Result:
    """`work()` on a fresh thread with PARSER_STACK_BYTES of stack, or at once on one that `parse_ahead` has begun."""
    if getattr(_HERE, "is_known", False):
        return _without_panic(work)
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread; Rust panics are BaseException
            failure.append(error)

    thread = threading.Thread(target=run, name="promql-parse")
    with _STACK_SIZE_LOCK:
        previous = threading.stack_size(PARSER_STACK_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(previous)
    thread.join()
    if failure:
        raise _told(failure[0]) from failure[0]
    return outcome[0]


def _without_panic(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except BaseException as error:
        raise _told(error) from error


def _told(error: BaseException) -> Exception:
    """An error that is no exception is a panic of the parser."""
    if isinstance(error, Exception):
        return error
    return BadQuery(f"parse error: the parser gave up on the query: {error}")


class Converter:
    """Copies promql-parser's tree into ours."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._places = iter(prepared.places)

    def node(self, parsed: object, depth: int) -> Node:
        """Ours for the parser's node, which stands `depth` levels deep; raises BadQuery."""
        if depth > MAX_TREE_DEPTH:
            raise BadQuery(f"the query nests more than {MAX_TREE_DEPTH} levels deep; simplify it")
        convert = _CONVERTERS.get(type(parsed))
        if convert is None:
            raise BadQuery(f"{type(parsed).__name__} is not supported")
        return convert(self, parsed, depth)

    def paren(self, parsed: promql_parser.ParenExpr, depth: int) -> Node:
        """What stands between parentheses."""
        return self.node(parsed.expr, depth + 1)

    def number(self, parsed: promql_parser.NumberLiteral, _: int) -> Node:
        """A number."""
        return Number(parsed.val)

    def text(self, parsed: promql_parser.StringLiteral, _: int) -> Node:
        """A string."""
        return Text(restore_bytes(parsed.val))

    def negation(self, parsed: promql_parser.UnaryExpr, depth: int) -> Node:
        """A minus before an expression."""
        return Negation(self.node(parsed.expr, depth + 1))

    def range(self, parsed: promql_parser.MatrixSelector, depth: int) -> Node:
        """A selector with a range."""
        return Range(self.selector(parsed.vector_selector, depth), _positive_ms(parsed.range, "range"))

    def selector(self, parsed: promql_parser.VectorSelector, _: int) -> Selector:
        """A selector; a name before its braces is its first matcher."""
        if parsed.matchers.or_matchers:
            raise BadQuery("`or` between label matchers is not supported: it is no PromQL; use =~ or the operator `or`")
        name = name_of(parsed)
        named = () if name is None else (Matcher(METRIC_NAME, "=", name),)
        matchers = tuple(self.matcher(matcher) for matcher in parsed.matchers.matchers)
        if not named and all(matcher.test("") for matcher in matchers):
            raise BadQuery("parse error: vector selector must contain at least one non-empty matcher")
        when, extension = self._when(parsed)
        return Selector(_one_for_all(named + matchers), when, extension)

    def matcher(self, parsed: promql_parser.Matcher) -> Matcher:
        """A matcher whose pattern, if it is one, is known to be one."""
        operator = _MATCH_OPERATORS[str(parsed.op)]
        is_pattern = operator in ("=~", "!~")
        value = self._prepared.pattern(parsed.value) if is_pattern else restore_bytes(parsed.value)
        name = restore_bytes(parsed.name)
        if not is_text(name):
            raise BadQuery(f"the label name {show_bytes(name)} is not valid UTF-8; no label is called so")
        if not is_text(value):
            raise BadQuery(f"the value of the matcher on {parsed.name} is not valid UTF-8; no label has such a value")
        matcher = Matcher(name, operator, value)
        matcher.test("")  # a bad regular expression is the query's fault, not the evaluation's
        return matcher

    def subquery(self, parsed: promql_parser.SubqueryExpr, depth: int) -> Subquery:
        """An expression with a range."""
        step_ms = None if parsed.step is None else _positive_ms(parsed.step, "subquery step")
        inner = self.node(parsed.expr, depth + 1)
        when, extension = self._when(parsed)
        if extension:
            raise BadQuery(f"parse error: {extension} modifier is not supported for subqueries")
        return Subquery(inner, _positive_ms(parsed.range, "subquery range"), step_ms, when)

    def _when(self, parsed: promql_parser.VectorSelector | promql_parser.SubqueryExpr) -> tuple[When, Extension]:
        extension, offset_ms = extension_of(0 if parsed.offset is None else parsed.offset // _MILLISECOND)
        if abs(offset_ms) > MAX_DURATION_MS:
            raise BadQuery(f"an offset of {offset_ms} ms is out of range: at most 292 years")
        return When(offset_ms, self._at(parsed)), extension

    def _at(self, parsed: promql_parser.VectorSelector | promql_parser.SubqueryExpr) -> Moment:
        if parsed.at is None:
            return None
        if parsed.at.type == promql_parser.AtModifierType.Start:
            return "start"
        if parsed.at.type == promql_parser.AtModifierType.End:
            return "end"
        try:
            moment = parsed.at.at
        except (OverflowError, ValueError) as error:
            raise BadQuery("timestamp out of bounds for @ modifier") from error
        if moment is None:
            raise BadQuery("timestamp out of bounds for @ modifier")
        at_ms = (moment - _EPOCH) // _MILLISECOND
        ordinal = at_ms // 1000 - TIME_STAND_IN_SECONDS
        return self._prepared.times_ms[ordinal]

    def binary(self, parsed: promql_parser.BinaryExpr, depth: int) -> Node:
        """A left-leaning chain (`a or b or c …`) is one level deep however long it is."""
        chain: list[promql_parser.BinaryExpr] = []
        leftmost: object = parsed
        while isinstance(leftmost, promql_parser.BinaryExpr):
            chain.append(leftmost)
            leftmost = leftmost.lhs
        node = self.node(leftmost, depth + 1)
        for link in reversed(chain):
            operator = str(link.op)
            returns_bool = link.modifier is not None and link.modifier.return_bool
            node = Binary(operator, node, self.node(link.rhs, depth + 1), matching_of(operator, link), returns_bool)
        return node

    def call(self, parsed: promql_parser.Call, depth: int) -> Call:
        """A call of a function that we have."""
        name = parsed.func.name
        if name not in FUNCTIONS:
            raise BadQuery(f"the function {name}() is not supported: it is experimental or needs native histograms")
        places = next(self._places, ())
        arguments = tuple(self.node(argument, depth + 1) for argument in parsed.args)
        if isinstance(FUNCTIONS[name], Pointwise) and arguments and (got := kind_of(arguments[0])) != "instant vector":
            # The parser lets some constants into exp and the logarithms.
            raise BadQuery(f'parse error: expected type instant vector in call to function "{name}", got {got}')
        return Call(name, arguments, places)

    def aggregation(self, parsed: promql_parser.AggregateExpr, depth: int) -> Aggregation:
        """An aggregation."""
        modifier = parsed.modifier
        without = modifier is not None and modifier.type == promql_parser.AggModifierType.Without
        # In the order of the text, as places are.
        places = next(self._places, ())
        operator = str(parsed.op)
        parameter = None if parsed.param is None else self.node(parsed.param, depth + 1)
        wanted = "string" if operator == "count_values" else "scalar"
        if parameter is not None and (got := kind_of(parameter)) != wanted:
            raise BadQuery(f"parse error: expected type {wanted} in aggregation parameter, got {got}")
        expression = self.node(parsed.expr, depth + 1)
        grouping = () if modifier is None else _names(modifier.labels, "grouping")
        return Aggregation(operator, expression, parameter, grouping, without, places)


_CONVERTERS: dict[type, Callable[[Converter, Any, int], Node]] = {
    promql_parser.ParenExpr: Converter.paren,
    promql_parser.NumberLiteral: Converter.number,
    promql_parser.StringLiteral: Converter.text,
    promql_parser.VectorSelector: Converter.selector,
    promql_parser.MatrixSelector: Converter.range,
    promql_parser.SubqueryExpr: Converter.subquery,
    promql_parser.UnaryExpr: Converter.negation,
    promql_parser.BinaryExpr: Converter.binary,
    promql_parser.Call: Converter.call,
    promql_parser.AggregateExpr: Converter.aggregation,
}

_MATCH_OPERATORS: dict[str, MatchOp] = {
    "MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~",
}  # fmt: skip

_CARDINALITIES: dict[str, Cardinality] = {
    "VectorMatchCardinality.OneToOne": "one-to-one",
    "VectorMatchCardinality.ManyToOne": "many-to-one",
    "VectorMatchCardinality.OneToMany": "one-to-many",
    "VectorMatchCardinality.ManyToMany": "many-to-many",
}


def matching_of(operator: str, parsed: promql_parser.BinaryExpr) -> Matching:
    """How the sides of a binary operation are matched."""
    default: Cardinality = "many-to-many" if operator in SET_OPERATORS else "one-to-one"
    modifier = parsed.modifier
    if modifier is None:
        return Matching(default)
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        raise BadQuery("fill modifiers are experimental and not supported; use `or` with a default instead")
    cardinality = default if operator in SET_OPERATORS else _CARDINALITIES[str(modifier.card)]
    on = modifier.matching is not None and modifier.matching.type == promql_parser.LabelModifierType.Include
    names = () if modifier.matching is None else _names(modifier.matching.labels, "matching")
    include = _names(modifier.group_labels or (), "matching")
    for name in include:
        if on and name in names:
            raise BadQuery(f'label "{name}" must not occur in ON and GROUP clause at once')
    return Matching(cardinality, on, names, include)


def name_of(parsed: promql_parser.VectorSelector) -> str | None:
    """The metric's name before the braces."""
    return None if parsed.name is None else parsed.name.removeprefix(NAME_STAND_IN)


def _names(texts: Iterable[str], what: str) -> tuple[str, ...]:
    names = tuple(restore_bytes(text) for text in texts)
    for name in names:
        if not is_label_name(name):
            raise BadQuery(f'parse error: invalid label name for {what}: "{show_bytes(name)}"')
    return names


def kind_of(node: Node) -> Literal["scalar", "string", "instant vector", "range vector"]:
    """The type of an expression, as Prometheus calls it; no recursion along a long chain, which leans to the left."""
    while isinstance(node, Negation | Binary):
        if isinstance(node, Binary) and kind_of(node.right) != "scalar":
            return "instant vector"
        node = node.expression if isinstance(node, Negation) else node.left
    if isinstance(node, Number) or (isinstance(node, Call) and node.function in SCALAR_FUNCTIONS):
        return "scalar"
    if isinstance(node, Text):
        return "string"
    return "range vector" if isinstance(node, Range | Subquery) else "instant vector"


def _positive_ms(duration: timedelta | None, what: str) -> int:
    whole = 0 if duration is None else duration // _MILLISECOND
    if whole > MAX_DURATION_MS:
        raise BadQuery(f"{what} of {duration} is out of range: at most 292 years")
    if whole <= 0:
        raise BadQuery(f"{what} must be at least 1ms")
    return whole
