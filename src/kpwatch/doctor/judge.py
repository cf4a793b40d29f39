"""Checks of the knowledge table over samples -> one verdict a node.

Whoever holds the samples is an `Examined`: two scrapes on a desk, a hub's store, any Prometheus-compatible server. A
check fires for the nodes of which its first level with a sample has one; what it needs and a node lacks is said as not
judged. Then consequences are folded under their causes (`folds`), and what has befallen much of the fleet alike
(`shared`) is told once.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kpwatch.base.errors import QueryError
from kpwatch.doctor.words import Said
from kpwatch.knowledge.expressions import expand, speaks_of_changes
from kpwatch.model.labels import label_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kpwatch.knowledge.expressions import Words
    from kpwatch.knowledge.rows import Answer, Check, Evidence, Knowledge, Level, Severity
    from kpwatch.model.labels import Labels

SEVERITY_RANK = {"info": 0, "warning": 1, "critical": 2}
_VERSION = 'max by (ident, instance, git_version) (kubernetes_build_info{job="kube-proxy"})'
_DOWN = 'max by (ident, instance) (up{job="kube-proxy"}) == 0'
_NODE_LABELS = ("ident", "instance")
_MUCH_OF_THE_FLEET = 0.5
_MANY_NODES = 25
"""Or so many, however large the fleet is: nobody reads more findings that are alike."""
_NODES_NAMED = 50
"""With what is told of the fleet."""


class Examined(Protocol):
    """Who answers the checks' queries."""

    desk: bool
    """Scrapes at hand, not samples that are kept."""

    def words(self, check: Check) -> Words:
        """What the words in this check's queries stand for."""
        ...

    def ask(self, query: str, before_seconds: float = 0.0, *, is_time: bool = False) -> Sequence[tuple[Labels, float]]:
        """Value of an instant query about each node now, or so long ago; `is_time`: it is a time. Raises QueryError."""
        ...

    def ask_across(self, check: Check, query: str, before_seconds: float = 0.0) -> Sequence[tuple[Labels, float]]:
        """The same of a query that looks from node to node, its words not expanded."""
        ...

    def true_seconds(self, node: str, seconds: float) -> float:
        """A time as samples have it -> unix seconds."""
        ...

    def scrapes(self, node: str) -> int:
        """How many there are of a node; where samples are kept, always enough."""
        ...


class Shown(NamedTuple):
    """One piece of evidence. `value` is a number in `unit` or a text; `what` by language or a sentence."""

    what: Evidence | Said
    value: float | str
    detail: str = ""
    """Labels that tell this sample from its like."""


class Finding(NamedTuple):
    """A check that fired."""

    check: Check
    level: Level
    evidence: tuple[Shown, ...]
    since_seconds: float | None
    consequences: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """Of the level that fired."""
        return self.level.severity


class NotJudged(NamedTuple):
    """A check that could not be judged for a node."""

    check: str
    why: Said


@dataclass
class NodeVerdict:
    """Everything about one node."""

    ident: str
    findings: list[Finding] = field(default_factory=list)
    not_judged: list[NotJudged] = field(default_factory=list)
    shared: list[Finding] = field(default_factory=list)
    """Told once for the fleet, and counted here."""
    unknown: bool = False
    """Something answered that cannot be judged."""

    @property
    def verdict(self) -> str:
        """ok, warning, critical, or unknown."""
        worst = max((SEVERITY_RANK[each.severity] for each in (*self.findings, *self.shared)), default=0)
        if worst:
            return "critical" if worst == SEVERITY_RANK["critical"] else "warning"
        unknown = self.unknown or any(each.check.verdict == "unknown" for each in (*self.findings, *self.shared))
        return "unknown" if unknown else "ok"


class FleetVerdict(NamedTuple):
    """All nodes, and what is told of the fleet as a whole."""

    nodes: list[NodeVerdict]
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class About:
    """What decides which checks apply to a node."""

    names: frozenset[str]
    """Of the metrics it has."""
    minor: int
    """36 of v1.36.3; 0 = not known."""
    version: str
    mode: str


class _Like(NamedTuple):
    """All that decides whether a node can be judged."""

    about: About
    unreadable: Said | None
    has_two: bool
    """Scrapes to compare."""


