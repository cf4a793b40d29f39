"""Files to be: a path and a text, and how JSON and YAML are written, the same bytes each time. Pure.

    prometheus.py   alerting and recording rules, scenes.py their unit tests
    nightingale.py  boards, alert rules, recording rules, dictionary
    grafana.py      boards, provisioning
    markdown.py     dictionary, runbooks

YAML is written here since all that is needed of it is mappings, lists, and strings of one line or of several.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Document(NamedTuple):
    """A file: its path below the folder that is written to, with `/`, and what is in it."""

    path: str
    text: str


def json_document(path: str, value: Any) -> Document:
    """Indented, keys in the order in which they were made."""
    return Document(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def yaml_document(path: str, about: str, value: Any) -> Document:
    """With a comment on top."""
    comment = "".join(f"# {line}\n" for line in about.splitlines())
    return Document(path, comment + "\n".join(_yaml(value, 0)) + "\n")


def _yaml(value: Any, indent: int) -> Iterator[str]:
    """The lines of a mapping or a list."""
    space = " " * indent
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _entry(f"{space}{key}:", inner, indent)
    else:
        for inner in value:
            if isinstance(inner, dict) and inner:
                first, *others = _yaml(inner, indent + 2)
                yield f"{space}- {first.lstrip()}"
                yield from others
            else:
                yield from _entry(f"{space}-", inner, indent)


def _entry(begin: str, value: Any, indent: int) -> Iterator[str]:
    """`key:` or `-` and its value."""
    if isinstance(value, (dict, list, tuple)) and value:
        yield begin
        yield from _yaml(value, indent + 2)
    elif isinstance(value, str) and "\n" in value:
        yield f"{begin} |{'2' if value.startswith(' ') else ''}-"
        yield from (f"{' ' * (indent + 2)}{line}" if line else "" for line in value.split("\n"))
    else:
        yield f"{begin} {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, (dict, list, tuple)):
        return "{}" if isinstance(value, dict) else "[]"
    is_word = isinstance(value, str) and value and set(value) <= _PLAIN
    return value if is_word and value.lower() not in _YAML_WORDS else json.dumps(value, ensure_ascii=False)


_YAML_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
