"""Nightingale's own formats: boards, alert rules, recording rules, dictionary. Pure.

Boards are of the most portable form: configs and panels 3.0.0, so `util` for units; a datasource at each panel and
variable; the list of nodes hangs on `up`, which every node has in every version and mode; windows of 5m, since its
$__rate_interval knows nothing of how often is scraped; one-row-per-node tables as labelValuesToRows.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.panels import RATE_INTERVAL, Panel, panels
from kpwatch.knowledge.rows import LANGUAGES
from kpwatch.publish.alerts import all_alerts
from kpwatch.publish.documents import Document, json_document
from kpwatch.publish.layout import described, laid_out
from kpwatch.publish.prometheus import annotations_of, recordings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.knowledge.panels import Board, Panels, Section
    from kpwatch.knowledge.rows import Knowledge, Metric
    from kpwatch.publish.alerts import Alert
    from kpwatch.publish.catalogue import Wishes
    from kpwatch.publish.layout import Place

VERSION = "3.0.0"
COLLECTOR, TYP = "kpwatch", "KubeProxy"
_DATASOURCE = "${datasource}"
_UNITS = {
    "count": "none", "seconds": "seconds", "unix_seconds": "datetimeSeconds", "bytes": "bytesIEC",
    "ratio": "percentUnit", "per_second": "cps", "cores": "none", "state": "none", "info": "none",
}  # fmt: skip
_DICTIONARY_UNITS = {"seconds": "seconds", "unix_seconds": "datetimeSeconds", "bytes": "bytesIEC"}
_COLOURS = {"ok": "#3FC453", "info": "#6C53B1", "warning": "#FF9919", "critical": "#FF656B"}
_SEVERITIES = {"critical": 1, "warning": 2, "info": 3}
_DAYS = ["0", "1", "2", "3", "4", "5", "6"]
_GENERIC = ("go_", "process_", "rest_client_", "workqueue_", "kubernetes_", "up", "scrape_")
"""Names that other components have too: an entry of theirs would take the place of ours."""


def documents(wishes: Wishes) -> Iterator[Document]:
    """`nightingale/{dashboards,alerts,records,dictionary}/*.json`."""
    for language in LANGUAGES:
        for document in board_documents(panels(), language):
            yield json_document(f"nightingale/dashboards/{document['ident']}.json", document)
    alerts = [alert_document(alert, wishes.runbooks) for alert in all_alerts(knowledge())]
    yield json_document("nightingale/alerts/kube-proxy.json", alerts)
    yield json_document("nightingale/records/kube-proxy.json", record_documents(panels()))
    yield json_document("nightingale/dictionary/kube-proxy.json", dictionary_documents(knowledge()))


def board_documents(table: Panels, language: str) -> Iterator[dict[str, Any]]:
    """All boards in a language, as the UI imports them; over the API `configs` is the same as a string."""
    for board in table.boards:
        yield {
            "name": board.title.in_language(language),
            "tags": "kube-proxy kpwatch",
            "note": board.means.in_language(language),
            "ident": board_ident(board.id, language),
            "configs": {
                "version": VERSION,
                "links": [],
                "var": _variables(language),
                "panels": [_panel(each, place, board, language) for each, place in laid_out(table, board)],
            },
        }


def board_ident(board_id: str, language: str) -> str:
    """The board's URL."""
    return f"kube-proxy-{board_id}-{language}"


def _variables(language: str) -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "", "type": "datasource", "definition": "prometheus", "defaultValue": ""},
        {
            "name": "ident",
            "label": "节点" if language == "zh" else "Node",
            "type": "query",
            "definition": 'label_values(up{job="kube-proxy"}, ident)',
            "datasource": {"cate": "prometheus", "value": _DATASOURCE},
            "multi": True,
            "allOption": True,
            "allValue": ".*",
            "reg": "",
        },
    ]


