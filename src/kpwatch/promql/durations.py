"""Durations between brackets and after `offset`: literals and, as since Prometheus 3.15, arithmetic on them.

    [5m]  [2 * 5m:1m]  [max_of(step(), 1m)]  offset -(1h / 2)

`step()` and `range()` are those of the query that is asked (0 for one at an instant), so what they are worth is known
only with its `Span`. Values are seconds until the end, where Prometheus makes milliseconds of them: a literal is
rounded to nanoseconds first, what was computed is cut off.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import BadQuery
from kpwatch.promql.numbers import MAX_DURATION_SECONDS, literal_value

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


class _Value(NamedTuple):
    seconds: float
    is_literal: bool


def pieces_of(text: str) -> list[str]:
    """Words, numbers and signs; raises BadQuery for what belongs nowhere in a duration."""
    pieces = []
    for match in _PIECE.finditer(text):
        if match.lastgroup == "other":
            raise BadQuery(f"parse error: unexpected character in duration expression: '{match.group()}'")
        if match.lastgroup != "space":
            pieces.append(match.group())
    return pieces


def parse_window(text: str, span: Span) -> Window:
    """What `[…]` says, brackets included; raises BadQuery where it says nothing sensible."""
    reader = _Reader(pieces_of(text[1:-1]), span)
    window_ms = _positive_ms(reader.sum())
    if not reader.take(":"):
        reader.end("subquery or range")
        return Window(window_ms, None, is_subquery=False)
    step_ms = None if reader.done else _positive_ms(reader.sum())
    reader.end("subquery selector")
    return Window(window_ms, step_ms, is_subquery=True)


def parse_offset(pieces: list[str], span: Span) -> tuple[int, int]:
    """The offset at the beginning of the pieces, in milliseconds, and how many of them it takes."""
    reader = _Reader(pieces, span)
    value = reader.operand()
    return _milliseconds(value), reader.position


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
            other = self._product().seconds
            value = _Value(value.seconds + (other if operator == "+" else -other), is_literal=False)
        return value

    def _product(self) -> _Value:
        value = self._signed()
        while operator := self.take("*", "/", "%"):
            other = self._signed().seconds
            if operator != "*" and other == 0:
                raise BadQuery(f"parse error: {'division' if operator == '/' else 'modulo'} by zero")
            value = _Value(_PRODUCTS[operator](value.seconds, other), is_literal=False)
        return value

    def _signed(self) -> _Value:
        """A sign binds as a product does: -2^2 is -(2^2)."""
        if sign := self.take("+", "-"):
            value = self._deeper(self._signed)
            return _Value(-value.seconds, value.is_literal) if sign == "-" else value
        return self._power()

    def _power(self) -> _Value:
        value = self._primary()
        if not self.take("^"):
            return value
        exponent = self._deeper(self._signed_power).seconds
        try:
            raised = value.seconds**exponent
        except (OverflowError, ZeroDivisionError):
            raised = math.inf
        return _Value(math.nan if isinstance(raised, complex) else raised, is_literal=False)

    def _signed_power(self) -> _Value:
        if sign := self.take("+", "-"):
            value = self._deeper(self._signed_power)
            return _Value(-value.seconds, value.is_literal) if sign == "-" else value
        return self._power()

    def operand(self) -> _Value:
        """What an offset takes without brackets: one value with its signs."""
        if sign := self.take("+", "-"):
            value = self._deeper(self.operand)
            return _Value(-value.seconds, value.is_literal) if sign == "-" else value
        return self._primary()

    def _primary(self) -> _Value:
        if self.take("("):
            value = self._deeper(self.sum)
            self._expect(")")
            return _Value(value.seconds, is_literal=False)
        if name := self.take(*_FUNCTIONS_OF_TWO):
            self._expect("(")
            first = self._deeper(self.sum).seconds
            self._expect(",")
            second = self._deeper(self.sum).seconds
            self._expect(")")
            return _Value(_FUNCTIONS_OF_TWO[name](first, second), is_literal=False)
        if name := self.take("step", "range"):
            self._expect("(")
            self._expect(")")
            return _Value((self._span.step_ms if name == "step" else self._span.range_ms) / 1000, is_literal=False)
        if name := self.take(*_SPECIAL):
            return _Value(_SPECIAL[name], is_literal=True)
        if self.done or not (self._pieces[self.position][0].isdigit() or self._pieces[self.position][0] == "."):
            found = "the end" if self.done else f'"{self._pieces[self.position]}"'
            raise BadQuery(f"parse error: unexpected {found}, expected number, duration, step(), or range()")
        self.position += 1
        return _Value(literal_value(self._pieces[self.position - 1]), is_literal=True)

    def _expect(self, piece: str) -> None:
        if not self.take(piece):
            found = "the end" if self.done else f'"{self._pieces[self.position]}"'
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
