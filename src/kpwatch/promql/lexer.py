r"""A look at a query before the parser sees it: is it safe to parse, and does it need rewriting?

promql-parser recurses natively and ends the process when its stack does: some 680 nested brackets on 1 MB, and as well
some 1,000 operators in a row (`a + a + …`), at a cost that grows with the square of either. So length, bracket depth,
runs of signs and the number of operators are bounded here, before it is called; no query that a person or a dashboard
writes comes near the bounds.

What the parser reads otherwise than Prometheus 3 it is not shown: spaces and comments become one space, every number
its value, every duration its milliseconds (`[5m * 2]` is `[600000ms]`), every string the plainest literal of the same
text, a regular expression its number (the parser would compile it in another dialect), a time after `@` a stand-in far
in the future (the parser knows no time before 1970). It has no `anchored` and `smoothed`: they are added to the offset
as times that no offset reaches (`EXTENSION_MS`). `parse` turns the stand-ins back. Errors found here say where.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple, cast

from kpwatch.base.errors import BadQuery
from kpwatch.promql.durations import INSTANT, Shown, Span, parse_offset, parse_window
from kpwatch.promql.numbers import literal_value
from kpwatch.promql.places import find_places, places_of
from kpwatch.promql.pretty import quote
from kpwatch.promql.strings import replace_bytes, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.promql.durations import Window
    from kpwatch.promql.tree import Extension

MAX_QUERY_BYTES = 16 * 1024
MAX_BRACKET_DEPTH = 50
MAX_SIGN_RUN = 50
MAX_OPERATORS = 500

LATEST_SECONDS = 2**63 // 1000 // 1000
"""Times as far from 1970 as Prometheus' int64 milliseconds allow, with room for ranges and offsets."""

TIME_STAND_IN_SECONDS = 200_000_000_000  # the year 8307
"""A number after `@` is written as this plus its ordinal in `Prepared.times_ms`."""

EXTENSION_MS = 10**15
"""31,700 years: `anchored` is one of them after `offset`, `smoothed` two."""
EXTENSIONS: tuple[Extension, ...] = ("", "anchored", "smoothed")
NAME_STAND_IN = "_:is_called:"
"""Stands before a metric's name that is a word which the parser does not take for one."""

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
_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
_MATCHING_WORDS = frozenset({"on", "ignoring", "group_left", "group_right"})
_GROUPING_WORDS = _MATCHING_WORDS | {"by", "without"}
_SET_WORDS = _WORD_OPERATORS - {"atan2"}
_NO_EXPRESSION = _MATCHING_WORDS | {"atan2", "bool"}
"""Words behind which an expression begins."""
_ENDS = frozenset({"close", "range", "number", "string", "word"})
"""Kinds of tokens that an expression may end with."""
_ONLY_QUOTED = frozenset(EXTENSIONS)
"""Names of labels that the parser does not take as they are."""
_MATCH_OPERATORS = frozenset({"=", "!=", "=~", "!~"})
_OR_NOTHING = "|"
_QUOTES = {"`": "unterminated raw string", **dict.fromkeys("\"'", "unterminated quoted string")}
_SPECIAL_NUMBERS = {"inf": math.inf, "nan": math.nan}


class Token(NamedTuple):
    """A piece of the query and the name of its kind in the pattern above."""

    kind: str
    text: str


