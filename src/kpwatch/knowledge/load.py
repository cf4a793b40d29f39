"""kube_proxy.toml -> rows, checked: a row that lacks a language or comes twice is an error that names it.

The file is part of the package, so a mistake in it is ours; it is checked all the same, since everything that explains
a metric to a person is made from it.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kpwatch.base.errors import ConfigError
from kpwatch.knowledge.rows import (
    COLUMN_KINDS,
    METRIC_TYPES,
    SEVERITIES,
    UNITS,
    Answer,
    FleetColumn,
    Knowledge,
    Metric,
    NodeState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

TABLE_FILE = Path(__file__).with_name("kube_proxy.toml")

Row = TypeVar("Row")


@cache
def knowledge() -> Knowledge:
    """The table that is part of this package."""
    return read_knowledge(TABLE_FILE.read_text(encoding="utf-8"))


def read_knowledge(text: str) -> Knowledge:
    """Rows of a table in TOML; raises ConfigError naming the row and the rule it breaks."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"knowledge table: {error}") from error
    return Knowledge(
        metrics=_rows(table, "metric", "name", _metric),
        fleet_columns=_rows(table, "fleet_column", "id", _fleet_column),
        node_states=_rows(table, "node_state", "id", _node_state),
    )


def _rows(table: dict[str, Any], kind: str, key: str, make: Callable[[dict[str, Any]], Row]) -> tuple[Row, ...]:
    rows: dict[str, Row] = {}
    for entry in table.get(kind, []):
        name = entry.get(key, "")
        if not name or name in rows:
            raise ConfigError(f"knowledge table: [[{kind}]] {key} = {name!r}: expected a name that no other row has")
        try:
            rows[name] = make(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"knowledge table: [[{kind}]] {name}: {error}") from error
    return tuple(rows.values())


def _metric(entry: dict[str, Any]) -> Metric:
    return Metric(
        name=entry["name"],
        type=_one_of(METRIC_TYPES, entry, "type"),
        unit=_one_of(UNITS, entry, "unit"),
        since=entry.get("since", ""),
        labels=tuple(entry.get("labels", ())),
        zh=_said(entry, "zh"),
        en=_said(entry, "en"),
    )


def _fleet_column(entry: dict[str, Any]) -> FleetColumn:
    return FleetColumn(
        id=entry["id"],
        kind=_one_of(COLUMN_KINDS, entry, "kind"),
        zh=_said(entry, "zh"),
        en=_said(entry, "en"),
        answers=_answers(entry["from"]),
        zero_is_none=entry.get("zero_is_none", False),
    )


def _answers(entries: Iterable[dict[str, Any]]) -> tuple[Answer, ...]:
    answers = tuple(Answer(**{**entry, "query": _one_line(entry["query"])}) for entry in entries)
    if not answers:
        raise ValueError('expected at least one "from"')
    return answers


def _node_state(entry: dict[str, Any]) -> NodeState:
    severity = _one_of(SEVERITIES, entry, "severity")
    return NodeState(
        id=entry["id"],
        severity=severity,  # type: ignore[arg-type]  # one of SEVERITIES, which are the Literal's words
        query=_one_line(entry["query"]),
        zh=_said(entry, "zh"),
        en=_said(entry, "en"),
    )


def _one_of(allowed: Sequence[str], entry: dict[str, Any], key: str) -> str:
    value = str(entry[key])
    if value not in allowed:
        raise ValueError(f"{key} = {value!r}: expected one of {', '.join(map(repr, allowed))}")
    return value


def _said(entry: dict[str, Any], language: str) -> str:
    text = str(entry.get(language, "")).strip()
    if not text:
        raise ValueError(f"{language}: expected a text in this language")
    return " ".join(text.split())


def _one_line(query: str) -> str:
    return " ".join(query.split())
