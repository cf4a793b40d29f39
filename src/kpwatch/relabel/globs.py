r"""Globs as Categraf's filters understand them (the syntax of gobwas/glob, without separators).

    *  **      any run, also across _ and .        [abc]    one of these
    ?          exactly one character               [!abc]   one of all others
    {a*,b}     one of these globs                  [a-z]    one of a range, [!a-z] one outside it
    \x         x itself

A list of globs in which no entry holds `*`, `?` or `[` is compared literally, even `{a,b}`; that is the original's rule
(pkg/filter). A translated glob is one regular expression without backtracking traps of its own: runs are `.*`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_META = "*?["


def compile_globs(globs: Sequence[str]) -> Callable[[str], bool]:
    """Whether a text matches any of `globs`; raises ConfigError naming the glob that is none."""
    if not any(character in glob for glob in globs for character in _META):
        return frozenset(globs).__contains__
    pattern = re.compile("|".join(f"(?:{translate(glob)})" for glob in globs), re.DOTALL)
    return lambda text: pattern.fullmatch(text) is not None


def translate(glob: str) -> str:
    """The glob as a regular expression to be matched against a whole text."""
    expression, end = _alternatives(glob, 0, depth=0)
    assert end == len(glob)
    return expression


def _alternatives(glob: str, position: int, *, depth: int) -> tuple[str, int]:
    """(expression, where it ends): up to the closing brace inside braces, else up to the end."""
    branches: list[str] = []
    parts: list[str] = []
    while position < len(glob):
        character = glob[position]
        if depth and character == "}":
            return "|".join([*branches, "".join(parts)]), position
        if depth and character == ",":
            branches.append("".join(parts))
            parts = []
            position += 1
            continue
        part, position = _one(glob, position, depth)
        parts.append(part)
    if depth:
        raise ConfigError(f"glob {glob!r}: a brace is not closed; escape it as \\{{ to mean itself")
    return "".join(parts), position


def _one(glob: str, position: int, depth: int) -> tuple[str, int]:
    """One element that begins at `position`."""
    character = glob[position]
    if character == "*":
        while glob[position : position + 1] == "*":
            position += 1
        return ".*", position
    if character == "?":
        return ".", position + 1
    if character == "[":
        return _bracket(glob, position + 1)
    if character == "{":
        expression, end = _alternatives(glob, position + 1, depth=depth + 1)
        return f"(?:{expression})", end + 1
    if character == "\\":
        if position + 1 == len(glob):
            raise ConfigError(f"glob {glob!r}: a backslash at the end escapes nothing; write it twice to mean itself")
        return re.escape(glob[position + 1]), position + 2
    return re.escape(character), position + 1


def _bracket(glob: str, position: int) -> tuple[str, int]:
    """A range or a list behind an opening bracket; a minus makes a range only as the second of three characters."""
    close = glob.find("]", position)
    inside = glob[position:close]
    negated = inside.startswith("!")
    inside = inside.removeprefix("!")
    if close < 0 or not inside:
        raise ConfigError(f"glob {glob!r}: expected [abc], [a-z] or [!a-z]; escape a bracket as \\[ to mean itself")
    if len(inside) == 3 and inside[1] == "-":
        if inside[0] > inside[2]:
            raise ConfigError(f"glob {glob!r}: the range {inside} runs backwards")
        characters = f"{re.escape(inside[0])}-{re.escape(inside[2])}"
    else:
        characters = re.escape(inside)
    return f"[{'^' if negated else ''}{characters}]", close + 1
