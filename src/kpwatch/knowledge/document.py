"""Rows as JSON: what the hub's dictionary and `kpwatch explain --json` give out. Pure.

Every key is there in every row; what a row does not say is null, "" or [].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kpwatch.knowledge.rows import Metric, MetricGroup, MetricPrefix, Text


def metric_document(row: Metric) -> dict[str, Any]:
    """A metric: facts, then texts as `{"zh", "en"}`."""
    return {
        "name": row.name,
        "group": row.group,
        "type": row.type,
        "unit": row.unit,
        "since": row.since,
        "removed": row.removed,
        "modes": row.modes,
        "labels": [label.name for label in row.labels],
        "label_releases": {label.name: label.releases for label in row.labels if label.releases},
        "buckets": row.buckets,
        "title": _said(row.title),
        "meaning": _said(row.means),
        "absent": _said(row.absent),
        "bad": _said(row.bad),
        "do": _said(row.do),
        "changed": [{"at": change.at, **change.said._asdict()} for change in row.changed],
        "see": row.see,
    }


def group_document(row: MetricGroup) -> dict[str, Any]:
    """A chapter of the dictionary."""
    return {"id": row.id, "exposed_by": row.exposed_by, "title": _said(row.title)}


def prefix_document(row: MetricPrefix) -> dict[str, Any]:
    """Families that are explained together."""
    return {"prefix": row.prefix, "group": row.group, "title": _said(row.title), "meaning": _said(row.means)}


def _said(text: Text | None) -> dict[str, str] | None:
    return None if text is None else text._asdict()
