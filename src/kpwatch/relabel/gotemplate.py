"""Go's text/template, as much of it as addresses and labels need. Pure.

    {{.Host}}  {{.ServiceMeta.path}}  {{.}}  {{$.Node}}  "text" `text` 5 true       values
    {{if V}} {{else if V}} {{else}} {{end}}   {{with V}}   {{range V}}              blocks
    eq ne lt le gt ge and or not len index print printf join   V | f   (f V)        functions
    {{- trims the blanks before, and behind -}}   {{/* nothing */}}

Variables, template definitions and methods are refused by name. A template is checked when it is made; rendering fails
only on what the data is (a field that a record has not, a number compared with a text). `govalues` has the data, how it
is printed, and the functions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import ConfigError
from kpwatch.base.named import NamedTuple
from kpwatch.relabel.govalues import FUNCTIONS, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Render = Callable[["Scope"], str]
    Value = Callable[["Scope"], Any]

_ACTION = re.compile(
    r"\{\{(?P<left>-(?=\s))?\s*(?P<body>/\*.*?\*/\s*|(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|(?!\}\}).)*?)"
    r"(?P<right>(?<=\s)-)?\}\}",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"(?:\\.|[^\"\\])*\"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)|(?P<field>\$?(?:\.\w+)+|\$|\.)"
    r"|(?P<word>\w+)|(?P<mark>[|()]))"
)
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_VERB = re.compile(r"%(.)", re.DOTALL)
_CONSTANTS = {"true": True, "false": False}
MAX_DEPTH = 50
"""Of blocks in blocks, and of parentheses in an action."""

_BLOCKS = ("if", "with", "range")


class Scope(NamedTuple):
    """What `.` and `$` are."""

    dot: Any
    root: Any


class Template:
    """A template, checked; raises ConfigError naming the template and what in it is wrong."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._render = _Parser(text).template()
        except ConfigError as error:
            raise ConfigError(f"template {text!r}: {error}") from error

    def render(self, data: object) -> str:
        """The text that the template makes of `data`; raises ConfigError where it cannot."""
        try:
            return self._render(Scope(data, data))
        except ConfigError as error:
            raise ConfigError(f"template {self.text!r}: {error}") from error


class _Parser:
    """Text and actions one after the other; blocks by recursion."""

    def __init__(self, text: str) -> None:
        self._pieces = _pieces(text)
        self._next = 0
        self._depth = 0

    def template(self) -> Render:
        render, end = self._until_end()
        if end:
            raise ConfigError(f"{{{{{end}}}}} without a beginning")
        return render

    def _until_end(self) -> tuple[Render, str]:
        """(what renders the pieces up to an `end` or `else`, that action)."""
        parts: list[Render] = []
        while self._next < len(self._pieces):
            text, action = self._pieces[self._next]
            self._next += 1
            parts.append(_constant(text))
            if action is None:
                continue
            word, rest = _first_word(action)
            if word in ("end", "else"):
                return _joined(parts), action
            parts.append(self._block(word, rest) if word in _BLOCKS else _printed(_Pipeline(action).value()))
        return _joined(parts), ""

    def _block(self, word: str, condition: str) -> Render:
        value = _Pipeline(condition).value()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConfigError(f"more than {MAX_DEPTH} blocks in blocks")
        body, end = self._until_end()
        otherwise = _constant("")
        if end == "else":
            otherwise, end = self._until_end()
        elif end.startswith("else"):
            inner, rest = _first_word(_first_word(end)[1])
            if inner not in ("if", "with"):
                raise ConfigError(f"{{{{{end}}}}} is not supported")
            otherwise, end = self._block(inner, rest), "end"
        if end != "end":
            raise ConfigError(f"{{{{{word}}}}} without {{{{end}}}}")
        self._depth -= 1
        return _BLOCK_RENDERERS[word](value, body, otherwise)


def _pieces(text: str) -> list[tuple[str, str | None]]:
    """(text, the action behind it without its blanks); None behind the last text and for comments."""
    pieces: list[tuple[str, str | None]] = []
    position = 0
    trim = False
    for match in _ACTION.finditer(text):
        before = text[position : match.start()]
        before = before.lstrip() if trim else before
        before = before.rstrip() if match["left"] else before
        pieces.append((before, None if match["body"].startswith("/*") else match["body"].strip()))
        position, trim = match.end(), bool(match["right"])
    rest = text[position:].lstrip() if trim else text[position:]
    if "{{" in rest:
        raise ConfigError("{{ without }}")
    return [*pieces, (rest, None)]


