"""A hub judges its nodes side by side, any other engine is asked query by query: they say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpwatch.base.telemetry import Registry
from kpwatch.doctor.at_engine import AtEngine
from kpwatch.doctor.at_store import StoreDoctor
from kpwatch.doctor.judge import judge
from kpwatch.doctor.report import as_document
from kpwatch.knowledge.load import knowledge
from kpwatch.promql.engine import Engine, EngineOptions
from kpwatch.relabel.identity import Identity
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.fleet import FleetOptions, make_specs
from kpwatch.simulate.history import frames
from kpwatch.simulate.node import SimulatedNode
from kpwatch.store.database import Store
from kpwatch.store.options import StoreOptions

if TYPE_CHECKING:
    from pathlib import Path

    from kpwatch.simulate.node import NodeSpec

NOW = 1_795_374_456
STEP_SECONDS = 60
PAST_SECONDS = 25 * 60
FAULTS = (
    ("1", Fault("sync-failing", NOW - 600)),
    ("2", Fault("crash-looping", NOW - 1500)),
    ("3", Fault("restarted", NOW - 300)),
    ("4", Fault("clock-skew", NOW - 1200)),
    ("5", Fault("unreachable", NOW - 900)),
    ("6", Fault("restarted", NOW - 420)),
)
ALIKE = FleetOptions(("1.36.3-iptables",), age_seconds=(1800, 3600))
"""One kind of node: what is simulated of it is prepared once."""
SILENT_SINCE = NOW - 900
"""The seventh node."""


def written(spec: NodeSpec, until: int) -> list:
    identity = Identity(
        (("instance", "http://127.0.0.1:10249/metrics"),), (("job", "kube-proxy"), ("ident", spec.ident))
    )
    instants_ms = range((NOW - PAST_SECONDS) * 1000, until * 1000 + 1, STEP_SECONDS * 1000)
    return list(frames(SimulatedNode(spec), identity, instants_ms))


def test_both_ways_lead_to_the_same_document(tmp_path: Path) -> None:
    """Verdicts, findings, evidence, times and what could not be judged, of nodes and of the fleet."""
    store = Store.open(StoreOptions(tmp_path / "store", commit_wait_seconds=0), Registry())
    for spec in (specs := make_specs(7, NOW, FAULTS, ALIKE)):
        store.append(written(spec, SILENT_SINCE if spec is specs[6] else NOW)).result(timeout=60)
    options = EngineOptions()
    side_by_side = StoreDoctor(knowledge(), store, options).verdict(NOW * 1000)
    one_by_one = judge(knowledge(), AtEngine(Engine(store, options), knowledge(), NOW * 1000), {})
    told = as_document(side_by_side, "en")
    assert told == as_document(one_by_one, "en")
    found = {node["ident"]: [finding["check"] for finding in node["findings"]] for node in told["nodes"]}
    assert [found[spec.ident] for spec in specs] == [
        ["sync-failing", "restore-failing"],
        ["crash-looping"],
        ["restarted"],
        ["clock-skew"],
        ["unreachable"],
        ["restarted"],
        ["silent-node"],
    ]
    store.close()
