"""Rules and alerts as Prometheus' HTTP API shows them (its web/api/v1: RuleDiscovery, Alert). Pure.

Times are RFC 3339 in UTC; a rule that was not evaluated yet has Go's zero time. Numbers of alerts are texts with an
exponent (`1e+00`), as Prometheus has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch.base.clock import utc_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.rules.evaluate import RunningRule
    from kpwatch.rules.groups import RunningGroup
    from kpwatch.rules.states import Alert

ZERO_TIME = "0001-01-01T00:00:00Z"


def time_text(unix_seconds: float) -> str:
    """RFC 3339; 0 is Go's zero time."""
    return utc_text(unix_seconds) if unix_seconds else ZERO_TIME


def number_text(value: float) -> str:
    """As Go's strconv.FormatFloat(value, 'e', -1, 64)."""
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    digits = repr(abs(value)).partition("e")[0].replace(".", "").strip("0")
    mantissa, _, exponent = f"{value:.{max(len(digits) - 1, 0)}e}".partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:]:0>2}"


def _seconds(value: float) -> float:
    return int(value) if value == int(value) else value


def alert_document(alert: Alert, silenced_by: Sequence[str] = ()) -> dict[str, Any]:
    """One of `/alerts`; Prometheus has no `silencedBy`, and neither has an alert that nothing keeps quiet."""
    document: dict[str, Any] = {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": alert.state,
        "activeAt": time_text(alert.active_at),
    }
    if alert.keep_firing_since:
        document["keepFiringSince"] = time_text(alert.keep_firing_since)
    if silenced_by:
        document["silencedBy"] = list(silenced_by)
    return document | {"value": number_text(alert.value)}


def rule_document(running: RunningRule, alerts: Sequence[dict[str, Any]] | None) -> dict[str, Any]:
    """One of a group's `rules`, with the documents of its alerts unless None."""
    rule = running.rule
    evaluated = {
        "health": running.health,
        **({"lastError": running.last_error} if running.last_error else {}),
        "evaluationTime": running.evaluation_seconds,
        "lastEvaluation": time_text(running.evaluated_at),
    }
    labels = {"labels": dict(rule.labels)} if rule.labels else {}
    if rule.record:
        return {"name": rule.record, "query": rule.query, **labels, **evaluated, "type": "recording"}
    return {
        "state": running.state,
        "name": rule.alert,
        "query": rule.query,
        "duration": _seconds(rule.for_seconds),
        "keepFiringFor": _seconds(rule.keep_firing_seconds),
        "labels": dict(rule.labels),
        "annotations": dict(rule.annotations),
        **({"alerts": alerts} if alerts is not None else {}),
        **evaluated,
        "type": "alerting",
    }


def group_document(group: RunningGroup, rules: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One of `/rules`, with the documents of those of its rules that are asked for."""
    return {
        "name": group.group.name,
        "file": group.group.file,
        "rules": rules,
        "interval": _seconds(group.interval_seconds),
        "limit": group.group.limit,
        "evaluationTime": group.evaluation_seconds,
        "lastEvaluation": time_text(group.evaluated_at),
    }


def event_document(running: RunningRule, group: RunningGroup, alert: Alert, at: float) -> dict[str, Any]:
    """One of the history: an alert that began to fire, or was resolved."""
    return {
        "time": time_text(at),
        "event": "firing" if alert.state == "firing" else "resolved",
        "alert": running.rule.alert,
        "group": group.group.name,
        "file": group.group.file,
        **{
            name: value
            for name, value in alert_document(alert).items()
            if name in ("labels", "annotations", "activeAt", "value")
        },
        "firedAt": time_text(alert.fired_at),
        "resolvedAt": time_text(alert.resolved_at),
    }
