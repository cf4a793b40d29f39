"""What a template is made of. Pure.

An *operand* is a value written down; a *command* is a function with its arguments, or one operand; a *pipeline* is
commands joined by `|`, and may give its value a name. Nodes of text are executed in order. `text` of an operand is what
messages show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal: str, int, float, bool, or None for nil."""

    value: Any
    text: str


@dataclass(frozen=True, slots=True)
class Path:
    """`.a.b`, `$.a`, `$x.a`: fields of the dot (`start` is ""), or of a variable (`$`, `$x`)."""

    start: str
    fields: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it was written."""
        return (self.start + "".join(f".{name}" for name in self.fields)) or "."


@dataclass(frozen=True, slots=True)
class Nested:
    """`(pipeline).a.b`."""

    pipeline: Pipeline
    fields: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function's name where it stands as a value: it is called with nothing."""

    name: str

    @property
    def text(self) -> str:
        """As it was written."""
        return self.name


Operand = Constant | Path | Nested | Function


@dataclass(frozen=True, slots=True)
class Command:
    """A function and its arguments; `function` is "" where the only argument is the value."""

    function: str
    arguments: tuple[Operand, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands; each one's value is the last argument of the next. `names` are the variables it declares or sets."""

    commands: tuple[Command, ...]
    names: tuple[str, ...] = ()
    assigns: bool = False
    """`=`: the variable is there already."""


@dataclass(frozen=True, slots=True)
class Words:
    """Text that stands as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Printed:
    """`{{pipeline}}`; prints nothing where the pipeline names its value."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Block:
    """`if`, `with` or `range`, its body and what stands behind `else`."""

    kind: Literal["if", "with", "range"]
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Leave:
    """`break` or `continue`."""

    kind: Literal["break", "continue"]


@dataclass(frozen=True, slots=True)
class Include:
    """`{{template "name" pipeline}}`."""

    name: str
    pipeline: Pipeline | None


Node = Words | Printed | Block | Leave | Include


@dataclass(slots=True)
class Template:
    """A template with the templates that it defines, by name."""

    body: tuple[Node, ...] = ()
    defined: dict[str, tuple[Node, ...]] = field(default_factory=dict)
