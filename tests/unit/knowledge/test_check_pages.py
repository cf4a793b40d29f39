"""The pages about the checks say what the table says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kpwatch.knowledge.load import knowledge

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_pages_are_current() -> None:
    """`make generate` would change nothing."""
    script = REPOSITORY / "scripts/make-check-pages"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "checks.zh-CN.md: current\nchecks.md: current\n"), done.stderr


@pytest.mark.parametrize("page", ["checks.md", "checks.zh-CN.md"])
def test_every_check_has_a_heading(page: str) -> None:
    """In the order in which findings are told."""
    text = (REPOSITORY / "docs/reference" / page).read_text(encoding="utf-8")
    assert re.findall(r"^## `(.+)`$", text, re.MULTILINE) == [check.id for check in knowledge().checks]