_NOTHING = About(frozenset(), 0, "", "")
_ANOTHER = Said("another")
_SCRAPES_TO_COMPARE = 2
_YEAR_10000 = 253_402_300_800


def judge(knowledge: Knowledge, examined: Examined, unreadable: Mapping[str, Said]) -> FleetVerdict:
    """Verdicts on every node that `examined` knows of, by ident.

    `unreadable`: nodes whose metrics say nothing, and why. Raises QueryError where not even the nodes can be listed.
    """
    return _Judge(knowledge, examined, unreadable).verdict()


def standing_queries(knowledge: Knowledge) -> list[str]:
    """What is asked whatever fires."""
    return [_presence(knowledge), _VERSION, _DOWN, *(answer.query for answer in _mode_answers(knowledge))]


def _presence(knowledge: Knowledge) -> str:
    names = sorted({"up", "kpwatch_healthz_up", *(name for check in knowledge.checks for name in check.needs)})
    return f'count by (ident, instance, __name__) ({{__name__=~"{"|".join(names)}",job="kube-proxy"}})'


def _mode_answers(knowledge: Knowledge) -> tuple[Answer, ...]:
    return next((column.answers for column in knowledge.fleet_columns if column.id == "mode"), ())


class _Judge:
    def __init__(self, knowledge: Knowledge, examined: Examined, unreadable: Mapping[str, Said]) -> None:
        self._knowledge = knowledge
        self._examined = examined
        self._unreadable = unreadable
        self._about = self._look_around()
        self._down = {node_of(labels) for labels, _ in examined.ask(_DOWN)}
        self._failed: dict[str, Said] = {}
        self._answered: dict[tuple[Words, str, bool], dict[str, list[tuple[Labels, float]]]] = {}
        self._not_judged_of: dict[_Like, list[tuple[Check, NotJudged | None]]] = {}
        self._needs_two = {
            check.id
            for check in knowledge.checks
            if all(speaks_of_changes(level.when, knowledge.terms) for level in check.levels)
        }

    def verdict(self) -> FleetVerdict:
        fired: dict[str, list[tuple[Check, Level, float]]] = {}
        for check in self._knowledge.checks:
            for node, level, value in self._fire(check):
                fired.setdefault(node, []).append((check, level, value))
        for node in fired.keys() - self._about.keys() - {""}:  # silent: it has no sample of now
            self._about[node] = _NOTHING
        nodes = {node: self._node(node, fired.get(node, ())) for node in sorted({*self._about, *self._unreadable})}
        fleet = [self._finding("", *each) for each in fired.get("", ())]
        return FleetVerdict(list(nodes.values()), [*self._share(nodes), *fleet])

    def _look_around(self) -> dict[str, About]:
        names: dict[str, set[str]] = {}
        for labels, _ in self._examined.ask(_presence(self._knowledge)):
            names.setdefault(node_of(labels), set()).add(label_value(labels, "__name__"))
        versions = self._texts(_VERSION, "git_version")
        modes: dict[str, str] = {}
        for answer in _mode_answers(self._knowledge):
            found = self._texts(answer.query, answer.label)
            modes = (found if answer.label else dict.fromkeys(found, answer.text)) | modes
        names.pop("", None)
        return {
            node: About(frozenset(has), minor_of(versions.get(node, "")), versions.get(node, ""), modes.get(node, ""))
            for node, has in names.items()
        }

    def _texts(self, query: str, label: str) -> dict[str, str]:
        return {node_of(labels): label_value(labels, label) for labels, _ in self._examined.ask(query)}

    def _fire(self, check: Check) -> Iterator[tuple[str, Level, float]]:
        """(node or "" for the fleet, level, value), each node once, at its first level."""
        if (check.fleet_only and self._examined.desk) or len(self._about) < check.least_nodes:
            return
        seen: set[str] = set()
        for level in check.levels:
            try:
                holds = self._level(check, level)
            except QueryError as error:
                self._failed[check.id] = Said("failed", (str(error),))
                continue  # said with every node, as not judged
            for node, value in holds.items():
                if node not in seen and _applies(check, self._about.get(node, _NOTHING)):
                    seen.add(node)
                    yield node, level, value

    def _level(self, check: Check, level: Level) -> dict[str, float]:
        holds = self._values(check, level.when)
        if self._examined.desk:
            return holds | self._values(check, level.desk) if level.desk else holds
        for share in (0.5, 1.0) if level.for_seconds and holds else ():
            held = self._values(check, level.when, level.for_seconds * share)
            holds = {node: value for node, value in holds.items() if node in held}
        return holds

    def _values(self, check: Check, query: str, before_seconds: float = 0.0) -> dict[str, float]:
        return {node_of(labels): value for labels, value in self._ask(check, query, before_seconds)}

    def _ask(
        self, check: Check, query: str, before_seconds: float = 0.0, *, is_time: bool = False
    ) -> Sequence[tuple[Labels, float]]:
        if check.across:
            return self._examined.ask_across(check, query, before_seconds)
        text = expand(query, self._knowledge.terms, self._examined.words(check))
        return self._examined.ask(text, before_seconds, is_time=is_time)

    def _node(self, node: str, fired: Iterable[tuple[Check, Level, float]]) -> NodeVerdict:
        fired = list(fired)
        ids = {check.id for check, _, _ in fired}
        folded = {name for check, level, _ in fired if level.is_cause for name in check.folds} & ids
        foreign = {name for check, _, _ in fired if check.verdict == "unknown" for name in check.folds}
        findings = []
        for check, level, value in fired:
            if check.id not in folded:
                consequences = tuple(
                    other.id
                    for other, _, _ in fired
                    if level.is_cause and other.id in check.folds and other.id not in foreign
                )
                causes = tuple(name for name in check.because if name in ids)
                found = self._finding(node, check, level, value)
                findings.append(found._replace(consequences=consequences, causes=causes))
        findings.sort(key=lambda found: -SEVERITY_RANK[found.severity])
        verdict = NodeVerdict(node, findings, unknown=node in self._unreadable or node in self._down)
        verdict.not_judged = [
            NotJudged(check.id, _ANOTHER) if check.id in foreign or why is None else why
            for check, why in self._why_not(node)
            if check.id in foreign or (why is not None and check.id not in ids)
        ]
        return verdict

    def _why_not(self, node: str) -> list[tuple[Check, NotJudged | None]]:
        """Why checks that do not fire could not be judged; None = they could, or do not apply.

        Nodes that are alike in all that decides it are looked at once.
        """
        about, unreadable = self._about.get(node, _NOTHING), self._unreadable.get(node)
        like = _Like(about, unreadable, self._examined.scrapes(node) >= _SCRAPES_TO_COMPARE)
        if like not in self._not_judged_of:
            self._not_judged_of[like] = [
                (check, NotJudged(check.id, why) if why is not None else None)
                for check in self._knowledge.checks
                for why in [next((why for holds, why in self._reasons(check, like) if holds), None)]
            ]
        return self._not_judged_of[like]

    def _reasons(self, check: Check, like: _Like) -> Iterator[tuple[bool, Said | None]]:
        """(whether it is so, what it means), the first that is so decides."""
        about, unreadable = like.about, like.unreadable
        missing = next((name for name in check.needs if name not in about.names), "")
        needs_two = check.id in self._needs_two
        yield check.id in self._failed, self._failed.get(check.id)
        yield not _applies(check, about), None
        yield check.fleet_only and self._examined.desk, Said("kept-samples")
        yield len(self._about) < check.least_nodes, Said("few-nodes", (str(check.least_nodes),))
        yield "up" in about.names and "up" in check.needs, None
        yield unreadable is not None, unreadable
        yield not about.version and missing != "up", Said("no-answer")
        yield 0 < about.minor < minor_of(check.version), Said("version", (about.version, check.version))
        yield bool(missing), Said("absent", (missing,))
        yield needs_two and not like.has_two, Said("one-scrape")
        yield about.mode in check.blind_modes, Said("blind", (check.id,))

    def _finding(self, node: str, check: Check, level: Level, value: float) -> Finding:
        shown = _told_once(each for evidence in check.evidence for each in self._show(node, check, evidence))
        since = self._since(node, check)
        return Finding(check, level, tuple(shown) or (Shown(Said("holds"), value),), since)

    def _show(self, node: str, check: Check, evidence: Evidence) -> Iterator[Shown]:
        for labels, value in self._asked_of(node, check, evidence.query, is_time=evidence.unit == "unix_seconds"):
            if math.isnan(value):
                continue  # no quantile without observations: nothing to show
            if evidence.label:
                yield Shown(evidence, label_value(labels, evidence.label))
                continue
            detail = ", ".join(text for name, text in labels if name not in (*_NODE_LABELS, "__name__"))
            if evidence.unit != "unix_seconds":
                yield Shown(evidence, value, detail)
            elif is_time(at_seconds := self._examined.true_seconds(node, value)):
                yield Shown(evidence, at_seconds, detail)

    def _asked_of(self, node: str, check: Check, query: str, *, is_time: bool) -> Sequence[tuple[Labels, float]]:
        """What is answered about a node; of the fleet (""), everything. It is asked once for all nodes."""
        key = (self._examined.words(check), query, is_time)
        if key not in self._answered:
            by_node: dict[str, list[tuple[Labels, float]]] = {"": []}
            with suppress(QueryError):  # the finding stands without this number
                for labels, value in self._ask(check, query, is_time=is_time):
                    by_node[""].append((labels, value))
                    if of := node_of(labels):
                        by_node.setdefault(of, []).append((labels, value))
            self._answered[key] = by_node
        return self._answered[key].get(node, ())

    def _since(self, node: str, check: Check) -> float | None:
        times = [value for _, value in self._asked_of(node, check, check.since, is_time=True)] if check.since else []
        known = [self._examined.true_seconds(node, value) for value in times if value > 0]
        return min((value for value in known if is_time(value)), default=None)

    def _share(self, nodes: dict[str, NodeVerdict]) -> list[Finding]:
        """Findings that much of the fleet has alike, taken from the nodes."""
        shared = []
        for check in self._knowledge.checks:
            having = [node for node in nodes.values() if any(found.check is check for found in node.findings)]
            is_much = len(having) >= min(_MUCH_OF_THE_FLEET * len(nodes), _MANY_NODES)
            if not check.shared or len(having) < check.shared or not is_much:
                continue
            found = [next(found for found in node.findings if found.check is check) for node in having]
            worst = max(found, key=lambda each: SEVERITY_RANK[each.severity])
            names = ", ".join(node.ident for node in having[:_NODES_NAMED])
            names += ", …" if len(having) > _NODES_NAMED else ""
            gaps = (str(len(having)), str(len(nodes)), names)
            since = min((each.since_seconds for each in found if each.since_seconds is not None), default=None)
            evidence = (Shown(Said("nodes"), Said("of", gaps).in_language("en")), *worst.evidence)
            shared.append(worst._replace(evidence=evidence, since_seconds=since))
            for node, each in zip(having, found, strict=True):
                node.findings.remove(each)
                node.shared.append(each)
        return shared


