"""Whoever is told to look at a file of this project finds it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TOLD = [ROOT / name for name in ("README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
TOLD += sorted((ROOT / "docs").rglob("*.md")) + sorted((ROOT / "src").rglob("*.py"))
NAMED = re.compile(r"(?<![\w/.-])((?:docs|deploy|bench|scripts|fuzz)/[\w./-]*\w)")
ELSEWHERE = {"docs/catalog"}
"""Of other projects."""


@pytest.mark.parametrize("path", TOLD, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_exists(path: Path) -> None:
    """In pages, help texts and docstrings."""
    named = set(NAMED.findall(path.read_text()))
    assert [name for name in sorted(named - ELSEWHERE) if not (ROOT / name).exists()] == []
