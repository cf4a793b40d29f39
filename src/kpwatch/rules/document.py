"""YAML as a tree that knows its places.

PyYAML's parser, not its constructor: scalars stay text (`severity: 1` is the text `1`, as in Prometheus), mappings
keep their order and refuse a key that comes twice, nothing is made of tags. Anchors may be used; as nothing is copied,
a file that refers to itself a thousand times costs what it says once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_BYTES = 16 << 20
"""Of one file."""
MAX_DEPTH = 50
_NULL = "tag:yaml.org,2002:null"


class BadDocument(ValueError):
    """What is wrong, and where: line and column from 1."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(reason)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Place:
    """A node of the tree, asked as what it should be; every question raises BadDocument."""

    node: Any
    line: int
    column: int

    def wrong(self, reason: str) -> BadDocument:
        """Of this place."""
        return BadDocument(reason, self.line, self.column)

    def text(self, what: str) -> str:
        """A scalar; null is ""."""
        if self.node is not None and self.node.id != "scalar":
            raise self.wrong(f"{what}: expected a text, not a {self.node.id}")
        return "" if self.node is None or self.node.tag == _NULL else str(self.node.value)

    def items(self, what: str) -> list[Place]:
        """A list; null is an empty one."""
        if self.is_null:
            return []
        if self.node.id != "sequence":
            raise self.wrong(f"{what}: expected a list, not a {self.node.id}")
        return [_place(node) for node in self.node.value]

    def fields(self, what: str) -> dict[str, Place]:
        """A mapping; null is an empty one."""
        if self.is_null:
            return {}
        if self.node.id != "mapping":
            raise self.wrong(f"{what}: expected a mapping, not a {self.node.id}")
        found: dict[str, Place] = {}
        for key, value in self.node.value:
            name = _place(key).text(what)
            if name in found:
                raise _place(key).wrong(f"{what}: the key {name!r} comes twice")
            place = _place(value)
            found[name] = Place(place.node, place.line, place.column)
        return found

    @property
    def is_null(self) -> bool:
        """Nothing, or null."""
        return self.node is None or (self.node.id == "scalar" and self.node.tag == _NULL)


def _place(node: Any) -> Place:
    return Place(node, node.start_mark.line + 1, node.start_mark.column + 1)


def read_document(text: str) -> Place:
    """The root of the only document in `text`; raises BadDocument."""
    import yaml  # noqa: PLC0415 - only rules need it

    if len(text) > MAX_BYTES:
        raise BadDocument(f"the file is longer than {MAX_BYTES} bytes", 1, 1)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(yaml, text, loader)
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = "not YAML: " + ", ".join(filter(None, (error.context, error.problem)))
        raise BadDocument(reason, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BadDocument(f"not YAML: {str(error).splitlines()[0]}", 1, 1) from error
    return Place(node, 1, 1)


def _check_depth(yaml: Any, text: str, loader: Any) -> None:
    """The library makes its tree by recursion in C, which ends the process where it is too deep; events do not."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                mark = event.start_mark
                raise BadDocument(
                    f"not YAML of rules: nested more than {MAX_DEPTH} deep", mark.line + 1, mark.column + 1
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
