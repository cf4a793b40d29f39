"""The knowledge table: it loads, it speaks both languages, its PromQL parses, it knows the captures' metrics."""

from __future__ import annotations

import re
import subprocess
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

CODE = re.compile(r"`([^`]+)`")
QUERIES = [
    *(answer.query for column in knowledge().fleet_columns for answer in column.answers),
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


def check_texts() -> Iterator[tuple[str, str, str]]:
    """Every text of the checks in both languages, and whose it is."""
    for check in knowledge().checks:
        for text in ("summary", "means", "threshold"):
            yield check.id, getattr(check.zh, text), getattr(check.en, text)
        for texts_in_turn in ("causes", "do"):
            for zh, en in zip(getattr(check.zh, texts_in_turn), getattr(check.en, texts_in_turn), strict=True):
                yield check.id, zh, en
        if check.blind_modes:
            yield check.id, check.zh.blind, check.en.blind


def test_texts_are_in_their_language() -> None:
    """Chinese has Chinese characters and punctuation, English has neither; a few Chinese texts are nothing but code."""
    for name, text in texts():
        assert re.search(r"[\u4e00-\u9fff]", text.zh) or re.fullmatch(r"0。|503。|`[^`]+`。", text.zh), (name, text.zh)
        assert not re.search(r"[\u4e00-\u9fff][,;:!?](?!\d)", text.zh), (name, text.zh)
        assert text.en.isascii(), (name, text.en)
    for id_, zh, en in check_texts():
        assert re.search(r"[\u4e00-\u9fff]", zh), (id_, zh)
        assert not re.search(r"[\u4e00-\u9fff][,;:!?](?!\d)", zh), (id_, zh)
        assert en.isascii(), (id_, en)
    for row in knowledge().fleet_columns:
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


def test_checks_are_summed_up_in_a_line() -> None:
    """It heads a finding."""
    for check in knowledge().checks:
        assert len(check.zh.summary) <= 36, check.id
        assert len(check.en.summary) <= 90, check.id
        assert not check.zh.summary.endswith("。"), check.id
        assert not check.en.summary.endswith("."), check.id


COMMANDS = sorted({command for check in knowledge().checks for step in check.en.do for command in CODE.findall(step)})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_pasted(command: str) -> None:
    """Once what stands in <angles> is filled in, a shell reads it; what it asks with `kpwatch query` is PromQL."""
    filled = re.sub(r"<(\w+)>", r"\1", command)
    subprocess.run(["bash", "-n", "-c", filled], check=True, timeout=60)
    for query in re.findall(r"kpwatch query '([^']+)'", command):
        parse(query)


def test_commands_ask_for_metrics_that_are_explained() -> None:
    """Whatever a step greps for or queries."""
    for command in COMMANDS:
        for name in re.findall(r"\b(?:kubeproxy|kubernetes|kpwatch|rest_client|go)_[a-z0-9_]+", command):
            known = [row.name for row in knowledge().metrics]
            assert any(row.startswith(name.removesuffix("_bucket").rstrip("_")) for row in known), command


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


CHECK = (
    '[[check]]\nid = "c"\nreference = "4.1"\nlevel = [{ severity = "info", when = "up == 0" }]\n'
    'zh = { summary = "坏", means = "甲", causes = ["因"], do = ["看：`a`"], threshold = "乙" }\n'
    'en = { summary = "b", means = "m", causes = ["c"], do = ["d: `a`"], threshold = "t" }\n'
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
        (CHECK + CHECK, "[[check]] id = 'c': expected a name that no other row has"),
        (CHECK + 'sine = "1"\n', "c: 'sine' is no key of a check"),
        (CHECK.replace('means = "m"', 'mean = "m"'), "c: en.mean is no key of a check"),
        (CHECK.replace('summary = "坏", ', ""), "c: zh.summary: expected a text in this language"),
        (CHECK.replace('"m"', '" "'), "c: en.means: expected a text in this language"),
        (CHECK.replace('threshold = "t"', 'threshold = ""'), "c: en.threshold: expected a text in this language"),
        (CHECK.replace('causes = ["因"], ', ""), "c: zh.causes: expected a list of texts in this language"),
        (CHECK.replace('causes = ["c"]', 'causes = "c"'), "c: en.causes: expected a list of texts in this language"),
        (CHECK.replace('["d: `a`"]', "[]"), "c: en.do: expected a list of texts in this language"),
        (CHECK.replace('["d: `a`"]', '["d: `a`", " "]'), "c: en.do: expected a list of texts in this language"),
        (CHECK.replace('["c"]', '["c", "d"]'), "c: causes: 1 in zh, 2 in en: expected the same in the same order"),
        (CHECK.replace('["d: `a`"]', '["d: `a`", "e"]'), "c: do: 1 in zh, 2 in en: expected the same"),
        (CHECK.replace("d: `a`", "d: `b`"), "c: do: step 1 has other commands in zh than in en"),
        (CHECK + 'blind_modes = ["ipvs"]\n', "c: blind_modes, zh.blind, en.blind: expected all or none"),
        (CHECK.replace('"t"', '"t", blind = "s"'), "c: blind_modes, zh.blind, en.blind: expected all or none"),
        (CHECK + 'incidents = ["k/k#0"]\n', "c: incident 'k/k#0': expected OWNER/REPOSITORY#NUMBER"),
        (CHECK + 'folds = ["d"]\n', "c: folds or because: there is no check 'd'"),
        (CHECK.replace("up == 0", "$gone == 0"), "c: $gone is no word and no term"),
        ("[[metric", "knowledge table: "),
    ],
)
def test_a_bad_row_is_named(text: str, sentence: str) -> None:
    """Row and rule."""
    with pytest.raises(ConfigError) as bad:
        read_knowledge(text)
    assert sentence in str(bad.value)
