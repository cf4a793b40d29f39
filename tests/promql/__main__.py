"""`python -m tests.promql [FILE…]`: a table of how Prometheus' PromQL test scripts fare, and every eval that fails."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tests.promql.runner import run_script

DATA = Path(__file__).resolve().parent / "data"


def main(arguments: list[str]) -> int:
    """Print the table; 1 if anything failed."""
    verbose = "-v" in arguments
    paths = [Path(argument) for argument in arguments if argument != "-v"] or sorted(DATA.glob("*.test"))
    failed = 0
    print(f"{'script':32} {'passed':>7} {'unsupported':>12} {'failed':>7}")
    for path in paths:
        report = run_script(path.read_text())
        failed += len(report.failed)
        print(f"{path.name:32} {report.passed:7} {len(report.unsupported):12} {len(report.failed):7}")
        for line, query, reason in report.failed:
            print(f"    failed {path.name}:{line}: {query}\n        {reason[:600]}")
        if verbose:
            for line, query, reason in report.unsupported:
                print(f"    unsupported {path.name}:{line}: {query}: {reason}")
        else:
            for reason, count in Counter(reason for _, _, reason in report.unsupported).most_common():
                print(f"    unsupported {count:4} x {reason[:160]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
