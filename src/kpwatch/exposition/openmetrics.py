r"""OpenMetrics 1.0 and 0.0.1: bytes of a body -> samples, as the text exposition gives them.

    # TYPE family type      # HELP family text      # UNIT family unit      # EOF
    name{label="value",...} value [seconds] [# {label="value",...} value [seconds]]

(github.com/prometheus/OpenMetrics, specification/OpenMetrics.md.) Every line is one of these, separated by exactly one
blank where a blank stands, and `# EOF` is the last: without it the body was cut. Which samples make sense together is
`openmetrics_rules`' business; like Prometheus we read a body that breaks those rules, and say so.

What comes out has the words of the text exposition, so that everything behind (rules by family name, `--test`) need
not know what a target speaks: the family of a counter's `x_total` is `x_total`, of an info's `x_info` is `x_info`, the
type "unknown" is "untyped". `x_created` stays a sample, a gauge of its own; beside that it is the `start_ms` of the
samples that it is about. Exemplars are read, counted and not kept.
"""

from __future__ import annotations

import math
import re

from kpwatch.base.errors import BadInput
from kpwatch.base.named import NamedTuple
from kpwatch.exposition.openmetrics_rules import TYPES, Described, Exemplar, Measured, check
from kpwatch.exposition.text import (
    Broken,
    LineError,
    Pairs,
    Parsed,
    Sample,
    is_name,
    read_head,
    read_labels,
    read_value,
    show,
    split_described,
    unescaped_help,
)

_HEAD = re.compile(rb'[^\s{"]*+(?: ?\{(?:[^"}]++|"(?:[^"\\]++|\\.)*+")*+\})?', re.DOTALL)
_KEYWORDS = (b"# TYPE ", b"# HELP ", b"# UNIT ")
_END = b"# EOF"

_MAX_MS = (1 << 63) - 1

_TEXT_NAMES = {"counter": ("_total",), "info": ("_info",)}
"""Type -> what its samples' names have behind the family's, where the text exposition has it in the family's name."""
_STARTING = ("counter", "histogram", "summary")
_NUMBER_LABELS = {"histogram": "le", "summary": "quantile"}


class Scanned(NamedTuple):
    """The lines of a body, one by one."""

    lines: list[Described | Measured]
    errors: list[LineError]


def parse(body: bytes) -> Parsed:
    """Take a whole body apart; never raises."""
    scanned = scan(body)
    described = [line for line in scanned.lines if isinstance(line, Described)]
    measured = [line for line in scanned.lines if isinstance(line, Measured)]
    families = {line.family: line.text for line in described if line.keyword == "TYPE"}
    samples, pinned = _with_starts([line.sample for line in measured], families)
    return Parsed(
        samples,
        types=_types(families),
        helps=_for_text_names(described, families, "HELP"),
        errors=scanned.errors,
        units=_for_text_names(described, families, "UNIT"),
        faults=() if scanned.errors else tuple(check(scanned.lines)),
        exemplars=sum(line.exemplar is not None for line in measured),
        pinned=pinned,
    )


def scan(body: bytes) -> Scanned:
    """Every line as what it is, or as an error."""
    raw_lines = body.split(b"\n")
    if raw_lines[-1] == b"" and len(raw_lines) > 1:
        raw_lines.pop()
    scanned = Scanned([], [])
    ended = False
    for number, raw in enumerate(raw_lines, start=1):
        if ended:
            scanned.errors.append(_error(number, 0, "text after # EOF, which must be the last line", raw))
            break
        if raw == _END:
            ended = True
            continue
        try:
            scanned.lines.append(_read_comment(raw, number) if raw.startswith(b"#") else _read_sample(raw, number))
        except Broken as broken:
            scanned.errors.append(_error(number, broken.column, broken.reason, raw))
    if not ended:
        last = raw_lines[-1]
        scanned.errors.append(_error(len(raw_lines), len(last), "no # EOF at the end: the body was cut", last))
    return scanned


def read_rest(rest: bytes) -> tuple[float, int | None]:
    """(value, timestamp_ms or None) of what follows a head, an exemplar checked and left out; raises BadInput."""
    try:
        value, seconds, _ = _read_rest(rest, 0)
    except Broken as broken:
        raise BadInput(broken.reason) from broken
    return value, None if seconds is None else _to_ms(seconds)


def _error(number: int, column: int, reason: str, raw: bytes) -> LineError:
    return LineError(number, column + 1, reason, raw[:120].decode(errors="replace"))


def _read_comment(line: bytes, number: int) -> Described:
    if not line.startswith(_KEYWORDS):
        raise Broken(0, "expected # TYPE, # HELP, # UNIT or # EOF: OpenMetrics has no other comments")
    keyword, rest = line[2:6].decode(), line[7:]
    try:
        family, behind = split_described(rest) if rest.strip() else ("", "")
    except Broken as broken:
        raise Broken(7 + broken.column, broken.reason) from broken
    except UnicodeDecodeError:
        raise Broken(7, "the comment is not UTF-8") from None
    if not is_name(family) and not rest.startswith(b'"'):
        raise Broken(7, f"{show(rest.partition(b' ')[0])} is no name of a family")
    if not behind.startswith(" "):
        raise Broken(len(line), f"expected a blank and a {keyword.lower()} after the family {family!r}")
    text = behind[1:]
    if keyword == "TYPE" and text not in TYPES:
        raise Broken(len(line) - len(text.encode()), f"type {text!r} of {family} is none of {', '.join(sorted(TYPES))}")
    return Described(number, keyword, family, unescaped_help(text) if keyword == "HELP" else text)


