"""How Go prints values: text of anything, and `printf`. Pure.

Values are str, bool, int, float, None, lists, `Map` (Go's maps), `Struct` (Go's structs) and `Moment` (time.Time). See
fmt of Go's standard library; a verb that does not fit its value is printed as `%!d(float64=5)`, as Go does it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kpwatch.model.gofloat import format_g
from kpwatch.rules.go_parse import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WIDTH = 1000
"""Of a field of printf, and of its digits."""

_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d*)(?:(?P<dot>\.)(?P<precision>\d*))?(?P<verb>.)", re.DOTALL)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Map(dict[str, Any]):
    """Go's map[string]string: what is not in it is ""."""


class AnyMap(dict[str, Any]):
    """Go's map[string]any: what is not in it is no value."""


class Struct(dict[str, Any]):
    """Go's struct: what is not in it is an error."""


class Moment(float):
    """Go's time.Time: Unix seconds."""


def type_name(value: object) -> str:
    """As Go's %T."""
    for kind, name in _TYPE_NAMES:
        if isinstance(value, kind):
            return name
    return "<nil>"


_TYPE_NAMES = (
    (Moment, "*time.Time"), (bool, "bool"), (int, "int"), (float, "float64"), (str, "string"),
    (Map, "map[string]string"), (AnyMap, "map[string]interface {}"), (Struct, "template.sample"),
    (list, "template.queryResult"),
)  # fmt: skip


def text_of(value: object) -> str:
    """As `{{value}}` and %v have it."""
    if isinstance(value, str):
        return value
    return next((text(value) for kind, text in _TEXTS if isinstance(value, kind)), str(value))


def moment_text(unix_seconds: float) -> str:
    """As Go prints a time in UTC: `2015-01-01 00:00:00.5 +0000 UTC`; raises TemplateError beyond the year 9999."""
    try:
        moment = _EPOCH + timedelta(milliseconds=round(unix_seconds * 1000))
    except (OverflowError, ValueError) as error:
        raise TemplateError(f"{format_g(unix_seconds)} cannot be represented as a time") from error
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


_TEXTS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (type(None), lambda _: "<no value>"),
    (Moment, moment_text),
    (float, format_g),
    (Struct, lambda value: "{" + " ".join(map(text_of, value.values())) + "}"),
    (dict, lambda value: "map[" + " ".join(f"{key}:{text_of(value[key])}" for key in sorted(value)) + "]"),
    (list, lambda value: "[" + " ".join(map(text_of, value)) + "]"),
)
"""First row that fits."""


def printed(values: tuple[object, ...]) -> str:
    """Go's Sprint: blanks only between two values that are no texts."""
    parts: list[str] = []
    for number, value in enumerate(values):
        gap = number and not isinstance(values[number - 1], str) and not isinstance(value, str)
        parts.append(f"{' ' if gap else ''}{text_of(value)}")
    return "".join(parts)


def formatted(form: str, values: tuple[object, ...]) -> str:
    """Go's Sprintf; raises TemplateError for a width beyond MAX_WIDTH."""
    rest = list(values)

    def fill(match: re.Match[str]) -> str:
        verb = match["verb"]
        if verb == "%":
            return "%"
        width, precision = int(match["width"] or 0), int(match["precision"] or 0) if match["dot"] else None
        if width > MAX_WIDTH or (precision or 0) > MAX_WIDTH:
            raise TemplateError(f"printf: {match[0]} is wider than {MAX_WIDTH}")
        if not rest:
            return f"%!{verb}(MISSING)"
        return _filled(verb, rest.pop(0), match["flags"], width, precision)

    text = _VERB.sub(fill, form)
    if rest:
        text += "%!(EXTRA " + ", ".join(f"{type_name(value)}={text_of(value)}" for value in rest) + ")"
    return text


def _filled(verb: str, value: Any, flags: str, width: int, precision: int | None) -> str:
    shown = _by_verb(verb, value, flags, precision)
    if shown is None:
        return f"%!{verb}({type_name(value)}={text_of(value)})"
    if "-" in flags:
        return shown.ljust(width)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if "0" in flags and is_number and shown[-1:].isdigit():
        sign = shown[:1] if shown[:1] in "+- " else ""
        return sign + shown[len(sign) :].rjust(width - len(sign), "0")
    return shown.rjust(width)


def _by_verb(verb: str, value: Any, flags: str, precision: int | None) -> str | None:
    """None where the verb does not fit the value."""
    sign = "+" if "+" in flags else " " if " " in flags else ""
    kind = type_name(value)
    shown: str | None = None
    if verb == "T":
        shown = kind
    elif kind == "float64" and (verb in "eEfFgG" or (verb == "v" and (sign or precision is not None))):
        shown = _float_text(value, "g" if verb == "v" else verb, sign, precision)
    elif kind == "int" and (verb in _INTEGERS or verb == "v"):
        shown = _integer_text(value, verb, sign)
    elif kind == "string" and verb in "sqxX":
        text = value if precision is None else value[:precision]
        shown = _STRINGS[verb](text)
    elif (verb == "t" and kind == "bool") or (verb == "s" and isinstance(value, dict | list | Moment)):
        shown = text_of(value)
    elif verb == "v":
        shown = "<nil>" if value is None else text_of(value)
    return shown


_STRINGS: dict[str, Callable[[str], str]] = {
    "s": lambda text: text,
    "q": lambda text: json.dumps(text, ensure_ascii=False),
    "x": lambda text: text.encode().hex(),
    "X": lambda text: text.encode().hex().upper(),
}
_INTEGERS = "dboxXcUq"


def _integer_text(value: int, verb: str, sign: str) -> str:
    if verb in "cUq":
        character = chr(value) if 0 <= value <= 0x10FFFF else "\ufffd"
        return {"c": character, "U": f"U+{value:04X}", "q": f"'{character}'"}[verb]
    return format(value, f"{sign or '-'}{'d' if verb == 'v' else verb}")


def _float_text(value: float, verb: str, sign: str, precision: int | None) -> str:
    if value != value:  # noqa: PLR0124 - NaN
        return f"{sign}NaN"
    if value in (float("inf"), float("-inf")):
        return "-Inf" if value < 0 else f"{sign or '+'}Inf"
    if verb in "gG" and precision is None:
        text = format_g(value)
        return text if not sign or text[0] == "-" else sign + text
    return format(value, f"{sign or '-'}.{6 if precision is None else precision}{verb}")
