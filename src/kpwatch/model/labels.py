"""Labels: the name of a series.

A label set is a tuple of (name, value) pairs sorted by name (by code point, which for UTF-8 is byte order), names
unique, values non-empty: an empty value means the label is absent. The metric's own name is the label `__name__`.
Tuples hash, compare and share; code that edits label sets works on dicts and comes back through `make_labels`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Labels = tuple[tuple[str, str], ...]

METRIC_NAME = "__name__"

OF_METRIC = frozenset({METRIC_NAME, "__type__", "__unit__"})
"""What a metric is, not which series of it: PromQL drops these together."""

EMPTY: Labels = ()

TARGET_LABEL_NAMES = frozenset(
    {
        "instance", "job", "ident", "agent_hostname", "cluster", "node", "region", "zone", "env", "environment",
        "datacenter", "tenant", "prometheus", "prometheus_replica", "replica",
    }
)  # fmt: skip
"""Labels that say where a series was scraped. A store keeps them apart from the metric's own labels; the set is fixed,
so that one series is always split the same way. A label missing here costs space, never correctness."""


def make_labels(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Sorted labels without the empty ones; of a name that comes twice, the last value counts."""
    return tuple(sorted((name, value) for name, value in dict(pairs).items() if value))


def label_value(labels: Labels, name: str) -> str:
    """Value of `name`, or "" where it is absent."""
    for candidate, value in labels:
        if candidate == name:
            return value
    return ""


def metric_name(labels: Labels) -> str:
    """The metric's name, or ""."""
    return label_value(labels, METRIC_NAME)


def split_target(labels: Labels) -> tuple[Labels, Labels]:
    """(target, column): where it was scraped, and what is left (with `__name__`)."""
    target = tuple(pair for pair in labels if pair[0] in TARGET_LABEL_NAMES)
    column = tuple(pair for pair in labels if pair[0] not in TARGET_LABEL_NAMES)
    return target, column


def join_target(target: Labels, column: Labels) -> Labels:
    """Undo `split_target`."""
    return tuple(sorted(target + column))