def _panel(shown: Section | Panel, place: Place, board: Board, language: str) -> dict[str, Any]:
    identity = f"{board.id}-{'panel' if isinstance(shown, Panel) else 'row'}-{shown.id}"
    layout = {"h": place.height, "w": place.width, "x": place.x, "y": place.y, "i": identity, "isResizable": True}
    common = {"id": identity, "name": shown.title.in_language(language), "version": VERSION, "layout": layout}
    if not isinstance(shown, Panel):
        return {**common, "type": "row", "collapsed": True, "panels": []}
    kind = {"heatmap": "timeseries", "state": "table"}.get(shown.kind, shown.kind)
    return {
        **common,
        "type": kind,
        "description": described(shown, language),
        "datasourceCate": "prometheus",
        "datasourceValue": _DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "expr": query.expr.replace(RATE_INTERVAL, "5m"),
                "legend": _legend(shown, query.legend.in_language(language), language),
                "instant": kind in ("stat", "table"),
            }
            for number, query in enumerate(shown.queries)
        ],
        "transformations": [],
        "links": [],
        "maxPerRow": 4,
        "options": _options(shown, language),
        "overrides": _overrides(shown),
        "custom": _CUSTOM[kind](shown, language),
    }


def _legend(panel: Panel, legend: str, language: str) -> str:
    if panel.kind == "heatmap":
        return f"≤ {legend} s"
    return ("状态" if language == "zh" else "state") if panel.kind == "state" else legend


def _options(panel: Panel, language: str) -> dict[str, Any]:
    return {
        "standardOptions": _unit(panel.unit),
        "legend": {"displayMode": "table", "placement": "bottom", "columns": ["max", "last"]},
        "tooltip": {"mode": "all", "sort": "desc"},
        "thresholds": {"mode": "absolute", "steps": _steps(panel)},
        "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
        "valueMappings": [
            {
                "type": "range",
                "match": {"from": state.value, "to": state.value},
                "result": {"text": state.said.in_language(language), "color": _COLOURS[state.severity]},
            }
            for state in panel.states
        ],
    }


def _unit(unit: str) -> dict[str, Any]:
    return {"util": _UNITS[unit], **({"decimals": 2} if unit in ("ratio", "cores", "per_second") else {})}


def _steps(panel: Panel) -> list[dict[str, Any]]:
    """Colours from below upwards; where less is bad the worst colour is the base."""
    falling = sorted((each for each in panel.thresholds if each.below), key=lambda each: each.value)
    colours = [_COLOURS[each.severity] for each in falling] + [_COLOURS["ok"]]
    steps: list[dict[str, Any]] = [{"color": colours[0] if falling else "#634CD9", "value": None, "type": "base"}]
    steps += [{"color": colour, "value": each.value} for each, colour in zip(falling, colours[1:], strict=True)]
    rising = (each for each in panel.thresholds if not each.below)
    return steps + [{"color": _COLOURS[each.severity], "value": each.value} for each in rising]


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byFrameRefID", "value": chr(ord("A") + number)},
            "properties": {"standardOptions": _unit(query.unit), "valueMappings": []},
        }
        for number, query in enumerate(panel.queries)
        if query.unit != panel.unit
    ]


def _of_timeseries(panel: Panel, _: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "drawStyle": "lines",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 0.1,
        "gradientMode": "none",
        "stack": "off",
        "spanNulls": False,
        "showPoints": "none",
        "pointSize": 5,
        "scaleDistribution": {"type": "log", "log": 10} if panel.kind == "heatmap" else {"type": "linear"},
    }


def _of_stat(_panel: Panel, _: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "textMode": "valueAndName",
        "colorMode": "value",
        "calc": "lastNotNull",
        "valueField": "Value",
        "colSpan": 0,
        "orientation": "auto",
        "graphMode": "none",
        "textSize": {},
    }


def _of_table(panel: Panel, language: str) -> dict[str, Any]:
    rows: dict[str, Any] = {"displayMode": "labelValuesToRows", "aggrDimension": "ident"}
    if panel.columns:
        rows = {"displayMode": "labelsOfSeriesToRows", "columns": list(panel.columns), "aggrDimension": "ident"}
    return {
        "version": VERSION,
        **rows,
        "showHeader": True,
        "calc": "lastNotNull",
        "colorMode": "background" if panel.states else "value",
        "sortColumn": panel.columns[0] if panel.columns else "A",
        "sortOrder": "ascend" if panel.columns else "descend",
        "linkMode": "appendLinkColumn",
        "links": [
            {
                "title": "查看节点" if language == "zh" else "node",
                "url": f"/dashboards/{board_ident('node', language)}?ident=${{__field.labels.ident}}",
                "targetBlank": False,
            }
        ],
    }


_CUSTOM = {"timeseries": _of_timeseries, "stat": _of_stat, "table": _of_table}


