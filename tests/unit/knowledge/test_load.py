"""The knowledge table: it loads, it speaks both languages, its PromQL parses, it knows the captures' metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.knowledge.expressions import expand, in_cluster
from kpwatch.knowledge.load import knowledge, queries_of, read_knowledge
from kpwatch.knowledge.lookup import find_metric
from kpwatch.promql.parse import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.knowledge.rows import Text

QUERIES = [
    *(answer.query for column in knowledge().fleet_columns for answer in column.answers),
    *(state.query for state in knowledge().node_states),
]


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_is_promql(query: str) -> None:
    """And asks for what can tell nodes apart."""
    parse(query)
    assert "by (ident, instance" in query


def test_queries_ask_for_metrics_that_are_explained() -> None:
    """Nothing is judged or shown by a number that the dictionary does not know."""
    name = re.compile(r"\b(?:kubeproxy|kubernetes|kpwatch|process|rest_client|go|workqueue|scrape)_[a-z0-9_]+|\bup\b")
    of_checks = [
        expand(query, knowledge().terms, in_cluster(check.window))
        for check in knowledge().checks
        for query in queries_of(check)
    ]
    needed = [name for check in knowledge().checks for name in check.needs]
    for query in [*QUERIES, *of_checks, *needed]:
        asked = name.findall(re.sub(r'"[^"]*"', "", query))
        assert [one for one in asked if find_metric(knowledge(), one) is None] == [], query


def texts() -> Iterator[tuple[str, Text]]:
    """Every text of the dictionary, and whose it is."""
    for group in knowledge().metric_groups:
        yield group.id, group.title
    for prefix in knowledge().metric_prefixes:
        yield from ((prefix.prefix, text) for text in (prefix.title, prefix.means))
    for row in knowledge().metrics:
        said = (row.title, row.means, row.absent, row.bad, row.do, *(change.said for change in row.changed))
        yield from ((row.name, text) for text in said if text is not None)


def test_texts_are_in_their_language() -> None:
    """Chinese has Chinese characters and punctuation, English has neither; a few Chinese texts are nothing but code."""
    for name, text in texts():
        assert re.search(r"[\u4e00-\u9fff]", text.zh) or re.fullmatch(r"0。|503。|`[^`]+`。", text.zh), (name, text.zh)
        assert not re.search(r"[\u4e00-\u9fff][,;:!?](?!\d)", text.zh), (name, text.zh)
        assert text.en.isascii(), (name, text.en)
    for row in [*knowledge().fleet_columns, *knowledge().node_states]:
        assert any("\u4e00" <= character <= "\u9fff" for character in row.zh), row
        assert row.en.isascii(), row


def test_both_languages_name_the_same_things() -> None:
    """Commands, metric names and issue numbers of the one stand in the other."""
    code = re.compile(r"`[^`]+`|kubeproxy_[a-z_]+|k/k#\d+")
    for name, text in texts():
        in_zh, in_en = (
            sorted(found for found in code.findall(said) if not re.search(r"[\u4e00-\u9fff]|server of", found))
            for said in text
        )
        assert in_zh == in_en, name


def test_titles_are_short_and_end_in_no_stop() -> None:
    """They stand in lists and menus."""
    for row in knowledge().metrics:
        assert len(row.title.zh) <= 28, row.title
        assert len(row.title.en) <= 60, row.title
        assert row.title.zh[-1] not in "。.", row.title
        assert row.title.en[-1] != ".", row.title
        assert row.means.zh.endswith("。"), row.name
        assert row.means.en.endswith("."), row.name


def test_kube_proxys_own_metrics_say_what_is_bad_and_what_to_do() -> None:
    """All of them; they are why the table is there."""
    silent = [row.name for row in knowledge().metrics if row.name.startswith("kubeproxy_") and not (row.bad and row.do)]
    assert silent == []


def test_names_keep_prometheus_habits() -> None:
    """Counters end in _total, but for kube-proxy's own gauges nothing else does; seconds and bytes are in the name."""
    for row in knowledge().metrics:
        if row.type == "counter":
            assert row.name.endswith("_total"), row.name
        if "_bytes" in row.name:
            assert row.unit == "bytes", row.name
        if "timestamp_seconds" in row.name:
            assert row.unit == "unix_seconds", row.name


GROUP = '[[metric_group]]\nid = "g"\nexposed_by = "hub"\ntitle.zh = "组"\ntitle.en = "G"\n'
METRIC = (
    '[[metric]]\nname = "m"\ngroup = "g"\ntype = "gauge"\nunit = ""\n'
    'title.zh = "乙"\ntitle.en = "t"\nmeans.zh = "甲"\nmeans.en = "x"\n'
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (METRIC + METRIC, "[[metric]] name = 'm': expected a name that no other row has"),
        (METRIC.replace('name = "m"\n', ""), "[[metric]] name = ''"),
        (METRIC.replace("gauge", "guage"), "m: type = 'guage': expected one of 'counter'"),
        (METRIC.replace('unit = ""', 'unit = "s"'), "m: unit = 's': expected one of"),
        (METRIC.replace("甲", " "), "m: means.zh: expected a text in this language"),
        (METRIC.replace('means.en = "x"\n', ""), "m: means.en: expected a text in this language"),
        (METRIC + 'tilte = "x"\n', "m: tilte: expected one of absent, bad, buckets, changed, do"),
        (METRIC + 'since = "1.x"\n', "m: version '1.x': expected a release of Kubernetes such as '1.33'"),
        (METRIC + 'since = "1.033"\n', "m: version '1.033': expected"),
        (METRIC + 'since = "1.30"\nremoved = "1.30"\n', "m: removed = '1.30': expected a release after since = '1.30'"),
        (METRIC + 'modes = ["iptable"]\n', "m: modes = 'iptable': expected one of 'iptables'"),
        (METRIC + 'labels = ["a 1.33"]\n', "m: label 'a 1.33': expected NAME, NAME 1.33+"),
        (METRIC + 'labels = ["a", "a 1.33+"]\n', "expected each label once"),
        (METRIC + 'buckets = "1, 2"\n', "m: buckets: a gauge has none"),
        (METRIC + 'bad.zh = "坏"\nbad.en = "b"\n', "m: bad, do: expected both or neither"),
        (METRIC + 'changed = [{ at = "1.3", zh = "一" }]\n', "m: en: expected a text in this language"),
        (
            METRIC + 'changed = [{ at = "1.9", zh = "一", en = "1" }, { at = "1.8", zh = "二", en = "2" }]\n',
            "m: changed: expected the oldest release first",
        ),
        (METRIC, "[[metric]] m: group = 'g': no [[metric_group]] has this id"),
        (GROUP + METRIC + 'see = ["n"]\n', "[[metric]] m: see 'n': expected another metric"),
        (GROUP + METRIC + 'see = ["m"]\n', "[[metric]] m: see 'm': expected another metric"),
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
