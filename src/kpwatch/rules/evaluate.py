"""One rule at one time: a query, and what its answer means for alerts or for a recorded series.

Rules of a group are evaluated one after the other and each one's samples are kept before the next one asks, so a rule
may use what the one before has recorded. A rule that fails says why in `last_error`; its alerts stay as they are and
its series are neither written nor ended. A series that a rule had the last time and has no more is ended by a staleness
marker.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kpwatch.base.errors import KpwatchError, QueryFailed
from kpwatch.model.labels import METRIC_NAME, make_labels
from kpwatch.model.numbers import STALE_NAN
from kpwatch.model.results import Scalar, Vector
from kpwatch.rules.expand import Surroundings, expanded
from kpwatch.rules.states import ALERT_NAME, ALERTS_FOR_STATE, Alert, AlertStates, Holds, Result, TooManyAlerts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.model.labels import Labels
    from kpwatch.model.results import QueryResult
    from kpwatch.rules.parse import Rule

Sample = tuple["Labels", float]


class Ask(Protocol):
    """Evaluates PromQL."""

    def __call__(self, query: str, at_ms: int, *, lookback_ms: int | None = None) -> QueryResult:
        """The value of a query at a time in Unix milliseconds; raises QueryError."""
        ...


class Sink(Protocol):
    """Keeps what rules make."""

    def write(self, at_ms: int, samples: Sequence[Sample]) -> None:
        """Returns when they are kept and can be asked for; raises KpwatchError."""
        ...


class Moment(NamedTuple):
    """When a rule is evaluated."""

    now: float
    """Unix seconds, of alerts' times."""
    at_ms: int
    """Of queries and samples: earlier by the group's `query_offset`."""


@dataclass(slots=True)
class RunningRule:
    """A rule and what is known of it."""

    rule: Rule
    health: str = "unknown"
    last_error: str = ""
    evaluated_at: float = 0.0
    evaluation_seconds: float = 0.0
    series: dict[Labels, None] = field(default_factory=dict)
    """Those of the last evaluation."""
    alerts: AlertStates = field(default_factory=AlertStates)
    failures: int = 0
    evaluations: int = 0
    template_failures: int = 0

    @property
    def holds(self) -> Holds:
        """How long it waits."""
        return Holds(self.rule.for_seconds, self.rule.keep_firing_seconds)

    @property
    def state(self) -> str:
        """The highest of its alerts'; what Prometheus shows of a rule."""
        states = {alert.state for alert in self.alerts.active}
        return next((state for state in ("firing", "pending") if state in states), "inactive")


class Evaluator:
    """Evaluates rules with one engine, into one sink."""

    def __init__(self, ask: Ask, sink: Sink, around: Surroundings) -> None:
        self._ask = ask
        self._sink = sink
        self._around = around

    def evaluate(self, running: RunningRule, moment: Moment, limit: int) -> list[Alert]:
        """Alerts that began to fire or were resolved; whatever fails is noted in the rule."""
        running.evaluations += 1
        changed: list[Alert] = []
        try:
            changed, samples = self._evaluated(running, moment, limit)
            self._keep(running, moment, samples)
        except (KpwatchError, TooManyAlerts) as error:
            running.health, running.last_error = "err", str(error)
            running.failures += 1
            return changed
        running.health, running.last_error = "ok", ""
        return changed

    def _evaluated(self, running: RunningRule, moment: Moment, limit: int) -> tuple[list[Alert], list[Sample]]:
        found = self.vector(running.rule.expression, moment.at_ms)
        if running.rule.record:
            return [], recorded(running.rule, found, limit)
        results = self._results(running, found, moment)
        changed = running.alerts.update(moment.now, results, running.holds, limit)
        return changed, running.alerts.samples()

    def vector(self, query: str, at_ms: int, lookback_ms: int | None = None) -> list[Sample]:
        """A query's samples; a scalar is one without labels. Raises QueryError."""
        value = self._ask(query, at_ms, lookback_ms=lookback_ms).value
        if isinstance(value, Scalar):
            return [((), value.value)]
        if not isinstance(value, Vector):
            raise QueryFailed("rule result is not a vector or scalar")
        return list(value.samples)

    def _results(self, running: RunningRule, found: list[Sample], moment: Moment) -> list[Result]:
        rule = running.rule
        seen: set[Labels] = set()
        results = []
        for labels, value in found:

            def made(text: str, labels: Labels = labels, value: float = value) -> str:
                result = expanded(text, labels, value, lambda query: self.vector(query, moment.at_ms), self._around)
                running.template_failures += bool(result.error)
                return result.text

            own = {name: text for name, text in labels if name != METRIC_NAME}
            own |= {name: made(text) for name, text in rule.labels}
            named = make_labels({**own, ALERT_NAME: rule.alert})
            if named in seen:
                raise QueryFailed("vector contains metrics with the same labelset after applying alert labels")
            seen.add(named)
            annotations = tuple((name, made(text)) for name, text in rule.annotations)
            results.append(Result(named, annotations, value))
        return results

    def _keep(self, running: RunningRule, moment: Moment, samples: list[Sample]) -> None:
        series = dict.fromkeys(labels for labels, _ in samples)
        gone = [(labels, STALE_NAN) for labels in running.series if labels not in series]
        if samples or gone:
            self._sink.write(moment.at_ms, [*samples, *gone])
        running.series = series

    def saved(self, rule: Rule, now: float, outage_seconds: float) -> tuple[float, list[Alert]]:
        """(when the rule's alerts were seen last, they as they were) by `ALERTS_FOR_STATE`; raises QueryError.

        A series that was ended has no value, so what was over before is not found.
        """
        at_ms, lookback_ms = round(now * 1000), round(outage_seconds * 1000)
        selector = f"{ALERTS_FOR_STATE}{{{ALERT_NAME}={json.dumps(rule.alert, ensure_ascii=False)}}}"
        since = self.vector(selector, at_ms, lookback_ms)
        seen = [value for _, value in self.vector(f"timestamp({selector})", at_ms, lookback_ms)] if since else []
        alerts = []
        own = {pair for pair in rule.labels if "{{" not in pair[1]}
        for labels, active_at in since:
            if not own <= set(labels):
                continue  # of another rule with the same name
            alert = Alert(tuple(pair for pair in labels if pair[0] != METRIC_NAME), (), 0.0, active_at)
            if seen and max(seen) - active_at >= rule.for_seconds:
                alert.state, alert.fired_at = "firing", active_at + rule.for_seconds
            alerts.append(alert)
        return max(seen, default=0.0), alerts

    def end(self, series: Sequence[Labels], at_ms: int) -> None:
        """Staleness markers for series that no rule makes any more; raises KpwatchError."""
        if series:
            self._sink.write(at_ms, [(labels, STALE_NAN) for labels in series])


def recorded(rule: Rule, found: list[Sample], limit: int) -> list[Sample]:
    """A recording rule's samples; raises QueryFailed."""
    samples: dict[Labels, float] = {}
    for labels, value in found:
        named = make_labels({**dict(labels), METRIC_NAME: rule.record, **dict(rule.labels)})
        if named in samples:
            raise QueryFailed("vector contains metrics with the same labelset after applying rule labels")
        samples[named] = value
    if limit and len(samples) > limit:
        raise QueryFailed(f"exceeded limit of {limit} with {len(samples)} series")
    return list(samples.items())
