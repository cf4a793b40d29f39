r"""Go's regular expressions, run by Python's `re`.

Relabel rules are written in Go's syntax (RE2). The two agree on most of it; this module translates what differs and
refuses, by name, what Go refuses and Python would take (look-around, back references, possessive and atomic groups) as
well as the little that Python cannot do (Unicode classes, `(?U)`, `\C`). The hub, whose patterns come from strangers,
runs RE2 itself (`model.matchers`); an agent's rules are written by its owner, and their results are cached per series.

    \z -> \Z      $ -> \Z      (?<n> -> (?P<n>      \Q..\E -> escaped      \x{41} -> A      [[:alpha:]] -> a-zA-Z
    a(?i)b -> a(?i:b)      [\d-z] is fine in both      \d \w \s \b are ASCII in Go: re.ASCII

Patterns match whole texts, and `.` matches a newline, as Prometheus has it (model/relabel/relabel.go).
"""

from __future__ import annotations

import re
from functools import lru_cache

from kpwatch.base.errors import ConfigError

MAX_REPEAT = 1000
"""Go's own limit for `{n}`."""

_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7F", "blank": r"\t ", "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ",
    "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_SAME_ESCAPES = frozenset("dDwWsSbBAafnrtv")
_GROUP_FLAGS = frozenset("imsU-")
_REFUSED_GROUPS = ("?=", "?!", "?<=", "?<!", "?>", "?(", "?#", "?P=", "?P>")


@lru_cache(maxsize=4096)
def compile_whole(pattern: str) -> re.Pattern[str]:
    """The pattern, to be used with `fullmatch`; raises ConfigError with the pattern and the reason."""
    try:
        return re.compile(_Translator(pattern).translate(), re.ASCII | re.DOTALL)
    except re.error as error:
        raise ConfigError(f"regex {pattern!r}: {error.msg} at character {error.pos}") from error


def expand(template: str, match: re.Match[str]) -> str:
    """`$1`, `${1}`, `$name`, `${name}` and `$$` of a replacement; what does not exist is empty, as in Go."""
    return _REFERENCE.sub(lambda reference: _referred(reference, match), template)


_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)


def _referred(reference: re.Match[str], match: re.Match[str]) -> str:
    name = reference[1] or reference[2]
    if name is None:
        return "$"
    try:
        return match[int(name) if name.isdigit() else name] or ""
    except IndexError:
        return ""


class _Translator:
    """Walks a pattern once; `_position` is behind what was read."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._position = 0

    def translate(self) -> str:
        expression = self._sequence()
        if self._position < len(self._pattern):
            raise self._refuse("an unopened ) closes")
        return expression

    def _refuse(self, reason: str) -> ConfigError:
        return ConfigError(f"regex {self._pattern!r}: {reason} at character {self._position}")

    def _peek(self, length: int = 1) -> str:
        return self._pattern[self._position : self._position + length]

    def _take(self, length: int = 1) -> str:
        text = self._peek(length)
        self._position += len(text)
        return text

    def _sequence(self) -> str:
        """Up to an unopened closing parenthesis or the end; closes the scopes that bare flags opened."""
        parts: list[str] = []
        scopes = 0
        while self._position < len(self._pattern) and self._peek() != ")":
            part, opens = self._element()
            parts.append(part)
            scopes += opens
        return "".join(parts) + ")" * scopes

    def _element(self) -> tuple[str, int]:
        character = self._take()
        if character == "\\":
            return self._escape(), 0
        if character == "[":
            return self._class(), 0
        if character == "(":
            return self._group()
        if character == "$":
            return r"\Z", 0
        if character in "*+?{":
            return self._repeat(character), 0
        return character, 0

    def _repeat(self, character: str) -> str:
        text = character
        if character == "{":
            counts = re.compile(r"(\d+)(,(\d*))?\}").match(self._pattern, self._position)
            if counts is None:
                return r"\{"
            if max(int(number) for number in (counts[1], counts[3]) if number) > MAX_REPEAT:
                raise self._refuse(f"more than {MAX_REPEAT} repetitions")
            text += self._take(counts.end() - self._position)
        if self._peek() == "?":
            text += self._take()
        if self._peek() in ("+", "*", "?") or re.compile(r"\{\d+(,\d*)?\}").match(self._pattern, self._position):
            raise self._refuse("a repetition of a repetition")
        return text

    def _group(self) -> tuple[str, int]:
        for refused in _REFUSED_GROUPS:
            if self._peek(len(refused)) == refused:
                raise self._refuse(f"({refused} is not part of Go's syntax")
        if self._peek() != "?":
            return self._closed("("), 0
        self._take()
        if self._peek(2) == "P<" or self._peek() == "<":
            name = self._pattern[self._position :].partition(">")[0].lstrip("P<")
            self._position = self._pattern.find(">", self._position) + 1
            if not self._position or not name.isidentifier():
                raise self._refuse(f"group name {name!r} is none")
            return self._closed(f"(?P<{name}>"), 0
        return self._flags()

    def _flags(self) -> tuple[str, int]:
        flags = ""
        while self._peek() and self._peek() in _GROUP_FLAGS:
            flags += self._take()
        if "U" in flags or self._peek() not in (":", ")"):
            raise self._refuse(f"(?{flags}{self._peek()} is not supported")
        closing = self._take()
        opened = f"(?{flags}:" if flags else "(?:"
        return (self._closed(opened), 0) if closing == ":" else (opened, 1)

    def _closed(self, opening: str) -> str:
        inside = self._sequence()
        if self._take() != ")":
            raise self._refuse("a ( is not closed")
        return opening + inside + ")"

    def _escape(self) -> str:
        character = self._take()
        if character == "z":
            return r"\Z"
        if character == "Q":
            literal, _, _ = self._pattern[self._position :].partition(r"\E")
            self._position = min(self._position + len(literal) + 2, len(self._pattern))
            return re.escape(literal)
        if character == "x":
            return re.escape(self._hexadecimal())
        if character in _SAME_ESCAPES:
            return "\\" + character
        if character.isalnum() or not character:
            raise self._refuse(f"the escape \\{character} is not supported")
        return "\\" + character

    def _hexadecimal(self) -> str:
        digits = re.compile(r"\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2})").match(self._pattern, self._position)
        if digits is None or int(digits[1] or digits[2], 16) > 0x10FFFF:
            raise self._refuse(r"\x needs two hexadecimal digits or {digits}")
        self._position = digits.end()
        return chr(int(digits[1] or digits[2], 16))

    def _class(self) -> str:
        parts = ["["]
        if self._peek() == "^":
            parts.append(self._take())
        if self._peek() == "]":
            parts.append("\\" + self._take())
        while self._peek() != "]":
            if not self._peek():
                raise self._refuse("a [ is not closed")
            parts.append(self._class_item())
        return "".join(parts) + self._take()

    def _class_item(self) -> str:
        posix = re.compile(r"\[:(\^?)(\w+):\]").match(self._pattern, self._position)
        if posix is not None:
            if posix[1] or posix[2] not in _POSIX:
                raise self._refuse(f"the class {posix[0]} is not supported")
            self._position = posix.end()
            return _POSIX[posix[2]]
        character = self._take()
        if character == "\\":
            return self._escape()
        return "\\" + character if character in "[&~|" else character
