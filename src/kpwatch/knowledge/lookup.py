"""From what somebody has before him, a name on a graph or in a query, to the row that explains it. Pure.

A histogram's or summary's series lead to their family, a family without a row of its own to the prefix it is explained
by. What is not known has nearest names: those that contain the words first, then those that look alike.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpwatch.knowledge.rows import Check, Knowledge, Metric, MetricPrefix

_SERIES_OF = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
_MOST_SUGGESTIONS = 5
_BEGINNINGS = (
    "kubeproxy_",
    "kubeproxy_sync_proxy_rules_",
    "kpwatch_",
    "kpwatch_agent_",
    "kpwatch_hub_",
    "kpwatch_store_",
)


class Found(NamedTuple):
    """A metric's row, and which of its family's series was asked for ("_bucket", "_sum", "_count" or "")."""

    metric: Metric
    series: str = ""


def find_metric(knowledge: Knowledge, name: str) -> Found | None:
    """The row of a family or of one of its series; a selector's braces are of no account."""
    wanted = name.partition("{")[0].strip()
    for row in knowledge.metrics:
        if row.name == wanted:
            return Found(row)
    for row in knowledge.metrics:
        for suffix in _SERIES_OF.get(row.type, ()):
            if wanted == row.name + suffix:
                return Found(row, suffix)
    return None


def find_prefix(knowledge: Knowledge, name: str) -> MetricPrefix | None:
    """The longest prefix that explains a name which has no row of its own."""
    rows = [row for row in knowledge.metric_prefixes if name.startswith(row.prefix)]
    return max(rows, key=lambda row: len(row.prefix), default=None)


def find_check(knowledge: Knowledge, name: str) -> Check | None:
    """The check with this id."""
    return next((check for check in knowledge.checks if check.id == name), None)


def nearest(wanted: str, names: Iterable[str], likeness: float = 0.6) -> Sequence[str]:
    """At most five names that may have been meant: those that hold it, and those so much alike (0 to 1)."""
    whole = list(names)
    known = {alias: name for name in whole for alias in _short_names(name)} | {name: name for name in whole}
    words = wanted.lower().strip("_-")
    holding = sorted({name for name in known.values() if len(words) > 2 and words in name}, key=len)
    alike = [known[near] for near in difflib.get_close_matches(words, known, n=2 * _MOST_SUGGESTIONS, cutoff=likeness)]
    return list(dict.fromkeys([*holding, *alike]))[:_MOST_SUGGESTIONS]


def _short_names(name: str) -> list[str]:
    """What somebody may call it who leaves out how it begins."""
    return [name.removeprefix(start) for start in _BEGINNINGS if name.startswith(start)]
