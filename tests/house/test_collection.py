"""Every process that collects the tests finds the same ones: workers compare their lists, and end if one differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def collected(*arguments: str, hash_seed: str) -> list[str]:
    """The names of all tests, by a process of its own."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ended = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:]
    return [line for line in ended.stdout.splitlines() if "::" in line]


def test_names_of_tests_do_not_depend_on_the_clock_or_on_hashes() -> None:
    """A parameter made from the time, or taken from a set, is found here and not on a busy day."""
    now = collected(hash_seed="1")
    later = collected("-p", "tests.house.later", hash_seed="2")
    assert len(now) > 1000
    assert [(a, b) for a, b in zip(now, later, strict=False) if a != b][:3] == []
    assert len(now) == len(later)
