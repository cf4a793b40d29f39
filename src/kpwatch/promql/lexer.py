r"""A look at a query before the parser sees it: is it safe to parse, and does it need rewriting?

promql-parser recurses natively and ends the process when its stack does: some 680 nested brackets on 1 MB, and as well
some 1,000 operators in a row (`a + a + …`), at a cost that grows with the square of either. So length, bracket depth,
runs of signs and the number of operators are bounded here, before it is called; no query that a person or a dashboard
writes comes near the bounds.

What the parser reads otherwise than Prometheus 3 it is not shown: spaces and comments become one space, every number
its value, every duration its milliseconds (`[5m * 2]` is `[600000ms]`), every string the plainest literal of the same
text, a regular expression its number (the parser would compile it in another dialect), a time after `@` a stand-in far
in the future (the parser knows no time before 1970). `parse` turns the stand-ins back. Errors found here say where.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import BadQuery
from kpwatch.promql.durations import INSTANT, Shown, Span, parse_offset, parse_window
from kpwatch.promql.numbers import literal_value
from kpwatch.promql.places import find_places, places_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_QUERY_BYTES = 16 * 1024
MAX_BRACKET_DEPTH = 50
MAX_SIGN_RUN = 50
MAX_OPERATORS = 500

LATEST_SECONDS = 2**63 // 1000 // 1000
"""Times as far from 1970 as Prometheus' int64 milliseconds allow, with room for ranges and offsets."""

TIME_STAND_IN_SECONDS = 200_000_000_000  # the year 8307
"""A number after `@` is written as this plus its ordinal in `Prepared.times_ms`."""

FIRST_BYTE_STAND_IN = "\U0010ff00"  # private use
_TO_STAND_IN = {0xDC00 + byte: ord(FIRST_BYTE_STAND_IN) + byte for byte in range(128, 256)}
_FROM_STAND_IN = {stand_in: surrogate for surrogate, stand_in in _TO_STAND_IN.items()}

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+|\#[^\r\n]*)
  | (?P<string>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*`)
  | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
  | (?P<number>0[xX][0-9A-Za-z_.]* | (?:[0-9]|\.[0-9])(?:[eE][+-](?=[0-9_.])|[0-9A-Za-z_.])*)
  | (?P<operator>==|!=|>=|<=|=~|!~|[-+*/%^><])
  | (?P<range>\[(?:\#[^\r\n]*|[^]\#"'`[])*\])
  | (?P<open>[(\[{]) | (?P<close>[)\]}])
  | (?P<at>@)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:x(?P<hex>[0-9A-Fa-f]{2})|(?P<octal>[0-7]{3})|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})|(?P<one>.))",
    re.DOTALL,
)
_ONE_LETTER = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "\\": "\\", "'": "'", '"': '"'}
_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
_GROUPING_WORDS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_EXTENDED = frozenset({"smoothed", "anchored"})
_MATCH_OPERATORS = frozenset({"=", "!=", "=~", "!~"})
_OR_NOTHING = "|"
_SPECIAL_NUMBERS = {"inf": math.inf, "nan": math.nan}


class Token(NamedTuple):
    """A piece of the query and the name of its kind in the pattern above."""

    kind: str
    text: str


class Prepared(NamedTuple):
    """A query that is safe to parse, and what its stand-ins mean."""

    text: str
    times_ms: tuple[int, ...] = ()
    patterns: tuple[str, ...] = ()
    """Regular expressions; in `text` each is a string with its number."""
    places: tuple[tuple[str, ...], ...] = ()
    """Of the calls and their arguments; see `places.find_places`."""

    def pattern(self, stand_in: str) -> str:
        """The regular expression that stands in `text` as this string."""
        return self.patterns[int(stand_in.removesuffix(_OR_NOTHING))]


def tokens(query: str) -> Iterator[Token]:
    """All tokens in order, spaces and comments included; joined they are the query."""
    for match in _TOKEN.finditer(query):
        yield Token(str(match.lastgroup), match.group())


def prepare(query: str, span: Span = INSTANT, shown: Shown | None = None) -> Prepared:
    """The query as the parser takes it; raises BadQuery where a bound is exceeded or a literal is none.

    With `shown` all durations are its stand-ins.
    """
    size = len(query.encode("utf-8", "surrogatepass"))
    if size > MAX_QUERY_BYTES:
        raise BadQuery(f"the query has {size} bytes; at most {MAX_QUERY_BYTES} are accepted: shorten or split it")
    stream = list(tokens(query))
    _check_bounds(stream)
    return _Rewriter(stream, span, shown).run()


