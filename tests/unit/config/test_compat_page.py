"""The page about Categraf's keys says what the tables say, and no key is left without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kpwatch.cli.agent import FLAGS
from kpwatch.config.input_keys import INPUT, INPUT_TABLES
from kpwatch.config.root_keys import ROOT_TABLES

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = REPOSITORY / "docs/reference/categraf-compat.md"


def test_the_page_is_current() -> None:
    """`make generate` would change nothing."""
    script = REPOSITORY / "scripts/make-categraf-compat"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "categraf-compat.md: current\n", "")


def test_every_key_and_flag_is_on_it() -> None:
    """By name, under its table."""
    sections = {part.partition("\n")[0]: part for part in PAGE.read_text().split("\n### ")}
    for table in (*ROOT_TABLES, INPUT, *INPUT_TABLES):
        names = (f"`[{table.path}]`", f"`[[{table.path}]]`") if table.path else ("At the top of the file",)
        section = next(sections[name] for name in names if name in sections)
        assert [key.name for key in table.keys if f"`{key.name}`" not in section] == []
    assert [flag.name for flag in FLAGS if f"| `--{flag.name}` |" not in PAGE.read_text()] == []


def test_every_fault_of_the_original_has_its_word() -> None:
    """Twenty are known."""
    section = PAGE.read_text().partition("## Where Categraf is wrong")[2]
    assert [f"| {number} | " in section for number in range(1, 22)] == [True] * 20 + [False]
