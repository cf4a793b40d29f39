"""Groups at work: when each is due, its rules one after the other, what a changed file leaves of it.

A group is due at multiples of its interval plus an offset of its own, made of its name, so that groups do not all ask
at once and a restart changes nothing (Prometheus' Group.EvalTimestamp). What was missed because an evaluation took too
long is counted, never made up for.
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from kpwatch.base.errors import KpwatchError
from kpwatch.rules.evaluate import Moment, RunningRule

if TYPE_CHECKING:
    from kpwatch.base.clock import Clock
    from kpwatch.model.labels import Labels
    from kpwatch.rules.evaluate import Evaluator
    from kpwatch.rules.options import RuleOptions
    from kpwatch.rules.parse import Group
    from kpwatch.rules.states import Alert

Key = tuple[str, str]
"""(file, name) of a group."""


class RunningGroup:
    """One group; evaluated by one thread at a time, read by any under `lock`."""

    def __init__(self, group: Group, options: RuleOptions) -> None:
        self.group = group
        self.interval_seconds = group.interval_seconds or options.interval_seconds
        offset = group.query_offset_seconds
        self.query_offset_seconds = options.query_offset_seconds if offset is None else offset
        self.rules = [RunningRule(rule) for rule in group.rules]
        self.lock = threading.Lock()
        self.evaluated_at = 0.0
        self.evaluation_seconds = 0.0
        self.missed = 0
        self.ending: list[Labels] = []
        """Series of rules that the file no longer has: to be ended with the next evaluation."""
        self.is_gone = False
        self.is_unknown = False
        """Nothing was saved of it: its alerts may stand in the samples."""
        digest = hashlib.blake2b(f"{group.file}\xff{group.name}".encode(), digest_size=8).digest()
        self._hash = int.from_bytes(digest, "big")

    @property
    def key(self) -> Key:
        """What makes it this group."""
        return self.group.file, self.group.name

    def due_after(self, now: float) -> float:
        """The first time behind `now` at which it is to be evaluated."""
        offset_ms = self._hash % max(1, round(self.interval_seconds * 1000))
        interval_ms = max(1, round(self.interval_seconds * 1000))
        now_ms = int(now * 1000)
        base_ms = (now_ms - offset_ms) // interval_ms * interval_ms + offset_ms
        return (base_ms + interval_ms) / 1000

    def evaluate(self, due: float, evaluator: Evaluator, clock: Clock) -> list[tuple[RunningRule, Alert]]:
        """All rules at the time `due`; alerts that began to fire or were resolved, with their rules."""
        began_at = clock.monotonic_seconds()
        moment = Moment(due, round((due - self.query_offset_seconds) * 1000))
        changed: list[tuple[RunningRule, Alert]] = []
        with suppress(KpwatchError):  # the next evaluation tries again
            evaluator.end(self.ending, moment.at_ms)
            self.ending = []
        for running in self.rules:
            rule_began_at = clock.monotonic_seconds()
            with self.lock:
                if self.is_gone:
                    break
                changed += [(running, alert) for alert in evaluator.evaluate(running, moment, self.group.limit)]
                running.evaluated_at = due
                running.evaluation_seconds = clock.monotonic_seconds() - rule_began_at
        self.evaluation_seconds = clock.monotonic_seconds() - began_at
        self.evaluated_at = due
        return changed

    def take_over(self, before: RunningGroup) -> None:
        """Go on where the group of the file before left off: rules with the same name and labels keep their state."""
        known: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[RunningRule]] = {}
        for running in before.rules:
            rule = running.rule
            known.setdefault((rule.alert, rule.record, rule.labels), []).append(running)
        for running in self.rules:
            rule = running.rule
            same = known.get((rule.alert, rule.record, rule.labels))
            if same:
                found = same.pop(0)
                running.series, running.alerts = found.series, found.alerts
        made = {labels for running in self.rules for labels in running.series}
        left = [running for rest in known.values() for running in rest]
        self.ending = [labels for running in left for labels in running.series if labels not in made]
        self.evaluated_at = before.evaluated_at
        self.missed = before.missed
