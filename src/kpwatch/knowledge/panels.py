"""panels.toml -> what boards show, checked; and the same as JSON in one language. Pure.

One table for every board there is: the hub's page draws from it, `kpwatch publish` makes Nightingale's and Grafana's
of it. It is read when somebody asks for it, never at the hub's start.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kpwatch.base.errors import ConfigError
from kpwatch.knowledge.entries import one_of, read_rows, read_text, said
from kpwatch.knowledge.rows import SEVERITIES, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kpwatch.knowledge.rows import Knowledge, Metric

PANELS_FILE = Path(__file__).with_name("panels.toml")
KINDS = ("timeseries", "stat", "table", "heatmap", "state")
PANEL_UNITS = (
    "count", "seconds", "unix_seconds", "bytes", "ratio", "per_second", "cores", "state", "info",
)  # fmt: skip
"""What values are: "ratio" is 0 to 1, "state" a number that `states` explains, "info" nothing: labels tell."""
NODES = 'job="kube-proxy",ident=~"$ident"'
"""What `$node` stands for."""
RATE_INTERVAL = "$__rate_interval"


class Threshold(NamedTuple):
    """From where on a value is bad."""

    severity: str
    value: float
    check: str = ""
    """Whose level holds this number; "" = it is the panel's own."""
    below: bool = False
    """Whether less is bad."""


class State(NamedTuple):
    """What a number of a panel of kind `state` means."""

    value: int
    severity: str
    """One of SEVERITIES, or ok."""
    said: Text


class Query(NamedTuple):
    """PromQL with `$ident` and RATE_INTERVAL in it, nothing else to expand."""

    expr: str
    legend: Text
    """`{{label}}` is the label's value."""
    unit: str
    """The panel's, or a table column's own."""


class Board(NamedTuple):
    """A page of panels."""

    id: str
    title: Text
    means: Text


class Section(NamedTuple):
    """A question that its panels answer."""

    id: str
    title: Text


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart, number or table."""

    id: str
    boards: tuple[str, ...]
    section: str
    kind: str
    title: Text
    means: Text
    unit: str
    queries: tuple[Query, ...]
    metrics: tuple[str, ...]
    """Families that its queries name, first the one without which there is nothing to show."""
    checks: tuple[str, ...]
    """Checks that say what to do where it looks bad."""
    thresholds: tuple[Threshold, ...] = ()
    states: tuple[State, ...] = ()
    columns: tuple[str, ...] = ()
    """Labels that a table shows in the place of the value."""
    record: str = ""
    """Name of the recording rule that keeps its first query; "" = none."""


@dataclass(frozen=True, slots=True)
class Panels:
    """The whole table, in its order."""

    boards: tuple[Board, ...]
    sections: tuple[Section, ...]
    panels: tuple[Panel, ...]

    def of(self, board: str) -> list[Panel]:
        """A board's panels, section by section."""
        order = [section.id for section in self.sections]
        on_it = [panel for panel in self.panels if board in panel.boards]
        return sorted(on_it, key=lambda panel: order.index(panel.section))


@cache
def panels() -> Panels:
    """The table that is part of this package."""
    return read_panels(PANELS_FILE.read_text(encoding="utf-8"))


