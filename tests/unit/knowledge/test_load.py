"""The knowledge table: it loads, it speaks both languages, its PromQL parses, it knows the captures' metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.exposition.text import parse as parse_exposition
from kpwatch.knowledge.load import knowledge, read_knowledge
from kpwatch.promql.parse import parse

if TYPE_CHECKING:
    from pathlib import Path

QUERIES = [
    *(answer.query for column in knowledge().fleet_columns for answer in column.answers),
    *(state.query for state in knowledge().node_states),
]


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_is_promql(query: str) -> None:
    """And asks for what can tell nodes apart."""
    parse(query)
    assert "by (ident, instance" in query


def test_the_articles_metrics_are_explained(shared_dir: Path) -> None:
    """Every metric whose meaning the article gives."""
    text = (shared_dir / "article" / "metric-meanings.zh.txt").read_text(encoding="utf-8")
    wanted = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert len(wanted) == 19
    assert wanted <= {row.name for row in knowledge().metrics}


def test_every_kube_proxy_metric_of_the_captures_is_explained(captures: list[Path]) -> None:
    """kubeproxy_* of every version, with its type."""
    known = {row.name: row.type for row in knowledge().metrics}
    for capture in captures:
        types = parse_exposition(capture.read_bytes()).types
        for name, type_ in types.items():
            if name.startswith("kubeproxy_"):
                assert known.get(name) == type_, f"{capture.name}: {name} {type_}"


def test_meanings_are_in_their_language() -> None:
    """Chinese has Chinese characters, English has none."""
    for row in [*knowledge().metrics, *knowledge().fleet_columns, *knowledge().node_states]:
        assert any("一" <= character <= "鿿" for character in row.zh) or row.zh == "Version", row
        assert row.en.isascii(), row


METRIC = '[[metric]]\nname = "m"\ntype = "gauge"\nunit = ""\nzh = "甲"\nen = "x"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (METRIC + METRIC, "[[metric]] name = 'm': expected a name that no other row has"),
        (METRIC.replace('name = "m"\n', ""), "[[metric]] name = ''"),
        (METRIC.replace("gauge", "guage"), "m: type = 'guage': expected one of 'counter'"),
        (METRIC.replace('unit = ""', 'unit = "s"'), "m: unit = 's': expected one of"),
        (METRIC.replace("甲", " "), "m: zh: expected a text in this language"),
        (METRIC.replace('en = "x"\n', ""), "m: en: expected a text in this language"),
        (
            '[[fleet_column]]\nid = "a"\nkind = "number"\nzh = "甲"\nen = "x"\nfrom = []\n',
            'expected at least one "from"',
        ),
        ("[[metric", "knowledge table: "),
    ],
)
def test_a_bad_row_is_named(text: str, sentence: str) -> None:
    """Row and rule."""
    with pytest.raises(ConfigError) as bad:
        read_knowledge(text)
    assert sentence in str(bad.value)
