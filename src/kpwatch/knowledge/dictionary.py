"""[[metric]], [[metric_prefix]] and [[metric_group]] -> rows, checked; what they name must be there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kpwatch.base.errors import ConfigError
from kpwatch.knowledge.entries import one_of, read_rows, read_text, read_text_or_none, said
from kpwatch.knowledge.rows import (
    EXPOSERS,
    METRIC_MODES,
    METRIC_TYPES,
    UNITS,
    Change,
    Label,
    Metric,
    MetricGroup,
    MetricPrefix,
    Text,
    read_version,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Dictionary = tuple[tuple[MetricGroup, ...], tuple[MetricPrefix, ...], tuple[Metric, ...]]


def read_dictionary(table: dict[str, Any]) -> Dictionary:
    """Groups, prefixes and metrics of the table; raises ConfigError naming the row and the rule it breaks."""
    groups = read_rows(table, "metric_group", "id", _metric_group)
    prefixes = read_rows(table, "metric_prefix", "prefix", _metric_prefix)
    metrics = read_rows(table, "metric", "name", _metric)
    _check_references(metrics, groups, prefixes)
    return groups, prefixes, metrics


_METRIC_KEYS = frozenset(Metric._fields)
_LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)(?: (?P<first>1\.\d+)?(?:\+|-(?P<last>1\.\d+)))?")


def _metric_group(entry: dict[str, Any]) -> MetricGroup:
    return MetricGroup(entry["id"], one_of(EXPOSERS, entry, "exposed_by"), read_text(entry, "title"))


def _metric_prefix(entry: dict[str, Any]) -> MetricPrefix:
    return MetricPrefix(entry["prefix"], entry["group"], read_text(entry, "title"), read_text(entry, "means"))


def _metric(entry: dict[str, Any]) -> Metric:
    if unknown := sorted(entry.keys() - _METRIC_KEYS):
        raise ValueError(f"{unknown[0]}: expected one of {', '.join(sorted(_METRIC_KEYS))}")
    kind = one_of(METRIC_TYPES, entry, "type")
    if "buckets" in entry and kind != "histogram":
        raise ValueError(f"buckets: a {kind} has none")
    if ("bad" in entry) != ("do" in entry):
        raise ValueError("bad, do: expected both or neither")
    row = Metric(
        name=entry["name"],
        group=entry["group"],
        type=kind,
        unit=one_of(UNITS, entry, "unit"),
        labels=_labels(entry.get("labels", ())),
        since=entry.get("since", ""),
        removed=entry.get("removed", ""),
        modes=tuple(one_of(METRIC_MODES, {"modes": mode}, "modes") for mode in entry["modes"])
        if "modes" in entry
        else METRIC_MODES,
        buckets=entry.get("buckets", ""),
        title=read_text(entry, "title"),
        means=read_text(entry, "means"),
        absent=read_text_or_none(entry, "absent"),
        bad=read_text_or_none(entry, "bad"),
        do=read_text_or_none(entry, "do"),
        changed=_changes(entry),
        see=tuple(entry.get("see", ())),
        unseen=entry.get("unseen", ""),
    )
    since, removed = (read_version(text) if text else None for text in (row.since, row.removed))
    if since and removed and since >= removed:
        raise ValueError(f"removed = {row.removed!r}: expected a release after since = {row.since!r}")
    return row


def _changes(entry: dict[str, Any]) -> tuple[Change, ...]:
    changes = tuple(
        Change(change["at"], Text(said(change, "zh"), said(change, "en"))) for change in entry.get("changed", ())
    )
    versions = [read_version(change.at) for change in changes]
    if versions != sorted(set(versions)):
        raise ValueError("changed: expected the oldest release first, and each once")
    return changes


def _labels(texts: Sequence[str]) -> tuple[Label, ...]:
    labels = []
    for text in texts:
        match = _LABEL.fullmatch(text)
        if match is None:
            raise ValueError(f"label {text!r}: expected NAME, NAME 1.33+, NAME -1.25 or NAME 1.20-1.25")
        labels.append(Label(match[1], match["first"] or "", match["last"] or ""))
    if len({label.name for label in labels}) < len(labels):
        raise ValueError(f"labels = {list(texts)!r}: expected each label once")
    return tuple(labels)


def _check_references(
    metrics: Sequence[Metric], groups: Sequence[MetricGroup], prefixes: Sequence[MetricPrefix]
) -> None:
    """What a row names must be there, and be worth naming."""
    names, chapters = {row.name for row in metrics}, {group.id for group in groups}
    for kind, name, group in [
        *(("metric", row.name, row.group) for row in metrics),
        *(("metric_prefix", row.prefix, row.group) for row in prefixes),
    ]:
        if group not in chapters:
            raise ConfigError(f"knowledge table: [[{kind}]] {name}: group = {group!r}: no [[metric_group]] has this id")
    for row in metrics:
        for other in row.see:
            if other not in names or other == row.name:
                raise ConfigError(f"knowledge table: [[metric]] {row.name}: see {other!r}: expected another metric")
