"""What a query says, as data of ours: the syntax tree after parsing, checked and free of the parser's types.

Durations and times are milliseconds. Parentheses are gone, their meaning is in the tree's shape. A node knows nothing
of evaluation; what may stand where (an aggregation over a scalar, say) has been checked by the parser.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kpwatch.model.matchers import Matcher


Extension = Literal["", "anchored", "smoothed"]
"""Whether a selector also looks at the samples next to its range, or to its time (`extended`)."""


Moment = int | Literal["start", "end"] | None
"""What stands after `@`: a time, or an edge of the whole query."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number literal: a scalar."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True)
class When:
    """Where a selector or subquery looks: `@` (a time, or an edge of the whole query) and `offset`."""

    offset_ms: int = 0
    at: Moment = None


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant vector selector; the metric name is a matcher like any other."""

    matchers: tuple[Matcher, ...]
    when: When
    extension: Extension = ""


@dataclass(frozen=True, slots=True)
class Range:
    """A range vector selector: the samples in (t - range_ms, t]."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """The expression evaluated every step_ms (None: the engine's default) in (t - range_ms, t]."""

    expression: Node
    range_ms: int
    step_ms: int | None
    when: When


@dataclass(frozen=True, slots=True)
class Negation:
    """Unary minus."""

    expression: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied to its arguments."""

    function: str
    arguments: tuple[Node, ...]
    places: tuple[str, ...] = field(default=(), compare=False)
    """Where it stands in the query, and where each argument does, as "line:column"."""


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregation operator; `parameter` is the k of topk, the quantile, the label of count_values."""

    operator: str
    expression: Node
    parameter: Node | None
    grouping: tuple[str, ...]
    without: bool
    places: tuple[str, ...] = field(default=(), compare=False)
    """As of a Call; the parameter, if any, is the first argument."""


@dataclass(frozen=True, slots=True)
class Matching:
    """How the series of two vectors find each other."""

    cardinality: Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"] = "one-to-one"
    on: bool = False
    names: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operator."""

    operator: str
    left: Node
    right: Node
    matching: Matching
    returns_bool: bool


Node = Number | Text | Selector | Range | Subquery | Negation | Call | Aggregation | Binary

OF_THE_CLOCK = frozenset(
    {
        "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "predict_linear",
        "time", "timestamp", "year",
    }
)  # fmt: skip
"""Functions that look at the evaluation time (AtModifierUnsafeFunctions)."""


def is_fixed(node: Node) -> bool:
    """Whether a node is the same at all steps of a query, as everything in it is at a time of its own."""
    waiting: list[Node] = [node]
    while waiting:
        match waiting.pop():
            case Selector(when=when) | Subquery(when=when):
                if when.at is None:
                    return False
            case Range(selector=selector):
                waiting.append(selector)
            case Negation(expression=expression):
                waiting.append(expression)
            case Binary(left=left, right=right):
                waiting += left, right
            case Aggregation(expression=expression, parameter=parameter):
                waiting += [expression] if parameter is None else [expression, parameter]
            case Call(function=function, arguments=arguments):
                if function in OF_THE_CLOCK:
                    return False
                waiting += arguments
    return True
