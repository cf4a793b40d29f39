"""What the hub tells of targets, over a real store."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import pytest

from kpwatch.api.targets import known_targets
from tests.unit.api.stored import Stored

if TYPE_CHECKING:
    from pathlib import Path

START_MS = 1_790_000_000_000


@pytest.mark.parametrize(
    ("gaps_seconds", "interval"),
    [
        pytest.param([15, 15, 15], "15s", id="every one"),
        pytest.param([15, 30, 15], "15s", id="one is missing"),
        pytest.param([15, 15, 3.5, 15], "15s", id="the agent started anew"),
        pytest.param([], "", id="the first"),
    ],
)
def test_a_targets_interval_is_the_usual_one(tmp_path: Path, gaps_seconds: list[float], interval: str) -> None:
    """Neither a scrape that failed to come nor one too many changes how often a target is scraped."""
    times_ms = [START_MS + round(after * 1000) for after in accumulate(gaps_seconds, initial=0)]
    stored = Stored(tmp_path, times_ms[-1])
    for at_ms in times_ms:
        stored.sample(at_ms, 1.0, "up", ident="node-a", job="kube-proxy")
    (target,) = known_targets(stored.engine(5), times_ms[-1])
    assert target.described()["scrapeInterval"] == interval
    stored.store.close()
