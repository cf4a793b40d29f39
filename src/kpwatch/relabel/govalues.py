"""What Go's templates work on: data, how it is printed, and the functions there are. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_VERB = re.compile(r"%(.)", re.DOTALL)


class Fields(dict[str, Any]):
    """Data whose missing keys are no value, as those of Go's maps."""

    def __missing__(self, key: str) -> object:
        return NO_VALUE


class Record(dict[str, Any]):
    """Data whose missing keys are errors, as those of Go's structs."""

    def __missing__(self, key: str) -> object:
        raise ConfigError(f"there is no field .{key}; the fields are {' '.join(f'.{name}' for name in self)}")


class _NoValue:
    def __bool__(self) -> bool:
        return False


NO_VALUE = _NoValue()


def text_of(value: object) -> str:
    """As Go prints it."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case _NoValue() | None:
            return "<no value>"
        case dict():
            return "map[" + " ".join(f"{key}:{text_of(value[key])}" for key in sorted(value)) + "]"
        case list() | tuple():
            return "[" + " ".join(map(text_of, value)) + "]"
    return str(value)


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "bool" if isinstance(value, bool) else "number"


def _comparable(first: Any, second: Any) -> None:
    if _kind(first) != _kind(second):
        raise ConfigError(f"{text_of(first)!r} and {text_of(second)!r} cannot be compared")


def _eq(first: Any, *others: Any) -> bool:
    """Whether the first is one of the others; no value equals nothing but itself."""
    for other in others:
        if first is not NO_VALUE and other is not NO_VALUE:
            _comparable(first, other)
    return first in others


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(first: Any, second: Any) -> bool:
        _comparable(first, second)
        return holds(first, second)

    return compare


def _and(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise ConfigError(f"index: {text_of(value)!r} has nothing at {text_of(key)!r}") from error
    return value


def _length(value: Any) -> int:
    if not isinstance(value, str | dict | list | tuple):
        raise ConfigError(f"len: {text_of(value)!r} has no length")
    return len(value)


def _print(*values: Any) -> str:
    """Blanks only between two values that are no texts, as Go's Sprint."""
    parts: list[str] = []
    for before, value in zip((None, *values), values, strict=False):
        gap = parts and not isinstance(before, str) and not isinstance(value, str)
        parts.append(f"{' ' if gap else ''}{text_of(value)}")
    return "".join(parts)


def _printf(form: Any, *values: Any) -> str:
    rest = list(values)

    def filled(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        if match[1] not in "vsd" or not rest:
            raise ConfigError(f"printf: {match[0]} in {form!r} is not supported or has no value")
        return text_of(rest.pop(0))

    return _VERB.sub(filled, text_of(form))


def _join(values: Any, separator: Any) -> str:
    if not isinstance(values, list | tuple):
        raise ConfigError(f"join: {text_of(values)!r} is no list")
    return text_of(separator).join(map(text_of, values))


_MANY = 16
FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "eq": (2, _MANY, _eq),
    "ne": (2, 2, lambda first, second: not _eq(first, second)),
    "lt": (2, 2, _ordered(lambda first, second: first < second)),
    "le": (2, 2, _ordered(lambda first, second: first <= second)),
    "gt": (2, 2, _ordered(lambda first, second: first > second)),
    "ge": (2, 2, _ordered(lambda first, second: first >= second)),
    "and": (1, _MANY, _and),
    "or": (1, _MANY, _or),
    "not": (1, 1, lambda value: not value),
    "len": (1, 1, _length),
    "index": (1, _MANY, _index),
    "print": (0, _MANY, _print),
    "printf": (1, _MANY, _printf),
    "join": (2, 2, _join),
}
"""Name -> least and most values, and what it does."""
