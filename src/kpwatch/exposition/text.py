r"""Text exposition 0.0.4: bytes of a /metrics body -> samples.

    # HELP name any text \\ \n        # TYPE name counter|gauge|histogram|summary|untyped
    name{label="value \\ \" \n",...} value [timestamp_ms]

(prometheus.io/docs/instrumenting/exposition_formats.) A line that breaks the rules is reported with its place and
costs nobody else anything: all other lines count. Where parsers of the field differ we take the tolerant side (no
newline at the end, CRLF, blanks around tokens, a trailing comma, TYPE after a sample, quoted UTF-8 names
`{"a.b",x="y"}`), except for values: those are Go's, so `1_000`, hex floats and `-nan` are errors.

A sample line is cut once into its *head* (name and labels, the same bytes from scrape to scrape) and its *rest* (value
and timestamp); `delta` compares and caches by head, so heads are parsed here only when they are new.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from kpwatch.base.errors import BadInput
from kpwatch.model.numbers import NORMAL_NAN

Pairs = tuple[tuple[str, str], ...]

FAMILY_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})

_SUFFIXES = {
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}
_NAME_START = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:")
_NAME_BYTES = _NAME_START | frozenset(b"0123456789")
_BLANKS = b" \t"
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


class Parsed(NamedTuple):
    """A body taken apart."""

    samples: list[Sample]
    types: dict[str, str]
    """Family name -> type, as the body's TYPE lines say."""
    helps: dict[str, str]
    errors: list[LineError]


class _Broken(Exception):
    """A line that does not count; never leaves this module."""

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
        except _Broken as broken:
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
    name, labels = _read_head(head)
    value, timestamp_ms = _read_rest(rest, len(head))
    return Sample(line_number, head, name, labels, value, timestamp_ms)


def read_rest(rest: bytes) -> tuple[float, int | None]:
    """(value, timestamp_ms or None) of what follows a head; raises BadInput."""
    try:
        return _read_rest(rest, 0)
    except _Broken as broken:
        raise BadInput(broken.reason) from broken


def _read_rest(rest: bytes, column: int) -> tuple[float, int | None]:
    tokens = rest.split()
    if not tokens:
        raise _Broken(column, "no value after the name and labels")
    value = _read_value(tokens[0], column + rest.find(tokens[0]))
    if len(tokens) == 1:
        return value, None
    digits = tokens[1].lstrip(b"-")
    if not digits.isdigit() or len(digits) > 18 or len(tokens[1]) - len(digits) > 1:
        where = column + _position_of(tokens, 1, rest)
        raise _Broken(where, f"timestamp {_show(tokens[1])}: expected whole milliseconds")
    if len(tokens) > 2:
        where = column + _position_of(tokens, 2, rest)
        raise _Broken(where, f"{_show(tokens[2])} after the timestamp: nothing may follow it")
    return value, int(tokens[1])


def _position_of(tokens: list[bytes], index: int, rest: bytes) -> int:
    """Where in `rest` one of its tokens begins."""
    position = 0
    for token in tokens[:index]:
        position = rest.index(token, position) + len(token)
    return rest.index(tokens[index], position)


def _read_value(token: bytes, column: int) -> float:
    try:
        value = float(token)
    except ValueError:
        raise _Broken(column, f"value {_show(token)} is not a number") from None
    if b"_" in token:
        raise _Broken(column, f"value {_show(token)}: no underscores in numbers")
    if math.isnan(value):
        if len(token) != 3:
            raise _Broken(column, f"value {_show(token)}: NaN has no sign")
        return NORMAL_NAN
    if math.isinf(value) and token.lstrip(b"+-")[:1] not in b"iI":
        raise _Broken(column, f"value {_show(token)} is out of the range of a float64")
    return value


def _show(token: bytes) -> str:
    return repr(token[:40].decode(errors="replace"))