def read_panels(text: str) -> Panels:
    """The table; raises ConfigError naming the row and the rule it breaks."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"table of panels: {error}") from error
    boards = read_rows(table, "board", "id", lambda row: Board(row["id"], *_texts(row, "title", "means")))
    sections = read_rows(table, "section", "id", lambda row: Section(row["id"], *_texts(row, "title")))
    terms = {name: " ".join(term.split()) for name, term in table.get("terms", {}).items()}
    known = [board.id for board in boards], [section.id for section in sections]
    return Panels(boards, sections, read_rows(table, "panel", "id", lambda row: _panel(row, known, terms)))


def panels_document(table: Panels, knowledge: Knowledge, language: str) -> dict[str, Any]:
    """`{"sections": […], "boards": [{"id", "title", "meaning", "panels": […]}]}` in one of LANGUAGES."""
    metrics = {row.name: row for row in knowledge.metrics}
    return {
        "sections": [{"id": each.id, "title": each.title.in_language(language)} for each in table.sections],
        "boards": [
            {
                "id": board.id,
                "title": board.title.in_language(language),
                "meaning": board.means.in_language(language),
                "panels": [_panel_document(panel, metrics, language) for panel in table.of(board.id)],
            }
            for board in table.boards
        ],
    }


def _panel_document(panel: Panel, metrics: Mapping[str, Metric], language: str) -> dict[str, Any]:
    return {
        "id": panel.id,
        "section": panel.section,
        "kind": panel.kind,
        "title": panel.title.in_language(language),
        "meaning": panel.means.in_language(language),
        "unit": panel.unit,
        "queries": [
            {"expr": query.expr, "legend": query.legend.in_language(language), "unit": query.unit}
            for query in panel.queries
        ],
        "thresholds": [
            {"severity": each.severity, "value": each.value, "below": each.below} for each in panel.thresholds
        ],
        "states": [
            {"value": each.value, "severity": each.severity, "text": each.said.in_language(language)}
            for each in panel.states
        ],
        "columns": panel.columns,
        "metrics": panel.metrics,
        "checks": panel.checks,
        "since": metrics[panel.metrics[0]].since,
    }


_PANEL_KEYS = frozenset(each.name for each in fields(Panel)) - {"queries", "thresholds", "states", "means"} | {
    "query", "threshold", "low", "state", "means",
}  # fmt: skip


def _panel(entry: dict[str, Any], known: tuple[list[str], list[str]], terms: Mapping[str, str]) -> Panel:
    if strangers := sorted(entry.keys() - _PANEL_KEYS):
        raise ValueError(f"{strangers[0]!r} is no key of a panel")
    board_ids, section_ids = known
    kind, unit = one_of(KINDS, entry, "kind"), one_of(PANEL_UNITS, entry, "unit")
    panel = Panel(
        id=entry["id"],
        boards=tuple(one_of(board_ids, {"boards": board}, "boards") for board in entry["boards"]),
        section=one_of(section_ids, entry, "section"),
        kind=kind,
        title=read_text(entry, "title"),
        means=read_text(entry, "means"),
        unit=unit,
        queries=tuple(_query(each, unit, terms) for each in entry["query"]),
        metrics=tuple(entry["metrics"]),
        checks=tuple(entry["checks"]),
        thresholds=tuple(_thresholds(entry)),
        states=tuple(_state(each) for each in entry.get("state", ())),
        columns=tuple(entry.get("columns", ())),
        record=entry.get("record", ""),
    )
    if not panel.queries or not panel.boards:
        raise ValueError("expected at least one query and one board")
    if (kind == "state") != bool(panel.states):
        raise ValueError("state: expected with kind = 'state', and only there")
    return panel


def _query(entry: dict[str, Any], unit: str, terms: Mapping[str, str]) -> Query:
    expr = entry["expr"]
    for _ in range(2):  # a term may name terms
        for name in sorted(terms, key=len, reverse=True):
            expr = expr.replace(f"${name}", terms[name])
    expr = " ".join(expr.replace("$node", NODES).split())
    legend = entry["legend"]
    text = Text(legend, legend) if isinstance(legend, str) else read_text(entry, "legend")
    return Query(expr, text, one_of(PANEL_UNITS, entry, "unit") if "unit" in entry else unit)


def _thresholds(entry: dict[str, Any]) -> Iterable[Threshold]:
    for key in ("threshold", "low"):
        for each in entry.get(key, ()):
            yield Threshold(one_of(SEVERITIES, each, "severity"), each["value"], each.get("check", ""), key == "low")


def _state(entry: dict[str, Any]) -> State:
    return State(
        entry["value"], one_of((*SEVERITIES, "ok"), entry, "severity"), Text(said(entry, "zh"), said(entry, "en"))
    )


def _texts(entry: dict[str, Any], *keys: str) -> list[Text]:
    return [read_text(entry, key) for key in keys]