def _told_once(shown: Iterable[Shown]) -> list[Shown]:
    """Of nodes that say the same, one; of numbers that differ from node to node, the least and the greatest."""
    alike: dict[tuple[Evidence | Said, str], list[float | str]] = {}
    for each in shown:
        alike.setdefault((each.what, each.detail), []).append(each.value)
    told = []
    for (what, detail), values in alike.items():
        numbers = [value for value in values if isinstance(value, float)]
        if len(values) == len(numbers) and min(numbers) != max(numbers):
            told.append(Shown(what, f"{min(numbers):g} - {max(numbers):g}", detail))
        else:
            told += [Shown(what, value, detail) for value in dict.fromkeys(values)]
    return told


def is_time(unix_seconds: float) -> bool:
    """Whether it is one: a page may say anything."""
    return 0 <= unix_seconds < _YEAR_10000


def _applies(check: Check, about: About) -> bool:
    return not (check.modes and about.mode and about.mode not in check.modes)


def node_of(labels: Labels) -> str:
    """The node a sample is about: `ident`, else `instance`, else "" for the fleet."""
    return label_value(labels, "ident") or label_value(labels, "instance")


def minor_of(version: str) -> int:
    """36 of `v1.36.3` or `1.36`; 0 where it says none."""
    digits = version.removeprefix("v").split(".")
    head = digits[1] if len(digits) > 1 else ""
    number = head[: next((place for place, letter in enumerate(head) if not letter.isdigit()), len(head))]
    return int(number) if number else 0
