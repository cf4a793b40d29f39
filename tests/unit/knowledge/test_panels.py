"""What boards show: every panel says something true, in both languages, of metrics that are explained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.knowledge.expressions import expand, in_cluster
from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.lookup import find_check, find_metric
from kpwatch.knowledge.panels import RATE_INTERVAL, panels, panels_document, read_panels
from kpwatch.promql.syntax import parse_syntax

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.knowledge.panels import Panel

_SELECTOR = re.compile(r"(?P<name>[a-z_][a-z0-9_]*)?\{(?P<matchers>[^}]*)\}")
_NAME_PATTERN = re.compile(r'__name__=~"([^"]*)"')
PANELS = pytest.mark.parametrize("panel", panels().panels, ids=lambda panel: panel.id)


def families(expr: str) -> Iterator[str]:
    """Metric families that a query names."""
    for selector in _SELECTOR.finditer(expr):
        if selector["name"]:
            found = find_metric(knowledge(), selector["name"])
            assert found, f"{selector['name']} is not in the dictionary"
            yield found.metric.name
        else:
            pattern = _NAME_PATTERN.search(selector["matchers"])
            assert pattern, selector[0]
            names = [row.name for row in knowledge().metrics if re.fullmatch(pattern[1], row.name)]
            assert names, pattern[1]
            yield from names


@PANELS
def test_a_panel_lists_the_metrics_that_it_asks_for(panel: Panel) -> None:
    """No more and no less, and each is explained in the dictionary."""
    asked = {name for query in panel.queries for name in families(query.expr)}
    assert asked == set(panel.metrics)


@PANELS
def test_every_query_is_promql_about_the_chosen_nodes(panel: Panel) -> None:
    """Each selector has the board's variable, and nothing of the table's own words is left."""
    for query in panel.queries:
        assert all('ident=~"$ident"' in found["matchers"] for found in _SELECTOR.finditer(query.expr))
        plain = query.expr.replace("$ident", ".*").replace(RATE_INTERVAL, "5m")
        assert "$" not in plain
        parse_syntax(plain)


@PANELS
def test_thresholds_are_those_of_checks(panel: Panel) -> None:
    """The named check has a level of that severity which holds the number, and the panel leads to it."""
    for threshold in panel.thresholds:
        if threshold.below:
            continue
        check = find_check(knowledge(), threshold.check)
        assert check
        assert check.id in panel.checks
        queries = [
            expand(level.when, knowledge().terms, in_cluster(check.window))
            for level in check.levels
            if level.severity == threshold.severity
        ]
        numbers = {float(number) for query in queries for number in re.findall(r"[>=] (\d+(?:\.\d+)?(?:e\d+)?)", query)}
        assert threshold.value in numbers


@PANELS
def test_a_panel_leads_to_checks_that_there_are(panel: Panel) -> None:
    """Whoever sees something bad on it finds out what to do."""
    assert panel.checks
    assert [name for name in panel.checks if find_check(knowledge(), name) is None] == []


@pytest.mark.parametrize("board", ["overview", "node", "slo"])
def test_every_board_follows_the_order_of_questions(board: str) -> None:
    """Sections in their order, each in one piece."""
    order = [section.id for section in panels().sections]
    places = [order.index(panel.section) for panel in panels().of(board)]
    assert places
    assert places == sorted(places)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_document_says_all_in_one_language(language: str) -> None:
    """Titles, meanings and legends; `since` is the first release of what the panel is about."""
    document = panels_document(panels(), knowledge(), language)
    node = next(board for board in document["boards"] if board["id"] == "node")
    by_id = {panel["id"]: panel for panel in node["panels"]}
    assert by_id["full-partial"]["since"] == "1.28"
    assert by_id["behind"]["title"] == {"zh": "规则落后时间", "en": "Rules are behind by"}[language]
    assert by_id["behind"]["thresholds"] == [{"severity": "critical", "value": 60, "below": False}]
    assert by_id["full-partial"]["queries"][0]["legend"] == {"zh": "{{ident}} 全量", "en": "{{ident}} full"}[language]


PANEL = """
[[board]]
id = "b"
title = { zh = "板", en = "Board" }
means = { zh = "板", en = "Board" }
[[section]]
id = "s"
title = { zh = "节", en = "Section" }
[[panel]]
id = "p"
boards = ["b"]
section = "s"
kind = "stat"
title = { zh = "数", en = "Number" }
means = { zh = "数", en = "Number" }
unit = "count"
metrics = ["up"]
checks = ["unreachable"]
query = [{ expr = 'up{$node}', legend = "" }]
"""


@pytest.mark.parametrize(
    ("was", "becomes", "error"),
    [
        ('boards = ["b"]', 'boards = ["c"]', "boards = 'c': expected one of 'b'"),
        ('section = "s"', 'section = "t"', "section = 't': expected one of 's'"),
        ('kind = "stat"', 'kind = "pie"', "kind = 'pie': expected one of"),
        ('kind = "stat"', 'kind = "state"', "state: expected with kind = 'state'"),
        ('title = { zh = "数", en', "title = { en", "title.zh: expected a text in this language"),
        ('unit = "count"', 'unit = "miles"', "unit = 'miles': expected one of"),
        ('unit = "count"', 'unit = "count"\ncolour = "red"', "'colour' is no key of a panel"),
    ],
)
def test_a_row_that_is_wrong_is_named_with_the_rule(was: str, becomes: str, error: str) -> None:
    """The panel's id, the key and what it may be."""
    read_panels(PANEL)
    before, found, after = PANEL.rpartition(was)
    assert found
    with pytest.raises(ConfigError) as raised:
        read_panels(before + becomes + after)
    assert "[[panel]] p" in str(raised.value)
    assert error in str(raised.value)