def _first_word(action: str) -> tuple[str, str]:
    words = [*action.split(None, 1), "", ""]
    return words[0], words[1]


class _Pipeline:
    """One action's value: commands joined by |."""

    def __init__(self, action: str) -> None:
        self._action = action
        if action.count("(") > MAX_DEPTH:
            raise ConfigError(f"more than {MAX_DEPTH} parentheses in an action")
        self._tokens: list[re.Match[str]] = []
        position = 0
        while position < len(action.rstrip()):
            token = _TOKEN.match(action, position)
            if token is None:
                raise ConfigError(f"{action!r} is not supported")
            self._tokens.append(token)
            position = token.end()

    def value(self) -> Value:
        value = self._pipeline()
        if self._tokens:
            raise ConfigError(f"{self._action!r}: a parenthesis closes that is not open")
        return value

    def _pipeline(self) -> Value:
        value = self._command(None)
        while self._tokens and self._tokens[0]["mark"] == "|":
            self._tokens.pop(0)
            value = self._command(value)
        return value

    def _command(self, piped: Value | None) -> Value:
        words: list[Value] = []
        name = ""
        while self._tokens and self._tokens[0]["mark"] not in ("|", ")"):
            token = self._tokens.pop(0)
            if not words and not name and token["word"] and token["word"] not in _CONSTANTS:
                name = token["word"]
            else:
                words.append(self._operand(token))
        if piped is not None:
            words.append(piped)
        if name:
            return _call(name, words)
        if len(words) != 1:
            raise ConfigError(f"{self._action!r}: expected one value or a function with its values")
        return words[0]

    def _operand(self, token: re.Match[str]) -> Value:
        if token["mark"] == "(":
            value = self._pipeline()
            if not self._tokens or self._tokens.pop(0)["mark"] != ")":
                raise ConfigError(f"{self._action!r}: a parenthesis is not closed")
            return value
        if token["field"]:
            return _field(token["field"])
        if token["text"]:
            return _fixed(_unquoted(token["text"]))
        if token["number"]:
            return _fixed(float(token["number"]) if "." in token["number"] else int(token["number"]))
        if token["word"] in _CONSTANTS:
            return _fixed(_CONSTANTS[token["word"]])
        return _call(token["word"], [])


def _unquoted(quoted: str) -> str:
    if quoted[0] == "`":
        return quoted[1:-1]

    def character(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise ConfigError(f"{quoted}: the escape \\{match[1]} is not supported")
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.)", character, quoted[1:-1], flags=re.DOTALL)


# What an action does, as functions of the scope.


def _constant(text: str) -> Render:
    return lambda _: text


def _fixed(value: object) -> Value:
    return lambda _: value


def _joined(parts: list[Render]) -> Render:
    return lambda scope: "".join(part(scope) for part in parts)


def _printed(value: Value) -> Render:
    return lambda scope: text_of(value(scope))


def _field(path: str) -> Value:
    names = [name for name in path.lstrip("$").split(".") if name]

    def value(scope: Scope) -> object:
        found = scope.root if path.startswith("$") else scope.dot
        for name in names:
            if not isinstance(found, dict):
                raise ConfigError(f"{path}: {text_of(found)!r} has no field .{name}")
            found = found[name]
        return found

    return value


def _call(name: str, arguments: list[Value]) -> Value:
    if name not in FUNCTIONS:
        raise ConfigError(f"there is no function {name!r}; there are {', '.join(FUNCTIONS)}")
    least, most, function = FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        bounds = f"{least} to {most}" if most > least else f"{least}"
        raise ConfigError(f"{name} takes {bounds} values, not {len(arguments)}")
    return lambda scope: function(*(argument(scope) for argument in arguments))


def _if(value: Value, body: Render, otherwise: Render) -> Render:
    return lambda scope: body(scope) if value(scope) else otherwise(scope)


def _with(value: Value, body: Render, otherwise: Render) -> Render:
    def render(scope: Scope) -> str:
        found = value(scope)
        return body(Scope(found, scope.root)) if found else otherwise(scope)

    return render


def _range(value: Value, body: Render, otherwise: Render) -> Render:
    def render(scope: Scope) -> str:
        found = value(scope)
        items = [found[key] for key in sorted(found)] if isinstance(found, dict) else found
        if items and not isinstance(items, list | tuple):
            raise ConfigError(f"range: {text_of(found)!r} is no list")
        return "".join(body(Scope(item, scope.root)) for item in items) if items else otherwise(scope)

    return render


_BLOCK_RENDERERS = {"if": _if, "with": _with, "range": _range}
