# ruff: noqa: INP001 - scripts are no package
"""Fuzzes PromQL, parsing and evaluation: `python -m fuzz.promql [SECONDS]`; nothing but our errors may come out.

The queries are those of tests/unit/promql/test_hostile.py: sentences of the grammar, and damaged real ones.
"""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.promql.test_hostile import SENTENCES, ask, mutations

EXAMPLES_A_ROUND = 1000


def main(seconds: float) -> None:
    """Round after round until the time is over; the first finding ends it with its smallest query."""
    one_round = settings(
        max_examples=EXAMPLES_A_ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )(given(st.one_of(SENTENCES, mutations()))(ask))
    deadline = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < deadline:
        one_round()
        rounds += 1
    print(f"promql: {rounds * EXAMPLES_A_ROUND} queries in {seconds:g} s, nothing found")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 600)
