r"""A look at a query before the parser sees it: is it safe to parse, and does it need rewriting?

promql-parser recurses natively and ends the process when its stack does: some 680 nested brackets on 1 MB, and as well
some 1,000 operators in a row (`a + a + …`), at a cost that grows with the square of either. So length, bracket depth,
runs of signs and the number of operators are bounded here, before it is called; no query that a person or a dashboard
writes comes near the bounds.

Where the parser reads otherwise than Prometheus 3, the query is rewritten: `1_000` becomes `1000`; `@ -5` a stand-in
far in the future (the parser cannot express a time before 1970); a string with escaped bytes (`"\xc3\xbf"`) the text
that these bytes are; a regular expression its number (the parser would compile it in another dialect). `parse` turns
the stand-ins back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import BadQuery
from kpwatch.promql.places import find_places

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_QUERY_BYTES = 16 * 1024
MAX_BRACKET_DEPTH = 50
MAX_SIGN_RUN = 50
MAX_OPERATORS = 500

LATEST_SECONDS = 2**63 // 1000 // 1000
"""Times as far from 1970 as Prometheus' int64 milliseconds allow, with room for ranges and offsets."""

NEGATIVE_TIME_STAND_IN_SECONDS = 200_000_000_000  # the year 8307
"""`@ -n` is written as this plus its ordinal in `Prepared.negative_times_ms`."""

FIRST_BYTE_STAND_IN = "\U0010ff00"  # private use
_TO_STAND_IN = {0xDC00 + byte: ord(FIRST_BYTE_STAND_IN) + byte for byte in range(128, 256)}
_FROM_STAND_IN = {stand_in: surrogate for surrogate, stand_in in _TO_STAND_IN.items()}

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<string>"(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*`)
  | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
  | (?P<number>0[xX][0-9A-Fa-f_]+ | (?:[0-9][0-9_]*(?:\.[0-9_]*)? | \.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?)
  | (?P<operator>==|!=|>=|<=|=~|!~|[-+*/%^><])
  | (?P<open>[(\[{]) | (?P<close>[)\]}])
  | (?P<at>@)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SEPARATED_DIGITS = re.compile(r"(?<=[0-9A-Fa-f])_(?=[0-9A-Fa-f])")
_ESCAPE = re.compile(
    r"\\(?:x(?P<hex>[0-9A-Fa-f]{2})|(?P<octal>[0-7]{3})|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})|(?P<one>.))",
    re.DOTALL,
)
_ONE_LETTER = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "\\": "\\", "'": "'", '"': '"'}
_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})


class Token(NamedTuple):
    """A piece of the query and the name of its kind in the pattern above."""

    kind: str
    text: str


class Prepared(NamedTuple):
    """A query that is safe to parse, and what its stand-ins mean."""

    text: str
    negative_times_ms: tuple[int, ...] = ()
    patterns: tuple[str, ...] = ()
    """Regular expressions; in `text` each is a string with its number."""
    places: tuple[tuple[str, ...], ...] = ()
    """Of the calls and their arguments; see `places.find_places`."""


def tokens(query: str) -> Iterator[Token]:
    """All tokens in order, spaces and comments included; joined they are the query."""
    for match in _TOKEN.finditer(query):
        yield Token(str(match.lastgroup), match.group())


def prepare(query: str) -> Prepared:
    """The query as the parser takes it; raises BadQuery where a bound is exceeded."""
    size = len(query.encode("utf-8", "surrogatepass"))
    if size > MAX_QUERY_BYTES:
        raise BadQuery(f"the query has {size} bytes; at most {MAX_QUERY_BYTES} are accepted: shorten or split it")
    stream = list(tokens(query))
    _check_bounds(stream)
    return _rewrite(stream)


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


def _rewrite(stream: list[Token]) -> Prepared:
    text: list[str] = []
    negative_times_ms: list[int] = []
    patterns: list[str] = []
    significant: list[int] = []  # where in `text` the last tokens that are no space stand
    for kind, piece in stream:
        before = [text[index] for index in significant[-2:]]
        rewritten = piece
        if kind == "string":
            rewritten = _rewrite_string(piece, patterns, is_pattern=before[-1:] in (["=~"], ["!~"]))
        elif kind == "number":
            rewritten = _SEPARATED_DIGITS.sub("", piece)
            if before == ["@", "-"]:
                text[significant[-1]] = ""
                negative_times_ms.append(-_milliseconds(rewritten))
                rewritten = str(NEGATIVE_TIME_STAND_IN_SECONDS + len(negative_times_ms) - 1)
        if kind != "space":
            significant.append(len(text))
        text.append(rewritten)
    return Prepared("".join(text), tuple(negative_times_ms), tuple(patterns), tuple(find_places(stream)))


def _milliseconds(number: str) -> int:
    seconds = float(int(number, 16)) if number[:2] in ("0x", "0X") else float(number)
    if seconds > LATEST_SECONDS:
        raise BadQuery(f"timestamp out of bounds for @ modifier: -{number}")
    return round(seconds * 1000)


def _rewrite_string(literal: str, patterns: list[str], *, is_pattern: bool) -> str:
    """The literal, or what stands for it; a literal with an unknown escape is left for the parser to refuse."""
    value = unquote(literal)
    if value is None or not (is_pattern or _has_high_byte(literal)):
        return literal
    if is_pattern:
        patterns.append(value)
        return f'"{len(patterns) - 1}"'
    quoted = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{quoted.translate(_TO_STAND_IN)}"'


def unquote(literal: str) -> str | None:
    """The value of a Go string literal, or None for an unknown escape; bytes that are no UTF-8 become surrogates."""
    inner = literal[1:-1]
    if literal.startswith("`"):
        return inner.replace("\r", "")
    if any(match["one"] is not None and match["one"] not in _ONE_LETTER for match in _ESCAPE.finditer(inner)):
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


def _has_high_byte(literal: str) -> bool:
    return not literal.startswith("`") and any(_byte_of(match) > 127 for match in _ESCAPE.finditer(literal))


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
