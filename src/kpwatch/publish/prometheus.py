"""Rule files of Prometheus, VictoriaMetrics and Mimir, and Alertmanager's inhibitions. Pure.

rules/kube-proxy.yml        alerts from the checks, for whoever collects with kpwatch's agent
rules/kube-proxy-plain.yml  the same without what only the agent knows: `up` and kube-proxy's own metrics
rules/kube-proxy-records.yml  the boards' dearest queries as series of their own
alertmanager-inhibit.yml    what a worse severity and a cause keep quiet

Load one of the first two, not both: their alerts have the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.panels import panels
from kpwatch.promql.pretty import pretty
from kpwatch.promql.syntax import parse_syntax
from kpwatch.publish.alerts import alert_name, all_alerts, description, plain_alerts, summary
from kpwatch.publish.documents import Document, yaml_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kpwatch.knowledge.panels import Panels
    from kpwatch.knowledge.rows import Check, Knowledge
    from kpwatch.publish.alerts import Alert
    from kpwatch.publish.catalogue import Wishes

RULES, PLAIN, RECORDS = (
    f"prometheus/rules/{name}.yml" for name in ("kube-proxy", "kube-proxy-plain", "kube-proxy-records")
)
_ABOUT = {
    RULES: "Alerts about kube-proxy, for whoever collects with kpwatch's agent (ident, health pages, scrape errors).",
    PLAIN: "Alerts about kube-proxy for whoever has `up` and kube-proxy's own metrics only. Instead of kube-proxy.yml.",
    RECORDS: "What boards and people ask of kube-proxy most often, recorded once a minute.",
}
_MADE = "Made by `kpwatch publish --for prometheus` from kpwatch's checks; changes here are lost."


def documents(wishes: Wishes) -> Iterator[Document]:
    """All rule files, and their tests where they are wished for."""
    yield from rule_documents(knowledge(), panels(), wishes.runbooks)
    if not wishes.tests:
        return
    from kpwatch.publish.record_scenes import record_test_document  # noqa: PLC0415 - made of what stands here
    from kpwatch.publish.scenes import test_documents  # noqa: PLC0415 - likewise

    yield from test_documents(knowledge(), wishes.runbooks)
    yield record_test_document(panels())


def rule_documents(table: Knowledge, boards: Panels, runbooks: str) -> Iterator[Document]:
    """The rule files, RULES first, each made when it is asked for; `runbooks`: URL of the folder with the runbooks."""
    for path, alerts in ((RULES, all_alerts), (PLAIN, plain_alerts)):
        yield _rule_file(path, [_alerting(alert, runbooks) for alert in alerts(table)])
    records = [{"record": name, "expr": expr} for name, expr in recordings(boards)]
    yield _rule_file(RECORDS, records)
    yield yaml_document(
        "prometheus/alertmanager-inhibit.yml",
        f"inhibit_rules for alertmanager.yml: a worse severity, and a cause, keep the rest of a node quiet.\n{_MADE}",
        {"inhibit_rules": list(_inhibitions(table.checks))},
    )


def recordings(table: Panels) -> Iterator[tuple[str, str]]:
    """(name, PromQL) of every panel's recording rule; a node is (ident, instance), as in the checks."""
    for panel in table.panels:
        if panel.record:
            expr = panel.queries[0].expr.replace(',ident=~"$ident"', "").replace("$__rate_interval", "5m")
            yield panel.record, pretty(parse_syntax(expr.replace("(ident", "(ident, instance")))


def runbook_url(runbooks: str, check: Check, language: str = "en") -> str:
    """Where a check's runbook is."""
    return f"{runbooks.rstrip('/')}/{check.id}{'.zh-CN' if language == 'zh' else ''}.md"


def _rule_file(path: str, rules: Iterable[dict[str, Any]]) -> Document:
    name = path.rpartition("/")[2].removesuffix(".yml")
    return yaml_document(path, f"{_ABOUT[path]}\n{_MADE}", {"groups": [{"name": name, "rules": list(rules)}]})


def _alerting(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        **({"for": alert.for_text} if alert.for_text else {}),
        "labels": labels_of(alert),
        "annotations": annotations_of(alert, runbooks),
    }


def annotations_of(alert: Alert, runbooks: str) -> dict[str, str]:
    """What is said of it in both languages, with templates for the node."""
    return {
        "summary": summary(alert, "en"),
        "summary_zh": summary(alert, "zh"),
        "description": description(alert, "en"),
        "description_zh": description(alert, "zh"),
        "runbook_url": runbook_url(runbooks, alert.check),
    }


def labels_of(alert: Alert) -> dict[str, str]:
    """What an alert is found by: the severity, and the check it comes from."""
    return {"severity": alert.severity, "check": alert.check.id}


def _inhibitions(checks: Iterable[Check]) -> Iterator[dict[str, Any]]:
    for worse, others in (("critical", "warning|info"), ("warning", "info")):
        yield {
            "source_matchers": [f'severity="{worse}"', 'check!=""'],
            "target_matchers": [f'severity=~"{others}"'],
            "equal": ["alertname", "ident", "instance"],
        }
    for check in checks:
        folded = [name for name in dict.fromkeys(check.folds) if name != check.id]
        if folded:
            yield {
                "source_matchers": [f'alertname="{alert_name(check.id)}"', *_severe(check)],
                "target_matchers": [f'alertname=~"{"|".join(map(alert_name, folded))}"'],
                "equal": ["ident", "instance"],
            }


def _severe(check: Check) -> list[str]:
    """Only those levels that are bad enough to bring about the others."""
    causes = sorted({level.severity for level in check.levels if level.is_cause})
    everything = {level.severity for level in check.levels}
    return [] if set(causes) == everything else [f'severity=~"{"|".join(causes)}"']
