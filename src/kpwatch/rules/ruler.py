"""Rules at work, as a hub sees them: started, stopped, asked, told to read their files again.

    files ──reload──> groups ──schedule──> evaluate ──> states ──> memory (saved, history)
                                                          └──────> tell (notifiers)

Files are read on a thread of the room, so that a hub with many rules is ready as soon as one without; who asks before
that waits for it.
"""

from __future__ import annotations

import hashlib
import threading
import traceback
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kpwatch.base.errors import BadQuery, KpwatchError
from kpwatch.model.matchers import matches_all
from kpwatch.rules.documents import alert_document, event_document, group_document, rule_document
from kpwatch.rules.evaluate import Evaluator
from kpwatch.rules.files import RuleFiles
from kpwatch.rules.groups import RunningGroup
from kpwatch.rules.memory import saved_alerts
from kpwatch.rules.schedule import Schedule
from kpwatch.rules.states import AlertStates, Tolerance, restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.base.clock import Clock
    from kpwatch.base.logs import Logger
    from kpwatch.base.telemetry import Registry
    from kpwatch.model.matchers import Matcher
    from kpwatch.rules.evaluate import Ask, RunningRule, Sink
    from kpwatch.rules.groups import Key
    from kpwatch.rules.memory import Memory
    from kpwatch.rules.notifiers import Notifiers
    from kpwatch.rules.options import RuleOptions
    from kpwatch.rules.parse import Problem
    from kpwatch.rules.states import Alert

FIRST_READ_SECONDS = 10.0
END_SECONDS = 5.0


class Told(NamedTuple):
    """One alert for whoever is told of alerts; `ends_at` of a firing one is when it is over unless told again."""

    alert: Alert
    rule: str
    expression: str
    ends_at: float


