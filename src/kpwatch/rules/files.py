"""Rule files on the disk: found by names and globs, read, and looked at whether they changed.

A file that cannot be read any more, or has become no rule file at all, keeps the groups it had: a slip of the pen must
not switch alerts off. A wrong rule within a file is left out (`parse`).
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kpwatch.base.looks import look_at
from kpwatch.rules.parse import Group, Problem, parse_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpwatch.base.looks import Look

MAX_FILES = 10_000


@dataclass(slots=True)
class Loaded:
    """All files together."""

    groups: list[Group] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class RuleFiles:
    """Files by their names and globs (`*`, `?`, `[a-z]`, `**`)."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(patterns)
        self._looks: dict[str, Look | None] = {}
        self._kept: dict[str, list[Group]] = {}

    def changed(self) -> bool:
        """Whether there are other files, or other contents, than those that were read."""
        return {path: look_at(path) for path in self._paths()} != self._looks

    def read(self) -> Loaded:
        """Everything anew."""
        loaded = Loaded()
        paths = self._paths()
        if len(paths) > MAX_FILES:
            loaded.problems.append(Problem(paths[MAX_FILES], 1, 1, "", f"more than {MAX_FILES} rule files; left out"))
            paths = paths[:MAX_FILES]
        self._looks = {path: look_at(path) for path in paths}
        kept, self._kept = self._kept, {}
        for path in paths:
            groups, problems, is_file = _read(path)
            if not is_file and path in kept:
                groups = kept[path]
            self._kept[path] = groups
            loaded.files.append(path)
            loaded.groups += groups
            loaded.problems += problems
        return loaded

    def _paths(self) -> list[str]:
        """A pattern without a match is a file that is not there yet, unless it has wildcards."""
        found: dict[str, None] = {}
        for pattern in self._patterns:
            matches = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207
            found.update(dict.fromkeys(matches))
        return list(found)


def _read(path: str) -> tuple[list[Group], list[Problem], bool]:
    """(groups, problems, whether it is a rule file at all)."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not UTF-8: {error}"
        return [], [Problem(path, 1, 1, "", f"cannot be read: {reason}")], False
    found = parse_rules(text, path)
    is_file = not any(not problem.where for problem in found.problems)
    return found.groups, found.problems, is_file
