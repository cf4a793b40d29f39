"""What the doctor says that is no row of the table: sentences by key, in both languages. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")


class Said(NamedTuple):
    """A sentence of the table and what stands in its gaps."""

    key: str
    gaps: tuple[str, ...] = ()

    def in_language(self, language: Language) -> str:
        """The sentence."""
        return SENTENCES[self.key][language].format(*self.gaps)


SENTENCES: dict[str, dict[Language, str]] = {
    # Why a metrics page cannot be judged although something answered.
    "not-asked": {"en": "its metrics were not asked for", "zh": "没有采集它的指标"},
    "broke-off": {"en": "its metrics page broke off or is too large ({})", "zh": "指标页中断或过大（{}）"},
    "status": {"en": "/metrics answers with status {}", "zh": "/metrics 返回状态码 {}"},
    "html": {"en": "/metrics answers with an HTML page", "zh": "/metrics 返回的是 HTML 页面"},
    "empty": {"en": "/metrics answers with an empty page", "zh": "/metrics 返回空页面"},
    "cut-off": {"en": "its metrics page is cut off: the last line has no end", "zh": "指标页被截断：最后一行不完整"},
    "no-metric": {"en": "nothing on its metrics page is a metric", "zh": "指标页里没有任何指标"},
    # Why a check was not judged.
    "no-answer": {"en": "kube-proxy's metrics could not be read", "zh": "读不到 kube-proxy 的指标"},
    "another": {"en": "it is not kube-proxy that answers", "zh": "应答的不是 kube-proxy"},
    "one-scrape": {"en": "it takes two scrapes, there is one", "zh": "需要两次采集，目前只有一次"},
    "kept-samples": {"en": "it takes kept samples: --prometheus HUB", "zh": "需要保存下来的样本：--prometheus HUB"},
    "few-nodes": {"en": "it compares nodes, and there are fewer than {}", "zh": "需要比较节点，而节点少于 {} 个"},
    "absent": {"en": "{} is not exposed here", "zh": "这里没有 {} 这个指标"},
    "version": {"en": "kube-proxy {} does not tell; from {} on it does", "zh": "kube-proxy {} 不提供，从 {} 起才有"},
    "blind": {"en": "seen only in part: kpwatch explain {}", "zh": "只能看到一部分：kpwatch explain {}"},
    "failed": {"en": "the query failed: {}", "zh": "查询失败：{}"},
    # What a finding's evidence says besides the row's own.
    "holds": {"en": "the check's condition", "zh": "检查条件的值"},
    "also": {"en": "as a consequence, also", "zh": "由此引起的还有"},
    "because": {"en": "likely because of", "zh": "可能的原因"},
    "nodes": {"en": "nodes", "zh": "节点"},
    "of": {"en": "{} of {}: {}", "zh": "{} / {}：{}"},
    # How a report is written.
    "critical": {"en": "critical", "zh": "严重"},
    "warning": {"en": "warning", "zh": "警告"},
    "info": {"en": "info", "zh": "提示"},
    "unknown": {"en": "could not be judged", "zh": "无法判断"},
    "ok": {"en": "ok", "zh": "正常"},
    "fleet": {"en": "The fleet", "zh": "整个集群"},
    "shared": {"en": "what is told above for the fleet", "zh": "见上方对整个集群的结论"},
    "threshold": {"en": "Threshold", "zh": "阈值"},
    "incidents": {"en": "Known incidents", "zh": "已知事例"},
    "since": {"en": "since", "zh": "开始于"},
    "ago": {"en": "{} ago", "zh": "{}前"},
    "not-judged": {"en": "Not judged", "zh": "未判断"},
    "judged": {"en": "{} nodes", "zh": "共 {} 个节点"},
    "explain": {"en": "Read what is known about it: `kpwatch explain {}`", "zh": "查看说明：`kpwatch explain {}`"},
}  # fmt: skip
