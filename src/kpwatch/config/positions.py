"""On which line each key of a TOML document stands.

`tomllib` gives values without places. This scanner walks a text that tomllib has accepted and notes, for every table
header and key, its path (`("instances", 0, "labels", "job")`: names, and indices into arrays) and its line. It knows
just enough TOML to skip values (toml.io/en/v1.0.0): four kinds of strings, comments, brackets. On a text that is not
TOML its answers mean nothing, but it ends.
"""

from __future__ import annotations

import bisect

KeyPath = tuple[str | int, ...]

_BLANKS = " \t"
_BARE_ENDS = frozenset(" \t\n.=]#'\"")
_SCALAR_ENDS = frozenset(",]}\n#")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def line_of_keys(text: str) -> dict[KeyPath, int]:
    """Lines (from 1) by path; of a table written in several places, the first."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[KeyPath, int] = {}
        self._line_starts = [0, *(index + 1 for index, char in enumerate(text) if char == "\n")]
        self._array_lengths: dict[KeyPath, int] = {}

    def document(self) -> None:
        """Statements until the end."""
        table: KeyPath = ()
        while self._skip(" \t\n"):
            before = self.position
            if self._peek() == "[":
                table = self._header()
            else:
                self._assignment(table)
            self.position = max(self.position, before + 1)

    def _peek(self, length: int = 1) -> str:
        return self.text[self.position : self.position + length]

    def _skip(self, blanks: str) -> bool:
        """Go over blanks and comments; False at the end of the text."""
        while char := self._peek():
            if char == "#":
                self._skip_line()
            elif char in blanks:
                self.position += 1
            else:
                return True
        return False

    def _skip_line(self) -> None:
        end = self.text.find("\n", self.position)
        self.position = end if end >= 0 else len(self.text)

    def _note(self, path: KeyPath, position: int) -> None:
        self.lines.setdefault(path, bisect.bisect_right(self._line_starts, position))

    def _header(self) -> KeyPath:
        start = self.position
        many = self._peek(2) == "[["
        self.position += 2 if many else 1
        path: KeyPath = ()
        keys = self._keys()
        for index, key in enumerate(keys):
            path = (*path, key)
            self._note(path, start)
            if many and index == len(keys) - 1:
                self._array_lengths[path] = self._array_lengths.get(path, 0) + 1
            if path in self._array_lengths:
                path = (*path, self._array_lengths[path] - 1)
                self._note(path, start)
        self._skip_line()
        return path

    def _assignment(self, table: KeyPath) -> None:
        start = self.position
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, start)
        self._skip(_BLANKS)
        if self._peek() == "=":
            self.position += 1
            self._value(path)

    def _keys(self) -> list[str]:
        """The parts of a dotted key."""
        keys: list[str] = []
        while self._skip(_BLANKS):
            keys.append(self._string() if self._peek() in "\"'" else self._bare())
            self._skip(_BLANKS)
            if self._peek() != ".":
                break
            self.position += 1
        return keys

    def _bare(self) -> str:
        start = self.position
        while self._peek() and self._peek() not in _BARE_ENDS:
            self.position += 1
        return self.text[start : self.position]

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANKS)
        match self._peek():
            case '"' | "'":
                self._string()
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                while self._peek() and self._peek() not in _SCALAR_ENDS:
                    self.position += 1

    def _string(self) -> str:
        """Go over a string of any kind; its text where it has one line."""
        quote = self._peek()
        fence = quote * 3 if self._peek(3) == quote * 3 else quote
        self.position += len(fence)
        start = self.position
        while self._peek() and self._peek(len(fence)) != fence:
            self.position += 2 if self._peek() == "\\" and quote == '"' else 1
        raw = self.text[start : self.position]
        self.position += len(fence)
        while len(fence) == 3 and self._peek() == quote:
            self.position += 1
        return _unescaped(raw) if quote == '"' else raw

    def _array(self, path: KeyPath) -> None:
        self.position += 1
        index = 0
        while self._skip(" \t\n") and self._peek() != "]":
            before = self.position
            self._note((*path, index), self.position)
            self._value((*path, index))
            if self._skip(" \t\n") and self._peek() == ",":
                self.position += 1
                index += 1
            elif self.position == before:
                self.position += 1
        self.position += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.position += 1
        while self._skip(" \t\n") and self._peek() != "}":
            before = self.position
            self._assignment(path)
            if (self._skip(" \t\n") and self._peek() == ",") or self.position == before:
                self.position += 1
        self.position += 1


def _unescaped(raw: str) -> str:
    """A basic string's text. Unicode escapes stay as they are: a key written so is reported by its table's line."""
    if "\\" not in raw:
        return raw
    text, position = "", 0
    while position < len(raw):
        if raw[position] == "\\" and raw[position + 1 : position + 2] in _ESCAPES:
            text += _ESCAPES[raw[position + 1]]
            position += 2
        else:
            text += raw[position]
            position += 1
    return text
