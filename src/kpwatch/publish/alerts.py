"""The checks as alerts, before anybody's file format: a name, a severity, PromQL, what to say. Pure.

One alert for each severity of a check; levels of the same severity and duration are joined with `or`. All alerts of a
check have its name, so that the worse one can silence the others (`inhibit`), as findings of a check do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpwatch.base.durations import parse_prometheus
from kpwatch.knowledge.expressions import expand, in_cluster
from kpwatch.promql.pretty import pretty
from kpwatch.promql.syntax import parse_syntax
from kpwatch.publish.pruning import groups_by, pruned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpwatch.knowledge.rows import Check, Knowledge, Told

NODE_LABELS = ("ident", "instance")


class Alert(NamedTuple):
    """A check at one severity."""

    check: Check
    severity: str
    expr: str
    """Laid out."""
    for_text: str
    """How long it must hold, "" = at once."""
    of_node: str
    """The label that names the node it is about; "" = it is about the fleet."""

    @property
    def name(self) -> str:
        """The same for all severities of a check."""
        return alert_name(self.check.id)

    @property
    def for_seconds(self) -> float:
        """The same as a number."""
        return parse_prometheus(self.for_text) if self.for_text else 0.0


def alert_name(check_id: str) -> str:
    """`KubeProxySyncFailing` of `sync-failing`."""
    return "KubeProxy" + "".join(part.capitalize() for part in check_id.split("-"))


def all_alerts(knowledge: Knowledge) -> list[Alert]:
    """For whoever collects with kpwatch's agent."""
    return [alert for check in knowledge.checks for alert in _of_check(check, knowledge, plain=False)]


def plain_alerts(knowledge: Knowledge) -> list[Alert]:
    """For whoever has `up` and kube-proxy's own metrics only, told apart by `instance`."""
    return [alert for check in knowledge.checks for alert in _of_check(check, knowledge, plain=True)]


def is_ours(metric: str) -> bool:
    """Whether only kpwatch's agent gives this metric."""
    return metric.startswith("kpwatch_") or metric == "scrape_error_info"


def _of_check(check: Check, knowledge: Knowledge, *, plain: bool) -> Iterator[Alert]:
    words = in_cluster(check.window)
    found: dict[tuple[str, str], list[str]] = {}
    for level in check.levels:
        query: str | None = expand(level.when, knowledge.terms, words)
        if plain and query is not None:
            query = pruned(query, is_ours)
        if query is not None:
            found.setdefault((level.severity, level.for_text), []).append(query)
    for (severity, for_text), queries in found.items():
        query = queries[0] if len(queries) == 1 else " or ".join(f"({each})" for each in queries)
        node = next((label for label in NODE_LABELS[plain:] if groups_by(query, label)), "")
        yield Alert(check, severity, pretty(parse_syntax(query)), for_text, node)


def summary(alert: Alert, language: str) -> str:
    """A line, with the node in front of it."""
    return _at_node(alert) + _told(alert.check, language).summary


def description(alert: Alert, language: str) -> str:
    """What it means, and what to do step by step; commands name the node."""
    told = _told(alert.check, language)
    steps = (f"{number}. {step}" for number, step in enumerate(told.do, start=1))
    text = "\n".join((told.means, *steps))
    return text.replace("<node>", f"{{{{ $labels.{alert.of_node} }}}}") if alert.of_node == "ident" else text


def _at_node(alert: Alert) -> str:
    return f"{{{{ $labels.{alert.of_node} }}}}: " if alert.of_node else ""


def _told(check: Check, language: str) -> Told:
    return check.zh if language == "zh" else check.en
