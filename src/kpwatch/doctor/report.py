"""Verdicts as text and as JSON. Pure.

The text says one thing a node: the worst first, its numbers, what it means, what to do; nodes that are well take a line
together. JSON is the contract of `kpwatch doctor --json`; evidence that stands in it has a name and a value, nothing
else.
"""

from __future__ import annotations

import math
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from kpwatch.base.terminal import lines_of, padded, width_of
from kpwatch.doctor.bundle import rfc3339
from kpwatch.doctor.judge import SEVERITY_RANK
from kpwatch.doctor.words import Said
from kpwatch.knowledge.rows import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from kpwatch.base.terminal import Paint
    from kpwatch.doctor.judge import Finding, FleetVerdict, Shown
    from kpwatch.doctor.words import Language
    from kpwatch.knowledge.rows import Check, Told

Document = dict[str, Any]
"""What stands in `kpwatch doctor --json`, or a part of it."""

_INDENT = 4
_STYLES = {"critical": "red", "warning": "yellow", "unknown": "yellow", "ok": "green", "info": "cyan"}
_VERDICTS = ("critical", "warning", "unknown", "ok")


class Style(NamedTuple):
    """How text is written."""

    language: Language
    columns: int
    paint: Paint

    def say(self, key: str, *gaps: str) -> str:
        """A sentence of `words.py`."""
        return Said(key, gaps).in_language(self.language)


def exit_code(document: Document) -> int:
    """2 critical, else 1 warning, else 3 a node could not be judged, else 0."""
    verdicts = {node["verdict"] for node in document["nodes"]}
    verdicts |= {finding["severity"] for finding in document["fleet"]["findings"]}
    return 2 if "critical" in verdicts else 1 if "warning" in verdicts else 3 if "unknown" in verdicts else 0


def as_document(verdict: FleetVerdict, language: Language) -> Document:
    """The JSON document."""
    return {
        "version": 1,
        "nodes": [
            {
                "ident": node.ident,
                "verdict": node.verdict,
                "findings": [_finding_document(finding, language) for finding in node.findings],
                "not_judged": [
                    {"check": each.check, "why": each.why.in_language(language)} for each in node.not_judged
                ],
            }
            for node in verdict.nodes
        ],
        "fleet": {"findings": [_finding_document(finding, language) for finding in verdict.findings]},
    }


def in_brief(verdict: FleetVerdict, language: Language) -> Document:
    """`{"nodes": {ident: {"verdict", "findings"}}, "fleet": {"findings"}}` for a table with a row per node.

    Of each finding `check`, `severity`, `summary` and `since`; what is told for the fleet stands at its nodes too.
    """
    return {
        "nodes": {
            node.ident: {
                "verdict": node.verdict,
                "findings": [_brief(finding, language) for finding in (*node.findings, *node.shared)],
            }
            for node in verdict.nodes
        },
        "fleet": {"findings": [_brief(finding, language) for finding in verdict.findings]},
    }


def _brief(finding: Finding, language: Language) -> Document:
    return {
        "check": finding.check.id,
        "severity": finding.severity,
        "summary": _told(finding, language).summary,
        "since": _since(finding),
    }


def _since(finding: Finding) -> str | None:
    return None if finding.since_seconds is None else rfc3339(finding.since_seconds)


def _finding_document(finding: Finding, language: Language) -> dict[str, Any]:
    told = _told(finding, language)
    return {
        "check": finding.check.id,
        "severity": finding.severity,
        "summary": told.summary,
        "evidence": list(_evidence_document(finding, language)),
        "means": told.means,
        "do": _steps(finding, told, language),
        "since": _since(finding),
    }


def _evidence_document(finding: Finding, language: Language) -> Iterator[dict[str, Any]]:
    for shown in finding.evidence:
        is_time = isinstance(shown.what, Evidence) and shown.what.unit == "unix_seconds"
        value: Any = shown.value
        if isinstance(value, float):
            value = rfc3339(value) if is_time else _json_number(value)
        yield {"what": _what(shown, language), "value": value}
    for key, checks in (("because", finding.causes), ("also", finding.consequences)):
        if checks:
            yield {"what": Said(key).in_language(language), "value": ", ".join(checks)}


def _json_number(value: float) -> float | int | str:
    if not math.isfinite(value):
        return str(value)
    return int(value) if value.is_integer() and abs(value) < 1 << 53 else float(f"{value:.6g}")


def _what(shown: Shown, language: Language) -> str:
    """The evidence's name, its unit where the number alone would not tell, the labels that single it out."""
    if isinstance(shown.what, Said):
        return shown.what.in_language(language)
    name = shown.what.zh if language == "zh" else shown.what.en
    unit = f" ({shown.what.unit})" if shown.what.unit in ("seconds", "bytes") else ""
    return f"{name}{unit}" + (f" [{shown.detail}]" if shown.detail else "")


def _told(finding: Finding, language: Language) -> Told:
    return finding.check.zh if language == "zh" else finding.check.en


def _steps(finding: Finding, told: Told, language: Language) -> list[str]:
    return list(told.do) or [Said("explain", (finding.check.id,)).in_language(language)]


