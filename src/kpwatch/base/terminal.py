"""Text on a terminal: how wide characters are, where lines may break, when colours are wanted, whose language it is.

Chinese characters take two columns and may be parted from each other; punctuation stays with what it belongs to, and a
command in `backquotes` stays in one line where one has room for it, so that it can be pasted. `lines_of` and `width_of`
are pure; `columns`, `wants_colours` and `wanted_language` look at a stream and at the environment they are given.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NO_TERMINAL_COLUMNS = 100
LEAST_COLUMNS = 24
Whole = Literal["nothing", "commands", "words"]
_ESCAPE = "\x1b["
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_PIECE = re.compile(r"\s+|`[^`]*`|[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f\u2018-\u201d\u2026]|.")
"""White space, a command, a wide character (or its punctuation), any other one."""
_NOT_FIRST = frozenset("，。；：、！？）》」』】”’…·,.;:!?)]}%")
_NOT_LAST = frozenset("（《「『【“‘([{")
_BREAK_AFTER = frozenset("_/-,=|}) ")
"""Where a word that is wider than a line is parted, if it can be helped."""


def width_of(text: str) -> int:
    """Columns that `text` takes."""
    return len(text) if text.isascii() else sum(map(_width_of_character, text))


def _width_of_character(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, columns: int) -> str:
    """`text` and spaces up to that many columns."""
    return text + " " * max(columns - width_of(text), 0)


def lines_of(text: str, columns: int, *, whole: Whole = "nothing") -> list[str]:
    """`text` in lines of at most `columns`; its own line breaks count as spaces.

    What is wider than a line is parted, unless it is to be `whole`: then it sticks out, so that it can be pasted.
    """
    lines: list[str] = []
    line = ""
    for space, word in _words(text):
        candidate = f"{line} {word}" if line and space else line + word
        if width_of(candidate) <= columns:
            line = candidate
            continue
        if line:
            lines.append(line)
        keeps = whole == "words" or (whole == "commands" and "`" in word)
        *full, line = [word] if keeps else _parted(word, columns)
        lines += full
    return [*lines, line] if line else lines


def _words(text: str) -> Iterator[tuple[bool, str]]:
    """What may not be parted, and whether a space stands before it."""
    word, spaced, space_before = "", False, False
    for piece in _PIECE.findall(text.strip()):
        if piece.isspace():
            spaced = bool(word)
            continue
        if word and (spaced or _may_part(word[-1], piece[0])):
            yield space_before, word
            word, space_before = "", spaced
        word, spaced = word + piece, False
    if word:
        yield space_before, word


def _may_part(before: str, after: str) -> bool:
    if before in _NOT_LAST or after in _NOT_FIRST:
        return False
    return not (before.isascii() and after.isascii())


def _parted(word: str, columns: int) -> list[str]:
    """A word in pieces that fit, none empty: at spaces, behind marks such as `_`, else anywhere."""
    pieces = []
    while width_of(word) > columns:
        room, used = 0, 0
        while room < len(word) and used + _width_of_character(word[room]) <= columns:
            used += _width_of_character(word[room])
            room += 1
        room = max(room, 1)
        mark = next((at for at in range(room, room // 2, -1) if word[at - 1] in _BREAK_AFTER), room)
        pieces.append(word[:mark].rstrip())
        word = word[mark:].lstrip()
    return [*pieces, word]


class Paint:
    """Puts colours on, or leaves text as it is."""

    def __init__(self, colours: bool) -> None:
        self._colours = colours

    def __call__(self, style: str, text: str) -> str:
        """`text` in one of the styles: bold, dim, red, green, yellow, cyan."""
        return f"{_ESCAPE}{_STYLES[style]}m{text}{_ESCAPE}0m" if self._colours and text else text

    def commands(self, lines: list[str]) -> list[str]:
        """Lines of one text, what stands in `backquotes` coloured, also where it goes over several lines."""
        if not self._colours:
            return lines
        inside = False
        painted = []
        for line in lines:
            parts = []
            for number, part in enumerate(line.split("`")):
                if number:
                    inside = not inside
                parts.append(self("cyan", part) if inside else part)
            painted.append("`".join(parts))
        return painted


def wants_colours(stream: IO[str], environment: Mapping[str, str]) -> bool:
    """On a terminal that knows colours, unless NO_COLOR (no-color.org) is set to anything."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def columns(stream: IO[str], environment: Mapping[str, str]) -> int:
    """$COLUMNS, else the terminal's, else 100."""
    stated = environment.get("COLUMNS", "")
    if stated.isascii() and stated.isdecimal() and int(stated) > 0:
        return max(int(stated), LEAST_COLUMNS)
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, LEAST_COLUMNS)
    except (OSError, ValueError):
        return NO_TERMINAL_COLUMNS


def wanted_language(environment: Mapping[str, str]) -> str:
    """`zh` where the locale is Chinese, else `en`; of LC_ALL, LC_MESSAGES and LANG the first that is set."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"
