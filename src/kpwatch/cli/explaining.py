"""Rows of the table as text for a terminal: a metric, a prefix, a check, or the list of all. Pure.

A text is a list of parts (a heading and what stands under it); what a row does not say has no part. `Page` knows the
width, the language and whether there are colours, and everything is written through it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kpwatch.base.terminal import Paint, lines_of, padded, width_of
from kpwatch.knowledge.expressions import expand, in_cluster
from kpwatch.knowledge.incidents import incident_url
from kpwatch.knowledge.load import queries_of
from kpwatch.knowledge.lookup import nearest
from kpwatch.knowledge.rows import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpwatch.base.terminal import Whole
    from kpwatch.knowledge.lookup import Found
    from kpwatch.knowledge.rows import Check, Knowledge, Level, Metric, MetricPrefix, Told

WIDEST = 100
"""Longer lines are hard to read, however wide the terminal."""
_WIDEST_LIST = 160
_NARROW = 60
"""Below, facts stand under their names."""

_SAID = {
    "type": Text("类型", "type"),
    "labels": Text("标签", "labels"),
    "releases": Text("版本", "releases"),
    "modes": Text("模式", "modes"),
    "buckets": Text("桶", "buckets"),
    "from": Text("来源", "from"),
    "means": Text("含义", "What it means"),
    "absent": Text("没有这个序列时", "Where the series is absent"),
    "bad": Text("什么情况不正常", "What is bad"),
    "do": Text("怎么办", "What to do"),
    "changed": Text("版本差异", "What releases changed"),
    "see": Text("相关指标", "Read it with"),
    "meant": Text("也许你要找的是", "Perhaps you mean"),
    "checks": Text("用到它的检查", "Checks that use it"),
    "severity": Text("严重程度", "severity"),
    "fires": Text("触发条件（PromQL）", "When it fires (PromQL)"),
    "causes": Text("可能的原因", "Likely causes"),
    "blind": Text("看不到的", "What it cannot see"),
    "evidence": Text("会给出的数字", "Numbers it shows"),
    "folds": Text("它会掩盖的检查（它们是它的后果）", "Checks folded under it, its consequences"),
    "because": Text("它常见的起因", "Checks that are its usual cause"),
    "incidents": Text("已知事例", "Known incidents"),
    "threshold": Text("阈值", "Threshold"),
}
_UNITS = {
    "seconds": Text("单位：秒", "in seconds"),
    "unix_seconds": Text("Unix 时间戳，单位：秒", "Unix time in seconds"),
    "bytes": Text("单位：字节", "in bytes"),
    "yes_no": Text("1 是，0 否", "1 yes, 0 no"),
    "info": Text("恒为 1，内容在标签里", "always 1, the labels tell"),
}
_TYPES = {
    "counter": Text("counter（只增的计数器）", "counter"),
    "gauge": Text("gauge（可增可减）", "gauge"),
    "histogram": Text("histogram（直方图）", "histogram"),
    "summary": Text("summary（摘要）", "summary"),
}
_EXPOSERS = {
    "kube-proxy": Text("kube-proxy 自己的 :10249/metrics", "kube-proxy itself, on :10249/metrics"),
    "scraper": Text("采集端，每次采集后写入", "the agent, written after every scrape"),
    "agent": Text("kpwatch agent 自身", "kpwatch's agent, about itself"),
    "hub": Text("kpwatch hub 自身的 /metrics", "kpwatch's hub, on its /metrics"),
}
_SERIES = {
    "_bucket": Text(
        "{} 是它的一条序列：不超过 le 的观测次数（累积）。"
        "求分位数用 `histogram_quantile(0.99, sum by (le) (rate({}[5m])))`。",
        "{} is one of its series: how many observations were at most le (cumulative). For a quantile: "
        "`histogram_quantile(0.99, sum by (le) (rate({}[5m])))`.",
    ),
    "_sum": Text(
        "{} 是它的一条序列：所有观测值之和；除以 _count 就是平均值。",
        "{} is one of its series: the sum of all observations; divided by _count it is the mean.",
    ),
    "_count": Text("{} 是它的一条序列：观测的次数。", "{} is one of its series: how many observations there were."),
}
_CRITICAL_WORDS = {
    "critical": Text("严重", "critical"),
    "warning": Text("警告", "warning"),
    "info": Text("提示", "info"),
}


_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NAME_PATTERN = re.compile(r'__name__=~"([^"]*)"')
_HARDLY_DIFFERENT = 0.85
_COMMA = Text("、", ", ")


class Page:
    """Lines for one terminal."""

    def __init__(self, columns: int, language: str, paint: Paint) -> None:
        self._columns = min(columns, WIDEST)
        self._list_columns = min(columns, _WIDEST_LIST)
        self.language = language
        self.paint = paint
        self.lines: list[str] = []

    def _lines(self, text: str) -> list[str]:
        return lines_of(text, self._columns)

    def said(self, text: Text) -> str:
        """In the page's language."""
        return text.in_language(self.language)

    def title(self, name: str, words: str) -> None:
        """What it is about."""
        self.lines += [self.paint("bold", line) for line in self._lines(name)]
        self.lines += self._lines(words)

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """A table of what is said in a few words; on a narrow terminal each value under its name."""
        named = [(self.said(_SAID[key]), value) for key, value in facts if value]
        if not named:
            return
        self.lines.append("")
        indent = 4 if self._columns < _NARROW else 4 + max(width_of(name) for name, _ in named)
        for name, value in named:
            first, *rest = lines_of(value, self._columns - indent)
            if self._columns < _NARROW:
                self.lines += ["  " + self.paint("dim", name), " " * indent + first]
            else:
                self.lines.append("  " + self.paint("dim", padded(name, indent - 2)) + first)
            self.lines += [" " * indent + line for line in rest]

    def part(self, key: str, paragraphs: Sequence[str], bullet: str = "", whole: Whole = "commands") -> None:
        """A heading and paragraphs under it; `bullet` "-" or "1" makes them a list."""
        if not paragraphs:
            return
        self.heading(self.said(_SAID[key]))
        for number, paragraph in enumerate(paragraphs, start=1):
            mark = {"": "", "-": "- ", "1": f"{number}. "}[bullet]
            indent = "  " + " " * len(mark)
            written = self.paint.commands(lines_of(paragraph, self._columns - len(indent), whole=whole))
            self.lines += [(indent if line_number else f"  {mark}") + line for line_number, line in enumerate(written)]

    def names(self, key: str, names: Sequence[tuple[str, str]]) -> None:
        """A heading and names with their titles, side by side where there is room."""
        if not names:
            return
        self.heading(self.said(_SAID[key]))
        self.listed(names)

    def heading(self, words: str) -> None:
        """What the lines below are about."""
        self.lines += [*([""] if self.lines else []), *(self.paint("bold", line) for line in self._lines(words))]

    def listed(self, names: Sequence[tuple[str, str]]) -> None:
        """Names and their titles; a title that does not fit beside its name stands under it."""
        room = self._list_columns * 3 // 5
        aligned = max((width for name, _ in names if (width := width_of(name)) <= room), default=0)
        for name, words in names:
            if width_of(name) <= aligned and 4 + aligned + width_of(words) <= self._list_columns:
                self.lines.append(f"  {self.paint('cyan', padded(name, aligned))}  {words}")
                continue
            self.lines += ["  " + self.paint("cyan", line) for line in lines_of(name, self._columns - 2)]
            self.lines += ["      " + line for line in lines_of(words, self._columns - 6)]


