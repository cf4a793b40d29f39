r"""Go's regular expressions, run by Python's `re`.

Relabel rules are written in Go's syntax (RE2; go.dev/s/re2syntax). The two agree on most of it. This module translates
what differs, and refuses by name what Go refuses and Python would take (look-around, back references, possessive and
atomic groups) as well as the little that Python cannot do (Unicode classes, `(?U)`, `\C`).

    $ -> \Z, but $ under (?m)          \z -> \Z                        \012 \x{41} \Q.\E -> the characters
    a(?i)b|c -> a(?i:b)|(?i:c)         (?<n> -> (?P<n>                 [[:alpha:]] -> A-Za-z
    \d \w \s \b are ASCII in Go, letters' case is Unicode in both; so classes are spelled out, and no flag ASCII is set

Patterns match whole texts, and `.` matches a newline, as Prometheus has it (model/relabel/relabel.go). The hub, whose
patterns come from strangers, runs RE2 itself (`model.matchers`). Python walks back where Go does not; where that could
take long, `linear` matches in its place.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from kpwatch.base.errors import ConfigError
from kpwatch.relabel.linear import WholePattern

if TYPE_CHECKING:
    from kpwatch.relabel.linear import LinearMatch

MAX_REPEAT = 1000
"""Go's own limit for `{n}`."""
MAX_DEPTH = 100
"""Of parentheses in parentheses; Go takes 1,000."""

_PERL = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7F", "blank": r"\t ", "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t-\r ",
    "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_WORD_BOUNDARY = r"(?a:\b)"
_EMPTY_WIDTH = {"A": r"(?:\A)", "z": r"(?:\Z)", "b": _WORD_BOUNDARY, "B": f"(?!{_WORD_BOUNDARY})"}
_CONTROLS = dict(zip("afnrtv", "\a\f\n\r\t\v", strict=True))
_REFUSED_GROUPS = ("?=", "?!", "?<=", "?<!", "?>", "?(", "?#", "?P=", "?P>")

_COUNTS = re.compile(r"\{([0-9]+)(?:,([0-9]*))?\}")
_GROUP_NAME = re.compile(r"\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_FLAGS = re.compile(r"\?([imsU-]*)([:)])")
_NAMED_CLASS = re.compile(r"\[:(\^?)(\w*):\]")
_HEXADECIMAL = re.compile(r"\{0*([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2})")
_OCTAL = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}")
_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


@lru_cache(maxsize=4096)
def compile_whole(pattern: str) -> WholePattern:
    """The pattern; raises ConfigError with the pattern and the reason."""
    translated = _Translator(pattern).translate()
    try:
        return WholePattern(translated, pattern)
    except re.error as error:
        raise ConfigError(f"regex {pattern!r}: {error.msg}") from error


def expand(template: str, match: re.Match[str] | LinearMatch) -> str:
    """`$1`, `${1}`, `$name`, `${name}` and `$$` of a replacement; what does not exist is empty (Go's Regexp.Expand)."""
    return _REFERENCE.sub(lambda reference: _referred(reference, match), template)


def _referred(reference: re.Match[str], match: re.Match[str] | LinearMatch) -> str:
    name = reference[1] or reference[2]
    if name is None:
        return "$"
    is_number = name.isascii() and name.isdigit() and (name == "0" or name[0] != "0")
    try:
        return match[int(name) if is_number else name] or ""
    except IndexError:
        return ""


