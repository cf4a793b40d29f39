"""Rows as JSON: what the hub's dictionary and `kpwatch explain --json` give out. Pure.

Every key is there in every row; what a row does not say is null, "" or [].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch.knowledge.expressions import expand, in_cluster

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpwatch.knowledge.rows import Check, Metric, MetricGroup, MetricPrefix, Text


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


def check_document(row: Check, terms: Mapping[str, str]) -> dict[str, Any]:
    """A check, its PromQL as a cluster evaluates it."""
    words = in_cluster(row.window)
    return {
        "id": row.id,
        "reference": row.reference,
        "levels": [
            {"severity": level.severity, "query": expand(level.when, terms, words), "for": level.for_text}
            for level in row.levels
        ],
        "evidence": [
            {"query": expand(each.query, terms, words), "unit": each.unit, "what": {"zh": each.zh, "en": each.en}}
            for each in row.evidence
        ],
        "since": row.version,
        "modes": row.modes,
        "folds": row.folds,
        "because": row.because,
        "incidents": row.incidents,
        **{
            key: {"zh": getattr(row.zh, key), "en": getattr(row.en, key)}
            for key in ("summary", "means", "causes", "do", "blind")
        },
    }


def _said(text: Text | None) -> dict[str, str] | None:
    return None if text is None else text._asdict()