def explain_metric(page: Page, knowledge: Knowledge, found: Found, asked: str) -> None:
    """A metric's row, or that of the family whose series was asked for."""
    row = found.metric
    group = next(group for group in knowledge.metric_groups if group.id == row.group)
    page.title(row.name, page.said(row.title))
    unit = page.said(_UNITS[row.unit]) if row.unit in _UNITS else ""
    of_kube_proxy = group.exposed_by == "kube-proxy"
    page.facts([
        ("type", page.said(Text("，", ", ")).join(filter(None, [page.said(_TYPES[row.type]), unit]))),
        ("labels", _joined(page, [_label(page, name.name, name.first, name.last) for name in row.labels])),
        ("from", page.said(_EXPOSERS[group.exposed_by])),
        ("releases", _releases(page, row) if of_kube_proxy else ""),
        ("modes", page.said(_COMMA).join(row.modes) if of_kube_proxy else ""),
        ("buckets", row.buckets),
    ])  # fmt: skip
    series = [page.said(_SERIES[found.series]).format(asked, asked)] if found.series else []
    page.part("means", [*series, page.said(row.means)])
    for key, text in (("absent", row.absent), ("bad", row.bad), ("do", row.do)):
        page.part(key, [page.said(text)] if text else [])
    page.part("changed", [_change(page, change.at, change.said) for change in row.changed], "-")
    titles = {other.name: page.said(other.title) for other in knowledge.metrics}
    page.names("see", [(name, titles[name]) for name in row.see])
    page.names("checks", [(check.id, _told(page, check).summary) for check in checks_of(knowledge, row)])


def checks_of(knowledge: Knowledge, row: Metric) -> list[Check]:
    """The checks whose queries ask for the family or one of its series, by name or by a pattern of names."""
    return [
        check
        for check in knowledge.checks
        if any(_asks_for(row.name, _expanded(knowledge, check, query)) for query in queries_of(check))
    ]


