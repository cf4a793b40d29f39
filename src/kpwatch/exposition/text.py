r"""Text exposition 0.0.4 and 1.0.0: bytes of a /metrics body -> samples.

    # HELP name any text \\ \n        # TYPE name counter|gauge|histogram|summary|untyped
    name{label="value \\ \" \n",...} value [timestamp_ms]

(prometheus.io/docs/instrumenting/exposition_formats.) A line that breaks the rules is reported with its place and
costs nobody else anything: all other lines count. Where parsers of the field differ we take the tolerant side (no
newline at the end, CRLF, blanks around tokens, a trailing comma, TYPE after a sample, quoted UTF-8 names
`{"a.b",x="y"}`), except for values: those are Go's, so `1_000`, hex floats and `-nan` are errors. Quoted names are what
1.0.0 adds; whatever `escaping` a target says it used, the names it wrote are the names.

A sample line is cut once into its *head* (name and labels, the same bytes from scrape to scrape) and its *rest* (value
and timestamp); `delta` compares and caches by head, so heads are parsed here only when they are new. The types and the
parts of lines below are those of `openmetrics` too.
"""

from __future__ import annotations

import math
import re
from sys import intern
from types import MappingProxyType
from typing import TYPE_CHECKING

from kpwatch.base.errors import BadInput
from kpwatch.base.named import NamedTuple
from kpwatch.model.numbers import NORMAL_NAN

if TYPE_CHECKING:
    from collections.abc import Mapping

Pairs = tuple[tuple[str, str], ...]

FAMILY_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})