def _check_bounds(stream: list[Token]) -> None:
    depth = operators = signs = 0
    for kind, text in stream:
        if kind == "space":
            continue
        is_operator = kind == "operator" or (kind == "word" and text.lower() in _WORD_OPERATORS)
        depth += (kind == "open") - (kind == "close")
        operators += is_operator
        signs = signs + 1 if text in ("+", "-") else 0
        for what, count, limit in (
            ("brackets nest", depth, MAX_BRACKET_DEPTH),
            ("operators follow each other", signs, MAX_SIGN_RUN),
            ("operators are used", operators, MAX_OPERATORS),
        ):
            if count > limit:
                raise BadQuery(f"more than {limit} {what} in the query; simplify it or record a part of it first")


class _Rewriter:
    """Goes over the tokens once, from the left."""

    def __init__(self, stream: list[Token], span: Span, shown: Shown | None) -> None:
        self._stream = stream
        self._places = places_of(stream)
        self._indexes = [index for index, (kind, _) in enumerate(stream) if kind != "space"]
        self._at = 0
        """The next of the indexes."""
        self._span = span
        self._shown = shown
        self._text: list[str] = []
        self._times_ms: list[int] = []
        self._patterns: list[str] = []
        self._braces = 0
        self._groupings: list[bool] = []
        """Of the open brackets: does it hold label names?"""

    def run(self) -> Prepared:
        """All of it."""
        while self._at < len(self._indexes):
            index = self._indexes[self._at]
            try:
                self._step(*self._stream[index])
            except BadQuery as error:
                text = str(error)
                raise BadQuery(f"{self._places[index]}: {text}" if text.startswith("parse error") else text) from None
            self._at += 1
        places = tuple(find_places(self._stream))
        return Prepared(" ".join(self._text), tuple(self._times_ms), tuple(self._patterns), places)

    def _step(self, kind: str, piece: str) -> None:
        if kind == "string":
            piece = self._string(piece)
        elif kind == "number":
            piece = _plain_number(literal_value(piece))
        elif kind == "range":
            window = parse_window(piece, self._span, self._shown)
            step = "" if window.step_ms is None else _plain_duration(window.step_ms)
            piece = f"[{_plain_duration(window.range_ms)}{':' + step if window.is_subquery else ''}]"
        elif kind == "at":
            piece += self._time()
        elif kind == "word":
            piece = self._word(piece)
        elif kind in ("open", "close"):
            self._bracket(piece)
        elif kind == "other" and piece not in (",", "="):
            what = "unterminated quoted string" if piece in "\"'`" else f"unexpected character: '{piece}'"
            raise BadQuery(f"parse error: {what}")
        elif piece == "+" and self._kind(1) == "string":
            raise BadQuery(
                "parse error: unary expression only allowed on expressions of type scalar or instant vector, "
                'got "string"'
            )
        self._text.append(piece)

    def _kind(self, ahead: int) -> str:
        place = self._at + ahead
        return self._stream[self._indexes[place]].kind if 0 <= place < len(self._indexes) else ""

    def _piece(self, ahead: int) -> str:
        place = self._at + ahead
        return self._stream[self._indexes[place]].text if 0 <= place < len(self._indexes) else ""

    def _bracket(self, piece: str) -> None:
        if piece == "{" and self._braces:
            raise BadQuery("parse error: unexpected left brace '{' (native histograms are not supported)")
        self._braces += (piece == "{") - (piece == "}")
        if piece == "(":
            self._groupings.append(self._kind(-1) == "word" and self._piece(-1).lower() in _GROUPING_WORDS)
        elif piece == ")" and self._groupings:
            self._groupings.pop()

    def _word(self, piece: str) -> str:
        """A word is `offset` or the like only behind an expression, else a name."""
        word = piece.lower()
        if self._braces:  # the parser has an `or` of its own there
            return f'"{piece}"' if word == "or" and self._piece(1) in _MATCH_OPERATORS else piece
        if self._groupings and self._groupings[-1]:
            return f'"{piece}"' if ":" in piece else piece
        if word in _SPECIAL_NUMBERS:  # in any case of letters, which the parser would take for a metric's name
            return "Inf" if word == "inf" else "NaN"
        if word in ("offset", *_EXTENDED) and self._is_behind_expression():
            if word in _EXTENDED:
                raise BadQuery(f"the modifier {word} is not supported; use the range without it")
            return f"offset {self._offset()}"
        return piece

    def _is_behind_expression(self) -> bool:
        kind, piece = self._kind(-1), self._piece(-1).lower()
        return kind in ("close", "range", "number", "string") or (kind == "word" and piece not in _WORD_OPERATORS)

    def _offset(self) -> str:
        """The duration behind `offset`, which is read off the stream."""
        ahead = [self._stream[index].text for index in self._indexes[self._at + 1 :]]
        milliseconds, taken = parse_offset(ahead, self._span, self._shown)
        self._at += taken
        return _plain_duration(milliseconds)

    def _time(self) -> str:
        """The number behind `@`; anything else is left to the parser."""
        sign = self._piece(1) if self._piece(1) in ("+", "-") else ""
        number = self._piece(2 if sign else 1)
        if self._kind(2 if sign else 1) == "number":
            seconds = literal_value(number)
        elif number.lower() in _SPECIAL_NUMBERS:
            seconds = _SPECIAL_NUMBERS[number.lower()]
        else:
            return ""
        if not seconds <= LATEST_SECONDS:
            raise BadQuery(f"parse error: timestamp out of bounds for @ modifier: {sign}{number}")
        self._at += 2 if sign else 1
        self._times_ms.append(round(-seconds * 1000 if sign == "-" else seconds * 1000))
        return f" {TIME_STAND_IN_SECONDS + len(self._times_ms) - 1}"

    def _string(self, literal: str) -> str:
        value = unquote(literal)
        if value is None:
            raise BadQuery(f"parse error: unknown or incomplete escape sequence in {literal}")
        operator = self._piece(-1)
        if operator in ("=~", "!~"):
            self._patterns.append(value)
            # One that lets no empty value through: whether the pattern itself does is not for the parser to say.
            return f'"{len(self._patterns) - 1}{_OR_NOTHING if operator == "!~" else ""}"'
        quoted = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return f'"{quoted.translate(_TO_STAND_IN)}"'


