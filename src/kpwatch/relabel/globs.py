r"""Globs as Categraf's filters understand them (the syntax of gobwas/glob, without separators).

    *  **      any run, also across _ and .        [abc]    one of these; \] is a bracket
    ?          exactly one character               [!abc]   one of all others
    {a*,b}     one of these globs                  [a-z]    one of a single range, [!a-z] one outside it
    \x         x itself

A list of globs in which no entry holds `*`, `?` or `[` is compared literally, even `{a,b}`. Several entries are one
glob `{e1,e2}`, so a comma in one of them parts it in two. Both are the original's rules (pkg/filter). What the original
reads in a way nobody can have meant (an open brace, a backslash at the end, `[a-zA-Z]`) is an error that names the
glob.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_META = "*?["
MAX_DEPTH = 50
"""How deep braces may stand in braces."""


@lru_cache(maxsize=256)
def compile_globs(globs: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a text matches any of `globs`; raises ConfigError naming the glob that is none."""
    if not any(character in glob for glob in globs for character in _META):
        return frozenset(globs).__contains__

    from kpwatch.relabel.linear import WholePattern  # noqa: PLC0415 - many configurations have no wildcard

    pattern = WholePattern(translate(globs), ", ".join(globs))
    return lambda text: pattern.fullmatch(text) is not None


def translate(globs: tuple[str, ...]) -> str:
    """The globs as one regular expression to be matched against a whole text."""
    if len(globs) == 1:
        return _Reader(globs[0]).read(in_list=False)
    return "|".join(f"(?:{_Reader(glob).read(in_list=True)})" for glob in globs)


class _Reader:
    """Walks one glob once; `_position` is behind what was read."""

    def __init__(self, glob: str) -> None:
        self._glob = glob
        self._position = 0

    def read(self, *, in_list: bool) -> str:
        """The whole glob; in a list of several a comma parts it."""
        expression = self._alternatives(depth=0, commas=in_list)
        if self._position < len(self._glob):
            raise self._refuse("a brace closes that is not open; escape it as \\} to mean itself")
        return expression

    def _refuse(self, reason: str) -> ConfigError:
        return ConfigError(f"glob {self._glob!r}: {reason}")

    def _peek(self) -> str:
        return self._glob[self._position : self._position + 1]

    def _take(self) -> str:
        character = self._peek()
        self._position += 1
        return character

    def _alternatives(self, *, depth: int, commas: bool) -> str:
        """Up to a closing brace or the end; the brace itself stays."""
        if depth > MAX_DEPTH:
            raise self._refuse(f"more than {MAX_DEPTH} braces in braces")
        branches = [""]
        while self._peek() and not (self._peek() == "}" and commas):
            character = self._take()
            if character == "," and commas:
                branches.append("")
            else:
                branches[-1] += self._element(character, depth)
        return "|".join(branches)

    def _element(self, character: str, depth: int) -> str:
        if character == "*":
            while self._peek() == "*":
                self._take()
            return ".*"
        if character == "?":
            return "."
        if character == "[":
            return self._bracket()
        if character == "{":
            inside = self._alternatives(depth=depth + 1, commas=True)
            if self._take() != "}":
                raise self._refuse("a brace is not closed; escape it as \\{ to mean itself")
            return f"(?:{inside})"
        return re.escape(self._escaped(character))

    def _escaped(self, character: str) -> str:
        if character != "\\":
            return character
        if not self._peek():
            raise self._refuse("a backslash at the end escapes nothing; write it twice to mean itself")
        return self._take()

    def _bracket(self) -> str:
        """Behind an opening bracket: a minus behind the first character makes a range, anything else is a list."""
        negated = "^" if self._peek() == "!" else ""
        self._position += len(negated)
        if self._glob[self._position + 1 : self._position + 2] == "-":
            low, _, high = self._take(), self._take(), self._take()
            if high < low:
                raise self._refuse(f"the range {low}-{high} runs backwards")
            characters = f"{re.escape(low)}-{re.escape(high)}"
        else:
            characters = ""
            while self._peek() not in ("]", ""):
                characters += re.escape(self._escaped(self._take()))
        if self._take() != "]" or not characters:
            raise self._refuse("expected [abc], one range [a-z] or [!a-z]; escape a bracket as \\[ to mean itself")
        return f"[{negated}{characters}]"