_NO_UNITS: Mapping[str, str] = MappingProxyType({})
_SUFFIXES = {
    "histogram": ("_bucket", "_sum", "_count"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "summary": ("_sum", "_count"),
}
_NAME_START = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:")
_NAME_BYTES = _NAME_START | frozenset(b"0123456789")
BLANKS = b" \t"
_DESCRIBED = re.compile(rb"#[ \t]*(HELP|TYPE)[ \t]+(\S.*)", re.DOTALL)
_HELP_ESCAPE = re.compile(r'\\([n\\"])')
_ESCAPES = {ord("\\"): b"\\", ord('"'): b'"', ord("n"): b"\n"}


class LineError(NamedTuple):
    """One line that does not count."""

    line_number: int
    """From 1."""
    column: int
    """In bytes, from 1."""
    reason: str
    text: str
    """The line's beginning, for the log."""


class Sample(NamedTuple):
    """One sample line. `labels` as exposed, without the name, in the line's order, values unescaped."""

    line_number: int
    head: bytes
    name: str
    labels: Pairs
    value: float
    timestamp_ms: int | None
    start_ms: int = 0
    """When its counter began, where the body says so; else 0."""


class Parsed(NamedTuple):
    """A body taken apart."""

    samples: list[Sample]
    types: dict[str, str]
    """Family name -> type, as the body's TYPE lines say."""
    helps: dict[str, str]
    errors: list[LineError]
    """Lines that cannot be read."""
    units: Mapping[str, str] = _NO_UNITS
    faults: tuple[LineError, ...] = ()
    """Rules of the format that lines break although they can be read."""
    exemplars: int = 0
    """How many exemplars were read; they are not kept."""
    pinned: frozenset[int] = frozenset()
    """Lines whose value says something of other samples too."""


class Broken(Exception):
    """A line that does not count; never leaves this room."""

    def __init__(self, column: int, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


def parse(body: bytes) -> Parsed:
    """Take a whole body apart; never raises."""
    parsed = Parsed([], {}, {}, [])
    for number, raw in enumerate(body.split(b"\n"), start=1):
        line = raw.strip(b" \t\r")
        if not line:
            continue
        try:
            if line.startswith(b"#"):
                _read_comment(line, parsed)
            else:
                parsed.samples.append(read_sample(line, number))
        except Broken as broken:
            indent = len(raw) - len(raw.lstrip(b" \t\r"))
            text = raw[:120].decode(errors="replace")
            parsed.errors.append(LineError(number, broken.column + indent + 1, broken.reason, text))
    return parsed


def family_of(name: str, types: dict[str, str]) -> str:
    """The family a sample belongs to: `x_bucket` belongs to the histogram `x` where there is one."""
    if name in types:
        return name
    base, underscore, _ = name.rpartition("_")
    suffix = underscore + name[len(base) + 1 :]
    if suffix in _SUFFIXES.get(types.get(base, ""), ()):
        return base
    return name


def split_line(line: bytes) -> tuple[bytes, bytes]:
    """(head, rest) of a stripped sample line; a closing brace cannot stand in the rest."""
    brace = line.rfind(b"}")
    if brace >= 0:
        return line[: brace + 1], line[brace + 1 :]
    head = line.replace(b"\t", b" ").partition(b" ")[0]
    return head, line[len(head) :]


def read_sample(line: bytes, line_number: int) -> Sample:
    """One stripped sample line; raises the module's own error, which `parse` turns into a LineError."""
    head, rest = split_line(line)
    name, labels = read_head(head)
    value, timestamp_ms = _read_rest(rest, len(head))
    return Sample(line_number, head, name, labels, value, timestamp_ms)


def read_rest(rest: bytes) -> tuple[float, int | None]:
    """(value, timestamp_ms or None) of what follows a head; raises BadInput."""
    try:
        return _read_rest(rest, 0)
    except Broken as broken:
        raise BadInput(broken.reason) from broken


def _read_rest(rest: bytes, column: int) -> tuple[float, int | None]:
    tokens = rest.split()
    if not tokens:
        raise Broken(column, "no value after the name and labels")
    value = read_value(tokens[0], column + rest.find(tokens[0]))
    if len(tokens) == 1:
        return value, None
    digits = tokens[1].lstrip(b"-")
    if not digits.isdigit() or len(digits) > 18 or len(tokens[1]) - len(digits) > 1:
        where = column + _position_of(tokens, 1, rest)
        raise Broken(where, f"timestamp {show(tokens[1])}: expected whole milliseconds")
    if len(tokens) > 2:
        where = column + _position_of(tokens, 2, rest)
        raise Broken(where, f"{show(tokens[2])} after the timestamp: nothing may follow it")
    return value, int(tokens[1])


def _position_of(tokens: list[bytes], index: int, rest: bytes) -> int:
    """Where in `rest` one of its tokens begins."""
    position = 0
    for token in tokens[:index]:
        position = rest.index(token, position) + len(token)
    return rest.index(tokens[index], position)


def read_value(token: bytes, column: int) -> float:
    """A float64 as Go reads it, every NaN the ordinary one; raises Broken at `column`."""
    try:
        value = float(token)
    except ValueError:
        raise Broken(column, f"value {show(token)} is not a number") from None
    if b"_" in token:
        raise Broken(column, f"value {show(token)}: no underscores in numbers")
    if math.isnan(value):
        if len(token) != 3:
            raise Broken(column, f"value {show(token)}: NaN has no sign")
        return NORMAL_NAN
    if math.isinf(value) and token.lstrip(b"+-")[:1] not in b"iI":
        raise Broken(column, f"value {show(token)} is out of the range of a float64")
    return value


def show(token: bytes) -> str:
    """A token as a message quotes it: its beginning."""
    return repr(token[:40].decode(errors="replace"))


def _read_comment(line: bytes, parsed: Parsed) -> None:
    described = _DESCRIBED.match(line)
    if described is None:
        return
    keyword, rest = described.groups()
    try:
        name, text = split_described(rest)
    except Broken as broken:
        raise Broken(described.start(2) + broken.column, broken.reason) from broken
    except UnicodeDecodeError:
        raise Broken(0, "the comment is not UTF-8") from None
    if keyword == b"HELP":
        parsed.helps[name] = unescaped_help(text.lstrip())
        return
    kind = text.strip().lower()
    if kind not in FAMILY_TYPES:
        where = line.rfind(text.strip().encode() or rest)
        raise Broken(where, f"type {kind!r} of {name} is none of {', '.join(sorted(FAMILY_TYPES))}")
    parsed.types[name] = kind


def split_described(rest: bytes) -> tuple[str, str]:
    """(family, text behind it) of what follows HELP or TYPE; raises Broken, UnicodeDecodeError."""
    if rest.startswith(b'"'):
        name, stop = read_quoted(rest, 0)
        return name, rest[stop:].decode()
    word = rest.split(None, 1)[0]
    return word.decode(), rest[len(word) :].decode()


def unescaped_help(text: str) -> str:
    r"""A help text as it was meant: `\n` a line break, `\\` a backslash."""
    if "\\" not in text:
        return text
    return _HELP_ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text)


def read_head(head: bytes, *, trailing_comma: bool = True) -> tuple[str, Pairs]:
    """(name, labels) of everything before a value; `trailing_comma`: the last label may have one. Raises Broken."""
    brace = head.find(b"{")
    if brace < 0:
        return _read_name(head, 0, "metric name"), ()
    before = head[:brace].rstrip(BLANKS)
    name = _read_name(before, 0, "metric name") if before else ""
    name, pairs = _read_labels(head, brace, name, trailing_comma=trailing_comma)
    if not name:
        raise Broken(0, "no metric name")
    return name, pairs


def read_labels(head: bytes) -> Pairs:
    """Labels alone, in their braces, without a name and without a trailing comma. Raises Broken."""
    name, pairs = _read_labels(head, 0, "", trailing_comma=False)
    if name:
        raise Broken(0, f"a metric name {name!r} where only labels may stand")
    return pairs


def _read_labels(head: bytes, brace: int, name: str, *, trailing_comma: bool) -> tuple[str, Pairs]:
    """(name, labels) of the braces that open at `brace`; the name may stand in them where there is none before."""
    pairs: dict[str, str] = {}
    position = _skip_blanks(head, brace + 1)
    while head[position] != ord("}"):
        label, text, position = _read_item(head, position)
        if text is None:
            if name:
                raise Broken(position, f"a second metric name {label!r} after {name!r}")
            name = label
        elif label in pairs or label == "__name__":
            raise Broken(position, f"label {label!r} twice in one sample")
        else:
            pairs[label] = text
        if head[position] == ord(","):
            position = _skip_blanks(head, position + 1)
            if head[position] == ord("}") and not trailing_comma:
                raise Broken(position, f"expected another label after the comma behind {label!r}")
        elif head[position] != ord("}"):
            raise Broken(position, f"expected , or }} after label {label!r}")
    if position != len(head) - 1:
        raise Broken(position + 1, "text after the closing brace")
    return name, tuple(pairs.items())


def _read_item(head: bytes, position: int) -> tuple[str, str | None, int]:
    """(label, value, position behind) or, for a quoted metric name, (name, None, position behind)."""
    label, position, quoted = _read_label_name(head, position)
    position = _skip_blanks(head, position)
    if quoted and head[position] in b",}":
        return label, None, position
    if head[position] != ord("="):
        raise Broken(position, f"expected = after label {label!r}")
    text, position = read_quoted(head, _skip_blanks(head, position + 1))
    return label, text, _skip_blanks(head, position)


def _skip_blanks(head: bytes, position: int) -> int:
    while position < len(head) and head[position] in BLANKS:
        position += 1
    if position >= len(head):
        raise Broken(position, "the labels end without a closing brace")
    return position


def is_name(text: str) -> bool:
    """Whether a name needs no quotes."""
    token = text.encode()
    return bool(token) and token[0] in _NAME_START and _NAME_BYTES.issuperset(token)


def _read_name(token: bytes, column: int, what: str) -> str:
    if not token or token[0] not in _NAME_START or not _NAME_BYTES.issuperset(token):
        raise Broken(column, f"{what} {show(token)}: expected letters, digits, _ and :, not beginning with a digit")
    return intern(token.decode("ascii"))


def _read_label_name(head: bytes, position: int) -> tuple[str, int, bool]:
    if head[position] == ord('"'):
        text, after = read_quoted(head, position)
        if not text:
            raise Broken(position, "a quoted name is empty")
        return text, after, True
    stop = position
    while stop < len(head) and head[stop] in _NAME_BYTES:
        stop += 1
    return _read_name(head[position:stop], position, "label name"), stop, False


def read_quoted(head: bytes, position: int) -> tuple[str, int]:
    """(text, position behind the closing quote) of a quoted string that begins at `position`."""
    if head[position] != ord('"'):
        raise Broken(position, "expected a quoted value")
    begin = position + 1
    stop = head.find(b'"', begin)
    raw = head[begin:stop]
    if b"\\" in raw:
        raw, stop = _unescape(head, begin)
    if stop < 0:
        raise Broken(begin, "the quoted value does not end")
    try:
        return intern(raw.decode()), stop + 1
    except UnicodeDecodeError:
        raise Broken(begin, "the quoted value is not UTF-8") from None


def _unescape(head: bytes, begin: int) -> tuple[bytes, int]:
    text = bytearray()
    position = begin
    while position < len(head) - 1:
        byte = head[position]
        if byte == ord('"'):
            return bytes(text), position
        if byte == ord("\\"):
            position += 1
            text += _ESCAPES.get(head[position], b"\\" + head[position : position + 1])
        else:
            text.append(byte)
        position += 1
    return b"", -1