def _asks_for(name: str, query: str) -> bool:
    series = {name, *(name + suffix for suffix in _SERIES)}
    patterns = [re.compile(pattern) for pattern in _NAME_PATTERN.findall(query)]
    return not series.isdisjoint(_NAME.findall(query)) or any(
        pattern.fullmatch(one) for pattern in patterns for one in series
    )


def explain_prefix(page: Page, knowledge: Knowledge, row: MetricPrefix, asked: str) -> None:
    """Families that have no rows of their own."""
    group = next(group for group in knowledge.metric_groups if group.id == row.group)
    page.title(asked, f"{row.prefix}*: {page.said(row.title)}")
    page.facts([("from", page.said(_EXPOSERS[group.exposed_by]))])
    page.part("means", [page.said(row.means)])
    titles = {other.name: page.said(other.title) for other in knowledge.metrics}
    page.names("meant", [(name, titles[name]) for name in nearest(asked, titles, _HARDLY_DIFFERENT)])


def explain_check(page: Page, knowledge: Knowledge, check: Check) -> None:
    """A check: what fires it, what it means, what to do."""
    told = _told(page, check)
    page.title(check.id, told.summary)
    severities = dict.fromkeys(level.severity for level in check.levels)
    page.facts([
        ("severity", _joined(page, [page.said(_CRITICAL_WORDS[severity]) for severity in severities])),
        ("releases", _from(page, check.version) if check.version else ""),
        ("modes", page.said(_COMMA).join(check.modes)),
    ])  # fmt: skip
    page.part("means", [told.means])
    page.part("causes", told.causes, "-")
    page.part("do", told.do, "1")
    page.part("threshold", [told.threshold])
    page.part("blind", [told.blind] if told.blind else [])
    page.part("evidence", [each.zh if page.language == "zh" else each.en for each in check.evidence], "-")
    summaries = {other.id: _told(page, other).summary for other in knowledge.checks}
    page.names("because", [(name, summaries[name]) for name in check.because])
    page.names("folds", [(name, summaries[name]) for name in check.folds])
    page.part("incidents", [incident_url(incident) for incident in check.incidents], "-", "words")
    conditions = [_condition(page, knowledge, check, level) for level in check.levels]
    page.part("fires", conditions, "-", "words")


def explain_all(page: Page, knowledge: Knowledge) -> None:
    """Every name with its title, by group; checks last."""
    for group in knowledge.metric_groups:
        rows = [(row.name, page.said(row.title)) for row in knowledge.metrics if row.group == group.id]
        rows += [(f"{row.prefix}*", page.said(row.title)) for row in knowledge.metric_prefixes if row.group == group.id]
        _chapter(page, page.said(group.title), rows)
    _chapter(page, page.said(Text("检查", "Checks")), [(row.id, _told(page, row).summary) for row in knowledge.checks])


def _chapter(page: Page, heading: str, names: Sequence[tuple[str, str]]) -> None:
    if names:
        page.heading(heading)
        page.listed(names)


def _told(page: Page, check: Check) -> Told:
    return check.zh if page.language == "zh" else check.en


def _expanded(knowledge: Knowledge, check: Check, query: str) -> str:
    return expand(query, knowledge.terms, in_cluster(check.window))


def _condition(page: Page, knowledge: Knowledge, check: Check, level: Level) -> str:
    severity = page.said(_CRITICAL_WORDS[level.severity])
    held = page.said(Text("，持续 {}", ", for {}")).format(level.for_text) if level.for_text else ""
    colon = page.said(Text("：", ": "))
    return f"{severity}{held}{colon}{_expanded(knowledge, check, level.when)}"


def _joined(page: Page, texts: Iterable[str]) -> str:
    return page.said(_COMMA).join(text for text in texts if text)


def _change(page: Page, version: str, text: Text) -> str:
    return f"{version}{page.said(Text('：', ': '))}{page.said(text)}"


def _from(page: Page, version: str) -> str:
    return page.said(Text("{} 起", "{} and later")).format(version)


def _releases(page: Page, row: Metric) -> str:
    if row.removed:
        return page.said(Text("{} 之前", "before {}")).format(row.removed)
    return _from(page, row.since) if row.since else page.said(Text("全部（1.20 起）", "all (1.20 and later)"))


def _label(page: Page, name: str, first: str, last: str) -> str:
    if first:
        return page.said(Text("{}（{} 起）", "{} (from {})")).format(name, first)
    return page.said(Text("{}（到 {} 为止）", "{} (up to {})")).format(name, last) if last else name
