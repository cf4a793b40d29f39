"""What a key's value may be: one checker per kind.

A checker takes a value as tomllib gives it and returns it as our code wants it (durations as float seconds, `headers`
as pairs), or raises WrongValue with the rule. Types are as strict as the original's TOML decoder: a whole number is
no string, a string is no list. `advice` says what is allowed but probably not meant.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kpwatch.base.durations import parse_go
from kpwatch.base.named import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

Pairs = tuple[tuple[str, str], ...]


class WrongValue(ValueError):
    """A value is not of its key's kind; the message is the rule."""


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValue("expected a string in quotes")
    return value


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise WrongValue("expected true or false, without quotes")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongValue("expected a whole number, without quotes")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WrongValue("expected a number, without quotes")
    return float(value)


def _milliseconds(value: object) -> float:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongValue("expected whole milliseconds, a number without quotes and unit")
    return value / 1000


def _duration(value: object) -> float:
    """Categraf's durations (config/duration.go): numbers are whole seconds, floats cut, strings may be Go durations."""
    rule = 'expected seconds (15) or a Go duration ("15s", "1m30s", "500ms")'
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise WrongValue(rule)
        return float(math.trunc(value))
    if not isinstance(value, str):
        raise WrongValue(rule)
    text = value.replace("'", "").replace('"', "")
    if not text:
        return 0.0
    try:
        return float(math.trunc(float(text)))
    except (ValueError, OverflowError):
        return _go_duration(text, rule)


def _go_duration(text: str, rule: str) -> float:
    try:
        return parse_go(text)
    except ValueError:
        raise WrongValue(rule) from None


def _duration_advice(value: object) -> str:
    if isinstance(value, float) and value != math.trunc(value):
        return f'cut to {math.trunc(value)} whole seconds, as the original does; write "{round(value * 1000)}ms"'
    return ""


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WrongValue('expected a list of strings: ["…", "…"]')
    return tuple(value)


def _pairs(value: object) -> Pairs:
    flat = _strings(value)
    if len(flat) % 2:
        raise WrongValue(f'expected pairs ["Name", "value", …], got {len(flat)} strings')
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _labels(value: object) -> Pairs:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise WrongValue('expected names and strings: { name = "value" }')
    return tuple(value.items())


def _numbers(value: object) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, dict):
        raise WrongValue('expected texts and numbers: { "text" = 1 }')
    return tuple((name, _number(item)) for name, item in value.items())


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise WrongValue("expected a whole number above 0")
    return value


def _anything(value: object) -> object:
    return value


class Kind(NamedTuple):
    """A kind of value."""

    check: Callable[[object], object]
    advice: Callable[[object], str] = lambda _: ""


KINDS: dict[str, Kind] = {
    "string": Kind(_string),
    "bool": Kind(_bool),
    "integer": Kind(_integer),
    "size": Kind(_size),
    "milliseconds": Kind(_milliseconds),
    "duration": Kind(_duration, _duration_advice),
    "strings": Kind(_strings),
    "pairs": Kind(_pairs),
    "labels": Kind(_labels),
    "numbers": Kind(_numbers),
    "anything": Kind(_anything),
}
"""By the name a row of the key table uses; "table" and "tables" are walked by the checker itself."""
