"""The rows of the table: what stands in kube_proxy.toml, typed. Pure.

They are NamedTuples because making a dozen of them costs a command a millisecond; dataclasses cost thirty.

Queries are PromQL and group by `(ident, instance)`: a node is its `ident`, or its `instance` where a sender gives none.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from kpwatch.base.durations import parse_prometheus

if TYPE_CHECKING:
    from collections.abc import Mapping

METRIC_TYPES = ("counter", "gauge", "histogram", "summary")
UNITS = (
    "", "seconds", "unix_seconds", "bytes", "rules", "packets", "requests", "changes", "failures", "services", "flows",
    "samples", "series", "targets", "scrapes", "goroutines", "threads", "files", "yes_no", "info",
)  # fmt: skip
"""What a value counts or measures; "yes_no" is 1 or 0, "info" always 1 (the labels tell), "" a plain number."""
METRIC_MODES = ("iptables", "ipvs", "nftables", "kernelspace")
"""Those of 1.31 and later, of which each registers metrics of its own."""
EXPOSERS = ("kube-proxy", "scraper", "agent", "hub")
"""Who says a metric: kube-proxy itself, who scrapes it (about the scrape and the other pages), our own processes."""
COLUMN_KINDS = ("text", "number", "seconds", "unix_seconds")
MODES = ("iptables", "ipvs", "nftables", "kernelspace", "userspace")
SEVERITIES = ("info", "warning", "critical")
LANGUAGES = ("zh", "en")

Severity = Literal["info", "warning", "critical"]
Version = tuple[int, int]


def read_version(text: str) -> Version:
    """(1, 33) of "1.33"; raises ValueError where it is no release of Kubernetes."""
    major, _, minor = text.partition(".")
    if major != "1" or not (minor.isascii() and minor.isdecimal()) or minor != str(int(minor)):
        raise ValueError(f"version {text!r}: expected a release of Kubernetes such as '1.33'")
    return 1, int(minor)


class Text(NamedTuple):
    """The same said in both languages."""

    zh: str
    en: str

    def in_language(self, language: str) -> str:
        """In one of LANGUAGES."""
        return self.zh if language == "zh" else self.en


class Label(NamedTuple):
    """A label of a family, and which releases have it: `""` is from the first, to the last there is."""

    name: str
    first: str = ""
    last: str = ""

    def is_in(self, version: Version) -> bool:
        """Whether that release's series have it."""
        begun = not self.first or read_version(self.first) <= version
        return begun and (not self.last or version <= read_version(self.last))

    @property
    def releases(self) -> str:
        """As they are written in the table: `1.33+`, `-1.25`, `1.20-1.25`, or nothing for all."""
        return f"{self.first}+" if self.first and not self.last else f"{self.first}-{self.last}" if self.last else ""


class Change(NamedTuple):
    """What a release made different."""

    at: str
    said: Text


class MetricGroup(NamedTuple):
    """A chapter of the dictionary; every metric stands in one."""

    id: str
    exposed_by: str
    """One of EXPOSERS."""
    title: Text


class MetricPrefix(NamedTuple):
    """Families that are explained together, by how their names begin: nobody asks for them one by one."""

    prefix: str
    group: str
    title: Text
    means: Text


class Metric(NamedTuple):
    """One metric family, as the dictionary explains it."""

    name: str
    group: str
    type: str
    unit: str
    labels: tuple[Label, ...]
    """Labels of the family itself; not what a scraper adds, nor a histogram's `le`."""
    since: str
    """First release that has it; "" = every one from 1.20 on, or not kube-proxy's own."""
    removed: str
    """First release that has it no more."""
    modes: tuple[str, ...]
    """Modes that have it, from 1.31 on; up to 1.30 every mode registers every family."""
    buckets: str
    """Upper bounds of a histogram, where they decide how it is to be read."""
    title: Text
    """A name for it, of a few words."""
    means: Text
    absent: Text | None
    """What it means, or how to read it, where the series is not there."""
    bad: Text | None
    """What to worry about."""
    do: Text | None
    """What then."""
    changed: tuple[Change, ...]
    see: tuple[str, ...]
    """Metrics that are read together with this one."""
    unseen: str
    """Why no capture of ours shows it; "" = one does."""

    def is_in(self, version: Version) -> bool:
        """Whether that release has it."""
        begun = not self.since or read_version(self.since) <= version
        return begun and (not self.removed or version < read_version(self.removed))


class Answer(NamedTuple):
    """Where a fleet column's value comes from: the sample's value, the value of a label, or a fixed text."""

    query: str
    label: str = ""
    text: str = ""


class FleetColumn(NamedTuple):
    """One column of the fleet table; the first of `answers` that has a sample of the node gives its value."""

    id: str
    kind: str
    zh: str
    en: str
    answers: tuple[Answer, ...]
    zero_is_none: bool = False
    """Whether 0 means "never" (kube-proxy up to 1.32 says so with timestamps)."""


class Level(NamedTuple):
    """One severity of a check: it holds for the nodes of which `when` has a sample."""

    severity: Severity
    when: str
    """PromQL with the words of expressions.py."""
    desk: str = ""
    """A second condition, which holds only at a desk; "" = none."""
    for_text: str = ""
    """How long `when` must have held in a cluster, as a Prometheus duration; "" = at once."""
    is_cause: bool = True
    """Whether it is bad enough to bring about what the check `folds`."""

    @property
    def for_seconds(self) -> float:
        """The same as a number."""
        return parse_prometheus(self.for_text) if self.for_text else 0.0


class Evidence(NamedTuple):
    """A number (or a label's value) that a finding shows."""

    query: str
    zh: str
    en: str
    unit: str = ""
    label: str = ""
    """What is shown is this label's value; "" = the sample's value."""


class Told(NamedTuple):
    """What a check says in one language."""

    summary: str
    means: str
    """For traffic and users."""
    causes: tuple[str, ...]
    """The likeliest first, with the log text that tells it apart."""
    do: tuple[str, ...]
    """Steps; a part in `backquotes` is a command to paste, `<node>` in it what the reader must put in."""
    threshold: str
    """From where on it fires, and who says so."""
    blind: str = ""
    """What the check cannot see, where `blind_modes` says so."""


class Check(NamedTuple):
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
    """What the node's verdict is where it fires; "" = its severity. "unknown": what it folds was not judged at all."""
    fleet_only: bool = False
    """Judged only where samples are kept."""
    least_nodes: int = 1
    """Of fewer nodes it says nothing."""
    across: bool = False
    """Its queries look from node to node; all others ask about each node by itself."""
    shared: int = 0
    """Of at least so many nodes it is told once for the fleet, if they are much of it; 0 = always of each node."""
    incidents: tuple[str, ...] = ()
    """Issues that tell of it, as `kubernetes/kubernetes#105742`."""


class Knowledge(NamedTuple):
    """The whole table."""

    metric_groups: tuple[MetricGroup, ...]
    metric_prefixes: tuple[MetricPrefix, ...]
    metrics: tuple[Metric, ...]
    fleet_columns: tuple[FleetColumn, ...]
    checks: tuple[Check, ...] = ()
    """In the order in which findings are told."""
    terms: Mapping[str, str] = MappingProxyType({})
    """Name -> expression; see expressions.py."""
