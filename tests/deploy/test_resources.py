"""What manifests and chart ask the cluster for is what bench/results says was measured, with room above it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.deploy.manifests import pods, rendered

if TYPE_CHECKING:
    from tests.deploy.manifests import Document

RESULTS = REPOSITORY / "bench" / "results"
UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}
INTERVAL_SECONDS = 15
NODES, SERIES = 200, 862
MEMORY_SPOOL_BYTES = 64 << 20
"""What waits in memory where the spool has no disk, at most."""


def measured(page: str, title: str, row: str) -> list[dict[str, float]]:
    """The figures of a row by column, in each table below a heading that begins with `title`."""
    found = []
    for section in (RESULTS / page).read_text().split("\n## ")[1:]:
        if section.startswith(title):
            table = [
                [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "|" in line
            ]
            for cells in (line for line in table if line[0] == row):
                numbers = [re.match(r"[\d,.]+", cell) for cell in cells]
                pairs = zip(table[0], numbers, strict=True)
                found.append({name: float(number[0].replace(",", "")) for name, number in pairs if number})
    assert found, f"{page}: no row {row!r} below {title!r}"
    return found


def memory(resources: Document, kind: str) -> float:
    """In bytes."""
    text = resources[kind]["memory"]
    return float(text[:-2]) * UNITS[text[-2:]]


def cpu(resources: Document) -> float:
    """What is requested, in cores."""
    return float(resources["requests"]["cpu"].removesuffix("m")) / 1000


def of_manifest(overlay: str, container: str) -> Document:
    """The resources of the first container of that name."""
    return next(
        one["resources"] for pod in pods(rendered(overlay)) for one in pod.containers if one["name"] == container
    )


VALUES = yaml.safe_load((REPOSITORY / "deploy" / "helm" / "kpwatch" / "values.yaml").read_text())


@pytest.mark.parametrize(
    ("overlay", "container", "part"),
    [("agent-only", "agent", "agent"), ("restricted", "agent", "scraper"), ("agent-and-hub", "hub", "hub")],
)
def test_the_chart_asks_for_the_same(overlay: str, container: str, part: str) -> None:
    """As the manifests."""
    assert of_manifest(overlay, container) == VALUES[part]["resources"]


@pytest.mark.parametrize(
    ("overlay", "title", "targets"), [("agent-only", "1 target", 1), ("restricted", f"{NODES} targets", NODES)]
)
def test_an_agent(overlay: str, title: str, targets: int) -> None:
    """The request covers what is used, and not several times that; up to the limit a spool without a disk has room."""
    [figures, *_] = measured("agent-cost.md", title, "kpwatch")
    used_bytes = figures["RSS, MB"] * 1e6
    resources = of_manifest(overlay, "agent")
    assert used_bytes <= memory(resources, "requests") <= 3 * used_bytes
    assert used_bytes + MEMORY_SPOOL_BYTES <= memory(resources, "limits")
    assert figures["CPU per scrape, ms"] / 1000 * targets / INTERVAL_SECONDS <= cpu(resources)


def test_the_hub() -> None:
    """The request covers 200 nodes with our agents, the limit any sender; both leave as much again to queries."""
    own, *others = measured("hub-cost.md", "", "kpwatch hub")
    resources = of_manifest("agent-and-hub", "hub")
    assert 2 * own["anonymous, MB"] * 1e6 <= memory(resources, "requests")
    assert 2 * max(one["anonymous, MB"] for one in others) * 1e6 <= memory(resources, "limits")
    assert own["CPU per sample, ns"] * 1e-9 * NODES * SERIES / INTERVAL_SECONDS <= cpu(resources)
