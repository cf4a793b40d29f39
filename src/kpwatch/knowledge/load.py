"""kube_proxy.toml -> rows, checked: a row that lacks a language or comes twice is an error that names it.

The file is part of the package, so a mistake in it is ours; it is checked all the same, since everything that explains
a metric to a person is made from it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpwatch.base.compiled import compiled
from kpwatch.base.errors import ConfigError
from kpwatch.knowledge.dictionary import read_dictionary
from kpwatch.knowledge.entries import one_of, read_rows, said
from kpwatch.knowledge.expressions import expand, in_cluster
from kpwatch.knowledge.incidents import incident_url
from kpwatch.knowledge.rows import (
    COLUMN_KINDS,
    MODES,
    SEVERITIES,
    Answer,
    Check,
    Evidence,
    FleetColumn,
    Knowledge,
    Level,
    Told,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLE_FILE = Path(__file__).with_name("kube_proxy.toml")


@cache
def knowledge() -> Knowledge:
    """The table that is part of this package."""
    return _rows(compiled(TABLE_FILE, lambda source: _read_toml(source.decode())))


@cache
def time_metrics() -> frozenset[str]:
    """Names of the metrics whose value is a time, in unix seconds."""
    return frozenset(row.name for row in knowledge().metrics if row.unit == "unix_seconds")


def read_knowledge(text: str) -> Knowledge:
    """Rows of a table in TOML; raises ConfigError naming the row and the rule it breaks."""
    return _rows(_read_toml(text))


def _read_toml(text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - mostly it is read from what was compiled

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"knowledge table: {error}") from error


def _rows(table: dict[str, Any]) -> Knowledge:
    groups, prefixes, metrics = read_dictionary(table)
    return Knowledge(
        metric_groups=groups,
        metric_prefixes=prefixes,
        metrics=metrics,
        fleet_columns=read_rows(table, "fleet_column", "id", _fleet_column),
        checks=_checks(table),
        terms=table.get("terms", {}),
    )


def _checks(table: dict[str, Any]) -> tuple[Check, ...]:
    checks = read_rows(table, "check", "id", _check)
    known = {check.id for check in checks}
    for check in checks:
        try:
            _check_row(check, known, table.get("terms", {}))
        except ValueError as error:
            raise ConfigError(f"knowledge table: [[check]] {check.id}: {error}") from error
    return checks


def _check_row(check: Check, known: set[str], terms: dict[str, str]) -> None:
    strangers = sorted({*check.folds, *check.because} - known)
    if strangers:
        raise ValueError(f"folds or because: there is no check {strangers[0]!r}")
    for incident in check.incidents:
        incident_url(incident)
    _same_in_both_languages(check)
    for query in queries_of(check):
        expand(query, terms, in_cluster(check.window))


def queries_of(check: Check) -> tuple[str, ...]:
    """All of its PromQL, words not expanded."""
    conditions = [query for level in check.levels for query in (level.when, level.desk)]
    return tuple(query for query in (*conditions, *(each.query for each in check.evidence), check.since) if query)


def _fleet_column(entry: dict[str, Any]) -> FleetColumn:
    return FleetColumn(
        id=entry["id"],
        kind=one_of(COLUMN_KINDS, entry, "kind"),
        zh=said(entry, "zh"),
        en=said(entry, "en"),
        answers=_answers(entry["from"]),
        zero_is_none=entry.get("zero_is_none", False),
    )


def _answers(entries: Iterable[dict[str, Any]]) -> tuple[Answer, ...]:
    answers = tuple(Answer(**{**entry, "query": _one_line(entry["query"])}) for entry in entries)
    if not answers:
        raise ValueError('expected at least one "from"')
    return answers


_CHECK_KEYS = frozenset(Check._fields) - {"levels"} | {"level"}


def _check(entry: dict[str, Any]) -> Check:
    strangers = sorted(entry.keys() - _CHECK_KEYS)
    if strangers:
        raise ValueError(f"{strangers[0]!r} is no key of a check")
    levels = tuple(_level(level) for level in entry.get("level", ()))
    if not levels:
        raise ValueError("expected at least one [[check.level]]")
    evidence = tuple(Evidence(**each) for each in entry.get("evidence", ()))
    if any(not each.zh or not each.en for each in evidence):
        raise ValueError("evidence: expected a text in both languages")
    return Check(
        id=entry["id"],
        reference=entry["reference"],
        levels=levels,
        evidence=evidence,
        zh=_told("zh", entry.get("zh", {})),
        en=_told("en", entry.get("en", {})),
        window=entry.get("window", "5m"),
        needs=tuple(entry.get("needs", ())),
        version=entry.get("version", ""),
        modes=_modes(entry, "modes"),
        blind_modes=_modes(entry, "blind_modes"),
        folds=tuple(entry.get("folds", ())),
        because=tuple(entry.get("because", ())),
        since=entry.get("since", ""),
        verdict=entry.get("verdict", ""),
        fleet_only=entry.get("fleet_only", False),
        least_nodes=entry.get("least_nodes", 1),
        across=entry.get("across", False),
        shared=entry.get("shared", 0),
        incidents=tuple(entry.get("incidents", ())),
    )


def _modes(entry: dict[str, Any], key: str) -> tuple[str, ...]:
    modes = tuple(entry.get(key, ()))
    strangers = sorted(set(modes) - set(MODES))
    if strangers:
        raise ValueError(f"{key}: {strangers[0]!r} is none of {', '.join(MODES)}")
    return modes


def _level(entry: dict[str, Any]) -> Level:
    severity = one_of(SEVERITIES, entry, "severity")
    return Level(
        severity=severity,  # type: ignore[arg-type]  # one of SEVERITIES, which are the Literal's words
        when=entry["when"],
        desk=entry.get("desk", ""),
        for_text=entry.get("for", ""),
        is_cause=entry.get("is_cause", True),
    )


_TOLD_KEYS = frozenset(Told._fields)
_COMMAND = re.compile("`([^`]+)`")


def _told(language: str, entry: dict[str, Any]) -> Told:
    strangers = sorted(entry.keys() - _TOLD_KEYS)
    if strangers:
        raise ValueError(f"{language}.{strangers[0]} is no key of a check")
    try:
        return Told(
            summary=said(entry, "summary"),
            means=said(entry, "means"),
            causes=_said_in_turn(entry, "causes"),
            do=_said_in_turn(entry, "do"),
            threshold=said(entry, "threshold"),
            blind=entry.get("blind", ""),
        )
    except ValueError as error:
        raise ValueError(f"{language}.{error}") from error


def _said_in_turn(entry: dict[str, Any], key: str) -> tuple[str, ...]:
    texts = entry.get(key)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f"{key}: expected a list of texts in this language")
    return tuple(text.strip() for text in texts)


def _same_in_both_languages(check: Check) -> None:
    """Whoever reads one language is told no less; raises ValueError."""
    for key in ("causes", "do"):
        in_zh, in_en = (len(getattr(told, key)) for told in (check.zh, check.en))
        if in_zh != in_en:
            raise ValueError(f"{key}: {in_zh} in zh, {in_en} in en: expected the same in the same order")
    for number, steps in enumerate(zip(check.zh.do, check.en.do, strict=True), start=1):
        commands_zh, commands_en = map(_COMMAND.findall, steps)
        if commands_zh != commands_en:
            raise ValueError(f"do: step {number} has other commands in zh than in en")
    if len({bool(check.blind_modes), bool(check.zh.blind), bool(check.en.blind)}) > 1:
        raise ValueError("blind_modes, zh.blind, en.blind: expected all or none")


def _one_line(query: str) -> str:
    return " ".join(query.split())
