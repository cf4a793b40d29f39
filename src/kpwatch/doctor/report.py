"""Verdicts as text and as JSON. Pure.

The text says one thing a node: the worst first, its numbers, what it means, what to do; nodes that are well take a line
together. JSON is the contract of `kpwatch doctor --json`; evidence that stands in it has a name and a value, nothing
else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from kpwatch.base.terminal import Paint, lines_of, padded, width_of
from kpwatch.doctor.bundle import rfc3339
from kpwatch.doctor.words import Said
from kpwatch.knowledge.rows import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kpwatch.doctor.judge import Finding, FleetVerdict, NodeVerdict, NotJudged, Shown
    from kpwatch.doctor.words import Language
    from kpwatch.knowledge.rows import Told

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


def exit_code(verdict: FleetVerdict) -> int:
    """2 critical, else 1 warning, else 3 a node could not be judged, else 0."""
    verdicts = {node.verdict for node in verdict.nodes} | {finding.severity for finding in verdict.findings}
    return 2 if "critical" in verdicts else 1 if "warning" in verdicts else 3 if "unknown" in verdicts else 0


def as_document(verdict: FleetVerdict, language: Language) -> dict[str, Any]:
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


def _finding_document(finding: Finding, language: Language) -> dict[str, Any]:
    told = _told(finding, language)
    return {
        "check": finding.check.id,
        "severity": finding.severity,
        "summary": told.summary,
        "evidence": list(_evidence_document(finding, language)),
        "means": told.means,
        "do": _steps(finding, told, language),
        "since": None if finding.since_seconds is None else rfc3339(finding.since_seconds),
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


def as_text(verdict: FleetVerdict, style: Style, now_seconds: float, *, verbose: bool = False) -> list[str]:
    """Lines for a terminal, or for a pipe."""
    lines: list[str] = []
    for finding in verdict.findings:
        lines += [_headline(finding.severity, style.say("fleet"), style), *_finding(finding, style, now_seconds), ""]
    for node in _by_verdict(verdict.nodes):
        if node.verdict == "ok" and not node.findings and len(verdict.nodes) > 1:
            continue
        lines.append(_headline(node.verdict, node.ident, style))
        for finding in node.findings:
            lines += _finding(finding, style, now_seconds)
        if node.shared:
            lines += _wrapped(style.say("shared", ", ".join(each.check.id for each in node.shared)), style)
        if verbose or node.verdict == "unknown" or len(verdict.nodes) == 1:
            lines += _not_judged(node.not_judged, style)
        lines.append("")
    return [*lines, *_summary(verdict, style)]


def _by_verdict(nodes: Iterable[NodeVerdict]) -> list[NodeVerdict]:
    return sorted(nodes, key=lambda node: (_VERDICTS.index(node.verdict), node.ident))


def _headline(verdict: str, name: str, style: Style) -> str:
    return f"{style.paint(_STYLES[verdict], '●')} {style.paint('bold', name)}  " + style.paint(
        _STYLES[verdict], style.say(verdict)
    )


def _finding(finding: Finding, style: Style, now_seconds: float) -> list[str]:
    told = _told(finding, style.language)
    check = style.paint(_STYLES[finding.severity], finding.check.id)
    lines = [f"  {check} ({style.say(finding.severity)})", *_wrapped(told.summary, style)]
    lines += _table(_rows(finding, style, now_seconds))
    for key, checks in (("because", finding.causes), ("also", finding.consequences)):
        if checks:
            lines += _wrapped(f"{style.say(key)}: {', '.join(checks)}", style)
    lines += _wrapped(told.means, style)
    if told.threshold:
        lines += _wrapped(f"{style.say('threshold')}: {told.threshold}", style)
    for number, step in enumerate(_steps(finding, told, style.language), start=1):
        mark = f"{number}. "
        written = lines_of(step, style.columns - _INDENT - len(mark), whole="commands")
        for place, line in enumerate(style.paint.commands(written)):
            lines.append(" " * _INDENT + (" " * len(mark) if place else mark) + line)
    if finding.check.incidents:
        lines += _wrapped(f"{style.say('incidents')}: {' '.join(finding.check.incidents)}", style)
    return lines


def _rows(finding: Finding, style: Style, now_seconds: float) -> Iterator[tuple[str, str]]:
    if finding.since_seconds is not None:
        ago = duration(max(now_seconds - finding.since_seconds, 0.0))
        yield style.say("since"), f"{rfc3339(round(finding.since_seconds))} ({style.say('ago', ago)})"
    for shown in finding.evidence:
        yield _name(shown, style.language), _value(shown)


def _name(shown: Shown, language: Language) -> str:
    name = _what(shown._replace(detail=""), language).removesuffix(" (seconds)").removesuffix(" (bytes)")
    return f"{name} [{shown.detail}]" if shown.detail else name


def _value(shown: Shown) -> str:
    value, unit = shown.value, shown.what.unit if isinstance(shown.what, Evidence) else ""
    if isinstance(value, str) or not math.isfinite(value):
        return str(value)
    if unit == "unix_seconds":
        return rfc3339(round(value))
    if unit == "seconds":
        return duration(value)
    if unit == "bytes":
        return f"{value / 1e6:,.0f} MB"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3g}"


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max((width_of(name) for name, _ in rows), default=0)
    return [" " * _INDENT + padded(name, width) + "  " + value for name, value in rows]


def _wrapped(text: str, style: Style) -> list[str]:
    written = style.paint.commands(lines_of(text, style.columns - _INDENT, whole="commands"))
    return [" " * _INDENT + line for line in written]


def _not_judged(not_judged: Iterable[NotJudged], style: Style) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for each in not_judged:
        by_reason.setdefault(each.why.in_language(style.language), []).append(each.check)
    lines = []
    for why, checks in by_reason.items():
        text = f"{style.say('not-judged')}: {', '.join(checks)} - {why}"
        lines += [style.paint("dim", line) for line in _wrapped(text, style)]
    return lines


def _summary(verdict: FleetVerdict, style: Style) -> list[str]:
    if len(verdict.nodes) == 1:
        return []
    counts = [(name, sum(node.verdict == name for node in verdict.nodes)) for name in _VERDICTS]
    told = ", ".join(f"{count} {style.paint(_STYLES[name], style.say(name))}" for name, count in counts if count)
    return [f"{style.say('judged', str(len(verdict.nodes)))}: {told}"]


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
