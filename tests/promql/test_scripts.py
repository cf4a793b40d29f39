"""Prometheus' own PromQL test scripts, with Prometheus' own rules of comparison."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.promql.runner import run_script

DATA = Path(__file__).resolve().parent / "data"

MAY_BE_UNSUPPORTED = re.compile(
    r"native histogram expected"
    r"|selects native histograms"
    r"|the function (start|end|range|step|min_of|max_of|integral|histogram_\w+)\(\) is not supported: .*"
)
"""Native histograms, and functions that Prometheus 3 has behind a feature flag or for native histograms only."""


@pytest.mark.parametrize("path", sorted(DATA.glob("*.test")), ids=lambda path: path.stem)
def test_a_script_passes_but_for_native_histograms_and_experimental_functions(path: Path) -> None:
    """No eval fails; what is refused is refused for a reason we know."""
    report = run_script(path.read_text())
    assert report.failed == []
    assert [reason for _, _, reason in report.unsupported if not MAY_BE_UNSUPPORTED.fullmatch(reason)] == []
    assert report.passed


@pytest.mark.parametrize("name", ["aggregators", "at_modifier", "functions", "histograms", "operators", "subquery"])
def test_the_shared_version_of_a_script_passes_too(name: str, shared_dir: Path) -> None:
    """The scripts come in versions; ours and the shared ones agree with the same engine."""
    assert run_script((shared_dir / "promqltest" / f"{name}.test").read_text()).failed == []
