"""What becomes of an alert: inactive, pending, firing, and back. Pure.

    absent ──result──> pending ──`for` is over──> firing ──no result──> (keep_firing_for) ──> inactive ──15 min──>
    absent
                          └──no result──> absent

These are Prometheus' rules (rules/alerting.go): time spent pending counts from the first result; an alert that is no
more, but fired, is kept as resolved for `RESOLVED_SECONDS` so that whoever is told of alerts hears of it again. Times
are Unix seconds; 0 = never.

What was saved before a restart is taken up by `restored`: time in which nobody looked is no time spent pending, and
nothing fires because of it before `settle` is over (Prometheus' grace period for long `for`, two evaluations for short
ones); nor is an alert that fired resolved before that, for want of samples that have not arrived yet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from kpwatch.model.labels import METRIC_NAME, make_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kpwatch.model.labels import Labels

State = Literal["inactive", "pending", "firing"]

RESOLVED_SECONDS = 900.0
"""How long a resolved alert is remembered."""
ALERT_NAME = "alertname"
ALERTS = "ALERTS"
ALERTS_FOR_STATE = "ALERTS_FOR_STATE"


@dataclass(slots=True)
class Alert:
    """One alert of a rule."""

    labels: Labels
    """With `alertname`, without external labels."""
    annotations: Labels
    value: float
    active_at: float
    state: State = "pending"
    fired_at: float = 0.0
    resolved_at: float = 0.0
    keep_firing_since: float = 0.0
    sent_at: float = 0.0
    settles_at: float = 0.0
    """Of a restored one: until then it is not resolved."""

    @property
    def is_active(self) -> bool:
        """Pending or firing."""
        return self.state != "inactive"


class Result(NamedTuple):
    """One series that an alert's expression has now, as the alert that it is."""

    labels: Labels
    annotations: Labels
    value: float


class Holds(NamedTuple):
    """How long a rule waits."""

    pending_seconds: float = 0.0
    keep_firing_seconds: float = 0.0


class TooManyAlerts(ValueError):
    """More than the group's limit."""


class AlertStates:
    """The alerts of one rule."""

    def __init__(self, alerts: Iterable[Alert] = ()) -> None:
        self._alerts = {alert.labels: alert for alert in alerts}

    def __iter__(self) -> Iterator[Alert]:
        return iter(list(self._alerts.values()))

    @property
    def active(self) -> list[Alert]:
        """Pending and firing ones."""
        return [alert for alert in self._alerts.values() if alert.is_active]

    def update(self, now: float, results: Sequence[Result], holds: Holds, limit: int = 0) -> list[Alert]:
        """Take in one evaluation; alerts that began to fire or were resolved by it.

        Raises TooManyAlerts, and forgets all of them, where there are more than `limit` (0 = no limit).
        """
        for result in results:
            known = self._alerts.get(result.labels)
            if known is not None and known.is_active:
                known.value, known.annotations = result.value, result.annotations
            else:
                self._alerts[result.labels] = Alert(result.labels, result.annotations, result.value, now)
        present = {result.labels for result in results}
        changed = []
        for labels, alert in list(self._alerts.items()):
            before = alert.state
            if not self._goes_on(alert, now, holds, present=labels in present):
                del self._alerts[labels]
            if alert.state != before:
                changed.append(alert)
        count = sum(alert.is_active for alert in self._alerts.values())
        if limit and count > limit:
            self._alerts.clear()
            raise TooManyAlerts(f"exceeded limit of {limit} with {count} alerts")
        return changed

    def _goes_on(self, alert: Alert, now: float, holds: Holds, *, present: bool) -> bool:
        """Move one alert on; False where it is to be forgotten."""
        if present:
            alert.keep_firing_since = 0.0
            alert.settles_at = 0.0
        elif not alert.is_active:
            return now - alert.resolved_at <= RESOLVED_SECONDS
        elif alert.state == "pending":
            return now < alert.settles_at
        elif not _keeps_firing(alert, now, holds):
            alert.state, alert.resolved_at = "inactive", now
            return True
        if alert.state == "pending" and present and now - alert.active_at >= holds.pending_seconds:
            alert.state, alert.fired_at = "firing", now
        return True

    def samples(self) -> list[tuple[Labels, float]]:
        """`ALERTS` and `ALERTS_FOR_STATE` of the active ones."""
        found: list[tuple[Labels, float]] = []
        for alert in self.active:
            labels = dict(alert.labels)
            found.append((make_labels({**labels, METRIC_NAME: ALERTS, "alertstate": alert.state}), 1.0))
            found.append((make_labels({**labels, METRIC_NAME: ALERTS_FOR_STATE}), float(int(alert.active_at))))
        return found

    def to_send(self, now: float, resend_seconds: float) -> list[Alert]:
        """Copies of the alerts that are to be told now; they count as sent."""
        found = []
        for alert in self._alerts.values():
            if alert.state == "pending":
                continue
            if alert.resolved_at > alert.sent_at or alert.sent_at + resend_seconds < now:
                alert.sent_at = now
                found.append(replace(alert))
        return found


def _keeps_firing(alert: Alert, now: float, holds: Holds) -> bool:
    if now < alert.settles_at:
        return True
    if not holds.keep_firing_seconds:
        return False
    alert.keep_firing_since = alert.keep_firing_since or now
    return now - alert.keep_firing_since < holds.keep_firing_seconds


class Tolerance(NamedTuple):
    """What a restart may take."""

    outage_seconds: float = 3600.0
    """What was longer ago is not taken up again."""
    grace_seconds: float = 600.0
    """Alerts whose `for` is longer do not fire sooner than that after a restart."""
    settle_seconds: float = 120.0
    """The same for the others."""


def restored(saved: Iterable[Alert], down_at: float, now: float, holds: Holds, tolerance: Tolerance) -> list[Alert]:
    """Saved alerts as they are to go on; `down_at` is when they were looked at last."""
    if now - down_at > tolerance.outage_seconds:
        return []
    alerts = []
    for alert in saved:
        if not alert.is_active:
            alerts.append(alert)
            continue
        alert.settles_at = now + tolerance.settle_seconds
        if alert.keep_firing_since:
            alert.keep_firing_since += now - down_at
        if alert.state == "pending":
            spent = down_at - alert.active_at
            hold = holds.pending_seconds
            least = tolerance.grace_seconds if hold >= tolerance.grace_seconds else tolerance.settle_seconds
            remaining = max(hold - spent, min(hold, least))
            alert.active_at = now + remaining - hold
        alerts.append(alert)
    return alerts
