# ruff: noqa: INP001 - scripts are no package
"""Fuzzes OpenMetrics: `python -m fuzz.openmetrics [SECONDS]`.

Bodies one after the other, read by what changed, must give what reading each of them whole gives; any bytes at all give
samples and errors; and what is right by our rules is right for another parser too. The bodies are those of
tests/unit/exposition.
"""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpwatch.exposition.openmetrics import parse
from tests.unit.exposition.bodies import openmetrics_sequences
from tests.unit.exposition.test_delta import check_sequence
from tests.unit.exposition.test_openmetrics import check_as_elsewhere, pieces

EXAMPLES_A_ROUND = 300


def _read(body: bytes) -> None:
    parse(body)


def _read_by_change(bodies: list[bytes | None]) -> None:
    check_sequence(bodies, "openmetrics")


TARGETS = (
    (openmetrics_sequences(), _read_by_change),
    (st.binary(max_size=500), _read),
    (pieces, check_as_elsewhere),
)
"""What is fuzzed, and what must not raise for it."""


def main(seconds: float) -> None:
    """Round after round until the time is over; the first finding ends it with its smallest body."""
    one_round = settings(
        max_examples=EXAMPLES_A_ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    rounds = [one_round(given(bodies)(check)) for bodies, check in TARGETS]
    deadline = time.monotonic() + seconds
    done = 0
    while time.monotonic() < deadline:
        rounds[done % len(rounds)]()
        done += 1
    print(f"openmetrics: {done * EXAMPLES_A_ROUND} bodies or sequences in {seconds:g} s, nothing found")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 600)
