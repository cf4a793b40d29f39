"""Command lines as Go's `flag` package reads them, because scripts written for Categraf are.

One or two dashes, `-x=v` or `-x v`, booleans with a value only by `=`; the first word that is no flag, or `--`,
ends the flags. An unknown flag or a bad value is a message and the usage on stderr, exit 2; -h is the usage, exit 0.
"""

from __future__ import annotations

from typing import Literal

from kpwatch.base.named import NamedTuple

Kind = Literal["bool", "string", "int"]

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_HELP = frozenset({"h", "help"})


class Flag(NamedTuple):
    """One flag."""

    name: str
    kind: Kind
    does: str
    default: bool | str | int
    choices: tuple[str, ...] = ()


class Flags(NamedTuple):
    """A command line taken apart: a value for every flag, and the words behind."""

    values: dict[str, bool | str | int]
    rest: list[str]

    def on(self, name: str) -> bool:
        """Whether a boolean flag is set."""
        return bool(self.values[name])

    def text(self, name: str) -> str:
        """A string flag's value."""
        return str(self.values[name])

    def number(self, name: str) -> int:
        """An int flag's value."""
        return int(self.values[name])


class FlagError(Exception):
    """The command line cannot be read; the message is Go's."""


class HelpAsked(Exception):
    """-h or --help."""


def parse(table: tuple[Flag, ...], arguments: list[str]) -> Flags:
    """Read `arguments`; raises FlagError or HelpAsked."""
    by_name = {flag.name: flag for flag in table}
    values: dict[str, bool | str | int] = {flag.name: flag.default for flag in table}
    words = list(arguments)
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        name, given, text = word.removeprefix("-").removeprefix("-").partition("=")
        if not name or name.startswith("-"):
            raise FlagError(f"bad flag syntax: {word}")
        flag = by_name.get(name)
        if flag is None:
            if name in _HELP:
                raise HelpAsked
            raise FlagError(f"flag provided but not defined: -{name}")
        if not given and flag.kind == "bool":
            text = "true"
        elif not given:
            if not words:
                raise FlagError(f"flag needs an argument: -{name}")
            text = words.pop(0)
        values[name] = _value(flag, text)
    return Flags(values, words)


def _value(flag: Flag, text: str) -> bool | str | int:
    match flag.kind:
        case "string":
            if flag.choices and text not in flag.choices:
                raise FlagError(f'invalid value "{text}" for flag -{flag.name}: {" or ".join(flag.choices)}')
            return text
        case "bool":
            if text not in _TRUE | _FALSE:
                raise FlagError(f'invalid boolean value "{text}" for -{flag.name}: parse error')
            return text in _TRUE
        case "int":
            try:
                return int(text, 0)
            except ValueError:
                raise FlagError(f'invalid value "{text}" for flag -{flag.name}: parse error') from None


def usage(program: str, table: tuple[Flag, ...]) -> str:
    """The flags as Go prints them."""
    lines = [f"Usage of {program}:"]
    for flag in table:
        lines.append(f"  -{flag.name}" + ("" if flag.kind == "bool" else f" {flag.kind}"))
        default = f" (default {flag.default!r})" if flag.default else ""
        lines.append(f"    \t{flag.does}{default}".replace("'", '"'))
    return "\n".join(lines) + "\n"
