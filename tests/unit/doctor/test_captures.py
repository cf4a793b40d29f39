"""The doctor on every capture of a real kube-proxy: what should be found is, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpwatch.doctor.at_desk import examine_at_desk
from kpwatch.knowledge.load import knowledge
from tests.captured import node_of

if TYPE_CHECKING:
    from pathlib import Path

SICK = {
    "1.20.2-iptables-leftoverchains-200svc": ("critical", "never-synced restore-failing"),
    "1.20.2-iptables-leftoverchains-churn": ("critical", "never-synced restore-failing"),
    "1.20.2-iptables-leftoverchains-sync-fail-70s": ("critical", "never-synced restore-failing"),
    "1.20.2-iptables-skew-no-endpointslice-v1beta1": ("critical", "never-synced api-gone"),
    "1.20.2-iptables-start-apiserver-unreachable": ("critical", "never-synced api-unreachable"),
    "1.20.2-iptables-sync-fail-70s": ("critical", "sync-failing restore-failing"),
    "1.23.4-iptables-sync-fail-70s": ("critical", "sync-failing restore-failing"),
    "1.26.0-iptables-sync-fail-70s": ("critical", "sync-failing restore-failing"),
    "1.30.3-iptables-sync-fail-70s": ("critical", "sync-failing restore-failing"),
    "1.34.9-iptables-start-apiserver-unreachable": ("critical", "unreachable"),
    "1.36.3-iptables-apiserver-401": ("warning", "api-unauthorized"),
    "1.36.3-iptables-apiserver-down": ("warning", "api-unreachable"),
    "1.36.3-iptables-node-missing": ("warning", "node-missing"),
    "1.36.3-iptables-recovered": ("warning", "restore-failing"),
    "1.36.3-iptables-recovered2": ("warning", "restore-failing"),
    "1.36.3-iptables-restore-fail-6s": ("warning", "restore-failing"),
    "1.36.3-iptables-restore-fail-70s": ("critical", "sync-failing restore-failing"),
    "1.36.3-iptables-slow-sync-7s": ("warning", "sync-slow"),
    "1.36.3-nftables-sync-fail-70s": ("critical", "sync-failing nft-failing"),
}
"""From one scrape. All others are well."""
PAIRS = [
    ("1.20.2-iptables-200svc 1.20.2-iptables-churn", "ok", ""),
    ("1.20.2-iptables-churn 1.20.2-iptables-sync-fail-70s", "critical", "sync-failing restore-failing"),
    ("1.23.4-iptables-200svc 1.23.4-iptables-churn", "ok", ""),
    ("1.23.4-iptables-churn 1.23.4-iptables-sync-fail-70s", "critical", "sync-failing restore-failing"),
    ("1.26.0-iptables-200svc 1.26.0-iptables-churn", "ok", ""),
    ("1.30.3-iptables-200svc 1.30.3-iptables-churn", "ok", ""),
    ("1.30.3-nftables-200svc 1.30.3-nftables-churn", "ok", ""),
    ("1.34.9-iptables-200svc 1.34.9-iptables-churn", "ok", ""),
    ("1.34.9-nftables-200svc 1.34.9-nftables-churn", "ok", ""),
    ("1.36.3-iptables-idle-empty 1.36.3-iptables-200svc", "ok", ""),
    ("1.36.3-iptables-200svc 1.36.3-iptables-churn", "ok", ""),
    ("1.36.3-iptables-churn 1.36.3-iptables-after-churn", "ok", ""),
    ("1.36.3-iptables-after-churn 1.36.3-iptables-restore-fail-6s", "warning", "restore-failing"),
    ("1.36.3-iptables-restore-fail-6s 1.36.3-iptables-restore-fail-70s", "critical", "sync-failing restore-failing"),
    ("1.36.3-iptables-restore-fail-70s 1.36.3-iptables-recovered", "warning", "restore-failing"),
    ("1.36.3-iptables-recovered 1.36.3-iptables-recovered2", "warning", "restore-failing"),
    ("1.36.3-iptables-recovered2 1.36.3-iptables-apiserver-draining", "ok", ""),
    ("1.36.3-iptables-apiserver-draining 1.36.3-iptables-apiserver-down", "critical", "api-unreachable"),
    ("1.36.3-nftables-200svc 1.36.3-nftables-churn", "ok", ""),
    ("1.36.3-nftables-churn 1.36.3-nftables-sync-fail-70s", "critical", "sync-failing nft-failing"),
]
"""Two scrapes of one process."""


def _judged(folder: Path, *names: str) -> tuple[str, str]:
    (node,) = examine_at_desk([node_of(folder, *names)], knowledge()).nodes
    return node.verdict, " ".join(finding.check.id for finding in node.findings)


def test_every_capture_alone(shared_dir: Path) -> None:
    """What one scrape can show is judged, and a kube-proxy that is well is ok."""
    folder = shared_dir / "captures"
    names = [path.name[len("real-") : -len(".endpoints.txt")] for path in folder.glob("real-*.endpoints.txt")]
    assert names
    found = {name: _judged(folder, name) for name in names}
    assert {name: sick for name, sick in found.items() if sick != ("ok", "")} == SICK


@pytest.mark.parametrize(("names", "verdict", "checks"), PAIRS)
def test_two_scrapes_of_a_process(names: str, verdict: str, checks: str, shared_dir: Path) -> None:
    """What moved between them."""
    assert _judged(shared_dir / "captures", *names.split()) == (verdict, checks)
