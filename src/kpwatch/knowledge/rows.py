"""The rows of the table: what stands in kube_proxy.toml, typed. Pure.

Queries are PromQL and group by `(ident, instance)`: a node is its `ident`, or its `instance` where a sender gives none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

METRIC_TYPES = ("counter", "gauge", "histogram", "summary")
UNITS = ("", "seconds", "unix_seconds", "bytes", "rules", "packets", "requests", "changes", "failures")
COLUMN_KINDS = ("text", "number", "seconds", "unix_seconds")
MODES = ("iptables", "ipvs", "nftables", "kernelspace", "userspace")
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
class Level:
    """One severity of a check: it holds for the nodes of which `when` has a sample."""

    severity: Severity
    when: str
    """PromQL with the words of expressions.py."""
    desk: str = ""
    """A second condition, which holds only at a desk; "" = none."""
    for_text: str = ""
    """How long `when` must have held in a cluster, as a Prometheus duration; "" = at once."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A number (or a label's value) that a finding shows."""

    query: str
    zh: str
    en: str
    unit: str = ""
    label: str = ""
    """What is shown is this label's value; "" = the sample's value."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a check says in one language."""

    summary: str
    means: str = ""
    causes: tuple[str, ...] = ()
    do: tuple[str, ...] = ()
    """Steps; a part in `backquotes` is a command to paste."""
    blind: str = ""
    """What the check cannot see, where `blind_modes` says so."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can be wrong; levels from the worst on."""

    id: str
    reference: str
    """Number of the failure mode in the study of real kube-proxies from which the rule comes."""
    levels: tuple[Level, ...]
    evidence: tuple[Evidence, ...]
    zh: Told
    en: Told
    window: str = "5m"
    """`$window` in a cluster."""
    needs: tuple[str, ...] = ()
    """Metrics without any sample of which a node cannot be judged."""
    version: str = ""
    """First kube-proxy version that can be judged; "" = all."""
    modes: tuple[str, ...] = ()
    """Modes of kube-proxy it applies to; () = all."""
    blind_modes: tuple[str, ...] = ()
    """Modes in which it sees only a part."""
    folds: tuple[str, ...] = ()
    """Checks that are this one's consequences."""
    because: tuple[str, ...] = ()
    """Checks that are this one's likely cause."""
    since: str = ""
    """A query for the unix seconds since when it holds; "" = not known."""
    verdict: str = ""
    """What the node's verdict is where it fires; "" = its severity."""
    fleet_only: bool = False
    """Judged only where samples are kept."""
    least_nodes: int = 1
    """Of fewer nodes it says nothing."""
    incidents: tuple[str, ...] = ()
    """Issues that tell of it, as `kubernetes/kubernetes#105742`."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The whole table."""

    metrics: tuple[Metric, ...]
    fleet_columns: tuple[FleetColumn, ...]
    node_states: tuple[NodeState, ...]
    checks: tuple[Check, ...] = ()
    """In the order in which findings are told."""
    terms: Mapping[str, str] = field(default_factory=dict)
    """Name -> expression; see expressions.py."""
