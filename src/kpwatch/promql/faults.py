"""Where a query stops being PromQL, and what stands there, in Prometheus' words.

promql-parser says of most faults that the query is invalid, and never where. So what it refuses is read once more, from
the left, by rules that know nothing but what may follow what; the first piece that may not is the fault, as it is to
Prometheus' own parser (promql/parser: generated_parser.y, lex.go). What is wrong otherwise, with types or durations, is
not seen here.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import BadQuery
from kpwatch.promql.durations import INSTANT, parse_offset
from kpwatch.promql.lexer import Token
from kpwatch.promql.numbers import is_duration
from kpwatch.promql.places import places_of
from kpwatch.promql.pretty import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

AGGREGATORS = frozenset(
    {
        "avg", "bottomk", "count", "count_values", "group", "limit_ratio", "limitk", "max", "min", "quantile", "stddev",
        "stdvar", "sum", "topk",
    }
)  # fmt: skip
_SET_WORDS = frozenset({"and", "or", "unless", "atan2"})
_MATCHING = frozenset({"on", "ignoring"})
_GROUP = frozenset({"group_left", "group_right"})
_GROUPING = frozenset({"by", "without"})
_NO_NAMES = _MATCHING | _GROUP | {"bool", "atan2"}
_KEYWORDS = _MATCHING | _GROUP | _GROUPING | {"bool", "offset", "anchored", "smoothed"}
_NO_CALLS = _KEYWORDS | _SET_WORDS
_NUMBERS = frozenset({"inf", "nan"})
_EDGES = frozenset({"start", "end"})
_SIGNS = frozenset({"+", "-"})
_BINARY = frozenset({"+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<="})
_MATCH = frozenset({"=", "!=", "=~", "!~"})
_PLAIN = frozenset({"(", ")", "{", "}", "[", "]", ",", "="})
_GROUPING_OPTS, _LABEL_MATCHING = "grouping opts", "label matching"
_STRAY = {"]": "unexpected right bracket ']'", "}": "unexpected character: '}'"}
"""Brackets that close nothing."""
_SHOWN_CHARACTERS = 10
_END = Token("end", "")

_BRACKET, _CALL, _AGGREGATION, _GROUPED = "bracket", "call", "aggregation", "grouped aggregation"
"""What an open bracket is of."""


class Piece(NamedTuple):
    """A token that is no space, and where it begins."""

    kind: str
    text: str
    place: str

    @property
    def word(self) -> str:
        """A word in small letters, else nothing."""
        return self.text.lower() if self.kind == "word" else ""

    @property
    def shown(self) -> str:
        """As Prometheus names it."""
        bare = {"end": "end of input", "range": '"["', "operator": f"<op:{self.text}>", "at": f"<op:{self.text}>"}
        if self.text in _PLAIN or self.kind in bare:
            return bare.get(self.kind, f'"{self.text}"')
        for words, what in ((_SET_WORDS, "op:"), (_KEYWORDS, ""), (AGGREGATORS, "aggr:")):
            if self.word in words:
                return f"<{what}{self.text}>"
        if self.kind == "word" and self.word not in _NUMBERS:
            return f'{"metric identifier" if ":" in self.text else "identifier"} "{self.text}"'
        kind = "duration" if self.kind == "number" and is_duration(self.text) else self.kind
        more = "..." if len(self.text) > _SHOWN_CHARACTERS else ""
        return f"{'number' if kind == 'word' else kind} {quote(self.text[:_SHOWN_CHARACTERS])}{more}"


class _Fault(Exception):
    """The first fault: where, and what."""


def find_fault(stream: Sequence[Token], *, is_selector: bool = False) -> str | None:
    """`1:5: parse error: unexpected end of input`, or None for what is made as PromQL is.

    `is_selector`: it has to be a selector by itself, as a `match[]`.
    """
    if all(token.kind == "space" for token in stream):
        return f"{'1:1' if stream else 'unknown position'}: parse error: no expression found in input"
    *places, end = places_of([*stream, _END])
    pieces = [Piece(*token, place) for token, place in zip(stream, places, strict=True) if token.kind != "space"]
    reader = _Reader([*pieces, Piece(*_END, end)])
    try:
        reader.selector() if is_selector else reader.run()
    except _Fault as fault:
        return str(fault)
    return None


class _Reader:
    """Goes over the pieces once; brackets are kept on a stack, not climbed into."""

    def __init__(self, pieces: list[Piece]) -> None:
        self._pieces = pieces
        self._at = 0
        self._open: list[str] = []
        """Open brackets around expressions, from the outside."""
        self._may_group = False
        """Whether an aggregation has just ended that may still be grouped."""

    def run(self) -> None:
        """Raises _Fault."""
        while True:
            self._operand()
            while self._follow():
                pass
            if self._next.kind == "end" and not self._open:
                return
            self._operator()

    def selector(self) -> None:
        """A selector and nothing else; raises _Fault."""
        piece = self._next
        if piece.kind == "word" and piece.word not in _NO_NAMES | _NUMBERS:
            self._at += 1
        elif piece.text != "{":
            raise self._unexpected()
        if self._take("{"):
            self._matchers()
        if self._next.kind != "end":
            raise self._unexpected()

    @property
    def _next(self) -> Piece:
        return self._pieces[self._at]

    def _take(self, *texts: str) -> bool:
        """Go on if the next piece is one of these."""
        if self._next.text.lower() not in texts:
            return False
        self._at += 1
        return True

    # --- what an expression begins with ----------------------------------------------------------------------------

    def _operand(self) -> None:
        """Up to and with a number, string, name, selector, or call without arguments."""
        while self._opens():
            pass
        piece = self._next
        if piece.text == ")" and self._open and self._pieces[self._at - 1].text == "(" and self._open[-1] != _BRACKET:
            self._close()
        elif piece.kind in ("number", "string") or piece.word in _NUMBERS:
            self._at += 1
        elif piece.text == "{" or (piece.kind == "word" and piece.word not in _NO_NAMES):
            self._at += piece.kind == "word"
            if self._take("{"):
                self._matchers()
        else:
            raise self._unexpected()

    def _opens(self) -> bool:
        """Whether signs, a bracket or the name of a call and its bracket stand next, and go over them."""
        name, behind = self._next, self._pieces[min(self._at + 1, len(self._pieces) - 1)]
        if self._take(*_SIGNS):
            return True
        if self._take("("):
            self._open.append(_BRACKET)
            return True
        if name.word in AGGREGATORS and (behind.text == "(" or behind.word in _GROUPING):
            self._at += 1
            is_grouped = self._take(*_GROUPING)
            if is_grouped:
                self._grouping()
            if not self._take("("):
                raise self._unexpected(_AGGREGATION)
            self._open.append(_GROUPED if is_grouped else _AGGREGATION)
            return True
        if name.kind == "word" and behind.text == "(" and not (name.word in _NO_CALLS or ":" in name.text):
            self._at += 2
            self._open.append(_CALL)
            return True
        return False

    # --- what may follow an expression -----------------------------------------------------------------------------

    def _follow(self) -> bool:
        """Whether the next pieces belong to the expression before, and go over them; no operators."""
        may_group, self._may_group = self._may_group, False
        piece = self._next
        if piece.kind == "range":
            self._at += 1
        elif self._take("anchored", "smoothed"):
            pass
        elif self._take("@"):
            self._moment()
        elif self._take("offset"):
            with suppress(BadQuery):  # the lexer tells
                self._at += parse_offset([piece.text for piece in self._pieces[self._at : -1]], INSTANT)[1]
        elif may_group and self._take(*_GROUPING):
            self._grouping()
        elif piece.text == ")" and self._open:
            self._close()
        elif piece.text == "," and self._open and self._open[-1] != _BRACKET:
            self._at += 1
            if self._next.text == ")":
                raise _Fault(f"{piece.place}: parse error: trailing commas not allowed in function call args")
            self._operand()
        else:
            return False
        return True

    def _close(self) -> None:
        self._at += 1
        self._may_group = self._open.pop() == _AGGREGATION

    def _moment(self) -> None:
        """Behind `@`."""
        if self._take(*_EDGES):
            if not (self._take("(") and self._take(")")):
                raise self._unexpected("@", "timestamp")
            return
        self._take(*_SIGNS)
        if self._next.kind != "number" and self._next.word not in _NUMBERS:
            raise self._unexpected("@", "timestamp")
        self._at += 1

    def _operator(self) -> None:
        piece = self._next
        if piece.text == ")":
            raise _Fault(f"{_moved(piece.place)}: parse error: unexpected right parenthesis ')'")
        if piece.text == "[":
            raise _Fault(f"{self._pieces[-1].place}: parse error: unclosed left bracket")
        if not (piece.text in _BINARY or piece.word in _SET_WORDS):
            raise self._unexpected()
        self._at += 1
        self._take("bool")
        if self._take(*_MATCHING):
            self._grouping()
            if self._take(*_GROUP) and self._next.text == "(":
                self._grouping()

    # --- names in brackets -----------------------------------------------------------------------------------------

    def _grouping(self) -> None:
        """`(a, "b")`"""
        if not self._take("("):
            raise self._unexpected(_GROUPING_OPTS, '"("')
        self._open.append(_BRACKET)
        while not self._take(")"):
            if self._next.kind not in ("word", "string"):
                raise self._unexpected(_GROUPING_OPTS, "label")
            self._at += 1
            if self._next.text != ")" and not self._take(","):
                raise self._unexpected(_GROUPING_OPTS, '"," or ")"')
        self._open.pop()

    def _matchers(self) -> None:
        """Behind `{`."""
        while not self._take("}"):
            name = self._next
            if name.kind not in ("word", "string"):
                raise self._unmatched('identifier or "}"')
            self._at += 1
            if self._take(*_MATCH):
                if self._next.kind != "string":
                    raise self._unmatched("string")
                self._at += 1
            elif name.kind == "word":
                raise self._unmatched("label matching operator")
            if self._next.text != "}" and not self._take(","):
                raise self._unmatched('"," or "}"')

    # --- faults ----------------------------------------------------------------------------------------------------

    def _unexpected(self, where: str = "", expected: str = "") -> _Fault:
        """What stands next."""
        piece = self._next
        if piece.text in _STRAY and where != _LABEL_MATCHING:
            return _Fault(f"{piece.place}: parse error: {_STRAY[piece.text]}")
        if piece.kind == "end" and self._open:
            return _Fault(f"{piece.place}: parse error: unclosed left parenthesis")
        if not where and any(one in (_AGGREGATION, _GROUPED) for one in self._open):
            where = _AGGREGATION
        said = f"unexpected {piece.shown}" + (f" in {where}" if where else "")
        return _Fault(f"{piece.place}: parse error: {said}" + (f", expected {expected}" if expected else ""))

    def _unmatched(self, expected: str) -> _Fault:
        """What stands next, between braces."""
        piece = self._next
        if piece.kind == "end":
            return _Fault(f"{piece.place}: parse error: unexpected end of input inside braces")
        if piece.text == "==":  # between braces it is twice `=`
            return _Fault(f'{_moved(piece.place)}: parse error: unexpected "=" in label matching, expected string')
        if piece.kind not in ("word", "string") and piece.text not in _MATCH | {",", "}"}:
            return _Fault(f"{piece.place}: parse error: unexpected character inside braces: '{piece.text[0]}'")
        return self._unexpected(_LABEL_MATCHING, expected)


def _moved(place: str) -> str:
    """One column to the right."""
    line, _, column = place.partition(":")
    return f"{line}:{int(column) + 1}"
