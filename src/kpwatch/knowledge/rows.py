"""The rows of the table: what stands in kube_proxy.toml, typed. Pure.

Queries are PromQL and group by `(ident, instance)`: a node is its `ident`, or its `instance` where a sender gives none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

METRIC_TYPES = ("counter", "gauge", "histogram", "summary")
UNITS = ("", "seconds", "unix_seconds", "bytes", "rules", "packets", "requests", "changes", "failures")
COLUMN_KINDS = ("text", "number", "seconds", "unix_seconds")
SEVERITIES = ("info", "warning", "critical")

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family, as the dictionary explains it."""

    name: str
    type: str
    unit: str
    since: str
    """First kube-proxy minor version that has it; "" = every one from 1.20 on, or not kube-proxy's own."""
    labels: tuple[str, ...]
    """Labels of the family itself."""
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a fleet column's value comes from: the sample's value, the value of a label, or a fixed text."""

    query: str
    label: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class FleetColumn:
    """One column of the fleet table; the first of `answers` that has a sample of the node gives its value."""

    id: str
    kind: str
    zh: str
    en: str
    answers: tuple[Answer, ...]
    zero_is_none: bool = False
    """Whether 0 means "never" (kube-proxy up to 1.32 says so with timestamps)."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """One state a node may be in: it is, where `query` has a sample of it; of several, the first row counts."""

    id: str
    severity: Severity
    query: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The whole table."""

    metrics: tuple[Metric, ...]
    fleet_columns: tuple[FleetColumn, ...]
    node_states: tuple[NodeState, ...]
