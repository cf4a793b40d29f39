"""Durations between brackets and after `offset`: literals and, as since Prometheus 3.15, arithmetic on them.

    [5m]  [2 * 5m:1m]  [max_of(step(), 1m)]  offset -(1h / 2)

`step()` and `range()` are those of the query that is asked (0 for one at an instant), so what they are worth is known
only with its `Span`. Values are seconds until the end, where Prometheus makes milliseconds of them: a literal is
rounded to nanoseconds first, what was computed is cut off.

Who wants to show a query instead of evaluating it gives a `Shown`, which keeps what is written and numbers it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from kpwatch.base.errors import BadQuery
from kpwatch.model.gofloat import format_plain
from kpwatch.promql.numbers import MAX_DURATION_SECONDS, is_duration, literal_value

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 50

_PIECE = re.compile(
    r"(?P<space>(?:[ \t\r\n]|\#[^\r\n]*)+)"
    r"|(?P<number>(?:0[xX][0-9A-Za-z_.]*|(?:[0-9]|\.[0-9])(?:[eE][+-](?=[0-9_.])|[0-9A-Za-z_.])*))"
    r"|(?P<word>[A-Za-z_]+)|(?P<sign>[-+*/%^(),:])|(?P<other>.)",
    re.DOTALL,
)
_FUNCTIONS_OF_TWO: dict[str, Callable[[float, float], float]] = {"min_of": min, "max_of": max}
_SPECIAL = {"inf": math.inf, "nan": math.nan}


class Span(NamedTuple):
    """What step() and range() are, in milliseconds."""

    step_ms: int = 0
    range_ms: int = 0


INSTANT = Span()
"""Of a query at one time."""


class Window(NamedTuple):
    """What stood between brackets; `step_ms` None where a subquery leaves it open, `is_subquery` says if it is one."""

    range_ms: int
    step_ms: int | None
    is_subquery: bool


Node = dict[str, Any]
"""A duration's syntax as Prometheus' translate_ast.go shows it."""
STAND_IN_MS = 9_000_000_000_000
"""285 years: so many milliseconds and its number are what a shown duration is written as."""


class Shown:
    """The durations of a query that is shown: milliseconds of a literal, the syntax of anything else."""

    def __init__(self) -> None:
        self._durations: list[int | Node] = []

    def add(self, value: _Value, milliseconds: Callable[[_Value], int]) -> int:
        """The stand-in of a duration; raises BadQuery for a literal that is none."""
        self._durations.append(milliseconds(value) if value.is_literal else value.node)
        return STAND_IN_MS + len(self._durations) - 1

    def of(self, stand_in_ms: int | None) -> tuple[int, Node | None]:
        """(milliseconds, syntax) behind a stand-in: (0, None) where there is none."""
        if not stand_in_ms:
            return 0, None
        found = self._durations[stand_in_ms - STAND_IN_MS]
        return (found, None) if isinstance(found, int) else (0, found)


class _Value(NamedTuple):
    seconds: float
    is_literal: bool
    node: Node


def _literal(seconds: float, *, is_duration: bool) -> _Value:
    node = {"type": "numberLiteral", "val": format_plain(seconds), "duration": is_duration}
    return _Value(seconds, is_literal=True, node=node)


def _computed(seconds: float, operator: str, left: Node | None, right: Node | None) -> _Value:
    node = {"type": "durationExpr", "op": operator, "lhs": left, "rhs": right, "wrapped": False}
    return _Value(seconds, is_literal=False, node=node)


def _negative(value: _Value) -> _Value:
    if value.is_literal:
        return _literal(-value.seconds, is_duration=value.node["duration"])
    return _computed(-value.seconds, "-", None, value.node)


def pieces_of(text: str) -> list[str]:
    """Words, numbers and signs; raises BadQuery for what belongs nowhere in a duration."""
    pieces = []
    for match in _PIECE.finditer(text):
        if match.lastgroup == "other":
            raise BadQuery(f"parse error: unexpected character in duration expression: '{match.group()}'")
        if match.lastgroup != "space":
            pieces.append(match.group())
    return pieces


def parse_window(text: str, span: Span, shown: Shown | None = None) -> Window:
    """What `[…]` says, brackets included; raises BadQuery where it says nothing sensible.

    With `shown` the durations are stand-ins.
    """
    reader = _Reader(pieces_of(text[1:-1]), span)

    def milliseconds(value: _Value) -> int:
        return _positive_ms(value) if shown is None else shown.add(value, _positive_ms)

    window_ms = milliseconds(reader.sum())
    if not reader.take(":"):
        reader.end("subquery or range")
        return Window(window_ms, None, is_subquery=False)
    step_ms = None if reader.done else milliseconds(reader.sum())
    reader.end("subquery selector")
    return Window(window_ms, step_ms, is_subquery=True)


def parse_offset(pieces: list[str], span: Span, shown: Shown | None = None) -> tuple[int, int]:
    """The offset at the beginning of the pieces, in milliseconds, and how many of them it takes.

    With `shown` it is a stand-in.
    """
    reader = _Reader(pieces, span)
    value = reader.operand()
    return _milliseconds(value) if shown is None else shown.add(value, _milliseconds), reader.position


class _Reader:
    """Reads an expression from the left, values at once: precedence climbs from sums over products to powers."""

    def __init__(self, pieces: list[str], span: Span) -> None:
        self._pieces = pieces
        self._span = span
        self._depth = 0
        self.position = 0

    @property
    def done(self) -> bool:
        return self.position >= len(self._pieces)

    def take(self, *wanted: str) -> str:
        """The next piece if it is one of these, else nothing."""
        if self.done or self._pieces[self.position].lower() not in wanted:
            return ""
        self.position += 1
        return self._pieces[self.position - 1].lower()

    def end(self, where: str) -> None:
        if not self.done:
            raise BadQuery(f'parse error: unexpected "{self._pieces[self.position]}" in {where}')

    def sum(self) -> _Value:
        value = self._product()
        while operator := self.take("+", "-"):
            other = self._product()
            seconds = value.seconds + (other.seconds if operator == "+" else -other.seconds)
            value = _computed(seconds, operator, value.node, other.node)
        return value

    def _product(self) -> _Value:
        value = self._signed()
        while operator := self.take("*", "/", "%"):
            other = self._signed()
            if operator != "*" and other.seconds == 0:
                raise BadQuery(f"parse error: {'division' if operator == '/' else 'modulo'} by zero")
            value = _computed(_PRODUCTS[operator](value.seconds, other.seconds), operator, value.node, other.node)
        return value

    def _signed(self) -> _Value:
        """A sign binds as a product does: -2^2 is -(2^2)."""
        if sign := self.take("+", "-"):
            value = self._deeper(self._signed)
            return _negative(value) if sign == "-" else value
        return self._power()

    def _power(self) -> _Value:
        value = self._primary()
        if not self.take("^"):
            return value
        exponent = self._deeper(self._signed_power)
        try:
            raised = value.seconds**exponent.seconds
        except (OverflowError, ZeroDivisionError):
            raised = math.inf
        return _computed(math.nan if isinstance(raised, complex) else raised, "^", value.node, exponent.node)

    def _signed_power(self) -> _Value:
        if sign := self.take("+", "-"):
            value = self._deeper(self._signed_power)
            return _negative(value) if sign == "-" else value
        return self._power()

    def operand(self) -> _Value:
        """What an offset takes without brackets: one value with its signs."""
        if sign := self.take("+", "-"):
            value = self._deeper(self.operand)
            return _negative(value) if sign == "-" else value
        return self._primary()

    def _primary(self) -> _Value:
        if self.take("("):
            value = self._deeper(self.sum)
            self._expect(")")
            if value.is_literal:
                value = _computed(value.seconds, "+", None, value.node)
            return value._replace(node={**value.node, "wrapped": True})
        if name := self.take(*_FUNCTIONS_OF_TWO):
            self._expect("(")
            first = self._deeper(self.sum)
            self._expect(",")
            second = self._deeper(self.sum)
            self._expect(")")
            seconds = _FUNCTIONS_OF_TWO[name](first.seconds, second.seconds)
            return _computed(seconds, name, first.node, second.node)
        if name := self.take("step", "range"):
            self._expect("(")
            self._expect(")")
            milliseconds = self._span.step_ms if name == "step" else self._span.range_ms
            return _computed(milliseconds / 1000, name, None, None)
        if name := self.take(*_SPECIAL):
            return _literal(_SPECIAL[name], is_duration=False)
        if self.done or not (self._pieces[self.position][0].isdigit() or self._pieces[self.position][0] == "."):
            found = "end of input" if self.done else f'"{self._pieces[self.position]}"'
            raise BadQuery(f"parse error: unexpected {found}, expected number, duration, step(), or range()")
        self.position += 1
        text = self._pieces[self.position - 1]
        return _literal(literal_value(text), is_duration=is_duration(text))

    def _expect(self, piece: str) -> None:
        if not self.take(piece):
            found = "end of input" if self.done else f'"{self._pieces[self.position]}"'
            raise BadQuery(f'parse error: unexpected {found} in a duration, expected "{piece}"')

    def _deeper(self, read: Callable[[], _Value]) -> _Value:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadQuery(f"a duration nests more than {MAX_DEPTH} levels deep; simplify it")
        value = read()
        self._depth -= 1
        return value


_PRODUCTS: dict[str, Callable[[float, float], float]] = {
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": lambda left, right: math.fmod(left, right) if math.isfinite(left) else math.nan,
}


def _milliseconds(value: _Value) -> int:
    seconds = value.seconds
    if math.isnan(seconds) or math.isinf(seconds):
        raise BadQuery("parse error: duration is NaN or infinite")
    if abs(seconds) > MAX_DURATION_SECONDS:
        raise BadQuery("parse error: duration out of range")
    return math.trunc(round(seconds * 1e9) / 1e6) if value.is_literal else math.trunc(seconds * 1000)


def _positive_ms(value: _Value) -> int:
    milliseconds = _milliseconds(value)
    if value.seconds <= 0:
        raise BadQuery("parse error: duration must be greater than 0")
    if milliseconds < 1:
        raise BadQuery("parse error: a duration shorter than 1ms sees nothing; give at least 1ms")
    return milliseconds