def _plain_duration(milliseconds: int) -> str:
    """In units that the parser takes; it knows no milliseconds beyond 32 bits, and no zero with a unit."""
    if not milliseconds:
        return "0"
    days, rest = divmod(abs(milliseconds), 86_400_000)
    parts = ((days, "d"), (rest // 1000, "s"), (rest % 1000, "ms"))
    return "-" * (milliseconds < 0) + "".join(f"{count}{unit}" for count, unit in parts if count)


def _plain_number(value: float) -> str:
    """In digits that the parser reads the same."""
    return str(int(value)) if value.is_integer() and value < 1e15 else repr(value)


def unquote(literal: str) -> str | None:
    """The value of a Go string literal, or None for an unknown escape; bytes that are no UTF-8 become surrogates."""
    inner = literal[1:-1]
    if literal.startswith("`"):
        return inner
    other_quote = "'" if literal[0] == '"' else '"'
    for match in _ESCAPE.finditer(inner):
        if match["one"] is not None and (match["one"] not in _ONE_LETTER or match["one"] == other_quote):
            return None
    try:
        escaped = _ESCAPE.sub(_unescape, inner).encode("utf-8", "surrogateescape")
    except (ValueError, OverflowError):  # \U above the last character, or half a surrogate pair
        return None
    return escaped.decode("utf-8", "surrogateescape")


def _unescape(match: re.Match[str]) -> str:
    """One escape; a byte above 127 as a surrogate for a moment, so that the whole string is decoded together."""
    if match["one"] is not None:
        return _ONE_LETTER[match["one"]]
    if code := match["u"] or match["U"]:
        return chr(int(code, 16))
    byte = _byte_of(match)
    if byte > 255:
        raise ValueError(match.group())
    return chr(byte) if byte < 128 else chr(0xDC00 + byte)


def _byte_of(match: re.Match[str]) -> int:
    """The byte that a hexadecimal or octal escape stands for; 0 for another."""
    return int(match["hex"], 16) if match["hex"] else int(match["octal"] or "0", 8)


def restore_bytes(text: str) -> str:
    """Text after parsing: bytes that are no UTF-8 as Python's lone surrogates, which match and name nothing stored."""
    return text.translate(_FROM_STAND_IN) if any(character >= FIRST_BYTE_STAND_IN for character in text) else text


def is_text(text: str) -> bool:
    """Whether `text` is valid Unicode, without bytes that `restore_bytes` could only keep as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
