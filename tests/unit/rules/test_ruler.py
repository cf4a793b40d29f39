"""Rules at work, by a given clock: evaluation, reload, restarts, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kpwatch.api.rules import Wanted
from kpwatch.base.errors import BadQuery, QueryFailed, StoreFull
from kpwatch.base.logs import Logger
from kpwatch.base.telemetry import Registry
from kpwatch.model.numbers import is_stale
from kpwatch.model.results import QueryResult, Scalar, Vector
from kpwatch.rules.memory import Memory
from kpwatch.rules.notifiers import Notifiers
from kpwatch.rules.options import RuleOptions
from kpwatch.rules.ruler import Ruler, Told
from tests.clocks import MovedClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kpwatch.model.labels import Labels

RULES = """\
groups:
- name: g
  interval: 10s
  rules:
  - {record: "sum:up", expr: sum(up), labels: {tier: one}}
  - alert: Down
    expr: up == 0
    for: 20s
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.instance }} is down", broken: "{{ .Nope }}"}
"""


def up(instance: str, value: float) -> tuple[Labels, float]:
    return (("__name__", "up"), ("instance", instance)), value


class Scene:
    """A ruler whose queries are answered by a table, and whose samples are kept in a list."""

    def __init__(self, folder: Path, text: str = RULES, clock: MovedClock | None = None) -> None:
        self.clock = clock or MovedClock(1_700_000_000.0)
        self.file = folder / "r.yml"
        self.file.write_text(text)
        self.folder = folder
        self.answers: dict[str, list[tuple[Labels, float]] | float | Exception] = {"sum(up)": 1.0, "up == 0": []}
        self.written: list[tuple[int, Labels, float]] = []
        self.told: list[Told] = []
        self.lookbacks: set[int | None] = set()
        self.refuses: Exception | None = None
        self.telemetry = Registry()
        self.ruler = self.begin()

    def begin(self) -> Ruler:
        log = Logger(clock=self.clock, write=lambda _: None)
        memory = Memory(self.folder / "rules.db", self.telemetry, log)
        options = RuleOptions((str(self.file),))
        notifiers = Notifiers(options, memory, self.telemetry, self.clock, log)
        notifiers.tell = self.tell  # type: ignore[method-assign]
        ruler = Ruler(options, self.ask, self, memory, notifiers, self.telemetry, self.clock, log)
        ruler._was_read.set()
        ruler.reload()
        return ruler

    def restart(self, down_seconds: float) -> None:
        self.ruler.stop()
        self.clock.advance(down_seconds)
        self.ruler = self.begin()

    def ask(self, query: str, at_ms: int, *, lookback_ms: int | None = None) -> QueryResult:
        self.lookbacks.add(lookback_ms)
        answer = self.answers.get(query, [])
        if isinstance(answer, Exception):
            raise answer
        return QueryResult(Scalar(at_ms, answer) if isinstance(answer, float) else Vector(at_ms, answer))

    def write(self, at_ms: int, samples: Sequence[tuple[Labels, float]]) -> None:
        if self.refuses:
            raise self.refuses
        self.written += [(at_ms, labels, value) for labels, value in samples]

    def tell(self, told: Sequence[Told]) -> None:
        self.told += told

    def pass_time(self, seconds: int = 10) -> None:
        """Evaluate all groups once, so much later."""
        self.clock.advance(seconds)
        for group in self.ruler.groups():
            self.ruler._evaluate(group, self.clock.unix_seconds())

    def names(self) -> set[str]:
        """Metrics written since the last look, staleness markers with a minus."""
        found = {("-" if is_stale(value) else "") + dict(labels)["__name__"] for _, labels, value in self.written}
        self.written.clear()
        return found

    def rules(self, **wanted: Any) -> list[dict[str, Any]]:
        return [rule for group in self.ruler.rules_document(Wanted(**wanted))["groups"] for rule in group["rules"]]

    def states(self) -> list[str]:
        return [alert["state"] for alert in self.ruler.alerts_document()["alerts"]]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_rules_become_samples(scene: Scene) -> None:
    """Recorded series and alerts at the time of the evaluation; what is no more is ended once."""
    scene.pass_time()
    assert scene.written == [(scene.clock.unix_ms(), (("__name__", "sum:up"), ("tier", "one")), 1.0)]
    scene.names()
    scene.answers["up == 0"] = [up("a", 0.0)]
    scene.pass_time()
    assert scene.names() == {"sum:up", "ALERTS", "ALERTS_FOR_STATE"}
    scene.pass_time(20)
    assert scene.names() == {"sum:up", "ALERTS", "-ALERTS", "ALERTS_FOR_STATE"}, "pending has ended, firing begun"
    scene.answers["up == 0"] = []
    scene.pass_time()
    assert scene.names() == {"sum:up", "-ALERTS", "-ALERTS_FOR_STATE"}
    scene.pass_time()
    assert scene.names() == {"sum:up"}


def test_a_silenced_alert_is_shown_as_such(scene: Scene) -> None:
    """By the ids of its silences, in both documents, until they end; others, and alerts of no silence, say nothing."""
    scene.answers["up == 0"] = [up("a", 0.0), up("b", 0.0)]
    scene.pass_time()
    ends = "2100-01-01T00:00:00Z"
    name = scene.ruler.silences.add({"matchers": [{"name": "instance", "value": "a"}], "endsAt": ends})
    (rule,) = scene.rules(kind="alert")
    for alerts in (scene.ruler.alerts_document()["alerts"], rule["alerts"]):
        assert {one["labels"]["instance"]: one.get("silencedBy") for one in alerts} == {"a": [name], "b": None}
    scene.ruler.silences.expire(name)
    assert not any("silencedBy" in one for one in scene.ruler.alerts_document()["alerts"])


def test_alerts_are_told_and_remembered(scene: Scene) -> None:
    """With templates made into text; one that fails says so in its place."""
    scene.answers["up == 0"] = [up("a", 0.0)]
    scene.pass_time()
    assert scene.told == []
    scene.pass_time(20)
    (told,) = scene.told
    assert dict(told.alert.labels) == {"alertname": "Down", "instance": "a", "severity": "critical"}
    annotations = dict(told.alert.annotations)
    assert annotations["summary"] == "a is down"
    assert annotations["broken"].startswith("<error expanding template: ")
    assert (told.alert.active_at, told.alert.fired_at) == (1_700_000_010.0, 1_700_000_030.0)
    assert told.ends_at == 1_700_000_030.0 + 4 * 60
    scene.answers["up == 0"] = []
    scene.pass_time()
    assert scene.told[-1].ends_at == 1_700_000_040.0
    resolved, firing = scene.ruler.history(0, 2e9, 10)
    assert (firing["event"], resolved["event"]) == ("firing", "resolved")
    assert resolved["labels"]["instance"] == "a"
    assert resolved["resolvedAt"] == "2023-11-14T22:14:00.000Z"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (QueryFailed("it is broken"), "it is broken"),
        ([up("a", 0.0), ((("__name__", "down"), ("instance", "a")), 0.0)], "same labelset after applying alert labels"),
    ],
)
def test_a_rule_that_fails_says_so_and_its_alerts_stay(scene: Scene, answer: Any, error: str) -> None:
    """Its series are not ended; the other rule goes on; then it is well again."""
    scene.answers["up == 0"] = [up("a", 0.0)]
    scene.pass_time()
    scene.names()
    scene.answers["up == 0"] = answer
    scene.pass_time()
    assert scene.names() == {"sum:up"}
    good, bad = scene.rules()
    assert (good["health"], bad["health"]) == ("ok", "err")
    assert error in bad["lastError"]
    assert scene.states() == ["pending"]
    scene.answers["up == 0"] = [up("a", 0.0)]
    scene.pass_time()
    assert [rule["health"] for rule in scene.rules()] == ["ok", "ok"]
    assert scene.states() == ["firing"]
    assert "kpwatch_hub_rule_evaluation_failures_total 1\n" in scene.telemetry.render()


def test_recorded_series_that_are_the_same_are_an_error(scene: Scene) -> None:
    """The name is dropped, so what differs in it only is the same."""
    scene.answers["sum(up)"] = [up("a", 0.0), ((("__name__", "down"), ("instance", "a")), 0.0)]
    scene.pass_time()
    assert "same labelset after applying rule labels" in scene.rules()[0]["lastError"]


def test_samples_that_cannot_be_kept_are_an_error_of_the_rule(scene: Scene) -> None:
    """The alert goes out all the same."""
    scene.refuses = StoreFull("the disk is full")
    scene.answers["up == 0"] = [up("a", 0.0)]
    scene.pass_time()
    scene.pass_time(20)
    assert [rule["lastError"] for rule in scene.rules()] == ["the disk is full"] * 2
    assert [told.alert.state for told in scene.told] == ["firing"]
    assert [event["event"] for event in scene.ruler.history(0, 2e9, 10)] == ["firing"]


def test_a_changed_file_keeps_states_of_rules_that_stay(scene: Scene) -> None:
    """What is gone from it is ended."""
    scene.answers["up == 0"] = [up("a", 0.0)]
    scene.pass_time()
    scene.names()
    scene.file.write_text(
        RULES.replace('{record: "sum:up"', '{record: "total:up"').replace("interval: 10s", "interval: 5s")
    )
    scene.ruler.reload()
    assert scene.states() == ["pending"]
    scene.pass_time(20)
    assert scene.names() == {"-sum:up", "total:up", "ALERTS", "-ALERTS", "ALERTS_FOR_STATE"}
    assert scene.states() == ["firing"]
    scene.file.write_text("groups: []")
    scene.ruler.reload()
    assert scene.names() == {"-total:up", "-ALERTS", "-ALERTS_FOR_STATE"}
    assert scene.ruler.groups() == []


def test_a_file_that_is_spoilt_changes_nothing(scene: Scene) -> None:
    """But is told, with its place."""
    scene.answers["up == 0"] = [up("a", 0.0)]
    scene.pass_time()
    scene.file.write_text("groups: [")
    scene.ruler.reload()
    assert scene.states() == ["pending"]
    (problem,) = scene.ruler.problems_document()
    assert problem["file"] == str(scene.file)
    assert problem["reason"].startswith("not YAML")


def test_a_restart_keeps_states(scene: Scene) -> None:
    """A firing alert fires on, without being told anew at once; a pending one goes on."""
    scene.answers["up == 0"] = [up("a", 0.0)]
    scene.pass_time()
    scene.pass_time(20)
    scene.answers["up == 0"] = [up("a", 0.0), up("b", 0.0)]
    scene.pass_time()
    assert scene.states() == ["firing", "pending"]
    count = len(scene.told)
    scene.restart(15)
    assert scene.states() == ["firing", "pending"]
    scene.pass_time(5)
    assert scene.states() == ["firing", "pending"]
    assert len(scene.told) == count
    scene.pass_time(15)
    assert scene.states() == ["firing", "firing"]
    events = [(event["event"], event["labels"]["instance"]) for event in scene.ruler.history(0, 2e9, 10)]
    assert events == [("firing", "b"), ("firing", "a")]


def test_states_stand_in_the_samples_too(scene: Scene) -> None:
    """A hub whose data directory is gone takes them from ALERTS_FOR_STATE, within the outage tolerance."""
    now = scene.clock.unix_seconds()
    selector = 'ALERTS_FOR_STATE{alertname="Down"}'
    labels = {name: (("alertname", "Down"), ("instance", name), ("severity", "critical")) for name in "ab"}
    metric = (("__name__", "ALERTS_FOR_STATE"),)
    scene.answers[selector] = [(metric + labels["a"], now - 500), (metric + labels["b"], now - 105)]
    scene.answers[f"timestamp({selector})"] = [(labels["a"], now - 100), (labels["b"], now - 100)]
    scene.answers["up == 0"] = [up("a", 0.0), up("b", 0.0)]
    scene.pass_time()
    assert scene.states() == ["firing", "pending"]
    assert 3_600_000 in scene.lookbacks
    active = {alert["labels"]["instance"]: alert["activeAt"] for alert in scene.ruler.alerts_document()["alerts"]}
    assert active["a"] == "2023-11-14T22:05:00.000Z"
    assert scene.ruler.history(0, 2e9, 10) == []


def test_a_long_outage_is_no_news(scene: Scene) -> None:
    """Everything begins anew."""
    scene.answers["up == 0"] = [up("a", 0.0)]
    scene.pass_time()
    scene.pass_time(20)
    scene.restart(4000)
    assert scene.states() == []
    scene.pass_time()
    assert scene.states() == ["pending"]


def test_a_damaged_memory_is_set_aside(scene: Scene) -> None:
    """It is counted, and rules go on."""
    scene.ruler.stop()
    (scene.folder / "rules.db").write_bytes(b"no database " * 1000)
    scene.ruler = scene.begin()
    scene.pass_time()
    assert (scene.folder / "rules.db.damaged").exists()
    assert "kpwatch_hub_rules_memory_failures_total 1\n" in scene.telemetry.render()


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["sum:up", "Down"]),
        ({"kind": "alert"}, ["Down"]),
        ({"kind": "record"}, ["sum:up"]),
        ({"rules": ["Down", "nope"]}, ["Down"]),
        ({"groups": ["nope"]}, []),
        ({"groups": ["g"]}, ["sum:up", "Down"]),
        ({"files": ["nope"]}, []),
    ],
)
def test_rules_are_selected(scene: Scene, wanted: dict[str, Any], names: list[str]) -> None:
    """By kind, name, group and file."""
    assert [rule["name"] for rule in scene.rules(**wanted)] == names


def test_groups_come_in_pages(scene: Scene) -> None:
    """Each page names the next; a name that is none is refused."""
    scene.file.write_text("groups: [{name: c}, {name: a}, {name: b}]")
    scene.ruler.reload()
    first = scene.ruler.rules_document(Wanted(group_limit=2))
    assert [group["name"] for group in first["groups"]] == ["a", "b"]
    second = scene.ruler.rules_document(Wanted(group_limit=2, group_next_token=first["groupNextToken"]))
    assert [group["name"] for group in second["groups"]] == ["c"]
    assert "groupNextToken" not in second
    with pytest.raises(BadQuery, match="group_next_token"):
        scene.ruler.rules_document(Wanted(group_limit=2, group_next_token="x"))


def test_groups_are_due_on_a_grid_of_their_own(scene: Scene) -> None:
    """Multiples of the interval plus an offset that a restart does not change."""
    (group,) = scene.ruler.groups()
    due = group.due_after(1_700_000_000.0)
    assert 1_700_000_000 < due <= 1_700_000_010
    assert group.due_after(due) == due + 10
    assert group.due_after(due - 0.001) == due
    scene.restart(1)
    assert scene.ruler.groups()[0].due_after(1_700_000_000.0) == due
