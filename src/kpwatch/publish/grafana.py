"""Grafana's classic JSON model of the boards, and a provisioning file. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch.knowledge.panels import Panel, panels
from kpwatch.knowledge.rows import LANGUAGES
from kpwatch.publish.documents import Document, json_document, yaml_document
from kpwatch.publish.layout import described, laid_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.knowledge.panels import Board, Panels, Query, Section
    from kpwatch.publish.catalogue import Wishes
    from kpwatch.publish.layout import Place

SCHEMA_VERSION = 38
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_UNITS = {
    "count": "short", "seconds": "s", "unix_seconds": "dateTimeFromNow", "bytes": "bytes", "ratio": "percentunit",
    "per_second": "cps", "cores": "short", "state": "none", "info": "none",
}  # fmt: skip
_COLOURS = {"ok": "green", "info": "blue", "warning": "orange", "critical": "red"}
_TYPES = {"state": "state-timeline"}
_MILLISECONDS = 1000


def documents(_: Wishes) -> Iterator[Document]:
    """`grafana/dashboards/*.json`, one for each board and language, and `grafana/provisioning`."""
    for language in LANGUAGES:
        for document in board_documents(panels(), language):
            yield json_document(f"grafana/dashboards/{document['uid']}.json", document)
    yield yaml_document(
        "grafana/provisioning/dashboards/kube-proxy.yml",
        "Put beside Grafana's provisioning files; the boards go to the folder that `path` names.",
        {
            "apiVersion": 1,
            "providers": [
                {
                    "name": "kpwatch",
                    "folder": "kube-proxy",
                    "type": "file",
                    "allowUiUpdates": False,
                    "options": {"path": "/var/lib/grafana/dashboards/kube-proxy"},
                }
            ],
        },
    )


def board_documents(table: Panels, language: str) -> Iterator[dict[str, Any]]:
    """All boards in a language."""
    for board in table.boards:
        yield {
            "uid": f"kube-proxy-{board.id}-{language}",
            "title": board.title.in_language(language),
            "description": board.means.in_language(language),
            "tags": ["kube-proxy", "kpwatch", language],
            "schemaVersion": SCHEMA_VERSION,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "1m",
            "timezone": "browser",
            "time": {"from": "now-7d" if board.id == "slo" else "now-1h", "to": "now"},
            "links": [_link(other, language) for other in table.boards if other is not board],
            "annotations": {"list": []},
            "templating": {"list": _variables(language)},
            "panels": [
                _panel(number, each, place, language)
                for number, (each, place) in enumerate(laid_out(table, board), start=1)
            ],
        }


def _link(board: Board, language: str) -> dict[str, Any]:
    return {
        "title": board.title.in_language(language),
        "type": "link",
        "url": f"/d/kube-proxy-{board.id}-{language}",
        "keepTime": True,
        "includeVars": True,
        "asDropdown": False,
        "icon": "dashboard",
        "tags": [],
        "targetBlank": False,
        "tooltip": "",
    }


def _variables(language: str) -> list[dict[str, Any]]:
    return [
        {
            "name": "datasource",
            "label": "数据源" if language == "zh" else "Data source",
            "type": "datasource",
            "query": "prometheus",
            "regex": "",
            "hide": 0,
            "refresh": 1,
            "current": {},
            "options": [],
            "includeAll": False,
            "multi": False,
        },
        {
            "name": "ident",
            "label": "节点" if language == "zh" else "Node",
            "type": "query",
            "datasource": _DATASOURCE,
            "definition": 'label_values(up{job="kube-proxy"}, ident)',
            "query": {"query": 'label_values(up{job="kube-proxy"}, ident)', "refId": "ident", "qryType": 1},
            "regex": "",
            "hide": 0,
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
            "options": [],
        },
    ]


def _panel(number: int, shown: Section | Panel, place: Place, language: str) -> dict[str, Any]:
    grid = {"h": place.height, "w": place.width, "x": place.x, "y": place.y}
    common = {"id": number, "title": shown.title.in_language(language), "gridPos": grid}
    if not isinstance(shown, Panel):
        return {**common, "type": "row", "collapsed": False, "panels": []}
    return {
        **common,
        "type": _TYPES.get(shown.kind, shown.kind),
        "description": described(shown, language),
        "datasource": _DATASOURCE,
        "interval": "1m",
        "targets": [_target(shown, place_, query, language) for place_, query in enumerate(shown.queries)],
        "fieldConfig": {
            "defaults": {
                "unit": _UNITS[shown.unit],
                "mappings": _mappings(shown, language),
                "thresholds": {"mode": "absolute", "steps": _steps(shown)},
                "color": {"mode": "thresholds" if shown.kind in ("stat", "state", "table") else "palette-classic"},
                "custom": _CUSTOM.get(shown.kind, {}),
            },
            "overrides": _overrides(shown, language),
        },
        "options": _OPTIONS[shown.kind],
        "transformations": _transformations(shown, language),
    }


def _ref(number: int) -> str:
    return chr(ord("A") + number)


def _target(panel: Panel, number: int, query: Query, language: str) -> dict[str, Any]:
    at_once = panel.kind in ("stat", "table")
    expr = f"{query.expr} * {_MILLISECONDS}" if query.unit == "unix_seconds" else query.expr
    return {
        "refId": _ref(number),
        "datasource": _DATASOURCE,
        "editorMode": "code",
        "expr": expr,
        "legendFormat": query.legend.in_language(language),
        "format": {"table": "table", "heatmap": "heatmap"}.get(panel.kind, "time_series"),
        "instant": at_once,
        "range": not at_once,
    }


def _mappings(panel: Panel, language: str) -> list[dict[str, Any]]:
    options = {
        str(state.value): {
            "text": state.said.in_language(language),
            "color": _COLOURS[state.severity],
            "index": number,
        }
        for number, state in enumerate(panel.states)
    }
    return [{"type": "value", "options": options}] if options else []


def _steps(panel: Panel) -> list[dict[str, Any]]:
    """Colours from below upwards; where less is bad the worst colour is the base."""
    falling = sorted((each for each in panel.thresholds if each.below), key=lambda each: each.value)
    colours = [_COLOURS[each.severity] for each in falling] + [_COLOURS["ok"]]
    steps: list[dict[str, Any]] = [{"color": colours[0], "value": None}]
    steps += [{"color": colour, "value": each.value} for each, colour in zip(falling, colours[1:], strict=True)]
    rising = (each for each in panel.thresholds if not each.below)
    return steps + [{"color": _COLOURS[each.severity], "value": each.value} for each in rising]


def _overrides(panel: Panel, language: str) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byName", "options": query.legend.in_language(language)},
            "properties": [{"id": "unit", "value": _UNITS[query.unit]}],
        }
        for query in panel.queries
        if query.unit != panel.unit
    ]


def _transformations(panel: Panel, language: str) -> list[dict[str, Any]]:
    """A row for each node: the queries joined, columns named by their legends."""
    if panel.kind != "table":
        return []
    if panel.columns:
        keeps = {name: place for place, name in enumerate(panel.columns)}
        hidden = {"Time": True, "Value": True}
        return [{"id": "organize", "options": {"excludeByName": hidden, "indexByName": keeps, "renameByName": {}}}]
    several = len(panel.queries) > 1
    names = {
        f"Value #{_ref(number)}" if several else "Value": query.legend.in_language(language)
        for number, query in enumerate(panel.queries)
    }
    times = {f"Time {number}": True for number in range(1, len(panel.queries) + 1)} | {"Time": True}
    return [
        {"id": "joinByField", "options": {"byField": "ident", "mode": "outer"}},
        {"id": "organize", "options": {"excludeByName": times, "indexByName": {}, "renameByName": names}},
    ]


_LEGEND = {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["max", "lastNotNull"]}
_TOOLTIP = {"mode": "multi", "sort": "desc"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {"legend": _LEGEND, "tooltip": _TOOLTIP},
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value_and_name",
    },
    "table": {"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "fill": "dark-orange"},
        "yAxis": {"unit": "s"},
        "tooltip": {"show": True, "yHistogram": False},
        "legend": {"show": True},
    },
    "state": {"mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.9, "legend": _LEGEND,
              "tooltip": {"mode": "single"}},
}  # fmt: skip
_CUSTOM: dict[str, dict[str, Any]] = {
    "timeseries": {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 10,
        "showPoints": "never",
        "spanNulls": False,
        "thresholdsStyle": {"mode": "dashed"},
    },
    "state": {"fillOpacity": 80, "lineWidth": 0},
    "table": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True},
}