class _Behind:
    """What stands behind a selector so far: `@`, `offset`, an extension."""

    def __init__(self) -> None:
        self.written: int | None = None
        """Where in the text the offset is."""
        self.offset_ms: int | None = None
        self.extension: Extension = ""
        self.is_selector = False

    @property
    def is_only_extension(self) -> bool:
        """Whether nothing else stands there."""
        return self.extension != "" and self.offset_ms is None

    @property
    def text(self) -> str:
        """The offset with the extension in it, as `extension_of` finds it."""
        return f"offset {_plain_duration((self.offset_ms or 0) + EXTENSIONS.index(self.extension) * EXTENSION_MS)}"


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
        self._groupings: list[str] = []
        """Of the open brackets: the word before it if it holds label names."""
        self._closed_grouping = ""
        """The same of the bracket that was closed last."""
        self._behind = _Behind()
        self._ends_expression = False
        """Whether the text so far ends with an expression."""

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
        if kind == "word" and self._is_modifier(piece.lower()):
            self._modify(piece.lower())
            return
        piece = self._rewritten(kind, piece)
        if kind == "range" and ":" not in piece and self._behind.is_only_extension:
            self._text.insert(-1, piece)  # `a anchored[5m]` is `a[5m] anchored`
            self._behind.written = len(self._text) - 1
            return
        self._text.append(piece)
        self._go_behind(kind, piece)

    def _rewritten(self, kind: str, piece: str) -> str:
        """A piece as the parser takes it."""
        if kind == "string":
            piece = self._string(piece)
        elif kind == "number":
            piece = _plain_number(literal_value(piece))
        elif kind == "range":
            piece = _plain_window(parse_window(piece, self._span, self._shown))
        elif kind == "at":
            piece += self._time()
        elif kind == "word":
            piece = self._word(piece)
        elif kind in ("open", "close"):
            self._bracket(piece)
        elif kind == "other" and piece not in (",", "="):
            raise BadQuery(f"parse error: {self._fault_of(piece)}")
        elif piece == "+" and self._kind(1) == "string":
            raise BadQuery(
                "parse error: unary expression only allowed on expressions of type scalar or instant vector, "
                'got "string"'
            )
        return piece

    def _fault_of(self, piece: str) -> str:
        """What is wrong with a character that belongs nowhere, as Prometheus says it."""
        if piece in _QUOTES:
            return _QUOTES[piece]
        behind = self._stream[self._indexes[self._at] + 1 :][:1]
        if piece == "!" and behind and not self._braces:
            return f"unexpected character after '!': '{_shown(behind[0].text[0])}'"
        return f"unexpected character{' inside braces' if self._braces else ''}: '{_shown(piece)}'"

    def _go_behind(self, kind: str, piece: str) -> None:
        """Note whether an expression, and whether a selector ends with the piece just written."""
        if kind == "at":
            return
        word = piece.lower()
        if word in _SET_WORDS:  # where an expression should begin, they are names
            self._ends_expression = not self._ends_expression
        elif piece == ")":
            self._ends_expression = self._closed_grouping not in _MATCHING_WORDS
        else:
            self._ends_expression = kind in _ENDS and word not in _NO_EXPRESSION
        if kind != "range" or ":" in piece:
            self._behind = _Behind()
        self._behind.is_selector = kind in ("word", "range") or piece == "}"

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
            word = self._piece(-1).lower()
            self._groupings.append(word if word in _GROUPING_WORDS else "")
        elif piece == ")" and self._groupings:
            self._closed_grouping = self._groupings.pop()

    def _word(self, piece: str) -> str:
        """A name, or what the parser is told instead."""
        word = piece.lower()
        if self._braces:  # the parser has an `or` of its own there
            return f'"{piece}"' if word == "or" and self._piece(1) in _MATCH_OPERATORS else piece
        if self._groupings and self._groupings[-1]:
            return f'"{piece}"' if ":" in piece or word in _ONLY_QUOTED else piece
        if word in _SPECIAL_NUMBERS:  # in any case of letters, which the parser would take for a metric's name
            return "Inf" if word == "inf" else "NaN"
        return NAME_STAND_IN + piece if word in _ONLY_QUOTED and self._piece(1) != "(" else piece

    def _is_modifier(self, word: str) -> bool:
        """Behind an expression these are no names."""
        is_one = word == "offset" or word in EXTENSIONS
        return is_one and self._ends_expression and not self._braces and not (self._groupings and self._groupings[-1])

    def _modify(self, word: str) -> None:
        """Write `offset` and its duration, or an extension, into one offset behind the selector."""
        behind = self._behind
        is_second = word == "offset" and behind.offset_ms is not None
        if word == "offset":
            ahead = [self._stream[index].text for index in self._indexes[self._at + 1 :]]
            behind.offset_ms, taken = parse_offset(ahead, self._span, self._shown)
            self._at += taken
        elif not behind.is_selector:
            raise BadQuery(f"parse error: {word} modifier not implemented")
        elif behind.extension not in ("", word):
            raise BadQuery("parse error: anchored and smoothed modifiers cannot be used together")
        else:
            behind.extension = EXTENSIONS[EXTENSIONS.index(cast("Extension", word))]
        if behind.written is None or is_second:  # which the parser refuses
            behind.written = len(self._text)
            self._text.append("")
        self._text[behind.written] = behind.text

    def _time(self) -> str:
        """The number behind `@`; anything else is left to the parser."""
        sign = self._piece(1) if self._piece(1) in ("+", "-") else ""
        number = self._piece(2 if sign else 1)
        if self._kind(2 if sign else 1) == "number":
            seconds = literal_value(number)
        elif number.lower() in _SPECIAL_NUMBERS:
            seconds = _SPECIAL_NUMBERS[number.lower()]
        elif number.lower() in ("start", "end") and (self._piece(2), self._piece(3)) == ("(", ")"):
            self._at += 3
            return f" {number}()"
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
        return f'"{replace_bytes(quoted)}"'


def extension_of(offset_ms: int) -> tuple[Extension, int]:
    """The extension that is in an offset, and the offset without it."""
    which = (offset_ms + EXTENSION_MS // 2) // EXTENSION_MS
    return EXTENSIONS[which], offset_ms - which * EXTENSION_MS


def _plain_duration(milliseconds: int) -> str:
    """In units that the parser takes; it knows no milliseconds beyond 32 bits, and no zero with a unit."""
    if not milliseconds:
        return "0"
    days, rest = divmod(abs(milliseconds), 86_400_000)
    parts = ((days, "d"), (rest // 1000, "s"), (rest % 1000, "ms"))
    return "-" * (milliseconds < 0) + "".join(f"{count}{unit}" for count, unit in parts if count)


def _shown(character: str) -> str:
    return quote(character)[1:-1] if character not in "\"'" else character


def _plain_window(window: Window) -> str:
    step = "" if window.step_ms is None else _plain_duration(window.step_ms)
    return f"[{_plain_duration(window.range_ms)}{':' + step if window.is_subquery else ''}]"


def _plain_number(value: float) -> str:
    """In digits that the parser reads the same."""
    return str(int(value)) if value.is_integer() and value < 1e15 else repr(value)
