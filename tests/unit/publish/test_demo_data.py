"""Every panel over a simulated fleet: data where there should be some, and the right node in the right colour."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from kpwatch.knowledge.load import knowledge
from kpwatch.knowledge.panels import RATE_INTERVAL, panels
from kpwatch.model.labels import label_value
from kpwatch.model.memory_source import MemorySource
from kpwatch.model.results import Vector
from kpwatch.promql.engine import Engine
from kpwatch.publish.prometheus import recordings
from tests.past import past_of

if TYPE_CHECKING:
    from kpwatch.knowledge.panels import Panel

FAULTS = {
    "sync-failing": 400.0,
    "sync-hung": 400.0,
    "never-synced": 400.0,
    "unreachable": 400.0,
    "metrics-refused": 400.0,
    "node-draining": 400.0,
    "api-unreachable": 400.0,
    "restarted": 200.0,
    "fds-exhausted": 400.0,
    "partial-restore-failing": 400.0,
    "nft-cleanup-failing": 400.0,
}


class Fleet:
    """Evaluates over what agents would have stored until now."""

    def __init__(self) -> None:
        past, self.idents = past_of(FAULTS, healthy=3, seconds=660)
        source = MemorySource()
        for labels, samples in past.items():
            source.add(labels, *zip(*samples, strict=True))
        self.now_ms = max(at for samples in past.values() for at, _ in samples)
        self._engine = Engine(source)

    def ask(self, query: str, ident: str = ".*") -> list[tuple[tuple[tuple[str, str], ...], float]]:
        plain = query.replace("$ident", ident).replace(RATE_INTERVAL, "5m")
        answer = self._engine.instant(plain, self.now_ms).value
        assert isinstance(answer, Vector)
        return [(labels, value) for labels, value in answer.samples if not math.isnan(value)]

    def by_fault(self, panel_id: str, query: int = 0) -> dict[str, float]:
        """Fault -> the value at its node; "" -> the greatest at a healthy node."""
        panel = next(each for each in panels().panels if each.id == panel_id)
        names = {ident: fault for fault, ident in self.idents.items()}
        told: dict[str, float] = {}
        for labels, value in self.ask(panel.queries[query].expr):
            fault = names.get(label_value(labels, "ident"), "")
            told[fault] = max(value, told.get(fault, value))
        return told


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet()


@pytest.mark.parametrize("panel", panels().panels, ids=lambda panel: panel.id)
def test_every_query_of_a_panel_shows_something(fleet: Fleet, panel: Panel) -> None:
    """In a fleet with a fault of each kind; and of one node alone, nothing but that node."""
    for query in panel.queries:
        assert fleet.ask(query.expr), query.legend.en
        ident = fleet.idents["api-unreachable"]
        alone = fleet.ask(query.expr, ident.replace(".", r"\\."))
        assert {label_value(labels, "ident") for labels, _ in alone} <= {ident, ""}


def test_state_tells_what_is_wrong_with_which_node(fleet: Fleet) -> None:
    """0 fine, 1 not syncing, 2 never synced, 3 cannot be scraped."""
    told = fleet.by_fault("state")
    shown = {"sync-failing": 1, "sync-hung": 1, "fds-exhausted": 1, "never-synced": 2, "unreachable": 3}
    assert told == dict.fromkeys(["", *FAULTS], 0) | shown | {"metrics-refused": 3}


def test_health_and_metrics_ports_side_by_side(fleet: Fleet) -> None:
    """0 fine, 1 draining, 2 health says 503, 4 the metrics port is silent, 5 both are."""
    told = fleet.by_fault("health")
    shown = {"sync-failing": 2, "sync-hung": 2, "node-draining": 1, "metrics-refused": 4, "unreachable": 5}
    assert {fault: told[fault] for fault in ("", "api-unreachable", *shown)} == {"": 0, "api-unreachable": 0} | shown


def test_rules_of_a_node_that_does_not_sync_are_as_old_as_the_fault(fleet: Fleet) -> None:
    """Minutes there, and since the start where none was ever done; seconds at most where all is well."""
    told = fleet.by_fault("behind")
    assert 300 < told["sync-failing"] < 480
    assert 300 < told["sync-hung"] < 480
    assert told["never-synced"] > 300
    assert told[""] < 60
    assert told["api-unreachable"] < 60


def test_colours_are_at_the_right_nodes(fleet: Fleet) -> None:
    """Failures, API errors and descriptors over their thresholds, and only there."""
    failures = fleet.by_fault("write-failures")
    assert {fault for fault, value in failures.items() if value > 0} >= {"sync-failing", "partial-restore-failing"}
    assert failures[""] == 0
    assert {fault for fault, value in fleet.by_fault("api-errors").items() if value >= 1} <= {
        "api-unreachable", "never-synced", "fds-exhausted", "restarted",
    }  # fmt: skip
    assert {fault for fault, value in fleet.by_fault("fds").items() if value > 0.8} == {"fds-exhausted"}
    counts = [value for query in (0, 1, 2) for value in fleet.by_fault("nodes", query).values()]
    assert counts == [len(FAULTS) + 3 - 2, 2, 0]


@pytest.mark.parametrize(("name", "query"), list(recordings(panels())), ids=[name for name, _ in recordings(panels())])
def test_every_recording_rule_has_a_value_for_healthy_nodes(fleet: Fleet, name: str, query: str) -> None:
    """Each node has its own, named by ident and instance."""
    answers = fleet.ask(query)
    assert answers
    assert name
    assert all(label_value(labels, "ident") and label_value(labels, "instance") for labels, _ in answers)


def test_the_dictionary_knows_the_fleet() -> None:
    """So that panels of metrics that nobody has are noticed."""
    assert {name for panel in panels().panels for name in panel.metrics} <= {row.name for row in knowledge().metrics}
