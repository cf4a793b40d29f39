"""What every kind of row is read with: rows by name, a word out of several, a text. Errors name key and rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from kpwatch.base.errors import ConfigError
from kpwatch.knowledge.rows import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = TypeVar("Row")


def read_rows(table: dict[str, Any], kind: str, key: str, make: Callable[[dict[str, Any]], Row]) -> tuple[Row, ...]:
    """All [[kind]] of a table, which `key` tells apart; raises ConfigError naming the row."""
    rows: dict[str, Row] = {}
    for entry in table.get(kind, []):
        name = entry.get(key, "")
        if not name or name in rows:
            raise ConfigError(f"knowledge table: [[{kind}]] {key} = {name!r}: expected a name that no other row has")
        try:
            rows[name] = make(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"knowledge table: [[{kind}]] {name}: {error}") from error
    return tuple(rows.values())


def one_of(allowed: Sequence[str], entry: dict[str, Any], key: str) -> str:
    """One of several words; raises ValueError."""
    value = str(entry[key])
    if value not in allowed:
        raise ValueError(f"{key} = {value!r}: expected one of {', '.join(map(repr, allowed))}")
    return value


def said(entry: dict[str, Any], language: str) -> str:
    """The text in a language, on one line; raises ValueError where there is none."""
    words = str(entry.get(language, "")).split()
    if not words:
        raise ValueError(f"{language}: expected a text in this language")
    return " ".join(words)


def read_text(entry: dict[str, Any], key: str) -> Text:
    """Both languages of `key.zh = …`, `key.en = …`; raises ValueError where one is missing."""
    both = entry.get(key, {})
    try:
        return Text(said(both, "zh"), said(both, "en"))
    except ValueError as error:
        raise ValueError(f"{key}.{error}") from error


def read_text_or_none(entry: dict[str, Any], key: str) -> Text | None:
    """Both languages, or None where the row says nothing of it."""
    return read_text(entry, key) if key in entry else None
