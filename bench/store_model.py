#!/usr/bin/env python3
"""The store against a dictionary, for minutes: how many random operations, and how many differences.

    bench/store_model.py [--seconds 120]

The plans are those of tests/unit/store/test_database.py: frames in any order with odd bits, seals, merges, deletions,
restarts, questions in between; after each plan every question is asked of both and every checksum looked at. A
difference ends the run with the shortest plan that shows it, and exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.store.test_database import Deletion, compare_with_dictionary, steps

PLANS_AT_ONCE = 100


def main() -> int:
    """Run plans until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    deadline = time.monotonic() + parser.parse_args().seconds
    done: Counter[str] = Counter()
    while time.monotonic() < deadline:
        try:
            _some_plans(done)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a difference
            print(f"operations {_shown(done)}\ndifferences 1: {type(error).__name__}: {error}")
            print("\n".join(getattr(error, "__notes__", [])))
            return 1
    print(f"operations {_shown(done)}\ndifferences 0")
    return 0


def _some_plans(done: Counter[str]) -> None:
    @settings(max_examples=PLANS_AT_ONCE, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(steps, st.integers(0, 12), st.integers(0, 12), st.integers(2, 5))
    def run(plan: list[Any], first: int, last: int, seal_rows: int) -> None:
        done["samples compared"] += compare_with_dictionary(plan, first, last, seal_rows)
        done["plans"] += 1
        done.update(_name(step) for step in plan)

    run()


def _name(step: object) -> str:
    if isinstance(step, str):
        return step
    return "delete" if isinstance(step, Deletion) else "append"


def _shown(done: Counter[str]) -> str:
    operations = sum(count for name, count in done.items() if name not in {"plans", "samples compared"})
    return f"{operations}: " + ", ".join(f"{name} {count}" for name, count in sorted(done.items()))


if __name__ == "__main__":
    sys.exit(main())
