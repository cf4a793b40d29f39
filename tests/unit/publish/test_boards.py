"""Boards as Nightingale and Grafana read them: fields without which a panel stays empty, and the layout."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest

from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.panels import panels
from kpwatch.promql.syntax import parse_syntax
from kpwatch.publish import grafana, nightingale

N9E = [board for language in ("zh", "en") for board in nightingale.board_documents(panels(), language)]
GRAFANA = [board for language in ("zh", "en") for board in grafana.board_documents(panels(), language)]
NAMES = re.compile(r"[^<>&'\"]+")
"""What Nightingale takes as a name."""
UTILS = {"none", "seconds", "datetimeSeconds", "bytesIEC", "percentUnit", "cps"}


def plain(expr: str) -> str:
    return re.sub(r"\$\{?ident\}?", ".*", expr).replace("$__rate_interval", "5m")


def overlap(places: list[tuple[int, int, int, int]]) -> bool:
    """Whether two of these (x, y, width, height) share a cell."""
    return any(
        a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
        for a, b in combinations(places, 2)
    )


@pytest.mark.parametrize("board", N9E, ids=lambda board: board["ident"])
def test_nightingale_boards_are_of_the_portable_form(board: dict[str, Any]) -> None:
    """Version 3.0.0 with `util`; a datasource at variable and panels; the list of nodes from `up`."""
    assert NAMES.fullmatch(board["name"])
    assert re.fullmatch("[A-Za-z0-9-]+", board["ident"])
    datasource, ident = board["configs"]["var"]
    assert (datasource["type"], datasource["definition"]) == ("datasource", "prometheus")
    assert ident["definition"] == 'label_values(up{job="kube-proxy"}, ident)'
    assert ident["datasource"] == {"cate": "prometheus", "value": "${datasource}"}
    assert board["configs"]["version"] == "3.0.0"
    shown = board["configs"]["panels"]
    assert len({panel["id"] for panel in shown}) == len(shown)
    assert not overlap([(p["layout"]["x"], p["layout"]["y"], p["layout"]["w"], p["layout"]["h"]) for p in shown])
    for panel in shown:
        assert panel["layout"]["i"] == panel["id"]
        assert panel["version"] == "3.0.0"
        if panel["type"] == "row":
            assert panel["collapsed"] is True  # which is expanded, there
            continue
        assert panel["type"] in ("timeseries", "stat", "table")
        assert (panel["datasourceCate"], panel["datasourceValue"]) == ("prometheus", "${datasource}")
        assert panel["description"]
        assert panel["custom"]
        assert panel["options"]["standardOptions"]["util"] in UTILS
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGHIJ"[: len(panel["targets"])])
        for target in panel["targets"]:
            assert "$__" not in target["expr"]
            parse_syntax(plain(target["expr"]))
        if panel["type"] == "stat":
            assert {"calc", "valueField", "colSpan", "orientation", "textMode"} <= panel["custom"].keys()
        if panel["type"] == "table":
            assert panel["custom"]["displayMode"] in ("labelValuesToRows", "labelsOfSeriesToRows")


@pytest.mark.parametrize("board", GRAFANA, ids=lambda board: board["uid"])
def test_grafana_boards_are_of_the_classic_model(board: dict[str, Any]) -> None:
    """What Grafana 10 and later read without a migration."""
    assert len(board["uid"]) <= 40
    assert board["schemaVersion"] == 38
    datasource, ident = board["templating"]["list"]
    assert (datasource["type"], datasource["query"]) == ("datasource", "prometheus")
    assert ident["query"]["query"] == 'label_values(up{job="kube-proxy"}, ident)'
    shown = board["panels"]
    assert len({panel["id"] for panel in shown}) == len(shown)
    assert not overlap([(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in shown])
    for panel in shown:
        if panel["type"] == "row":
            assert panel["panels"] == []
            continue
        assert panel["type"] in ("timeseries", "stat", "table", "heatmap", "state-timeline")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        for target in panel["targets"]:
            assert target["instant"] != target["range"]
            parse_syntax(plain(target["expr"]))


def test_a_panel_says_what_it_means_in_both_languages() -> None:
    """The board's language first, and which checks to read."""
    for zh, en in ((0, 3),):
        texts = [
            next(p["description"] for p in N9E[place]["configs"]["panels"] if p["id"] == "overview-panel-behind")
            for place in (zh, en)
        ]
    assert texts[0].startswith("有同步请求")
    assert texts[1].startswith("While a sync")
    assert all("有同步请求" in text and "While a sync" in text and "`sync-failing`" in text for text in texts)


def test_nightingale_alert_rules_have_what_its_import_asks_for() -> None:
    """Names it takes, one query each, both languages in the note."""
    rules = [nightingale.alert_document(alert, "r") for alert in nightingale.all_alerts(knowledge())]
    assert len({rule["name"] for rule in rules}) == len(rules)
    for rule in rules:
        assert NAMES.fullmatch(rule["name"])
        (query,) = rule["rule_config"]["queries"]
        parse_syntax(query["prom_ql"])
        assert query["severity"] == rule["severity"] in (1, 2, 3)
        assert (rule["cate"], rule["prod"], rule["prom_ql"]) == ("prometheus", "metric", "")
        assert len(rule["enable_stimes"]) == len(rule["enable_etimes"]) == len(rule["enable_days_of_weeks"])
        assert re.search("[一-鿿]", rule["note"])
        assert re.search("[a-z]{4} [a-z]{2}", rule["note"])


def test_nightingale_dictionary_entries_answer_when_they_are_picked() -> None:
    """Histograms as a quantile; names that other components have too with our job; each in two languages."""
    entries = nightingale.dictionary_documents(knowledge())
    by_name = {entry["translation"][1]["name"]: entry for entry in entries}
    assert len({entry["expression"] for entry in entries}) == len({entry["uuid"] for entry in entries}) == len(entries)
    assert by_name["Rule sync duration"]["expression"].startswith("histogram_quantile(0.99, ")
    assert by_name["Goroutines"]["expression"] == 'go_goroutines{job="kube-proxy"}'
    assert by_name["Pending endpoint changes"]["expression_type"] == "metric_name"
    for entry in entries:
        parse_syntax(entry["expression"])
        assert [each["lang"] for each in entry["translation"]] == ["zh_CN", "en_US"]
        assert all(each["name"] and each["note"] for each in entry["translation"])