def _read_comment(line: bytes, parsed: Parsed) -> None:
    tokens = line[1:].split(None, 2)
    if len(tokens) < 2 or tokens[0] not in (b"HELP", b"TYPE"):
        return
    try:
        name = tokens[1].decode().strip('"')
        text = tokens[2].decode() if len(tokens) > 2 else ""
    except UnicodeDecodeError:
        raise _Broken(0, "the comment is not UTF-8") from None
    if tokens[0] == b"HELP":
        parsed.helps[name] = text
        return
    kind = text.strip().lower()
    if kind not in FAMILY_TYPES:
        raise _Broken(line.rfind(tokens[-1]), f"type {kind!r} of {name} is none of {', '.join(sorted(FAMILY_TYPES))}")
    parsed.types[name] = kind


def _read_head(head: bytes) -> tuple[str, Pairs]:
    brace = head.find(b"{")
    if brace < 0:
        return _read_name(head, 0, "metric name"), ()
    before = head[:brace].rstrip(_BLANKS)
    name = _read_name(before, 0, "metric name") if before else ""
    pairs: dict[str, str] = {}
    position = _skip_blanks(head, brace + 1)
    while head[position] != ord("}"):
        label, text, position = _read_item(head, position)
        if text is None:
            if name:
                raise _Broken(position, f"a second metric name {label!r} after {name!r}")
            name = label
        elif label in pairs or label == "__name__":
            raise _Broken(position, f"label {label!r} twice in one sample")
        else:
            pairs[label] = text
        if head[position] == ord(","):
            position = _skip_blanks(head, position + 1)
        elif head[position] != ord("}"):
            raise _Broken(position, f"expected , or }} after label {label!r}")
    if position != len(head) - 1:
        raise _Broken(position + 1, "text after the closing brace")
    if not name:
        raise _Broken(0, "no metric name")
    return name, tuple(pairs.items())


def _read_item(head: bytes, position: int) -> tuple[str, str | None, int]:
    """(label, value, position behind) or, for a quoted metric name, (name, None, position behind)."""
    label, position, quoted = _read_label_name(head, position)
    position = _skip_blanks(head, position)
    if quoted and head[position] in b",}":
        return label, None, position
    if head[position] != ord("="):
        raise _Broken(position, f"expected = after label {label!r}")
    text, position = _read_quoted(head, _skip_blanks(head, position + 1))
    return label, text, _skip_blanks(head, position)


def _skip_blanks(head: bytes, position: int) -> int:
    while position < len(head) and head[position] in _BLANKS:
        position += 1
    if position >= len(head):
        raise _Broken(position, "the labels end without a closing brace")
    return position


def _read_name(token: bytes, column: int, what: str) -> str:
    if not token or token[0] not in _NAME_START or not _NAME_BYTES.issuperset(token):
        raise _Broken(column, f"{what} {_show(token)}: expected letters, digits, _ and :, not beginning with a digit")
    return token.decode("ascii")


def _read_label_name(head: bytes, position: int) -> tuple[str, int, bool]:
    if head[position] == ord('"'):
        text, after = _read_quoted(head, position)
        if not text:
            raise _Broken(position, "a quoted name is empty")
        return text, after, True
    stop = position
    while stop < len(head) and head[stop] in _NAME_BYTES:
        stop += 1
    return _read_name(head[position:stop], position, "label name"), stop, False


def _read_quoted(head: bytes, position: int) -> tuple[str, int]:
    """(text, position behind the closing quote) of a quoted string that begins at `position`."""
    if head[position] != ord('"'):
        raise _Broken(position, "expected a quoted value")
    begin = position + 1
    stop = head.find(b'"', begin)
    raw = head[begin:stop]
    if b"\\" in raw:
        raw, stop = _unescape(head, begin)
    if stop < 0:
        raise _Broken(begin, "the quoted value does not end")
    try:
        return raw.decode(), stop + 1
    except UnicodeDecodeError:
        raise _Broken(begin, "the quoted value is not UTF-8") from None


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
