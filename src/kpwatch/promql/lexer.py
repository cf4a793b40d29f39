r"""A look at a query before the parser sees it: is it safe to parse, and does it need rewriting?

promql-parser recurses natively and ends the process when its stack does: some 680 nested brackets on 1 MB, and as well
some 1,000 operators in a row (`a + a + …`), at a cost that grows with the square of either. So length, bracket depth,
runs of signs and the number of operators are bounded here, before it is called; no query that a person or a dashboard
writes comes near the bounds.

Three things that Prometheus 3 takes and promql-parser does not, or takes otherwise, are rewritten: `1_000` becomes
`1000`; `@ -5` becomes a stand-in far in the future that `parse` turns back (the parser cannot express a time before
1970); and `"\xc3\xbf"`, whose escapes are bytes, becomes the text that these bytes are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.errors import BadQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_QUERY_BYTES = 16 * 1024
MAX_BRACKET_DEPTH = 50
MAX_SIGN_RUN = 50
MAX_OPERATORS = 500

NEGATIVE_TIME_STAND_IN_SECONDS = 200_000_000_000  # the year 8307
"""`@ -n` is written as this plus its ordinal; `Prepared.negative_times_ms` has what was meant."""

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
_BYTE_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([0-7]{3})|.)", re.DOTALL)
_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})


class Token(NamedTuple):
    """A piece of the query and the name of its kind in the pattern above."""

    kind: str
    text: str


class Prepared(NamedTuple):
    """A query that is safe to parse."""

    text: str
    negative_times_ms: tuple[int, ...]


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
    """Numbers without underscores, and stand-ins for negative `@` times."""
    text: list[str] = []
    negative_times_ms: list[int] = []
    significant: list[int] = []  # where in `text` the last tokens that are no space stand
    for token in stream:
        piece = token.text
        if token.kind == "string" and "\\" in piece and not piece.startswith("`"):
            piece = _with_bytes_as_text(piece)
        if token.kind == "number":
            piece = _SEPARATED_DIGITS.sub("", piece)
            if [text[index] for index in significant[-2:]] == ["@", "-"]:
                text[significant[-1]] = ""
                negative_times_ms.append(round(-float(piece) * 1000))
                piece = str(NEGATIVE_TIME_STAND_IN_SECONDS + len(negative_times_ms) - 1)
        if token.kind != "space":
            significant.append(len(text))
        text.append(piece)
    return Prepared("".join(text), tuple(negative_times_ms))


def _with_bytes_as_text(literal: str) -> str:
    """A quoted string whose escapes for bytes above 127 are written as the characters they encode together.

    Bytes that are no UTF-8 become stand-ins; see `restore_bytes`.
    """
    if not any(_high_byte(match) for match in _BYTE_ESCAPE.finditer(literal)):
        return literal
    # Bytes stand as surrogates for a moment, so that all of the literal is decoded together.
    surrogates = _BYTE_ESCAPE.sub(
        lambda match: chr(0xDC00 + byte) if (byte := _high_byte(match)) else match[0], literal
    )
    decoded = surrogates.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return decoded.translate(_TO_STAND_IN)


def _high_byte(escape: re.Match[str]) -> int:
    """The byte above 127 that an escape stands for, or 0."""
    number = int(escape[1], 16) if escape[1] else int(escape[2] or "0", 8)
    return number if 127 < number < 256 else 0


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