def _read_sample(line: bytes, number: int) -> Measured:
    if not line:
        raise Broken(0, "a blank line: OpenMetrics has none")
    head = _head_of(line)
    if line[len(head) : len(head) + 1] in (b"{", b'"'):
        head = line  # its labels do not end: the reader of heads says where they break
    name, labels = read_head(head, trailing_comma=False)
    value, seconds, exemplar = _read_rest(line[len(head) :], len(head))
    timestamp_ms = None if seconds is None else _to_ms(seconds)
    return Measured(Sample(number, head, name, labels, value, timestamp_ms), seconds, exemplar)


def _head_of(line: bytes) -> bytes:
    """Name and labels, as far as they are whole."""
    match = _HEAD.match(line)
    return match[0] if match else b""


def _read_rest(rest: bytes, column: int) -> tuple[float, float | None, Exemplar | None]:
    numbers, mark, behind = rest.partition(b" # ")
    value, seconds = _read_numbers(numbers, column)
    if not mark:
        return value, seconds, None
    column += len(numbers) + len(mark)
    labels = _head_of(behind)
    if not labels.startswith(b"{"):
        raise Broken(column, "expected the labels of an exemplar in braces")
    try:
        pairs = read_labels(labels)
    except Broken as broken:
        raise Broken(column + broken.column, broken.reason) from broken
    _read_numbers(behind[len(labels) :], column + len(labels))
    return value, seconds, Exemplar(pairs)


def _read_numbers(text: bytes, column: int) -> tuple[float, float | None]:
    """(value, seconds or None) of ` value[ seconds]`."""
    blank, *tokens = text.split(b" ")
    if blank or not tokens or not tokens[0]:
        raise Broken(column, "expected one blank and a value")
    value = _read_number(tokens[0], column + 1)
    if len(tokens) == 1:
        return value, None
    column += len(tokens[0]) + 2
    seconds = _read_number(tokens[1], column)
    if not math.isfinite(seconds):
        raise Broken(column, f"timestamp {show(tokens[1])}: expected seconds")
    if len(tokens) > 2:
        column += len(tokens[1]) + 1
        raise Broken(column, f"{show(tokens[2])} after the timestamp: only an exemplar may follow it")
    return value, seconds


def _read_number(token: bytes, column: int) -> float:
    if token.strip() != token or not token:
        raise Broken(column, f"{show(token)} is not a number: a blank too many, or no blank")
    return read_value(token, column)


def _to_ms(seconds: float) -> int:
    """Milliseconds; what is beyond them is as far away as can be said."""
    return max(-_MAX_MS, min(_MAX_MS, round(seconds * 1000)))


def _types(families: dict[str, str]) -> dict[str, str]:
    types: dict[str, str] = {}
    for family, kind in families.items():
        shown = "untyped" if kind == "unknown" else kind
        types |= {family + suffix: shown for suffix in ("", *_TEXT_NAMES.get(kind, ()))}
        if kind in _STARTING:
            types.setdefault(family + "_created", "gauge")
    return types


def _for_text_names(described: list[Described], families: dict[str, str], keyword: str) -> dict[str, str]:
    """HELP or UNIT by every name that `_types` knows the family by."""
    texts: dict[str, str] = {}
    for line in described:
        if line.keyword == keyword:
            kind = families.get(line.family, "unknown")
            more = (*_TEXT_NAMES.get(kind, ()), *(("_created",) if kind in _STARTING else ()))
            texts |= {line.family + suffix: line.text for suffix in ("", *more)}
    return texts


def _with_starts(samples: list[Sample], families: dict[str, str]) -> tuple[list[Sample], frozenset[int]]:
    """The samples with their `start_ms`, and the lines that said when."""
    owners = {
        family + suffix: family for family, kind in families.items() if kind in _STARTING for suffix in TYPES[kind]
    }
    starts: dict[tuple[str, Pairs], int] = {}
    lines = set()
    for sample in samples:
        family = owners.get(sample.name)
        if family is not None and sample.name == family + "_created" and math.isfinite(sample.value):
            starts[family, _own_labels(sample, families[family])] = max(0, _to_ms(sample.value))
            lines.add(sample.line_number)
    if not starts:
        return samples, frozenset()
    started = []
    for sample in samples:
        family = owners.get(sample.name)
        start_ms = 0
        if family is not None and sample.line_number not in lines:
            start_ms = starts.get((family, _own_labels(sample, families[family])), 0)
        started.append(sample._replace(start_ms=start_ms) if start_ms else sample)
    return started, frozenset(lines)


def _own_labels(sample: Sample, kind: str) -> Pairs:
    number = _NUMBER_LABELS.get(kind)
    return tuple(sorted(pair for pair in sample.labels if pair[0] != number))