class _Translator:
    """Walks a pattern once; `_position` is behind what was read."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._position = 0
        self._depth = 0
        self._multi_line = False

    def translate(self) -> str:
        expression = self._alternatives()
        if self._peek():
            raise self._refuse("a ) closes that is not open")
        return expression

    def _refuse(self, reason: str) -> ConfigError:
        return ConfigError(f"regex {self._pattern!r}: {reason}")

    def _peek(self, length: int = 1) -> str:
        return self._pattern[self._position : self._position + length]

    def _take(self, length: int = 1) -> str:
        text = self._peek(length)
        self._position += len(text)
        return text

    def _match(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        """Take what matches here."""
        match = expression.match(self._pattern, self._position)
        if match is not None:
            self._position = match.end()
        return match

    def _alternatives(self) -> str:
        """Up to a closing parenthesis or the end. Bare flags such as (?i) count until there, across every |."""
        opened: list[str] = []
        parts: list[str] = []
        multi_line = self._multi_line
        while self._peek() not in ("", ")"):
            character = self._take()
            if character == "|":
                parts += [")" * len(opened), "|", *opened]
            elif character == "(" and (flags := self._bare_flags()):
                opened.append(flags)
                parts.append(flags)
            else:
                parts.append(self._element(character))
        self._multi_line = multi_line
        return "".join(parts) + ")" * len(opened)

    def _element(self, character: str) -> str:
        if character in "*+?{":
            return self._repetition(character)
        match character:
            case "\\":
                element = self._escape()
            case "[":
                element = self._class()
            case "(":
                element = self._group()
            case "^":
                element = "(?:^)"
            case "$":
                element = "(?:$)" if self._multi_line else r"(?:\Z)"
            case ".":
                element = "."
            case _:
                element = re.escape(character)
        return element

    def _repetition(self, character: str) -> str:
        """A quantifier; an opening brace that begins none is itself."""
        if character == "{":
            self._position -= 1
            counts = self._match(_COUNTS)
            if counts is None:
                return re.escape(self._take())
            if max(int(number) for number in counts.groups() if number) > MAX_REPEAT:
                raise self._refuse(f"{counts[0]}: more than {MAX_REPEAT} repetitions")
            character = counts[0]
        if self._peek() == "?":
            character += self._take()
        if self._peek() in ("+", "*", "?") or _COUNTS.match(self._pattern, self._position):
            raise self._refuse("a repetition of a repetition; put the first in (?: )")
        return character

    def _bare_flags(self) -> str:
        """`(?i` of a `(?i)` behind whose parenthesis we stand, as the beginning of a group; "" where there is none."""
        flags = _FLAGS.match(self._pattern, self._position)
        if flags is None or flags[2] == ":":
            return ""
        return self._flags()

    def _flags(self) -> str:
        """`?i:` or `?i)` -> `(?i:`"""
        flags = self._match(_FLAGS)
        if flags is None:
            raise self._refuse(f"the group ({self._peek(3)} is not supported")
        on, minus, off = flags[1].partition("-")
        if "U" in flags[1] or "-" in off or (minus and not off):
            raise self._refuse(f"the flags ({flags[0]} are not supported; there are i, m and s")
        if "m" in flags[1]:
            self._multi_line = "m" not in off
        return f"(?{on}{minus}{off}:"

    def _group(self) -> str:
        for refused in _REFUSED_GROUPS:
            if self._peek(len(refused)) == refused:
                raise self._refuse(f"({refused} is not part of Go's syntax")
        multi_line = self._multi_line
        if self._peek() != "?":
            opening = "("
        elif name := self._match(_GROUP_NAME):
            opening = f"(?P<{name[1]}>"
        elif self._peek(2) == "?<" or self._peek(3) == "?P<":
            raise self._refuse("a group's name is of the letters A-Z a-z 0-9 _ and does not begin with a digit")
        else:
            opening = self._flags()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refuse(f"more than {MAX_DEPTH} parentheses in parentheses")
        inside = self._alternatives()
        self._depth -= 1
        self._multi_line = multi_line
        if self._take() != ")":
            raise self._refuse("a ( is not closed")
        return opening + inside + ")"

    def _escape(self) -> str:
        """Behind a backslash, outside a class."""
        character = self._peek()
        if character in _EMPTY_WIDTH:
            return _EMPTY_WIDTH[self._take()]
        if character.lower() in _PERL:
            return f"[{'^' if self._take().isupper() else ''}{_PERL[character.lower()]}]"
        if character == "Q":
            literal, end, _ = self._pattern[self._position + 1 :].partition(r"\E")
            self._position += 1 + len(literal) + len(end)
            return re.escape(literal)
        return re.escape(self._escaped_character())

    def _escaped_character(self) -> str:
        """The one character that the escape behind whose backslash we stand means."""
        if octal := self._match(_OCTAL):
            return chr(int(octal[0], 8))
        character = self._take()
        if character == "x":
            digits = self._match(_HEXADECIMAL)
            code = int(digits[1] or digits[2], 16) if digits else -1
            if not 0 <= code <= 0x10FFFF:
                raise self._refuse(r"\x needs two hexadecimal digits, or {digits} up to 10FFFF")
            return chr(code)
        if character in _CONTROLS:
            return _CONTROLS[character]
        if not character or not character.isascii() or character.isalnum():
            raise self._refuse(f"the escape \\{character} is not supported")
        return character

    def _class(self) -> str:
        r"""Behind an opening bracket. Negated classes inside (`[a\D]`) become alternatives, which Python can say."""
        negated = self._peek() == "^"
        self._position += negated
        items: list[str] = []
        others: list[str] = []
        first = True
        while first or self._peek() != "]":
            first = False
            named = self._named_class()
            if named is None:
                items.append(self._range())
            else:
                (others if named[0] else items).append(named[1])
        self._take()
        positive = f"[{''.join(items)}]" if items else ""
        alternatives = "|".join([positive] * bool(items) + [f"[^{other}]" for other in others])
        if not others:
            return f"[^{''.join(items)}]" if negated else positive
        return f"(?:(?!{alternatives})(?s:.))" if negated else f"(?:{alternatives})"

    def _named_class(self) -> tuple[bool, str] | None:
        r"""(whether it is negated, its ranges) of `[:name:]` or `\d` and the like, or None where there is none here."""
        posix = self._match(_NAMED_CLASS)
        if posix is not None:
            if posix[2] not in _POSIX:
                raise self._refuse(f"there is no class {posix[0]}")
            return posix[1] == "^", _POSIX[posix[2]]
        if self._peek() == "\\" and self._peek(2)[1:].lower() in _PERL:
            letter = self._take(2)[1]
            return letter.isupper(), _PERL[letter.lower()]
        return None

    def _range(self) -> str:
        """`a` or `a-z`."""
        low = self._class_character()
        if self._peek() != "-" or self._peek(2) in ("-]", "-"):
            return re.escape(low)
        self._take()
        high = self._class_character()
        if high < low:
            raise self._refuse(f"the range {low}-{high} runs backwards")
        return f"{re.escape(low)}-{re.escape(high)}"

    def _class_character(self) -> str:
        character = self._take()
        if not character:
            raise self._refuse("a [ is not closed")
        return self._escaped_character() if character == "\\" else character
