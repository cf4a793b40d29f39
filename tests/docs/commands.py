"""The commands in Markdown: lines of `sh` blocks, lines that begin with a prompt, and whatever begins like a command.

Like a command: in a block of no language, in a `span` or indented it begins with one of PROGRAMS and a space. Pages
that are made from the table of checks are held elsewhere (tests/unit/knowledge/test_load.py pastes their commands).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = (
    "kpwatch", "kubectl", "helm", "podman", "make", "curl", "ss", "ls", "grep", "pip", "python3", "install", "npm",
    "npx", "systemctl", "systemd-analyze", "journalctl", "promtool", "sqlite3",
)  # fmt: skip
PROMPT = "$ "
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
_REMARK = re.compile(r"\s{2,}# .*$")
_LIKE_A_COMMAND = re.compile(rf"(?:{'|'.join(PROGRAMS)}) (?!\w+:)")
_MADE = ("docs/reference/checks", "docs/runbooks/")


def _pages() -> list[Path]:
    folders = [page for folder in ("docs", "deploy") for page in sorted((REPOSITORY / folder).rglob("*.md"))]
    own = [REPOSITORY / name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md")]
    return own + [page for page in folders if not str(page.relative_to(REPOSITORY)).startswith(_MADE)]


class Command(NamedTuple):
    """One command, and where it stands."""

    page: str
    text: str


def commands() -> Iterator[Command]:
    """All of them, in order."""
    for page in _pages():
        text, name = page.read_text(), str(page.relative_to(REPOSITORY))
        for language, block in _BLOCK.findall(text):
            for line in block.replace("\\\n", "").splitlines():
                like = not language and _LIKE_A_COMMAND.match(line)
                if line.startswith(PROMPT) or like or (language == "sh" and line.strip()):
                    yield Command(name, " ".join(_REMARK.sub("", line.removeprefix(PROMPT)).split()))
        plain = _BLOCK.sub("", text)
        for found in _SPAN.findall(plain) + _INDENTED.findall(plain):
            if _LIKE_A_COMMAND.match(found):
                yield Command(name, found.replace("\\|", "|"))