def as_text(
    document: Document, checks: Mapping[str, Check], style: Style, now_seconds: float, *, verbose: bool = False
) -> list[str]:
    """Lines for a terminal, or for a pipe, of what `as_document` made; `checks` by id."""
    writer = _Writer(checks, style, now_seconds)
    nodes = sorted(document["nodes"], key=lambda node: (_VERDICTS.index(node["verdict"]), node["ident"]))
    lines: list[str] = []
    for finding in document["fleet"]["findings"]:
        lines += [writer.headline(finding["severity"], style.say("fleet")), *writer.finding(finding), ""]
    for node in nodes:
        if node["verdict"] == "ok" and not node["findings"] and len(nodes) > 1:
            continue
        lines.append(writer.headline(node["verdict"], node["ident"]))
        for finding in node["findings"]:
            lines += writer.finding(finding)
        if node["verdict"] in SEVERITY_RANK and not any(_counts(finding) for finding in node["findings"]):
            lines += writer.wrapped(style.say("shared"))
        if verbose or node["verdict"] == "unknown" or len(nodes) == 1:
            lines += writer.not_judged(node["not_judged"])
        lines.append("")
    return [*lines, *(writer.summary(nodes) if len(nodes) > 1 else [])]


def _counts(finding: Document) -> bool:
    return SEVERITY_RANK[finding["severity"]] > 0


class _Writer:
    """Writes parts of a document in one style."""

    def __init__(self, checks: Mapping[str, Check], style: Style, now_seconds: float) -> None:
        self._checks = checks
        self._style = style
        self._now_seconds = now_seconds

    def headline(self, verdict: str, name: str) -> str:
        paint, style = self._style.paint, _STYLES[verdict]
        return f"{paint(style, '●')} {paint('bold', name)}  {paint(style, self._style.say(verdict))}"

    def finding(self, finding: Document) -> list[str]:
        style = self._style
        check = self._checks.get(finding["check"])
        told = None if check is None else check.zh if style.language == "zh" else check.en
        name = style.paint(_STYLES[finding["severity"]], finding["check"])
        lines = [f"  {name} ({style.say(finding['severity'])})", *self.wrapped(finding["summary"])]
        lines += _table(self._rows(finding), style.columns - _INDENT)
        lines += self.wrapped(finding["means"])
        if told is not None and told.threshold:
            lines += self.wrapped(f"{style.say('threshold')}: {told.threshold}")
        lines += self._steps(finding["do"])
        if check is not None and check.incidents:
            lines += self.wrapped(f"{style.say('incidents')}: {' '.join(check.incidents)}")
        return lines

    def _rows(self, finding: Document) -> Iterator[tuple[str, str]]:
        if finding["since"] is not None:
            began = datetime.fromisoformat(finding["since"]).timestamp()
            ago = duration(max(self._now_seconds - began, 0.0))
            yield self._style.say("since"), f"{rfc3339(round(began))} ({self._style.say('ago', ago)})"
        for each in finding["evidence"]:
            yield _row(each["what"], each["value"])

    def _steps(self, steps: Iterable[str]) -> Iterator[str]:
        for number, step in enumerate(steps, start=1):
            mark = f"{number}. "
            written = lines_of(step, self._style.columns - _INDENT - len(mark), whole="commands")
            for place, line in enumerate(self._style.paint.commands(written)):
                yield " " * _INDENT + (" " * len(mark) if place else mark) + line

    def wrapped(self, text: str) -> list[str]:
        written = self._style.paint.commands(lines_of(text, self._style.columns - _INDENT, whole="commands"))
        return [" " * _INDENT + line for line in written]

    def not_judged(self, not_judged: Iterable[Document]) -> Iterator[str]:
        by_reason: dict[str, list[str]] = {}
        for each in not_judged:
            by_reason.setdefault(each["why"], []).append(each["check"])
        for why, checks in by_reason.items():
            text = f"{self._style.say('not-judged')}: {', '.join(checks)} - {why}"
            yield from (self._style.paint("dim", line) for line in self.wrapped(text))

    def summary(self, nodes: Sequence[Document]) -> list[str]:
        say, paint = self._style.say, self._style.paint
        counts = [(name, sum(node["verdict"] == name for node in nodes)) for name in _VERDICTS]
        told = ", ".join(f"{count} {paint(_STYLES[name], say(name))}" for name, count in counts if count)
        return [f"{say('judged', str(len(nodes)))}: {told}"]


def _row(what: str, value: object) -> tuple[str, str]:
    """Name and value; the unit moves from the one to the other."""
    for unit, text_of in _UNITS.items():
        if unit in what and isinstance(value, int | float):
            return what.replace(unit, ""), text_of(value)
    return what, _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


def _table(rows: Iterable[tuple[str, str]], columns: int) -> Iterator[str]:
    """Names and values side by side; where a line has no room for both, each goes on below itself."""
    rows = list(rows)
    width = max((width_of(name) for name, _ in rows), default=0)
    if width + 2 + max((width_of(value) for _, value in rows), default=0) > columns:
        width = min(width, columns // 2)
    for row in rows:
        parts = zip_longest(lines_of(row[0], width), lines_of(row[1], columns - width - 2), fillvalue="")
        for name, value in parts:
            yield (" " * _INDENT + padded(name, width) + "  " + value).rstrip()


def duration(seconds: float) -> str:
    """`74 s`, `2 min 3 s`, `3 h 20 min`, `5 d 2 h`; below ten seconds with a fraction, below a tenth in ms."""
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < 0.1:
        return f"{sign}{seconds * 1000:.3g} ms"
    if seconds < 10:
        return f"{sign}{seconds:.2g} s"
    whole = round(seconds)
    for unit, size, lesser, lesser_size in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= 2 * size or (size == 60 and whole >= 120):
            rest = whole % size // lesser_size
            return f"{sign}{whole // size} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{sign}{whole} s"


_UNITS: dict[str, Callable[[float], str]] = {
    " (seconds)": duration,
    " (bytes)": lambda value: f"{value / 1e6:,.0f} MB",
}
"""How a document writes units, and how a person reads them."""