class Ruler:
    """The rules of a hub; `start` and `stop` belong to one thread, everything else to any."""

    def __init__(
        self,
        options: RuleOptions,
        ask: Ask,
        sink: Sink,
        memory: Memory,
        notifiers: Notifiers,
        telemetry: Registry,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._options = options
        self._memory = memory
        self._notifiers = notifiers
        self.silences = notifiers.silences
        self._telemetry = telemetry
        self._clock = clock
        self._log = log
        self._evaluator = Evaluator(ask, sink, notifiers.around)
        self._files = RuleFiles(options.files)
        self._groups: dict[Key, RunningGroup] = {}
        self._order: list[Key] = []
        self._reloading = threading.Lock()
        self.problems: list[Problem] = []
        """Of the files as they are now."""
        self._was_read = threading.Event()
        self._woken = threading.Event()
        self._stopping = False
        self._schedule = Schedule(self._evaluate, clock, options.concurrency)
        self._thread = threading.Thread(target=self._watch, name="rules-files", daemon=True)
        self._show()

    def _show(self) -> None:
        """Self-metrics."""
        gauge, telemetry = self._telemetry.gauge, self._telemetry
        for kind in ("alerting", "recording"):
            gauge("kpwatch_hub_rules", "Rules being evaluated.", partial(self._count, kind), type=kind)
        gauge("kpwatch_hub_rule_problems", "Faults in rule files.", lambda: len(self.problems))
        for state in ("pending", "firing"):
            gauge("kpwatch_hub_alerts", "Alerts of rules.", partial(self._in_state, state), state=state)
        gauge(
            "kpwatch_hub_rules_failing", "Rules whose last evaluation failed.",
            lambda: sum(one.health == "err" for one in self._rules()),
        )  # fmt: skip
        self._evaluations = telemetry.counter("kpwatch_hub_rule_evaluations_total", "Evaluations of rules.")
        self._failures = telemetry.counter("kpwatch_hub_rule_evaluation_failures_total", "Those of them that failed.")
        self._templates = telemetry.counter(
            "kpwatch_hub_rule_template_failures_total", "Labels and annotations whose templates failed."
        )
        self._missed = telemetry.counter(
            "kpwatch_hub_rule_iterations_missed_total", "Evaluations of groups left out because one took too long."
        )
        self._seconds = telemetry.counter("kpwatch_hub_rule_evaluation_seconds_total", "Time spent evaluating rules.")
        self._counting = threading.Lock()

    # Life.

    def start(self, url: str = "") -> None:
        """Read the files and begin, on threads; `url`: where people reach the hub, unless the options say it."""
        around = self._notifiers.around
        around.external_url = around.external_url or url
        self._thread.start()

    def stop(self) -> None:
        """End within bounds; states are kept."""
        self._stopping = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
        self._schedule.stop()
        self._notifiers.stop()
        self._memory.close()

    def _watch(self) -> None:
        try:
            self._memory.forget(self._clock.unix_seconds() - self._options.outage_seconds)
            self.reload()
            self._notifiers.start()
            self._schedule.start()
        except Exception as error:  # noqa: BLE001 - said, and asked again
            self._log.error(f"rules: {''.join(traceback.format_exception(error))}")
        finally:
            self._was_read.set()
        while not self._stopping:
            asked = self._woken.wait(self._options.reload_seconds)
            self._woken.clear()
            if not self._stopping and (asked or self._files.changed()):
                self._reload_again()

    def _reload_again(self) -> None:
        try:
            self.reload()
        except Exception as error:  # noqa: BLE001 - the rules as they are go on
            self._log.error(f"rules: {''.join(traceback.format_exception(error))}")

    def reload_soon(self) -> None:
        """Read all files again, on the room's thread; from anywhere, a signal handler too."""
        self._woken.set()

    def reload(self) -> None:
        """Read all files now; groups that did not change go on."""
        with self._reloading:
            loaded = self._files.read()
            self.problems = loaded.problems
            for problem in loaded.problems:
                self._log.error(f"rules: {problem}; it is left out", about=f"rules {problem}")
            before, groups, new = self._groups, {}, []
            for group in loaded.groups:
                key = (group.file, group.name)
                same = before.get(key)
                if same is not None and same.group == group:
                    groups[key] = same
                    continue
                groups[key] = running = RunningGroup(group, self._options)
                new.append(running)
                if same is None:
                    self._restore(running)
            for key, running in before.items():
                if groups.get(key) is not running:
                    self._end(running, groups.get(key))
            self._order = list(groups)
            self._groups = groups
            self._schedule.add(new)
            rules = sum(len(group.rules) for group in groups.values())
            self._log.info(f"rules: {len(loaded.files)} files, {len(groups)} groups, {rules} rules")

    def _end(self, running: RunningGroup, follower: RunningGroup | None) -> None:
        """A group that changed hands over its states; what a group that is no more has made is ended now."""
        running.is_gone = True
        with running.lock:
            if follower is not None:
                follower.take_over(running)
                return
            series = [labels for rule in running.rules for labels in rule.series]
        try:
            self._evaluator.end(series, self._clock.unix_ms())
        except KpwatchError as error:
            self._log.warning(f"rules: the series of group {running.group.name!r} are not ended: {error}")

    def _restore(self, running: RunningGroup) -> None:
        down_at, saved = self._memory.load(running.key)
        running.is_unknown = not down_at
        now, tolerance = self._clock.unix_seconds(), self._tolerance(running)
        for rule in running.rules:
            alerts = saved_alerts(saved, rule.rule.alert, rule.rule.labels) if rule.rule.alert else []
            rule.alerts = AlertStates(restored(alerts, down_at, now, rule.holds, tolerance))

    def _tolerance(self, group: RunningGroup) -> Tolerance:
        return Tolerance(self._options.outage_seconds, self._options.grace_seconds, 2 * group.interval_seconds)

    def _restore_from_samples(self, group: RunningGroup, due: float) -> None:
        """As Prometheus does: for hubs without a data directory of their own, before an engine."""
        group.is_unknown = False
        outage_seconds = self._options.outage_seconds
        for running in group.rules:
            if not running.rule.alert:
                continue
            try:
                down_at, alerts = self._evaluator.saved(running.rule, due, outage_seconds)
            except KpwatchError as error:
                self._log.warning(f"rules: the states of {running.rule.alert!r} before are not known: {error}")
                continue
            found = restored(alerts, down_at, due, running.holds, self._tolerance(group))
            with group.lock:
                running.alerts = AlertStates(found)

    # Evaluation.

    def _evaluate(self, group: RunningGroup, due: float) -> None:
        try:
            missed = group.missed
            if group.is_unknown:
                self._restore_from_samples(group, due)
            changed = group.evaluate(due, self._evaluator, self._clock)
            if group.is_gone:
                return
            self._send(group, due)
            self._memory.save(group, due)
            self._memory.remember(due, [event_document(rule, group, alert, due) for rule, alert in changed])
            self._count_evaluation(group, missed)
        except Exception as error:  # noqa: BLE001 - the others go on
            self._failures.add()
            self._log.error(f"rules: group {group.group.name!r}: {''.join(traceback.format_exception(error))}")

    def _send(self, group: RunningGroup, due: float) -> None:
        resend = self._options.resend_seconds
        ends_at = due + 4 * max(resend, group.interval_seconds)
        found = []
        with group.lock:
            for rule in group.rules:
                for alert in rule.alerts.to_send(due, resend):
                    ends = alert.resolved_at or ends_at
                    found.append(Told(alert, rule.rule.alert, rule.rule.expression, ends))
        if found:
            self._notifiers.tell(found)

    def _count_evaluation(self, group: RunningGroup, missed: int) -> None:
        with self._counting:
            self._missed.add(max(0, group.missed - missed))
            self._seconds.add(group.evaluation_seconds)
            self._evaluations.add(len(group.rules))
            for rule in group.rules:
                self._failures.add(rule.health == "err")
                self._templates.add(rule.template_failures)
                rule.template_failures = 0

    # Answers.

    def _rules(self) -> list[RunningRule]:
        return [rule for group in self._groups.values() for rule in group.rules]

    def _count(self, kind: str) -> int:
        return sum((kind == "alerting") == bool(one.rule.alert) for one in self._rules())

    def _in_state(self, state: str) -> int:
        return sum(alert.state == state for one in self._rules() for alert in one.alerts.active)

    def groups(self) -> list[RunningGroup]:
        """In the order of files and of groups in them; once the files were read."""
        self._was_read.wait(FIRST_READ_SECONDS)
        groups = self._groups
        return sorted(groups.values(), key=lambda group: group.key)

    def rules_document(self, wanted: Wanted) -> dict[str, Any]:
        """`data` of `/rules`."""
        documents = []
        groups = [group for group in self.groups() if _has_group(wanted, group)]
        page, token = _page(wanted, groups)
        for group in page:
            with group.lock:
                rules = [rule for rule in group.rules if _has_rule(wanted, rule)]
                if rules or not (wanted.kind or wanted.rules):
                    made = [rule_document(rule, None if wanted.exclude_alerts else self._shown(rule)) for rule in rules]
                    documents.append(group_document(group, made))
        return {"groups": documents, **({"groupNextToken": token} if token else {})}

    def alerts_document(self) -> dict[str, Any]:
        """`data` of `/alerts`."""
        found = []
        for group in self.groups():
            with group.lock:
                found += [document for rule in group.rules for document in self._shown(rule)]
        return {"alerts": found}

    def _shown(self, rule: RunningRule) -> list[dict[str, Any]]:
        """The active alerts of a rule."""
        quiet_by = self._notifiers.quiet_by
        return [alert_document(alert, quiet_by(alert.labels)) for alert in rule.alerts.active]

    def alertmanagers_document(self) -> dict[str, Any]:
        """`data` of `/alertmanagers`."""
        return self._notifiers.document()

    def problems_document(self) -> list[dict[str, Any]]:
        """What is wrong with the files."""
        return [asdict(problem) for problem in self.problems]

    def history(self, start: float, end: float, limit: int) -> list[dict[str, Any]]:
        """Events, newest first."""
        return self._memory.events(start, end, limit)


class Wanted(Protocol):
    """What of the rules somebody asks for; empty = all. See api/rules.py."""

    @property
    def kind(self) -> str:
        """`alert` or `record`."""
        ...

    @property
    def rules(self) -> Sequence[str]:
        """Names of rules."""
        ...

    @property
    def groups(self) -> Sequence[str]:
        """Names of groups."""
        ...

    @property
    def files(self) -> Sequence[str]:
        """Paths."""
        ...

    @property
    def exclude_alerts(self) -> bool:
        """Show rules without their alerts."""
        ...

    @property
    def matchers(self) -> Sequence[Sequence[Matcher]]:
        """Rules whose labels one of these sets takes; an empty set takes all."""
        ...

    @property
    def group_limit(self) -> int:
        """So many groups."""
        ...

    @property
    def group_next_token(self) -> str:
        """From the group on that this names."""
        ...


def _has_group(wanted: Wanted, group: RunningGroup) -> bool:
    by_name = not wanted.groups or group.group.name in wanted.groups
    return by_name and (not wanted.files or group.group.file in wanted.files)


def _has_rule(wanted: Wanted, running: RunningRule) -> bool:
    kind = "alert" if running.rule.alert else "record"
    if wanted.kind not in ("", kind) or (wanted.rules and running.rule.name not in wanted.rules):
        return False
    return any(matches_all(matchers, running.rule.labels) for matchers in wanted.matchers)


def _page(wanted: Wanted, groups: Sequence[RunningGroup]) -> tuple[Sequence[RunningGroup], str]:
    """(the groups of this page, the token of the next or ""); raises BadQuery."""
    tokens = [group_token(group) for group in groups]
    if wanted.group_next_token and wanted.group_next_token not in tokens:
        raise BadQuery(f'invalid parameter "group_next_token": invalid group_next_token "{wanted.group_next_token}"')
    begin = tokens.index(wanted.group_next_token) if wanted.group_next_token else 0
    end = begin + wanted.group_limit if wanted.group_limit else len(groups)
    return groups[begin:end], tokens[end] if end < len(groups) else ""


def group_token(group: RunningGroup) -> str:
    """Names a group in `group_next_token`."""
    return hashlib.sha1(";".join(group.key).encode(), usedforsecurity=False).hexdigest()
