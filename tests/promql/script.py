"""Reads Prometheus' PromQL test scripts (`*.test`): commands `clear`, `load` and `eval` and what they expect.

The format is that of prometheus/prometheus, promql/promqltest/README.md. Times are Unix milliseconds, counted from 0.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpwatch.model.labels import make_labels
from kpwatch.model.numbers import STALE_NAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.model.labels import Labels

_EVAL_INSTANT = re.compile(
    r"^eval(?:_(?P<mode>fail|warn|ordered|info))?\s+instant\s+(?:at\s+(?P<at>\S+)\s+)?(?P<query>.+)$"
)
_EVAL_RANGE = re.compile(
    r"^eval(?:_(?P<mode>fail|warn|info))?\s+range\s+from\s+(?P<start>\S+)\s+to\s+(?P<end>\S+)\s+step\s+(?P<step>\S+)"
    r"\s+(?P<query>.+)$"
)
_EXPECT = re.compile(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):\s*(.+))?$")
_EXPECT_RANGE = re.compile(r"^expect range vector from (\S+) to (\S+) step (\S+)$")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:.]*")
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`"
_LABEL = re.compile(
    rf"\s*(?P<name>{_QUOTED}|[A-Za-z_][A-Za-z0-9_.]*)\s*(?:=\s*(?P<value>{_QUOTED}))?\s*(?P<end>,|(?=\}}))"
)
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[iI]nf|[nN]a[nN])"
_ITEM = re.compile(
    rf"(?:(?P<gap>_)|(?P<stale>stale)|(?P<value>{_NUMBER})(?P<change>[+-]{_NUMBER.removeprefix('[+-]?')})?)"
    r"(?:x(?P<times>\d+))?"
)
_NATIVE = re.compile(r"\{\{[^}]*\}\}(?:[+-]\{\{[^}]*\}\})?(?:x(?P<times>\d+))?")

Item = float | None | str
"""A value, None for a gap, NATIVE for a native histogram."""
NATIVE = "native histogram"


@dataclass
class Load:
    """Samples to store: series and their items, `step_ms` apart from 0 on."""

    step_ms: int
    with_nhcb: bool
    series: list[tuple[Labels, list[Item]]] = field(default_factory=list)


@dataclass
class Eval:
    """A query and what it should answer."""

    line: int
    query: str
    start_ms: int
    end_ms: int
    step_ms: int | None
    """None for an instant query at `start_ms`."""
    series: list[tuple[Labels, list[Item]]] = field(default_factory=list)
    scalar: float | None = None
    text: str | None = None
    points_ms: tuple[int, int, int] | None = None
    """Start, end and step of the samples of an expected range vector."""
    expectations: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    """(what, "msg" | "regex" | None, text)."""

    def expects(self, what: str) -> bool:
        """Whether the script says `expect what`."""
        return any(kind == what for kind, _, _ in self.expectations)


class Clear:
    """Forget all samples."""


Command = Load | Eval | Clear


def read_script(text: str) -> Iterator[Command]:
    """The commands of a script in order."""
    lines = [line.strip() for line in text.splitlines()]
    lines = ["" if line.startswith("#") else line for line in lines]  # a comment ends a command, as a blank line does
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if not line:
            continue
        if line == "clear":
            yield Clear()
            continue
        command = _start(line, number)
        while number < len(lines) and lines[number] and not (isinstance(command, Eval) and command.scalar is not None):
            _body_line(command, lines[number])
            number += 1
        yield command


def _start(line: str, number: int) -> Load | Eval:
    first, _, rest = line.partition(" ")
    if first in ("load", "load_with_nhcb"):
        return Load(duration_ms(rest.strip()), first == "load_with_nhcb")
    if match := _EVAL_INSTANT.match(line):
        at_ms = duration_ms(match["at"] or "0")
        command = Eval(number, match["query"], at_ms, at_ms, None)
    elif match := _EVAL_RANGE.match(line):
        start, end, step = (duration_ms(match[name]) for name in ("start", "end", "step"))
        command = Eval(number, match["query"], start, end, step)
    else:
        raise ValueError(f"line {number}: no command: {line!r}")
    if match["mode"]:
        command.expectations.append((match["mode"], None, None))
    return command


def _body_line(command: Load | Eval, line: str) -> None:
    if isinstance(command, Load):
        command.series.append(_series(line))
    elif line.startswith("expected_fail_"):
        kind, _, text = line.removeprefix("expected_fail_").partition(" ")
        command.expectations.append(("fail", {"message": "msg", "regexp": "regex"}[kind], text.strip()))
    elif match := _EXPECT_RANGE.match(line):
        start, end, step = (duration_ms(part) for part in match.groups())
        command.points_ms = start, end, step
    elif line.startswith("expect string"):
        command.text = unquote(line.removeprefix("expect string").strip())
    elif line.split(maxsplit=1)[0] == "expect":
        match = _EXPECT.match(line)
        assert match, line
        command.expectations.append((match[1], match[2], match[3].strip() if match[3] else None))
    elif re.fullmatch(_NUMBER, line):
        command.scalar = float(line)
    else:
        command.series.append(_series(line))


def duration_ms(text: str) -> int:
    """`1h30m`, `10s53ms`, or plain seconds."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return round(float(text) * 1000)
    assert "".join(match.group() for match in _DURATION.finditer(text)) == text, text
    return round(sum(float(number) * _UNIT_MS[unit] for number, unit in _DURATION.findall(text)))


def unquote(text: str) -> str:
    """A Go string literal's value."""
    if text.startswith("`"):
        return text[1:-1]
    return str(ast.literal_eval(text))


def _series(line: str) -> tuple[Labels, list[Item]]:
    labels: dict[str, str] = {}
    position = 0
    if match := _NAME.match(line):
        labels["__name__"] = match.group()
        position = match.end()
    if line[position : position + 1] == "{":
        position += 1
        while line[position : position + 1].strip() != "}":
            match = _LABEL.match(line, position)
            if match is None:
                assert line[position:].lstrip().startswith("}"), line
                position = line.index("}", position)
                break
            name = unquote(match["name"]) if match["name"][0] in "\"'`" else match["name"]
            if match["value"] is None:
                labels["__name__"] = name
            else:
                labels[name] = unquote(match["value"])
            position = match.end()
        position += 1
    return make_labels(labels), list(_items(line[position:].strip()))


def _items(text: str) -> Iterator[Item]:
    position = 0
    while position < len(text):
        if text[position] in " \t":
            position += 1
            continue
        if match := _NATIVE.match(text, position):
            yield from [NATIVE] * (int(match["times"] or 0) + 1)
        else:
            match = _ITEM.match(text, position)
            assert match, text[position:]
            yield from _expand(match)
        position = match.end()


def _expand(match: re.Match[str]) -> Iterator[Item]:
    times = int(match["times"] or 0)
    if match["gap"]:
        yield from [None] * max(1, times)
        return
    value = STALE_NAN if match["stale"] else float(match["value"])
    change = float(match["change"]) if match["change"] else 0.0
    for step in range(times + 1):
        yield value + change * step if change else value
