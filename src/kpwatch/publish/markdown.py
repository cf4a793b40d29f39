"""The dictionary and a runbook for each check, in English and Chinese, to be put on any wiki. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kpwatch.knowledge.expressions import expand, in_cluster
from kpwatch.knowledge.incidents import incident_url
from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.rows import LANGUAGES
from kpwatch.promql.pretty import pretty
from kpwatch.promql.syntax import parse_syntax
from kpwatch.publish.alerts import alert_name
from kpwatch.publish.documents import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.knowledge.rows import Check, Knowledge, Metric, MetricGroup, Told
    from kpwatch.publish.catalogue import Wishes

_WORDS = {
    "en": {
        "critical": "critical", "warning": "warning", "info": "info", "at once": "at once", "for": "for {}",
        "alert": "Alert", "means": "What it means", "do": "What to do", "causes": "Likely causes", "colon": ": ",
        "when": "When it fires", "evidence": "What to look at", "threshold": "Why these numbers",
        "blind": "What it does not see",
        "folds": "What it brings with it", "because": "What it may come from",
        "incidents": "Known incidents",
        "other": "[中文]({}.zh-CN.md)", "all": "All runbooks", "index": "Runbooks", "check": "check", "worst": "worst",
        "says": "says",
        "made": "Made by `kpwatch publish --for markdown`; do not edit.", "dictionary": "The metrics of kube-proxy",
        "type": "type", "unit": "unit", "labels": "labels", "since": "from {}", "removed": "until before {}",
        "modes": "modes",
        "bad": "What is bad", "absent": "Where it is absent", "see": "Read with", "buckets": "buckets",
    },
    "zh": {
        "critical": "严重", "warning": "警告", "info": "提示", "at once": "立即", "for": "持续 {}",
        "alert": "告警", "means": "意味着什么", "do": "怎么处理", "causes": "可能的原因", "colon": "：",
        "when": "什么时候触发", "evidence": "看哪些数", "threshold": "阈值的依据", "blind": "看不到的部分",
        "folds": "它带来的后果", "because": "多半起因于", "incidents": "已知事例",
        "other": "[English]({}.md)", "all": "全部处理手册", "index": "处理手册", "check": "检查", "worst": "最高级别",
        "says": "说明",
        "made": "由 `kpwatch publish --for markdown` 生成，请勿手工修改。", "dictionary": "kube-proxy 的指标",
        "type": "类型", "unit": "单位", "labels": "标签", "since": "{} 起", "removed": "{} 之前", "modes": "模式",
        "bad": "什么是不正常", "absent": "没有时", "see": "一起看", "buckets": "桶",
    },
}  # fmt: skip
_CODE = re.compile("(`[^`]+`)")


def documents(_: Wishes) -> Iterator[Document]:
    """`markdown/{dictionary,runbooks}/*.md`."""
    for document in runbooks(knowledge()):
        yield document._replace(path=f"markdown/runbooks/{document.path}")
    for language in LANGUAGES:
        yield Document(f"markdown/dictionary/{_file('kube-proxy', language)}", dictionary(knowledge(), language))


def runbooks(table: Knowledge) -> Iterator[Document]:
    """An index and a page for each check; paths are names of files."""
    for language in LANGUAGES:
        yield Document(_file("README", language), _index(table, language))
        for check in table.checks:
            yield Document(_file(check.id, language), "\n".join(_runbook(check, table, language)))


def dictionary(table: Knowledge, language: str) -> str:
    """What kube-proxy and who scrapes it say, chapter by chapter."""
    words = _WORDS[language]
    lines = [f"# {words['dictionary']}\n", words["other"].format("kube-proxy") + "\n", words["made"] + "\n"]
    for group in table.metric_groups:
        if group.exposed_by in ("kube-proxy", "scraper"):
            lines += _chapter(group, table, language)
    return "\n".join(lines)


def _chapter(group: MetricGroup, table: Knowledge, language: str) -> Iterator[str]:
    yield f"## {group.title.in_language(language)}\n"
    for row in table.metrics:
        if row.group == group.id:
            yield from _metric(row, language)


def _metric(row: Metric, language: str) -> Iterator[str]:
    words = _WORDS[language]
    yield f"### `{row.name}`\n"
    yield f"**{escaped(row.title.in_language(language))}**. {escaped(row.means.in_language(language))}\n"
    facts = [f"{words['type']}: {row.type}"]
    facts += [f"{words['unit']}: {row.unit}"] if row.unit else []
    labels = ", ".join(f"`{label.name}` {label.releases}".strip() for label in row.labels)
    facts += [f"{words['labels']}: {labels}"] if labels else []
    facts += [words["since"].format(row.since)] if row.since else []
    facts += [words["removed"].format(row.removed)] if row.removed else []
    facts += [f"{words['modes']}: {', '.join(row.modes)}"] if len(row.modes) < 4 else []
    facts += [f"{words['buckets']}: {escaped(row.buckets)}"] if row.buckets else []
    yield "; ".join(facts) + "\n"
    for key, text in (("bad", row.bad), ("do", row.do), ("absent", row.absent)):
        if text is not None:
            yield f"**{words[key]}**{words['colon']}{escaped(text.in_language(language))}\n"
    for change in row.changed:
        yield f"- {change.at}: {escaped(change.said.in_language(language))}\n"
    if row.see:
        yield f"{words['see']}{words['colon']}{', '.join(f'`{name}`' for name in row.see)}\n"


def _index(table: Knowledge, language: str) -> str:
    words = _WORDS[language]
    rows = [(words["check"], words["worst"], words["says"]), ("---", "---", "---")]
    rows += [
        (_link(check.id, language), words[check.levels[0].severity], escaped(_told(check, language).summary))
        for check in table.checks
    ]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"# {words['index']}\n\n{words['other'].format('README')}\n\n{words['made']}\n\n{lines}\n"


def _runbook(check: Check, table: Knowledge, language: str) -> Iterator[str]:
    """First what somebody needs who was just called."""
    words, told = _WORDS[language], _told(check, language)
    yield f"# {escaped(told.summary)}\n"
    alert, others = f"{words['alert']} `{alert_name(check.id)}`", f"[{words['all']}]({_file('README', language)})"
    yield " · ".join((f"`{check.id}`", alert, words["other"].format(check.id), others)) + "\n"
    yield f"## {words['means']}\n\n{escaped(told.means)}\n"
    yield f"## {words['do']}\n"
    yield "\n".join(f"{number}. {escaped(step)}" for number, step in enumerate(told.do, start=1)) + "\n"
    yield f"## {words['causes']}\n"
    yield "\n".join(f"- {escaped(cause)}" for cause in told.causes) + "\n"
    if check.evidence:
        yield f"## {words['evidence']}\n"
        for each in check.evidence:
            yield f"{escaped(each.zh if language == 'zh' else each.en)}\n\n{_query(each.query, check, table)}"
    yield f"## {words['when']}\n"
    for level in check.levels:
        held = words["for"].format(level.for_text) if level.for_text else words["at once"]
        yield f"{words[level.severity]}, {held}\n\n{_query(level.when, check, table)}"
    yield f"{words['threshold']}{words['colon']}{escaped(told.threshold)}\n"
    if told.blind:
        yield f"{words['blind']} ({', '.join(check.blind_modes)}){words['colon']}{escaped(told.blind)}\n"
    for key, names in (("because", check.because), ("folds", check.folds)):
        if names:
            yield f"## {words[key]}\n"
            yield "\n".join(f"- {_link(name, language)}" for name in dict.fromkeys(names)) + "\n"
    if check.incidents:
        yield f"## {words['incidents']}\n"
        yield "\n".join(f"- [{incident}]({incident_url(incident)})" for incident in check.incidents) + "\n"
    yield words["made"] + "\n"


def _query(query: str, check: Check, table: Knowledge) -> str:
    text = pretty(parse_syntax(expand(query, table.terms, in_cluster(check.window))))
    return f"```promql\n{text}\n```\n"


def _file(name: str, language: str) -> str:
    return f"{name}.zh-CN.md" if language == "zh" else f"{name}.md"


def _link(check_id: str, language: str) -> str:
    return f"[`{check_id}`]({_file(check_id, language)})"


def _told(check: Check, language: str) -> Told:
    return check.zh if language == "zh" else check.en


def escaped(text: str) -> str:
    """As Markdown; what stands in backquotes stays as it is."""
    return "".join(part if _CODE.fullmatch(part) else _marked_down(part) for part in _CODE.split(text))


def _marked_down(text: str) -> str:
    return re.sub(r"([*|\[\]])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