def alert_document(alert: Alert, runbooks: str) -> dict[str, Any]:
    """An alert rule, as it is imported; both languages are in its note."""
    said = annotations_of(alert, runbooks)
    note = "\n\n".join(said[key] for key in ("summary_zh", "description_zh", "summary", "description"))
    query = " ".join(alert.expr.split())
    return {
        "name": f"{alert.name}-{alert.severity}",
        "note": note,
        "cate": "prometheus",
        "prod": "metric",
        "algorithm": "",
        "datasource_queries": [{"match_type": 2, "op": "in", "values": []}],
        "severity": _SEVERITIES[alert.severity],
        "severities": [_SEVERITIES[alert.severity]],
        "disabled": 0,
        "prom_for_duration": round(alert.for_seconds),
        "prom_ql": "",
        "rule_config": {
            "queries": [
                {
                    "prom_ql": query,
                    "severity": _SEVERITIES[alert.severity],
                    "unit": "none",
                    "recover_config": {"judge_type": 0, "recover_exp": ""},
                }
            ],
            "inhibit": False,
        },
        "prom_eval_interval": 30,
        "cron_pattern": "@every 30s",
        "enable_stimes": ["00:00"],
        "enable_etimes": ["23:59"],
        "enable_days_of_weeks": [_DAYS],
        "enable_in_bg": 0,
        "notify_recovered": 1,
        "notify_repeat_step": 60,
        "notify_max_number": 0,
        "recover_duration": 0,
        "notify_version": 1,
        "notify_rule_ids": [],
        "callbacks": [],
        "append_tags": [f"check={alert.check.id}"],
        "annotations": said,
        "runbook_url": said["runbook_url"],
    }


def record_documents(table: Panels) -> list[dict[str, Any]]:
    """The recording rules."""
    return [
        {
            "name": name,
            "prom_ql": " ".join(query.split()),
            "prom_eval_interval": 60,
            "cron_pattern": "@every 60s",
            "append_tags": [],
            "disabled": 0,
            "note": "kpwatch",
            "datasource_queries": [{"match_type": 2, "op": "in", "values": []}],
        }
        for name, query in recordings(table)
    ]


def dictionary_documents(table: Knowledge, language: str = "zh") -> list[dict[str, Any]]:
    """What each metric of a kube-proxy means; the expression is one that has an answer when it is picked.

    Both languages are in `translation`; `name` and `note`, in `language`, are for versions that know one.
    """
    groups = {group.id for group in table.metric_groups if group.exposed_by in ("kube-proxy", "scraper")}
    return [_entry(row, language) for row in table.metrics if row.group in groups and not row.removed]


def _entry(row: Metric, language: str) -> dict[str, Any]:
    expression, kind = _expression(row)
    translations = {
        own: {"lang": lang, "name": row.title.in_language(own), "note": _note(row, own)}
        for own, lang in (("zh", "zh_CN"), ("en", "en_US"))
    }
    return {
        "id": 0,
        "uuid": int.from_bytes(hashlib.sha256(f"kpwatch {expression}".encode()).digest()[:6], "big"),
        "collector": COLLECTOR,
        "typ": TYP,
        "unit": _DICTIONARY_UNITS.get(row.unit, "none"),
        **translations[language],
        "expression": expression,
        "expression_type": kind,
        "metric_type": row.type,
        "translation": list(translations.values()),
    }


def _expression(row: Metric) -> tuple[str, str]:
    if row.type == "histogram":
        series = f'{row.name}_bucket{{job="kube-proxy"}}'
        return f"histogram_quantile(0.99, sum by (ident, le) (rate({series}[5m])))", "promql"
    if row.name.startswith(_GENERIC):
        return f'{row.name}{{job="kube-proxy"}}', "promql"
    return row.name, "metric_name"


def _note(row: Metric, language: str) -> str:
    words = {"zh": ("不正常", "怎么办", "没有时"), "en": ("Bad", "Do", "Absent")}[language]
    texts = [row.means.in_language(language)]
    for word, text in zip(words, (row.bad, row.do, row.absent), strict=True):
        if text is not None:
            texts.append(f"{word}: {text.in_language(language)}")
    since = {"zh": f"{row.since} 起", "en": f"From {row.since}"}[language] if row.since else ""
    return "\n".join([*texts, *([since] if since else [])])
