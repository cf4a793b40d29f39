"""What a set of queries reads, so that it can be read once.

A table of nodes asks some twenty instant queries of the same few metrics. Each select costs something per target, so
the samples that any of the queries may look at are read once into memory, and the engine evaluates over that. What is
needed follows from the queries themselves: the metric names of their selectors, and how far back they reach.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.model.labels import METRIC_NAME
from kpwatch.model.matchers import Matcher
from kpwatch.promql.extended import reach_ms
from kpwatch.promql.parse import parse
from kpwatch.promql.tree import Range, Selector, Subquery

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Needs(NamedTuple):
    """What a set of instant queries may look at."""

    names: Matcher
    """Of the metric."""
    reach_ms: int
    """How far before the evaluation time."""
    selectors: frozenset[tuple[Matcher, ...]]
    """Which series: those that one of them takes."""


def needs(queries: Iterable[str], lookback_ms: int) -> Needs:
    """What `queries` need; every selector in them must name its metric, with = or =~."""
    patterns: set[str] = set()
    reach_ms = 0
    selectors: set[tuple[Matcher, ...]] = set()
    for query in queries:
        for selector, back_ms in _selectors(parse(query), lookback_ms):
            patterns.add(_name_pattern(selector))
            selectors.add(tuple(selector.matchers))
            reach_ms = max(reach_ms, back_ms)
    return Needs(Matcher(METRIC_NAME, "=~", "|".join(sorted(patterns))), reach_ms, frozenset(selectors))


def selectors(query: str) -> list[Selector]:
    """Every selector in a query."""
    return [selector for selector, _ in _selectors(parse(query), 0)]


def _selectors(node: object, window_ms: int) -> Iterator[tuple[Selector, int]]:
    """Every selector below `node`, with how far it reaches back; `@` is not for tables of now."""
    match node:
        case Range(selector, range_ms):
            before_ms, _ = reach_ms(selector.extension, window_ms)
            yield selector, range_ms + before_ms + selector.when.offset_ms
        case Selector():
            yield node, window_ms + node.when.offset_ms
        case Subquery():
            yield from _selectors(node.expression, window_ms + node.range_ms + node.when.offset_ms)
        case tuple():
            for part in node:
                yield from _selectors(part, window_ms)
        case _ if is_dataclass(node):
            for field in fields(node):
                yield from _selectors(getattr(node, field.name), window_ms)


def _name_pattern(selector: Selector) -> str:
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME and matcher.op in ("=", "=~"):
            return re.escape(matcher.value) if matcher.op == "=" else f"(?:{matcher.value})"
    raise AssertionError(f"a selector without a metric name would read the whole store: {selector}")
