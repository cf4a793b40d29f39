"""Matchers: what a selector asks of one label.

Regular expressions are fully anchored and have Go's (RE2's) syntax and cost: google-re2 is loaded when the first one
is compiled, so that a hostile pattern costs its length and nothing else. A label that is absent has the value "".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal

from kpwatch.base.errors import BadQuery
from kpwatch.model.labels import label_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpwatch.model.labels import Labels

_ANY_BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\C")
"""RE2 has this escape, Go has not."""
_WORDS = re.compile(r"[^\\.+*?()\[\]{}^$]*")
"""A pattern that is one or several texts with `|` between them."""

MatchOp = Literal["=", "!=", "=~", "!~"]


@dataclass(frozen=True)
class Matcher:
    """`name op "value"`."""

    name: str
    op: MatchOp
    value: str

    @cached_property
    def test(self) -> Callable[[str], bool]:
        """A predicate on label values; raises BadQuery for a bad regular expression."""
        match self.op:
            case "=":
                return self.value.__eq__
            case "!=":
                return self.value.__ne__
            case "=~":
                return compile_anchored(self.value)
            case "!~":
                positive = compile_anchored(self.value)
                return lambda candidate: not positive(candidate)

    def matches(self, labels: Labels) -> bool:
        """Whether a label set satisfies this matcher."""
        return self.test(label_value(labels, self.name))

    def __str__(self) -> str:
        escaped = self.value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return f'{self.name}{self.op}"{escaped}"'


def matches_all(matchers: Sequence[Matcher], labels: Labels) -> bool:
    """Whether a label set satisfies every matcher."""
    return all(matcher.matches(labels) for matcher in matchers)


_SIMPLE: dict[str, Callable[[str], bool]] = {".*": lambda _: True, ".+": bool}


@lru_cache(maxsize=1024)
def compile_anchored(pattern: str) -> Callable[[str], bool]:
    """A predicate: does `pattern`, anchored at both ends, match? `.` matches newlines, as in Prometheus 3.

    What dashboards ask of thousands of values, anything and one of some, needs no automaton.
    """
    if pattern in _SIMPLE:
        return _SIMPLE[pattern]
    if _WORDS.fullmatch(pattern):
        return frozenset(pattern.split("|")).__contains__
    import re2  # noqa: PLC0415 - only queries with a regex pay for it

    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    if _ANY_BYTE.search(pattern):
        raise BadQuery(f'bad regular expression "{pattern}": invalid escape sequence: \\C')
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise BadQuery(f'bad regular expression "{pattern}": {text}') from error
    return lambda candidate: compiled.fullmatch(candidate) is not None
