"""The doctor cannot tell a simulated failure from the one that was captured: the same checks, equally bad.

Pairs of one process, asked as far apart and as long into the failure as the real one was. What moves of a simulated
node while it fails is compared series by series in tests/unit/simulate/test_likeness.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from kpwatch.base.http import Answer
from kpwatch.doctor.documents import Reply, Scrape
from kpwatch.simulate.faults import Fault
from kpwatch.simulate.node import NodeSpec, SimulatedNode
from tests.edited import found
from tests.unit.simulate.test_likeness import STARTED, calm

if TYPE_CHECKING:
    from collections.abc import Callable

    Captured = Callable[[str], Scrape]


class Case(NamedTuple):
    """A failure that was captured."""

    fault: str
    proxy: str
    before: str
    """Situation of the last capture without it."""
    after: str
    seconds: float
    """How long it had lasted."""


CASES = (
    Case("sync-failing", "1.20.2-iptables", "churn", "sync-fail-70s", 72),
    Case("sync-failing", "1.23.4-iptables", "churn", "sync-fail-70s", 72),
    Case("sync-failing", "1.26.0-iptables", "churn", "sync-fail-70s", 72),
    Case("sync-failing", "1.30.3-iptables", "churn", "sync-fail-70s", 72),
    Case("sync-failing", "1.36.3-iptables", "after-churn", "restore-fail-6s", 6),
    Case("sync-failing", "1.36.3-iptables", "churn", "restore-fail-70s", 72),
    Case("nft-failing", "1.36.3-nftables", "churn", "sync-fail-70s", 72),
    Case("api-unreachable", "1.36.3-iptables", "apiserver-draining", "apiserver-down", 40),
)


def asked(node: SimulatedNode, at: float) -> Scrape:
    """What a simulated node answers at an instant."""
    pages = {"metrics": (200, node.metrics(at)), "proxy_mode": (200, node.proxy_mode.encode())}
    for name, answer in (("healthz", node.healthz(at)), ("livez", node.livez(at))):
        pages[name] = (answer[0], answer[1].encode()) if answer else (404, b"404 page not found\n")
    replies = {
        name: Reply(f"http://node-a/{name}", Answer(status, {}, body), at, 0.0)
        for name, (status, body) in pages.items()
    }
    return Scrape(at, replies)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.proxy}-{case.after}")
def test_a_simulated_failure_is_judged_as_the_captured_one(case: Case, captured: Captured) -> None:
    """By two scrapes."""
    real = captured(f"{case.proxy}-{case.before}"), captured(f"{case.proxy}-{case.after}")
    began = calm(case.proxy)
    node = SimulatedNode(NodeSpec("10.206.0.7", f"{case.proxy}-churn", STARTED, faults=(Fault(case.fault, began),)))
    last = began + case.seconds
    first = last - (real[1].at_seconds - real[0].at_seconds)
    assert found(asked(node, first), asked(node, last)) == found(*real) != {}
