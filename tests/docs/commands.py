"""The commands in Markdown: lines of `sh` blocks, and lines that begin with a prompt in any block."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_REMARK = re.compile(r"\s{2,}# .*$")
PROMPT = "$ "
PAGES = [REPOSITORY / "README.md", REPOSITORY / "README.zh-CN.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


class Command(NamedTuple):
    """One command, and where it stands."""

    page: str
    text: str


def commands() -> Iterator[Command]:
    """All of them, in order."""
    for page in PAGES:
        for language, block in _BLOCK.findall(page.read_text()):
            for line in block.replace("\\\n", "").splitlines():
                if line.startswith(PROMPT) or (language == "sh" and line.strip()):
                    text = " ".join(_REMARK.sub("", line.removeprefix(PROMPT)).split())
                    yield Command(str(page.relative_to(REPOSITORY)), text)
