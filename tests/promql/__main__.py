"""How Prometheus' PromQL test scripts fare: a row a script, why evals were refused, and every eval that fails."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.promql.runner import run_script

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).resolve().parent / "data"


def main(words: Sequence[str]) -> int:
    """Print the table; 1 if anything failed."""
    parser = argparse.ArgumentParser("python -m tests.promql", description=__doc__)
    parser.add_argument("scripts", nargs="*", type=Path, help="test scripts (default: those of Prometheus, in data/)")
    parser.add_argument("-v", "--verbose", action="store_true", help="show each eval that was refused as unsupported")
    arguments = parser.parse_args(words)
    total: Counter[str] = Counter()
    print(f"{'script':32} {'passed':>7} {'unsupported':>12} {'failed':>7}")
    for path in arguments.scripts or sorted(DATA.glob("*.test")):
        report = run_script(path.read_text())
        total += Counter(passed=report.passed, unsupported=len(report.unsupported), failed=len(report.failed))
        print(f"{path.name:32} {report.passed:7} {len(report.unsupported):12} {len(report.failed):7}")
        for line, query, reason in report.failed:
            print(f"    failed {path.name}:{line}: {query}\n        {reason[:600]}")
        if arguments.verbose:
            for line, query, reason in report.unsupported:
                print(f"    unsupported {path.name}:{line}: {query}: {reason}")
        else:
            for reason, count in Counter(reason for _, _, reason in report.unsupported).most_common():
                print(f"    unsupported {count:4} x {reason[:160]}")
    print(f"{'all':32} {total['passed']:7} {total['unsupported']:12} {total['failed']:7}")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
